// SPDX-License-Identifier: GPL-2.0

//! What a local APIC answers to, and what a destination calls.
//!
//! A destination reaches a local APIC if it calls one of the APIC's names, and there are few
//! names to an APIC: its ID, a bit of its logical ID, the broadcasts. So whoever knows what is
//! sent to each name need not look at destinations at all. [`ApicId::accepts`] says the same
//! about one destination and one APIC.

use super::{
    apic::{ApicId, BroadcastQuirk, LogicalModel, X2APIC_BROADCAST, XAPIC_BROADCAST},
    dest::Destination,
};

/// Something that a local APIC answers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name(u64);

impl Name {
    /// All local APICs in xAPIC mode; also those in x2APIC mode, with [`BroadcastQuirk::On`].
    const ALL_XAPICS: Self = Self::new(0, 0);

    /// All local APICs in x2APIC mode.
    const ALL_X2APICS: Self = Self::new(0, 1);

    const fn new(kind: u32, number: u32) -> Self {
        Self((kind as u64) << 32 | number as u64)
    }

    /// An APIC ID.
    const fn physical(id: u32) -> Self {
        Self::new(1, id)
    }

    /// One of the eight bits of logical IDs in the flat model.
    const fn flat(bit: u32) -> Self {
        Self::new(2, bit)
    }

    /// One of the four bits of logical IDs in a cluster of the cluster model.
    const fn cluster(cluster: u32, bit: u32) -> Self {
        Self::new(3, cluster << 2 | bit)
    }

    /// One of the 16 bits of logical IDs in a cluster of x2APIC mode.
    const fn x2apic(cluster: u32, bit: u32) -> Self {
        Self::new(4, cluster << 4 | bit)
    }

    /// Returns a number in which names differ as much in low bits as they can.
    #[inline]
    pub(crate) const fn hash(self) -> usize {
        // The golden ratio, as for other hash tables. High bits depend on all bits.
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }
}

/// Returns the numbers of the bits that are set, lowest first.
#[inline]
fn bits(mut word: u32) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros());

        word &= word.wrapping_sub(1);
        bit
    })
}

impl Destination {
    /// Passes on each name that the destination calls, in any mode of an APIC, until one is
    /// refused.
    #[inline]
    pub(crate) fn names<E>(self, mut call: impl FnMut(Name) -> Result<(), E>) -> Result<(), E> {
        let (Self::Physical(mda) | Self::Logical(mda)) = self;

        match mda {
            XAPIC_BROADCAST => call(Name::ALL_XAPICS)?,
            X2APIC_BROADCAST => call(Name::ALL_X2APICS)?,
            _ => (),
        }

        match self {
            Self::Physical(id) => call(Name::physical(id)),
            Self::Logical(mda) => {
                bits(mda & 0xff).try_for_each(|bit| call(Name::flat(bit)))?;
                if mda <= 0xff {
                    bits(mda & 0xf).try_for_each(|bit| call(Name::cluster(mda >> 4, bit)))?;
                }
                bits(mda & 0xffff).try_for_each(|bit| call(Name::x2apic(mda >> 16, bit)))
            }
        }
    }
}

impl ApicId {
    /// Passes on each name that the local APIC answers to.
    #[inline]
    pub(crate) fn names(&self, quirk: BroadcastQuirk, mut answer: impl FnMut(Name)) {
        match *self {
            Self::XApic {
                id,
                initial_id,
                logical_id,
                model,
            } => {
                let logical_id = u32::from(logical_id);

                answer(Name::ALL_XAPICS);
                answer(Name::physical(u32::from(id)));
                if initial_id > 0xff {
                    answer(Name::physical(initial_id));
                }
                match model {
                    LogicalModel::Flat => bits(logical_id).for_each(|bit| answer(Name::flat(bit))),
                    LogicalModel::Cluster => bits(logical_id & 0xf)
                        .for_each(|bit| answer(Name::cluster(logical_id >> 4, bit))),
                    LogicalModel::Reserved => (),
                }
            }
            Self::X2Apic { id, ldr } => {
                answer(Name::ALL_X2APICS);
                if quirk == BroadcastQuirk::On {
                    answer(Name::ALL_XAPICS);
                }
                answer(Name::physical(id));
                bits(ldr & 0xffff).for_each(|bit| answer(Name::x2apic(ldr >> 16, bit)));
            }
        }
    }
}
