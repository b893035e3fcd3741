// SPDX-License-Identifier: GPL-2.0

//! Which destinations a local APIC accepts, and what it has pending.

use super::{destination::Destination, msi::MsiFormat, vector::VectorSet};

/// The MDA of all local APICs in xAPIC mode.
pub(super) const XAPIC_BROADCAST: u32 = 0xff;

/// The MDA of all local APICs in x2APIC mode.
pub(super) const X2APIC_BROADCAST: u32 = 0xffff_ffff;

/// What destination 0xff of an interrupt that is not an IPI means to an APIC in x2APIC mode (KVM
/// API, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BroadcastQuirk {
    /// All CPUs, as for an I/O APIC without interrupt remapping.
    On,
    /// What x2APIC mode makes of any other value.
    Off,
}

/// The settings of KVM_CAP_X2APIC_API, by which destinations of MSIs are decoded and matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct X2ApicApi {
    /// Where MSIs keep their destination.
    pub(crate) format: MsiFormat,
    /// What destination 0xff means in x2APIC mode.
    pub(crate) quirk: BroadcastQuirk,
}

/// The model that an xAPIC uses for logical destinations, from its destination format register
/// (DFR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogicalModel {
    /// Eight CPUs, one bit each.
    Flat,
    /// Fifteen clusters of four CPUs.
    Cluster,
    /// A reserved encoding, which accepts nothing but broadcasts.
    Reserved,
}

impl LogicalModel {
    const FLAT: u32 = 0xffff_ffff;
    const CLUSTER: u32 = 0x0fff_ffff;

    /// Decodes the DFR (Intel SDM volume 3, "Logical Destination Mode").
    pub(crate) fn from_dfr(dfr: u32) -> Self {
        match dfr {
            Self::FLAT => Self::Flat,
            Self::CLUSTER => Self::Cluster,
            _ => Self::Reserved,
        }
    }
}

/// The identity of a local APIC, by its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApicId {
    /// xAPIC mode.
    XApic {
        /// The 8-bit APIC ID, which the guest may write.
        id: u8,
        /// The 32-bit APIC ID that the CPU was made with.
        initial_id: u32,
        /// The logical APIC ID, bits 31:24 of the LDR.
        logical_id: u8,
        /// How the logical APIC ID is matched.
        model: LogicalModel,
    },
    /// x2APIC mode.
    X2Apic {
        /// The 32-bit APIC ID.
        id: u32,
        /// The LDR: cluster in bits 31:16, CPU in bits 15:0.
        ldr: u32,
    },
}

impl ApicId {
    /// Returns the APIC ID as it is now: in xAPIC mode the guest may write it.
    pub(crate) fn current(&self) -> u32 {
        match *self {
            Self::XApic { id, .. } => u32::from(id),
            Self::X2Apic { id, .. } => id,
        }
    }

    /// Tells whether an interrupt for `destination`, which is not an IPI, reaches this APIC.
    #[inline]
    pub(crate) fn accepts(&self, destination: Destination, quirk: BroadcastQuirk) -> bool {
        match *self {
            Self::XApic {
                id,
                initial_id,
                logical_id,
                model,
            } => match destination {
                Destination::Physical(XAPIC_BROADCAST) | Destination::Logical(XAPIC_BROADCAST) => {
                    true
                }
                // An ID that xAPIC mode cannot express reaches the CPU that was made with it, so
                // that CPUs which are plugged in later can be addressed before they leave xAPIC
                // mode.
                Destination::Physical(mda) if mda > 0xff => mda == initial_id,
                Destination::Physical(mda) => mda == u32::from(id),
                Destination::Logical(mda) => {
                    let logical_id = u32::from(logical_id);

                    match model {
                        LogicalModel::Flat => logical_id & mda != 0,
                        LogicalModel::Cluster => {
                            logical_id >> 4 == mda >> 4 && logical_id & mda & 0xf != 0
                        }
                        LogicalModel::Reserved => false,
                    }
                }
            },
            Self::X2Apic { id, ldr } => {
                let (Destination::Physical(mda) | Destination::Logical(mda)) = destination;

                if mda == X2APIC_BROADCAST || mda == XAPIC_BROADCAST && quirk == BroadcastQuirk::On
                {
                    return true;
                }

                match destination {
                    Destination::Physical(mda) => mda == id,
                    Destination::Logical(mda) => ldr >> 16 == mda >> 16 && ldr & mda & 0xffff != 0,
                }
            }
        }
    }
}

/// A local APIC at the time of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Apic {
    /// Which destinations it accepts.
    pub(crate) id: ApicId,
    /// Vectors that the CPU has yet to take (IRR) or to end (ISR).
    pub(crate) pending_eoi: VectorSet,
}
