// SPDX-License-Identifier: GPL-2.0

//! What is kept of a route.

use super::{
    cases, property,
    reference::{self, MAX_ROUTES},
    routing::{
        x86::{
            msi::Msi,
            route::{Kept, ReservedPins, Route},
            sint::SintRoute,
        },
        Parity,
    },
};
use proptest::prop_assert_eq;

const PARITIES: [Parity; 2] = [Parity::On, Parity::Off];

const LEVEL: Msi = Msi {
    address_lo: 0xfee0_1000,
    address_hi: 0,
    data: 0x8030,
};

const EDGE: Msi = Msi {
    address_lo: 0xfee0_1000,
    address_hi: 0,
    data: 0x0030,
};

#[test]
fn window_ends_below_its_size() {
    // A GSI of a table is at most 4095.
    for (pins, inside, outside) in [
        (0, &[][..], &[0, 1, 23, 24, 4095][..]),
        (1, &[0], &[1, 2, 24, 4095]),
        (23, &[0, 1, 22], &[23, 24, 25, 4095]),
        (24, &[0, 1, 22, 23], &[24, 25, 255, 256, 4095]),
        (25, &[0, 23, 24], &[25, 26, 4095]),
        (255, &[0, 253, 254], &[255, 256, 257, 4095]),
        (256, &[0, 254, 255], &[256, 257, 4095]),
        (257, &[0, 1, 255, 256], &[257, 258, 4095]),
        (4095, &[0, 255, 256, 4093, 4094], &[4095]),
        (4096, &[0, 255, 256, 4094, 4095], &[]),
    ] {
        for &gsi in inside {
            assert!(ReservedPins(pins).contains(gsi), "GSI {gsi} of {pins}");
        }
        for &gsi in outside {
            assert!(!ReservedPins(pins).contains(gsi), "GSI {gsi} of {pins}");
        }
    }
}

#[test]
fn window_may_hold_all_gsis() {
    let all = ReservedPins(MAX_ROUTES);

    assert!((0..MAX_ROUTES).all(|gsi| all.contains(gsi)));
    assert!(!all.contains(MAX_ROUTES));
}

fn msi(gsi: u32, msi: Msi) -> Route {
    Route::Msi { gsi, msi }
}

#[test]
fn level_routes_of_the_window_are_kept() {
    for (pins, gsi, kept) in [
        (0, 0, false),
        (1, 0, true),
        (1, 1, false),
        (24, 0, true),
        (24, 22, true),
        (24, 23, true),
        (24, 24, false),
        (24, 25, false),
        (256, 255, true),
        (256, 256, false),
        (4095, 4094, true),
        (4095, 4095, false),
        (4096, 4095, true),
    ] {
        let expected = kept.then_some(Kept::Level(LEVEL));

        for parity in PARITIES {
            let kept = |route| msi(gsi, route).kept(ReservedPins(pins), parity);

            assert_eq!(kept(LEVEL), expected, "GSI {gsi} of {pins}, {parity:?}");
            assert_eq!(kept(EDGE), None, "GSI {gsi} of {pins}, {parity:?}");
        }
    }
}

#[test]
fn level_routes_without_an_eoi_are_kept_by_c_alone() {
    for (delivery_mode, has_eoi) in [
        (0, true),
        (1, true),
        (2, false),
        (3, false),
        (4, false),
        (5, false),
        (6, false),
        (7, false),
    ] {
        let route = Msi {
            data: LEVEL.data | delivery_mode << 8,
            ..LEVEL
        };
        let kept = |parity| msi(0, route).kept(ReservedPins(1), parity);
        let expected = Some(Kept::Level(route));

        assert_eq!(kept(Parity::On), expected, "mode {delivery_mode}");
        assert_eq!(
            kept(Parity::Off),
            expected.filter(|_| has_eoi),
            "mode {delivery_mode}"
        );
    }
}

#[test]
fn sint_routes_are_kept_anywhere() {
    for pins in [0, 1, 24, MAX_ROUTES] {
        for gsi in [0, 23, 24, MAX_ROUTES - 1] {
            let route = SintRoute {
                gsi,
                vp_index: u32::MAX,
                // Valid in a table, though there is no such SINT.
                sint: 16,
            };

            assert_eq!(
                Route::Sint(route).kept(ReservedPins(pins), Parity::Off),
                Some(Kept::Sint(route)),
                "GSI {gsi} of {pins}"
            );
        }
    }
}

#[test]
fn other_routes_are_dropped() {
    for pins in [0, 24, MAX_ROUTES] {
        for parity in PARITIES {
            let kept = Route::Other.kept(ReservedPins(pins), parity);

            assert_eq!(kept, None, "{pins} pins, {parity:?}");
        }
    }
}

#[test]
fn what_is_kept_of_any_table() {
    property::check(cases::vms(), |case| {
        let is_level = |entry: &&reference::Entry| {
            entry.kind == reference::MSI
                && entry.gsi < case.arch.nr_reserved_ioapic_pins
                && reference::msi_to_lapic_irq(&case.arch, entry.payload).level_triggered
        };
        let has_eoi = |entry: &&reference::Entry| entry.payload[2] >> 8 & 7 < 2;
        let level = || case.table.iter().filter(is_level);
        let sints = case
            .table
            .iter()
            .filter(|entry| entry.kind == reference::HV_SINT)
            .count();

        for (parity, level) in [
            (Parity::On, level().count()),
            (Parity::Off, level().filter(has_eoi).count()),
        ] {
            let (levels_kept, sints_kept): (Vec<_>, Vec<_>) = case
                .routes()
                .filter_map(|route| route.kept(case.pins(), parity))
                .partition(|kept| matches!(kept, Kept::Level(_)));

            prop_assert_eq!((levels_kept.len(), sints_kept.len()), (level, sints));
        }
        Ok(())
    });
}
