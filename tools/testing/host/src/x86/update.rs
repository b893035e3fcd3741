// SPDX-License-Identifier: GPL-2.0

//! Which vCPUs a new routing table makes scan.

use super::{
    cases::{self, VecLevelRoutes},
    property,
    routing::x86::{
        apic::{ApicId, BroadcastQuirk, LogicalModel, X2ApicApi},
        msi::{Msi, MsiFormat},
        update::{Changes, ScanRequest},
        vector::VectorSet,
    },
};
use proptest::{
    collection::vec,
    prelude::{any, Just, Strategy},
    prop_assert, prop_assert_eq, prop_oneof,
    sample::select,
    test_runner::TestCaseResult,
};

const COMPAT: X2ApicApi = X2ApicApi {
    format: MsiFormat::Compat,
    quirk: BroadcastQuirk::Off,
};
const X2APIC: X2ApicApi = X2ApicApi {
    format: MsiFormat::X2Apic,
    quirk: BroadcastQuirk::Off,
};

/// A level route to the CPU with the given ID.
fn msi(id: u32, vector: u8) -> Msi {
    Msi {
        address_lo: 0xfee0_0000 | (id & 0xff) << 12,
        address_hi: id & !0xff,
        data: 0x8000 | u32::from(vector),
    }
}

/// Returns the vectors of the routes that an APIC accepts, one by one.
fn sent(msis: &[Msi], id: &ApicId, api: X2ApicApi) -> VectorSet {
    let mut vectors = VectorSet::EMPTY;

    for msi in msis {
        if id.accepts(msi.destination(api.format), api.quirk) {
            vectors.insert(msi.vector());
        }
    }
    vectors
}

fn sends_more(here: &[Msi], there: &[Msi], id: &ApicId, api: X2ApicApi) -> bool {
    !sent(here, id, api).is_subset(&sent(there, id, api))
}

#[derive(Clone, Debug)]
struct Update {
    crowd: Vec<ApicId>,
    old: Vec<Msi>,
    new: Vec<Msi>,
    quirk: BroadcastQuirk,
}

/// The local APIC of a CPU as firmware sets it up, in one of the modes.
fn apic(number: u32, mode: u8) -> ApicId {
    let (logical_id, model) = match mode {
        0 => {
            return ApicId::X2Apic {
                id: number,
                ldr: number >> 4 << 16 | 1 << (number & 0xf),
            }
        }
        1 => (1 << (number & 7), LogicalModel::Flat),
        2 => (
            (number >> 2 << 4) as u8 | 1 << (number & 3),
            LogicalModel::Cluster,
        ),
        _ => (number as u8, LogicalModel::Reserved),
    };

    ApicId::XApic {
        id: number as u8,
        initial_id: number,
        logical_id,
        model,
    }
}

/// Generates routes to some of `nr` CPUs, physical ones unless `logical`.
fn routes(nr: u32, logical: bool) -> impl Strategy<Value = Msi> {
    let ids = move || {
        prop_oneof![
            12 => 0..nr,
            1 => Just(0xff),
            1 => any::<u16>().prop_map(u32::from),
        ]
    };
    let sets = prop_oneof![
        // CPUs in xAPIC and in x2APIC mode.
        4 => (0..nr).prop_map(|id| id >> 4 << 16 | 1 << (id & 0xf)),
        2 => (0..nr).prop_map(|id| (id >> 2 << 4 | 1 << (id & 3)) & 0xff),
        2 => any::<u8>().prop_map(u32::from),
        1 => any::<u16>().prop_map(u32::from),
        1 => select(vec![0xff, u32::MAX]),
    ];
    let vectors = prop_oneof![4 => 0x30..0x34_u8, 1 => any::<u8>()];

    (ids(), sets, any::<bool>(), vectors).prop_map(move |(id, set, is_set, vector)| {
        if logical && is_set {
            let msi = msi(set, vector);

            Msi {
                address_lo: msi.address_lo | 1 << 2,
                ..msi
            }
        } else {
            msi(id, vector)
        }
    })
}

