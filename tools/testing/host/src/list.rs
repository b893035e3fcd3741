// SPDX-License-Identifier: GPL-2.0

//! How lists are sorted and searched.

use super::{
    property,
    routing::list::{from_first, sort},
};
use proptest::{
    collection::vec,
    prelude::{any, Strategy},
    prop_assert_eq, prop_oneof,
};

/// The most items that a list has: a route for each GSI.
const MAX_ITEMS: u32 = 4096;

#[test]
fn search_in_lists_of_all_small_sizes() {
    for len in 0..=17u32 {
        let items: Vec<_> = (0..len).collect();

        for first in 0..=len {
            let rest = from_first(&items, |item| *item < first);

            assert_eq!(rest, &items[first as usize..], "{first} of {len}");
        }
    }
}

/// Generates items in any number and order, some of them the same.
fn items() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let numbers = || prop_oneof![3 => 0..3_u32, 1 => any::<u32>()];

    vec((numbers(), numbers()), 0..100)
}

#[test]
fn sort_puts_into_order() {
    property::check(items(), |mut items| {
        let mut expected = items.clone();

        expected.sort();
        sort(&mut items);
        prop_assert_eq!(items, expected);
        Ok(())
    });
}

#[test]
fn sort_of_a_full_list() {
    let item = |number| (number / 16, number % 16);
    let expected: Vec<_> = (0..MAX_ITEMS).map(item).collect();

    for step in [1, 7, MAX_ITEMS / 2 + 1, MAX_ITEMS - 1] {
        // In order, backwards, and in between.
        let mut items: Vec<_> = (0..MAX_ITEMS)
            .map(|number| item(number * step % MAX_ITEMS))
            .collect();

        sort(&mut items);
        assert!(items == expected, "{step}");
    }
}
