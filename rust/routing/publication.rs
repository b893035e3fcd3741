// SPDX-License-Identifier: GPL-2.0

//! What it takes to put a routing table in the place of the current one.
//!
//! KVM's C publishes each table, and waits for all who may still read an older one.

use super::Parity;

/// How the routes of a new table compare with those of the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    /// The new table has all of them, and others as well.
    Adds,
    /// Some are gone, changed, or in another order.
    Changes,
}

/// Tells whether a table with the routes of the current one is not published.
pub(crate) fn is_skipped(parity: Parity) -> bool {
    parity == Parity::Off
}

/// Tells whether those who read older tables are waited for.
///
/// Once KVM_SET_GSI_ROUTING has returned, no interrupt must go by a route that the new table does not
/// have. If it has all routes of the older ones, none can. KVM leaves out tables with more irqchip
/// routes: who ends an interrupt by an older table would not tell their GSIs.
pub(crate) fn is_awaited(succession: Succession, parity: Parity) -> bool {
    parity == Parity::On || succession == Succession::Changes
}
