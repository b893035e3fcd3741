// SPDX-License-Identifier: GPL-2.0

//! What is counted on arm64.

use kernel::prelude::*;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A routing table was published.
    Update,
    /// It could be published without waiting for readers of older tables.
    UpdateUnawaited,
    /// A routing table was not published, as the current one has the same routes.
    UpdateSkipped,
    /// A source of the line of an SPI raised or lowered it.
    SpiChange,
    /// The end of an SPI was reported to a GSI.
    SpiAck,
    /// A pin has no SPI.
    DeadNoSpi,
    /// An MSI was sent in a VM without an ITS.
    DeadNoIts,
    /// An MSI had no device ID.
    DeadNoDeviceId,
    /// An MSI was sent to an address where there is no doorbell of an ITS.
    DeadNoDoorbell,
    /// An MSI had an ID that is longer than those of KVM's ITS.
    DeadLongId,
    /// C and Rust did not agree.
    Difference,
}

impl Event {
    /// All of them, in their order, with the names of their files.
    pub(crate) const ALL: [(Self, &'static CStr); 11] = [
        (Self::Update, c"updates"),
        (Self::UpdateUnawaited, c"updates_unawaited"),
        (Self::UpdateSkipped, c"updates_skipped"),
        (Self::SpiChange, c"spi_changes"),
        (Self::SpiAck, c"spi_acks"),
        (Self::DeadNoSpi, c"dead_no_spi"),
        (Self::DeadNoIts, c"dead_no_its"),
        (Self::DeadNoDeviceId, c"dead_no_device_id"),
        (Self::DeadNoDoorbell, c"dead_no_doorbell"),
        (Self::DeadLongId, c"dead_long_id"),
        (Self::Difference, c"differences"),
    ];
}
