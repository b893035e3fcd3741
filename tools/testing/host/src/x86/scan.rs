// SPDX-License-Identifier: GPL-2.0

//! Which EOIs a vCPU has to report.

use super::{
    cases::{self, Case},
    property,
    reference::{self, Entry, LapicIrq},
    routing::{
        x86::{
            apic::{Apic, ApicId, BroadcastQuirk, X2ApicApi},
            msi::{Msi, MsiFormat},
            route::ReservedPins,
            scan::{owed, scan, Scan},
            vector::VectorSet,
        },
        Parity,
    },
};
use proptest::{prop_assert, prop_assert_eq};

fn set(vectors: &[u8]) -> VectorSet {
    let mut set = VectorSet::EMPTY;

    for &vector in vectors {
        set.insert(vector);
    }

    set
}

/// A level route to the CPU with the given ID.
fn level(id: u32, vector: u8) -> Msi {
    Msi {
        address_lo: 0xfee0_0000 | id << 12,
        address_hi: 0,
        data: 0x8000 | u32::from(vector),
    }
}

#[test]
fn reports_targets_and_what_is_in_flight() {
    let api = X2ApicApi {
        format: MsiFormat::Compat,
        quirk: BroadcastQuirk::On,
    };

    // A CPU with ID 1: routes, pending vectors, vectors to report, the highest stale one.
    for (routes, pending, handled, highest_stale) in [
        (&[][..], &[][..], &[][..], None),
        (&[], &[0x30], &[], None),
        // To it, whether or not the vector is pending.
        (&[(1, 0x30)], &[], &[0x30], None),
        (&[(1, 0x30)], &[0x30], &[0x30], None),
        (&[(1, 0x30)], &[0x31], &[0x30], None),
        (&[(0xff, 0x30)], &[], &[0x30], None),
        // To another.
        (&[(2, 0x30)], &[], &[], None),
        (&[(2, 0x30)], &[0x2f, 0x31], &[], None),
        (&[(2, 0x30)], &[0x30], &[0x30], Some(0x30)),
        (&[(2, 0)], &[0], &[0], Some(0)),
        (&[(2, 255)], &[255], &[255], Some(255)),
        // The highest, in any order of routes.
        (
            &[(2, 0x30), (2, 0x31)],
            &[0x30, 0x31],
            &[0x30, 0x31],
            Some(0x31),
        ),
        (
            &[(2, 0x31), (2, 0x30)],
            &[0x30, 0x31],
            &[0x30, 0x31],
            Some(0x31),
        ),
        (&[(2, 0x31), (2, 0x30)], &[0x30], &[0x30], Some(0x30)),
        (&[(2, 63), (2, 64)], &[63, 64], &[63, 64], Some(64)),
        // Two pins on one vector, one of them to it.
        (&[(1, 0x30), (2, 0x30)], &[], &[0x30], None),
        (&[(1, 0x30), (2, 0x30)], &[0x30], &[0x30], Some(0x30)),
        (&[(2, 0x30), (1, 0x30)], &[0x30], &[0x30], Some(0x30)),
        // A target above a stale one is not stale.
        (
            &[(1, 0x40), (2, 0x30)],
            &[0x30, 0x40],
            &[0x30, 0x40],
            Some(0x30),
        ),
    ] {
        let level: Vec<Msi> = routes
            .iter()
            .map(|&(id, vector)| level(id, vector))
            .collect();
        let apic = Apic {
            id: ApicId::X2Apic { id: 1, ldr: 2 },
            pending_eoi: set(pending),
        };

        assert_eq!(
            scan(&cases::level_routes(&level, api.format), api, &apic),
            Scan {
                handled: set(handled),
                highest_stale,
            },
            "routes {routes:x?}, pending {pending:x?}"
        );
    }
}

#[test]
fn x2apic_api_decides_where_a_route_goes() {
    use {BroadcastQuirk::*, MsiFormat::*};

    let wide = Msi {
        address_hi: 0x100,
        ..level(1, 0x30)
    };
    let broadcast = level(0xff, 0x31);

    for (format, quirk, id, handled) in [
        (Compat, Off, 0x001, &[0x30][..]),
        (Compat, Off, 0x101, &[]),
        (X2Apic, Off, 0x001, &[]),
        (X2Apic, Off, 0x101, &[0x30]),
        (X2Apic, Off, 0x0ff, &[0x31]),
        (X2Apic, On, 0x002, &[0x31]),
        (X2Apic, On, 0x101, &[0x30, 0x31]),
        (Compat, On, 0x001, &[0x30, 0x31]),
    ] {
        let apic = Apic {
            id: ApicId::X2Apic { id, ldr: 0 },
            pending_eoi: VectorSet::EMPTY,
        };
        let level = cases::level_routes(&[wide, broadcast], format);
        let found = scan(&level, X2ApicApi { format, quirk }, &apic);

        assert_eq!(
            found.handled,
            set(handled),
            "{format:?} {quirk:?} ID {id:#x}"
        );
        assert_eq!(found.highest_stale, None, "{format:?} {quirk:?} ID {id:#x}");
    }
}

