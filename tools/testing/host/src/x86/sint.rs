// SPDX-License-Identifier: GPL-2.0

//! Delivery of Hyper-V SINT routes, and who hears of the end of an interrupt.

use super::{
    cases, property,
    reference::{self, EINVAL, ENOENT, EPERM, MAX_ROUTES},
    routing::{
        list::sort,
        x86::{
            route::Route,
            sint::{
                gsis, target, vector, Sint, SintError, SintRegister, SintRoute, Synic, NR_SINTS,
            },
        },
    },
};
use proptest::{
    collection::{btree_set, vec},
    prelude::{any, Just, Strategy},
    prop_assert_eq, prop_oneof,
    sample::select,
};
use std::cmp::Ordering;

/// SINT numbers around the last one.
const NUMBERS: [(u32, bool); 8] = [
    (0, true),
    (1, true),
    (14, true),
    (15, true),
    (16, false),
    (17, false),
    (256, false),
    (u32::MAX, false),
];

#[test]
fn there_are_sixteen_sints() {
    assert_eq!(NR_SINTS, 16);

    for (number, exists) in NUMBERS {
        let expected = exists.then_some(number);

        assert_eq!(
            Sint::new(number).map(|sint| sint.number()),
            expected,
            "{number}"
        );
    }
}

#[test]
fn vector_of_register() {
    for (register, expected) in [
        (0x0_0000, Some(0)),
        (0x0_0001, Some(1)),
        (0x0_000f, Some(15)),
        (0x0_0010, Some(16)),
        (0x0_00fe, Some(254)),
        (0x0_00ff, Some(255)),
        (0x0_0100, Some(0)),
        (0x0_ffff, Some(255)),
        (0x1_0000, None),
        (0x1_0030, None),
        (0x1_ffff, None),
        // Auto-EOI (bit 17) and polling (bit 18) do not mask.
        (0x2_0030, Some(0x30)),
        (0x4_0030, Some(0x30)),
        (0x3_0030, None),
        (u64::MAX, None),
        (u64::MAX - 0x1_0000, Some(255)),
    ] {
        assert_eq!(
            SintRegister(register).vector(),
            expected,
            "register {register:#x}"
        );
    }
}

#[test]
fn each_register_bit_means_one_thing() {
    for bit in 0..64 {
        let expected = match bit {
            0..=7 => Some(1 << bit),
            16 => None,
            _ => Some(0),
        };

        assert_eq!(SintRegister(1 << bit).vector(), expected, "bit {bit}");
    }
}

#[test]
fn line_going_down_delivers_nothing() {
    for (number, _) in NUMBERS {
        assert_eq!(
            target(number, false),
            Err(SintError::Lowered),
            "SINT {number}"
        );
    }
}

#[test]
fn line_going_up_needs_a_sint() {
    for (number, exists) in NUMBERS {
        let expected = if exists {
            Ok(number)
        } else {
            Err(SintError::NoSynic)
        };

        assert_eq!(
            target(number, true).map(|sint| sint.number()),
            expected,
            "SINT {number}"
        );
    }
}

#[test]
fn vector_needs_an_active_synic_and_an_open_sint() {
    for (synic, expected) in [
        (Synic::Absent, Err(SintError::NoSynic)),
        (Synic::Active(SintRegister(0x30)), Ok(0x30)),
        (
            Synic::Active(SintRegister(0x1_0030)),
            Err(SintError::Masked),
        ),
        (Synic::Active(SintRegister(0x2_00ff)), Ok(0xff)),
        (Synic::Active(SintRegister(0)), Ok(0)),
    ] {
        assert_eq!(vector(synic), expected, "{synic:?}");
    }
}

/// The errno that KVM returns for an error.
fn errno(error: SintError) -> i32 {
    match error {
        SintError::Lowered => -EPERM,
        SintError::NoSynic => -EINVAL,
        SintError::Masked => -ENOENT,
    }
}

/// Delivers as the module does, one decision after the other.
fn deliver(
    synics: &[Option<reference::Synic>],
    [vp_index, sint]: [u32; 2],
    raised: bool,
) -> Result<u8, SintError> {
    let sint = target(sint, raised)?;

    vector(match synics.get(vp_index as usize) {
        Some(Some(synic)) if synic.active => {
            Synic::Active(SintRegister(synic.sint[sint.number() as usize]))
        }
        _ => Synic::Absent,
    })
}

#[test]
fn delivers_as_kvm_does() {
    // VP 0 has an inactive SynIC, VP 1 an active one, VP 2 does not exist.
    let synic = |active| reference::Synic {
        active,
        sint: std::array::from_fn(|n| n as u64 % 4 * 0x1_0000 + n as u64 * 0x11),
        sint_to_gsi: [-1; 16],
    };
    let mut synics = [Some(synic(false)), Some(synic(true)), None];
    let mut outcomes = Vec::new();

    for vp_index in [0, 1, 2, 3, u32::MAX] {
        for sint in (0..18).chain([256, u32::MAX]) {
            for raised in [false, true] {
                let expected =
                    reference::synic_set_irq(&mut synics, [vp_index, sint], i32::from(raised));

                assert_eq!(
                    deliver(&synics, [vp_index, sint], raised).map_err(errno),
                    expected,
                    "VP {vp_index}, SINT {sint}, raised {raised}"
                );
                outcomes.push(expected);
            }
        }
    }

    for outcome in [Ok(0), Ok(0xee), Err(-EPERM), Err(-EINVAL), Err(-ENOENT)] {
        assert!(outcomes.contains(&outcome), "{outcome:?} is never seen");
    }
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

        assert_eq!(lower.cmp(&higher), Ordering::Less, "{name}");
        assert_eq!(higher.cmp(&lower), Ordering::Greater, "{name}");
        assert_eq!(lower.cmp(&lower), Ordering::Equal, "{name}");
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
fn synics() -> impl Strategy<Value = Vec<Option<reference::Synic>>> {
    let synic = |active| reference::Synic {
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

    sort(&mut routes);
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
