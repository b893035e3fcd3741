// SPDX-License-Identifier: GPL-2.0

//! Which EOIs a vCPU reports, in the words that KVM keeps of it.

use crate::routing::x86::{
    scan::Scan,
    vector::VectorSet, //
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The vectors whose EOI a vCPU has to report, in KVM's memory: those that its last scan has found,
/// and what updates of the table have added since.
pub(crate) struct HandledVectors<'a>([&'a Atomic<u64>; 4]);

impl HandledVectors<'_> {
    /// Makes the view of four words.
    ///
    /// # Safety
    ///
    /// `words` must be aligned, and valid for reads and writes, for as long as the result is used.
    /// Whoever else writes to them meanwhile must do so atomically, unless the result is only read
    /// and any value will do, and whoever reads them in another way must be the thread that runs
    /// the vCPU.
    pub(crate) unsafe fn new(words: *mut u64) -> Self {
        // SAFETY: By the safety requirements, each of the four words is aligned and valid, and is
        // written atomically.
        Self([0, 1, 2, 3].map(|i| unsafe { Atomic::from_ptr(words.add(i)) }))
    }

    /// Returns them. Any thread.
    #[inline]
    pub(crate) fn get(&self) -> VectorSet {
        VectorSet::from_words(self.0.map(|word| word.load(Relaxed)))
    }

    /// Adds `vectors`. Any thread.
    pub(crate) fn add(&self, vectors: &VectorSet) {
        for (word, more) in self.0.iter().zip(vectors.words()) {
            let mut known = word.load(Relaxed);

            while more & !known != 0 {
                match word.cmpxchg(known, known | more, Relaxed) {
                    Ok(_) => break,
                    Err(now) => known = now,
                }
            }
        }
    }

    /// Has `scan` replace them, given those that are to be reported so far, once more if an update
    /// has added some meanwhile. The next update waits for the end of the scan. Only the thread that
    /// runs the vCPU does this.
    pub(crate) fn replace(&self, scan: impl Fn(&VectorSet) -> Scan) -> Scan {
        let mut known = self.get();
        let mut reported = known;

        loop {
            let found = scan(&reported);
            let [a, b, c, d] = found.handled.words();
            let [w, x, y, z] = &self.0;
            let replaced =
                [(w, a), (x, b), (y, c), (z, d)].map(|(word, new)| word.xchg(new, Relaxed));
            let added = VectorSet::from_words(replaced).difference(&known);

            if added.is_empty() {
                return found;
            }
            known = found.handled;
            reported = reported.union(&added);
        }
    }
}
