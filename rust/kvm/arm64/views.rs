// SPDX-License-Identifier: GPL-2.0

//! What KVM shows of a VM and of an MSI, in the terms of the pure core.

use super::bindings;
use crate::routing::arm64::{
    msi::{
        Its,
        Msi, //
    },
    route::PinRoute,
    seen::{
        SeenRoute,
        Target, //
    }, //
};

impl bindings::kvm_irqroute_msi_view {
    /// Returns the MSI.
    pub(crate) fn msi(&self) -> Msi {
        Msi {
            device_id: (self.has_devid != 0).then_some(self.devid),
            event_id: self.data,
        }
    }

    /// Returns what there is to receive it.
    pub(crate) fn its(&self) -> Its {
        match (self.has_its != 0, self.is_doorbell != 0) {
            (false, _) => Its::None,
            (true, false) => Its::Elsewhere,
            (true, true) => Its::AtAddress,
        }
    }
}

impl bindings::kvm_irq_routing_entry {
    /// Returns the route, if it is one to a pin.
    pub(crate) fn pin_route(&self) -> Option<PinRoute> {
        if self.type_ != bindings::KVM_IRQ_ROUTING_IRQCHIP {
            return None;
        }

        // SAFETY: `type_` says that `irqchip` is the member of the union in use. It consists of
        // integers, for which any bits are valid. The entry is borrowed, so that no one writes it, and
        // lives as long as the borrow.
        let irqchip = unsafe { &self.u.irqchip };

        Some(PinRoute {
            pin: irqchip.pin,
            gsi: self.gsi,
        })
    }

    /// Returns the route as files show it.
    pub(crate) fn seen(&self) -> SeenRoute {
        let target = match (self.pin_route(), self.type_) {
            (Some(route), _) => Target::Pin(route.pin),
            (None, bindings::KVM_IRQ_ROUTING_MSI) => {
                // SAFETY: `type_` says that `msi` is the member of the union in use. It consists of
                // integers, for which any bits are valid; the device ID is in a union with nothing but
                // padding. The entry is borrowed, so that no one writes it, and lives as long as the
                // borrow.
                let (msi, device_id) = unsafe { (&self.u.msi, self.u.msi.__bindgen_anon_1.devid) };
                let has_device_id = self.flags & bindings::KVM_MSI_VALID_DEVID != 0;

                Target::Msi {
                    address: u64::from(msi.address_hi) << 32 | u64::from(msi.address_lo),
                    msi: Msi {
                        device_id: has_device_id.then_some(device_id),
                        event_id: msi.data,
                    },
                }
            }
            (None, other) => Target::Other(other),
        };

        SeenRoute {
            gsi: self.gsi,
            target,
        }
    }
}
