// SPDX-License-Identifier: GPL-2.0

//! Which vectors the level routes of a table send to a local APIC.
//!
//! A scan asks for those that reach the APIC, and for those that may be in flight by an older
//! table. Both answers come from sets of vectors that are made with the table, so that a scan
//! takes as long with thousands of pins as with one.

use super::super::list::{List, NoMemory};
use super::{
    apic::{Apic, ApicId, X2ApicApi},
    dest_map::{DestMap, Slot},
    msi::{Msi, MsiFormat},
    vector::VectorSet,
};

/// If more routes than that come or go, it is as if all did.
const FEW_CHANGES: usize = 8;

/// Returns the routes that are in one table and not in the other, those of `old` and those of `new`,
/// if they are few: what is left without the routes that both begin and end with. They are known to
/// begin with `same_first` that are the same.
pub(crate) fn few_changes<'a>(
    old: &'a [Msi],
    new: &'a [Msi],
    same_first: usize,
) -> Option<[&'a [Msi]; 2]> {
    let [mut old, mut new] = [old, new].map(|msis| msis.get(same_first..).unwrap_or_default());

    while let ([a, old_rest @ ..], [b, new_rest @ ..]) = (old, new) {
        if a != b {
            break;
        }
        [old, new] = [old_rest, new_rest];
    }
    while let ([old_rest @ .., a], [new_rest @ .., b]) = (old, new) {
        if a != b {
            break;
        }
        [old, new] = [old_rest, new_rest];
    }
    (old.len().max(new.len()) <= FEW_CHANGES).then_some([old, new])
}

/// The level routes of the reserved pins of a table.
#[derive(Debug)]
pub(crate) struct LevelRoutes<M, S> {
    /// All of them, in the order of the table.
    msis: M,
    /// What they send to whom, if destinations are decoded in `format`.
    dest_map: DestMap<S>,
    format: MsiFormat,
    /// Whether one has another destination in another format.
    depends_on_format: bool,
    /// The vectors that they send.
    vectors: VectorSet,
    /// The vectors that more than one of them sends.
    repeated: VectorSet,
}

impl<M: List<Msi>, S: List<Slot>> LevelRoutes<M, S> {
    /// Makes it without routes. Destinations will most likely be decoded in `format`.
    pub(crate) fn new(format: MsiFormat) -> Self {
        Self {
            msis: M::default(),
            dest_map: DestMap::default(),
            format,
            depends_on_format: false,
            vectors: VectorSet::EMPTY,
            repeated: VectorSet::EMPTY,
        }
    }

    /// Adds the first `nr` routes of another table, to begin with. They are not sent before
    /// [`Self::send`]. Returns [`NoMemory`] if there is none, and is of no use then.
    pub(crate) fn add_first(&mut self, nr: usize, other: &Self) -> Result<(), NoMemory> {
        self.msis.push_all(other.msis.get(..nr).unwrap_or_default())
    }

    /// Adds a route, as above.
    pub(crate) fn add(&mut self, msi: Msi) -> Result<(), NoMemory> {
        self.msis.push(msi)
    }

    /// Sends all routes once they are there, given those of the table before, which begins with
    /// `same_first` routes that are the same. Returns [`NoMemory`] if there is none, and is of no use
    /// then.
    pub(crate) fn send(&mut self, old: Option<&Self>, same_first: usize) -> Result<(), NoMemory> {
        for msi in self.msis.iter() {
            let vector = msi.vector();

            if self.vectors.contains(vector) {
                self.repeated.insert(vector);
            }
            self.vectors.insert(vector);
            self.depends_on_format |= msi.depends_on_format();
        }

        let (msis, dest_map, format) = (&*self.msis, &mut self.dest_map, self.format);
        let mut unsent = msis;
        let mut withdrawn = VectorSet::EMPTY;

        let similar = old.and_then(|old| {
            let map = old.dest_map(format).filter(|map| !map.is_sparse())?;

            Some((map, few_changes(&old.msis, msis, same_first)?))
        });
        if let Some((map, [gone, come])) = similar {
            dest_map.copy(map)?;
            for msi in gone {
                dest_map.withdraw(msi.destination(format), msi.vector());
                withdrawn.insert(msi.vector());
            }
            unsent = come;
        }
        for msi in unsent {
            dest_map.send(msi.destination(format), msi.vector())?;
        }

        // Another route may send such a vector to the same key.
        let withdrawn = withdrawn.intersection(&self.vectors);
        if !withdrawn.is_empty() {
            for msi in msis.iter().filter(|msi| withdrawn.contains(msi.vector())) {
                dest_map.send(msi.destination(format), msi.vector())?;
            }
        }
        Ok(())
    }

    /// Returns all routes, in the order in which they were added.
    pub(crate) fn msis(&self) -> &[Msi] {
        &self.msis
    }

    /// Returns the vectors that they send.
    pub(crate) fn vectors(&self) -> VectorSet {
        self.vectors
    }

    /// Returns how many bytes it takes apart from itself, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.msis()).wrapping_add(self.dest_map.bytes())
    }

    /// Returns what is sent to whom if destinations are decoded in `format`. It is not there if the
    /// VM has changed the format since the table was made, and a destination depends on it.
    #[inline]
    pub(crate) fn dest_map(&self, format: MsiFormat) -> Option<&DestMap<S>> {
        (!self.depends_on_format || self.format == format).then_some(&self.dest_map)
    }

    /// Returns the vectors of routes whose destination an APIC accepts, or does not accept.
    fn search(&self, id: &ApicId, api: X2ApicApi, accepted: bool) -> VectorSet {
        let mut vectors = VectorSet::EMPTY;

        for msi in self.msis.iter() {
            if id.accepts(msi.destination(api.format), api.quirk) == accepted {
                vectors.insert(msi.vector());
            }
        }
        vectors
    }

    /// Returns the vectors that reach a local APIC.
    #[inline]
    pub(crate) fn reaching(&self, id: &ApicId, api: X2ApicApi) -> VectorSet {
        match self.dest_map(api.format) {
            Some(dest_map) => dest_map.reaching(id, api.quirk),
            None => self.search(id, api, true),
        }
    }

    /// Returns the pending vectors of a local APIC that a route sends elsewhere, given those that
    /// are `reaching` it.
    #[inline]
    pub(crate) fn stale(&self, apic: &Apic, api: X2ApicApi, reaching: &VectorSet) -> VectorSet {
        let pending = apic.pending_eoi.intersection(&self.vectors);
        if pending.is_empty() {
            return VectorSet::EMPTY;
        }
        let stale = pending.difference(reaching);

        // If one route brings a vector here, another one may still send it elsewhere. Few tables
        // have such a vector, and seldom is it pending.
        let doubtful = pending.intersection(reaching).intersection(&self.repeated);
        if doubtful.is_empty() {
            return stale;
        }
        stale.union(&doubtful.intersection(&self.search(&apic.id, api, false)))
    }
}
