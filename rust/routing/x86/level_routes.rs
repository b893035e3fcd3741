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

    /// Adds a route. Returns [`NoMemory`] if there is none, and is of no use then.
    pub(crate) fn add(&mut self, msi: Msi) -> Result<(), NoMemory> {
        let vector = msi.vector();

        self.msis.push(msi)?;
        if self.vectors.contains(vector) {
            self.repeated.insert(vector);
        }
        self.vectors.insert(vector);
        self.depends_on_format |=
            msi.destination(MsiFormat::Compat) != msi.destination(MsiFormat::X2Apic);
        self.dest_map.send(msi.destination(self.format), vector)
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

    /// Tells whether there are no routes.
    pub(crate) fn is_empty(&self) -> bool {
        self.msis.is_empty()
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
