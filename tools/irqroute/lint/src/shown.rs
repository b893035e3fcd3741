// SPDX-License-Identifier: GPL-2.0

//! A VM as the files `routes` and `vcpus` show it.

use crate::{
    routing::x86::{
        apic::{ApicId, BroadcastQuirk, LogicalModel, X2ApicApi},
        lines::{ROUTE_COLUMNS, VCPU_COLUMNS},
        msi::{Msi, MsiFormat},
        remark::delivery_name,
        seen::{SeenRoute, SeenVcpu, Target},
        sint::{Sint, SintRegister},
        vector::VectorSet,
    },
    vm::Vm,
};
use std::str::FromStr;

/// What the files do not show.
pub struct Settings {
    /// How many reserved pins there are, if that is known.
    pub reserved_pins: Option<u32>,
    /// Whether destination 0xff means all CPUs in x2APIC mode, too.
    pub broadcast_quirk: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reserved_pins: None,
            broadcast_quirk: true,
        }
    }
}

/// Reads a number, in hexadecimal after `0x`.
fn number(word: &str) -> Result<u32, String> {
    word.strip_prefix("0x")
        .map_or_else(|| word.parse(), |digits| u32::from_str_radix(digits, 16))
        .map_err(|error| format!("'{word}': {error}"))
}

fn byte(word: &str) -> Result<u8, String> {
    u8::try_from(number(word)?).map_err(|_| format!("'{word}' has more than 8 bits"))
}

fn unknown<T>(word: &str) -> Result<T, String> {
    Err(format!("'{word}' is unknown"))
}

/// Returns the words after their names, as in `name:1,name:2`.
fn after<'a, const N: usize>(words: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut parts = words.split(',');
    let mut found = [""; N];

    for (found, name) in found.iter_mut().zip(names) {
        *found = parts.next()?.strip_prefix(name)?.strip_prefix(':')?;
    }
    parts.next().is_none().then_some(found)
}

/// An MSI that means what the words say, where the destination may have 32 bits.
fn msi(vector: &str, trigger: &str, delivery: &str, destination: &str) -> Result<Msi, String> {
    let (mda, logical) = match (
        after(destination, ["physical"]),
        after(destination, ["logical"]),
    ) {
        (Some([mda]), _) => (number(mda)?, 0),
        (_, Some([mda])) => (number(mda)?, 1),
        _ => return unknown(destination),
    };
    let level = match trigger {
        "edge" => 0,
        "level" => 1,
        _ => return unknown(trigger),
    };
    let mode = (0..8)
        .find(|mode| delivery_name(*mode) == delivery)
        .map_or_else(|| unknown(delivery), Ok)?;

    Ok(Msi {
        address_lo: 0xfee0_0000 | (mda & 0xff) << 12 | logical << 2,
        address_hi: mda & !0xff,
        data: u32::from(byte(vector)?) | u32::from(mode) << 8 | level << 15,
    })
}

/// Reads the line of a route, and whether it is a pin.
fn route(words: &[&str]) -> Result<(SeenRoute, bool), String> {
    let &[gsi, kind, pin, vector, trigger, delivery, destination, ..] = words else {
        return Err("a route has more columns".into());
    };
    let target = match kind {
        "msi" => Target::Msi(msi(vector, trigger, delivery, destination)?),
        "sint" => match after(destination, ["vp", "sint"]) {
            Some([vp_index, sint]) => Target::Sint {
                vp_index: number(vp_index)?,
                sint: number(sint)?,
            },
            None => return unknown(destination),
        },
        "irqchip" => {
            let chips = ["pic_master", "pic_slave", "ioapic"];
            let (chip, pin) = destination.split_once(':').unwrap_or((destination, ""));

            Target::Irqchip {
                chip: (0..)
                    .zip(chips)
                    .find(|(_, name)| *name == chip)
                    .map_or(u32::MAX, |(chip, _)| chip),
                pin: number(pin)?,
            }
        }
        "xen" => match after(destination, ["port"]) {
            Some([port]) => Target::Xen {
                port: number(port)?,
            },
            None => return unknown(destination),
        },
        _ => match kind.strip_prefix("type_").map(u32::from_str) {
            Some(Ok(kind)) => Target::Other(kind),
            _ => return unknown(kind),
        },
    };
    let gsi = number(gsi)?;

    match pin {
        "yes" | "no" => Ok((SeenRoute { gsi, target }, pin == "yes")),
        _ => unknown(pin),
    }
}

/// What the lines of a vCPU have said so far.
struct Vcpu {
    id: u32,
    apic_id: u32,
    mode: Option<LogicalModel>,
    logical_id: u32,
    vp_index: Option<u32>,
    sints: Option<[SintRegister; Sint::ALL.len()]>,
}

impl Vcpu {
    fn new(id: u32) -> Self {
        Self {
            id,
            apic_id: id,
            mode: None,
            logical_id: 0,
            vp_index: None,
            sints: None,
        }
    }

