// SPDX-License-Identifier: GPL-2.0

//! The grace period of a routing table, during which scans cover two tables, or a new one whatever
//! table they come with.

use super::index::Index;
use crate::routing::x86::update::Changes;
use core::mem;
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
#[derive(Clone, Default)]
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
    /// wait for one another's scans. Tables stay in their place, as they are large.
    #[pin]
    state: SpinLock<(Option<Phase>, Tables)>,
}

impl GracePeriod {
    /// Makes one that has not begun.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            active: Atomic::new(false),
            state <- new_spinlock!((None, Tables::default()), "kvm_irqroute_grace_period"),
        })
    }

    /// Tells whether it has begun and not ended. For updates, of which there is one at a time.
    pub(crate) fn has_begun(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Sets the phase and the indexes. Those before are dropped when the lock is not held any more.
    fn set(
        &self,
        phase: Option<Phase>,
        indexes: [Option<Arc<Index>>; 2],
        changes: Option<&Changes>,
    ) {
        let [old, new] = indexes;
        let mut guard = self.state.lock();
        let (in_phase, tables) = &mut *guard;

        *in_phase = phase;
        if let Some(changes) = changes {
            tables.changes = *changes;
        }
        let before = (
            mem::replace(&mut tables.old, old),
            mem::replace(&mut tables.new, new),
        );

        drop(guard);
        drop(before);
    }

    /// Lets scans cover both tables. Process context, may sleep.
    pub(crate) fn begin(
        &self,
        old: Option<Arc<Index>>,
        new: Option<Arc<Index>>,
        changes: &Changes,
    ) {
        self.set(Some(Phase::Open), [old, new], Some(changes));
        self.active.store(true, Release);
    }

    /// Lets scans cover the new table, and of the old one what is pending. Process context, when no
    /// interrupt is in flight by the old table. Returns the tables if the grace period had begun.
    pub(crate) fn close(&self) -> Option<Tables> {
        if !self.has_begun() {
            return None;
        }

        // Who sees this sees all interrupts that were sent by the old table, too.
        let mut guard = self.state.lock();
        let (phase, tables) = &mut *guard;

        *phase = Some(Phase::Closing);
        Some(tables.clone())
    }

    /// Lets scans cover the new table alone. Process context, when vCPUs have been told to scan.
    pub(crate) fn end(&self) {
        // Whoever scans without the old table finds what it has to report of it by now.
        self.active.store(false, Release);
        self.set(None, [None, None], None);
    }

    /// Returns the indexes of the tables that scans have to cover, the old one and the new one, if
    /// there are two. If there are not, interrupts that were sent by an older table than the current
    /// one are pending or gone by now. Process context; whoever drops them may sleep.
    pub(crate) fn indexes(&self) -> Option<(Phase, [Option<Arc<Index>>; 2])> {
        if !self.active.load(Acquire) {
            return None;
        }

        // It may be the grace period of the next update by now, which has its own phase.
        let guard = self.state.lock();
        let (phase, tables) = &*guard;

        Some(((*phase)?, [tables.old.clone(), tables.new.clone()]))
    }
}
