// SPDX-License-Identifier: GPL-2.0

//! The lines of a VM's SPIs.

use crate::routing::arm64::spi::{
    Spi,
    NR_PINS, //
};
use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};

/// Who raises the line of an SPI until it lowers it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An irqfd with a resamplefd, which lowers it at the end of the interrupt.
    Resample {
        /// The GSI of the irqfd.
        gsi: u32,
    },
    /// KVM_IRQ_LINE.
    IrqLine,
}

/// Which sources raise a line.
struct Line {
    /// The GSI of the resample irqfd that was the last to raise it, plus one; 0 if none does.
    resample: Atomic<u32>,
    /// 1 if KVM_IRQ_LINE does, else 0.
    irq_line: Atomic<u32>,
}

impl Line {
    fn source(&self, source: Source) -> (&Atomic<u32>, u32) {
        match source {
            Source::Resample { gsi } => (&self.resample, gsi.wrapping_add(1)),
            Source::IrqLine => (&self.irq_line, 1),
        }
    }
}

/// Which sources raise each line.
///
/// Whoever has lowered one looks next whether others are left, and tells the interrupt controller if
/// there are none. All accesses that change something are fully ordered: of two sources that lower a
/// line at the same time, at least one sees what the other has done. Telling takes a lock of the SPI,
/// and is followed by one more look: what was raised or lowered, and told, before is seen.
pub(crate) struct Lines([Line; NR_PINS]);

impl Lines {
    /// Makes lines that nobody raises.
    pub(crate) const fn new() -> Self {
        Self(
            [const {
                Line {
                    resample: Atomic::new(0),
                    irq_line: Atomic::new(0),
                }
            }; NR_PINS],
        )
    }

    fn line(&self, spi: Spi) -> Option<&Line> {
        self.0.get(spi.pin() as usize)
    }

    /// Has `source` raise the line of an SPI, or not any more. What another resample irqfd has raised
    /// since then stays raised. Any context.
    pub(crate) fn set(&self, spi: Spi, source: Source, raised: bool) {
        if let Some(line) = self.line(spi) {
            let (known, value) = line.source(source);

            if raised {
                known.xchg(value, Full);
            } else {
                let _ = known.cmpxchg(value, 0, Full);
            }
        }
    }

    /// Has no resample irqfd raise the line of an SPI any more. Returns the GSI of the last one that
    /// did. Any context.
    pub(crate) fn end_resample(&self, spi: Spi) -> Option<u32> {
        self.line(spi)?.resample.xchg(0, Full).checked_sub(1)
    }

    /// Has no source raise the line of an SPI. Any context.
    pub(crate) fn forget(&self, spi: Spi) {
        self.end_resample(spi);
        self.set(spi, Source::IrqLine, false);
    }

    /// Returns whether a source raises the line of an SPI. Any context.
    pub(crate) fn is_held(&self, spi: Spi) -> bool {
        self.line(spi).is_some_and(|line| {
            line.resample.load(Relaxed) != 0 || line.irq_line.load(Relaxed) != 0
        })
    }
}
