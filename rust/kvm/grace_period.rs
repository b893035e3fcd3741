// SPDX-License-Identifier: GPL-2.0

//! The grace period of a routing table, during which scans cover two tables.

use super::index::Index;
use crate::routing::update::Changes;
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
pub(crate) struct Tables {
    /// The table that is replaced.
    pub(crate) old: Option<Arc<Index>>,
    /// The table that takes its place.
    pub(crate) new: Option<Arc<Index>>,
    /// What is different in it.
    pub(crate) changes: Changes,
}

/// The time from before a table is published until no interrupt is in flight by the one before.
#[pin_data]
pub(crate) struct GracePeriod {
    /// Whether it has begun, so that scans need not lock when it has not.
    active: Atomic<bool>,
    /// Held for as long as it takes to put the tables in or out, or to take references to their
    /// indexes. Those are dropped, which may sleep, and scanned outside of it, so that vCPUs do not
    /// wait for one another's scans.
    #[pin]
    tables: SpinLock<Option<Tables>>,
}

impl GracePeriod {
    /// Makes one that has not begun.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            active: Atomic::new(false),
            tables <- new_spinlock!(None, "kvm_irqroute_grace_period"),
        })
    }

    /// Lets scans cover both tables. Process context, may sleep.
    pub(crate) fn begin(&self, tables: Tables) {
        // Dropped at the end, when the lock is not held any more.
        let _before = self.tables.lock().replace(tables);

        self.active.store(true, Release);
    }

    /// Lets scans cover the current table alone. Process context, when no interrupt is in flight by
    /// the old table. Returns the tables if the grace period had begun.
    pub(crate) fn end(&self) -> Option<Tables> {
        if !self.active.load(Relaxed) {
            return None;
        }

        // Who sees this sees all interrupts that were sent by the old table, too.
        self.active.store(false, Release);
        self.tables.lock().take()
    }

    /// Returns the indexes of the tables that scans have to cover, the old one and the new one, if
    /// there are two. If there are not, interrupts that were sent by an older table than the current
    /// one are pending or gone by now. Process context; whoever drops them may sleep.
    pub(crate) fn indexes(&self) -> Option<[Option<Arc<Index>>; 2]> {
        if !self.active.load(Acquire) {
            return None;
        }

        let tables = self.tables.lock();
        let Tables { old, new, .. } = tables.as_ref()?;

        Some([old.clone(), new.clone()])
    }
}
