// SPDX-License-Identifier: GPL-2.0

//! A VM as someone from outside sees it at one moment, and whom its routes reach.

use super::super::Parity;
use super::{
    apic::{ApicId, X2ApicApi},
    msi::{Delivery, Msi},
    route::{Kept, ReservedPins, Route},
    sint::{Sint, SintRegister, SintRoute, NR_SINTS},
    vector::VectorSet,
};

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// KVM_IRQ_ROUTING_MSI.
    Msi(Msi),
    /// KVM_IRQ_ROUTING_HV_SINT: a VP index and a SINT, any numbers.
    Sint {
        /// The VP index.
        vp_index: u32,
        /// The number of the SINT.
        sint: u32,
    },
    /// KVM_IRQ_ROUTING_IRQCHIP: an interrupt controller in KVM (KVM API, KVM_IRQCHIP_*) and a pin of it.
    Irqchip {
        /// The interrupt controller.
        chip: u32,
        /// The pin.
        pin: u32,
    },
    /// KVM_IRQ_ROUTING_XEN_EVTCHN: an event channel of a Xen guest.
    Xen {
        /// The number of the event channel.
        port: u32,
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

/// The vectors that a CPU has yet to take, and those that it has yet to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// IRR.
    pub(crate) requested: VectorSet,
    /// ISR.
    pub(crate) in_service: VectorSet,
}

/// Whether a local APIC is enabled (Intel SDM volume 3, "Enabling or Disabling the Local APIC").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enabled {
    /// It is.
    Yes,
    /// Not by its spurious interrupt vector register: it takes no interrupt with a vector.
    NotBySpiv,
    /// Not by its base register: it takes nothing.
    NotByApicBase,
}

/// The registers of an active SynIC.
pub(crate) type Sints = [SintRegister; NR_SINTS as usize];

/// A vCPU with a local APIC in KVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeenVcpu {
    /// The number that userspace made it with (KVM_CREATE_VCPU), its initial APIC ID.
    pub(crate) id: u32,
    /// Which destinations its local APIC accepts.
    pub(crate) apic: ApicId,
    /// Whether that is enabled.
    pub(crate) enabled: Enabled,
    /// The vectors whose EOI leaves the guest.
    pub(crate) handled: VectorSet,
    /// What is pending, unless it may be where nobody else sees it.
    pub(crate) pending: Option<Pending>,
    /// Its VP index, if it is the one that KVM finds by it.
    pub(crate) vp_index: Option<u32>,
    /// Its SINTs, if its SynIC is active.
    pub(crate) sints: Option<Sints>,
    /// The vectors that pins send it, and of these those that more than one does.
    pub(crate) from_pins: VectorSet,
    pub(crate) from_several_pins: VectorSet,
}

impl SeenVcpu {
    /// Makes a vCPU with an enabled local APIC and without a SynIC, to which no pin is known to lead.
    pub(crate) fn new(id: u32, apic: ApicId, handled: VectorSet, pending: Option<Pending>) -> Self {
        Self {
            id,
            apic,
            enabled: Enabled::Yes,
            handled,
            pending,
            vp_index: None,
            sints: None,
            from_pins: VectorSet::EMPTY,
            from_several_pins: VectorSet::EMPTY,
        }
    }

    /// Returns the APIC ID as it is now: in xAPIC mode the guest may write it.
    pub(crate) fn apic_id(&self) -> u32 {
        self.apic.current()
    }

    /// Returns the register of a SINT, if the SynIC is active.
    pub(crate) fn sint(&self, sint: Sint) -> Option<SintRegister> {
        self.sints.as_ref()?.get(sint.number() as usize).copied()
    }

    /// Tells whether the destination of an MSI means the local APIC, be it enabled or not.
    fn is_meant(&self, msi: &Msi, api: X2ApicApi) -> bool {
        self.apic.accepts(msi.destination(api.format), api.quirk)
    }

    /// Tells whether the local APIC accepts an MSI, if it is decoded and matched as `api` says.
    fn accepts(&self, msi: &Msi, api: X2ApicApi) -> bool {
        let takes = match self.enabled {
            Enabled::Yes => true,
            Enabled::NotBySpiv => msi.delivery() == Delivery::Other,
            Enabled::NotByApicBase => false,
        };

        takes && msi.is_valid(api.format) && self.is_meant(msi, api)
    }

