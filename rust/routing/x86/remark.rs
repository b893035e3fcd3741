// SPDX-License-Identifier: GPL-2.0

//! What is odd about a route.

use super::{
    msi::{Delivery, Msi, Trigger},
    route::ReservedPins,
    seen::{SeenRoute, SeenVm, Target},
    sint::{Sint, SintRoute},
    vector::VectorSet,
};
use core::fmt::{Display, Formatter, Result};

/// The lowest vector that an interrupt may have (Intel SDM volume 3, "Valid Interrupt Vectors").
const FIRST_VECTOR: u8 = 16;

/// Something that is odd about a route, as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// The vector is one that no local APIC delivers.
    VectorBelow16(u8),
    /// A level-triggered route of a split irqchip that is not one of the reserved pins, of which there
    /// are so many: nobody hears of its EOI.
    LevelOutsidePins(u32),
    /// No vCPU accepts the destination.
    ReachesNobody,
    /// The delivery mode, 0 to 7, has no vector, so that no EOI follows.
    NoVector(u8),
    /// Another pin, whose GSI this is, sends the same vector to the same vCPU.
    SharedVector(u32),
    /// There is no SINT with this number.
    NoSuchSint(u32),
    /// There is no virtual processor with this VP index.
    NoSuchVp(u32),
    /// The SynIC of the virtual processor is not active.
    SynicOff(u32),
    /// The guest has masked the SINT.
    SintMasked(u32),
}

impl Remark {
    /// Returns its name, which does not change.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::VectorBelow16(_) => "vector_below_16",
            Self::LevelOutsidePins(_) => "level_outside_pins",
            Self::ReachesNobody => "reaches_nobody",
            Self::NoVector(_) => "no_vector",
            Self::SharedVector(_) => "shared_vector",
            Self::NoSuchSint(_) => "no_such_sint",
            Self::NoSuchVp(_) => "no_such_vp",
            Self::SynicOff(_) => "synic_off",
            Self::SintMasked(_) => "sint_masked",
        }
    }

    /// Tells whether interrupts are lost for it.
    pub(crate) fn loses(&self) -> bool {
        match self {
            // The others are not for MSIs: no local APIC takes them for an interrupt.
            Self::NoVector(mode) => !matches!(delivery_name(*mode), "smi" | "nmi" | "init"),
            Self::SharedVector(_) => false,
            _ => true,
        }
    }
}

impl Display for Remark {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::VectorBelow16(vector) => write!(f, "vector {vector:#x} is never delivered"),
            Self::LevelOutsidePins(pins) => write!(
                f,
                "level-triggered, but the {pins} pins end below: its EOI is not reported"
            ),
            Self::ReachesNobody => write!(f, "no vCPU accepts the destination"),
            Self::NoVector(mode) => write!(
                f,
                "delivery mode {} has no vector, and no EOI",
                delivery_name(*mode)
            ),
            Self::SharedVector(gsi) => {
                write!(
                    f,
                    "GSI {gsi} sends a vCPU the same vector: the EOI of one is that of both"
                )
            }
            Self::NoSuchSint(sint) => write!(f, "there is no SINT {sint}"),
            Self::NoSuchVp(vp_index) => write!(f, "no vCPU has VP index {vp_index}"),
            Self::SynicOff(vp_index) => write!(f, "the SynIC of VP {vp_index} is not active"),
            Self::SintMasked(sint) => write!(f, "SINT {sint} is masked"),
        }
    }
}

/// Returns what a delivery mode is called, bits 10:8 of the MSI data (Intel SDM volume 3, "Message
/// Data Register Format").
pub(crate) fn delivery_name(mode: u8) -> &'static str {
    match mode {
        0 => "fixed",
        1 => "lowest",
        2 => "smi",
        4 => "nmi",
        5 => "init",
        7 => "extint",
        _ => "reserved",
    }
}

/// The remarks on one route, in a fixed order.
pub(crate) type Remarks = [Option<Remark>; 4];

fn below_16(vector: u8) -> Option<Remark> {
    (vector < FIRST_VECTOR).then_some(Remark::VectorBelow16(vector))
}