/// Generates crowds of local APICs and two tables, many of whose routes are the same.
fn updates(logical: bool) -> impl Strategy<Value = Update> {
    let sizes = prop_oneof![6 => 1..20_u32, 1 => 1..=300_u32];

    sizes
        .prop_flat_map(move |nr| {
            let changes = prop_oneof![1 => Just(0), 4 => 1..4_usize, 2 => 10..40_usize];
            let tables = changes.prop_flat_map(move |nr_changes| {
                (
                    vec(routes(nr, logical), 0..20),
                    vec((any::<bool>(), routes(nr, logical)), nr_changes),
                )
            });

            (vec(0..4_u8, nr as usize), tables, any::<[bool; 2]>())
        })
        .prop_map(|(modes, (old, changes), [off, reverse])| {
            let mut new = old.clone();

            for (replace, msi) in changes {
                if replace && !new.is_empty() {
                    let number = msi.vector() as usize % new.len();

                    new[number] = msi;
                } else {
                    new.push(msi);
                }
            }

            let quirk = if off {
                BroadcastQuirk::Off
            } else {
                BroadcastQuirk::On
            };
            let crowd = (0..).zip(modes).map(|(id, mode)| apic(id, mode)).collect();
            let (old, new) = if reverse { (new, old) } else { (old, new) };

            Update {
                crowd,
                old,
                new,
                quirk,
            }
        })
}

/// Tells whether `here` has a route to an APIC that `there` does not have, whatever else brings its
/// vector.
fn has_another_route(here: &[Msi], there: &[Msi], id: &ApicId, api: X2ApicApi) -> bool {
    let key = |msi: &Msi| (msi.destination(api.format), msi.vector());

    here.iter().any(|msi| {
        id.accepts(msi.destination(api.format), api.quirk)
            && there.iter().all(|other| key(other) != key(msi))
    })
}

/// A table, of which nothing is kept if there are no routes.
fn table(msis: &[Msi], format: MsiFormat) -> Option<VecLevelRoutes> {
    (!msis.is_empty()).then(|| cases::level_routes(msis, format))
}

/// Calls `judge` for each APIC of the crowd, with what was decided for it and what walks over
/// the routes say: whether it gets another vector, and whether it gets one by another route.
fn judge(
    update: &Update,
    format: MsiFormat,
    judge: impl Fn(bool, [bool; 2], &str) -> TestCaseResult,
) -> TestCaseResult {
    let Update {
        crowd,
        old,
        new,
        quirk,
    } = update;
    let api = X2ApicApi {
        format,
        quirk: *quirk,
    };
    let old_table = table(old, format);
    let a = old_table.as_ref();
    let new_table = (!new.is_empty()).then(|| cases::level_routes_after(new, format, a));
    let b = new_table.as_ref();
    let same_first = cases::nr_same_first(old, new);
    let changes = Changes::between(a, b, same_first, api);
    let before = changes.before_publication(a, b);
    let after = changes.after_grace_period(a, b);
    // Whoever loses something may have got it with the quirk on.
    let with_quirk = X2ApicApi {
        quirk: BroadcastQuirk::On,
        ..api
    };

    for request in [&before, &after] {
        prop_assert!(!matches!(request, ScanRequest::All(_)));
    }
    for id in crowd {
        for (request, here, there, api) in
            [(&before, new, old, api), (&after, old, new, with_quirk)]
        {
            let (sent_here, vectors) = (sent(here, id, api), request.vectors_of(id));
            let more = sent_here.difference(&sent(there, id, api));

            prop_assert!(more.is_subset(&vectors), "{id:x?}");
            prop_assert!(vectors.is_subset(&sent_here), "{id:x?}");
            prop_assert!(vectors.is_subset(&request.vectors()), "{id:x?}");
            prop_assert_eq!(vectors.is_empty(), !request.concerns(id), "{:x?}", id);
        }
        judge(
            before.concerns(id),
            [
                sends_more(new, old, id, api),
                has_another_route(new, old, id, api),
            ],
            &format!("before publication, {id:x?}"),
        )?;
        judge(
            after.concerns(id),
            [
                sends_more(old, new, id, with_quirk),
                has_another_route(old, new, id, with_quirk),
            ],
            &format!("after the grace period, {id:x?}"),
        )?;
    }
    if old == new {
        prop_assert!(changes.is_none());
    }
    prop_assert_eq!(
        changes.is_none(),
        matches!((before, after), (ScanRequest::None, ScanRequest::None))
    );
    Ok(())
}

