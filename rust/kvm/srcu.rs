// SPDX-License-Identifier: GPL-2.0

//! KVM's `irq_srcu`, as a value for those who rely on it.

use super::{
    arch::index::Index,
    bindings,
    host::Host, //
};
use kernel::types::NotThreadSafe;

/// The read-side critical section of a VM's `irq_srcu` that the caller of a hook is in. In it, the
/// routing table that was found and the list of those who wait for the end of an interrupt stay
/// valid. What is borrowed from the value ends with it.
///
/// # Invariants
///
/// The current thread is in such a section of the VM of `host` as long as the value exists.
pub(crate) struct IrqSrcu<'a> {
    host: &'a Host,
    _thread: NotThreadSafe,
}

impl<'a> IrqSrcu<'a> {
    /// Makes the value.
    ///
    /// # Safety
    ///
    /// The current thread must be in a read-side critical section of the `irq_srcu` of the VM of
    /// `host`, and stay in it until the value is dropped.
    pub(crate) unsafe fn held(host: &'a Host) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            host,
            _thread: NotThreadSafe,
        }
    }

    /// Borrows the index of a table, nothing if it is null.
    ///
    /// # Safety
    ///
    /// `index` must be null, or that of a table of the VM which was found in the section.
    pub(crate) unsafe fn index(
        &self,
        index: *const bindings::kvm_irqroute_index,
    ) -> Option<&Index> {
        // SAFETY: Unless null, `index` is what `Arc::into_raw()` returned. KVM gives it back after
        // a grace period of `irq_srcu` has passed since its table was replaced, and by the
        // invariants none passes as long as `self` exists. An index is never written once it is
        // made, so that there is no mutable alias.
        unsafe { index.cast::<Index>().as_ref() }
    }

    /// Returns what the module may ask of KVM.
    #[cfg(CONFIG_ARM64)]
    pub(super) fn host(&self) -> &Host {
        self.host
    }

    /// Tells everyone who waits for the end of the interrupt of `gsi`, i.e. its resample irqfds.
    /// Process context.
    #[cfg(CONFIG_X86)]
    pub(crate) fn notify_acked_gsi(&self, gsi: i32) {
        // SAFETY: By the invariants, the section that protects their list lasts during the call.
        unsafe { self.host.notify_acked_gsi(gsi) }
    }
}
