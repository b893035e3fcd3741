// SPDX-License-Identifier: GPL-2.0

//! Where VP indexes were found last.

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

/// A power of two, so that VP indexes that are close have entries of their own.
const NR_ENTRIES: usize = 1024;

/// The index of the vCPU that had a VP index when it was last looked for. KVM checks it before it
/// follows it, so that a wrong one only costs the search that it was to save.
pub(crate) struct VpIndexCache(SetOnce<KVec<Atomic<u32>>>);

impl VpIndexCache {
    /// Makes the type, without memory for entries.
    pub(crate) fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Gets memory for entries if there is none yet. Process context. Returns `ENOMEM` if that
    /// cannot be had.
    pub(crate) fn prepare(&self) -> Result {
        if self.0.as_ref().is_some() {
            return Ok(());
        }

        let mut entries = KVec::with_capacity(NR_ENTRIES, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..NR_ENTRIES {
            entries.push_within_capacity(Atomic::new(0))?;
        }
        // Who was faster has made the same.
        self.0.populate(entries);
        Ok(())
    }

    fn entry(&self, vp_index: u32) -> Option<&Atomic<u32>> {
        self.0.as_ref()?.get(vp_index as usize % NR_ENTRIES)
    }

    /// Returns the index of the vCPU to look at first. Any context.
    pub(crate) fn get(&self, vp_index: u32) -> u32 {
        // 0 stands for an empty entry. Userspace usually leaves VP indexes as they are.
        self.entry(vp_index)
            .and_then(|entry| entry.load(Relaxed).checked_sub(1))
            .unwrap_or(vp_index)
    }

    /// Takes note of the index of the vCPU that was found. Any context.
    pub(crate) fn set(&self, vp_index: u32, vcpu_index: u32) {
        if let Some(entry) = self.entry(vp_index) {
            entry.store(vcpu_index.wrapping_add(1), Relaxed);
        }
    }
}
