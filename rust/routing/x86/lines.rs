// SPDX-License-Identifier: GPL-2.0

//! How routes, vCPUs and remarks are written in files: a line for each route and each remark, several
//! for a vCPU.

use super::super::lines::{write_names, write_remark, yes_or_no};
use super::{
    apic::{ApicId, LogicalModel},
    destination::Destination,
    msi::{Msi, Trigger},
    remark::{delivery_name, remarks, Remark},
    seen::{Enabled, SeenRoute, SeenVcpu, SeenVm, Target},
    sint::Sint,
    vector::VectorSet,
};
use core::fmt::{Display, Formatter, Result};

/// The names of the columns of routes.
pub(crate) const ROUTE_COLUMNS: &str =
    "gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks";

/// The names of the columns of vCPUs.
pub(crate) const VCPU_COLUMNS: &str = "vcpu what value";

/// The names of the columns of what is posted.
pub(crate) const POSTING_COLUMNS: &str = "way reason irqfds";

/// Writes numbers in the order in which they come, such as `0-3,7`, or `-` if there are none.
fn write_ranges(f: &mut Formatter<'_>, numbers: impl Iterator<Item = u32>) -> Result {
    let mut range: Option<(u32, u32)> = None;

    for number in numbers {
        range = match range {
            Some((first, last)) if last.checked_add(1) == Some(number) => Some((first, number)),
            Some(done) => {
                write_range(f, done)?;
                f.write_str(",")?;
                Some((number, number))
            }
            None => Some((number, number)),
        };
    }
    match range {
        Some(range) => write_range(f, range),
        None => f.write_str("-"),
    }
}

fn write_range(f: &mut Formatter<'_>, (first, last): (u32, u32)) -> Result {
    if first == last {
        write!(f, "{first}")
    } else {
        write!(f, "{first}-{last}")
    }
}

/// Some of so many GSIs, in the order in which they come, such as `0-3,7`.
pub(crate) struct Gsis<'a>(pub(crate) &'a [u32], pub(crate) usize);

impl Display for Gsis<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_ranges(f, self.0.iter().copied())?;
        if self.1 > self.0.len() {
            f.write_str(",...")?;
        }
        Ok(())
    }
}

/// The way that the interrupt of a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To a vCPU.
    Posted,
    /// To the host, for a reason with this name.
    Remapped(&'static str),
}

/// The line of a route, to which belongs the interrupt of a device that takes this way, if there is one.
pub(crate) struct RouteLine<'a>(
    pub(crate) &'a SeenVm<'a>,
    pub(crate) &'a SeenRoute,
    pub(crate) Option<Way>,
);

fn write_msi(f: &mut Formatter<'_>, vm: &SeenVm<'_>, msi: &Msi, is_pin: bool) -> Result {
    let trigger = match msi.trigger() {
        Trigger::Edge => "edge",
        Trigger::Level => "level",
    };

    if msi.is_unset() {
        return write!(f, "msi {} - - - unset", yes_or_no(is_pin));
    }
    write!(
        f,
        "msi {} {:#04x} {trigger} {} ",
        yes_or_no(is_pin),
        msi.vector(),
        delivery_name(msi.delivery_mode()),
    )?;
    match msi.destination(vm.api.format) {
        _ if !msi.is_valid(vm.api.format) => f.write_str("invalid"),
        Destination::Physical(mda) => write!(f, "physical:{mda:#x}"),
        Destination::Logical(mda) => write!(f, "logical:{mda:#x}"),
    }
}

fn write_target(f: &mut Formatter<'_>, vm: &SeenVm<'_>, route: &SeenRoute) -> Result {
    match route.target {
        Target::Msi(msi) => write_msi(f, vm, &msi, vm.is_pin(route)),
        Target::Sint { vp_index, sint } => {
            let vector = Sint::new(sint)
                .and_then(|sint| vm.vp(vp_index)?.sint(sint))
                .and_then(|register| register.vector());

            f.write_str("sint no ")?;
            match vector {
                Some(vector) => write!(f, "{vector:#04x}")?,
                None => f.write_str("-")?,
            }
            write!(f, " edge fixed vp:{vp_index},sint:{sint}")
        }
        Target::Irqchip { chip, pin } => {
            let chip = match chip {
                0 => "pic_master",
                1 => "pic_slave",
                2 => "ioapic",
                _ => "unknown",
            };

            write!(f, "irqchip no - - - {chip}:{pin}")
        }
        Target::Xen { port } => write!(f, "xen no - - - port:{port}"),
        Target::Other(kind) => write!(f, "type_{kind} no - - - -"),
    }
}

impl Display for RouteLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(vm, route, way) = *self;
        let is_set = route.msi().is_none_or(|(_, msi)| !msi.is_unset());
        let reached = || vm.reached(&route.target).filter(|_| is_set);

        write!(f, "{} ", route.gsi)?;
        write_target(f, vm, route)?;
        f.write_str(" ")?;
        write_ranges(f, reached().map(SeenVcpu::apic_id))?;
        f.write_str(" ")?;
        write_ranges(f, reached().map(|vcpu| vcpu.id))?;

        match way {
            Some(Way::Posted) => f.write_str(" yes ")?,
            Some(Way::Remapped(reason)) => write!(f, " no:{reason} ")?,
            None => f.write_str(" - ")?,
        }
        write_names(f, remarks(vm, route).iter().flatten().map(Remark::name))
    }
}

