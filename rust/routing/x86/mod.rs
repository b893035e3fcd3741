// SPDX-License-Identifier: GPL-2.0

//! Routes on x86: which EOIs of a split irqchip leave the guest, where Hyper-V SINTs go, and to
//! which vCPU a device posts its interrupt.
//!
//! | module           | decides                                                         |
//! |------------------|-----------------------------------------------------------------|
//! | [`vector`]       | nothing, it is the set of vectors that the others work with     |
//! | [`msi`]          | what the address and data of an MSI mean                        |
//! | [`destination`]  | by which keys a destination and a local APIC are matched        |
//! | [`apic`]         | whether a local APIC accepts a destination                      |
//! | [`apic_map`]     | which vCPUs a destination means                                 |
//! | [`posting`]      | to which vCPU a device may post the interrupt of a route        |
//! | [`route`]        | what is kept of a route                                         |
//! | [`dest_map`]     | nothing, it maps each key to the vectors that are sent to it    |
//! | [`level_routes`] | which vectors the level routes of a table send to a local APIC  |
//! | [`scan`]         | which EOIs a vCPU has to report                                 |
//! | [`sint`]         | where a Hyper-V SINT route is delivered, and who hears of EOIs  |
//! | [`update`]       | which vCPUs a new routing table makes scan                      |
//! | [`verify`]       | whether C and Rust agree                                        |
//! | [`seen`]         | whom a route reaches, for files that show it                    |
//! | [`remark`]       | what is odd about a route                                       |
//! | [`lines`]        | nothing, it writes the lines of files                           |

pub(crate) mod apic;
pub(crate) mod apic_map;
pub(crate) mod dest_map;
pub(crate) mod destination;
pub(crate) mod level_routes;
pub(crate) mod lines;
pub(crate) mod msi;
pub(crate) mod posting;
pub(crate) mod remark;
pub(crate) mod route;
pub(crate) mod scan;
pub(crate) mod seen;
pub(crate) mod sint;
pub(crate) mod update;
pub(crate) mod vector;
pub(crate) mod verify;
