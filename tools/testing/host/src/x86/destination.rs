// SPDX-License-Identifier: GPL-2.0

//! The keys by which destinations and local APICs are matched.

use super::{
    cases, property,
    routing::x86::{
        apic::{ApicId, BroadcastQuirk, LogicalModel},
        destination::{
            DestKey,
            Destination::{self, Logical, Physical},
        },
    },
};
use proptest::{bool, prop_assert_eq};

const QUIRKS: [BroadcastQuirk; 2] = [BroadcastQuirk::On, BroadcastQuirk::Off];

/// IDs, LDRs and MDAs around the boundaries of xAPIC IDs, clusters and broadcasts.
const EDGES: [u32; 30] = [
    0,
    1,
    3,
    7,
    8,
    0xf,
    0x10,
    0x11,
    0x80,
    0xf0,
    0xf1,
    0xfe,
    0xff,
    0x100,
    0x101,
    0x10f,
    0x1ff,
    0x8000,
    0xffff,
    0x1_0000,
    0x1_0001,
    0x1_00ff,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_8000,
    0xffff_0000,
    0xffff_00ff,
    0xffff_ff00,
    0xffff_fffe,
    0xffff_ffff,
];

/// Returns the keys of a destination.
pub(super) fn dest_keys(destination: Destination) -> Vec<DestKey> {
    let mut keys = Vec::new();
    let result: Result<(), ()> = destination.keys(|key| {
        keys.push(key);
        Ok(())
    });

    assert_eq!(result, Ok(()));
    keys
}

fn apic_keys(id: &ApicId, quirk: BroadcastQuirk) -> Vec<DestKey> {
    let mut keys = Vec::new();

    id.keys(quirk, |key| keys.push(key));
    keys
}

fn share(dest_keys: &[DestKey], apic_keys: &[DestKey]) -> bool {
    dest_keys.iter().any(|key| apic_keys.contains(key))
}

/// Makes sure that each of `ids` accepts just those of `mdas` that it shares a key with.
#[track_caller]
fn check(ids: &[ApicId], mdas: &[u32]) {
    let destinations: Vec<_> = mdas
        .iter()
        .flat_map(|&mda| [Physical(mda), Logical(mda)])
        .map(|destination| (destination, dest_keys(destination)))
        .collect();

    for (id, quirk) in ids.iter().flat_map(|id| QUIRKS.map(|quirk| (id, quirk))) {
        let apic_keys = apic_keys(id, quirk);

        for (destination, dest_keys) in &destinations {
            assert_eq!(
                share(dest_keys, &apic_keys),
                id.accepts(*destination, quirk),
                "{destination:x?} {quirk:?} {id:x?}"
            );
        }
    }
}

#[test]
fn x2apics_at_the_edges() {
    let ids: Vec<_> = EDGES
        .iter()
        .flat_map(|&id| EDGES.map(|ldr| ApicId::X2Apic { id, ldr }))
        .collect();

    check(&ids, &EDGES);
}

#[test]
fn xapics_at_the_edges() {
    let mut ids = Vec::new();

    for dfr in [0xffff_ffff, 0x0fff_ffff, 0x1fff_ffff] {
        for initial_id in EDGES {
            for id in [0, 1, 0x7f, 0x80, 0xfe, 0xff] {
                for logical_id in [0, 1, 8, 0x10, 0x80, 0xf0, 0xf1, 0xff] {
                    ids.push(ApicId::XApic {
                        id,
                        initial_id,
                        logical_id,
                        model: LogicalModel::from_dfr(dfr),
                    });
                }
            }
        }
    }
    check(&ids, &EDGES);
}

#[test]
fn xapic_destinations_exhaustive() {
    let mdas: Vec<u32> = (0..0x120).collect();
    let mut ids = Vec::new();

    for model in [
        LogicalModel::Flat,
        LogicalModel::Cluster,
        LogicalModel::Reserved,
    ] {
        for number in 0..=u8::MAX {
            ids.push(ApicId::XApic {
                id: number,
                initial_id: u32::from(!number),
                logical_id: number,
                model,
            });
        }
    }
    check(&ids, &mdas);
}

#[test]
fn generated_destinations_reach_whom_they_share_a_key_with() {
    property::check((cases::vms(), bool::ANY), |(case, off)| {
        let id = case.apic().id;
        let quirk = QUIRKS[usize::from(off)];

        for msi in case.msis() {
            let destination = msi.destination(case.api().format);

            prop_assert_eq!(
                share(&dest_keys(destination), &apic_keys(&id, quirk)),
                id.accepts(destination, quirk),
                "{:x?} {:?} {:x?}",
                destination,
                quirk,
                id
            );
        }
        Ok(())
    });
}

/// Keys are looked up one by one, so none is worth having twice.
#[test]
fn no_key_is_passed_on_twice() {
    for mda in EDGES {
        for keys in [Physical(mda), Logical(mda)].map(dest_keys) {
            let mut rest = keys.as_slice();

            while let [key, others @ ..] = rest {
                assert!(!others.contains(key), "{mda:#x}: {key:?}");
                rest = others;
            }
        }
    }
}

#[test]
fn refused_key_is_the_last() {
    for destination in EDGES.iter().flat_map(|&mda| [Physical(mda), Logical(mda)]) {
        let nr = dest_keys(destination).len();

        for refused in 0..nr {
            let mut passed_on = 0;
            let result = destination.keys(|_| {
                passed_on += 1;
                if passed_on > refused {
                    Err(refused)
                } else {
                    Ok(())
                }
            });

            assert_eq!(result, Err(refused), "{destination:x?}");
            assert_eq!(passed_on, refused + 1, "{destination:x?}");
        }
    }
}

/// Scans take as long with thousands of CPUs as with one: few keys of neighbours meet in a hash table
/// with open addressing, as full as it may be and half as full.
#[test]
fn hashes_of_neighbours_differ_in_low_bits() {
    for (nr, first) in [
        (3, 0),
        (24, 0),
        (192, 0),
        (768, 0),
        (3072, 0),
        (768, 0x1_0000),
    ] {
        for destination in [Physical, |id: u32| Logical(id >> 4 << 16 | 1 << (id & 0xf))] {
            for nr_slots in [nr as usize / 3 * 4, nr as usize / 3 * 8] {
                let mut taken = vec![false; nr_slots];
                let mut passed = 0;

                for id in first..first + nr {
                    // The last key is the one in x2APIC mode.
                    let key = dest_keys(destination(id)).pop();
                    let mut number = key.map_or(0, DestKey::hash) % nr_slots;

                    while taken[number] {
                        number = (number + 1) % nr_slots;
                        passed += 1;
                    }
                    taken[number] = true;
                }
                assert!(passed <= nr, "{nr} keys pass {passed} of {nr_slots} slots");
            }
        }
    }
}

/// If each destination reached the APIC, or none, the property would see little.
#[test]
fn generated_destinations_reach_some() {
    let mut counts = [0; 2];

    for case in property::sample(cases::vms()) {
        let (api, id) = (case.api(), case.apic().id);

        for msi in case.msis() {
            let accepts = id.accepts(msi.destination(api.format), api.quirk);

            counts[usize::from(accepts)] += 1;
        }
    }
    assert!(
        counts.iter().all(|count| count * 4 > counts[0] + counts[1]),
        "missed and reached: {counts:?}"
    );
}
