// SPDX-License-Identifier: GPL-2.0

//! What is sent to each name: a hash table in memory that others provide.

use super::{
    apic::{ApicId, BroadcastQuirk},
    dest::Destination,
    name::Name,
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

/// A name and the vectors that are sent to it.
///
/// Listing number `i` also has the head of chain number `i`, so that there is one list to provide
/// memory for. Chains are numbered by the hash of the names in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    name: Name,
    vectors: VectorSet,
    /// The first listing of the chain with the number of this listing.
    first: u32,
    /// The next listing of the chain that this listing is in.
    next: u32,
}

/// No listing: more than there can be.
const END: u32 = u32::MAX;

/// What is sent to each name.
#[derive(Debug, Default)]
pub(crate) struct Directory<L> {
    listings: L,
    /// One less than the number of chains, which is the highest power of two that is not above the
    /// number of listings.
    mask: usize,
}

impl<L: List<Listing>> Directory<L> {
    /// Returns the number of the listing with `name`, among all `listings`.
    #[inline]
    fn find(listings: &[Listing], mask: usize, name: Name) -> Option<usize> {
        let mut number = listings.get(name.hash() & mask)?.first as usize;

        loop {
            let listing = listings.get(number)?;
            if listing.name == name {
                return Some(number);
            }
            number = listing.next as usize;
        }
    }

    /// Puts a listing at the head of the chain that it belongs to.
    fn link(&mut self, number: usize) {
        let listings = &mut *self.listings;
        let Some(name) = listings.get(number).map(|listing| listing.name) else {
            return;
        };
        let Some(head) = listings.get_mut(name.hash() & self.mask) else {
            return;
        };
        let next = core::mem::replace(&mut head.first, number as u32);

        if let Some(listing) = listings.get_mut(number) {
            listing.next = next;
        }
    }

    fn relink(&mut self, mask: usize) {
        self.mask = mask;
        for listing in self.listings.iter_mut() {
            listing.first = END;
        }
        for number in 0..self.listings.len() {
            self.link(number);
        }
    }

    /// Adds `vectors` to those that are sent to `name`.
    pub(crate) fn add(&mut self, name: Name, vectors: &VectorSet) -> Result<(), NoMemory> {
        let number = Self::find(&self.listings, self.mask, name);

        if let Some(listing) = number.and_then(|number| self.listings.get_mut(number)) {
            listing.vectors = listing.vectors.union(vectors);
            return Ok(());
        }

        self.listings.push(Listing {
            name,
            vectors: *vectors,
            first: END,
            next: END,
        })?;

        let last = self.listings.len().wrapping_sub(1);
        if self.listings.len().is_power_of_two() {
            self.relink(last);
        } else {
            self.link(last);
        }
        Ok(())
    }

    /// Adds `vector` to those that are sent to each name that `destination` calls.
    pub(crate) fn send(&mut self, destination: Destination, vector: u8) -> Result<(), NoMemory> {
        let mut vectors = VectorSet::EMPTY;

        vectors.insert(vector);
        destination.names(|name| self.add(name, &vectors))
    }

    /// Returns the vectors that are sent to `name`.
    pub(crate) fn get(&self, name: Name) -> VectorSet {
        let listings = &*self.listings;

        Self::find(listings, self.mask, name)
            .and_then(|number| listings.get(number))
            .map_or(VectorSet::EMPTY, |listing| listing.vectors)
    }

    /// Returns the vectors that reach a local APIC.
    #[inline]
    pub(crate) fn reaching(&self, id: &ApicId, quirk: BroadcastQuirk) -> VectorSet {
        let (listings, mask) = (&*self.listings, self.mask);
        let mut vectors = VectorSet::EMPTY;

        id.names(quirk, |name| {
            let number = Self::find(listings, mask, name);

            if let Some(listing) = number.and_then(|number| listings.get(number)) {
                vectors = vectors.union(&listing.vectors);
            }
        });
        vectors
    }

    /// Returns the names that something is sent to.
    pub(crate) fn names(&self) -> impl Iterator<Item = Name> + '_ {
        self.listings.iter().map(|listing| listing.name)
    }
}
