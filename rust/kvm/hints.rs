// SPDX-License-Identifier: GPL-2.0

//! Where virtual processors were found last.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        SetOnce, //
    }, //
};

/// A power of two, so that VP indexes that are close have hints of their own.
const NR_HINTS: usize = 1024;

/// The index of the vCPU that had a VP index when it was last looked for. KVM checks a hint before
/// it follows it, so that a wrong one only costs the search that it was to save.
pub(crate) struct Hints(SetOnce<KVec<Atomic<u32>>>);

impl Hints {
    /// Makes the type, without memory for hints.
    pub(crate) fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Gets memory for hints if there is none yet. Process context. Returns `ENOMEM` if that
    /// cannot be had.
    pub(crate) fn prepare(&self) -> Result {
        if self.0.as_ref().is_some() {
            return Ok(());
        }

        let mut hints = KVec::with_capacity(NR_HINTS, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..NR_HINTS {
            hints.push_within_capacity(Atomic::new(0))?;
        }
        // Who was faster has made the same.
        self.0.populate(hints);
        Ok(())
    }

    fn hint(&self, vp_index: u32) -> Option<&Atomic<u32>> {
        self.0.as_ref()?.get(vp_index as usize % NR_HINTS)
    }

    /// Returns the index of the vCPU to look at first. Any context.
    pub(crate) fn get(&self, vp_index: u32) -> u32 {
        // 0 stands for no hint. Userspace usually leaves VP indexes as they are.
        self.hint(vp_index)
            .and_then(|hint| hint.load(Relaxed).checked_sub(1))
            .unwrap_or(vp_index)
    }

    /// Takes note of the index of the vCPU that was found. Any context.
    pub(crate) fn set(&self, vp_index: u32, vcpu_index: u32) {
        if let Some(hint) = self.hint(vp_index) {
            hint.store(vcpu_index.wrapping_add(1), Relaxed);
        }
    }
}