#[test]
fn union_reports_what_either_scan_does() {
    let scan = |vectors: &[u8], highest_stale| Scan {
        handled: set(vectors),
        highest_stale,
    };
    let nothing = Scan::default();

    for (a, b, both) in [
        (nothing, nothing, nothing),
        (nothing, scan(&[0], Some(0)), scan(&[0], Some(0))),
        (scan(&[7], None), scan(&[8], None), scan(&[7, 8], None)),
        (
            scan(&[7], Some(7)),
            scan(&[8], None),
            scan(&[7, 8], Some(7)),
        ),
        (
            scan(&[7, 200], Some(7)),
            scan(&[8], Some(8)),
            scan(&[7, 8, 200], Some(8)),
        ),
    ] {
        assert_eq!(a.union(&b), both, "{a:?} {b:?}");
        assert_eq!(b.union(&a), both, "{a:?} {b:?}");
    }
}

#[test]
fn scans_as_kvm_does() {
    property::check(cases::vms(), |case| {
        prop_assert_eq!(case.scan(), case.reference_scan());
        Ok(())
    });
}

/// [`routing::x86::verify`](super::routing::x86::verify) relies on this.
#[test]
fn more_pending_vectors_never_report_less() {
    property::check(cases::vms_with_arrivals(), |(case, arrivals)| {
        let (before, after) = (case.scan(), case.with_pending(&arrivals).scan());

        for vector in 0..=u8::MAX {
            prop_assert!(
                !before.handled.contains(vector) || after.handled.contains(vector),
                "vector {vector} is gone"
            );
        }
        prop_assert!(before.highest_stale <= after.highest_stale);
        Ok(())
    });
}

/// A route of a generated VM, with what KVM makes of it.
struct Seen<'a> {
    case: &'a Case,
    entry: &'a Entry,
    irq: LapicIrq,
    accepted: bool,
    pending: bool,
}

impl<'a> Seen<'a> {
    fn new(case: &'a Case, entry: &'a Entry) -> Self {
        let irq = reference::msi_to_lapic_irq(&case.arch, entry.payload);

        Self {
            case,
            entry,
            irq,
            accepted: reference::match_dest(&case.arch, &case.lapic, irq.dest_id, irq.logical),
            pending: case.lapic.pending_eoi(irq.vector),
        }
    }

    fn in_window(&self) -> bool {
        self.entry.gsi < self.case.arch.nr_reserved_ioapic_pins
    }

    /// Tells whether a scan looks at it.
    fn is_scanned(&self) -> bool {
        self.entry.kind == reference::MSI && self.in_window() && self.irq.level_triggered
    }

    fn is_x2apic(&self) -> bool {
        self.case.lapic.is_x2apic()
    }

    /// Tells whether it is scanned and accepted, and not as a broadcast.
    fn is_hit(&self) -> bool {
        self.is_scanned()
            && self.accepted
            && self.irq.dest_id != 0xff
            && self.irq.dest_id != 0xffff_ffff
    }

    /// Tells whether another mode of the destination would be accepted.
    fn is_hit_in_the_other_mode(&self) -> bool {
        let Self { case, irq, .. } = self;

        !self.accepted && reference::match_dest(&case.arch, &case.lapic, irq.dest_id, !irq.logical)
    }
}

/// A kind of input that the properties have to see, and how often: once in so many routes.
type Class = (&'static str, usize, fn(&Seen<'_>) -> bool);

const FREQUENT: usize = 10;
const PRESENT: usize = 400;

