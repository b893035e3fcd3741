// SPDX-License-Identifier: GPL-2.0

//! Which vCPUs a destination means, the other way round than what a scan asks: for each [`DestKey`]
//! the vCPUs whose local APIC has it.
//!
//! KVM delivers by a map of its own, `struct kvm_apic_map`, if that can tell, and asks all local APICs
//! else. The two differ: the map takes no notice of local APICs that are disabled by software when it
//! looks for logical IDs, and with 32-bit IDs it has one vCPU for each APIC ID, whoever shares it. Both
//! are here: the map is what is known of the order of those who have a key.

use super::super::list::{from_first, sort, List, NoMemory};
use super::{
    apic::{ApicId, BroadcastQuirk, LogicalModel, X2ApicApi, X2APIC_BROADCAST, XAPIC_BROADCAST},
    destination::{bits, DestKey, Destination},
    msi::MsiFormat,
};

/// The local APIC of a vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VcpuApic {
    /// The index of the vCPU.
    pub(crate) vcpu: u32,
    /// Which destinations the local APIC accepts.
    pub(crate) id: ApicId,
    /// Whether KVM's map takes notice of the logical ID: the local APIC is enabled by software, and its
    /// LDR is not 0.
    pub(crate) is_logically_mapped: bool,
}

/// One of those that have a key. Those with the same key come in the order in which KVM's map prefers
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    key: Option<DestKey>,
    /// KVM's map does not have it by this key.
    is_unmapped: bool,
    /// It is in xAPIC mode: its ID gives way to that of an x2APIC.
    is_xapic: bool,
    vcpu: u32,
}

/// What KVM's map does with logical destinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LogicalMode {
    /// No local APIC has a logical ID.
    #[default]
    Nobody,
    /// All of them are in x2APIC mode, or have the same model and one bit each that no other has.
    X2Apic,
    Flat,
    Cluster,
    /// The map cannot tell.
    Mixed,
}

impl LogicalMode {
    /// Returns what it is with one more local APIC that has a logical ID.
    fn with(self, id: &ApicId) -> Self {
        let (own, bits) = match *id {
            ApicId::X2Apic { .. } => (Self::X2Apic, 0),
            ApicId::XApic {
                model, logical_id, ..
            } => match model {
                LogicalModel::Flat => (Self::Flat, logical_id),
                LogicalModel::Cluster => (Self::Cluster, logical_id & 0xf),
                LogicalModel::Reserved => (Self::Mixed, 0),
            },
        };

        if self != Self::Nobody && self != own || bits.count_ones() > 1 {
            Self::Mixed
        } else {
            own
        }
    }
}

/// Which vCPUs a destination means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// None.
    Nobody,
    /// The vCPU with this index.
    One(u32),
    /// Several.
    Several,
}

impl Meant {
    /// Tells whether it is exactly one.
    pub(super) fn is_one(self) -> bool {
        matches!(self, Self::One(_))
    }

    fn and(self, vcpu: u32) -> Self {
        match self {
            Self::Nobody => Self::One(vcpu),
            Self::One(other) if other == vcpu => self,
            _ => Self::Several,
        }
    }
}

/// How one of several vCPUs is chosen for an interrupt with a logical destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It is for all of them.
    All,
    /// By this vector, which always chooses the same.
    Hashed(u8),
    /// By what they do when it arrives.
    ByPriority,
}

/// Whom KVM's map means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    pub(super) meant: Meant,
    /// Whether that is one place of the map. If not, the one vCPU that is meant may be next to places
    /// that are not taken.
    pub(super) is_chosen: bool,
}

/// Returns the place of those in `set` that KVM chooses by the vector, whether or not it is taken.
fn hashed(set: u32, vector: u8) -> u32 {
    let nr_skipped = u32::from(vector).checked_rem(set.count_ones());

    nr_skipped
        .and_then(|nr| bits(set).nth(nr as usize))
        .map_or(0, |bit| 1 << bit)
}

/// The places of KVM's map that a destination chooses, as a set of up to 16 from the first one on.
struct Places {
    first: DestKey,
    set: u32,
}

/// The vCPUs of a VM by their keys. Made anew when a local APIC, or KVM_CAP_X2APIC_API, changes.
#[derive(Debug)]
pub(crate) struct ApicMap<L> {
    api: X2ApicApi,
    /// In order.
    names: L,
    /// Whether KVM has a map. Without 32-bit IDs it wants no two local APICs to have the same ID.
    is_mapped: bool,
    max_apic_id: u32,
    logical_mode: LogicalMode,
}

