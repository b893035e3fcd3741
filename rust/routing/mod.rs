// SPDX-License-Identifier: GPL-2.0

//! Every decision about an interrupt route, as plain functions of plain data.
//!
//! Nothing here knows the kernel: no `unsafe`, no pointers, no locks, no allocation. What a
//! decision needs is passed in, storage included, and what follows from it is returned. The
//! same files compile on the host, where `tools/testing/host` tests them natively, those of all
//! architectures. The module has those of its own.
//!
//! | module          | decides                                                     |
//! |-----------------|-------------------------------------------------------------|
//! | [`list`]        | nothing, it is what the others keep of a table              |
//! | [`publication`] | what it takes to put a table in the place of another one    |
//! | [`lines`]       | nothing, it is how lines of files are written               |
//! | [`text`]        | nothing, it is text where nothing can be allocated          |
//! | [`x86`]         | about the routes of a split irqchip, and Hyper-V SINTs      |
//! | [`arm64`]       | about the routes of irqfds to SPIs and the ITS              |

#![deny(unsafe_code)]

#[cfg(not(CONFIG_X86))]
pub(crate) mod arm64;
pub(crate) mod lines;
pub(crate) mod list;
pub(crate) mod publication;
pub(crate) mod text;
#[cfg(not(CONFIG_ARM64))]
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

/// Where a routing table comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// KVM_SET_GSI_ROUTING.
    Userspace,
    /// KVM, which gives an interrupt controller its default routes.
    Default,
}
