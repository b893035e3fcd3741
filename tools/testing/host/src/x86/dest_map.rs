// SPDX-License-Identifier: GPL-2.0

//! Which vectors are sent to each key.

use super::{
    destination::dest_keys,
    property,
    routing::{
        list::{List, NoMemory},
        x86::{
            apic::{ApicId, BroadcastQuirk},
            dest_map::{DestMap, Slot},
            destination::{
                DestKey,
                Destination::{self, Logical, Physical},
            },
            vector::VectorSet,
        },
    },
};
use proptest::{
    collection::vec,
    prelude::{any, Strategy},
    prop_assert_eq, prop_oneof,
};
use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

/// The key of the local APIC with an ID, other than 0xff and 0xffff_ffff.
fn key(id: u32) -> DestKey {
    match dest_keys(Physical(id))[..] {
        [key] => key,
        _ => panic!("{id:#x} is a broadcast"),
    }
}

fn set(vectors: impl IntoIterator<Item = u8>) -> VectorSet {
    let mut set = VectorSet::EMPTY;

    for vector in vectors {
        set.insert(vector);
    }
    set
}

/// What is sent to each key, told without hashes. A key has no order, its text has.
#[derive(Default)]
struct Model(BTreeMap<String, VectorSet>);

impl Model {
    fn add(&mut self, key: DestKey, vector: u8) {
        self.0.entry(format!("{key:?}")).or_default().insert(vector);
    }