/// The lines of the remarks on a route, one for each.
pub(crate) struct RemarkLines<'a>(pub(crate) &'a SeenVm<'a>, pub(crate) &'a SeenRoute);

impl Display for RemarkLines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(vm, route) = *self;

        for remark in remarks(vm, route).iter().flatten() {
            write_remark(f, route.gsi, remark.name(), remark.loses(), remark)?;
        }
        Ok(())
    }
}

/// The line of the irqfds whose interrupts take this way.
pub(crate) struct PostingLine(pub(crate) Way, pub(crate) u32);

impl Display for PostingLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(way, irqfds) = *self;

        match way {
            Way::Posted => writeln!(f, "posted - {irqfds}"),
            Way::Remapped(reason) => writeln!(f, "remapped {reason} {irqfds}"),
        }
    }
}

/// The lines of a vCPU.
pub(crate) struct VcpuLines<'a>(pub(crate) &'a SeenVm<'a>, pub(crate) &'a SeenVcpu);

fn vectors(set: &VectorSet) -> impl Iterator<Item = u8> + '_ {
    (0..=u8::MAX).filter(|vector| set.contains(*vector))
}

/// A list of vectors, or `-` if there are none.
pub(crate) struct Vectors<'a>(pub(crate) &'a VectorSet);

impl Display for Vectors<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut separator = "";

        for vector in vectors(self.0) {
            write!(f, "{separator}{vector:#04x}")?;
            separator = ",";
        }
        f.write_str(if separator.is_empty() { "-" } else { "" })
    }
}

impl VcpuLines<'_> {
    fn write_apic(&self, f: &mut Formatter<'_>) -> Result {
        let Self(_, vcpu) = self;
        let id = vcpu.id;

        writeln!(f, "{id} apic_id {}", vcpu.apic_id())?;
        match vcpu.apic {
            ApicId::X2Apic { ldr, .. } => {
                writeln!(f, "{id} mode x2apic\n{id} logical_id {ldr:#x}")
            }
            ApicId::XApic {
                logical_id, model, ..
            } => {
                let model = match model {
                    LogicalModel::Flat => "flat",
                    LogicalModel::Cluster => "cluster",
                    LogicalModel::Reserved => "reserved",
                };

                writeln!(
                    f,
                    "{id} mode xapic_{model}\n{id} logical_id {logical_id:#x}"
                )
            }
        }
    }

    fn write_enabled(&self, f: &mut Formatter<'_>) -> Result {
        let Self(_, vcpu) = self;
        let enabled = match vcpu.enabled {
            Enabled::Yes => "yes",
            Enabled::NotBySpiv => "no:spiv",
            Enabled::NotByApicBase => "no:apic_base",
        };

        writeln!(f, "{} enabled {enabled}", vcpu.id)
    }

    fn write_eoi_exits(&self, f: &mut Formatter<'_>) -> Result {
        let Self(vm, vcpu) = self;

        // Those that an I/O APIC in KVM wants to hear of do not leave the guest.
        if vm.pins.is_none() {
            return Ok(());
        }
        for vector in vectors(&vcpu.handled) {
            write!(f, "{} eoi_exit {vector:#04x} gsis ", vcpu.id)?;
            write_ranges(f, vm.pins_of(vcpu, vector))?;
            f.write_str(if vm.pins_of(vcpu, vector).next().is_none() {
                " stale\n"
            } else {
                "\n"
            })?;
        }
        Ok(())
    }

    fn write_pending(&self, f: &mut Formatter<'_>) -> Result {
        let id = self.1.id;

        match &self.1.pending {
            Some(pending) => writeln!(
                f,
                "{id} requested {}\n{id} in_service {}",
                Vectors(&pending.requested),
                Vectors(&pending.in_service)
            ),
            None => writeln!(f, "{id} requested unknown\n{id} in_service unknown"),
        }
    }

    fn write_synic(&self, f: &mut Formatter<'_>) -> Result {
        let Self(vm, vcpu) = self;
        let id = vcpu.id;

        match vcpu.vp_index {
            Some(vp_index) => writeln!(f, "{id} vp_index {vp_index}")?,
            None => writeln!(f, "{id} vp_index unknown")?,
        }
        let (Some(_), Some(vp_index)) = (vcpu.sints, vcpu.vp_index) else {
            return writeln!(f, "{id} synic off");
        };

        writeln!(f, "{id} synic on")?;
        for sint in Sint::ALL {
            let number = sint.number();
            let is_routed = vm.gsis_of_sint(vp_index, number).next().is_some();

            match vcpu.sint(sint).and_then(|register| register.vector()) {
                Some(vector) => write!(f, "{id} sint {number} vector {vector:#04x} gsis ")?,
                None if is_routed => write!(f, "{id} sint {number} masked gsis ")?,
                None => continue,
            }
            write_ranges(f, vm.gsis_of_sint(vp_index, number))?;
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl Display for VcpuLines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.write_apic(f)?;
        self.write_enabled(f)?;
        self.write_eoi_exits(f)?;
        self.write_pending(f)?;
        self.write_synic(f)
    }
}
