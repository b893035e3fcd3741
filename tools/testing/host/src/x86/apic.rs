// SPDX-License-Identifier: GPL-2.0

//! Which destinations a local APIC accepts.

use super::{
    cases,
    reference::{self, Arch, Lapic},
    routing::x86::{
        apic::{ApicId, BroadcastQuirk, LogicalModel},
        destination::Destination::{self, Logical, Physical},
    },
};

const FLAT: u32 = 0xffff_ffff;
const CLUSTER: u32 = 0x0fff_ffff;
const RESERVED: u32 = 0x1fff_ffff;

const QUIRKS: [BroadcastQuirk; 2] = [BroadcastQuirk::On, BroadcastQuirk::Off];

/// Destinations and IDs around the boundaries of xAPIC IDs, clusters and broadcasts.
const EDGES: [u32; 18] = [
    0,
    1,
    2,
    0xf,
    0x10,
    0xfe,
    0xff,
    0x100,
    0x101,
    0x1ff,
    0xffff,
    0x1_0000,
    0x1_00ff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ff00,
    0xffff_fffe,
    0xffff_ffff,
];

/// Returns whether `lapic` accepts `destination`, after making sure that KVM decides the same.
fn accepts(lapic: &Lapic, destination: Destination, quirk: BroadcastQuirk) -> bool {
    let accepts = cases::apic_id(lapic).accepts(destination, quirk);
    let (dest_id, logical) = match destination {
        Physical(mda) => (mda, false),
        Logical(mda) => (mda, true),
    };
    let arch = Arch {
        x2apic_format: true,
        x2apic_broadcast_quirk_disabled: quirk == BroadcastQuirk::Off,
        nr_reserved_ioapic_pins: 0,
    };

    assert_eq!(
        accepts,
        reference::match_dest(&arch, lapic, dest_id, logical),
        "{destination:x?} {quirk:?} {lapic:x?}"
    );

    accepts
}

/// Returns how many of the 8-bit destinations `lapic` accepts, with and without the quirk.
fn accepted(lapic: &Lapic, destination: fn(u32) -> Destination) -> [u32; 2] {
    QUIRKS.map(|quirk| {
        (0..=0xff)
            .filter(|&mda| accepts(lapic, destination(mda), quirk))
            .count() as u32
    })
}

#[test]
fn model_is_the_whole_dfr() {
    use LogicalModel::{Cluster, Flat, Reserved};

    for (dfr, model) in [
        (0xffff_ffff, Flat),
        (0xffff_fffe, Reserved),
        (0xf000_0000, Reserved),
        (0x7fff_ffff, Reserved),
        (0xefff_ffff, Reserved),
        (0x1fff_ffff, Reserved),
        (0x1000_0000, Reserved),
        (0x0fff_ffff, Cluster),
        (0x0fff_fffe, Reserved),
        (0x07ff_ffff, Reserved),
        (0x0000_0000, Reserved),
    ] {
        assert_eq!(LogicalModel::from_dfr(dfr), model, "DFR {dfr:#x}");
    }
}

#[test]
fn broadcast_depends_on_mode_and_quirk() {
    let xapic = ApicId::XApic {
        id: 3,
        initial_id: 3,
        logical_id: 0,
        model: LogicalModel::Reserved,
    };
    let x2apic = ApicId::X2Apic { id: 3, ldr: 0 };

    for (mda, xapic_accepts, x2apic_on, x2apic_off) in [
        (0x0000_00fe, false, false, false),
        (0x0000_00ff, true, true, false),
        (0x0000_0100, false, false, false),
        (0x0000_01ff, false, false, false),
        (0x0000_ffff, false, false, false),
        (0x00ff_ffff, false, false, false),
        (0xffff_ff00, false, false, false),
        (0xffff_fffe, false, false, false),
        (0xffff_ffff, false, true, true),
    ] {
        for destination in [Physical(mda), Logical(mda)] {
            for (id, quirk, expected) in [
                (xapic, BroadcastQuirk::On, xapic_accepts),
                (xapic, BroadcastQuirk::Off, xapic_accepts),
                (x2apic, BroadcastQuirk::On, x2apic_on),
                (x2apic, BroadcastQuirk::Off, x2apic_off),
            ] {
                assert_eq!(
                    id.accepts(destination, quirk),
                    expected,
                    "{destination:x?} {quirk:?} {id:?}"
                );
            }
        }
    }
}

