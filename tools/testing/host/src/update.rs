// SPDX-License-Identifier: GPL-2.0

//! What a new routing table makes KVM recompute.

use super::routing::update::{scan_request, ScanRequest};

#[test]
fn split_irqchip_alone_scans_after_an_update() {
    for (split, expected) in [(false, ScanRequest::None), (true, ScanRequest::All)] {
        assert_eq!(scan_request(split), expected, "split {split}");
    }
}
