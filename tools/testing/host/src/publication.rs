// SPDX-License-Identifier: GPL-2.0

//! What becomes of a new table, against a model of readers that hold on to older tables.

use super::{
    property,
    routing::{
        publication::{is_awaited, is_skipped, Succession},
        Parity,
    },
};
use proptest::{collection::vec, prop_assert, sample::select};

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
