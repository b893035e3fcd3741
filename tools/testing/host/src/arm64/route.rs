// SPDX-License-Identifier: GPL-2.0

//! Which GSIs hear of the end of a pin.

use super::{
    property,
    routing::{
        arm64::route::{gsis, is_routed, PinRoute},
        list::sort,
    },
};
use proptest::{
    collection::btree_map,
    prelude::{any, Strategy},
    prop_assert_eq, prop_oneof,
};
use std::collections::BTreeMap;

/// Generates tables, many routes of which lead to the same pin: the pin of each GSI.
fn tables() -> impl Strategy<Value = BTreeMap<u32, u32>> {
    let numbers = || prop_oneof![6 => 0..4_u32, 1 => 4..988_u32, 1 => any::<u32>()];

    btree_map(numbers(), numbers(), 0..24)
}

#[test]
fn all_gsis_of_a_pin_hear_of_its_end() {
    property::check((tables(), any::<bool>()), |(table, backwards)| {
        let mut routes: Vec<_> = table
            .iter()
            .map(|(&gsi, &pin)| PinRoute { pin, gsi })
            .collect();

        if backwards {
            routes.reverse();
        }
        sort(&mut routes);
        for pin in (0..6).chain(table.values().copied()) {
            let expected: Vec<_> = table
                .iter()
                .filter(|(_, other)| **other == pin)
                .map(|(&gsi, _)| gsi)
                .collect();

            prop_assert_eq!(gsis(&routes, pin).collect::<Vec<_>>(), expected);
            for gsi in (0..6).chain(table.keys().copied()) {
                prop_assert_eq!(is_routed(&routes, pin, gsi), table.get(&gsi) == Some(&pin));
            }
        }
        Ok(())
    });
}

#[test]
fn order_is_that_of_pins_and_then_gsis() {
    for (lower, higher) in [
        ([0, 0], [0, 1]),
        ([0, u32::MAX], [1, 0]),
        ([0xff, 9], [0x100, 0]),
        ([i32::MAX as u32, 9], [i32::MAX as u32 + 1, 0]),
    ] {
        let route = |[pin, gsi]: [u32; 2]| PinRoute { pin, gsi };

        assert!(route(lower) < route(higher), "{lower:?} {higher:?}");
    }
}
