// SPDX-License-Identifier: GPL-2.0

//! To which vCPU a device may post the interrupt of an MSI route, past KVM, and with which vector
//! (Intel VT-d specification, "Interrupt Posting"; AMD I/O virtualization specification, "Guest
//! Virtual APIC").
//!
//! What is not posted is remapped: it goes to the host, and KVM delivers it. So it has to be posted
//! to the one vCPU that KVM would deliver it to, or not at all.

use super::super::{list::List, Parity};
use super::{
    apic_map::{ApicMap, Choice, Meant, Name},
    msi::{Delivery, Msi, Trigger},
};

/// Where an interrupt is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The index of the vCPU.
    pub(crate) vcpu: u32,
    /// The vector that the guest gets.
    pub(crate) vector: u8,
}

/// Why an interrupt is not posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It has no vector: an NMI and the like.
    DeliveryMode,
    /// It is level-triggered: hardware that posts it does not tell the local APIC so (TMR).
    Level,
    /// No vCPU gets it.
    NoTarget,
    /// Several vCPUs may get it.
    Several,
}

/// How KVM chooses one of several vCPUs for an interrupt that is not for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LowestPriority {
    /// By the vector, always the same.
    Hashed,
    /// By what the vCPUs do when the interrupt arrives.
    ByPriority,
}

/// Decides where `msi` is posted.
pub(crate) fn decide<L: List<Name>>(
    msi: &Msi,
    apics: &ApicMap<L>,
    lowest_priority: LowestPriority,
    parity: Parity,
) -> Result<Target, Reason> {
    if msi.delivery() == Delivery::Other {
        return Err(Reason::DeliveryMode);
    }
    if parity == Parity::Off && msi.trigger() == Trigger::Level {
        return Err(Reason::Level);
    }
    if parity == Parity::Off && !msi.is_valid(apics.format()) {
        return Err(Reason::NoTarget);
    }

    let vector = msi.vector();
    let destination = msi.destination(apics.format());
    let choice = match lowest_priority {
        _ if !msi.is_for_one() => Choice::All,
        LowestPriority::Hashed => Choice::Hashed(vector),
        LowestPriority::ByPriority => Choice::ByPriority,
    };
    let meant = match (apics.mapped(destination, choice), parity) {
        // Whom the map does not mean, KVM does not deliver to.
        (Some(mapped), Parity::Off) => mapped.meant,
        // KVM's C asks the local APICs as well if the map does not lead to one place that is taken.
        (Some(mapped), Parity::On) if mapped.is_chosen && mapped.meant.is_one() => mapped.meant,
        _ => apics.accepting(destination),
    };

    match meant {
        Meant::One(vcpu) => Ok(Target { vcpu, vector }),
        Meant::Nobody => Err(Reason::NoTarget),
        Meant::Several => Err(Reason::Several),
    }
}
