// SPDX-License-Identifier: GPL-2.0

//! Which EOIs a vCPU with a split irqchip has to report to userspace.

use super::super::{list::List, Parity};
use super::{
    apic::{Apic, X2ApicApi},
    dest_map::Slot,
    level_routes::LevelRoutes,
    msi::Msi,
    route::ReservedPins,
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

    /// Returns the outcome with what is `pending` of another table, whose outcome is `old` and by which
    /// nothing more comes.
    pub(crate) fn with_rest_of(&self, old: &Self, pending: &VectorSet) -> Self {
        self.with_owed(&old.handled.intersection(pending))
    }

    /// Returns the outcome with the EOIs that the vCPU owes as well.
    pub(crate) fn with_owed(&self, owed: &VectorSet) -> Self {
        Self {
            handled: self.handled.union(owed),
            highest_stale: self
                .highest_stale
                .max(owed.difference(&self.handled).highest()),
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
pub(crate) fn scan<M, S>(routes: &LevelRoutes<M, S>, api: X2ApicApi, apic: &Apic) -> Scan
where
    M: List<Msi>,
    S: List<Slot>,
{
    let reaching = routes.reaching(&apic.id, api);
    let stale = routes.stale(apic, api, &reaching);

    Scan {
        handled: reaching.union(&stale),
        highest_stale: stale.highest(),
    }
}

/// Returns the vectors whose EOI a vCPU owes to userspace, whatever the table is by now: those
/// `pending` in IRR or ISR that it had to report so far (`reported`), or that came with
/// `level_triggered` set, by the trigger mode register (TMR). The TMR knows of what the vCPU was
/// restored with, and of what it got before its APIC changed. It alone does not do: an edge interrupt
/// with the same vector clears the bit. Without `pins`, userspace has no I/O APIC that waits.
///
/// An I/O APIC waits for the EOI of a level interrupt that was taken whether or not its pin is
/// masked or programmed anew since (Intel SDM volume 3, "Signaling Interrupt Servicing
/// Completion"). KVM's C forgets a vector that no route has any more.
pub(crate) fn owed(
    parity: Parity,
    pins: ReservedPins,
    pending: &VectorSet,
    reported: &VectorSet,
    level_triggered: &VectorSet,
) -> VectorSet {
    match (parity, pins) {
        (Parity::On, _) | (_, ReservedPins(0)) => VectorSet::EMPTY,
        (Parity::Off, _) => pending.intersection(&reported.union(level_triggered)),
    }
}
