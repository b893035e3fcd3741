// SPDX-License-Identifier: GPL-2.0

//! The counters of a VM.

pub(crate) use super::arch::event::Event;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

// Counters are found by their event.
const _: () = {
    let mut i = 0;

    while i < Event::ALL.len() {
        assert!(Event::ALL[i].0 as usize == i);
        i += 1;
    }
};

/// The counters of a VM.
pub(crate) struct Counters([Atomic<u64>; Event::ALL.len()]);

impl Counters {
    /// Makes counters that stand at 0.
    pub(crate) fn new() -> Self {
        Self([const { Atomic::new(0) }; Event::ALL.len()])
    }

    /// Counts one more `event`. Any context. Returns how many there were before.
    #[inline]
    pub(crate) fn count(&self, event: Event) -> u64 {
        self.add(event, 1)
    }

    /// Counts `more` events. Any context. Returns how many there were before.
    #[inline]
    pub(crate) fn add(&self, event: Event, more: u64) -> u64 {
        self.0
            .get(event as usize)
            .map_or(0, |counter| counter.fetch_add(more, Relaxed))
    }

    /// Counts a routing table that is published.
    pub(crate) fn count_update(&self, is_awaited: bool) {
        if let Some(updates) = self.0.get(Event::Update as usize) {
            // For `have_update()`.
            updates.fetch_add(1, Release);
        }
        if !is_awaited {
            self.count(Event::UpdateUnawaited);
        }
    }

    /// Tells whether a routing table was published, or is about to be. Who hears of one sees what KVM
    /// has set up before.
    pub(crate) fn have_update(&self) -> bool {
        self.0
            .get(Event::Update as usize)
            .is_some_and(|updates| updates.load(Acquire) != 0)
    }

    /// Returns how many events there were.
    pub(crate) fn get(&self, event: Event) -> u64 {
        self.0
            .get(event as usize)
            .map_or(0, |counter| counter.load(Relaxed))
    }

    /// Returns the counters with the names of their files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static CStr, &Atomic<u64>)> {
        Event::ALL.into_iter().map(|(_, name)| name).zip(&self.0)
    }
}
