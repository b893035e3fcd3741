// SPDX-License-Identifier: GPL-2.0

//! The index of a routing table, in memory.

use super::{
    bindings,
    list::SmallList, //
};
use crate::routing::{
    list::{
        from_first,
        sort,
        List, //
    },
    x86::{
        dest_map::Slot,
        level_routes,
        msi::{
            Msi,
            MsiFormat, //
        },
        route::{
            Kept,
            ReservedPins,
            Route, //
        },
        sint::SintRoute, //
    },
    Parity, //
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// What is sent to each key, in the kernel's memory. Most tables lead to few CPUs.
pub(crate) type Slots = SmallList<Slot, 4>;

/// Level routes in the kernel's memory: those of the 24 pins of most I/O APICs fit.
pub(crate) type LevelRoutes = level_routes::LevelRoutes<SmallList<Msi, 24>, Slots>;

/// SINT routes in the kernel's memory.
type Sints = SmallList<SintRoute, 4>;

/// What is kept of a routing table: made before the table is published, never changed, and shared
/// by all that need it: tables with the same routes, and scans of two tables.
pub(crate) struct Index {
    level_routes: LevelRoutes,
    sints: Sints,
}

/// Returns what is kept of `routes` in a table whose first GSIs are `pins`.
fn kept(
    routes: &[bindings::kvm_irq_routing_entry],
    pins: ReservedPins,
    parity: Parity,
) -> impl Iterator<Item = Kept> + '_ {
    routes
        .iter()
        .filter(move |route| route.may_matter(pins))
        .filter_map(move |route| Route::from(route).kept(pins, parity))
}

impl Index {
    /// Makes the index of a table with the given routes, of which the first GSIs are `pins`, for a
    /// VM with the given parity that decodes MSIs in `format`.
    ///
    /// Returns `old`, the index of another table of the VM, if that is the same; nothing for a table
    /// of which nothing has to be kept; and `ENOMEM` if there is no memory.
    pub(crate) fn new(
        old: Option<ArcBorrow<'_, Self>>,
        routes: &[bindings::kvm_irq_routing_entry],
        pins: ReservedPins,
        parity: Parity,
        format: MsiFormat,
    ) -> Result<Option<Arc<Self>>> {
        let kept = || kept(routes, pins, parity);

        if let Some(old) = old.filter(|old| old.is_of(kept(), format)) {
            return Ok(Some(old.into()));
        }

        let mut level_routes = LevelRoutes::new(format);
        let mut sints = Sints::default();

        for route in kept() {
            match route {
                Kept::Level(msi) => level_routes.add(msi)?,
                Kept::Sint(sint) => sints.push(sint)?,
            }
        }
        if level_routes.is_empty() && sints.is_empty() {
            return Ok(None);
        }

        sort(&mut sints);
        Ok(Some(Arc::new(
            Self {
                level_routes,
                sints,
            },
            GFP_KERNEL_ACCOUNT,
        )?))
    }

    /// Tells whether this is the index of a table of which `kept` is kept.
    fn is_of(&self, mut kept: impl Iterator<Item = Kept>, format: MsiFormat) -> bool {
        let mut msis = self.level_routes.msis().iter();
        let mut nr_sints = 0usize;

        self.level_routes.dest_map(format).is_some()
            && kept.all(|route| match route {
                Kept::Level(msi) => msis.next() == Some(&msi),
                // No two are the same, as a table routes a GSI to one SINT only.
                Kept::Sint(sint) => {
                    nr_sints = nr_sints.wrapping_add(1);
                    from_first(&self.sints, |known| *known < sint).first() == Some(&sint)
                }
            })
            && msis.next().is_none()
            && nr_sints == self.sints.len()
    }

    /// Returns how many bytes it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            .wrapping_add(self.level_routes.bytes())
            .wrapping_add(size_of_val(self.sints()))
    }

    /// Returns the level routes of the reserved pins.
    pub(crate) fn level_routes(&self) -> &LevelRoutes {
        &self.level_routes
    }

    /// Returns the SINT routes in order.
    pub(crate) fn sints(&self) -> &[SintRoute] {
        &self.sints
    }
}
