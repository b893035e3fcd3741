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

    /// Takes `vector` out.
    #[inline]
    pub(crate) fn remove(&mut self, vector: u8) {
        self.0[usize::from(vector >> 6)] &= !(1 << (vector & 63));
    }

    /// Tells whether `vector` is in the set.
    #[inline]
    pub(crate) fn contains(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 6)] & 1 << (vector & 63) != 0
    }

    #[inline]
    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let [a, b, c, d] = self.0;
        let [w, x, y, z] = other.0;

        Self([f(a, w), f(b, x), f(c, y), f(d, z)])
    }

    /// Returns the vectors that are in either set.
    #[inline]
    pub(crate) fn union(&self, other: &Self) -> Self {
        self.zip(other, |mine, others| mine | others)
    }

    /// Returns the vectors that are in both sets.
    #[inline]
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.zip(other, |mine, others| mine & others)
    }

    /// Returns the vectors that are in this set and not in `other`.
    #[inline]
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.zip(other, |mine, others| mine & !others)
    }

    /// Tells whether there is no vector in the set.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.0;

        // A comparison of arrays would be a call of memcmp().
        a | b | c | d == 0
    }

    /// Returns the highest vector of the set.
    #[inline]
    pub(crate) fn highest(&self) -> Option<u8> {
        let [a, b, c, d] = self.0;
        let highest = |word: u64, first: u8| Some(word.checked_ilog2()? as u8 | first);

        highest(d, 192)
            .or_else(|| highest(c, 128))
            .or_else(|| highest(b, 64))
            .or_else(|| highest(a, 0))
    }

    /// Tells whether every vector of this set is in `other`.
    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self.union(other) == *other
    }
}
