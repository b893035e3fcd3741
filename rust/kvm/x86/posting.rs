// SPDX-License-Identifier: GPL-2.0

//! The local APICs of a VM, as far as they decide which interrupts are posted.

use super::{
    bindings,
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
use kernel::prelude::*;

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