/// Returns what is odd about a route whatever the vCPUs are like. `pins` are those of a split irqchip.
pub(crate) fn lasting(route: &SeenRoute, pins: Option<ReservedPins>) -> [Option<Remark>; 2] {
    match route.target {
        Target::Msi(msi) if msi.is_unset() => [None, None],
        Target::Msi(msi) if msi.delivery() == Delivery::Other => {
            [Some(Remark::NoVector(msi.delivery_mode())), None]
        }
        Target::Msi(msi) => {
            let is_level = msi.trigger() == Trigger::Level;
            let outside = pins.filter(|pins| is_level && !pins.contains(route.gsi));

            [
                below_16(msi.vector()),
                outside.map(|pins| Remark::LevelOutsidePins(pins.0)),
            ]
        }
        Target::Sint { sint, .. } if Sint::new(sint).is_none() => {
            [Some(Remark::NoSuchSint(sint)), None]
        }
        _ => [None, None],
    }
}

fn of_msi(vm: &SeenVm<'_>, route: &SeenRoute, msi: &Msi) -> Remarks {
    if msi.is_unset() {
        return [None; 4];
    }

    let [vector, outside] = lasting(route, vm.pins);
    let nobody = vm
        .reached(&route.target)
        .next()
        .is_none()
        .then_some(Remark::ReachesNobody);

    let shared = match msi.delivery() {
        Delivery::Vector => other_pin(vm, route, msi.vector()).map(Remark::SharedVector),
        Delivery::Other => None,
    };

    [vector, outside, nobody, shared]
}

/// Returns the GSI of another pin that sends `vector`, which is that of `route`, to one vCPU that this
/// reaches, too.
fn other_pin(vm: &SeenVm<'_>, route: &SeenRoute, vector: u8) -> Option<u32> {
    if !vm.is_pin(route) || below_16(vector).is_some() {
        return None;
    }

    let vcpu = vm
        .reached(&route.target)
        .find(|vcpu| vcpu.from_several_pins.contains(vector))?;
    let is_other = |other: &&SeenRoute| {
        other.gsi != route.gsi
            && vm.is_pin(other)
            && matches!(other.target, Target::Msi(msi)
                if msi.vector() == vector && msi.delivery() == Delivery::Vector)
            && vm.reaches(&other.target, vcpu)
    };

    Some(vm.routes.iter().find(is_other)?.gsi)
}

fn of_sint(vm: &SeenVm<'_>, vp_index: u32, number: u32) -> Option<Remark> {
    let Some(sint) = Sint::new(number) else {
        return Some(Remark::NoSuchSint(number));
    };
    let Some(vcpu) = vm.vp(vp_index) else {
        return Some(Remark::NoSuchVp(vp_index));
    };
    let Some(register) = vcpu.sint(sint) else {
        return Some(Remark::SynicOff(vp_index));
    };

    match register.vector() {
        Some(vector) => below_16(vector),
        None => Some(Remark::SintMasked(number)),
    }
}

/// Returns what is odd about a route of a VM.
pub(crate) fn remarks(vm: &SeenVm<'_>, route: &SeenRoute) -> Remarks {
    match route.target {
        Target::Msi(msi) => of_msi(vm, route, &msi),
        Target::Sint { vp_index, sint } => [of_sint(vm, vp_index, sint), None, None, None],
        _ => [None; 4],
    }
}

/// Tells whether [`losing`] may find something, which is seldom. The level routes send `vectors`.
#[inline]
pub(crate) fn may_lose(vectors: &VectorSet, sints: &[SintRoute]) -> bool {
    let illegal = VectorSet::from_words([(1 << FIRST_VECTOR) - 1, 0, 0, 0]);

    !vectors.intersection(&illegal).is_empty()
        || sints.iter().any(|route| Sint::new(route.sint).is_none())
}

/// Returns what shows of a table by itself, without a look at vCPUs, and makes it lose interrupts: of
/// its level routes of pins, and of its SINT routes.
pub(crate) fn losing(msis: &[Msi], sints: &[SintRoute]) -> [Option<Remark>; 2] {
    [
        msis.iter()
            .filter(|msi| msi.delivery() == Delivery::Vector)
            .find_map(|msi| below_16(msi.vector())),
        sints
            .iter()
            .find(|route| Sint::new(route.sint).is_none())
            .map(|route| Remark::NoSuchSint(route.sint)),
    ]
}
