// SPDX-License-Identifier: GPL-2.0

//! Routes on arm64: which SPI or ITS the interrupt of an irqfd reaches, and who hears of its end.
//!
//! | module     | decides                                                          |
//! |------------|------------------------------------------------------------------|
//! | [`route`]  | what is kept of a route, and which GSIs hear of the end of a pin |
//! | [`spi`]    | which SPI a pin is, and whether its line is high                 |
//! | [`msi`]    | whether an MSI can reach an ITS, and why not                     |
//! | [`table`]  | which table takes the place of another one                       |
//! | [`verify`] | whether C and Rust agree                                         |
//! | [`seen`]   | what is odd about a route, and how files say so                  |

pub(crate) mod msi;
pub(crate) mod route;
pub(crate) mod seen;
pub(crate) mod spi;
pub(crate) mod table;
pub(crate) mod verify;
