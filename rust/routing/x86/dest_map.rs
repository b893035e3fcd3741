// SPDX-License-Identifier: GPL-2.0

//! Which vectors are sent to each [`DestKey`]: a hash table in memory that others provide.

use super::super::list::{List, NoMemory};
use super::{
    apic::{ApicId, BroadcastQuirk},
    destination::{DestKey, Destination},
    vector::VectorSet,
};
use core::convert::Infallible;

/// A place for a key and the vectors that are sent to it, none if it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    key: Option<DestKey>,
    vectors: VectorSet,
}

/// The vectors that are sent to each key, compare KVM's `struct kvm_apic_map`.
///
/// A hash table with open addressing: a key is in the slot that its hash chooses or, if that was
/// taken, in the first one behind it that was not. At most three quarters of the slots are taken.
/// A key to which nothing is sent has none.
#[derive(Debug, Default)]
pub(crate) struct DestMap<S> {
    /// The slots, a power of two of them or none. If there was no memory for as many as wanted,
    /// more follow, which are empty and not in use.
    slots: S,
    /// One less than the number of slots in use.
    mask: usize,
    /// The number of slots that are taken.
    taken: usize,
}

impl<S: List<Slot>> DestMap<S> {
    const MIN_SLOTS: usize = 4;

    /// Returns the number of the slot with `key`, or as an error that of the empty slot where it
    /// belongs. If there are no slots, that one is not there either.
    #[inline]
    fn find(slots: &[Slot], mask: usize, key: DestKey) -> Result<usize, usize> {
        let mut number = key.hash() & mask;
        // As not all slots are taken, one is empty before all were visited.
        let mut left = mask;

        loop {
            match slots.get(number).and_then(|slot| slot.key) {
                Some(other) if other == key => return Ok(number),
                Some(_) if left > 0 => number = number.wrapping_add(1) & mask,
                _ => return Err(number),
            }
            left = left.wrapping_sub(1);
        }
    }

    /// Makes it a copy of another one, while it is empty. Returns [`NoMemory`] if there is none.
    pub(crate) fn copy(&mut self, other: &Self) -> Result<(), NoMemory> {
        self.slots.push_all(&other.slots)?;
        self.mask = other.mask;
        self.taken = other.taken;
        Ok(())
    }

    /// Tells whether it has many more slots than its keys need.
    pub(crate) fn is_sparse(&self) -> bool {
        self.slots.len() > Self::MIN_SLOTS && self.taken < self.slots.len() / 8
    }

    /// Returns how many bytes the slots take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Doubles the number of slots. Returns [`NoMemory`], and leaves the keys as they are then, if
    /// there is none.
    fn grow(&mut self) -> Result<(), NoMemory> {
        let old_mask = self.mask;
        let nr_slots = old_mask.wrapping_add(1).wrapping_mul(2);
        let nr_slots = nr_slots.max(Self::MIN_SLOTS);

        while self.slots.len() < nr_slots {
            self.slots.push(Slot::default())?;
        }
        self.mask = nr_slots.wrapping_sub(1);

        // A key must not pass one that is moved later: that would leave an empty slot where a
        // search for it ends. So slots are visited in the order in which keys pass them, beginning
        // behind an empty one. Modulo the old number of slots, a key passes the same ones as
        // before, which have all been visited, and it comes no further than before, as its old slot
        // is empty now.
        let slots = &mut *self.slots;
        let empty = slots.iter().position(|slot| slot.key.is_none());
        let first = empty.map_or(0, |empty| empty.wrapping_add(1));

        for step in 0..=old_mask {
            let Some(old) = slots.get_mut(first.wrapping_add(step) & old_mask) else {
                continue;
            };
            let Some(key) = old.key else { continue };
            let slot = core::mem::take(old);
            let number = Self::find(slots, self.mask, key).unwrap_or_else(|number| number);

            if let Some(new) = slots.get_mut(number) {
                *new = slot;
            }
        }
        Ok(())
    }

    /// Adds a key that is not there yet. It belongs in the empty slot with the given number, if
    /// there are slots.
    fn insert(&mut self, key: DestKey, vector: u8, mut number: usize) -> Result<(), NoMemory> {
        let taken = self.taken.wrapping_add(1);

        if taken.wrapping_mul(4) > self.mask.wrapping_add(1).wrapping_mul(3) {
            self.grow()?;
            number = Self::find(&self.slots, self.mask, key).unwrap_or_else(|number| number);
        }

        let slot = self.slots.get_mut(number).ok_or(NoMemory)?;

        slot.key = Some(key);
        slot.vectors.insert(vector);
        self.taken = taken;
        Ok(())
    }

