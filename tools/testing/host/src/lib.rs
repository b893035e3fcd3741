// SPDX-License-Identifier: GPL-2.0

//! Tests of the pure core, `rust/routing/`, that need no kernel.
//!
//! The crate mounts the very files that the kernel module is made of. What they decide is checked
//! in three ways: against tables of values, with one more and one less at each boundary;
//! exhaustively, where there are few enough inputs; and with generated inputs against
//! `reference`, a second implementation that follows KVM's C code and shares nothing with the
//! core.
//!
//! Each file tests the file of the core that has its name, apart from these:
//!
//! | module             | holds                                                        |
//! |--------------------|--------------------------------------------------------------|
//! | [`property`]       | how properties are run                                       |
//! | [`x86::reference`] | what KVM does in C on x86                                    |
//! | [`x86::cases`]     | generated x86 VMs, readable by both implementations          |
//! | [`arm64::reference`] | what KVM does in C on arm64                                   |
//!
//! Properties use a fixed seed, so that a commit passes or fails the same way everywhere.
//! `PROPTEST_RNG_SEED` and `PROPTEST_CASES` in the environment look further.

#![cfg(test)]

#[path = "../../../../rust/routing/mod.rs"]
mod routing;

mod list;
mod property;
mod publication;
mod text;

mod arm64;
mod x86;
