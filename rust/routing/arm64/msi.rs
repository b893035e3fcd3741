// SPDX-License-Identifier: GPL-2.0

//! MSIs, which an ITS turns into LPIs.

/// What an MSI tells an ITS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Msi {
    /// Which device it is from, if userspace says so (KVM API, KVM_MSI_VALID_DEVID).
    pub(crate) device_id: Option<u32>,
    /// Which of the device's events it is, the data word.
    pub(crate) event_id: u32,
}

/// What there is to receive an MSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Its {
    /// The VM has no ITS.
    None,
    /// The VM has one, but no doorbell of an ITS (GITS_TRANSLATER) is at the address of the MSI.
    Elsewhere,
    /// The doorbell of an ITS is at the address.
    AtAddress,
}

/// Why an MSI cannot reach an ITS, whatever the guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadMsi {
    /// The VM has no ITS.
    NoIts,
    /// It has no device ID.
    NoDeviceId,
    /// No ITS has its doorbell at the address.
    NoDoorbell,
    /// Its device ID or event ID is longer than those of KVM's ITS.
    LongId,
}

/// The greatest device ID, and event ID, of an ITS: both have 16 bits (GITS_TYPER as KVM shows it).
const MAX_ID: u32 = 0xffff;

/// Decides whether an MSI can reach an ITS: what the guest has mapped is the business of the ITS.
pub(crate) fn decide(msi: &Msi, its: Its) -> Result<(), DeadMsi> {
    if its == Its::None {
        return Err(DeadMsi::NoIts);
    }
    let Some(device_id) = msi.device_id else {
        return Err(DeadMsi::NoDeviceId);
    };
    if its == Its::Elsewhere {
        return Err(DeadMsi::NoDoorbell);
    }
    if device_id > MAX_ID || msi.event_id > MAX_ID {
        return Err(DeadMsi::LongId);
    }
    Ok(())
}
