// SPDX-License-Identifier: GPL-2.0

//! Tests of what is decided on x86.

use super::{property, routing};

mod cases;
mod reference;

mod apic;
mod dest_map;
mod destination;
mod level_routes;
mod msi;
mod route;
mod scan;
mod sint;
mod update;
mod vector;
mod verify;
