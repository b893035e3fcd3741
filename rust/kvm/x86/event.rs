// SPDX-License-Identifier: GPL-2.0

//! What is counted on x86.

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
    /// A vCPU scanned the routes, or its scan was checked.
    Scan,
    /// A vCPU was asked to scan.
    ScanRequest,
    /// An interrupt was sent to a SINT.
    SintDelivery,
    /// An EOI or EOM of a SINT was reported to its GSI.
    SintAck,
    /// An interrupt of a device was to be posted, by a decision that may be the same as before.
    Posted,
    /// It was to go to the host, as it has no vector.
    RemappedDeliveryMode,
    /// The same, as it is level-triggered.
    RemappedLevel,
    /// The same, as no vCPU gets it.
    RemappedNoTarget,
    /// The same, as several vCPUs may get it.
    RemappedSeveral,
    /// C and Rust did not agree.
    Difference,
}

impl Event {
    /// All of them, in their order, with the names of their files.
    pub(crate) const ALL: [(Self, &'static CStr); 13] = [
        (Self::Update, c"updates"),
        (Self::UpdateUnawaited, c"updates_unawaited"),
        (Self::UpdateSkipped, c"updates_skipped"),
        (Self::Scan, c"scans"),
        (Self::ScanRequest, c"scan_requests"),
        (Self::SintDelivery, c"sint_deliveries"),
        (Self::SintAck, c"sint_acks"),
        (Self::Posted, c"posted"),
        (Self::RemappedDeliveryMode, c"remapped_delivery_mode"),
        (Self::RemappedLevel, c"remapped_level"),
        (Self::RemappedNoTarget, c"remapped_no_target"),
        (Self::RemappedSeveral, c"remapped_several"),
        (Self::Difference, c"differences"),
    ];
}