impl<L: List<Name>> ApicMap<L> {
    /// Makes the map of the local APICs that are enabled by hardware, whose vCPUs have different
    /// initial APIC IDs.
    pub(crate) fn new(
        api: X2ApicApi,
        apics: impl Iterator<Item = VcpuApic>,
    ) -> Result<Self, NoMemory> {
        let mut names = L::default();
        let mut max_apic_id = 0xff;
        let mut logical_mode = LogicalMode::default();

        for VcpuApic {
            vcpu,
            id,
            is_logically_mapped,
        } in apics
        {
            let (is_xapic, initial_id) = match id {
                ApicId::XApic { initial_id, .. } => (true, initial_id),
                ApicId::X2Apic { id, .. } => (false, id),
            };
            let mut result = Ok(());

            id.keys(api.quirk, |key| {
                result = result.and_then(|()| {
                    names.push(Name {
                        key: Some(key),
                        is_unmapped: !key.is_physical() && !is_logically_mapped,
                        is_xapic,
                        vcpu,
                    })
                });
            });
            result?;

            max_apic_id = max_apic_id.max(initial_id);
            if is_logically_mapped {
                logical_mode = logical_mode.with(&id);
            }
        }
        sort(&mut names);

        let mut map = Self {
            api,
            names,
            is_mapped: true,
            max_apic_id,
            logical_mode,
        };
        if api.format == MsiFormat::Compat && map.shares(DestKey::is_physical) {
            map.is_mapped = false;
        }
        if map.shares(DestKey::is_xapic_logical) {
            map.logical_mode = LogicalMode::Mixed;
        }
        Ok(map)
    }

    /// Tells whether two of those in KVM's map have one of these keys in common.
    fn shares(&self, keys: fn(DestKey) -> bool) -> bool {
        let mut names = self.names.iter().filter(|name| !name.is_unmapped);
        let Some(mut last) = names.next() else {
            return false;
        };

        names.any(|name| {
            let is_same = name.key == last.key && name.key.is_some_and(keys);

            last = name;
            is_same
        })
    }

    /// Returns how MSIs are decoded.
    pub(crate) fn format(&self) -> MsiFormat {
        self.api.format
    }

    /// Returns the first ones that have `key`, two at most.
    fn named(&self, key: DestKey) -> impl Iterator<Item = &Name> {
        from_first(&self.names, |name| name.key < Some(key))
            .iter()
            .take_while(move |name| name.key == Some(key))
            .take(2)
    }

    /// Returns whom KVM's map has by `key`.
    fn place(&self, key: DestKey) -> Option<&Name> {
        self.named(key).next().filter(|name| !name.is_unmapped)
    }

    /// Tells whether KVM's map leaves it to all local APICs whether they are meant.
    fn is_broadcast(&self, mda: u32) -> bool {
        match self.api.quirk {
            BroadcastQuirk::On => mda == XAPIC_BROADCAST,
            BroadcastQuirk::Off => {
                mda == X2APIC_BROADCAST
                    || mda == XAPIC_BROADCAST && self.logical_mode != LogicalMode::X2Apic
            }
        }
    }

    /// Returns the places for a logical destination, nothing if there is no map of those.
    fn logical_places(&self, mda: u32) -> Option<Places> {
        let (first, set) = match self.logical_mode {
            LogicalMode::Nobody => (DestKey::flat(0), 0),
            LogicalMode::Flat => (DestKey::flat(0), mda & 0xff),
            // Nobody is in a cluster that has more than four bits.
            LogicalMode::Cluster => (DestKey::cluster(mda >> 4, 0), mda & 0xf),
            // The LDR follows from the ID, and that from a cluster and a bit.
            LogicalMode::X2Apic => {
                let first = mda >> 16 << 4;
                let is_place = |bit: &u32| {
                    let key = DestKey::physical(first | bit);

                    first | bit <= self.max_apic_id
                        // An xAPIC there accepts no such destination.
                        && (mda == XAPIC_BROADCAST
                            || self.place(key).is_none_or(|name| !name.is_xapic))
                };

                (
                    DestKey::physical(first),
                    bits(mda & 0xffff)
                        .filter(is_place)
                        .fold(0, |set, bit| set | 1 << bit),
                )
            }
            LogicalMode::Mixed => return None,
        };

        Some(Places { first, set })
    }

    /// Returns the places for a destination, nothing if KVM's map cannot tell.
    fn places(&self, destination: Destination) -> Option<Places> {
        let (Destination::Physical(mda) | Destination::Logical(mda)) = destination;

        if !self.is_mapped || self.is_broadcast(mda) {
            return None;
        }
        match destination {
            Destination::Physical(id) => Some(Places {
                first: DestKey::physical(id),
                set: 1,
            }),
            Destination::Logical(mda) => self.logical_places(mda),
        }
    }

    /// Returns whom KVM's map means by `destination`; nothing if it cannot tell.
    pub(super) fn mapped(&self, destination: Destination, choice: Choice) -> Option<Mapped> {
        let Places { first, set } = self.places(destination)?;
        let set = match choice {
            Choice::Hashed(vector) => hashed(set, vector),
            Choice::All | Choice::ByPriority => set,
        };
        let meant = bits(set)
            .filter_map(|bit| self.place(first.plus(bit)))
            .fold(Meant::Nobody, |meant, name| meant.and(name.vcpu));

        Some(Mapped {
            meant,
            is_chosen: set.count_ones() == 1 || choice == Choice::ByPriority,
        })
    }

    /// Returns which of the local APICs accept `destination`.
    pub(super) fn accepting(&self, destination: Destination) -> Meant {
        let mut meant = Meant::Nobody;
        let result = destination.keys(|key| {
            for name in self.named(key) {
                meant = meant.and(name.vcpu);
            }
            match meant {
                Meant::Several => Err(()),
                _ => Ok(()),
            }
        });

        // What was found is the same if the rest was not looked at.
        let (Ok(()) | Err(())) = result;
        meant
    }
}
