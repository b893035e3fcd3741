// SPDX-License-Identifier: GPL-2.0

//! What the module asks of KVM.

use super::bindings;
use core::ptr::NonNull;

/// A VM as KVM knows it, with the functions that KVM offers for it.
///
/// # Invariants
///
/// - `kvm` points to the VM that was passed to `bind()`. KVM keeps it until
///   `release()` returns.
/// - `ops` points to a constant of KVM, which stays loaded as long as one of its VMs exists.
pub(crate) struct Host {
    kvm: NonNull<bindings::kvm>,
    ops: NonNull<bindings::kvm_irqroute_ops>,
}

// SAFETY: Both pointers are valid on every CPU. `kvm` is only passed back to KVM, whose functions do
// their own locking, and `ops` is constant.
unsafe impl Send for Host {}

// SAFETY: As for `Send`: KVM's functions may be called from several CPUs at the same time.
unsafe impl Sync for Host {}

impl Host {
    /// Makes the view of a VM, or returns nothing if a pointer is null.
    ///
    /// # Safety
    ///
    /// Unless null, `kvm` and `ops` must be the arguments of a `bind()` that has not
    /// been undone by `release()` as long as the result exists.
    pub(crate) unsafe fn new(
        kvm: *mut bindings::kvm,
        ops: *const bindings::kvm_irqroute_ops,
    ) -> Option<Self> {
        // INVARIANT: By the safety requirements.
        Some(Self {
            kvm: NonNull::new(kvm)?,
            ops: NonNull::new(ops.cast_mut())?,
        })
    }

    /// Returns the VM as KVM's functions take it, valid for as long as `self` is.
    pub(super) fn kvm(&self) -> *mut bindings::kvm {
        self.kvm.as_ptr()
    }

    /// Returns KVM's functions.
    pub(super) fn ops(&self) -> &bindings::kvm_irqroute_ops {
        // SAFETY: By the invariants, `ops` is valid for as long as `self` is, and constant: it is
        // written by no one, and shared by all VMs.
        unsafe { self.ops.as_ref() }
    }

    /// Tells everyone who waits for the end of the interrupt of `gsi`. Process context.
    ///
    /// # Safety
    ///
    /// The caller must be in a read-side critical section of the VM's `irq_srcu`.
    #[cfg(CONFIG_X86)]
    pub(super) unsafe fn notify_acked_gsi(&self, gsi: i32) {
        if let Some(notify_acked_gsi) = self.ops().notify_acked_gsi {
            // SAFETY: By the invariants, `kvm` is valid. KVM walks a list that `irq_srcu` protects,
            // and the caller is in its section.
            unsafe { notify_acked_gsi(self.kvm(), gsi) }
        }
    }
}

/// Returns whether one more line about a difference may be logged, so that a guest cannot flood
/// the log.
pub(crate) fn may_log() -> bool {
    // SAFETY: FFI call without preconditions; the rate limit has its own lock.
    unsafe { bindings::irqroute_may_log() }
}
