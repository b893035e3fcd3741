// SPDX-License-Identifier: GPL-2.0

//! Which vectors the level routes of a table send to a local APIC.

use super::{
    cases::{self, VecLevel},
    property,
    routing::{
        apic::{Apic, ApicId, BroadcastQuirk},
        level::Reading,
        msi::{Msi, MsiFormat},
        vector::VectorSet,
    },
};
use proptest::{prelude::any, prop_assert, prop_assert_eq};

const FORMATS: [MsiFormat; 2] = [MsiFormat::Compat, MsiFormat::X2Apic];
const QUIRKS: [BroadcastQuirk; 2] = [BroadcastQuirk::On, BroadcastQuirk::Off];

fn set(vectors: impl IntoIterator<Item = u8>) -> VectorSet {
    let mut set = VectorSet::EMPTY;

    for vector in vectors {
        set.insert(vector);
    }
    set
}

/// A level route to the CPU with the given ID.
fn msi(id: u32, vector: u8) -> Msi {
    Msi {
        address_lo: 0xfee0_0000 | (id & 0xff) << 12,
        address_hi: id & !0xff,
        data: 0x8000 | u32::from(vector),
    }
}

/// Returns the vectors of the routes that an APIC accepts, or does not accept, one by one.
fn walk(msis: &[Msi], id: &ApicId, reading: Reading, accepted: bool) -> VectorSet {
    set(msis
        .iter()
        .filter(|msi| id.accepts(msi.destination(reading.format), reading.quirk) == accepted)
        .map(Msi::vector))
}

fn readings() -> impl Iterator<Item = Reading> {
    FORMATS
        .into_iter()
        .flat_map(|format| QUIRKS.map(|quirk| Reading { format, quirk }))
}

/// Returns what reaches `apic`, and what is stale, after making sure that a walk finds the same.
#[track_caller]
fn find(level: &VecLevel, apic: &Apic, reading: Reading) -> [VectorSet; 2] {
    let reaching = level.reaching(&apic.id, reading);
    let stale = level.stale(apic, reading, &reaching);
    let elsewhere = walk(level.msis(), &apic.id, reading, false);
    let name = format!("{level:x?} {apic:x?} {reading:?}");

    assert_eq!(
        reaching,
        walk(level.msis(), &apic.id, reading, true),
        "{name}"
    );
    assert_eq!(stale, elsewhere.intersection(&apic.pending_eoi), "{name}");
    [reaching, stale]
}

#[test]
fn no_routes_send_nothing() {
    for format in FORMATS {
        let level = cases::level(&[], format);
        let apic = Apic {
            id: ApicId::X2Apic { id: 0, ldr: 1 },
            pending_eoi: set(0..=u8::MAX),
        };

        assert!(level.is_empty());
        assert_eq!(level.msis(), []);
        for reading in readings() {
            assert_eq!(find(&level, &apic, reading), [VectorSet::EMPTY; 2]);
        }
    }
}

#[test]
fn routes_keep_their_order() {
    let msis = [msi(2, 0x31), msi(1, 0x30), msi(1, 0x30), msi(0, 0xff)];
    let level = cases::level(&msis, MsiFormat::Compat);

    assert!(!level.is_empty());
    assert_eq!(level.msis(), msis);
}

/// A CPU with ID 1: a vector that comes here may be stale only if it goes elsewhere, too.
#[test]
fn repeated_vectors() {
    let reading = Reading {
        format: MsiFormat::X2Apic,
        quirk: BroadcastQuirk::Off,
    };

    for (routes, pending, reaching, stale) in [
        (&[(1, 7)][..], &[7][..], &[7][..], &[][..]),
        (&[(2, 7)], &[7], &[], &[7]),
        // Repeated, and all of them here.
        (&[(1, 7), (1, 7)], &[7], &[7], &[]),
        (&[(2, 7), (2, 7)], &[7], &[], &[7]),
        (&[(1, 7), (2, 7)], &[7], &[7], &[7]),
        (&[(2, 7), (1, 7)], &[7], &[7], &[7]),
        (&[(1, 7), (2, 7)], &[8], &[7], &[]),
        (&[(1, 7), (2, 7), (3, 7)], &[7], &[7], &[7]),
        (&[(1, 7), (1, 7), (2, 7)], &[7], &[7], &[7]),
        // One repeated vector says nothing about another one.
        (&[(1, 7), (1, 8), (2, 8)], &[7, 8], &[7, 8], &[8]),
        (&[(1, 7), (1, 8), (2, 8)], &[7], &[7, 8], &[]),
        (&[(1, 7), (1, 7), (2, 8)], &[7, 8], &[7], &[8]),
        (
            &[(1, 0), (2, 0), (1, 255), (2, 255)],
            &[0, 255],
            &[0, 255],
            &[0, 255],
        ),
    ] {
        let msis: Vec<_> = routes.iter().map(|&(id, vector)| msi(id, vector)).collect();
        let apic = Apic {
            id: ApicId::X2Apic { id: 1, ldr: 0 },
            pending_eoi: set(pending.iter().copied()),
        };

        assert_eq!(
            find(&cases::level(&msis, reading.format), &apic, reading),
            [reaching, stale].map(|vectors| set(vectors.iter().copied())),
            "{routes:?}, pending {pending:?}"
        );
    }
}

