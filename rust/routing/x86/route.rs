// SPDX-License-Identifier: GPL-2.0

//! Routes, and what is kept of them after the table is published.
//!
//! Scans want the level routes of the reserved pins and nothing else, EOIs and EOMs of SINTs want
//! the SINT routes. Sorting them out once, before the table is published, keeps both from walking
//! over thousands of other routes.

use super::super::Parity;
use super::{
    msi::{Delivery, Msi, Trigger},
    sint::SintRoute,
};

/// The reserved pins: with a split irqchip, MSI routes of GSIs below this number stand for the
/// pins of an I/O APIC in userspace (KVM API, KVM_CAP_SPLIT_IRQCHIP). 0 to 4096
/// (KVM_MAX_IRQ_ROUTES).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReservedPins(pub(crate) u32);

impl ReservedPins {
    /// Tells whether `gsi` is one of the pins.
    #[inline]
    pub(crate) fn contains(&self, gsi: u32) -> bool {
        gsi < self.0
    }
}

/// A route of a routing table.
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

/// What is kept of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A level route of a reserved pin.
    Level(Msi),
    /// A SINT route.
    Sint(SintRoute),
}

/// Tells whether EOIs of `msi` can be those of a level interrupt. KVM's C asks for the trigger mode
/// only, and takes the vector of an NMI seriously.
fn is_level(msi: &Msi, parity: Parity) -> bool {
    msi.trigger() == Trigger::Level && (parity == Parity::On || msi.delivery() == Delivery::Vector)
}

impl Route {
    /// Returns what is kept of a route in a table whose first GSIs are `pins`.
    pub(crate) fn kept(&self, pins: ReservedPins, parity: Parity) -> Option<Kept> {
        match *self {
            Route::Msi { gsi, msi } if pins.contains(gsi) && is_level(&msi, parity) => {
                Some(Kept::Level(msi))
            }
            Route::Sint(sint) => Some(Kept::Sint(sint)),
            Route::Msi { .. } | Route::Other => None,
        }
    }
}
