// SPDX-License-Identifier: GPL-2.0

//! The bindings that bindgen makes of `<linux/kvm_irqroute.h>` and `helpers.h` at build time.
//!
//! Sealed: only this folder sees them whole.

// The lints that generated code cannot meet.
#![allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
#![allow(clippy::undocumented_unsafe_blocks)]

use kernel::ffi;

// What C calls a tracepoint.
#[cfg(CONFIG_TRACEPOINTS)]
pub(crate) use kernel::bindings::tracepoint;

include!(env!("KVM_IRQROUTE_BINDINGS"));
