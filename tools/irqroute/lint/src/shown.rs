// SPDX-License-Identifier: GPL-2.0

//! A VM as the files `routes` and `vcpus` show it.

use crate::{
    routing::x86::{
        apic::{ApicId, BroadcastQuirk, LogicalModel, X2ApicApi},
        lines::{ROUTE_COLUMNS, VCPU_COLUMNS},
        msi::{Msi, MsiFormat},
        remark::delivery_name,
        seen::{Enabled, SeenRoute, SeenVcpu, Sints, Target},
        sint::{Sint, SintRegister},
        vector::VectorSet,
    },
    vm::Vm,
};
use std::str::FromStr;

/// What the files do not show.
#[derive(PartialEq)]
pub struct Settings {
    /// How many reserved pins there are, if that is known.
    pub reserved_pins: Option<u32>,
    /// What destination 0xff means in x2APIC mode.
    pub quirk: BroadcastQuirk,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reserved_pins: None,
            quirk: BroadcastQuirk::On,
        }
    }
}

/// Reads a number, in hexadecimal after `0x`.
pub fn number(word: &str) -> Result<u32, String> {
    if word.contains('+') {
        return unknown(word);
    }
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

/// An MSI that means what the words say, where the destination may have 32 bits. It is not valid then if
/// there is something below them.
fn msi(vector: &str, trigger: &str, delivery: &str, destination: &str) -> Result<Msi, String> {
    if (vector, trigger, delivery, destination) == ("-", "-", "-", "unset") {
        return Ok(Msi::default());
    }

    let (mda, logical, invalid) = match (
        after(destination, ["physical"]),
        after(destination, ["logical"]),
    ) {
        (Some([mda]), _) => (number(mda)?, 0, 0),
        (_, Some([mda])) => (number(mda)?, 1, 0),
        _ if destination == "invalid" => (0, 0, 1),
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
        address_hi: mda & !0xff | invalid,
        data: u32::from(byte(vector)?) | u32::from(mode) << 8 | level << 15,
    })
}

/// Reads the line of a route, and whether it is a pin.
fn route(words: &[&str]) -> Result<(SeenRoute, bool), String> {
    // Of whom it reaches, and what is odd, the same comes out; posted or not makes no difference to that.
    let &[gsi, kind, pin, vector, trigger, delivery, destination, _, _, _, _] = words else {
        return Err("a route has 11 columns".into());
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

    match (pin, kind) {
        ("yes", "msi") | ("no", _) => Ok((SeenRoute { gsi, target }, pin == "yes")),
        _ => unknown(pin),
    }
}

/// What the lines of a vCPU have said so far.
struct Vcpu {
    id: u32,
    apic_id: Option<u32>,
    /// The model of logical destinations in xAPIC mode.
    mode: Option<Option<LogicalModel>>,
    logical_id: Option<u32>,
    enabled: Option<Enabled>,
    vp_index: Option<Option<u32>>,
    synic: Option<Option<Sints>>,
}

/// Takes note of a value that comes once.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("this was said before".into()),
    }
}

impl Vcpu {
    fn new(id: u32) -> Self {
        Self {
            id,
            apic_id: None,
            mode: None,
            logical_id: None,
            enabled: None,
            vp_index: None,
            synic: None,
        }
    }

