// SPDX-License-Identifier: GPL-2.0

//! Interrupt destinations that keep their mode.

/// A message destination address (MDA) together with the mode that gives it its meaning (Intel
/// SDM volume 3, "Determining IPI Destination"): 8 bits in compatibility format, 32 bits in
/// x2APIC format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The APIC ID of one CPU, or a broadcast.
    Physical(u32),
    /// A set of CPUs, matched against each one's logical destination register (LDR).
    Logical(u32),
}
