// SPDX-License-Identifier: GPL-2.0

//! Decoding of MSI address and data.

use super::destination::Destination;

/// Where the destination of an MSI is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MsiFormat {
    /// Bits 19:12 of the low address (Intel SDM volume 3, "Message Address Register Format").
    Compat,
    /// As [`MsiFormat::Compat`], and bits 31:8 in bits 31:8 of the high address (KVM API,
    /// KVM_X2APIC_API_USE_32BIT_IDS).
    X2Apic,
}

/// How an interrupt line behaves, bit 15 of the MSI data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// An event, gone once it is delivered.
    Edge,
    /// A state, which the I/O APIC looks at again after each EOI.
    Level,
}

/// What kind of interrupt a CPU gets, as far as its end is concerned: bits 10:8 of the MSI data
/// (Intel SDM volume 3, "Message Data Register Format").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Fixed or lowest priority: an interrupt with a vector, which ends with an EOI.
    Vector,
    /// SMI, NMI, INIT, ExtINT or a reserved mode: the vector has no meaning, and no EOI follows.
    Other,
}

/// The MSI of a route, as userspace gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Msi {
    /// Low half of the address.
    pub(crate) address_lo: u32,
    /// High half of the address, without meaning in [`MsiFormat::Compat`].
    pub(crate) address_hi: u32,
    /// The data word.
    pub(crate) data: u32,
}

impl Msi {
    const LOGICAL: u32 = 1 << 2;
    const REDIRECTION_HINT: u32 = 1 << 3;
    const LEVEL: u32 = 1 << 15;
    const DELIVERY_SHIFT: u32 = 8;
    const FIXED: u32 = 0;
    const LOWEST_PRIORITY: u32 = 1;

    /// Tells whether nothing is set, not even the address of local APICs: VMMs route a pin like this until
    /// the guest sets it up.
    pub(crate) fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the vector, bits 7:0 of the data.
    #[inline]
    pub(crate) fn vector(&self) -> u8 {
        self.data as u8
    }

    /// Returns the trigger mode.
    #[inline]
    pub(crate) fn trigger(&self) -> Trigger {
        if self.data & Self::LEVEL != 0 {
            Trigger::Level
        } else {
            Trigger::Edge
        }
    }

    /// Returns the delivery mode, bits 10:8 of the data.
    pub(crate) fn delivery_mode(&self) -> u8 {
        (self.data >> Self::DELIVERY_SHIFT & 7) as u8
    }

    /// Returns what kind of interrupt it is.
    #[inline]
    pub(crate) fn delivery(&self) -> Delivery {
        match self.data >> Self::DELIVERY_SHIFT & 7 {
            Self::FIXED | Self::LOWEST_PRIORITY => Delivery::Vector,
            _ => Delivery::Other,
        }
    }

    /// Tells whether the destination is another one in another format.
    #[inline]
    pub(crate) fn depends_on_format(&self) -> bool {
        self.address_hi & !0xff != 0
    }

    /// Tells whether it is for one of the CPUs that its destination means, not for all: by its delivery
    /// mode, or by the redirection hint of its address.
    #[inline]
    pub(crate) fn is_for_one(&self) -> bool {
        self.data >> Self::DELIVERY_SHIFT & 7 == Self::LOWEST_PRIORITY
            || self.address_lo & Self::REDIRECTION_HINT != 0
    }

    /// Tells whether an MSI in `format` has nothing in bits that have to be 0. A route is refused else, but
    /// one may be set before the format changes.
    #[inline]
    pub(crate) fn is_valid(&self, format: MsiFormat) -> bool {
        format == MsiFormat::Compat || self.address_hi & 0xff == 0
    }

    /// Returns the destination as an MSI in `format` means it.
    #[inline]
    pub(crate) fn destination(&self, format: MsiFormat) -> Destination {
        let low = self.address_lo >> 12 & 0xff;
        let mda = match format {
            MsiFormat::Compat => low,
            MsiFormat::X2Apic => low | self.address_hi & !0xff,
        };

        if self.address_lo & Self::LOGICAL != 0 {
            Destination::Logical(mda)
        } else {
            Destination::Physical(mda)
        }
    }
}
