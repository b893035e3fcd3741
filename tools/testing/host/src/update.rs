// SPDX-License-Identifier: GPL-2.0

//! What a new routing table makes KVM recompute.

use super::routing::{
    msi::Msi,
    rules::Rules,
    update::{
        after_publication, after_reading_changed, overlaps,
        ScanRequest::{All, None},
    },
};

#[test]
fn split_irqchip_alone_scans() {
    for (rules, split, published, reread) in [
        (Rules::C, false, None, None),
        (Rules::C, true, All, None),
        (Rules::Documented, false, None, None),
        (Rules::Documented, true, None, All),
    ] {
        assert_eq!(after_publication(rules, split), published, "{rules:?}");
        assert_eq!(after_reading_changed(rules, split), reread, "{rules:?}");
    }
}

#[test]
fn tables_overlap_where_level_routes_differ() {
    let route = |data| Msi {
        address_lo: 0xfee0_1000,
        address_hi: 0,
        data,
    };
    let other = |change: fn(&mut Msi)| {
        let mut msi = route(0x8030);
        change(&mut msi);
        msi
    };

    for (old, new, expected) in [
        (&[][..], &[][..], false),
        (&[], &[route(0x8030)], true),
        (&[route(0x8030)], &[], true),
        (&[route(0x8030)], &[route(0x8030)], false),
        (&[route(0x8030)], &[route(0x8031)], true),
        (&[route(0x8030)], &[other(|msi| msi.address_lo ^= 4)], true),
        (
            &[route(0x8030)],
            &[other(|msi| msi.address_hi = 0x100)],
            true,
        ),
        (
            &[route(0x8030), route(0x8031)],
            &[route(0x8030), route(0x8031)],
            false,
        ),
        (&[route(0x8030), route(0x8031)], &[route(0x8030)], true),
        (
            &[route(0x8030), route(0x8031)],
            &[route(0x8030), route(0x8032)],
            true,
        ),
    ] {
        assert_eq!(
            overlaps(Rules::Documented, old, new),
            expected,
            "{old:x?} {new:x?}"
        );
        assert!(!overlaps(Rules::C, old, new), "{old:x?} {new:x?}");
    }
}
