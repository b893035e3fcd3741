// SPDX-License-Identifier: GPL-2.0

//! The pins of the userspace I/O APIC.

/// The reserved pins: with a split irqchip, MSI routes of GSIs below this number stand for the
/// pins of an I/O APIC in userspace (KVM API, KVM_CAP_SPLIT_IRQCHIP). 0 to 4096
/// (KVM_MAX_IRQ_ROUTES).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReservedPins(pub(crate) u32);

impl ReservedPins {
    /// Tells whether `gsi` is one of the pins.
    #[inline]
    pub(crate) fn contains(&self, gsi: u32) -> bool {
        gsi < self.0
    }
}
