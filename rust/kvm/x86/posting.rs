// SPDX-License-Identifier: GPL-2.0

//! The local APICs of a VM, as far as they decide which interrupts are posted.

use super::{
    bindings,
    files::cond_resched,
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
        lines::Way,
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

/// The ways of the interrupts of devices, by the numbers that KVM has for them.
pub(crate) const POSTINGS: [(u32, Way); 10] = [
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_POSTED,
        Way::Posted,
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_NOT_MSI,
        Way::Remapped("not_msi"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_DENIED,
        Way::Remapped("denied"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_DELIVERY_MODE,
        Way::Remapped("delivery_mode"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_LEVEL,
        Way::Remapped("level"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_NO_TARGET,
        Way::Remapped("no_target"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_SEVERAL,
        Way::Remapped("several"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_UNDECIDED,
        Way::Remapped("undecided"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_FAILED,
        Way::Remapped("failed"),
    ),
    (
        bindings::kvm_irqroute_posting_KVM_IRQROUTE_NOT_POSTABLE,
        Way::Remapped("not_postable"),
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

    /// Finds out which way the interrupts of these routes take, as a number of KVM's for each. Process
    /// context, until the files of the VM are removed, and not before its first update has begun. KVM must
    /// have been built from the same headers as the module.
    pub(crate) fn find_postings(
        &self,
        routes: &[bindings::kvm_irq_routing_entry],
    ) -> Result<KVVec<u32>> {
        let mut postings = KVVec::with_capacity(routes.len(), GFP_KERNEL_ACCOUNT)?;

        for route in routes {
            cond_resched();
            // SAFETY: By the invariants, the VM is valid, and it is set up when updates begin. Its irqfds
            // are looked at with the lock that KVM adds and removes them with, and nothing refers to them
            // afterwards.
            let posting = unsafe { bindings::irqroute_find_posting(self.kvm(), route.gsi) };

            postings.push_within_capacity(posting)?;
        }
        Ok(postings)
    }
}

/// Returns the way with this number of KVM's, if there is an interrupt of a device.
pub(crate) fn way(number: u32) -> Option<Way> {
    let (_, way) = POSTINGS
        .into_iter()
        .find(|(posting, _)| *posting == number)?;

    Some(way)
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
