// SPDX-License-Identifier: GPL-2.0

//! The routes of a table that matter after it is published.
//!
//! Scans want the level routes of the reserved pins and nothing else, the ends of SINTs want the
//! SINT routes. Sorting them out once, before the table is published, keeps both from walking
//! over thousands of routes that are none of their business.

use super::{
    msi::{Delivery, Msi, Trigger},
    pins::ReservedPins,
    rules::Rules,
    sint::SintRoute,
};
use core::cmp::Ordering;

/// A route as far as this module is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// KVM_IRQ_ROUTING_MSI.
    Msi {
        /// The GSI that is routed.
        gsi: u32,
        /// Where it goes.
        msi: Msi,
    },
    /// KVM_IRQ_ROUTING_HV_SINT.
    Sint(SintRoute),
    /// Any other type: routes that KVM handles alone.
    Other,
}

/// What a route is kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A level route of a reserved pin.
    Level(Msi),
    /// A SINT route.
    Sint(SintRoute),
}

/// Tells whether EOIs of `msi` can be those of a level interrupt. KVM's C asks for the trigger mode
/// only, and takes the vector of an NMI seriously.
fn is_level(msi: &Msi, rules: Rules) -> bool {
    msi.trigger() == Trigger::Level && (rules == Rules::C || msi.delivery() == Delivery::Vector)
}

impl Route {
    /// Returns what to keep of a route in a table whose first GSIs are `pins`.
    pub(crate) fn entry(&self, pins: ReservedPins, rules: Rules) -> Option<Entry> {
        match *self {
            Route::Msi { gsi, msi } if pins.contains(gsi) && is_level(&msi, rules) => {
                Some(Entry::Level(msi))
            }
            Route::Sint(sint) => Some(Entry::Sint(sint)),
            Route::Msi { .. } | Route::Other => None,
        }
    }
}

/// The order of SINT routes: those of a SINT are together, and by GSI, so that the highest GSI wins
/// where an update applies one after the other.
pub(crate) fn order(a: &SintRoute, b: &SintRoute) -> Ordering {
    (a.vp_index, a.sint, a.gsi).cmp(&(b.vp_index, b.sint, b.gsi))
}