/// An APIC whose vector is sent to another of its keys than before scans in vain, but none is
/// forgotten.
#[test]
fn whoever_gets_more_or_less_scans() {
    property::check((updates(true), any::<bool>()), |(update, wide)| {
        let format = [MsiFormat::Compat, MsiFormat::X2Apic][usize::from(wide)];

        judge(&update, format, |found, [vector, route], name| {
            prop_assert!(found || !vector, "{name}");
            prop_assert!(!found || route, "{name} in vain");
            Ok(())
        })
    });
}

/// Without broadcasts and logical destinations vectors are sent to one key of each APIC, and nobody
/// scans in vain.
#[test]
fn nobody_else_scans() {
    property::check(updates(false), |mut update| {
        let is_broadcast = |msi: &Msi| msi.address_lo >> 12 & 0xff == 0xff && msi.address_hi == 0;

        update.old.retain(|msi| !is_broadcast(msi));
        update.new.retain(|msi| !is_broadcast(msi));
        // A CPU in xAPIC mode has two IDs if its initial ID is wide.
        update
            .crowd
            .retain(|id| !matches!(id, ApicId::XApic { initial_id, .. } if *initial_id > 0xff));
        judge(&update, MsiFormat::X2Apic, |found, [vector, _], name| {
            prop_assert_eq!(found, vector, "{}", name);
            Ok(())
        })
    });
}

/// Around the number of keys that are known one by one.
#[test]
fn few_keys_and_many() {
    for nr in [1, 7, 8, 9, 10, 100] {
        let old: Vec<_> = (0..200).map(|id| msi(id, 0x30)).collect();
        let mut new = old.clone();

        for (id, msi) in (0..nr).map(|i| (i * 2, msi(i * 2, 0x31))) {
            new[id as usize] = msi;
        }

        let (a, b) = (table(&old, COMPAT.format), table(&new, COMPAT.format));
        let (a, b) = (a.as_ref(), b.as_ref());
        let changes = Changes::between(a, b, 0, COMPAT);
        let before = changes.before_publication(a, b);
        let after = changes.after_grace_period(a, b);

        assert!(!changes.is_none());
        for id in 0..200 {
            let changed = id % 2 == 0 && id < nr * 2;

            for mode in 0..4 {
                let apic = apic(id, mode);

                for request in [&before, &after] {
                    assert_eq!(request.concerns(&apic), changed, "{nr} keys, {apic:?}");
                }
            }
        }
    }
}

#[test]
fn more_and_less_are_told_apart() {
    let one = [msi(1, 0x30)];
    let two = [msi(1, 0x30), msi(2, 0x30)];
    let twice = [msi(1, 0x30), msi(1, 0x30)];

    // Old, new, whether CPUs 1 and 2 scan before and after.
    for (old, new, before, after) in [
        (&[][..], &one[..], [true, false], [false, false]),
        (&one, &[], [false, false], [true, false]),
        (&one, &one, [false, false], [false, false]),
        (&one, &twice, [false, false], [false, false]),
        (&twice, &one, [false, false], [false, false]),
        (&one, &two, [false, true], [false, false]),
        (&two, &one, [false, false], [false, true]),
        (&[msi(1, 7)], &[msi(1, 8)], [true, false], [true, false]),
        (&[msi(1, 7)], &[msi(2, 7)], [false, true], [true, false]),
        (&[], &[], [false, false], [false, false]),
    ] {
        let (a, b) = (table(old, COMPAT.format), table(new, COMPAT.format));
        let (a, b) = (a.as_ref(), b.as_ref());
        let changes = Changes::between(a, b, 0, COMPAT);
        let both = |request: ScanRequest<'_, _>| [1, 2].map(|id| request.concerns(&apic(id, 0)));

        assert_eq!(
            [
                both(changes.before_publication(a, b)),
                both(changes.after_grace_period(a, b))
            ],
            [before, after],
            "{old:x?} {new:x?}"
        );
        assert_eq!(changes.is_none(), before == after && before == [false; 2]);
    }
}

