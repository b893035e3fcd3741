// SPDX-License-Identifier: GPL-2.0

//! What becomes of a new table, against a model of readers that hold on to older tables; and what has changed
//! in it.

use super::{
    property,
    routing::{
        publication::{count_changed_gsis, is_awaited, is_skipped, Entry, Succession},
        Parity,
    },
};
use proptest::{
    collection::vec, prop_assert, prop_assert_eq, prop_oneof, sample::select, strategy::Strategy,
};
use std::collections::{BTreeMap, BTreeSet};

/// A table: which of four GSIs go where.
type Table = [Option<u8>; 4];

fn keeps(new: &Table, old: &Table) -> bool {
    old.iter()
        .zip(new)
        .all(|(old, new)| old.is_none() || old == new)
}

#[test]
fn c_waits_each_time() {
    assert!(!is_skipped(Parity::On));
    for succession in [Succession::Adds, Succession::Changes] {
        assert!(is_awaited(succession, Parity::On));
    }
}

/// Whatever tables follow one another, a reader that was not waited for delivers nothing that the current
/// table would not, and nothing is waited for if that is not necessary.
#[test]
fn no_reader_brings_back_an_old_route() {
    let targets = || select(vec![None, None, Some(1_u8), Some(2)]);
    let tables = vec((targets(), targets(), targets(), targets()), 1..12);

    property::check(tables, |tables| {
        let mut current: Table = [None; 4];
        let mut read = vec![current];

        for (a, b, c, d) in tables {
            let new = [a, b, c, d];

            if new == current && is_skipped(Parity::Off) {
                continue;
            }
            let succession = if keeps(&new, &current) {
                Succession::Adds
            } else {
                Succession::Changes
            };

            if is_awaited(succession, Parity::Off) {
                prop_assert!(!keeps(&new, &current));
                read.clear();
            }
            current = new;
            read.push(new);
            prop_assert!(read.iter().all(|old| keeps(&current, old)));
        }
        prop_assert!(!read.is_empty());
        Ok(())
    });
}

/// Generates routes, many of which two tables have in common, or have for the same GSI.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let gsi = prop_oneof![4 => 0..4_u32, 1 => select(vec![4095, u32::MAX])];
    let word = || 0..2_u32;
    let target = (word(), word(), word(), word());
    let entry =
        (gsi, 1..3_u32, word(), target).prop_map(|(gsi, kind, flags, (a, b, c, d))| Entry {
            gsi,
            kind,
            flags,
            target: [a, b, c, d],
        });

    vec(entry, 0..12)
}

/// Returns how often each GSI has each route.
fn routes_by_gsi(table: &[Entry]) -> BTreeMap<u32, BTreeMap<String, usize>> {
    let mut by_gsi: BTreeMap<u32, BTreeMap<String, usize>> = BTreeMap::new();

    for entry in table {
        *by_gsi
            .entry(entry.gsi)
            .or_default()
            .entry(format!("{entry:?}"))
            .or_default() += 1;
    }
    by_gsi
}

#[test]
fn gsis_are_counted_that_have_other_routes() {
    let tables = (entries(), entries(), entries()).prop_map(|(kept, old, new)| {
        // What both have is in different places.
        (
            [&kept[..], &old[..]].concat(),
            [&new[..], &kept[..]].concat(),
        )
    });

    property::check(tables, |(mut old, mut new)| {
        let (before, after) = (routes_by_gsi(&old), routes_by_gsi(&new));
        let gsis: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed = gsis
            .into_iter()
            .filter(|gsi| before.get(gsi) != after.get(gsi))
            .count();

        prop_assert_eq!(count_changed_gsis(&mut old, &mut new), changed);
        prop_assert_eq!(count_changed_gsis(&mut old.clone(), &mut old), 0);
        Ok(())
    });
}
