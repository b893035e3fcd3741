// SPDX-License-Identifier: GPL-2.0

//! Which EOIs a vCPU with a split irqchip has to report to userspace.

use super::{
    apic::Apic,
    directory::{List, Listing},
    level::{Level, Reading},
    msi::{Msi, Trigger},
    rules::Rules,
    vector::VectorSet,
};

/// The outcome of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Vectors whose EOI leaves the guest as KVM_EXIT_IOAPIC_EOI.
    pub(crate) handled: VectorSet,
    /// The highest of them that is there because of an interrupt in flight by an older route. Its
    /// EOI is reported once and then calls for another scan.
    pub(crate) highest_stale: Option<u8>,
}

impl Scan {
    /// Returns the outcome of a scan of the routes of both scans.
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self {
            handled: self.handled.union(&other.handled),
            highest_stale: self.highest_stale.max(other.highest_stale),
        }
    }
}

/// Scans the level routes of the reserved pins for a vCPU with local APIC `apic`.
///
/// An EOI is reported if the vCPU may receive the interrupt by a route of the table, or if it has
/// the vector pending: then the interrupt came by an older route, and userspace still waits for
/// its end. Whether a pending interrupt really came by a route is not known, so that a vector
/// which a route to another vCPU happens to use counts too.
#[inline]
pub(crate) fn scan<M, L>(level: &Level<M, L>, reading: Reading, apic: &Apic) -> Scan
where
    M: List<Msi>,
    L: List<Listing>,
{
    let reaching = level.reaching(&apic.id, reading);
    let stale = level.stale(apic, reading, &reaching);

    Scan {
        handled: reaching.union(&stale),
        highest_stale: stale.highest(),
    }
}

/// Tells whether the EOI of a vector that a scan has found is reported, given the trigger mode of
/// the interrupt that has ended, from the trigger mode register (TMR). An edge interrupt has no
/// line that an I/O APIC would look at again (Intel SDM volume 3, "Signaling Interrupt Servicing
/// Completion"). KVM's C does not ask.
pub(crate) fn reports_eoi(rules: Rules, trigger: Trigger) -> bool {
    rules == Rules::C || trigger == Trigger::Level
}
