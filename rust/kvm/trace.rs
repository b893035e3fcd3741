// SPDX-License-Identifier: GPL-2.0

//! Trace events, which `trace.h` defines.
//!
//! While nobody wants to know of an event, it costs a branch that is never taken. The kernel crate's
//! `declare_trace!` does the same for events that its own bindings have.

use crate::routing::{
    publication::Succession,
    text::Text, //
};
use kernel::{
    ffi::c_char,
    prelude::*, //
};

/// Tells whether anyone wants to know of an event.
macro_rules! is_wanted {
    ($event:ident) => {{
        #[cfg(all(CONFIG_TRACEPOINTS, CONFIG_JUMP_LABEL))]
        // SAFETY: This is the key of a tracepoint, which C defines.
        let is_wanted = unsafe {
            kernel::macros::paste! {
                kernel::jump_label::static_branch_unlikely!(
                    $crate::kvm::bindings::[<__tracepoint_ $event>],
                    $crate::kvm::bindings::tracepoint,
                    key
                )
            }
        };
        // The kernel crate would call a function for it, to read a key as well as any atomic value.
        #[cfg(all(CONFIG_TRACEPOINTS, not(CONFIG_JUMP_LABEL)))]
        // SAFETY: The counter of users is part of a tracepoint, which stays as long as this code. It is
        // aligned, and whoever writes it does so atomically.
        let is_wanted = unsafe {
            kernel::macros::paste! {
                let tracepoint = &raw const $crate::kvm::bindings::[<__tracepoint_ $event>];

                (&raw const (*tracepoint).key.key.enabled.counter).read_volatile() > 0
            }
        };
        #[cfg(not(CONFIG_TRACEPOINTS))]
        let is_wanted = false;

        is_wanted
    }};
}

/// Emits an event. Any context. Pointers have to be to text with a zero byte at its end.
macro_rules! emit {
    ($event:ident($($value:expr),* $(,)?)) => {{
        #[cfg(CONFIG_TRACEPOINTS)]
        kernel::macros::paste! {
            // SAFETY: The event copies what it is told, in any context. Texts end with a zero byte.
            unsafe { $crate::kvm::bindings::[<rust_do_trace_ $event>]($($value),*) }
        }
        #[cfg(not(CONFIG_TRACEPOINTS))]
        {
            $(let _ = $value;)*
        }
    }};
}

pub(super) use {
    emit,
    is_wanted, //
};

impl<const N: usize> Text<N> {
    /// Returns the text as C takes it, as long as this value lives.
    pub(super) fn as_c(&self) -> *const c_char {
        self.bytes().as_ptr().cast()
    }
}

/// What an update does to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The routes are those of the current table.
    Same,
    /// It has others as well.
    Adds,
    /// Some are gone or changed.
    Changes,
}

impl From<Succession> for Kind {
    fn from(succession: Succession) -> Self {
        match succession {
            Succession::Adds => Self::Adds,
            Succession::Changes => Self::Changes,
        }
    }
}

/// Who was asked to scan, as events say it: nobody knows if it was KVM's C that asked.
fn asked_as_int(asked: Option<u32>) -> i32 {
    asked.map_or(-1, |asked| asked as i32)
}

/// Tells of a table of `routes` routes, which are others for the GSIs that `count_gsis` counts. So many
/// vCPUs were asked to scan for it, and readers of older tables are waited for or not. Process context.
#[inline(always)]
pub(super) fn update(
    vm: u64,
    kind: Kind,
    routes: usize,
    count_gsis: impl FnOnce() -> Result<usize>,
    asked: Option<u32>,
    waits: bool,
) {
    #[cold]
    #[inline(never)]
    fn tell(
        vm: u64,
        kind: Kind,
        routes: usize,
        gsis: Result<usize>,
        asked: Option<u32>,
        waits: bool,
    ) {
        let kind = match kind {
            Kind::Same => c"same",
            Kind::Adds => c"adds",
            Kind::Changes => c"changes",
        };

        emit!(irqroute_update(
            vm,
            kind.as_char_ptr(),
            routes as u32,
            gsis.map_or(-1, |gsis| gsis as i32),
            asked_as_int(asked),
            waits
        ));
    }

    if is_wanted!(irqroute_update) {
        tell(vm, kind, routes, count_gsis(), asked, waits);
    }
}

/// Tells of a table that has the `routes` routes of the current one, and is not published. Process context.
#[inline(always)]
pub(super) fn update_skipped(vm: u64, routes: usize) {
    update(vm, Kind::Same, routes, || Ok(0), Some(0), false);
}

/// Tells that readers of older tables are gone, whereupon so many vCPUs were asked to scan. Process
/// context.
#[inline(always)]
pub(super) fn update_end(vm: u64, asked: Option<u32>) {
    #[cold]
    #[inline(never)]
    fn tell(vm: u64, asked: Option<u32>) {
        emit!(irqroute_update_end(vm, asked_as_int(asked)));
    }

    if is_wanted!(irqroute_update_end) {
        tell(vm, asked);
    }
}

/// Tells whether anyone wants to know why interrupts are lost. Any context.
#[inline(always)]
pub(super) fn remark_is_wanted() -> bool {
    is_wanted!(irqroute_remark)
}

/// Tells why interrupts are lost, of a GSI if it is known. Any context.
#[cold]
pub(super) fn remark(vm: u64, gsi: Option<u32>, name: &str, reason: impl core::fmt::Display) {
    if remark_is_wanted() {
        let (name, reason) = (Text::<32>::new(name), Text::<96>::new(reason));

        emit!(irqroute_remark(
            vm,
            gsi.map_or(-1, |gsi| gsi as i32),
            name.as_c(),
            reason.as_c()
        ));
    }
}
