// SPDX-License-Identifier: GPL-2.0

//! VMs on arm64: SPIs, and MSIs for an ITS.

use super::{
    bindings,
    counters,
    files,
    host,
    list,
    srcu,
    stats, //
};

pub(crate) mod event;
pub(crate) mod index;
pub(crate) mod lines;
pub(crate) mod snapshot;
mod trace;
mod views;
pub(crate) mod vm;
