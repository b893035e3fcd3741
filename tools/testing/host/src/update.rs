// SPDX-License-Identifier: GPL-2.0

//! What a new routing table makes KVM recompute.

use super::routing::{
    directory::Listing,
    rules::Rules,
    update::{after_publication, after_reading_changed, ScanRequest},
};

type Request<'a> = ScanRequest<'a, Vec<Listing>>;

#[test]
fn split_irqchip_alone_scans() {
    for (rules, split, published, reread) in [
        (Rules::C, false, false, false),
        (Rules::C, true, true, false),
        (Rules::Documented, false, false, false),
        (Rules::Documented, true, false, true),
    ] {
        for (request, all) in [
            (after_publication(rules, split), published),
            (after_reading_changed(rules, split), reread),
        ] {
            let request: Request = request;

            assert!(
                match request {
                    ScanRequest::None => !all,
                    ScanRequest::All => all,
                    ScanRequest::Of(_) => false,
                },
                "{rules:?}, split {split}: {request:?}"
            );
        }
    }
}
