// SPDX-License-Identifier: GPL-2.0

//! Safe views over the hook ABI. This layer converts and never decides.

mod bindings;

pub(crate) mod counters;
mod debugfs;
pub(crate) mod files;
pub(crate) mod host;
pub(crate) mod list;
pub(crate) mod params;
mod routes;
pub(crate) mod srcu;
pub(crate) mod stats;
mod trace;

#[cfg(CONFIG_ARM64)]
pub(crate) mod arm64;
#[cfg(CONFIG_X86)]
pub(crate) mod x86;

/// What the architecture has of its own. All have an index of a table and a VM.
#[cfg(CONFIG_ARM64)]
pub(crate) use arm64 as arch;
#[cfg(CONFIG_X86)]
pub(crate) use x86 as arch;

/// The C names that the hooks need for their signatures, and nothing else.
pub(crate) mod raw {
    pub(crate) use super::bindings::{
        irqroute_file_close,
        irqroute_file_open,
        irqroute_file_records,
        irqroute_file_show,
        irqroute_opened,
        irqroute_shown,
        irqroute_total,
        kvm,
        kvm_irq_routing_entry,
        kvm_irqroute_hooks,
        kvm_irqroute_index,
        kvm_irqroute_ops,
        kvm_irqroute_vm,
        kvm_irqroute_vm_view,
        seq_file,
        KVM_IRQROUTE_ABI,
        KVM_IRQROUTE_ADDS,
        KVM_IRQROUTE_DEFAULT,
        KVM_IRQROUTE_NO_WAIT, //
    };

    #[cfg(CONFIG_ARM64)]
    pub(crate) use super::bindings::{
        kvm_irqroute_msi_view,
        KVM_IRQROUTE_IRQ_LINE, //
    };

    #[cfg(CONFIG_X86)]
    pub(crate) use super::bindings::{
        kvm_irqroute_apic_view,
        kvm_irqroute_apics,
        kvm_irqroute_posting,
        kvm_irqroute_posting_KVM_IRQROUTE_DELIVERY_MODE as KVM_IRQROUTE_DELIVERY_MODE,
        kvm_irqroute_posting_KVM_IRQROUTE_LEVEL as KVM_IRQROUTE_LEVEL,
        kvm_irqroute_posting_KVM_IRQROUTE_NO_TARGET as KVM_IRQROUTE_NO_TARGET,
        kvm_irqroute_posting_KVM_IRQROUTE_POSTED as KVM_IRQROUTE_POSTED,
        kvm_irqroute_posting_KVM_IRQROUTE_SEVERAL as KVM_IRQROUTE_SEVERAL,
        kvm_irqroute_synic,
        kvm_irqroute_target,
        kvm_irqroute_vcpu_view,
        kvm_vcpu, //
    };
}
