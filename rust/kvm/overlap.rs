// SPDX-License-Identifier: GPL-2.0

//! The level routes of two tables while one takes the place of the other.

use crate::routing::msi::Msi;
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

/// What scans have to cover instead of the table's own level routes, if anything.
#[pin_data]
pub(crate) struct Overlap {
    /// Whether there is something, so that scans need not lock when there is not.
    active: Atomic<bool>,
    #[pin]
    routes: Mutex<Option<Arc<KVVec<Msi>>>>,
}

impl Overlap {
    /// Makes one that is not active.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            active: Atomic::new(false),
            routes <- new_mutex!(None, "kvm_irqroute_overlap"),
        })
    }

    /// Lets scans cover `old` and `new`. Process context. Returns `ENOMEM`, and changes nothing
    /// then, if there is no memory for it.
    pub(crate) fn begin(&self, old: &[Msi], new: &[Msi]) -> Result {
        let mut both = KVVec::with_capacity(old.len().wrapping_add(new.len()), GFP_KERNEL_ACCOUNT)?;

        for msi in [old, new].into_iter().flatten() {
            both.push_within_capacity(*msi)?;
        }
        *self.routes.lock() = Some(Arc::new(both, GFP_KERNEL_ACCOUNT)?);
        self.active.store(true, Release);
        Ok(())
    }

    /// Lets scans cover the table alone. Process context. Returns whether it was otherwise.
    pub(crate) fn end(&self) -> bool {
        let active = self.active.load(Relaxed);

        if active {
            self.active.store(false, Relaxed);
            *self.routes.lock() = None;
        }
        active
    }

    /// Returns the level routes to scan in place of the table's own. Process context.
    pub(crate) fn routes(&self) -> Option<Arc<KVVec<Msi>>> {
        if self.active.load(Acquire) {
            self.routes.lock().clone()
        } else {
            None
        }
    }
}
