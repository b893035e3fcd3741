// SPDX-License-Identifier: GPL-2.0

//! Which vectors the level routes of a table send to a local APIC.

use super::{
    cases::{self, VecLevelRoutes},
    property,
    routing::x86::{
        apic::{Apic, ApicId, BroadcastQuirk, X2ApicApi},
        msi::{Msi, MsiFormat},
        vector::VectorSet,
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::{any, Just, Strategy},
    prop_assert, prop_assert_eq, prop_oneof,
    sample::Index,
};

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
fn walk(msis: &[Msi], id: &ApicId, api: X2ApicApi, accepted: bool) -> VectorSet {
    set(msis
        .iter()
        .filter(|msi| id.accepts(msi.destination(api.format), api.quirk) == accepted)
        .map(Msi::vector))
}

fn apis() -> impl Iterator<Item = X2ApicApi> {
    FORMATS
        .into_iter()
        .flat_map(|format| QUIRKS.map(|quirk| X2ApicApi { format, quirk }))
}

/// Returns what reaches `apic`, and what is stale, after making sure that a walk finds the same.
#[track_caller]
fn find(level_routes: &VecLevelRoutes, apic: &Apic, api: X2ApicApi) -> [VectorSet; 2] {
    let reaching = level_routes.reaching(&apic.id, api);
    let stale = level_routes.stale(apic, api, &reaching);
    let elsewhere = walk(level_routes.msis(), &apic.id, api, false);
    let name = format!("{level_routes:x?} {apic:x?} {api:?}");

    assert_eq!(
        reaching,
        walk(level_routes.msis(), &apic.id, api, true),
        "{name}"
    );
    assert_eq!(stale, elsewhere.intersection(&apic.pending_eoi), "{name}");
    [reaching, stale]
}

#[test]
fn no_routes_send_nothing() {
    for format in FORMATS {
        let level_routes = cases::level_routes(&[], format);
        let apic = Apic {
            id: ApicId::X2Apic { id: 0, ldr: 1 },
            pending_eoi: set(0..=u8::MAX),
        };

        assert!(level_routes.msis().is_empty());
        assert_eq!(level_routes.msis(), []);
        for api in apis() {
            assert_eq!(find(&level_routes, &apic, api), [VectorSet::EMPTY; 2]);
        }
    }
}

#[test]
fn routes_keep_their_order() {
    let msis = [msi(2, 0x31), msi(1, 0x30), msi(1, 0x30), msi(0, 0xff)];
    let level_routes = cases::level_routes(&msis, MsiFormat::Compat);

    assert!(!level_routes.msis().is_empty());
    assert_eq!(level_routes.msis(), msis);
}

/// A CPU with ID 1: a vector that comes here may be stale only if it goes elsewhere, too.
#[test]
fn repeated_vectors() {
    let api = X2ApicApi {
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
            find(&cases::level_routes(&msis, api.format), &apic, api),
            [reaching, stale].map(|vectors| set(vectors.iter().copied())),
            "{routes:?}, pending {pending:?}"
        );
    }
}

#[test]
fn one_vector_in_many_routes() {
    let api = X2ApicApi {
        format: MsiFormat::X2Apic,
        quirk: BroadcastQuirk::On,
    };
    let msis: Vec<_> = (0x200..0x600).map(|id| msi(id, 0x55)).collect();
    let level_routes = cases::level_routes(&msis, api.format);

    for (id, reached) in [(0x1ff, false), (0x200, true), (0x5ff, true), (0x600, false)] {
        for pending_eoi in [VectorSet::EMPTY, set([0x54]), set([0x55])] {
            let apic = Apic {
                id: ApicId::X2Apic { id, ldr: 0 },
                pending_eoi,
            };
            let [reaching, stale] = find(&level_routes, &apic, api);

            assert_eq!(reaching.contains(0x55), reached, "{id:#x}");
            assert_eq!(stale, pending_eoi.intersection(&set([0x55])), "{id:#x}");
        }
    }
}

