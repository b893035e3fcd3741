// SPDX-License-Identifier: GPL-2.0

//! Destinations of interrupts, and the keys by which local APICs are found.
//!
//! A destination reaches a local APIC if the two have a [`DestKey`] in common, and an APIC has few
//! keys: its ID, the bits of its logical ID, the broadcasts. So whoever knows what is sent to each
//! key need not look at destinations at all. [`ApicId::accepts`] says the same about one
//! destination and one APIC.

use super::apic::{ApicId, BroadcastQuirk, LogicalModel, X2APIC_BROADCAST, XAPIC_BROADCAST};
use core::num::NonZero;

/// A message destination address (MDA) together with the destination mode that gives it its
/// meaning (Intel SDM volume 3, "Determining IPI Destination"): 8 bits in compatibility format, 32
/// bits in x2APIC format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The APIC ID of one CPU, or a broadcast.
    Physical(u32),
    /// A set of CPUs, matched against the logical ID of each one.
    Logical(u32),
}

/// What a destination and a local APIC are matched by: an APIC ID, a bit of a logical ID, or a
/// broadcast.
///
/// Never 0, so that `Option<DestKey>` takes no more memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DestKey(NonZero<u64>);

impl DestKey {
    /// All local APICs in xAPIC mode; also those in x2APIC mode, with [`BroadcastQuirk::On`].
    const XAPIC_BROADCAST: Self = Self::new(1, 0);

    /// All local APICs in x2APIC mode.
    const X2APIC_BROADCAST: Self = Self::new(1, 1);

    /// Makes a key of a kind, which is not 0.
    const fn new(kind: u32, number: u32) -> Self {
        match NonZero::new((kind as u64) << 32 | number as u64) {
            Some(key) => Self(key),
            None => Self(NonZero::<u64>::MIN),
        }
    }

    /// An APIC ID.
    pub(super) const fn physical(id: u32) -> Self {
        Self::new(2, id)
    }

    /// One of the eight bits of logical IDs in the flat model.
    pub(super) const fn flat(bit: u32) -> Self {
        Self::new(3, bit)
    }

    /// One of the four bits of logical IDs in a cluster of the cluster model.
    pub(super) const fn cluster(cluster: u32, bit: u32) -> Self {
        Self::new(4, cluster << 2 | bit)
    }

    /// One of the 16 bits of logical IDs in a cluster of x2APIC mode.
    const fn x2apic(cluster: u32, bit: u32) -> Self {
        Self::new(5, cluster << 4 | bit)
    }

    /// Tells whether it is an APIC ID.
    pub(super) const fn is_physical(self) -> bool {
        self.0.get() >> 32 == 2
    }

    /// Tells whether it is part of a logical ID in xAPIC mode.
    pub(super) const fn is_xapic_logical(self) -> bool {
        matches!(self.0.get() >> 32, 3 | 4)
    }

    /// Returns the key whose number is greater by `more`.
    pub(super) const fn plus(self, more: u32) -> Self {
        Self(self.0.saturating_add(more as u64))
    }

    /// Returns a number in which keys differ as much in low bits as they can.
    #[inline]
    pub(crate) const fn hash(self) -> usize {
        // The golden ratio, as for other hash tables. High bits depend on all bits.
        (self.0.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }
}

/// Returns the numbers of the bits that are set, lowest first.
#[inline]
pub(super) fn bits(mut word: u32) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros());

        word &= word.wrapping_sub(1);
        bit
    })
}

impl Destination {
    /// Passes on each key of the destination, for any mode of an APIC, until one is refused.
    #[inline]
    pub(crate) fn keys<E>(self, mut pass: impl FnMut(DestKey) -> Result<(), E>) -> Result<(), E> {
        let (Self::Physical(mda) | Self::Logical(mda)) = self;

        match mda {
            XAPIC_BROADCAST => pass(DestKey::XAPIC_BROADCAST)?,
            X2APIC_BROADCAST => pass(DestKey::X2APIC_BROADCAST)?,
            _ => (),
        }

        match self {
            Self::Physical(id) => pass(DestKey::physical(id)),
            Self::Logical(mda) => {
                bits(mda & 0xff).try_for_each(|bit| pass(DestKey::flat(bit)))?;
                if mda <= 0xff {
                    bits(mda & 0xf).try_for_each(|bit| pass(DestKey::cluster(mda >> 4, bit)))?;
                }
                bits(mda & 0xffff).try_for_each(|bit| pass(DestKey::x2apic(mda >> 16, bit)))
            }
        }
    }
}

impl ApicId {
    /// Passes on each key of the local APIC.
    #[inline]
    pub(crate) fn keys(&self, quirk: BroadcastQuirk, mut pass: impl FnMut(DestKey)) {
        match *self {
            Self::XApic {
                id,
                initial_id,
                logical_id,
                model,
            } => {
                let logical_id = u32::from(logical_id);

                pass(DestKey::XAPIC_BROADCAST);
                pass(DestKey::physical(u32::from(id)));
                if initial_id > 0xff {
                    pass(DestKey::physical(initial_id));
                }
                match model {
                    LogicalModel::Flat => bits(logical_id).for_each(|bit| pass(DestKey::flat(bit))),
                    LogicalModel::Cluster => bits(logical_id & 0xf)
                        .for_each(|bit| pass(DestKey::cluster(logical_id >> 4, bit))),
                    LogicalModel::Reserved => (),
                }
            }
            Self::X2Apic { id, ldr } => {
                pass(DestKey::X2APIC_BROADCAST);
                if quirk == BroadcastQuirk::On {
                    pass(DestKey::XAPIC_BROADCAST);
                }
                pass(DestKey::physical(id));
                bits(ldr & 0xffff).for_each(|bit| pass(DestKey::x2apic(ldr >> 16, bit)));
            }
        }
    }
}
