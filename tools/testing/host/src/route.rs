// SPDX-License-Identifier: GPL-2.0

//! Which routes of a table are kept, and in which order.

use super::{
    cases, property,
    reference::{self, Synic, MAX_ROUTES},
    routing::{
        msi::Msi,
        route::{order, Kept, ReservedPins, Route},
        sint::{gsis, Sint, SintRoute, NR_SINTS},
        Parity,
    },
};
use proptest::{
    collection::{btree_set, vec},
    prelude::{any, Just, Strategy},
    prop_assert_eq, prop_oneof,
    sample::select,
};
use std::cmp::Ordering;

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

#[test]
fn order_is_that_of_sints_and_then_gsis() {
    // VP index, SINT, GSI: what comes first decides, whatever the rest says.
    for (lower, higher) in [
        ([0, 0, 0], [0, 0, 1]),
        ([9, 15, 4094], [9, 15, 4095]),
        // Neither the lowest byte nor the sign of a difference decides.
        ([0, 0, 0x0ff], [0, 0, 0x100]),
        ([0, 0, 0x002], [0, 0, 0x101]),
        ([0, 0, 0], [0, 0, u32::MAX]),
        ([0, 0, i32::MAX as u32], [0, 0, i32::MAX as u32 + 1]),
        ([0, 1, 4095], [0, 2, 0]),
        ([0, 1, 4095], [0, u32::MAX, 0]),
        ([1, 15, 4095], [2, 0, 0]),
        ([0x0ff, 15, 4095], [0x100, 0, 0]),
        ([1, 15, 4095], [u32::MAX, 0, 0]),
    ] {
        let route = |[vp_index, sint, gsi]: [u32; 3]| SintRoute {
            gsi,
            vp_index,
            sint,
        };
        let (lower, higher) = (route(lower), route(higher));
        let name = format!("{lower:?} {higher:?}");

        assert_eq!(order(&lower, &higher), Ordering::Less, "{name}");
        assert_eq!(order(&higher, &lower), Ordering::Greater, "{name}");
        assert_eq!(order(&lower, &lower), Ordering::Equal, "{name}");
    }
}

/// Generates tables of SINT routes, many of them to the same SINT.
fn sint_tables() -> impl Strategy<Value = Vec<reference::Entry>> {
    let gsis = prop_oneof![4 => 0..16_u32, 1 => 0..MAX_ROUTES];

    btree_set(gsis, 0..12)
        .prop_flat_map(|gsis| {
            let targets = vec(
                (0..4_u32, select(vec![0_u32, 1, 14, 15, 16, 17])),
                gsis.len(),
            );
            let gsis = Just(gsis.into_iter().collect::<Vec<_>>()).prop_shuffle();

            (gsis, targets)
        })
        .prop_map(|(gsis, targets)| {
            let entry = |(gsi, (vp_index, sint))| reference::Entry {
                gsi,
                kind: reference::HV_SINT,
                payload: [vp_index, sint, 0],
            };

            gsis.into_iter().zip(targets).map(entry).collect()
        })
}

/// Generates virtual processors, not all of them with an active SynIC.
fn synics() -> impl Strategy<Value = Vec<Option<Synic>>> {
    let synic = |active| Synic {
        active,
        sint: [0; 16],
        sint_to_gsi: [-1; 16],
    };
    let presence = prop_oneof![
        1 => Just(None),
        4 => any::<bool>().prop_map(move |active| Some(synic(active))),
    ];

    vec(presence, 3)
}

/// Returns the SINT routes of a table of nothing else, as an index has them.
fn sorted(table: &[reference::Entry]) -> Vec<SintRoute> {
    let mut routes: Vec<SintRoute> = table
        .iter()
        .filter_map(|entry| match cases::route(entry) {
            Route::Sint(route) => Some(route),
            _ => None,
        })
        .collect();

    // As little stable as the kernel's sort.
    routes.sort_unstable_by(order);
    routes
}

#[test]
fn highest_gsi_of_a_sint_wins_as_in_kvm() {
    property::check((sint_tables(), synics()), |(table, mut synics)| {
        let mut gsi_of: Vec<_> = synics
            .iter()
            .map(|synic| synic.filter(|synic| synic.active).map(|_| [None; 16]))
            .collect();

        for route in sorted(&table) {
            let gsis = gsi_of.get_mut(route.vp_index as usize);

            if let (Some(Some(gsis)), Some(sint)) = (gsis, Sint::new(route.sint)) {
                gsis[sint.number() as usize] = Some(route.gsi);
            }
        }

        reference::hv_irq_routing_update(&mut synics, &table);
        for (synic, gsis) in synics.iter().zip(gsi_of) {
            let Some(synic) = synic else { continue };
            let found = gsis
                .unwrap_or_default()
                .map(|gsi| gsi.map_or(-1, |gsi| gsi as i32));

            prop_assert_eq!(synic.sint_to_gsi, found);
        }
        Ok(())
    });
}

#[test]
fn all_gsis_of_a_sint_are_found() {
    property::check(sint_tables(), |table| {
        let routes = sorted(&table);

        for vp_index in 0..5 {
            for sint in (0..NR_SINTS).filter_map(Sint::new) {
                let mut expected: Vec<u32> = table
                    .iter()
                    .filter(|entry| entry.payload == [vp_index, sint.number(), 0])
                    .map(|entry| entry.gsi)
                    .collect();

                expected.sort_unstable();
                prop_assert_eq!(gsis(&routes, vp_index, sint).collect::<Vec<_>>(), expected);
            }
        }
        Ok(())
    });
}

/// Without tables that lead to one SINT twice, the properties above would see little.
#[test]
fn generated_sint_tables_have_conflicts() {
    let tables = property::sample(sint_tables());
    // An earlier route of the same SINT has a higher GSI, so that the order of the table is wrong.
    let is_conflict = |a: &reference::Entry, b: &reference::Entry| {
        a.payload == b.payload && a.payload[1] < 16 && a.gsi > b.gsi
    };
    let conflicts = tables
        .iter()
        .filter(|table| {
            (1..table.len()).any(|i| table[..i].iter().any(|a| is_conflict(a, &table[i])))
        })
        .count();

    assert!(
        conflicts * 10 >= tables.len(),
        "{conflicts} of {}",
        tables.len()
    );
}
