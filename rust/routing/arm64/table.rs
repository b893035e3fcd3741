// SPDX-License-Identifier: GPL-2.0

//! Which routing table takes the place of another one.

use super::super::{Origin, Parity};

/// Tells whether a table takes the place of what the VM has. The default routes, which come when the
/// guest's interrupt controller is initialized, do not take the place of routes that userspace has set
/// before; in KVM's C they do.
pub(crate) fn is_taken(origin: Origin, userspace_has_set: bool, parity: Parity) -> bool {
    parity == Parity::On || origin == Origin::Userspace || !userspace_has_set
}
