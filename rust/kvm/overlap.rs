// SPDX-License-Identifier: GPL-2.0

//! Two routing tables while one takes the place of the other.

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

/// The tables that scans have to cover for a while, by their indexes.
pub(crate) struct Both {
    /// The one that is left behind.
    pub(crate) old: Option<Arc<Index>>,
    /// The one that takes its place.
    pub(crate) new: Option<Arc<Index>>,
    /// What is different in it.
    pub(crate) changes: Changes,
}

/// What scans have to cover instead of the current table, if anything.
#[pin_data]
pub(crate) struct Overlap {
    /// Whether there is something, so that scans need not lock when there is not.
    active: Atomic<bool>,
    #[pin]
    both: Mutex<Option<Both>>,
}

impl Overlap {
    /// Makes one that is not active.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            active: Atomic::new(false),
            both <- new_mutex!(None, "kvm_irqroute_overlap"),
        })
    }

    /// Lets scans cover both tables. Process context.
    pub(crate) fn begin(&self, both: Both) {
        *self.both.lock() = Some(both);
        self.active.store(true, Release);
    }

    /// Lets scans cover the current table alone. Process context. Returns what they covered if it
    /// was otherwise.
    pub(crate) fn end(&self) -> Option<Both> {
        if !self.active.load(Relaxed) {
            return None;
        }

        self.active.store(false, Relaxed);
        self.both.lock().take()
    }

    /// Returns what `f` makes of the tables to cover, if there are two. Process context.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Both) -> R) -> Option<R> {
        if self.active.load(Acquire) {
            self.both.lock().as_ref().map(f)
        } else {
            None
        }
    }
}