    /// Takes note of a line about the vCPU. What is pending or reported makes no difference.
    fn note(&mut self, what: &str, value: &[&str]) -> Result<(), String> {
        match (what, value) {
            ("apic_id", [id]) => self.apic_id = number(id)?,
            ("mode", [mode]) => {
                self.mode = match *mode {
                    "x2apic" => None,
                    "xapic_flat" => Some(LogicalModel::Flat),
                    "xapic_cluster" => Some(LogicalModel::Cluster),
                    "xapic_reserved" => Some(LogicalModel::Reserved),
                    _ => return unknown(mode),
                }
            }
            ("logical_id", [id]) => self.logical_id = number(id)?,
            ("vp_index", ["unknown"]) => self.vp_index = None,
            ("vp_index", [vp_index]) => self.vp_index = Some(number(vp_index)?),
            ("synic", ["on"]) => self.sints = Some(Sint::ALL.map(|_| SintRegister::RESET)),
            ("synic", ["off"]) => self.sints = None,
            ("sint", [_, "masked", ..]) => (),
            ("sint", [sint, "vector", vector, ..]) => {
                *self
                    .sints
                    .as_mut()
                    .and_then(|sints| sints.get_mut(number(sint).ok()? as usize))
                    .ok_or_else(|| format!("SINT {sint} of a SynIC that is not there"))? =
                    SintRegister(byte(vector)?.into());
            }
            ("eoi_exit" | "requested" | "in_service", _) => (),
            _ => return unknown(what),
        }
        Ok(())
    }

    fn seen(self) -> Result<SeenVcpu, String> {
        let narrow = |id: u32| {
            u8::try_from(id).map_err(|_| format!("vCPU {}: an ID of more than 8 bits", self.id))
        };
        let apic = match self.mode {
            None => ApicId::X2Apic {
                id: self.apic_id,
                ldr: self.logical_id,
            },
            Some(model) => ApicId::XApic {
                id: narrow(self.apic_id)?,
                initial_id: self.id,
                logical_id: narrow(self.logical_id)?,
                model,
            },
        };
        let mut seen = SeenVcpu::new(self.id, apic, VectorSet::EMPTY, None);

        seen.vp_index = self.vp_index;
        seen.sints = self.sints;
        Ok(seen)
    }
}

/// What the lines are about.
#[derive(Clone, Copy)]
enum Part {
    Routes,
    Vcpus,
}

const NEITHER: &str = "neither JSON, nor what the files routes and vcpus of x86 show";

/// Reads a VM. Returns the line that is not what it should be, and why.
pub fn parse(text: &str, settings: &Settings) -> Result<Vm, String> {
    let mut part = None;
    let mut read = [false; 2];
    let mut routes = Vec::new();
    let mut vcpus = Vec::<Vcpu>::new();
    let (mut is_split, mut pins) = (settings.reserved_pins.is_some(), 0);

    for (line_number, line) in (1..).zip(text.lines()) {
        let words: Vec<_> = line.split_whitespace().collect();
        let here = |error| format!("line {line_number}: {error}");

        match (part, words.as_slice()) {
            (_, []) => (),
            _ if line == ROUTE_COLUMNS => (part, read[0]) = (Some(Part::Routes), true),
            _ if line == VCPU_COLUMNS => (part, read[1]) = (Some(Part::Vcpus), true),
            (None, _) => {
                return Err(here(NEITHER.into()));
            }
            (Some(Part::Routes), words) => {
                let (route, is_pin) = route(words).map_err(here)?;

                if is_pin {
                    is_split = true;
                    pins = pins.max(route.gsi.saturating_add(1));
                }
                routes.push(route);
            }
            (Some(Part::Vcpus), [id, what, value @ ..]) => {
                let id = number(id).map_err(here)?;

                if vcpus.last().is_none_or(|vcpu| vcpu.id != id) {
                    vcpus.push(Vcpu::new(id));
                }
                if let Some(vcpu) = vcpus.last_mut() {
                    vcpu.note(what, value).map_err(here)?;
                }
            }
            (Some(Part::Vcpus), _) => return Err(here("a vCPU has more columns".into())),
        }
    }

    match read {
        [true, true] => (),
        [true, false] => return Err("the vCPUs are missing: read the file vcpus, too".into()),
        [false, true] => return Err("the routes are missing: read the file routes, too".into()),
        [false, false] => return Err(NEITHER.into()),
    }
    Vm::new(
        X2ApicApi {
            format: MsiFormat::X2Apic,
            quirk: if settings.broadcast_quirk {
                BroadcastQuirk::On
            } else {
                BroadcastQuirk::Off
            },
        },
        is_split.then(|| settings.reserved_pins.unwrap_or(pins)),
        routes,
        vcpus
            .into_iter()
            .map(Vcpu::seen)
            .collect::<Result<_, _>>()?,
    )
}
