// SPDX-License-Identifier: GPL-2.0

//! Tests of what is decided on arm64.

use super::{property, routing};

mod reference;

mod msi;
mod route;
mod seen;
mod spi;
mod table;
mod verify;
