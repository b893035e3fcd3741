// SPDX-License-Identifier: GPL-2.0

//! Whether C and Rust agree about a scan.

use super::scan::Scan;

/// Tells whether KVM's result `c` is what Rust finds, given Rust's results for the vCPU as it was
/// `before` and `after` KVM's scan.
///
/// While a vCPU scans, interrupts may arrive for it but none goes away. More pending vectors make
/// a scan report more EOIs and never fewer, so a correct result lies between the two. It has to be
/// equal to both where nothing arrived.
pub(crate) fn agrees(c: &Scan, before: &Scan, after: &Scan) -> bool {
    before.handled.is_subset(&c.handled)
        && c.handled.is_subset(&after.handled)
        && (before.highest_stale..=after.highest_stale).contains(&c.highest_stale)
}
