// SPDX-License-Identifier: GPL-2.0

//! What a new routing table makes KVM recompute.

use super::{msi::Msi, rules::Rules};

/// Which vCPUs have to scan the routes again before they next enter the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanRequest {
    /// None: EOIs do not depend on what has changed.
    None,
    /// All vCPUs of the VM.
    All,
}

/// Tells who has to scan right after a table was published. With [`Rules::Documented`] all is done
/// before and after, see [`overlaps`].
pub(crate) fn after_publication(rules: Rules, split: bool) -> ScanRequest {
    match rules {
        Rules::C if split => ScanRequest::All,
        Rules::C | Rules::Documented => ScanRequest::None,
    }
}

/// Tells who has to scan after the reading of all routes has changed (KVM_CAP_X2APIC_API). KVM's C
/// goes on with what was found before.
pub(crate) fn after_reading_changed(rules: Rules, split: bool) -> ScanRequest {
    match rules {
        Rules::Documented if split => ScanRequest::All,
        Rules::C | Rules::Documented => ScanRequest::None,
    }
}

/// Tells whether scans have to cover both tables while one with the level routes `new` takes the
/// place of one with `old`.
///
/// An interrupt by an old route may reach a vCPU after the new table was published, one by a new
/// route before the vCPU has heard of it. So all vCPUs have to know the EOIs of both tables before
/// the publication, and until no interrupt is in flight by the old one. Where the level routes
/// are the same, there is nothing to know. KVM's C neither looks for that nor waits.
pub(crate) fn overlaps(rules: Rules, old: &[Msi], new: &[Msi]) -> bool {
    rules == Rules::Documented && old != new
}
