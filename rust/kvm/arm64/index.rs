// SPDX-License-Identifier: GPL-2.0

//! The index of a routing table, in memory.

use super::{
    bindings,
    list::SmallList, //
};
use crate::routing::{
    arm64::route::PinRoute,
    list::{
        sort,
        List, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// Pin routes in the kernel's memory.
type PinRoutes = SmallList<PinRoute, 8>;

/// What is kept of a routing table: made before the table is published, never changed, and shared by
/// tables with the same routes of pins.
pub(crate) struct Index {
    pin_routes: PinRoutes,
}

/// Returns what is kept of `routes`.
fn kept(routes: &[bindings::kvm_irq_routing_entry]) -> impl Iterator<Item = PinRoute> + '_ {
    routes.iter().filter_map(|route| route.pin_route())
}

impl Index {
    /// Makes the index of a table with the given routes.
    ///
    /// Returns `old`, the index of another table of the VM, if that is the same, and the routes of pins
    /// are in order; nothing for a table of which nothing has to be kept; and `ENOMEM` if there is no
    /// memory.
    pub(crate) fn new(
        old: Option<ArcBorrow<'_, Self>>,
        routes: &[bindings::kvm_irq_routing_entry],
    ) -> Result<Option<Arc<Self>>> {
        if let Some(old) = old.filter(|old| kept(routes).eq(old.pin_routes().iter().copied())) {
            return Ok(Some(old.into()));
        }

        let mut pin_routes = PinRoutes::default();

        for route in kept(routes) {
            pin_routes.push(route)?;
        }
        if pin_routes.is_empty() {
            return Ok(None);
        }

        sort(&mut pin_routes);
        Ok(Some(Arc::new(Self { pin_routes }, GFP_KERNEL_ACCOUNT)?))
    }

    /// Returns the pin routes in order.
    pub(crate) fn pin_routes(&self) -> &[PinRoute] {
        &self.pin_routes
    }
}
