// SPDX-License-Identifier: GPL-2.0

//! What is sent to each key.

use super::{
    property,
    routing::{
        apic::{ApicId, BroadcastQuirk},
        dest_map::{DestMap, List, NoMemory, Slot},
        destination::{
            DestKey,
            Destination::{self, Logical, Physical},
        },
        vector::VectorSet,
    },
};
use proptest::{
    collection::vec,
    prelude::{any, Strategy},
    prop_assert_eq, prop_oneof,
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

/// Returns the keys of a destination.
fn keys(destination: Destination) -> Vec<DestKey> {
    let mut keys = Vec::new();
    let result: Result<(), ()> = destination.keys(|key| {
        keys.push(key);
        Ok(())
    });

    assert_eq!(result, Ok(()));
    keys
}

/// The key of the local APIC with an ID, other than 0xff and 0xffff_ffff.
fn key(id: u32) -> DestKey {
    match keys(Physical(id))[..] {
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
    fn add(&mut self, key: DestKey, vectors: &VectorSet) {
        let sent = self.0.entry(format!("{key:?}")).or_default();

        *sent = sent.union(vectors);
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

/// Returns the keys of a map in the order of [`Model::keys`].
fn sorted_keys<L: List<Slot>>(map: &DestMap<L>) -> Vec<String> {
    let mut keys: Vec<_> = map.keys().map(|key| format!("{key:?}")).collect();

    keys.sort_unstable();
    keys
}

#[test]
fn empty_map_sends_nothing() {
    let map = DestMap::<Vec<Slot>>::default();

    for id in [0, 1, 0xfe, 0x100, u32::MAX - 1] {
        assert_eq!(map.get(key(id)), VectorSet::EMPTY, "{id:#x}");
    }
    assert_eq!(map.keys().count(), 0);
}

/// The number of chains changes at powers of two, and all keys are linked anew then.
#[test]
fn all_keys_are_found_at_each_size() {
    let ids: Vec<u32> = (0..0xff).chain(0x100..0x300).collect();
    let mut map = DestMap::<Vec<Slot>>::default();

    for (nr, &id) in ids.iter().enumerate() {
        let vectors = |id: u32| set([id as u8, (id >> 2) as u8]);

        assert_eq!(map.add(key(id), &vectors(id)), Ok(()));
        for &known in &ids[..=nr] {
            assert_eq!(map.get(key(known)), vectors(known), "{known:#x} of {nr}");
        }
        for &absent in &ids[nr + 1..] {
            assert_eq!(
                map.get(key(absent)),
                VectorSet::EMPTY,
                "{absent:#x} of {nr}"
            );
        }
        assert_eq!(map.keys().count(), nr + 1);
    }
}

#[test]
fn vectors_of_a_key_add_up() {
    let mut map = DestMap::<Vec<Slot>>::default();

    for vector in 0..=u8::MAX {
        assert_eq!(map.add(key(7), &set([vector])), Ok(()));
        assert_eq!(map.get(key(7)), set(0..=vector));
        assert_eq!(map.keys().count(), 1);
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
            for key in keys(destination) {
                model.add(key, &set([vector]));
            }
        }

        prop_assert_eq!(sorted_keys(&map), model.keys());
        for (destination, _) in sends {
            let (Physical(mda) | Logical(mda)) = destination;

            // Also those next to it, of which some are absent.
            for near in [mda, mda ^ 1, mda ^ 0x100, mda ^ 0x1_0000] {
                for key in [Physical(near), Logical(near)].into_iter().flat_map(keys) {
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

fn check_limit<const MAX: usize>() {
    let max = MAX as u32;
    let mut map = DestMap::<Limited<MAX>>::default();

    for id in 0..max {
        assert_eq!(map.add(key(id), &set([id as u8])), Ok(()));
    }
    for id in max..2 * max + 2 {
        assert_eq!(map.add(key(id), &set([1])), Err(NoMemory), "{id}");
        assert_eq!(map.send(Physical(id), 1), Err(NoMemory), "{id}");
    }

    // Those that are there can be found, and get more.
    for id in 0..max {
        assert_eq!(map.get(key(id)), set([id as u8]), "{id} of {max}");
        assert_eq!(map.add(key(id), &set([200])), Ok(()), "{id}");
        assert_eq!(map.get(key(id)), set([id as u8, 200]), "{id}");
    }
    for id in max..2 * max + 2 {
        assert_eq!(map.get(key(id)), VectorSet::EMPTY, "{id} of {max}");
    }
    assert_eq!(map.keys().count(), MAX);
}

#[test]
fn no_memory_leaves_a_map_that_works() {
    check_limit::<0>();
    check_limit::<1>();
    check_limit::<2>();
    check_limit::<3>();
    check_limit::<4>();
    check_limit::<7>();
    check_limit::<8>();
    check_limit::<100>();
}

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// A list that counts how often it is looked at.
#[derive(Debug, Default)]
struct Counting(Vec<Slot>);

impl Deref for Counting {
    type Target = [Slot];

    fn deref(&self) -> &[Slot] {
        LOOKS.set(LOOKS.get() + 1);
        &self.0
    }
}

impl DerefMut for Counting {
    fn deref_mut(&mut self) -> &mut [Slot] {
        &mut self.0
    }
}

impl List<Slot> for Counting {
    fn push(&mut self, slot: Slot) -> Result<(), NoMemory> {
        self.0.push(slot);
        Ok(())
    }
}

/// Scans take as long with thousands of pins as with one.
#[test]
fn chains_are_short_at_each_size() {
    for nr in [1, 2, 3, 255, 256, 1023, 1024, 1025, 4095, 4096] {
        let mut map = DestMap::<Counting>::default();
        let ids = || (0x1000..0x1000 + nr).map(key);

        for key in ids() {
            assert_eq!(map.add(key, &set([0])), Ok(()));
        }

        LOOKS.set(0);
        for key in ids() {
            assert_eq!(map.get(key), set([0]));
        }
        let looks = LOOKS.get();
        assert!(looks <= 6 * nr as usize, "{looks} for {nr} keys");
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
                keys(destination)
                    .into_iter()
                    .for_each(|key| model.add(key, &set([vector])));
            }
            let keys = sends.iter().flat_map(|&(destination, _)| keys(destination));

            model.0.len() >= 16 && model.0.len() + 4 < keys.count()
        })
        .count();

    assert!(
        repeating * 4 > sends.len(),
        "{repeating} of {}",
        sends.len()
    );
}
