// SPDX-License-Identifier: GPL-2.0

//! The local APICs of a VM, as far as they decide which interrupts are posted.

use super::{
    bindings,
    host::Host,
    list::SmallList, //
};
use crate::routing::{
    x86::{
        apic_map::{
            ApicMap,
            Name,
            VcpuApic, //
        },
        msi::Msi,
        posting::{
            self,
            LowestPriority,
            Reason,
            Target, //
        }, //
    },
    Parity, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// What becomes of the interrupts of devices, by the numbers that KVM has for it, with the names of the
/// reasons why they are not posted.
pub(crate) const POSTINGS: [(u32, Option<&'static str>); 10] = [
    (bindings::kvm_irqroute_posting_KVM_IRQROUTE_POSTED, None),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_NOT_MSI,
        Some("not_msi"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_DENIED,
        Some("denied"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_DELIVERY_MODE,
        Some("delivery_mode"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_LEVEL,
        Some("level"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_NO_TARGET,
        Some("no_target"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_SEVERAL,
        Some("several"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_UNDECIDED,
        Some("undecided"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_FAILED,
        Some("failed"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_NOT_POSTABLE,
        Some("not_postable"),
    ),
];

/// How many irqfds there are for each of [`POSTINGS`], by number.
pub(crate) type Postings = [u32; bindings::kvm_irqroute_posting_KVM_IRQROUTE_NR_POSTINGS as usize];

// Nothing is left out, but for irqfds without a producer.
const _: () = assert!(POSTINGS.len() + 1 == size_of::<Postings>() / size_of::<u32>());

impl Host {
    /// Counts the irqfds of the VM that have a producer. Any context, until the files of the VM are
    /// removed. Returns `ENODEV` if KVM was built from other headers than the module.
    pub(crate) fn count_postings(&self) -> Result<Postings> {
        let mut postings = Postings::default();
        // SAFETY: By the invariants, the VM is valid. The integers that are read may change at any time.
        // `postings` has room for all of them.
        let result =
            unsafe { bindings::irqroute_count_postings(self.kvm(), postings.as_mut_ptr()) };

        to_result(result).map(|()| postings)
    }
}

/// What is kept of the local APICs of all vCPUs: made when one of them has changed, and constant then.
pub(crate) struct Apics {
    map: ApicMap<SmallList<Name, 16>>,
    lowest_priority: LowestPriority,
}

impl Apics {
    /// Makes it for the local APICs of a VM, in the order of the indexes of their vCPUs. Process context.
    pub(crate) fn new(
        view: &bindings::kvm_irqroute_vm_view,
        apics: &[bindings::kvm_irqroute_apic_view],
    ) -> Result<KBox<Self>> {
        // What `enumerate()` counts by brings a path to a panic along.
        let mut next = 0u32;
        let enabled = apics.iter().filter_map(|apic| {
            let vcpu = next;

            next = next.wrapping_add(1);
            (apic.hw_enabled != 0).then(|| VcpuApic {
                vcpu,
                id: apic.id(),
                is_logically_mapped: apic.sw_enabled != 0 && apic.ldr != 0,
            })
        });

        let apics = Self {
            map: ApicMap::new(view.x2apic_api(), enabled)?,
            lowest_priority: view.lowest_priority(),
        };
        Ok(KBox::new(apics, GFP_KERNEL_ACCOUNT)?)
    }

    /// Decides where `msi` is posted. Any context.
    pub(crate) fn decide(&self, msi: &Msi, parity: Parity) -> Result<Target, Reason> {
        posting::decide(msi, &self.map, self.lowest_priority, parity)
    }
}
