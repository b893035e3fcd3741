// SPDX-License-Identifier: GPL-2.0

//! KVM's locks that the caller of a hook holds, as values.
//!
//! What needs a lock takes a reference to its value, which only someone who knows that the lock is
//! held can make.

use core::marker::PhantomData;

macro_rules! held_lock {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub(crate) struct $name<'a>(PhantomData<&'a ()>);

        impl $name<'_> {
            /// Makes the proof.
            ///
            /// # Safety
            ///
            /// The lock of the VM in question must be held as long as the value exists.
            pub(crate) unsafe fn held() -> Self {
                Self(PhantomData)
            }
        }
    };
}

held_lock! {
    /// Proof that `irq_lock` is held: no one else changes the routing table, and the caller is in
    /// process context.
    IrqLock
}

held_lock! {
    /// Proof that `irq_srcu` is held for reading: the routing table and the list of those who wait
    /// for the end of an interrupt stay valid.
    IrqSrcu
}
