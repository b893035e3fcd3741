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
    sync::Arc, //
};

/// Pin routes in the kernel's memory.
type PinRoutes = SmallList<PinRoute, 8>;

/// What is kept of a routing table: made before the table is published, and never changed.
pub(crate) struct Index {
    pin_routes: PinRoutes,
}

impl Index {
    /// Makes the index of a table with the given routes.
    ///
    /// Returns nothing for a table of which nothing has to be kept, and `ENOMEM` if there is no memory.
    pub(crate) fn new(routes: &[bindings::kvm_irq_routing_entry]) -> Result<Option<Arc<Self>>> {
        let mut pin_routes = PinRoutes::default();

        for route in routes.iter().filter_map(|route| route.pin_route()) {
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
