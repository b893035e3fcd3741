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
        remark::may_lose,
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
        ArcBorrow,
        UniqueArc, //
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
) -> impl Iterator<Item = Kept> + Clone + '_ {
    routes
        .iter()
        .filter(move |route| route.may_matter(pins))
        .filter_map(move |route| Route::from(route).kept(pins, parity))
}

/// An index, and what it has in common with that of the table before.
pub(crate) struct Successor {
    /// The index: that of the table before if it is the same, and none if nothing has to be kept.
    pub(crate) index: Option<Arc<Index>>,
    /// How many level routes both begin with.
    pub(crate) same_first: usize,
}

impl Index {
    /// Makes the index of a table with the given routes, of which the first GSIs are `pins`, for a
    /// VM with the given parity that decodes MSIs in `format`. `old` is that of the table before.
    /// Returns `ENOMEM` if there is no memory.
    pub(crate) fn make(
        old: Option<ArcBorrow<'_, Self>>,
        routes: &[bindings::kvm_irq_routing_entry],
        pins: ReservedPins,
        parity: Parity,
        format: MsiFormat,
    ) -> Result<Successor> {
        let kept = || kept(routes, pins, parity);
        let (mut same_first, nr_sints, mut rest) = match old {
            Some(old) => old.skip_same(kept()),
            None => (0, 0, kept()),
        };

        if rest.clone().next().is_none() {
            if let Some(same) = old.filter(|old| old.is_whole(same_first, nr_sints, format)) {
                let index = Some(same.into());
                return Ok(Successor { index, same_first });
            }
            if same_first == 0 && nr_sints == 0 {
                let index = None;
                return Ok(Successor { index, same_first });
            }
        }
        // Seldom do SINTs come before pins.
        if nr_sints > 0 {
            rest = kept();
            same_first = 0;
        }

        // Built where it stays, as it is large.
        let mut index = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?.init_with(init!(Self {
            level_routes: LevelRoutes::new(format),
            sints: Sints::default(),
        }))?;
        let made: &mut Self = &mut index;
        let old = old.as_deref().map(Self::level_routes);

        if let Some(old) = old {
            made.level_routes.add_first(same_first, old)?;
        }
        for route in rest {
            match route {
                Kept::Level(msi) => made.level_routes.add(msi)?,
                Kept::Sint(sint) => made.sints.push(sint)?,
            }
        }
        made.level_routes.send(old, same_first)?;
        sort(&mut made.sints);

        let index = Some(index.into());
        Ok(Successor { index, same_first })
    }

    /// Takes from what is kept of a table what is the same in this index, until something is not.
    /// Returns how many level routes and SINT routes that is, and the rest.
    fn skip_same<I: Iterator<Item = Kept> + Clone>(&self, mut kept: I) -> (usize, usize, I) {
        let (mut nr_msis, mut nr_sints) = (0usize, 0usize);
        let mut msis = self.level_routes.msis();

        loop {
            let from_here = kept.clone();

            match (kept.next(), msis) {
                (Some(Kept::Level(msi)), [first, rest @ ..]) if *first == msi => {
                    nr_msis = nr_msis.wrapping_add(1);
                    msis = rest;
                }
                (Some(Kept::Sint(sint)), _)
                    if from_first(&self.sints, |known| *known < sint).first() == Some(&sint) =>
                {
                    nr_sints = nr_sints.wrapping_add(1);
                }
                // Not from here: what has to be passed over is not looked at again.
                (None, _) => return (nr_msis, nr_sints, kept),
                _ => return (nr_msis, nr_sints, from_here),
            }
        }
    }

    /// Tells whether this many level routes and SINT routes of it are all, and can be used as they are.
    /// No two SINT routes are the same, as a table routes a GSI to one SINT only.
    fn is_whole(&self, nr_msis: usize, nr_sints: usize, format: MsiFormat) -> bool {
        nr_msis == self.level_routes.msis().len()
            && nr_sints == self.sints.len()
            && self.level_routes.dest_map(format).is_some()
    }

    /// Tells whether it may show that interrupts are lost.
    #[inline]
    pub(crate) fn may_lose(&self) -> bool {
        may_lose(&self.level_routes.vectors(), &self.sints)
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
