// SPDX-License-Identifier: GPL-2.0

//! Tests of what is decided on x86.

use super::{property, routing};

mod cases;
mod reference;

mod apic;
mod dest_map;
mod destination;
mod level_routes;
mod lines;
mod msi;
mod posting;
mod remark;
mod route;
mod scan;
mod seen;
mod sint;
mod update;
mod vector;
mod verify;