/// The format may change while a table is in use.
#[test]
fn destinations_that_depend_on_the_format() {
    for made in FORMATS {
        for (id, valid) in [(0x001, true), (0x0ff, true), (0x101, false), (0x1ff, false)] {
            let level_routes =
                cases::level_routes(&[msi(2, 0x31), msi(id, 0x30), msi(3, 0x30)], made);

            for api in apis() {
                assert_eq!(
                    level_routes.dest_map(api.format).is_some(),
                    valid || api.format == made,
                    "{id:#x}, made for {made:?}, decoded with {api:?}"
                );
                for id in [1, 2, 3, 0xff, 0x101, 0x1ff] {
                    for pending_eoi in [VectorSet::EMPTY, set([0x30]), set([0x30, 0x31])] {
                        let apic = Apic {
                            id: ApicId::X2Apic { id, ldr: 0 },
                            pending_eoi,
                        };

                        find(&level_routes, &apic, api);
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
    let level_routes = cases::level_routes(&[noisy], MsiFormat::Compat);

    assert!(level_routes.dest_map(MsiFormat::X2Apic).is_some());
}

#[test]
fn generated_tables_are_as_by_a_walk() {
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

            let level_routes = cases::level_routes(&msis, FORMATS[usize::from(made)]);
            for api in apis() {
                let reaching = level_routes.reaching(&apic.id, api);
                let elsewhere = walk(&msis, &apic.id, api, false);

                prop_assert_eq!(reaching, walk(&msis, &apic.id, api, true));
                prop_assert_eq!(
                    level_routes.stale(&apic, api, &reaching),
                    elsewhere.intersection(&apic.pending_eoi)
                );
            }
            prop_assert!(
                widen
                    || FORMATS
                        .iter()
                        .all(|&format| level_routes.dest_map(format).is_some())
            );
            Ok(())
        },
    );
}

/// Generates a table, and which of its routes become others, come or go, again and again.
fn successions() -> impl Strategy<Value = (Vec<Msi>, Vec<Vec<(Index, Option<Msi>)>>)> {
    let ids = || prop_oneof![4 => 0..6_u32, 1 => Just(0xff), 1 => 0x100..0x104_u32];
    let msis = || {
        (ids(), 0x30..0x34_u8, any::<bool>()).prop_map(|(id, vector, is_logical)| {
            let msi = msi(id, vector);

            Msi {
                address_lo: msi.address_lo | u32::from(is_logical) << 2,
                ..msi
            }
        })
    };
    let edits = vec((any::<Index>(), option::weighted(0.8, msis())), 0..12);

    (vec(msis(), 0..30), vec(edits, 1..8))
}

/// What a table that was made of the one before sends is what it sends by itself.
#[test]
fn routes_after_others_are_sent_as_if_anew() {
    let steps = (successions(), any::<[bool; 8]>());

    property::check(steps, |((mut msis, updates), formats)| {
        let mut old = cases::level_routes(&msis, MsiFormat::Compat);

        for (edits, is_wide) in updates.into_iter().zip(formats) {
            let format = FORMATS[usize::from(is_wide)];

            for (number, msi) in edits {
                match msi {
                    Some(msi) if number.index(4) > 0 && !msis.is_empty() => {
                        *number.get_mut(&mut msis) = msi;
                    }
                    Some(msi) => msis.insert(number.index(msis.len() + 1), msi),
                    None if !msis.is_empty() => drop(msis.remove(number.index(msis.len()))),
                    None => (),
                }
            }

            let anew = cases::level_routes(&msis, format);
            let after = cases::level_routes_after(&msis, format, Some(&old));
            let maps = [&anew, &after].map(|routes| routes.dest_map(format).expect("made for it"));

            for [one, other] in [[0, 1], [1, 0]] {
                prop_assert_eq!(maps[one].more_than(Some(maps[other])).count(), 0);
            }
            for format in FORMATS {
                prop_assert_eq!(
                    anew.dest_map(format).is_some(),
                    after.dest_map(format).is_some()
                );
            }
            prop_assert_eq!(anew.vectors(), after.vectors());
            old = after;
        }
        Ok(())
    });
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
        let (msis, api, apic) = (case.msis(), case.api(), case.apic());
        let here = walk(&msis, &apic.id, api, true);
        let elsewhere = walk(&msis, &apic.id, api, false);

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

            walk(&msis, &apic.id, X2ApicApi { format, quirk }, true)
        });

        compat != x2apic
    });
}
