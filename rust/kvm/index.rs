// SPDX-License-Identifier: GPL-2.0

//! The index of a routing table, in memory.

use super::bindings;
use crate::routing::{
    index::{
        self,
        Entry,
        Route,
        Size, //
    },
    msi::Msi,
    pins::ReservedPins,
    rules::Rules,
    sint::SintRoute, //
};
use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*, //
};

/// Puts SINT routes into order. That of `core` would do as well, but it brings a
/// path to a panic along.
fn sort(sints: &mut [SintRoute]) {
    /// # Safety
    ///
    /// Both pointers must be valid for reads of a `SintRoute`.
    unsafe extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
        // SAFETY: `sort()` passes pointers to two elements of the slice. It does not move elements
        // while it compares, no one else has access to them, and no lock is needed.
        let (a, b) = unsafe { (&*a.cast::<SintRoute>(), &*b.cast::<SintRoute>()) };

        index::order(a, b) as c_int
    }

    // SAFETY: Pointer, number and size describe the slice, to which `sints` is the only reference
    // during the call. The elements are plain data, which may be swapped byte by byte. Without a
    // swap function, `sort()` does so. It needs no lock.
    unsafe {
        bindings::sort(
            sints.as_mut_ptr().cast(),
            sints.len(),
            size_of::<SintRoute>(),
            Some(compare),
            None,
        )
    }
}

/// What is kept of a routing table: made before the table is published, never changed, freed with
/// the table.
pub(crate) struct Index {
    level: KVVec<Msi>,
    sints: KVVec<SintRoute>,
}

impl Index {
    /// Makes the index of a table with the given routes, of which the first GSIs are `pins`, for a
    /// VM with the given rules.
    ///
    /// Returns nothing for a table of which nothing has to be kept, and `ENOMEM` if there is no
    /// memory for it.
    pub(crate) fn new(
        routes: &[bindings::kvm_irq_routing_entry],
        pins: ReservedPins,
        rules: Rules,
    ) -> Result<Option<KBox<Self>>> {
        let size = Size::of(routes.iter().map(Route::from), pins, rules);
        if size.is_empty() {
            return Ok(None);
        }

        // Charged to the VM's owner, as KVM's own table is.
        let mut level = KVVec::with_capacity(size.level, GFP_KERNEL_ACCOUNT)?;
        let mut sints = KVVec::with_capacity(size.sints, GFP_KERNEL_ACCOUNT)?;

        for route in routes.iter().map(Route::from) {
            match route.entry(pins, rules) {
                Some(Entry::Level(msi)) => level.push_within_capacity(msi)?,
                Some(Entry::Sint(sint)) => sints.push_within_capacity(sint)?,
                None => (),
            }
        }
        sort(&mut sints);

        Ok(Some(KBox::new(Self { level, sints }, GFP_KERNEL_ACCOUNT)?))
    }

    /// Returns the level routes of the reserved pins.
    pub(crate) fn level(&self) -> &[Msi] {
        &self.level
    }

    /// Returns the SINT routes in the order of [`index::order`].
    pub(crate) fn sints(&self) -> &[SintRoute] {
        &self.sints
    }
}