    /// Takes note of the vectors that the pins among `routes` send the vCPU, if destinations are
    /// decoded and matched as `api` says.
    pub(crate) fn note_pins(&mut self, routes: &[SeenRoute], pins: ReservedPins, api: X2ApicApi) {
        for (gsi, msi) in routes.iter().filter_map(SeenRoute::msi) {
            if !pins.contains(gsi) || msi.delivery() != Delivery::Vector || !self.accepts(&msi, api)
            {
                continue;
            }
            if self.from_pins.contains(msi.vector()) {
                self.from_several_pins.insert(msi.vector());
            }
            self.from_pins.insert(msi.vector());
        }
    }
}

impl SeenRoute {
    /// Returns the GSI and the MSI, if it is the route of one.
    pub(crate) fn msi(&self) -> Option<(u32, Msi)> {
        match self.target {
            Target::Msi(msi) => Some((self.gsi, msi)),
            _ => None,
        }
    }

    fn route(&self) -> Route {
        match self.target {
            Target::Msi(msi) => Route::Msi { gsi: self.gsi, msi },
            Target::Sint { vp_index, sint } => Route::Sint(SintRoute {
                vp_index,
                sint,
                gsi: self.gsi,
            }),
            _ => Route::Other,
        }
    }
}

/// A VM: the current routing table and the vCPUs, not of quite the same moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenVm<'a> {
    /// Whether it has the known defects of KVM's C.
    pub(crate) parity: Parity,
    /// How MSIs are decoded and matched.
    pub(crate) api: X2ApicApi,
    /// The pins of the I/O APIC in userspace, if the irqchip is split.
    pub(crate) pins: Option<ReservedPins>,
    /// The routes, in the order of the table.
    pub(crate) routes: &'a [SeenRoute],
    /// The vCPUs, in the order of their creation.
    pub(crate) vcpus: &'a [SeenVcpu],
}

impl SeenVm<'_> {
    /// Tells whether a route is one of a pin of the I/O APIC in userspace.
    pub(crate) fn is_pin(&self, route: &SeenRoute) -> bool {
        route.msi().is_some() && self.pins.is_some_and(|pins| pins.contains(route.gsi))
    }

    /// Returns the vCPU that KVM finds by a VP index.
    pub(crate) fn vp(&self, vp_index: u32) -> Option<&SeenVcpu> {
        self.vcpus
            .iter()
            .find(|vcpu| vcpu.vp_index == Some(vp_index))
    }

    /// Tells whether an interrupt by a route may reach a vCPU. Where a pin of an interrupt controller
    /// in KVM leads is not known.
    pub(crate) fn reaches(&self, target: &Target, vcpu: &SeenVcpu) -> bool {
        match *target {
            Target::Msi(msi) => vcpu.accepts(&msi, self.api),
            Target::Sint { vp_index, sint } => {
                vcpu.vp_index == Some(vp_index)
                    && Sint::new(sint)
                        .and_then(|sint| vcpu.sint(sint))
                        .is_some_and(|register| register.vector().is_some())
            }
            _ => false,
        }
    }

    /// Returns the vCPUs that a route reaches, in their order.
    pub(crate) fn reached<'b>(&'b self, target: &'b Target) -> impl Iterator<Item = &'b SeenVcpu> {
        self.vcpus
            .iter()
            .filter(move |vcpu| self.reaches(target, vcpu))
    }

    /// Returns the GSIs of the pins because of which a vCPU reports the EOI of `vector`, be its local APIC
    /// enabled or not. There are none if that is stale.
    pub(crate) fn pins_of<'b>(
        &'b self,
        vcpu: &'b SeenVcpu,
        vector: u8,
    ) -> impl Iterator<Item = u32> + 'b {
        self.routes
            .iter()
            .filter(move |route| {
                let kept = self
                    .pins
                    .and_then(|pins| route.route().kept(pins, self.parity));

                matches!(kept, Some(Kept::Level(msi))
                    if msi.vector() == vector && vcpu.is_meant(&msi, self.api))
            })
            .map(|route| route.gsi)
    }

    /// Returns the GSIs that are routed to a SINT, in the order of the table.
    pub(crate) fn gsis_of_sint(&self, vp: u32, number: u32) -> impl Iterator<Item = u32> + '_ {
        self.routes
            .iter()
            .filter(move |route| {
                matches!(route.target,
                    Target::Sint { vp_index, sint } if vp_index == vp && sint == number)
            })
            .map(|route| route.gsi)
    }
}
