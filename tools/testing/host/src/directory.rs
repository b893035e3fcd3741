// SPDX-License-Identifier: GPL-2.0

//! What is sent to each name.

use super::{
    property,
    routing::{
        apic::{ApicId, BroadcastQuirk},
        dest::Destination::{self, Logical, Physical},
        directory::{Directory, List, Listing, NoMemory},
        name::Name,
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

/// Returns the names that a destination calls.
fn names(destination: Destination) -> Vec<Name> {
    let mut names = Vec::new();
    let result: Result<(), ()> = destination.names(|name| {
        names.push(name);
        Ok(())
    });

    assert_eq!(result, Ok(()));
    names
}

/// The name of the local APIC with an ID, other than 0xff and 0xffff_ffff.
fn name(id: u32) -> Name {
    match names(Physical(id))[..] {
        [name] => name,
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

/// What is sent to each name, told without hashes. A name has no order, its text has.
#[derive(Default)]
struct Model(BTreeMap<String, VectorSet>);

impl Model {
    fn add(&mut self, name: Name, vectors: &VectorSet) {
        let sent = self.0.entry(format!("{name:?}")).or_default();

        *sent = sent.union(vectors);
    }

    fn get(&self, name: Name) -> VectorSet {
        let sent = self.0.get(&format!("{name:?}"));

        sent.copied().unwrap_or_default()
    }

    /// Returns the names, in their order.
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Returns the names of a directory in the order of [`Model::names`].
fn sorted_names<L: List<Listing>>(directory: &Directory<L>) -> Vec<String> {
    let mut names: Vec<_> = directory.names().map(|name| format!("{name:?}")).collect();

    names.sort_unstable();
    names
}

#[test]
fn empty_directory_sends_nothing() {
    let directory = Directory::<Vec<Listing>>::default();

    for id in [0, 1, 0xfe, 0x100, u32::MAX - 1] {
        assert_eq!(directory.get(name(id)), VectorSet::EMPTY, "{id:#x}");
    }
    assert_eq!(directory.names().count(), 0);
}

/// The number of chains changes at powers of two, and all names are linked anew then.
#[test]
fn all_names_are_found_at_each_size() {
    let ids: Vec<u32> = (0..0xff).chain(0x100..0x300).collect();
    let mut directory = Directory::<Vec<Listing>>::default();

    for (nr, &id) in ids.iter().enumerate() {
        let vectors = |id: u32| set([id as u8, (id >> 2) as u8]);

        assert_eq!(directory.add(name(id), &vectors(id)), Ok(()));
        for &known in &ids[..=nr] {
            assert_eq!(
                directory.get(name(known)),
                vectors(known),
                "{known:#x} of {nr}"
            );
        }
        for &absent in &ids[nr + 1..] {
            assert_eq!(
                directory.get(name(absent)),
                VectorSet::EMPTY,
                "{absent:#x} of {nr}"
            );
        }
        assert_eq!(directory.names().count(), nr + 1);
    }
}

#[test]
fn vectors_of_a_name_add_up() {
    let mut directory = Directory::<Vec<Listing>>::default();

    for vector in 0..=u8::MAX {
        assert_eq!(directory.add(name(7), &set([vector])), Ok(()));
        assert_eq!(directory.get(name(7)), set(0..=vector));
        assert_eq!(directory.names().count(), 1);
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
fn directory_is_a_map() {
    property::check(sends(), |sends| {
        let mut directory = Directory::<Vec<Listing>>::default();
        let mut model = Model::default();

        for &(destination, vector) in &sends {
            prop_assert_eq!(directory.send(destination, vector), Ok(()));
            for name in names(destination) {
                model.add(name, &set([vector]));
            }
        }

        prop_assert_eq!(sorted_names(&directory), model.names());
        for (destination, _) in sends {
            let (Physical(mda) | Logical(mda)) = destination;

            // Also those next to it, of which some are absent.
            for near in [mda, mda ^ 1, mda ^ 0x100, mda ^ 0x1_0000] {
                for name in [Physical(near), Logical(near)].into_iter().flat_map(names) {
                    prop_assert_eq!(directory.get(name), model.get(name), "{:?}", name);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn reaching_is_what_is_sent_to_all_names() {
    property::check((sends(), any::<[u32; 2]>()), |(sends, [id, ldr])| {
        let mut directory = Directory::<Vec<Listing>>::default();

        for &(destination, vector) in &sends {
            prop_assert_eq!(directory.send(destination, vector), Ok(()));
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

                prop_assert_eq!(directory.reaching(&id, quirk), set(accepted));
            }
        }
        Ok(())
    });
}

/// A list that has memory for `MAX` items.
#[derive(Debug)]
struct Limited<const MAX: usize>(Vec<Listing>);

impl<const MAX: usize> Default for Limited<MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<const MAX: usize> Deref for Limited<MAX> {
    type Target = [Listing];

    fn deref(&self) -> &[Listing] {
        &self.0
    }
}

impl<const MAX: usize> DerefMut for Limited<MAX> {
    fn deref_mut(&mut self) -> &mut [Listing] {
        &mut self.0
    }
}

impl<const MAX: usize> List<Listing> for Limited<MAX> {
    fn push(&mut self, listing: Listing) -> Result<(), NoMemory> {
        if self.0.len() >= MAX {
            return Err(NoMemory);
        }
        self.0.push(listing);
        Ok(())
    }
}

fn check_limit<const MAX: usize>() {
    let max = MAX as u32;
    let mut directory = Directory::<Limited<MAX>>::default();

    for id in 0..max {
        assert_eq!(directory.add(name(id), &set([id as u8])), Ok(()));
    }
    for id in max..2 * max + 2 {
        assert_eq!(directory.add(name(id), &set([1])), Err(NoMemory), "{id}");
        assert_eq!(directory.send(Physical(id), 1), Err(NoMemory), "{id}");
    }

    // Those that are there can be found, and get more.
    for id in 0..max {
        assert_eq!(directory.get(name(id)), set([id as u8]), "{id} of {max}");
        assert_eq!(directory.add(name(id), &set([200])), Ok(()), "{id}");
        assert_eq!(directory.get(name(id)), set([id as u8, 200]), "{id}");
    }
    for id in max..2 * max + 2 {
        assert_eq!(directory.get(name(id)), VectorSet::EMPTY, "{id} of {max}");
    }
    assert_eq!(directory.names().count(), MAX);
}

#[test]
fn no_memory_leaves_a_directory_that_works() {
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
struct Counting(Vec<Listing>);

impl Deref for Counting {
    type Target = [Listing];

    fn deref(&self) -> &[Listing] {
        LOOKS.set(LOOKS.get() + 1);
        &self.0
    }
}

impl DerefMut for Counting {
    fn deref_mut(&mut self) -> &mut [Listing] {
        &mut self.0
    }
}

impl List<Listing> for Counting {
    fn push(&mut self, listing: Listing) -> Result<(), NoMemory> {
        self.0.push(listing);
        Ok(())
    }
}

/// Scans take as long with thousands of pins as with one.
#[test]
fn chains_are_short_at_each_size() {
    for nr in [1, 2, 3, 255, 256, 1023, 1024, 1025, 4095, 4096] {
        let mut directory = Directory::<Counting>::default();
        let ids = || (0x1000..0x1000 + nr).map(name);

        for name in ids() {
            assert_eq!(directory.add(name, &set([0])), Ok(()));
        }

        LOOKS.set(0);
        for name in ids() {
            assert_eq!(directory.get(name), set([0]));
        }
        let looks = LOOKS.get();
        assert!(looks <= 6 * nr as usize, "{looks} for {nr} names");
    }
}

/// The property has to see names that are sent several vectors, and directories of many sizes.
#[test]
fn generated_sends_repeat_names() {
    let sends = property::sample(sends());
    let repeating = sends
        .iter()
        .filter(|sends| {
            let mut model = Model::default();

            for &(destination, vector) in *sends {
                names(destination)
                    .into_iter()
                    .for_each(|name| model.add(name, &set([vector])));
            }
            let names = sends
                .iter()
                .flat_map(|&(destination, _)| names(destination));

            model.0.len() >= 16 && model.0.len() + 4 < names.count()
        })
        .count();

    assert!(
        repeating * 4 > sends.len(),
        "{repeating} of {}",
        sends.len()
    );
}
