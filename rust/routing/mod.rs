// SPDX-License-Identifier: GPL-2.0

//! Every decision about an interrupt route, as plain functions of plain data.
//!
//! Nothing here knows the kernel: no `unsafe`, no pointers, no locks, no allocation. What a
//! decision needs is passed in, storage included, and what follows from it is returned. The
//! same files compile on the host, where `tools/testing/host` tests them natively.
//!
//! | module        | decides                                                            |
//! |---------------|--------------------------------------------------------------------|
//! | [`vector`]    | nothing, it is the set of vectors that the others work with        |
//! | [`msi`]       | what the address and data of an MSI mean                           |
//! | [`dest`]      | nothing, it tells physical from logical destinations               |
//! | [`apic`]      | whether a local APIC accepts a destination                         |
//! | [`name`]      | what a local APIC answers to, and what a destination calls         |
//! | [`pins`]      | which GSIs are pins of the userspace I/O APIC                      |
//! | [`index`]     | which routes of a table matter later, and in which order           |
//! | [`directory`] | nothing, it knows what is sent to each name                        |
//! | [`level`]     | which vectors the level routes send to a local APIC                |
//! | [`rules`]     | nothing, it tells KVM's rules from those that are documented       |
//! | [`scan`]      | which EOIs a vCPU has to report                                    |
//! | [`sint`]      | where a Hyper-V SINT route is delivered                            |
//! | [`update`]    | what a new routing table makes KVM recompute                       |
//! | [`verify`]    | whether C and Rust agree                                           |

#![deny(unsafe_code)]

pub(crate) mod apic;
pub(crate) mod dest;
pub(crate) mod directory;
pub(crate) mod index;
pub(crate) mod level;
pub(crate) mod msi;
pub(crate) mod name;
pub(crate) mod pins;
pub(crate) mod rules;
pub(crate) mod scan;
pub(crate) mod sint;
pub(crate) mod update;
pub(crate) mod vector;
pub(crate) mod verify;
