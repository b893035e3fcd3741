// SPDX-License-Identifier: GPL-2.0

//! Which vectors are sent to each [`DestKey`]: a hash table in memory that others provide.

use super::{
    apic::{ApicId, BroadcastQuirk},
    destination::{DestKey, Destination},
    vector::VectorSet,
};
use core::ops::DerefMut;

/// There is no memory for one more item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// A list that grows. Where its memory comes from is not the core's business.
pub(crate) trait List<T>: Default + DerefMut<Target = [T]> {
    /// Adds an item at the end. Returns [`NoMemory`], and changes nothing then, if there is none.
    fn push(&mut self, item: T) -> Result<(), NoMemory>;
}

/// A key and the vectors that are sent to it.
///
/// Slot number `i` also has the head of chain number `i`, so that there is one list to provide
/// memory for. Chains are numbered by the hash of the keys in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    key: DestKey,
    vectors: VectorSet,
    /// The first slot of the chain with the number of this slot.
    first: u32,
    /// The next slot of the chain that this slot is in.
    next: u32,
}

/// No slot: more than there can be.
const END: u32 = u32::MAX;

/// The vectors that are sent to each key, compare KVM's `struct kvm_apic_map`.
#[derive(Debug, Default)]
pub(crate) struct DestMap<L> {
    slots: L,
    /// One less than the number of chains, which is the highest power of two that is not above the
    /// number of slots.
    mask: usize,
}

impl<L: List<Slot>> DestMap<L> {
    /// Returns the number of the slot with `key`, among all `slots`.
    #[inline]
    fn find(slots: &[Slot], mask: usize, key: DestKey) -> Option<usize> {
        let mut number = slots.get(key.hash() & mask)?.first as usize;

        loop {
            let slot = slots.get(number)?;
            if slot.key == key {
                return Some(number);
            }
            number = slot.next as usize;
        }
    }

    /// Puts a slot at the head of the chain that it belongs to.
    fn link(&mut self, number: usize) {
        let slots = &mut *self.slots;
        let Some(key) = slots.get(number).map(|slot| slot.key) else {
            return;
        };
        let Some(head) = slots.get_mut(key.hash() & self.mask) else {
            return;
        };
        let next = core::mem::replace(&mut head.first, number as u32);

        if let Some(slot) = slots.get_mut(number) {
            slot.next = next;
        }
    }

    fn relink(&mut self, mask: usize) {
        self.mask = mask;
        for slot in self.slots.iter_mut() {
            slot.first = END;
        }
        for number in 0..self.slots.len() {
            self.link(number);
        }
    }

    /// Adds `vectors` to those that are sent to `key`.
    pub(crate) fn add(&mut self, key: DestKey, vectors: &VectorSet) -> Result<(), NoMemory> {
        let number = Self::find(&self.slots, self.mask, key);

        if let Some(slot) = number.and_then(|number| self.slots.get_mut(number)) {
            slot.vectors = slot.vectors.union(vectors);
            return Ok(());
        }

        self.slots.push(Slot {
            key,
            vectors: *vectors,
            first: END,
            next: END,
        })?;

        let last = self.slots.len().wrapping_sub(1);
        if self.slots.len().is_power_of_two() {
            self.relink(last);
        } else {
            self.link(last);
        }
        Ok(())
    }

    /// Adds `vector` to those that are sent to each key of `destination`.
    pub(crate) fn send(&mut self, destination: Destination, vector: u8) -> Result<(), NoMemory> {
        let mut vectors = VectorSet::EMPTY;

        vectors.insert(vector);
        destination.keys(|key| self.add(key, &vectors))
    }

    /// Returns the vectors that are sent to `key`.
    pub(crate) fn get(&self, key: DestKey) -> VectorSet {
        let slots = &*self.slots;

        Self::find(slots, self.mask, key)
            .and_then(|number| slots.get(number))
            .map_or(VectorSet::EMPTY, |slot| slot.vectors)
    }

    /// Returns the vectors that reach a local APIC.
    #[inline]
    pub(crate) fn reaching(&self, id: &ApicId, quirk: BroadcastQuirk) -> VectorSet {
        let (slots, mask) = (&*self.slots, self.mask);
        let mut vectors = VectorSet::EMPTY;

        id.keys(quirk, |key| {
            let number = Self::find(slots, mask, key);

            if let Some(slot) = number.and_then(|number| slots.get(number)) {
                vectors = vectors.union(&slot.vectors);
            }
        });
        vectors
    }

    /// Returns the keys to which vectors are sent.
    pub(crate) fn keys(&self) -> impl Iterator<Item = DestKey> + '_ {
        self.slots.iter().map(|slot| slot.key)
    }
}