/// Without the quirk, 0xff is one CPU or the first eight of cluster 0.
#[test]
fn broadcast_of_xapic_is_a_destination_in_x2apic_mode() {
    for (destination, id, ldr, expected) in [
        (Physical(0xff), 0xfe, 0, false),
        (Physical(0xff), 0xff, 0, true),
        (Physical(0xff), 0x1ff, 0, false),
        (Logical(0xff), 7, 0x0000_0080, true),
        (Logical(0xff), 8, 0x0000_0100, false),
        (Logical(0xff), 0x17, 0x0001_0080, false),
    ] {
        let lapic = Lapic::x2apic(id, ldr);

        assert_eq!(
            accepts(&lapic, destination, BroadcastQuirk::Off),
            expected,
            "{lapic:x?}"
        );
        assert!(
            accepts(&lapic, destination, BroadcastQuirk::On),
            "{lapic:x?}"
        );
    }
}

#[test]
fn xapic_physical_exhaustive() {
    for id in 0..=0xff {
        // The ID that the CPU was made with has no say in the matter.
        for initial_id in [
            u32::from(id),
            u32::from(id ^ 1),
            0xff,
            0x100 | u32::from(id),
        ] {
            let lapic = Lapic::xapic(initial_id, id, 0, FLAT);
            // Its own ID and the broadcast.
            let expected = if id == 0xff { 1 } else { 2 };

            assert_eq!(accepted(&lapic, Physical), [expected; 2], "{lapic:x?}");
            assert!(
                accepts(&lapic, Physical(u32::from(id)), BroadcastQuirk::On),
                "{lapic:x?}"
            );
        }
    }
}

#[test]
fn xapic_flat_exhaustive() {
    for logical_id in 0..=0xff_u8 {
        let lapic = Lapic::xapic(0, 0, logical_id, FLAT);
        // All but the destinations without a common bit. The broadcast has one, except with 0.
        let disjoint = 1 << logical_id.count_zeros();
        let expected = 256 - disjoint + u32::from(logical_id == 0);

        assert_eq!(accepted(&lapic, Logical), [expected; 2], "{lapic:x?}");
    }
}

#[test]
fn xapic_cluster_exhaustive() {
    for logical_id in 0..=0xff_u8 {
        let lapic = Lapic::xapic(0, 0, logical_id, CLUSTER);
        let cpus = logical_id & 0xf;
        // Of the 16 destinations of its cluster, those with a common bit, and the broadcast.
        let common = 16 - (1 << (4 - cpus.count_ones()));
        let broadcast_is_one_of_them = logical_id >> 4 == 0xf && cpus != 0;
        let expected = common + u32::from(!broadcast_is_one_of_them);

        assert_eq!(accepted(&lapic, Logical), [expected; 2], "{lapic:x?}");
    }
}

#[test]
fn xapic_reserved_model_exhaustive() {
    for logical_id in 0..=0xff_u8 {
        let lapic = Lapic::xapic(0, 0, logical_id, RESERVED);

        assert_eq!(accepted(&lapic, Logical), [1; 2], "{lapic:x?}");
    }
}

/// A destination that xAPIC mode cannot express is an initial ID.
#[test]
fn xapic_wide_physical() {
    for (mda, id, initial_id, expected) in [
        (0x0fe, 0x01, 0x0fe, false),
        (0x0fe, 0xfe, 0x100, true),
        (0x100, 0x00, 0x0ff, false),
        (0x100, 0x00, 0x100, true),
        (0x100, 0x00, 0x101, false),
        (0x100, 0x00, 0x000, false),
        (0x101, 0x01, 0x001, false),
        (0x101, 0x55, 0x101, true),
        (0x1ff, 0xff, 0x0ff, false),
        (0x1ff, 0x00, 0x1ff, true),
        (0x201, 0x01, 0x101, false),
        (0xffff_ffff, 0xff, 0x0fe, false),
    ] {
        for quirk in QUIRKS {
            let lapic = Lapic::xapic(initial_id, id, 0, FLAT);

            assert_eq!(
                accepts(&lapic, Physical(mda), quirk),
                expected,
                "{mda:#x} {lapic:x?}"
            );
        }
    }
}

