// SPDX-License-Identifier: GPL-2.0

//! Which vectors the level routes of a table send to a local APIC.
//!
//! A scan asks for those that reach the APIC, and for those that may be in flight by an older
//! table. Both answers come from sets of vectors that are made with the table, so that a scan
//! takes as long with thousands of pins as with one.

use super::{
    apic::{Apic, ApicId, BroadcastQuirk},
    directory::{Directory, List, Listing, NoMemory},
    msi::{Msi, MsiFormat},
    vector::VectorSet,
};

/// How the routes of a VM are to be read at the time of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Where MSIs keep their destination.
    pub(crate) format: MsiFormat,
    /// What destination 0xff means in x2APIC mode.
    pub(crate) quirk: BroadcastQuirk,
}

/// The level routes of the reserved pins of a table.
#[derive(Debug)]
pub(crate) struct Level<M, L> {
    /// All of them, in the order of the table.
    msis: M,
    /// What they send to whom, if destinations are read in `format`.
    directory: Directory<L>,
    format: MsiFormat,
    /// Whether one has another destination in another format.
    depends_on_format: bool,
    /// The vectors that they send.
    vectors: VectorSet,
    /// The vectors that more than one of them sends.
    repeated: VectorSet,
}

impl<M: List<Msi>, L: List<Listing>> Level<M, L> {
    /// Makes it without routes. Destinations will most likely be read in `format`.
    pub(crate) fn new(format: MsiFormat) -> Self {
        Self {
            msis: M::default(),
            directory: Directory::default(),
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
        self.directory.send(msi.destination(self.format), vector)
    }

    /// Returns all routes, in the order in which they were added.
    pub(crate) fn msis(&self) -> &[Msi] {
        &self.msis
    }

    /// Tells whether there are no routes.
    pub(crate) fn is_empty(&self) -> bool {
        self.msis.is_empty()
    }

    /// Returns what is sent to whom if destinations are read in `format`. It is not there if the
    /// VM has changed the format since the table was made, and the table has routes that care.
    #[inline]
    pub(crate) fn directory(&self, format: MsiFormat) -> Option<&Directory<L>> {
        (!self.depends_on_format || self.format == format).then_some(&self.directory)
    }

    /// Returns the vectors of routes whose destination an APIC accepts, or does not accept.
    fn search(&self, id: &ApicId, reading: Reading, accepted: bool) -> VectorSet {
        let mut vectors = VectorSet::EMPTY;

        for msi in self.msis.iter() {
            if id.accepts(msi.destination(reading.format), reading.quirk) == accepted {
                vectors.insert(msi.vector());
            }
        }
        vectors
    }

    /// Returns the vectors that reach a local APIC.
    #[inline]
    pub(crate) fn reaching(&self, id: &ApicId, reading: Reading) -> VectorSet {
        match self.directory(reading.format) {
            Some(directory) => directory.reaching(id, reading.quirk),
            None => self.search(id, reading, true),
        }
    }

    /// Returns the pending vectors of a local APIC that a route sends elsewhere, given those that
    /// are `reaching` it.
    #[inline]
    pub(crate) fn stale(&self, apic: &Apic, reading: Reading, reaching: &VectorSet) -> VectorSet {
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
        stale.union(&doubtful.intersection(&self.search(&apic.id, reading, false)))
    }
}
