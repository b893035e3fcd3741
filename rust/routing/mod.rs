// SPDX-License-Identifier: GPL-2.0

//! Every decision about an interrupt route, as plain functions of plain data.
//!
//! Nothing here knows the kernel: no `unsafe`, no pointers, no locks, no allocation. What a
//! decision needs is passed in, storage included, and what follows from it is returned. The
//! same files compile on the host, where `tools/testing/host` tests them natively.
//!
//! | module           | decides                                                         |
//! |------------------|-----------------------------------------------------------------|
//! | [`vector`]       | nothing, it is the set of vectors that the others work with     |
//! | [`msi`]          | what the address and data of an MSI mean                        |
//! | [`destination`]  | by which keys a destination and a local APIC are matched        |
//! | [`apic`]         | whether a local APIC accepts a destination                      |
//! | [`route`]        | what is kept of a route                                         |
//! | [`dest_map`]     | nothing, it maps each key to the vectors that are sent to it    |
//! | [`level_routes`] | which vectors the level routes of a table send to a local APIC  |
//! | [`scan`]         | which EOIs a vCPU has to report                                 |
//! | [`sint`]         | where a Hyper-V SINT route is delivered, and who hears of EOIs  |
//! | [`update`]       | which vCPUs a new routing table makes scan                      |
//! | [`verify`]       | whether C and Rust agree                                        |

#![deny(unsafe_code)]

pub(crate) mod apic;
pub(crate) mod dest_map;
pub(crate) mod destination;
pub(crate) mod level_routes;
pub(crate) mod msi;
pub(crate) mod route;
pub(crate) mod scan;
pub(crate) mod sint;
pub(crate) mod update;
pub(crate) mod vector;
pub(crate) mod verify;

/// Whether a VM has the known defects of KVM's C, from its creation to its end: the module
/// parameter `parity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parity {
    /// Bit for bit what KVM's C does.
    On,
    /// What KVM's C does without its known defects.
    Off,
}