/// Tables that were made in another format than the one that they are compared in.
#[test]
fn changed_format_concerns_all() {
    use MsiFormat::{Compat, X2Apic};

    let narrow = [msi(1, 0x30)];
    let wide = [msi(0x101, 0x30)];

    // Routes of both tables, the formats they were made in, that of the comparison: whether they
    // could be compared.
    for (old, new, made, compared, comparable) in [
        (&narrow, &narrow, [Compat, Compat], COMPAT, true),
        (&narrow, &narrow, [Compat, Compat], X2APIC, true),
        (&narrow, &narrow, [Compat, X2Apic], X2APIC, true),
        (&wide, &wide, [Compat, Compat], COMPAT, true),
        (&wide, &wide, [X2Apic, X2Apic], X2APIC, true),
        (&wide, &wide, [Compat, Compat], X2APIC, false),
        (&wide, &wide, [Compat, X2Apic], X2APIC, false),
        (&wide, &wide, [X2Apic, Compat], X2APIC, false),
        (&wide, &narrow, [X2Apic, Compat], X2APIC, true),
        (&wide, &narrow, [Compat, Compat], X2APIC, false),
        (&narrow, &wide, [Compat, X2Apic], COMPAT, false),
    ] {
        let (a, b) = (table(old, made[0]), table(new, made[1]));
        let (a, b) = (a.as_ref(), b.as_ref());
        let changes = Changes::between(a, b, 0, compared);

        assert_eq!(changes.is_none(), comparable && old == new, "{made:?}");
        for request in [
            changes.before_publication(a, b),
            changes.after_grace_period(a, b),
        ] {
            assert_eq!(
                matches!(request, ScanRequest::All(_)),
                !comparable,
                "{old:x?} {new:x?} {made:?}, compared in {compared:?}"
            );
        }
        // Whoever it is, all vectors may be new to it, or lost.
        if !comparable {
            for (request, msis) in [
                (changes.before_publication(a, b), new),
                (changes.after_grace_period(a, b), old),
            ] {
                let vectors = request.vectors();

                assert_eq!(vectors, request.vectors_of(&apic(5, 0)));
                assert!(request.concerns(&apic(5, 0)));
                assert_eq!(
                    vectors,
                    VectorSet::from_words([1 << 0x30, 0, 0, 0]),
                    "{msis:x?}"
                );
            }
        }
    }
}

/// If updates concerned all or none, the properties above would see little.
#[test]
fn generated_updates_concern_some() {
    let updates = property::sample(updates(true));
    let api = |update: &Update| X2ApicApi {
        quirk: update.quirk,
        ..X2APIC
    };
    let concerned = |update: &Update| {
        let Update {
            crowd, old, new, ..
        } = update;

        crowd
            .iter()
            .filter(|id| sends_more(new, old, id, api(update)))
            .count()
    };
    let count = |name, share, is_member: &dyn Fn(&Update) -> bool| {
        let found = updates.iter().filter(|update| is_member(update)).count();

        assert!(
            found * share > updates.len(),
            "{name}: {found} of {}",
            updates.len()
        );
    };

    count("nobody", 10, &|update| concerned(update) == 0);
    count("some", 5, &|update| {
        (1..update.crowd.len()).contains(&concerned(update))
    });
    count("more than a few", 50, &|update| {
        (9..update.crowd.len()).contains(&concerned(update))
    });
    count("large crowd", 20, &|update| update.crowd.len() > 100);
    count("no change", 10, &|update| update.old == update.new);
}
