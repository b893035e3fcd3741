// SPDX-License-Identifier: GPL-2.0

//! A VM as it was read, and its listings.

use crate::routing::{
    lines::{TableRemarkLine, MAX_ROUTES, REMARK_COLUMNS},
    x86::{
        apic::X2ApicApi,
        lines::{RemarkLines, RouteLine, VcpuLines, ROUTE_COLUMNS, VCPU_COLUMNS},
        remark::remarks,
        route::ReservedPins,
        seen::{SeenRoute, SeenVcpu, SeenVm, Target},
    },
    Parity,
};
use std::collections::{HashMap, HashSet};

/// The greatest number of vCPUs, and of VP indexes (KVM_MAX_VCPUS).
pub const MAX_VCPUS: usize = 1024;

/// One more than the greatest number that a vCPU has (KVM_MAX_VCPU_IDS).
const MAX_VCPU_IDS: u32 = 4096;

/// How many pins the interrupt controllers in KVM have: both PICs, and the I/O APIC.
const CHIP_PINS: [u32; 3] = [8, 8, 24];

/// What can be listed: as the files of a VM that have these names.
#[derive(Clone, Copy)]
pub enum Listing {
    /// Each thing that is odd about a route.
    Remarks,
    /// Each route.
    Routes,
    /// Each vCPU. Which EOIs it reports, and what is pending, is not known.
    Vcpus,
}

impl Listing {
    /// Returns the listing with the given name, if there is one.
    pub fn new(name: &str) -> Option<Self> {
        match name {
            "remarks" => Some(Self::Remarks),
            "routes" => Some(Self::Routes),
            "vcpus" => Some(Self::Vcpus),
            _ => None,
        }
    }
}

/// Returns reserved pins, if KVM accepts so many.
pub fn reserved_pins(pins: u32) -> Result<u32, String> {
    if pins as usize > MAX_ROUTES {
        return Err(format!("{pins} reserved pins, of {MAX_ROUTES} at most"));
    }
    Ok(pins)
}

/// Tells whether KVM takes both for one GSI: pins of different interrupt controllers.
fn may_share(one: &Target, other: &Target) -> bool {
    matches!((one, other),
        (Target::Irqchip { chip: one, .. }, Target::Irqchip { chip: other, .. }) if one != other)
}

/// A table of routes, and the vCPUs of its VM.
pub struct Vm {
    api: X2ApicApi,
    pins: Option<ReservedPins>,
    routes: Vec<SeenRoute>,
    vcpus: Vec<SeenVcpu>,
}

impl Vm {
    /// Puts a VM together. `pins` are there if its irqchip is split. Returns why KVM would refuse it: its
    /// ioctls return `EINVAL` or `EEXIST`.
    pub fn new(
        api: X2ApicApi,
        pins: Option<u32>,
        routes: Vec<SeenRoute>,
        mut vcpus: Vec<SeenVcpu>,
    ) -> Result<Self, String> {
        let pins = pins.map(reserved_pins).transpose()?.map(ReservedPins);

        if routes.len() > MAX_ROUTES {
            return Err(format!("{} routes, of {MAX_ROUTES} at most", routes.len()));
        }
        let mut targets = HashMap::<_, Vec<_>>::new();
        for route in &routes {
            let others = targets.entry(route.gsi).or_default();

            if others.iter().any(|other| !may_share(other, &route.target)) {
                return Err(format!("GSI {}: two routes", route.gsi));
            }
            others.push(route.target);
            if let Target::Irqchip { chip, pin } = route.target {
                let pins = CHIP_PINS.get(chip as usize).filter(|_| pins.is_none());

                if pins.is_none_or(|pins| pin >= *pins) {
                    return Err(format!("GSI {}: no pin {pin} of irqchip {chip}", route.gsi));
                }
            }
            if route.gsi as usize >= MAX_ROUTES {
                return Err(format!("GSI {}, of {MAX_ROUTES} from 0", route.gsi));
            }
        }
        if vcpus.len() > MAX_VCPUS {
            return Err(format!("{} vCPUs, of {MAX_VCPUS} at most", vcpus.len()));
        }
        if let Some(vcpu) = vcpus.iter().find(|vcpu| vcpu.id >= MAX_VCPU_IDS) {
            return Err(format!("vCPU {}, of {MAX_VCPU_IDS} from 0", vcpu.id));
        }
        let mut ids = HashSet::new();
        if let Some(vcpu) = vcpus.iter().find(|vcpu| !ids.insert(vcpu.id)) {
            return Err(format!("two vCPUs {}", vcpu.id));
        }
        if let Some(pins) = pins {
            for vcpu in &mut vcpus {
                vcpu.note_pins(&routes, pins, api);
            }
        }
        Ok(Self {
            api,
            pins,
            routes,
            vcpus,
        })
    }

    fn seen(&self) -> SeenVm<'_> {
        SeenVm {
            parity: Parity::Off,
            api: self.api,
            pins: self.pins,
            routes: &self.routes,
            vcpus: &self.vcpus,
        }
    }

    /// Tells whether some route loses interrupts.
    pub fn loses_interrupts(&self) -> bool {
        let vm = self.seen();

        self.routes
            .iter()
            .any(|route| remarks(&vm, route).iter().flatten().any(|r| r.loses()))
    }

    /// Returns what the file of that name would show.
    pub fn list(&self, listing: Listing) -> String {
        let vm = self.seen();
        let (columns, lines): (_, Vec<_>) = match listing {
            Listing::Remarks => (
                REMARK_COLUMNS,
                self.routes
                    .iter()
                    .map(|route| RemarkLines(&vm, route).to_string())
                    .chain([TableRemarkLine(self.routes.len()).to_string()])
                    .collect(),
            ),
            Listing::Routes => (
                ROUTE_COLUMNS,
                self.routes
                    .iter()
                    .map(|route| RouteLine(&vm, route, None).to_string())
                    .collect(),
            ),
            Listing::Vcpus => (
                VCPU_COLUMNS,
                self.vcpus
                    .iter()
                    .map(|vcpu| VcpuLines(&vm, vcpu).to_string())
                    .collect(),
            ),
        };

        format!("{columns}\n{}", lines.concat())
    }
}
