// SPDX-License-Identifier: GPL-2.0

//! A VM as someone from outside sees it at one moment, and what is odd about its routes.

use super::super::lines::{write_names, write_remark};
use super::{
    msi::{decide, DeadMsi, Its, Msi},
    spi::Spi,
};
use core::fmt::{Display, Formatter, Result};

/// The names of the columns of routes.
pub(crate) const ROUTE_COLUMNS: &str = "gsi type destination event_id device_id remarks";

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// KVM_IRQ_ROUTING_IRQCHIP: a pin, any number.
    Pin(u32),
    /// KVM_IRQ_ROUTING_MSI: an MSI, and the address that it is written to.
    Msi {
        /// The address.
        address: u64,
        /// The MSI.
        msi: Msi,
    },
    /// Another type, by its number.
    Other(u32),
}

/// A route of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeenRoute {
    /// The GSI that is routed.
    pub(crate) gsi: u32,
    /// Where it goes.
    pub(crate) target: Target,
}

/// What there is in a VM for interrupts to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeenVm {
    /// How many SPIs it has, 0 before the vgic has them.
    pub(crate) nr_spis: u32,
    /// Whether it has an ITS.
    pub(crate) has_its: bool,
}

/// Why interrupts by a route are lost, as of now. Whether the doorbell of an ITS is at the address of an
/// MSI is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// The VM has only so many SPIs.
    NoSpi(u32),
    /// The MSI can reach no ITS.
    Dead(DeadMsi),
}

impl Remark {
    /// Returns its name, which does not change, and is that of the counter of lost interrupts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::NoSpi(_) => "no_spi",
            Self::Dead(DeadMsi::NoIts) => "no_its",
            Self::Dead(DeadMsi::NoDeviceId) => "no_device_id",
            Self::Dead(DeadMsi::NoDoorbell) => "no_doorbell",
            Self::Dead(DeadMsi::LongId) => "long_id",
        }
    }
}

impl Display for Remark {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::NoSpi(nr) => write!(f, "the VM has {nr} SPIs"),
            Self::Dead(DeadMsi::NoIts) => f.write_str("the VM has no ITS"),
            Self::Dead(DeadMsi::NoDeviceId) => f.write_str("the MSI has no device ID"),
            Self::Dead(DeadMsi::NoDoorbell) => f.write_str("no ITS has its doorbell there"),
            Self::Dead(DeadMsi::LongId) => f.write_str("an ID has more than 16 bits"),
        }
    }
}

/// Returns what is odd about a route of a VM.
pub(crate) fn remark(vm: &SeenVm, route: &SeenRoute) -> Option<Remark> {
    match route.target {
        Target::Pin(pin) => Spi::of_pin(pin, vm.nr_spis)
            .is_none()
            .then_some(Remark::NoSpi(vm.nr_spis)),
        Target::Msi { msi, .. } => {
            let its = if vm.has_its {
                Its::AtAddress
            } else {
                Its::None
            };

            decide(&msi, its).err().map(Remark::Dead)
        }
        Target::Other(_) => None,
    }
}

/// The line of a route.
pub(crate) struct RouteLine<'a>(pub(crate) &'a SeenVm, pub(crate) &'a SeenRoute);

impl Display for RouteLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(vm, route) = *self;

        write!(f, "{} ", route.gsi)?;
        match route.target {
            Target::Pin(pin) => match Spi::of_pin(pin, vm.nr_spis) {
                Some(spi) => write!(f, "irqchip intid:{} - - ", spi.intid())?,
                None => write!(f, "irqchip pin:{pin} - - ")?,
            },
            Target::Msi { address, msi } => {
                write!(f, "msi address:{address:#x} {:#x} ", msi.event_id)?;
                match msi.device_id {
                    Some(id) => write!(f, "{id:#x} ")?,
                    None => f.write_str("- ")?,
                }
            }
            Target::Other(kind) => write!(f, "type_{kind} - - - ")?,
        }
        write_names(f, remark(vm, route).iter().map(Remark::name))
    }
}

/// The line of the remark on a route, if there is one.
pub(crate) struct RemarkLine<'a>(pub(crate) &'a SeenVm, pub(crate) &'a SeenRoute);

impl Display for RemarkLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(vm, route) = *self;

        match remark(vm, route) {
            Some(remark) => write_remark(f, route.gsi, remark.name(), true, remark),
            None => Ok(()),
        }
    }
}