const CLASSES: [Class; 26] = [
    ("match", FREQUENT, |s| s.is_scanned() && s.accepted),
    ("stale", FREQUENT, |s| {
        s.is_scanned() && !s.accepted && s.pending
    }),
    ("miss", FREQUENT, |s| {
        s.is_scanned() && !s.accepted && !s.pending
    }),
    ("match that is pending", PRESENT, |s| {
        s.is_scanned() && s.accepted && s.pending
    }),
    ("match of the last pin", PRESENT, |s| {
        s.is_hit() && s.entry.gsi + 1 == s.case.arch.nr_reserved_ioapic_pins
    }),
    ("match but for the window, next to it", PRESENT, |s| {
        s.accepted
            && s.entry.kind == reference::MSI
            && s.irq.level_triggered
            && s.entry.gsi == s.case.arch.nr_reserved_ioapic_pins
    }),
    ("stale but for the window", PRESENT, |s| {
        s.entry.kind == reference::MSI
            && !s.in_window()
            && s.irq.level_triggered
            && !s.accepted
            && s.pending
    }),
    ("match but for the trigger mode", PRESENT, |s| {
        s.in_window() && s.accepted && s.entry.kind == reference::MSI && !s.irq.level_triggered
    }),
    ("match but for the type", PRESENT, |s| {
        s.in_window() && s.accepted && s.entry.kind != reference::MSI && s.irq.level_triggered
    }),
    ("xAPIC physical", PRESENT, |s| {
        s.is_hit() && !s.is_x2apic() && !s.irq.logical && s.irq.dest_id < 0x100
    }),
    ("xAPIC physical by a changed ID", PRESENT, |s| {
        s.is_hit()
            && !s.is_x2apic()
            && !s.irq.logical
            && s.irq.dest_id < 0x100
            && s.irq.dest_id != s.case.lapic.vcpu_id & 0xff
    }),
    ("xAPIC physical by a wide initial ID", PRESENT, |s| {
        s.is_hit() && !s.is_x2apic() && !s.irq.logical && s.irq.dest_id > 0xff
    }),
    ("xAPIC physical but for the width", PRESENT, |s| {
        s.is_scanned()
            && !s.is_x2apic()
            && !s.irq.logical
            && s.irq.dest_id > 0xff
            && s.irq.dest_id & 0xff == s.case.lapic.id >> 24
            && !s.accepted
    }),
    ("flat", PRESENT, |s| {
        s.is_hit() && !s.is_x2apic() && s.irq.logical && s.case.lapic.dfr == 0xffff_ffff
    }),
    ("flat, with a wide destination", PRESENT, |s| {
        s.is_hit() && !s.is_x2apic() && s.irq.logical && s.irq.dest_id > 0xff
    }),
    ("cluster", PRESENT, |s| {
        s.is_hit() && !s.is_x2apic() && s.irq.logical && s.case.lapic.dfr == 0x0fff_ffff
    }),
    ("cluster, but no CPU of it", PRESENT, |s| {
        s.is_scanned()
            && !s.accepted
            && s.irq.logical
            && s.case.lapic.dfr == 0x0fff_ffff
            && s.irq.dest_id >> 4 == s.case.lapic.ldr >> 28
    }),
    ("CPU of a cluster, but not of this one", PRESENT, |s| {
        s.is_scanned()
            && !s.accepted
            && s.irq.logical
            && s.case.lapic.dfr == 0x0fff_ffff
            && s.irq.dest_id & s.case.lapic.ldr >> 24 & 0xf != 0
    }),
    ("reserved model with a common bit", PRESENT, |s| {
        s.is_scanned()
            && !s.accepted
            && !s.is_x2apic()
            && s.irq.logical
            && s.irq.dest_id & s.case.lapic.ldr >> 24 != 0
            && ![0xffff_ffff, 0x0fff_ffff].contains(&s.case.lapic.dfr)
    }),
    ("x2APIC physical", PRESENT, |s| {
        s.is_hit() && s.is_x2apic() && !s.irq.logical
    }),
    ("x2APIC logical", PRESENT, |s| {
        s.is_hit() && s.is_x2apic() && s.irq.logical
    }),
    ("x2APIC logical with a wide destination", PRESENT, |s| {
        s.is_hit() && s.is_x2apic() && s.irq.logical && s.irq.dest_id > 0xffff
    }),
    ("broadcast of xAPIC in xAPIC mode", PRESENT, |s| {
        s.is_scanned() && !s.is_x2apic() && s.irq.dest_id == 0xff
    }),
    (
        "broadcast of xAPIC in x2APIC mode with the quirk",
        PRESENT,
        |s| {
            s.is_scanned()
                && s.is_x2apic()
                && s.irq.dest_id == 0xff
                && !s.case.arch.x2apic_broadcast_quirk_disabled
        },
    ),
    (
        "broadcast of xAPIC in x2APIC mode but for the quirk",
        PRESENT,
        |s| s.is_scanned() && s.is_x2apic() && s.irq.dest_id == 0xff && !s.accepted,
    ),
    ("match but for the destination mode", PRESENT, |s| {
        s.is_scanned() && s.is_hit_in_the_other_mode()
    }),
];

