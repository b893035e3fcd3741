// SPDX-License-Identifier: GPL-2.0

//! What is kept of routes after the table is published, and who hears of the end of an interrupt.

use super::super::list::from_first;

/// A KVM_IRQ_ROUTING_IRQCHIP route. Others are not kept: what becomes of an MSI does not depend on the
/// table.
///
/// The order is that of the fields, so that those of a pin are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PinRoute {
    /// The pin of the interrupt controller.
    pub(crate) pin: u32,
    /// The GSI that is routed, and that hears of the end of the pin's interrupt.
    pub(crate) gsi: u32,
}

/// Tells whether `gsi` is routed to `pin`, in a table with pin routes in order.
pub(crate) fn is_routed(routes: &[PinRoute], pin: u32, gsi: u32) -> bool {
    let wanted = PinRoute { pin, gsi };

    from_first(routes, |route| *route < wanted).first() == Some(&wanted)
}

/// Returns the GSIs that are routed to `pin`, in a table with pin routes in order.
pub(crate) fn gsis(routes: &[PinRoute], pin: u32) -> impl Iterator<Item = u32> + '_ {
    from_first(routes, move |route| route.pin < pin)
        .iter()
        .take_while(move |route| route.pin == pin)
        .map(|route| route.gsi)
}
