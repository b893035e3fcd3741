// SPDX-License-Identifier: GPL-2.0

//! What it takes to put a routing table in the place of the current one.

use super::Parity;

/// How the routes of a new table compare with those of the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    /// They are the same.
    Same,
    /// The new table has all of them, and others as well.
    Adds,
    /// Some are gone, changed, or in another order.
    Changes,
}

/// What becomes of a new table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publication {
    /// It is not published: the current one does as well.
    Skipped,
    /// It is published, and those who still read an older one are left alone.
    Unawaited,
    /// It is published, and those who read an older one are waited for.
    Awaited,
}

/// Decides what becomes of a new table.
///
/// Once the ioctl has returned, no interrupt must go by a route that the new table does not have (KVM
/// API, KVM_SET_GSI_ROUTING). If it has all routes of the older ones, none can.
///
/// KVM's C waits each time.
pub(crate) fn publication(succession: Succession, parity: Parity) -> Publication {
    match (parity, succession) {
        (Parity::Off, Succession::Same) => Publication::Skipped,
        (Parity::Off, Succession::Adds) => Publication::Unawaited,
        (Parity::Off, Succession::Changes) | (Parity::On, _) => Publication::Awaited,
    }
}