/// A kind of whole VM that the properties have to see, and how often: once in so many VMs.
type VmClass = (&'static str, usize, fn(&Case, &Scan) -> bool);

const VM_CLASSES: [VmClass; 5] = [
    ("nothing to report", FREQUENT, |_, scan| {
        scan.handled == VectorSet::EMPTY
    }),
    ("reports without stale ones", FREQUENT, |_, scan| {
        scan.handled != VectorSet::EMPTY && scan.highest_stale.is_none()
    }),
    ("stale vector", FREQUENT, |_, scan| {
        scan.highest_stale.is_some()
    }),
    (
        "stale vector with another route that is accepted",
        PRESENT,
        |case, scan| {
            case.table.iter().any(|entry| {
                let seen = Seen::new(case, entry);

                seen.is_scanned()
                    && seen.accepted
                    && scan.highest_stale.map(u32::from) == Some(seen.irq.vector)
            })
        },
    ),
    ("several stale vectors", PRESENT, |case, scan| {
        case.table.iter().any(|entry| {
            let seen = Seen::new(case, entry);

            seen.is_scanned()
                && !seen.accepted
                && seen.pending
                && scan.highest_stale.map(u32::from) > Some(seen.irq.vector)
        })
    }),
];

/// Makes sure that the properties see what they are there for.
#[test]
fn generated_vms_cover_all_classes() {
    let cases = property::sample(cases::vms());
    let routes: Vec<Seen<'_>> = cases
        .iter()
        .flat_map(|case| case.table.iter().map(move |entry| Seen::new(case, entry)))
        .collect();

    let mut rare = Vec::new();
    let mut count = |name, share, found: usize, total: usize| {
        if found * share < total {
            rare.push(format!("{name}: {found} of {total}"));
        }
    };

    for (name, share, is_member) in CLASSES {
        let found = routes.iter().filter(|seen| is_member(seen)).count();

        count(name, share, found, routes.len());
    }
    for (name, share, is_member) in VM_CLASSES {
        let is_member = |case: &&Case| is_member(case, &case.reference_scan());
        let found = cases.iter().filter(is_member).count();

        count(name, share, found, cases.len());
    }

    assert!(rare.is_empty(), "too rare: {rare:#?}");
}

/// An EOI is owed for what is pending, and only if someone waits for it.
#[test]
fn owed_is_pending_and_reported_or_level() {
    let pending = set(&[0x30, 0x31, 0x32, 0xff]);
    let reported = set(&[0x30, 0x32, 0x40]);
    let level = set(&[0x31, 0x32, 0x41]);

    for (parity, pins, expected) in [
        (Parity::On, 24, set(&[])),
        (Parity::Off, 0, set(&[])),
        (Parity::Off, 1, set(&[0x30, 0x31, 0x32])),
        (Parity::Off, 4096, set(&[0x30, 0x31, 0x32])),
    ] {
        assert_eq!(
            owed(parity, ReservedPins(pins), &pending, &reported, &level),
            expected,
            "{parity:?}, {pins} pins"
        );
    }
}

/// Of the table that goes, only what is pending counts, and is stale unless the other one brings it.
#[test]
fn rest_of_the_old_table() {
    let old = Scan {
        handled: set(&[0x30, 0x31, 0x32, 0x40]),
        highest_stale: Some(0x40),
    };
    let new = Scan {
        handled: set(&[0x31, 0x50]),
        highest_stale: None,
    };

    for (pending, handled, highest_stale) in [
        (&[][..], &[0x31, 0x50][..], None),
        (&[0x31, 0x50, 0x60], &[0x31, 0x50], None),
        (&[0x30, 0x31], &[0x30, 0x31, 0x50], Some(0x30)),
        (&[0x30, 0x40], &[0x30, 0x31, 0x40, 0x50], Some(0x40)),
    ] {
        let expected = Scan {
            handled: set(handled),
            highest_stale,
        };

        assert_eq!(new.with_rest_of(&old, &set(pending)), expected);
    }
}

#[test]
fn owed_eois_are_stale_unless_a_route_brings_the_vector() {
    let scan = |vectors: &[u8], highest_stale| Scan {
        handled: set(vectors),
        highest_stale,
    };

    for (found, owed, expected) in [
        (scan(&[], None), &[][..], scan(&[], None)),
        (scan(&[], None), &[0][..], scan(&[0], Some(0))),
        (scan(&[7], None), &[7], scan(&[7], None)),
        (scan(&[7], None), &[6, 7], scan(&[6, 7], Some(6))),
        (scan(&[7], Some(7)), &[6], scan(&[6, 7], Some(7))),
        (scan(&[7], Some(7)), &[255], scan(&[7, 255], Some(255))),
    ] {
        assert_eq!(found.with_owed(&set(owed)), expected, "{found:?} {owed:?}");
    }
}