    /// Adds `vector` to those that are sent to `key`.
    pub(crate) fn add(&mut self, key: DestKey, vector: u8) -> Result<(), NoMemory> {
        let slots = &mut *self.slots;
        let number = match Self::find(slots, self.mask, key) {
            Ok(number) => number,
            Err(number) => return self.insert(key, vector, number),
        };

        if let Some(slot) = slots.get_mut(number) {
            slot.vectors.insert(vector);
        }
        Ok(())
    }

    /// Takes the key out of the slot with the given number.
    fn remove(&mut self, number: usize) {
        let (slots, mask) = (&mut *self.slots, self.mask);
        let mut empty = number;
        let mut next = number;

        // A key behind it, up to the first empty slot, has to move up if it has passed the one that
        // is empty now: if it is at least as far from where it belongs.
        for _ in 0..mask {
            next = next.wrapping_add(1) & mask;
            let Some(slot) = slots.get(next).copied() else {
                break;
            };
            let Some(key) = slot.key else { break };

            if next.wrapping_sub(key.hash()) & mask >= next.wrapping_sub(empty) & mask {
                if let Some(to) = slots.get_mut(empty) {
                    *to = slot;
                }
                empty = next;
            }
        }
        if let Some(last) = slots.get_mut(empty) {
            *last = Slot::default();
        }
        self.taken = self.taken.wrapping_sub(1);
    }

    /// Takes `vector` from those that are sent to `key`.
    pub(crate) fn take(&mut self, key: DestKey, vector: u8) {
        let slots = &mut *self.slots;
        let Ok(number) = Self::find(slots, self.mask, key) else {
            return;
        };

        if let Some(slot) = slots.get_mut(number) {
            slot.vectors.remove(vector);
            if slot.vectors.is_empty() {
                self.remove(number);
            }
        }
    }

    /// Takes `vector` from those that are sent to each key of `destination`.
    pub(crate) fn withdraw(&mut self, destination: Destination, vector: u8) {
        let Ok(()) = destination.keys(|key| {
            self.take(key, vector);
            Ok::<_, Infallible>(())
        });
    }

    /// Adds `vector` to those that are sent to each key of `destination`.
    pub(crate) fn send(&mut self, destination: Destination, vector: u8) -> Result<(), NoMemory> {
        destination.keys(|key| self.add(key, vector))
    }

    /// Returns the vectors that are sent to `key`.
    pub(crate) fn get(&self, key: DestKey) -> VectorSet {
        Self::sent(&self.slots, self.mask, key)
            .copied()
            .unwrap_or_default()
    }

    #[inline]
    fn sent(slots: &[Slot], mask: usize, key: DestKey) -> Option<&VectorSet> {
        let number = Self::find(slots, mask, key).ok()?;

        slots.get(number).map(|slot| &slot.vectors)
    }

    /// Returns the vectors that reach a local APIC.
    #[inline]
    pub(crate) fn reaching(&self, id: &ApicId, quirk: BroadcastQuirk) -> VectorSet {
        let (slots, mask) = (&*self.slots, self.mask);
        let mut vectors = VectorSet::EMPTY;

        id.keys(quirk, |key| {
            if let Some(sent) = Self::sent(slots, mask, key) {
                vectors = vectors.union(sent);
            }
        });
        vectors
    }

    /// Returns the vectors that are sent to `key`, which another map has in the slot with the given
    /// number. One of the other maps before or after has it there too, as a rule.
    #[inline]
    fn sent_near(&self, number: usize, key: DestKey) -> Option<&VectorSet> {
        match self.slots.get(number) {
            Some(slot) if slot.key == Some(key) => Some(&slot.vectors),
            _ => Self::sent(&self.slots, self.mask, key),
        }
    }

    /// Returns the keys to which vectors are sent that `other` does not send to them, and these.
    pub(crate) fn more_than<'a>(
        &'a self,
        other: Option<&'a Self>,
    ) -> impl Iterator<Item = (DestKey, VectorSet)> + 'a {
        (0..self.slots.len()).filter_map(move |number| {
            let slot = self.slots.get(number)?;
            let key = slot.key?;
            let vectors = match other.and_then(|other| other.sent_near(number, key)) {
                Some(others) => slot.vectors.difference(others),
                None => slot.vectors,
            };

            (!vectors.is_empty()).then_some((key, vectors))
        })
    }
}
