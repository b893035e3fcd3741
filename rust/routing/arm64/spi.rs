// SPDX-License-Identifier: GPL-2.0

//! Pins of the interrupt controller, which are its SPIs.

/// The least INTID of a shared peripheral interrupt (Arm GIC architecture specification, "INTIDs").
const FIRST_SPI: u32 = 32;

/// The number of pins that a route can name (KVM_IRQCHIP_NUM_PINS of arm64, INTIDs 32 to 1019).
pub(crate) const NR_PINS: usize = 988;

/// A shared peripheral interrupt that a VM has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spi {
    pin: u32,
}

impl Spi {
    /// Returns the SPI that `pin` of an irqchip route is (KVM API, KVM_IRQFD), if the VM has `nr_spis`
    /// of them.
    pub(crate) fn of_pin(pin: u32, nr_spis: u32) -> Option<Self> {
        (pin < nr_spis).then_some(Self { pin })
    }

    /// Returns the pin, below the number of SPIs.
    pub(crate) fn pin(&self) -> u32 {
        self.pin
    }

    /// Returns the INTID, 32 and above.
    pub(crate) fn intid(&self) -> u32 {
        self.pin.wrapping_add(FIRST_SPI)
    }
}

/// Raises or lowers a line: has `tell` say to the interrupt controller what it is now, given `is_held`,
/// which tells whether one of its sources raises it. Returns what `tell` returned first that was an error.
///
/// To raise it is said each time, as an edge-triggered interrupt counts each time. A line that is lowered
/// stays high as long as one of its sources raises it. Sources may raise and lower it in the meantime:
/// whoever was the last to say something looks whether that is still true.
///
/// An irqfd without a resamplefd is not a source: it raises the line and leaves it to KVM_IRQ_LINE to
/// lower it.
pub(crate) fn set_line<E>(
    raised: bool,
    is_held: impl Fn() -> bool,
    mut tell: impl FnMut(bool) -> Result<(), E>,
) -> Result<(), E> {
    if raised {
        return tell(true);
    }

    let mut told = true;
    loop {
        let held = is_held();

        if held == told {
            return Ok(());
        }
        tell(held)?;
        told = held;
    }
}
