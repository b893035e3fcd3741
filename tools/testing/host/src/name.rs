// SPDX-License-Identifier: GPL-2.0

//! What a local APIC answers to, and what a destination calls.

use super::{
    cases, property,
    routing::{
        apic::{ApicId, BroadcastQuirk, LogicalModel},
        dest::Destination::{self, Logical, Physical},
        name::Name,
    },
};
use proptest::{bool, prop_assert_eq};
use std::collections::HashSet;

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

fn called(destination: Destination) -> Vec<Name> {
    let mut names = Vec::new();
    let result: Result<(), ()> = destination.names(|name| {
        names.push(name);
        Ok(())
    });

    assert_eq!(result, Ok(()));
    names
}

fn answers(id: &ApicId, quirk: BroadcastQuirk) -> Vec<Name> {
    let mut names = Vec::new();

    id.names(quirk, |name| names.push(name));
    names
}

fn share(called: &[Name], answers: &[Name]) -> bool {
    called.iter().any(|name| answers.contains(name))
}

/// Makes sure that each of `ids` accepts just those of `mdas` that it shares a name with.
#[track_caller]
fn check(ids: &[ApicId], mdas: &[u32]) {
    let destinations: Vec<_> = mdas
        .iter()
        .flat_map(|&mda| [Physical(mda), Logical(mda)])
        .map(|destination| (destination, called(destination)))
        .collect();

    for (id, quirk) in ids.iter().flat_map(|id| QUIRKS.map(|quirk| (id, quirk))) {
        let answers = answers(id, quirk);

        for (destination, called) in &destinations {
            assert_eq!(
                share(called, &answers),
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
fn generated_destinations_reach_whom_they_share_a_name_with() {
    property::check((cases::vms(), bool::ANY), |(case, off)| {
        let id = case.apic().id;
        let quirk = QUIRKS[usize::from(off)];

        for msi in case.msis() {
            let destination = msi.destination(case.reading().format);

            prop_assert_eq!(
                share(&called(destination), &answers(&id, quirk)),
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

/// Names are looked up one by one, so none is worth having twice.
#[test]
fn no_name_is_passed_on_twice() {
    for mda in EDGES {
        for names in [Physical(mda), Logical(mda)].map(called) {
            let mut rest = names.as_slice();

            while let [name, others @ ..] = rest {
                assert!(!others.contains(name), "{mda:#x}: {name:?}");
                rest = others;
            }
        }
    }
}

#[test]
fn refused_name_is_the_last() {
    for destination in EDGES.iter().flat_map(|&mda| [Physical(mda), Logical(mda)]) {
        let nr = called(destination).len();

        for refused in 0..nr {
            let mut passed_on = 0;
            let result = destination.names(|_| {
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

/// The names of the CPUs of large VMs are found in chains with their hash modulo powers of two.
#[test]
fn hashes_of_neighbours_differ_in_low_bits() {
    for (nr, first) in [(256, 0), (1024, 0), (4096, 0), (1024, 0x1_0000)] {
        for destination in [Physical, |id: u32| Logical(id >> 4 << 16 | 1 << (id & 0xf))] {
            // The last name is the one in x2APIC mode.
            let names: Vec<_> = (first..first + nr)
                .filter_map(|id| called(destination(id)).pop())
                .collect();
            let chains: HashSet<_> = names
                .iter()
                .map(|name| name.hash() & (nr as usize - 1))
                .collect();

            assert!(
                chains.len() * 2 > names.len(),
                "{} chains of {} names",
                chains.len(),
                names.len()
            );
        }
    }
}

/// If each destination reached the APIC, or none, the property would see little.
#[test]
fn generated_destinations_reach_some() {
    let mut counts = [0; 2];

    for case in property::sample(cases::vms()) {
        let (reading, id) = (case.reading(), case.apic().id);

        for msi in case.msis() {
            let accepts = id.accepts(msi.destination(reading.format), reading.quirk);

            counts[usize::from(accepts)] += 1;
        }
    }
    assert!(
        counts.iter().all(|count| count * 4 > counts[0] + counts[1]),
        "missed and reached: {counts:?}"
    );
}
