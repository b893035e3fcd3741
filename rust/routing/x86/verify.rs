// SPDX-License-Identifier: GPL-2.0

//! Whether C and Rust agree.

use super::{scan::Scan, sint::SintError};

/// Tells whether KVM's result `c` is what Rust finds, given Rust's results for the vCPU as it was
/// `before` and `after` KVM's scan.
///
/// While a vCPU scans, interrupts may arrive for it but none goes away. More pending vectors make
/// a scan report more EOIs and never fewer, so a correct result lies between the two. It has to be
/// equal to both where nothing arrived. A stale vector is always one of those reported.
pub(crate) fn scan_agrees(c: &Scan, before: &Scan, after: &Scan) -> bool {
    before.handled.is_subset(&c.handled)
        && c.handled.is_subset(&after.handled)
        && (before.highest_stale..=after.highest_stale).contains(&c.highest_stale)
        && c.highest_stale
            .is_none_or(|vector| c.handled.contains(vector))
}

/// Tells whether what KVM did with a SINT route, `c`, is what Rust decides, given Rust's decisions
/// `before` and `after` it.
///
/// The guest may mask a SINT, and userspace may activate a SynIC, at the same time; then either
/// decision is right. A SINT that is changed twice in this time may be taken for a difference.
pub(crate) fn sint_agrees(
    c: Result<(), SintError>,
    before: Result<(), SintError>,
    after: Result<(), SintError>,
) -> bool {
    c == before || c == after
}
