// SPDX-License-Identifier: GPL-2.0

//! VMs on x86: split irqchips, Hyper-V SINTs, and interrupts that devices post.

#[cfg(CONFIG_KUNIT = "y")]
use super::params;
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
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) mod fake;
pub(crate) mod grace_period;
pub(crate) mod handled;
pub(crate) mod index;
pub(crate) mod posting;
pub(crate) mod snapshot;
mod trace;
pub(crate) mod vcpu;
pub(crate) mod views;
pub(crate) mod vm;
pub(crate) mod vp_index_cache;

#[cfg(CONFIG_KUNIT = "y")]
mod tests;
