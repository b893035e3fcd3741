// SPDX-License-Identifier: GPL-2.0

//! Interrupt routes of KVM VMs, handled in Rust.
//!
//! KVM offers each new VM to this module and then asks it, on x86, which EOIs a VM with a split
//! irqchip reports, what a change of the routes has to update, and where Hyper-V SINT routes go; on
//! arm64, where the interrupts of irqfds go and who hears of their end. See `Documentation/` for the
//! design and the hook ABI.
//!
//! Imports run one way: this file, [`abi`], [`kvm`], [`routing`].

#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

use kernel::prelude::*;

mod abi;
mod kvm;
mod routing;

module! {
    type: IrqRoute,
    name: "kvm_irqroute",
    authors: ["The kvm_irqroute authors"],
    description: "Interrupt routes of KVM VMs: split irqchip, Hyper-V SINTs, irqfds of arm64",
    license: "GPL v2",
}

/// The loaded module: what userspace can see of it in debugfs.
struct IrqRoute {
    _stats: kvm::stats::Published,
}

impl kernel::Module for IrqRoute {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _stats: kvm::stats::publish(),
        })
    }
}
