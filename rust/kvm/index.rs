// SPDX-License-Identifier: GPL-2.0

//! The index of a routing table, in memory.

use super::{
    bindings,
    list::SmallList, //
};
use crate::routing::{
    directory::{
        List,
        Listing, //
    },
    index::{
        self,
        Entry,
        Route, //
    },
    level,
    msi::{
        Msi,
        MsiFormat, //
    },
    pins::ReservedPins,
    rules::Rules,
    sint::{
        self,
        SintRoute, //
    }, //
};
use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
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

/// What is sent to each name, in the kernel's memory. Most tables lead to few CPUs.
pub(crate) type Listings = SmallList<Listing, 4>;

/// Level routes in the kernel's memory: those of the 24 pins of most I/O APICs fit.
pub(crate) type Level = level::Level<SmallList<Msi, 24>, Listings>;

/// SINT routes in the kernel's memory.
type Sints = SmallList<SintRoute, 4>;

/// What is kept of a routing table: made before the table is published, never changed, and shared
/// by all that need it: tables with the same routes, and scans of two tables.
pub(crate) struct Index {
    level: Level,
    sints: Sints,
}

/// Returns what is kept of `routes` in a table whose first GSIs are `pins`.
fn entries(
    routes: &[bindings::kvm_irq_routing_entry],
    pins: ReservedPins,
    rules: Rules,
) -> impl Iterator<Item = Entry> + '_ {
    routes
        .iter()
        .filter(move |route| route.may_matter(pins))
        .filter_map(move |route| Route::from(route).entry(pins, rules))
}

impl Index {
    /// Makes the index of a table with the given routes, of which the first GSIs are `pins`, for a
    /// VM with the given rules that reads MSIs in `format`.
    ///
    /// Returns `old`, the index of another table of the VM, if that is the same; nothing for a table
    /// of which nothing has to be kept; and `ENOMEM` if there is no memory.
    pub(crate) fn new(
        old: Option<ArcBorrow<'_, Self>>,
        routes: &[bindings::kvm_irq_routing_entry],
        pins: ReservedPins,
        rules: Rules,
        format: MsiFormat,
    ) -> Result<Option<Arc<Self>>> {
        let entries = || entries(routes, pins, rules);

        if let Some(old) = old.filter(|old| old.is_of(entries(), format)) {
            return Ok(Some(old.into()));
        }

        let mut level = Level::new(format);
        let mut sints = Sints::default();

        for entry in entries() {
            match entry {
                Entry::Level(msi) => level.add(msi)?,
                Entry::Sint(sint) => sints.push(sint)?,
            }
        }
        if level.is_empty() && sints.is_empty() {
            return Ok(None);
        }

        // As a rule, userspace has them in order.
        if !sints.is_sorted_by(|a, b| index::order(a, b).is_le()) {
            sort(&mut sints);
        }
        Ok(Some(Arc::new(Self { level, sints }, GFP_KERNEL_ACCOUNT)?))
    }

    /// Tells whether this is the index of a table of which `entries` are kept.
    fn is_of(&self, mut entries: impl Iterator<Item = Entry>, format: MsiFormat) -> bool {
        let mut msis = self.level.msis().iter();
        let mut nr_sints = 0usize;

        self.level.directory(format).is_some()
            && entries.all(|entry| match entry {
                Entry::Level(msi) => msis.next() == Some(&msi),
                // No two are the same, as a table routes a GSI to one SINT only.
                Entry::Sint(sint) => {
                    nr_sints = nr_sints.wrapping_add(1);
                    sint::from_first(&self.sints, |known| index::order(known, &sint).is_lt())
                        .first()
                        == Some(&sint)
                }
            })
            && msis.next().is_none()
            && nr_sints == self.sints.len()
    }

    /// Returns the level routes of the reserved pins.
    pub(crate) fn level(&self) -> &Level {
        &self.level
    }

    /// Returns the SINT routes in the order of [`index::order`].
    pub(crate) fn sints(&self) -> &[SintRoute] {
        &self.sints
    }
}
