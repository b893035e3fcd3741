// SPDX-License-Identifier: GPL-2.0

//! Whose rules hold where KVM's C has a known defect.

/// The rules of a VM, which it keeps from its creation to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Those of KVM's C, defects included.
    C,
    /// Those of the architecture and of the KVM API.
    Documented,
}
