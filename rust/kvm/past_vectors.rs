// SPDX-License-Identifier: GPL-2.0

//! The vectors of level routes that a VM had.

use crate::routing::vector::VectorSet;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The vectors of the level routes of all tables that were replaced so far. It only grows.
pub(crate) struct PastVectors([Atomic<u64>; 4]);

impl PastVectors {
    /// Makes it without vectors.
    pub(crate) fn new() -> Self {
        Self([const { Atomic::new(0) }; 4])
    }

    /// Adds the vectors of a table that is about to be replaced, whose successor is published after
    /// that. Process context, one update at a time.
    pub(crate) fn add(&self, vectors: &VectorSet) {
        for (word, more) in self.0.iter().zip(vectors.words()) {
            word.store(word.load(Relaxed) | more, Relaxed);
        }
    }

    /// Returns them: at least those of the tables before one that was found published. Any context.
    pub(crate) fn get(&self) -> VectorSet {
        let [a, b, c, d] = &self.0;

        VectorSet::from_words([a, b, c, d].map(|word| word.load(Relaxed)))
    }
}
