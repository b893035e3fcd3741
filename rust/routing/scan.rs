// SPDX-License-Identifier: GPL-2.0

//! Which EOIs a vCPU with a split irqchip has to report to userspace.

use super::{
    apic::{Apic, BroadcastQuirk},
    msi::{Msi, MsiFormat, Trigger},
    rules::Rules,
    vector::VectorSet,
};

/// How the routes of a VM are to be read at the time of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Where MSIs keep their destination.
    pub(crate) format: MsiFormat,
    /// What destination 0xff means in x2APIC mode.
    pub(crate) quirk: BroadcastQuirk,
}

/// The outcome of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Vectors whose EOI leaves the guest as KVM_EXIT_IOAPIC_EOI.
    pub(crate) handled: VectorSet,
    /// The highest of them that is there because of an interrupt in flight by an older route. Its
    /// EOI is reported once and then calls for another scan.
    pub(crate) highest_stale: Option<u8>,
}

/// Scans the level routes of the reserved pins for a vCPU with local APIC `apic`.
///
/// An EOI is reported if the vCPU may receive the interrupt by a route of the table, or if it has
/// the vector pending: then the interrupt came by an older route, and userspace still waits for
/// its end. Whether a pending interrupt really came by a route is not known, so that a vector
/// which a route to another vCPU happens to use counts too.
#[inline]
pub(crate) fn scan(level: &[Msi], reading: Reading, apic: &Apic) -> Scan {
    let mut result = Scan::default();

    for msi in level {
        let vector = msi.vector();

        if apic
            .id
            .accepts(msi.destination(reading.format), reading.quirk)
        {
            result.handled.insert(vector);
        } else if apic.pending_eoi.contains(vector) {
            result.handled.insert(vector);
            result.highest_stale = result.highest_stale.max(Some(vector));
        }
    }

    result
}

/// Tells whether the EOI of a vector that a scan has found is reported, given the trigger mode of
/// the interrupt that has ended, from the trigger mode register (TMR). An edge interrupt has no
/// line that an I/O APIC would look at again (Intel SDM volume 3, "Signaling Interrupt Servicing
/// Completion"). KVM's C does not ask.
pub(crate) fn reports_eoi(rules: Rules, trigger: Trigger) -> bool {
    rules == Rules::C || trigger == Trigger::Level
}