    /// Takes note of a line about the vCPU. What is pending or reported makes no difference.
    fn note(&mut self, what: &str, value: &[&str]) -> Result<(), String> {
        match (what, value) {
            ("apic_id", [id]) => once(&mut self.apic_id, number(id)?),
            ("mode", [mode]) => {
                let model = match *mode {
                    "x2apic" => None,
                    "xapic_flat" => Some(LogicalModel::Flat),
                    "xapic_cluster" => Some(LogicalModel::Cluster),
                    "xapic_reserved" => Some(LogicalModel::Reserved),
                    _ => return unknown(mode),
                };

                once(&mut self.mode, model)
            }
            ("logical_id", [id]) => once(&mut self.logical_id, number(id)?),
            ("enabled", [enabled]) => {
                let enabled = match *enabled {
                    "yes" => Enabled::Yes,
                    "no:spiv" => Enabled::NotBySpiv,
                    "no:apic_base" => Enabled::NotByApicBase,
                    _ => return unknown(enabled),
                };

                once(&mut self.enabled, enabled)
            }
            ("vp_index", ["unknown"]) => once(&mut self.vp_index, None),
            ("vp_index", [vp_index]) => once(&mut self.vp_index, Some(number(vp_index)?)),
            ("synic", ["on"]) => once(
                &mut self.synic,
                Some(Sint::ALL.map(|_| SintRegister::RESET)),
            ),
            ("synic", ["off"]) => once(&mut self.synic, None),
            ("sint", [sint, state @ ..]) => {
                let register = self
                    .synic
                    .as_mut()
                    .and_then(|sints| sints.as_mut()?.get_mut(number(sint).ok()? as usize))
                    .ok_or_else(|| format!("SINT {sint} of a SynIC that is not there"))?;

                *register = match state {
                    ["masked", "gsis", _] => SintRegister::RESET,
                    ["vector", vector, "gsis", _] => SintRegister(byte(vector)?.into()),
                    _ => return unknown(what),
                };
                Ok(())
            }
            ("eoi_exit" | "requested" | "in_service", _) => Ok(()),
            _ => unknown(what),
        }
    }

    fn seen(self) -> Result<SeenVcpu, String> {
        let Self {
            id,
            apic_id: Some(apic_id),
            mode: Some(mode),
            logical_id: Some(logical_id),
            enabled: Some(enabled),
            vp_index: Some(vp_index),
            synic: Some(sints),
        } = self
        else {
            return Err(format!("vCPU {}: lines are missing", self.id));
        };
        let narrow = |number: u32| {
            u8::try_from(number).map_err(|_| format!("vCPU {id}: an ID of more than 8 bits"))
        };
        let apic = match mode {
            None => ApicId::X2Apic {
                id: apic_id,
                ldr: logical_id,
            },
            Some(model) => ApicId::XApic {
                id: narrow(apic_id)?,
                initial_id: id,
                logical_id: narrow(logical_id)?,
                model,
            },
        };
        let mut seen = SeenVcpu::new(id, apic, VectorSet::EMPTY, None);

        seen.enabled = enabled;
        seen.vp_index = vp_index;
        seen.sints = sints;
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

    for (line_number, line) in (1..).zip(text.lines()) {
        let words: Vec<_> = line.split_whitespace().collect();
        let here = |error| format!("line {line_number}: {error}");
        let mut begin = |new| {
            part = Some(new);
            match std::mem::replace(&mut read[new as usize], true) {
                false => Ok(()),
                true => Err(here("this file was read before".into())),
            }
        };

        if line == ROUTE_COLUMNS {
            begin(Part::Routes)?;
            continue;
        }
        if line == VCPU_COLUMNS {
            begin(Part::Vcpus)?;
            continue;
        }
        match (part, words.as_slice()) {
            (_, []) => (),
            (None, _) => return Err(here(NEITHER.into())),
            (Some(Part::Routes), words) => routes.push(route(words).map_err(here)?),
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
            quirk: settings.quirk,
        },
        reserved_pins(&routes, settings)?,
        routes.into_iter().map(|(route, _)| route).collect(),
        vcpus
            .into_iter()
            .map(Vcpu::seen)
            .collect::<Result<_, _>>()?,
    )
}

/// Returns how many reserved pins there are, by the routes unless the settings say it. Returns a route that
/// cannot be.
fn reserved_pins(routes: &[(SeenRoute, bool)], settings: &Settings) -> Result<Option<u32>, String> {
    let msis = || routes.iter().filter(|(route, _)| route.msi().is_some());
    let last_pin = msis()
        .filter(|(_, is_pin)| *is_pin)
        .map(|(route, _)| route.gsi)
        .max();
    let pins = settings
        .reserved_pins
        .or(last_pin.map(|gsi| gsi.saturating_add(1)));

    match msis().find(|(route, is_pin)| *is_pin != pins.is_some_and(|pins| route.gsi < pins)) {
        Some((route, is_pin)) => Err(format!(
            "GSI {} is {} pin, of {} reserved ones",
            route.gsi,
            if *is_pin { "a" } else { "no" },
            pins.unwrap_or(0)
        )),
        None => Ok(pins),
    }
}
