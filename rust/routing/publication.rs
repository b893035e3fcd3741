// SPDX-License-Identifier: GPL-2.0

//! What it takes to put a routing table in the place of the current one.
//!
//! KVM's C publishes each table, and waits for all who may still read an older one.

use super::{
    list::{
        from_first,
        sort, //
    },
    Parity, //
};

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

/// A route of any type, by which two tables are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The GSI that is routed.
    pub(crate) gsi: u32,
    /// The type, as KVM has it.
    pub(crate) kind: u32,
    /// The flags, as KVM has them.
    pub(crate) flags: u32,
    /// Where it goes. What each word means is up to the type; those that it does not need are 0.
    pub(crate) target: [u32; 4],
}

/// Takes the routes of the lowest GSI from those that are in order, if that is `gsi`.
fn take_routes<'a>(entries: &mut &'a [Entry], gsi: u32) -> &'a [Entry] {
    let rest = from_first(entries, |entry| entry.gsi <= gsi);
    let taken = entries.get(..entries.len().wrapping_sub(rest.len()));

    *entries = rest;
    taken.unwrap_or_default()
}

/// Returns how many GSIs have other routes in one table than in another. The order of routes is of no
/// importance, and is changed.
pub(crate) fn count_changed_gsis(old: &mut [Entry], new: &mut [Entry]) -> usize {
    sort(old);
    sort(new);

    let (mut old, mut new): (&[Entry], &[Entry]) = (old, new);
    let mut nr = 0usize;

    while let Some(gsi) = [old.first(), new.first()]
        .into_iter()
        .flatten()
        .map(|entry| entry.gsi)
        .min()
    {
        if take_routes(&mut old, gsi) != take_routes(&mut new, gsi) {
            nr = nr.wrapping_add(1);
        }
    }
    nr
}
