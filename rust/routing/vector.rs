// SPDX-License-Identifier: GPL-2.0

//! Interrupt vectors and sets of them.

/// Number of interrupt vectors of an x86 CPU.
pub(crate) const NR_VECTORS: usize = 256;

const BITS: usize = u64::BITS as usize;

/// A set of interrupt vectors 0 to 255, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VectorSet([u64; NR_VECTORS / BITS]);

impl VectorSet {
    /// The set without vectors.
    pub(crate) const EMPTY: Self = Self([0; NR_VECTORS / BITS]);

    /// Makes a set from 64-bit words, vector 0 in bit 0 of the first.
    pub(crate) const fn from_words(words: [u64; NR_VECTORS / BITS]) -> Self {
        Self(words)
    }

    /// Makes a set from the eight 32-bit registers of an IRR, ISR or TMR (Intel SDM volume 3,
    /// "Advanced Programmable Interrupt Controller").
    pub(crate) fn from_registers(registers: &[u32; NR_VECTORS / 32]) -> Self {
        let [a, b, c, d, e, f, g, h] = *registers;
        let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;

        Self([join(a, b), join(c, d), join(e, f), join(g, h)])
    }

    /// Returns the set as 64-bit words, vector 0 in bit 0 of the first.
    pub(crate) const fn words(&self) -> [u64; NR_VECTORS / BITS] {
        self.0
    }

    /// Adds `vector`.
    #[inline]
    pub(crate) fn insert(&mut self, vector: u8) {
        // A `u8` shifted by 6 is below 4, so the compiler drops the bounds check.
        self.0[usize::from(vector >> 6)] |= 1 << (vector & 63);
    }

    /// Tells whether `vector` is in the set.
    #[inline]
    pub(crate) fn contains(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 6)] & 1 << (vector & 63) != 0
    }

    /// Returns the vectors that are in either set.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;

        Self([a | e, b | f, c | g, d | h])
    }

    /// Tells whether every vector of this set is in `other`.
    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self.union(other) == *other
    }
}
