// SPDX-License-Identifier: GPL-2.0

//! The grace period of a routing table, during which scans cover two tables.

use super::index::Index;
use crate::routing::update::Changes;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
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
    #[pin]
    tables: Mutex<Option<Tables>>,
}

impl GracePeriod {
    /// Makes one that has not begun.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            active: Atomic::new(false),
            tables <- new_mutex!(None, "kvm_irqroute_grace_period"),
        })
    }

    /// Lets scans cover both tables. Process context.
    pub(crate) fn begin(&self, tables: Tables) {
        *self.tables.lock() = Some(tables);
        self.active.store(true, Release);
    }

    /// Lets scans cover the current table alone. Process context. Returns the tables if the grace
    /// period had begun.
    pub(crate) fn end(&self) -> Option<Tables> {
        if !self.active.load(Relaxed) {
            return None;
        }

        self.active.store(false, Relaxed);
        self.tables.lock().take()
    }

    /// Returns what `f` makes of the tables that scans have to cover, if there are two. Process
    /// context.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Tables) -> R) -> Option<R> {
        if self.active.load(Acquire) {
            self.tables.lock().as_ref().map(f)
        } else {
            None
        }
    }
}
