// SPDX-License-Identifier: GPL-2.0

//! Whether KVM's C and this module agree.

use super::msi::DeadMsi;

/// What KVM's C has returned for a change of a line, or for an MSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is as the guest has set up its interrupt controller: delivered or not.
    UpToTheGuest,
    /// `-EINVAL`.
    Invalid,
    /// `-ENODEV`.
    NoDevice,
}

/// Tells whether KVM's C has found, as this module has, that a pin is an SPI or is none.
pub(crate) fn spi_agrees(c: Outcome, is_spi: bool) -> bool {
    (c == Outcome::Invalid) != is_spi
}

/// Tells whether KVM's C has done with an MSI what this module decides.
pub(crate) fn msi_agrees(c: Outcome, decision: Result<(), DeadMsi>) -> bool {
    let expected = match decision {
        Ok(()) | Err(DeadMsi::LongId) => Outcome::UpToTheGuest,
        Err(DeadMsi::NoIts) => Outcome::NoDevice,
        Err(DeadMsi::NoDeviceId | DeadMsi::NoDoorbell) => Outcome::Invalid,
    };

    c == expected
}

/// Tells whether KVM's C has told one of the GSIs that hear of the end of a pin, or nobody if there
/// are none. It tells the last one in the table.
pub(crate) fn ack_agrees(c: Option<u32>, mut gsis: impl Iterator<Item = u32>) -> bool {
    match c {
        Some(told) => gsis.any(|gsi| gsi == told),
        None => gsis.next().is_none(),
    }
}
