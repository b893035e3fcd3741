// SPDX-License-Identifier: GPL-2.0

//! Which vCPUs a new routing table makes scan.

use super::super::list::List;
use super::{
    apic::{ApicId, BroadcastQuirk, X2ApicApi},
    dest_map::{DestMap, Slot},
    destination::DestKey,
    level_routes::{few_changes, LevelRoutes},
    msi::Msi,
    vector::VectorSet,
};
use core::convert::Infallible;

/// Which vCPUs have to scan the routes again before they next enter the guest.
#[derive(Debug)]
pub(crate) enum ScanRequest<'a, S> {
    /// None: EOIs do not depend on what has changed.
    None,
    /// All vCPUs of the VM. What changes for whom is not known, but for the vectors: these are all
    /// that the table sends.
    All(VectorSet),
    /// Those with a key to which one table sends vectors that another one does not.
    Of(AddedVectors<'a, S>),
}

impl<S: List<Slot>> ScanRequest<'_, S> {
    /// Tells whether a vCPU with that local APIC has to scan.
    #[inline]
    pub(crate) fn concerns(&self, id: &ApicId) -> bool {
        match self {
            Self::None => false,
            Self::All(_) => true,
            Self::Of(added) => added.reach(id),
        }
    }

    /// Returns the vectors because of which vCPUs have to.
    pub(crate) fn vectors(&self) -> VectorSet {
        match self {
            Self::None => VectorSet::EMPTY,
            Self::All(vectors) => *vectors,
            Self::Of(added) => added.keys.vectors,
        }
    }

    /// Returns the vectors because of which a vCPU with that local APIC has to.
    pub(crate) fn vectors_of(&self, id: &ApicId) -> VectorSet {
        match self {
            Self::None => VectorSet::EMPTY,
            Self::All(vectors) => *vectors,
            Self::Of(added) => added.sent_to(id),
        }
    }
}

/// Keys to which one table sends vectors that another one does not. They are known one by one if
/// they are few, which saves looking them up in both tables for each vCPU.
#[derive(Clone, Copy, Debug, Default)]
struct Keys {
    few: [Option<DestKey>; Self::FEW],
    /// More than `FEW` if there are too many.
    nr: usize,
    /// What is sent to any of them.
    vectors: VectorSet,
}

impl Keys {
    const FEW: usize = 8;

    /// Adds a key, to which one table sends `vectors` that another one does not.
    fn add(&mut self, key: DestKey, vectors: VectorSet) {
        if vectors.is_empty() || self.few.contains(&Some(key)) {
            return;
        }

        self.vectors = self.vectors.union(&vectors);
        if let Some(free) = self.few.get_mut(self.nr) {
            *free = Some(key);
        }
        self.nr = self.nr.wrapping_add(1);
    }
}

/// Returns the vectors that `map` sends to `key`.
fn sent<S: List<Slot>>(key: DestKey, map: Option<&DestMap<S>>) -> VectorSet {
    map.map(|map| map.get(key)).unwrap_or_default()
}

/// Returns the vectors that `map` sends to `key` and `other` does not.
fn added<S: List<Slot>>(
    key: DestKey,
    map: Option<&DestMap<S>>,
    other: Option<&DestMap<S>>,
) -> VectorSet {
    sent(key, map).difference(&sent(key, other))
}

/// The vectors that one table sends and another one does not.
#[derive(Debug)]
pub(crate) struct AddedVectors<'a, S> {
    keys: &'a Keys,
    map: Option<&'a DestMap<S>>,
    other: Option<&'a DestMap<S>>,
    quirk: BroadcastQuirk,
}

impl<S: List<Slot>> AddedVectors<'_, S> {
    /// Tells whether any of them are sent to a key of a local APIC. Whether the other table sends
    /// them to another key of the APIC is not looked for.
    #[inline]
    pub(crate) fn reach(&self, id: &ApicId) -> bool {
        let mut reach = false;

        match self.keys.few.get(..self.keys.nr) {
            Some(few) => id.keys(self.quirk, |key| reach |= few.contains(&Some(key))),
            None => id.keys(self.quirk, |key| {
                reach |= !added(key, self.map, self.other).is_empty();
            }),
        }
        reach
    }

    /// Returns those that are sent to a key of a local APIC. As above, the other table may send
    /// them to another key.
    fn sent_to(&self, id: &ApicId) -> VectorSet {
        let mut vectors = VectorSet::EMPTY;

        id.keys(self.quirk, |key| {
            vectors = vectors.union(&added(key, self.map, self.other));
        });
        vectors
    }
}