/// KVM compares all bits of a logical destination, also those that xAPIC mode cannot express.
#[test]
fn xapic_wide_logical() {
    for (mda, logical_id, flat, cluster) in [
        (0x00f, 0x01, true, true),
        (0x10f, 0x01, true, false),
        (0x100, 0x01, false, false),
        (0x121, 0x21, true, false),
        (0x1ff, 0xff, true, false),
        (0x1ff, 0x00, false, false),
        (0xffff_ff01, 0x01, true, false),
        (0xffff_ff01, 0x02, false, false),
    ] {
        for (dfr, expected) in [(FLAT, flat), (CLUSTER, cluster), (RESERVED, false)] {
            let lapic = Lapic::xapic(0, 0, logical_id, dfr);

            for quirk in QUIRKS {
                assert_eq!(
                    accepts(&lapic, Logical(mda), quirk),
                    expected,
                    "{mda:#x} {lapic:x?}"
                );
            }
        }
    }
}

#[test]
fn x2apic_physical() {
    for id in EDGES {
        let lapic = Lapic::x2apic(id, 0);

        for mda in EDGES {
            for quirk in QUIRKS {
                let broadcast = mda == 0xffff_ffff || mda == 0xff && quirk == BroadcastQuirk::On;

                assert_eq!(
                    accepts(&lapic, Physical(mda), quirk),
                    broadcast || mda == id,
                    "{mda:#x} {quirk:?} {lapic:x?}"
                );
            }
        }
    }
}

/// All sets of CPUs, for the first, the last and some other clusters.
#[test]
fn x2apic_logical_exhaustive() {
    for cluster in [0, 1, 0x7fff, 0x8000, 0xffff] {
        for cpu in 0..16 {
            let id = cluster << 4 | cpu;
            let lapic = Lapic::x2apic(id, cluster << 16 | 1 << cpu);

            for cpus in 0..=0xffff_u32 {
                let destination = Logical(cluster << 16 | cpus);
                let member = cpus >> cpu & 1 == 1;
                let broadcast = cluster == 0xffff && cpus == 0xffff;

                assert_eq!(
                    accepts(&lapic, destination, BroadcastQuirk::Off),
                    member || broadcast,
                    "{destination:x?} {lapic:x?}"
                );
            }
        }
    }
}

#[test]
fn x2apic_clusters_do_not_mix() {
    let clusters = (0..16)
        .map(|bit| 1 << bit)
        .chain([0, 3, 0x7fff, 0xfffe, 0xffff]);

    for (mine, theirs) in clusters
        .clone()
        .flat_map(|a| clusters.clone().map(move |b| (a, b)))
    {
        for cpu in 0..16 {
            let lapic = Lapic::x2apic(mine << 4 | cpu, mine << 16 | 1 << cpu);

            // All CPUs but one, which leaves out the broadcasts.
            for cpus in (0..16).map(|other| 0xffff ^ 1 << other) {
                assert_eq!(
                    accepts(&lapic, Logical(theirs << 16 | cpus), BroadcastQuirk::On),
                    mine == theirs && cpus >> cpu & 1 == 1,
                    "{cpus:#x} of cluster {theirs:#x} {lapic:x?}"
                );
            }
        }
    }
}

/// Userspace may give an LDR that no ID leads to.
#[test]
fn any_ldr_at_the_edges() {
    for (ldr, mda) in EDGES.iter().flat_map(|&ldr| EDGES.map(|mda| (ldr, mda))) {
        for id in EDGES {
            for lapic in [
                Lapic::x2apic(id, ldr),
                Lapic::xapic(id, id as u8, ldr as u8, FLAT),
                Lapic::xapic(id, id as u8, ldr as u8, CLUSTER),
                Lapic::xapic(id, id as u8, ldr as u8, RESERVED),
            ] {
                for quirk in QUIRKS {
                    accepts(&lapic, Physical(mda), quirk);
                    accepts(&lapic, Logical(mda), quirk);
                }
            }
        }
    }
}
