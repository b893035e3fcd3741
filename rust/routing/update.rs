// SPDX-License-Identifier: GPL-2.0

//! What a new routing table makes KVM recompute.

/// Which vCPUs have to scan the routes again before they next enter the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanRequest {
    /// None: without a split irqchip, EOIs do not depend on the routing table.
    None,
    /// All vCPUs of the VM.
    All,
}

/// Tells who has to scan after the routing table of a VM has changed.
pub(crate) fn scan_request(split: bool) -> ScanRequest {
    if split {
        ScanRequest::All
    } else {
        ScanRequest::None
    }
}
