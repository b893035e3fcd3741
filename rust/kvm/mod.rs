// SPDX-License-Identifier: GPL-2.0

//! Safe views over the hook ABI. This layer converts and never decides.

mod bindings;

pub(crate) mod counters;
mod debugfs;
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) mod fake;
pub(crate) mod grace_period;
pub(crate) mod handled;
pub(crate) mod host;
pub(crate) mod index;
pub(crate) mod list;
pub(crate) mod params;
pub(crate) mod srcu;
pub(crate) mod stats;
pub(crate) mod views;
pub(crate) mod vm;
pub(crate) mod vp_index_cache;

#[cfg(CONFIG_KUNIT = "y")]
mod tests;

/// The C names that the hooks need for their signatures, and nothing else.
pub(crate) mod raw {
    pub(crate) use super::bindings::{
        irqroute_total,
        kvm,
        kvm_irq_routing_entry,
        kvm_irqroute_hooks,
        kvm_irqroute_index,
        kvm_irqroute_ops,
        kvm_irqroute_synic,
        kvm_irqroute_vcpu_view,
        kvm_irqroute_vm,
        kvm_irqroute_vm_view,
        kvm_vcpu,
        KVM_IRQROUTE_ABI, //
    };
}
