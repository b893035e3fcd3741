// SPDX-License-Identifier: GPL-2.0

//! What becomes of a new table, against a model of readers that hold on to older tables.

use super::{
    property,
    routing::{
        publication::{publication, Publication, Succession},
        Parity,
    },
};
use proptest::{collection::vec, prop_assert, sample::select};

/// A table: which of four GSIs go where.
type Table = [Option<u8>; 4];

fn succession(old: &Table, new: &Table) -> Succession {
    if old == new {
        return Succession::Same;
    }
    if old
        .iter()
        .zip(new)
        .all(|(old, new)| old.is_none() || old == new)
    {
        return Succession::Adds;
    }
    Succession::Changes
}

#[test]
fn c_waits_each_time() {
    for succession in [Succession::Same, Succession::Adds, Succession::Changes] {
        assert_eq!(publication(succession, Parity::On), Publication::Awaited);
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

            match publication(succession(&current, &new), Parity::Off) {
                Publication::Skipped => prop_assert!(new == current),
                Publication::Unawaited => {
                    prop_assert!(new != current);
                    current = new;
                    read.push(new);
                }
                Publication::Awaited => {
                    prop_assert!(current
                        .iter()
                        .zip(new)
                        .any(|(old, new)| old.is_some() && *old != new));
                    current = new;
                    read = vec![new];
                }
            }
            for old in &read {
                for (old, now) in old.iter().zip(current) {
                    prop_assert!(old.is_none() || *old == now);
                }
            }
        }
        Ok(())
    });
}
