// SPDX-License-Identifier: GPL-2.0

//! The grace period of a routing table, during which scans cover two tables, or a new one whatever
//! table they come with.

use super::index::Index;
use crate::routing::x86::update::Changes;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// The tables that scans have to cover, by their indexes.
#[derive(Clone)]
pub(crate) struct Tables {
    /// The table that is replaced, unless the one that takes its place has all of its routes.
    pub(crate) old: Option<Arc<Index>>,
    /// The table that takes its place.
    pub(crate) new: Option<Arc<Index>>,
    /// What is different in it.
    pub(crate) changes: Changes,
}

/// How far the time from before a table is published until no interrupt is in flight by the one
/// before has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Interrupts may be sent by either table.
    Open,
    /// None is in flight by the old table any more, and vCPUs are told.
    Closing,
}

/// Whether scans have to cover two tables, and which.
#[pin_data]
pub(crate) struct GracePeriod {
    /// Whether it has begun, so that scans need not lock when it has not.
    active: Atomic<bool>,
    /// Held for as long as it takes to put the tables in or out, or to take references to their
    /// indexes. Those are dropped, which may sleep, and scanned outside of it, so that vCPUs do not
    /// wait for one another's scans.
    #[pin]
    tables: SpinLock<Option<(Phase, Tables)>>,
}

impl GracePeriod {
    /// Makes one that has not begun.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            active: Atomic::new(false),
            tables <- new_spinlock!(None, "kvm_irqroute_grace_period"),
        })
    }

    /// Tells whether it has begun and not ended. For updates, of which there is one at a time.
    pub(crate) fn has_begun(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Lets scans cover both tables. Process context, may sleep.
    pub(crate) fn begin(&self, tables: Tables) {
        // Dropped at the end, when the lock is not held any more.
        let _before = self.tables.lock().replace((Phase::Open, tables));

        self.active.store(true, Release);
    }

    /// Lets scans cover the new table, and of the old one what is pending. Process context, when no
    /// interrupt is in flight by the old table. Returns the tables if the grace period had begun.
    pub(crate) fn close(&self) -> Option<Tables> {
        if !self.has_begun() {
            return None;
        }

        // Who sees this sees all interrupts that were sent by the old table, too.
        let mut guard = self.tables.lock();
        let (phase, tables) = Option::as_mut(&mut guard)?;

        *phase = Phase::Closing;
        Some(tables.clone())
    }

    /// Lets scans cover the new table alone. Process context, when vCPUs have been told to scan.
    pub(crate) fn end(&self) {
        // Whoever scans without the old table finds what it has to report of it by now.
        self.active.store(false, Release);

        // Dropped when the lock is not held any more.
        let tables = self.tables.lock().take();
        drop(tables);
    }

    /// Returns the indexes of the tables that scans have to cover, the old one and the new one, if
    /// there are two. If there are not, interrupts that were sent by an older table than the current
    /// one are pending or gone by now. Process context; whoever drops them may sleep.
    pub(crate) fn indexes(&self) -> Option<(Phase, [Option<Arc<Index>>; 2])> {
        if !self.active.load(Acquire) {
            return None;
        }

        // It may be the grace period of the next update by now, which has its own phase.
        let guard = self.tables.lock();
        let (phase, Tables { old, new, .. }) = guard.as_ref()?;

        Some((*phase, [old.clone(), new.clone()]))
    }
}
