// SPDX-License-Identifier: GPL-2.0

//! What KVM shows of a VM and its vCPUs, in the terms of the pure core.

use super::bindings;
use crate::routing::x86::{
    apic::{
        Apic,
        ApicId,
        BroadcastQuirk,
        LogicalModel,
        X2ApicApi, //
    },
    msi::{
        Msi,
        MsiFormat, //
    },
    posting::LowestPriority,
    route::{
        ReservedPins,
        Route, //
    },
    seen::{
        Enabled,
        SeenRoute,
        Target, //
    },
    sint::SintRoute,
    vector::VectorSet, //
};

impl bindings::kvm_irqroute_vm_view {
    /// Returns the pins of the userspace I/O APIC. Without a split irqchip there are none.
    pub(crate) fn reserved_pins(&self) -> ReservedPins {
        ReservedPins(self.nr_reserved_pins)
    }

    /// Returns the settings of KVM_CAP_X2APIC_API.
    pub(crate) fn x2apic_api(&self) -> X2ApicApi {
        X2ApicApi {
            format: if self.x2apic_format != 0 {
                MsiFormat::X2Apic
            } else {
                MsiFormat::Compat
            },
            quirk: if self.broadcast_quirk != 0 {
                BroadcastQuirk::On
            } else {
                BroadcastQuirk::Off
            },
        }
    }

    /// Returns how one of several vCPUs is chosen.
    pub(crate) fn lowest_priority(&self) -> LowestPriority {
        if self.vector_hashing != 0 {
            LowestPriority::Hashed
        } else {
            LowestPriority::ByPriority
        }
    }
}

impl bindings::kvm_irqroute_apic_view {
    /// Returns the identity of the local APIC.
    #[inline]
    pub(crate) fn id(&self) -> ApicId {
        if self.x2apic_mode != 0 {
            ApicId::X2Apic {
                id: self.x2apic_id,
                ldr: self.ldr,
            }
        } else {
            ApicId::XApic {
                // KVM shows the eight bits of the ID, not the register around them.
                id: self.xapic_id as u8,
                initial_id: self.x2apic_id,
                logical_id: (self.ldr >> 24) as u8,
                model: LogicalModel::from_dfr(self.dfr),
            }
        }
    }

    /// Tells whether the local APIC is enabled.
    pub(crate) fn enabled(&self) -> Enabled {
        match (self.hw_enabled, self.sw_enabled) {
            (0, _) => Enabled::NotByApicBase,
            (_, 0) => Enabled::NotBySpiv,
            _ => Enabled::Yes,
        }
    }
}

impl bindings::kvm_irqroute_vcpu_view {
    /// Returns the local APIC.
    #[inline]
    pub(crate) fn apic(&self) -> Apic {
        Apic {
            id: self.apic.id(),
            pending_eoi: VectorSet::from_registers(&self.pending_eoi),
        }
    }

    /// Returns the vectors whose last interrupt was level-triggered (TMR).
    #[inline]
    pub(crate) fn level_triggered(&self) -> VectorSet {
        VectorSet::from_registers(&self.level_triggered)
    }
}

impl bindings::kvm_irq_routing_entry {
    /// Tells whether [`Route::kept`] may keep the route. That is for what large tables consist of,
    /// MSIs beyond the pins, which are passed over quickly.
    #[inline]
    pub(crate) fn may_matter(&self, pins: ReservedPins) -> bool {
        self.type_ != bindings::KVM_IRQ_ROUTING_MSI || pins.contains(self.gsi)
    }
}

impl From<&bindings::kvm_irq_routing_entry> for Route {
    fn from(entry: &bindings::kvm_irq_routing_entry) -> Self {
        match entry.type_ {
            bindings::KVM_IRQ_ROUTING_MSI => {
                // SAFETY: `type_` says that `msi` is the member of the union in use. It consists
                // of integers, for which any bits are valid. The entry is borrowed, so that no one
                // writes it, and lives as long as the borrow.
                let msi = unsafe { &entry.u.msi };

                Self::Msi {
                    gsi: entry.gsi,
                    msi: Msi {
                        address_lo: msi.address_lo,
                        address_hi: msi.address_hi,
                        data: msi.data,
                    },
                }
            }
            bindings::KVM_IRQ_ROUTING_HV_SINT => {
                // SAFETY: As above, for `hv_sint`.
                let hv_sint = unsafe { &entry.u.hv_sint };

                Self::Sint(SintRoute {
                    gsi: entry.gsi,
                    vp_index: hv_sint.vcpu,
                    sint: hv_sint.sint,
                })
            }
            _ => Self::Other,
        }
    }
}

impl From<&bindings::kvm_irq_routing_entry> for SeenRoute {
    fn from(entry: &bindings::kvm_irq_routing_entry) -> Self {
        let target = match (Route::from(entry), entry.type_) {
            (Route::Msi { msi, .. }, _) => Target::Msi(msi),
            (Route::Sint(SintRoute { vp_index, sint, .. }), _) => Target::Sint { vp_index, sint },
            (Route::Other, bindings::KVM_IRQ_ROUTING_IRQCHIP) => {
                // SAFETY: `type_` says that `irqchip` is the member of the union in use. It consists of
                // integers, for which any bits are valid. The entry is borrowed, so that no one writes
                // it, and lives as long as the borrow.
                let irqchip = unsafe { &entry.u.irqchip };

                Target::Irqchip {
                    chip: irqchip.irqchip,
                    pin: irqchip.pin,
                }
            }
            (Route::Other, bindings::KVM_IRQ_ROUTING_XEN_EVTCHN) => Target::Xen {
                // SAFETY: As above, for `xen_evtchn`.
                port: unsafe { &entry.u.xen_evtchn }.port,
            },
            (Route::Other, other) => Target::Other(other),
        };

        Self {
            gsi: entry.gsi,
            target,
        }
    }
}
