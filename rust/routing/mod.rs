// SPDX-License-Identifier: GPL-2.0

//! Every decision about an interrupt route, as plain functions of plain data.
//!
//! Nothing here knows the kernel: no `unsafe`, no pointers, no locks, no allocation. What a
//! decision needs is passed in, storage included, and what follows from it is returned. The
//! same files compile on the host, where `tools/testing/host` tests them natively.
//!
//! | module    | decides                                                           |
//! |-----------|-------------------------------------------------------------------|
//! | [`list`]  | nothing, it is what the others keep of a table                    |
//! | [`x86`]   | about the routes of a split irqchip, and Hyper-V SINTs            |

#![deny(unsafe_code)]

pub(crate) mod list;
pub(crate) mod x86;

/// Whether a VM has the known defects of KVM's C, from its creation to its end: the module
/// parameter `parity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parity {
    /// Bit for bit what KVM's C does.
    On,
    /// What KVM's C does without its known defects.
    Off,
}
