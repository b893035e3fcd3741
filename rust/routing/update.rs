// SPDX-License-Identifier: GPL-2.0

//! What a new routing table makes KVM recompute.

use super::{
    apic::{ApicId, BroadcastQuirk},
    directory::{Directory, List, Listing},
    level::{Level, Reading},
    msi::{Msi, MsiFormat},
    name::Name,
    rules::Rules,
};

/// Which vCPUs have to scan the routes again before they next enter the guest.
#[derive(Debug)]
pub(crate) enum ScanRequest<'a, L> {
    /// None: EOIs do not depend on what has changed.
    None,
    /// All vCPUs of the VM.
    All,
    /// Those with a name to which one table sends more than another one.
    Of(Excess<'a, L>),
}

/// Tells who has to scan right after a table was published. With [`Rules::Documented`] all is done
/// before and after, see [`Changes`].
pub(crate) fn after_publication<L>(rules: Rules, split: bool) -> ScanRequest<'static, L> {
    match rules {
        Rules::C if split => ScanRequest::All,
        Rules::C | Rules::Documented => ScanRequest::None,
    }
}

/// Tells who has to scan after the reading of all routes has changed (KVM_CAP_X2APIC_API). KVM's C
/// goes on with what was found before.
pub(crate) fn after_reading_changed<L>(rules: Rules, split: bool) -> ScanRequest<'static, L> {
    match rules {
        Rules::Documented if split => ScanRequest::All,
        Rules::C | Rules::Documented => ScanRequest::None,
    }
}

/// Names to which one table sends more than another one. They are known one by one if they are
/// few, which saves looking them up in both tables for each vCPU.
#[derive(Clone, Copy, Debug, Default)]
struct Names {
    few: [Name; Self::FEW],
    /// More than `FEW` if there are too many.
    nr: usize,
}

impl Names {
    const FEW: usize = 8;

    /// Returns the names that get more from `here` than from `there`.
    fn new<L: List<Listing>>(here: Option<&Directory<L>>, there: Option<&Directory<L>>) -> Self {
        let mut names = Self::default();

        for name in here.into_iter().flat_map(Directory::names) {
            if gets_more(name, here, there) {
                if let Some(free) = names.few.get_mut(names.nr) {
                    *free = name;
                }
                names.nr = names.nr.wrapping_add(1);
            }
        }
        names
    }
}

/// Tells whether more is sent to `name` from `here` than from `there`.
fn gets_more<L: List<Listing>>(
    name: Name,
    here: Option<&Directory<L>>,
    there: Option<&Directory<L>>,
) -> bool {
    let sent = |directory: Option<&Directory<L>>| directory.map(|directory| directory.get(name));

    !sent(here)
        .unwrap_or_default()
        .difference(&sent(there).unwrap_or_default())
        .is_empty()
}

/// What one table sends, and another one does not.
#[derive(Debug)]
pub(crate) struct Excess<'a, L> {
    names: &'a Names,
    here: Option<&'a Directory<L>>,
    there: Option<&'a Directory<L>>,
    quirk: BroadcastQuirk,
}

impl<L: List<Listing>> Excess<'_, L> {
    /// Tells whether a local APIC answers to a name that gets any of it. What it got by another of
    /// its names before is not looked for.
    #[inline]
    pub(crate) fn reaches(&self, id: &ApicId) -> bool {
        let mut reaches = false;

        match self.names.few.get(..self.names.nr) {
            Some(few) => id.names(self.quirk, |name| reaches |= few.contains(&name)),
            None => id.names(self.quirk, |name| {
                reaches |= gets_more(name, self.here, self.there);
            }),
        }
        reaches
    }
}

/// What changes for local APICs while a table takes the place of another one.
///
/// An interrupt by an old route may reach a vCPU after the new table was published, one by a new
/// route before the vCPU has heard of it. So scans have to cover both tables from before the
/// publication until no interrupt is in flight by the old one. Before, a vCPU has to learn of what
/// it did not get so far. Afterwards, it may forget what it does not get any more. KVM's C tells
/// all vCPUs of each update, and too late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changes {
    gained: Names,
    lost: Names,
    /// How destinations were read to find out, unless a table cannot be read in this way.
    format: Option<MsiFormat>,
}

impl Changes {
    /// Compares two tables, whose destinations are read in `format`.
    pub(crate) fn between<M: List<Msi>, L: List<Listing>>(
        old: Option<&Level<M, L>>,
        new: Option<&Level<M, L>>,
        format: MsiFormat,
    ) -> Self {
        let readable = [old, new]
            .into_iter()
            .flatten()
            .all(|level| level.directory(format).is_some());
        let old = old.and_then(|level| level.directory(format));
        let new = new.and_then(|level| level.directory(format));

        Self {
            gained: Names::new(new, old),
            lost: Names::new(old, new),
            format: readable.then_some(format),
        }
    }

    /// Tells whether nothing changes for anyone.
    pub(crate) fn is_none(&self) -> bool {
        self.format.is_some() && self.gained.nr == 0 && self.lost.nr == 0
    }

    /// Tells who has to scan both tables before `new` is published in place of `old`.
    pub(crate) fn before_publication<'a, M: List<Msi>, L: List<Listing>>(
        &'a self,
        old: Option<&'a Level<M, L>>,
        new: Option<&'a Level<M, L>>,
        reading: Reading,
    ) -> ScanRequest<'a, L> {
        self.request(&self.gained, new, old, reading)
    }

    /// Tells who has to scan `new` alone when no interrupt is in flight by `old`.
    pub(crate) fn after_grace_period<'a, M: List<Msi>, L: List<Listing>>(
        &'a self,
        old: Option<&'a Level<M, L>>,
        new: Option<&'a Level<M, L>>,
        reading: Reading,
    ) -> ScanRequest<'a, L> {
        self.request(&self.lost, old, new, reading)
    }

    fn request<'a, M: List<Msi>, L: List<Listing>>(
        &'a self,
        names: &'a Names,
        here: Option<&'a Level<M, L>>,
        there: Option<&'a Level<M, L>>,
        reading: Reading,
    ) -> ScanRequest<'a, L> {
        let Reading { format, quirk } = reading;

        if self.format != Some(format) {
            ScanRequest::All
        } else if names.nr == 0 {
            ScanRequest::None
        } else {
            ScanRequest::Of(Excess {
                names,
                here: here.and_then(|level| level.directory(format)),
                there: there.and_then(|level| level.directory(format)),
                quirk,
            })
        }
    }
}