/// What changes for local APICs while a table takes the place of another one.
///
/// An interrupt by an old route may reach a vCPU after the new table was published, one by a new
/// route before the vCPU has heard of it. So scans have to cover both tables from before the
/// publication until the end of the grace period, when no interrupt is in flight by the old one.
/// Before, a vCPU has to learn of what it did not get so far. Afterwards, it may forget what it
/// does not get any more. KVM's C tells all vCPUs of each update, and too late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    gained: Keys,
    lost: Keys,
    /// How destinations were decoded to find out, unless a table has no map for this format.
    api: Option<X2ApicApi>,
}

impl Changes {
    /// Compares two tables, whose destinations are decoded as `api` says, and which begin with
    /// `same_first` routes that are the same.
    pub(crate) fn between<M: List<Msi>, S: List<Slot>>(
        old: Option<&LevelRoutes<M, S>>,
        new: Option<&LevelRoutes<M, S>>,
        same_first: usize,
        api: X2ApicApi,
    ) -> Self {
        let format = api.format;
        let tables = [old, new];
        let [old, new] = tables.map(|routes| routes.and_then(|routes| routes.dest_map(format)));
        let mut changes = Self::default();

        // Without a map for this format, anything may change.
        if tables.map(|routes| routes.is_some()) != [old, new].map(|map| map.is_some()) {
            return changes;
        }
        changes.api = Some(api);

        let [old_msis, new_msis] = tables.map(|routes| routes.map_or(&[][..], LevelRoutes::msis));
        match few_changes(old_msis, new_msis, same_first) {
            Some(changed) => {
                for msi in changed.into_iter().flatten() {
                    let Ok(()) = msi.destination(format).keys(|key| {
                        let [before, after] = [old, new].map(|map| sent(key, map));

                        changes.gained.add(key, after.difference(&before));
                        changes.lost.add(key, before.difference(&after));
                        Ok::<_, Infallible>(())
                    });
                }
            }
            None => {
                for (keys, map, other) in [
                    (&mut changes.gained, new, old),
                    (&mut changes.lost, old, new),
                ] {
                    for (key, vectors) in map.into_iter().flat_map(|map| map.more_than(other)) {
                        keys.add(key, vectors);
                    }
                }
            }
        }
        changes
    }

    /// Tells whether nothing changes for anyone.
    pub(crate) fn is_none(&self) -> bool {
        self.api.is_some() && self.gained.nr == 0 && self.lost.nr == 0
    }

    /// Tells who has to scan both tables before `new` is published in place of `old`.
    pub(crate) fn before_publication<'a, M: List<Msi>, S: List<Slot>>(
        &'a self,
        old: Option<&'a LevelRoutes<M, S>>,
        new: Option<&'a LevelRoutes<M, S>>,
    ) -> ScanRequest<'a, S> {
        self.request(&self.gained, new, old)
    }

    /// Tells who has to scan `new` alone when no interrupt is in flight by `old`. APICs count as with
    /// the broadcast quirk, which may have been on when `old` sent them something.
    pub(crate) fn after_grace_period<'a, M: List<Msi>, S: List<Slot>>(
        &'a self,
        old: Option<&'a LevelRoutes<M, S>>,
        new: Option<&'a LevelRoutes<M, S>>,
    ) -> ScanRequest<'a, S> {
        match self.request(&self.lost, old, new) {
            ScanRequest::Of(lost) => ScanRequest::Of(AddedVectors {
                quirk: BroadcastQuirk::On,
                ..lost
            }),
            request => request,
        }
    }

    /// Returns a request to those with one of `keys`, to which `routes` send more than `other`.
    fn request<'a, M: List<Msi>, S: List<Slot>>(
        &'a self,
        keys: &'a Keys,
        routes: Option<&'a LevelRoutes<M, S>>,
        other: Option<&'a LevelRoutes<M, S>>,
    ) -> ScanRequest<'a, S> {
        let Some(api) = self.api else {
            return ScanRequest::All(routes.map(LevelRoutes::vectors).unwrap_or_default());
        };

        if keys.nr == 0 {
            return ScanRequest::None;
        }
        ScanRequest::Of(AddedVectors {
            keys,
            map: routes.and_then(|routes| routes.dest_map(api.format)),
            other: other.and_then(|other| other.dest_map(api.format)),
            quirk: api.quirk,
        })
    }
}