#[test]
fn one_vector_in_many_routes() {
    let reading = Reading {
        format: MsiFormat::X2Apic,
        quirk: BroadcastQuirk::On,
    };
    let msis: Vec<_> = (0x200..0x600).map(|id| msi(id, 0x55)).collect();
    let level = cases::level(&msis, reading.format);

    for (id, reached) in [(0x1ff, false), (0x200, true), (0x5ff, true), (0x600, false)] {
        for pending_eoi in [VectorSet::EMPTY, set([0x54]), set([0x55])] {
            let apic = Apic {
                id: ApicId::X2Apic { id, ldr: 0 },
                pending_eoi,
            };
            let [reaching, stale] = find(&level, &apic, reading);

            assert_eq!(reaching.contains(0x55), reached, "{id:#x}");
            assert_eq!(stale, pending_eoi.intersection(&set([0x55])), "{id:#x}");
        }
    }
}

/// The format may change while a table is in use.
#[test]
fn destinations_that_depend_on_the_format() {
    for made in FORMATS {
        for (id, readable) in [(0x001, true), (0x0ff, true), (0x101, false), (0x1ff, false)] {
            let level = cases::level(&[msi(2, 0x31), msi(id, 0x30), msi(3, 0x30)], made);

            for reading in readings() {
                assert_eq!(
                    level.directory(reading.format).is_some(),
                    readable || reading.format == made,
                    "{id:#x}, made for {made:?}, read as {reading:?}"
                );
                for id in [1, 2, 3, 0xff, 0x101, 0x1ff] {
                    for pending_eoi in [VectorSet::EMPTY, set([0x30]), set([0x30, 0x31])] {
                        let apic = Apic {
                            id: ApicId::X2Apic { id, ldr: 0 },
                            pending_eoi,
                        };

                        find(&level, &apic, reading);
                    }
                }
            }
        }
    }
}

/// Bits 7:0 of the high address mean nothing, bits 31:8 do not make another destination if they
/// are 0.
#[test]
fn noise_does_not_depend_on_the_format() {
    let noisy = Msi {
        address_hi: 0xff,
        ..msi(1, 0x30)
    };
    let level = cases::level(&[noisy], MsiFormat::Compat);

    assert!(level.directory(MsiFormat::X2Apic).is_some());
}

#[test]
fn generated_tables_are_read_as_by_a_walk() {
    property::check(
        (cases::vms(), any::<[bool; 2]>()),
        |(case, [made, widen])| {
            let mut msis = case.msis();
            let mut apic = case.apic();

            if widen {
                apic.pending_eoi = set(0..=u8::MAX);
            } else {
                // What generated tables have in the high address is seldom the same for all routes.
                msis.iter_mut().for_each(|msi| msi.address_hi &= 0xff);
            }

            let level = cases::level(&msis, FORMATS[usize::from(made)]);
            for reading in readings() {
                let reaching = level.reaching(&apic.id, reading);
                let elsewhere = walk(&msis, &apic.id, reading, false);

                prop_assert_eq!(reaching, walk(&msis, &apic.id, reading, true));
                prop_assert_eq!(
                    level.stale(&apic, reading, &reaching),
                    elsewhere.intersection(&apic.pending_eoi)
                );
            }
            prop_assert!(
                widen
                    || FORMATS
                        .iter()
                        .all(|&format| level.directory(format).is_some())
            );
            Ok(())
        },
    );
}

/// Tables that need no second look would leave the rare ways untested.
#[test]
fn generated_tables_repeat_vectors_and_depend_on_the_format() {
    let cases = property::sample(cases::vms());
    let count = |is_member: fn(&cases::Case) -> bool| {
        let found = cases.iter().filter(|case| is_member(case)).count();

        assert!(found * 20 > cases.len(), "{found} of {}", cases.len());
    };

    // Here and elsewhere with a pending vector.
    count(|case| {
        let (msis, reading, apic) = (case.msis(), case.reading(), case.apic());
        let here = walk(&msis, &apic.id, reading, true);
        let elsewhere = walk(&msis, &apic.id, reading, false);

        !here
            .intersection(&elsewhere)
            .intersection(&apic.pending_eoi)
            .is_empty()
    });
    // Another answer in the other format.
    count(|case| {
        let (msis, apic) = (case.msis(), case.apic());
        let [compat, x2apic] = FORMATS.map(|format| {
            let quirk = BroadcastQuirk::On;

            walk(&msis, &apic.id, Reading { format, quirk }, true)
        });

        compat != x2apic
    });
}