    fn take(&mut self, key: DestKey, vector: u8) {
        let key = format!("{key:?}");

        if let Some(vectors) = self.0.get_mut(&key) {
            vectors.remove(vector);
            if vectors.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    fn get(&self, key: DestKey) -> VectorSet {
        let sent = self.0.get(&format!("{key:?}"));

        sent.copied().unwrap_or_default()
    }

    /// Returns the keys, in their order.
    fn keys(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Returns the keys to which a map sends something.
fn keys<L: List<Slot>>(map: &DestMap<L>) -> Vec<DestKey> {
    map.more_than(None).map(|(key, _)| key).collect()
}

/// Returns the keys of a map in the order of [`Model::keys`].
fn sorted_keys<L: List<Slot>>(map: &DestMap<L>) -> Vec<String> {
    let mut keys: Vec<_> = keys(map).iter().map(|key| format!("{key:?}")).collect();

    keys.sort_unstable();
    keys
}

#[test]
fn empty_map_sends_nothing() {
    let map = DestMap::<Vec<Slot>>::default();

    for id in [0, 1, 0xfe, 0x100, u32::MAX - 1] {
        assert_eq!(map.get(key(id)), VectorSet::EMPTY, "{id:#x}");
    }
    assert_eq!(keys(&map).len(), 0);
}

/// Keys find new slots whenever the number of slots doubles.
#[test]
fn all_keys_are_found_at_each_size() {
    let ids: Vec<u32> = (0..0xff).chain(0x100..0x300).collect();
    let mut map = DestMap::<Vec<Slot>>::default();

    for (nr, &id) in ids.iter().enumerate() {
        let vectors = |id: u32| [id as u8, (id >> 2) as u8];

        for vector in vectors(id) {
            assert_eq!(map.add(key(id), vector), Ok(()));
        }
        for &known in &ids[..=nr] {
            assert_eq!(
                map.get(key(known)),
                set(vectors(known)),
                "{known:#x} of {nr}"
            );
        }
        for &absent in &ids[nr + 1..] {
            assert_eq!(
                map.get(key(absent)),
                VectorSet::EMPTY,
                "{absent:#x} of {nr}"
            );
        }
        assert_eq!(keys(&map).len(), nr + 1);
    }
}

#[test]
fn vectors_of_a_key_add_up() {
    let mut map = DestMap::<Vec<Slot>>::default();

    for vector in 0..=u8::MAX {
        assert_eq!(map.add(key(7), vector), Ok(()));
        assert_eq!(map.get(key(7)), set(0..=vector));
        assert_eq!(keys(&map).len(), 1);
    }
}

/// Few IDs often and all kinds of destinations.
fn sends() -> impl Strategy<Value = Vec<(Destination, u8)>> {
    let mdas = || {
        prop_oneof![
            4 => 0..32_u32,
            2 => 0xf0..0x110_u32,
            1 => any::<u32>(),
            1 => proptest::sample::select(vec![0xff, u32::MAX]),
        ]
    };
    let destinations = prop_oneof![
        3 => mdas().prop_map(Physical),
        1 => mdas().prop_map(Logical),
    ];

    vec((destinations, any::<u8>()), 0..40)
}

#[test]
fn dest_map_is_a_map() {
    property::check(sends(), |sends| {
        let mut map = DestMap::<Vec<Slot>>::default();
        let mut model = Model::default();

        for &(destination, vector) in &sends {
            prop_assert_eq!(map.send(destination, vector), Ok(()));
            for key in dest_keys(destination) {
                model.add(key, vector);
            }
        }

        prop_assert_eq!(sorted_keys(&map), model.keys());
        for (destination, _) in sends {
            let (Physical(mda) | Logical(mda)) = destination;

            // Also those next to it, of which some are absent.
            for near in [mda, mda ^ 1, mda ^ 0x100, mda ^ 0x1_0000] {
                for key in [Physical(near), Logical(near)]
                    .into_iter()
                    .flat_map(dest_keys)
                {
                    prop_assert_eq!(map.get(key), model.get(key), "{:?}", key);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn reaching_is_what_is_sent_to_all_keys() {
    property::check((sends(), any::<[u32; 2]>()), |(sends, [id, ldr])| {
        let mut map = DestMap::<Vec<Slot>>::default();

        for &(destination, vector) in &sends {
            prop_assert_eq!(map.send(destination, vector), Ok(()));
        }
        for quirk in [BroadcastQuirk::On, BroadcastQuirk::Off] {
            for id in [
                ApicId::X2Apic { id, ldr },
                ApicId::X2Apic {
                    id: id & 0x1f,
                    ldr: ldr & 0x1f,
                },
            ] {
                let accepted = sends
                    .iter()
                    .filter(|(destination, _)| id.accepts(*destination, quirk))
                    .map(|&(_, vector)| vector);

                prop_assert_eq!(map.reaching(&id, quirk), set(accepted));
            }
        }
        Ok(())
    });
}

/// A list that has memory for `MAX` items.
#[derive(Debug)]
struct Limited<const MAX: usize>(Vec<Slot>);

impl<const MAX: usize> Default for Limited<MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<const MAX: usize> Deref for Limited<MAX> {
    type Target = [Slot];

    fn deref(&self) -> &[Slot] {
        &self.0
    }
}

impl<const MAX: usize> DerefMut for Limited<MAX> {
    fn deref_mut(&mut self) -> &mut [Slot] {
        &mut self.0
    }
}

impl<const MAX: usize> List<Slot> for Limited<MAX> {
    fn push(&mut self, slot: Slot) -> Result<(), NoMemory> {
        if self.0.len() >= MAX {
            return Err(NoMemory);
        }
        self.0.push(slot);
        Ok(())
    }
}

/// Checks a map with memory for `MAX` slots, of which `nr` can be taken.
fn check_limit<const MAX: usize>(nr: u32) {
    let mut map = DestMap::<Limited<MAX>>::default();

    for id in 0..nr {
        assert_eq!(map.add(key(id), id as u8), Ok(()));
    }
    for id in nr..2 * nr + 2 {
        assert_eq!(map.add(key(id), 1), Err(NoMemory), "{id}");
        assert_eq!(map.send(Physical(id), 1), Err(NoMemory), "{id}");
    }

    // Those that are there can be found, and get more.
    for id in 0..nr {
        assert_eq!(map.get(key(id)), set([id as u8]), "{id} of {nr}");
        assert_eq!(map.add(key(id), 200), Ok(()), "{id}");
        assert_eq!(map.get(key(id)), set([id as u8, 200]), "{id}");
    }
    for id in nr..2 * nr + 2 {
        assert_eq!(map.get(key(id)), VectorSet::EMPTY, "{id} of {nr}");
    }
    assert_eq!(keys(&map).len(), nr as usize);
}

/// The number of slots is a power of two, and three quarters of them can be taken.
#[test]
fn no_memory_leaves_a_map_that_works() {
    check_limit::<0>(0);
    check_limit::<1>(0);
    check_limit::<3>(0);
    check_limit::<4>(3);
    check_limit::<7>(3);
    check_limit::<8>(6);
    check_limit::<100>(48);
    check_limit::<127>(48);
    check_limit::<128>(96);
}

/// A slot whose key is gone can be taken again.
#[test]
fn keys_that_come_and_go_need_no_more_memory() {
    let mut map = DestMap::<Limited<4>>::default();

    for id in 0x101..1000 {
        assert_eq!(map.add(key(id), 7), Ok(()), "{id}");
        map.take(key(id - 1), 7);
        assert_eq!(keys(&map), [key(id)]);
    }
}

/// Returns the keys of APIC IDs whose hashes agree with `bits` in those of `mask`.
fn colliding(mask: usize, bits: usize) -> impl Iterator<Item = DestKey> {
    // IDs of compatibility format and those around them are broadcasts, or have more than one key.
    (0x100..)
        .map(key)
        .filter(move |key| key.hash() & mask == bits)
}

/// Keys that userspace may choose so that all of them belong in one slot, here the first and the
/// last one of tables of up to 4096 slots, and that before the last.
fn hostile_keys() -> Vec<DestKey> {
    let mut keys = Vec::new();

    for bits in [0, 0xffe, 0xfff] {
        keys.extend(colliding(0xfff, bits).take(16));
    }
    keys.extend((0..16).map(key));
    keys
}

/// A map is what a `BTreeMap` is, whatever the keys and the order in which they come and go.
#[test]
fn hostile_keys_are_kept_apart() {
    let keys = hostile_keys();
    // Runs of keys that wrap around, and keys of other runs in between. Few vectors, so that keys go.
    let changes = || vec((0..keys.len(), 0..3_u8, 0..3_u8), 0..100);

    property::check((changes(), changes()), |(before, after)| {
        let mut map = DestMap::<Vec<Slot>>::default();
        let mut model = Model::default();
        let mut change = |map: &mut DestMap<_>, (number, vector, kind): (usize, u8, u8)| {
            let key = keys[number];

            if kind == 0 {
                map.take(key, vector);
                model.take(key, vector);
            } else {
                assert_eq!(map.add(key, vector), Ok(()));
                model.add(key, vector);
            }
            assert_eq!(map.get(key), model.get(key), "{key:?}");
        };

        for &step in &before {
            change(&mut map, step);
        }

        let old: Vec<_> = keys.iter().map(|&key| map.get(key)).collect();
        let mut copy = DestMap::<Vec<Slot>>::default();

        assert_eq!(copy.copy(&map), Ok(()));
        for &step in &after {
            change(&mut copy, step);
        }
        prop_assert_eq!(sorted_keys(&copy), model.keys());
        for (&key, &old) in keys.iter().zip(&old) {
            prop_assert_eq!(map.get(key), old, "{:?}", key);
            prop_assert_eq!(copy.get(key), model.get(key), "{:?}", key);
            for (one, other) in [(&map, &copy), (&copy, &map)] {
                let more = one.get(key).difference(&other.get(key));
                let found = one
                    .more_than(Some(other))
                    .find(|(other, _)| *other == key)
                    .map(|(_, vectors)| vectors);

                prop_assert_eq!(found.unwrap_or_default(), more, "{:?}", key);
                prop_assert_eq!(found.is_none(), more.is_empty(), "{:?}", key);
            }
        }
        Ok(())
    });
}

/// As many as there can be routes, all of them in one run, which wraps around.
#[test]
fn thousands_of_colliding_keys() {
    let keys: Vec<_> = colliding(0x1fff, 0x1fff).take(4097).collect();
    let (absent, keys) = keys.split_last().expect("there are keys");
    let mut map = DestMap::<Vec<Slot>>::default();

    for (number, key) in keys.iter().enumerate() {
        assert_eq!(map.add(*key, number as u8), Ok(()));
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(map.get(*key), set([number as u8]), "{number}");
    }
    assert_eq!(map.get(*absent), VectorSet::EMPTY);
    assert_eq!(sorted_keys(&map).len(), keys.len());
}

/// If hostile keys did not collide, the property would see little.
#[test]
fn hostile_keys_collide() {
    for mask in [3, 7, 63, 0xfff] {
        let at = |bits| {
            let keys = hostile_keys();

            keys.iter().filter(|key| key.hash() & mask == bits).count()
        };

        assert!(
            at(0) >= 16 && at(mask) >= 16 && at(mask - 1) >= 16,
            "{mask}"
        );
    }
}

/// The property has to see keys that are sent several vectors, and maps of many sizes.
#[test]
fn generated_sends_repeat_keys() {
    let sends = property::sample(sends());
    let repeating = sends
        .iter()
        .filter(|sends| {
            let mut model = Model::default();

            for &(destination, vector) in *sends {
                dest_keys(destination)
                    .into_iter()
                    .for_each(|key| model.add(key, vector));
            }
            let keys = sends
                .iter()
                .flat_map(|&(destination, _)| dest_keys(destination));

            model.0.len() >= 16 && model.0.len() + 4 < keys.count()
        })
        .count();

    assert!(
        repeating * 4 > sends.len(),
        "{repeating} of {}",
        sends.len()
    );
}
