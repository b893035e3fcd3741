// SPDX-License-Identifier: GPL-2.0

//! A VM as JSON, in the words of KVM's API: `struct kvm_irq_routing_entry`, and what decides how it is
//! read.

use crate::{
    routing::x86::{
        apic::{ApicId, BroadcastQuirk, LogicalModel, X2ApicApi},
        msi::{Msi, MsiFormat},
        seen::{SeenRoute, SeenVcpu, Target},
        sint::{Sint, SintRegister},
        vector::VectorSet,
    },
    shown,
    vm::{Vm, MAX_VCPUS},
};
use serde::{de, Deserialize, Deserializer};
use std::collections::BTreeMap;

/// KVM_MSI_VALID_DEVID.
const MSI_VALID_DEVID: u32 = 1;

/// KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL, the one that there is.
const XEN_PRIO_2LEVEL: u32 = u32::MAX;

/// A number, as such or as a text in hexadecimal: JSON itself has decimal ones only.
#[derive(Clone, Copy, Default)]
struct Number(u32);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of 32 bits, or \"0x...\"")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                u32::try_from(number)
                    .map(Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.starts_with("0x")
                    .then(|| shown::number(text).ok())
                    .flatten()
                    .map(Number)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
enum X2ApicFlag {
    #[serde(rename = "KVM_X2APIC_API_USE_32BIT_IDS")]
    Use32BitIds,
    #[serde(rename = "KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK")]
    DisableBroadcastQuirk,
    /// What the guest does about EOIs makes no difference to routes.
    #[serde(
        rename = "KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST",
        alias = "KVM_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST"
    )]
    SuppressEoiBroadcast,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    XapicFlat,
    XapicCluster,
    XapicReserved,
    X2apic,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vcpu {
    id: Number,
    #[serde(default)]
    mode: Mode,
    apic_id: Option<Number>,
    logical_id: Option<Number>,
    vp_index: Option<Number>,
    sints: Option<BTreeMap<u32, Number>>,
}

/// One of the targets is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    gsi: Number,
    #[serde(default)]
    flags: Number,
    msi: Option<MsiRoute>,
    irqchip: Option<IrqchipRoute>,
    hv_sint: Option<SintRoute>,
    xen_evtchn: Option<XenRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MsiRoute {
    address_lo: Number,
    #[serde(default)]
    address_hi: Number,
    data: Number,
    /// An x86 VM has no use for it.
    #[serde(default, rename = "devid")]
    _devid: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IrqchipRoute {
    irqchip: Number,
    pin: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SintRoute {
    vcpu: Number,
    sint: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct XenRoute {
    port: Number,
    #[serde(rename = "vcpu")]
    _vcpu: Number,
    priority: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    reserved_pins: Option<Number>,
    #[serde(default)]
    x2apic_api: Vec<X2ApicFlag>,
    vcpus: Vec<Vcpu>,
    routes: Vec<Route>,
}

impl Input {
    fn api(&self) -> X2ApicApi {
        let has = |flag| self.x2apic_api.contains(&flag);

        X2ApicApi {
            format: if has(X2ApicFlag::Use32BitIds) {
                MsiFormat::X2Apic
            } else {
                MsiFormat::Compat
            },
            quirk: if has(X2ApicFlag::DisableBroadcastQuirk) {
                BroadcastQuirk::Off
            } else {
                BroadcastQuirk::On
            },
        }
    }
}

fn byte(of: &str, vcpu: u32, number: u32) -> Result<u8, String> {
    u8::try_from(number).map_err(|_| format!("vCPU {vcpu}: {of} {number:#x} has more than 8 bits"))
}

impl Vcpu {
    fn apic(&self) -> Result<ApicId, String> {
        let Number(initial_id) = self.id;
        let Number(id) = self.apic_id.unwrap_or(self.id);
        let model = match self.mode {
            Mode::XapicFlat => LogicalModel::Flat,
            Mode::XapicCluster => LogicalModel::Cluster,
            Mode::XapicReserved => LogicalModel::Reserved,
            Mode::X2apic => {
                return if self.apic_id.is_some() || self.logical_id.is_some() {
                    Err(format!(
                        "vCPU {initial_id}: in mode x2apic, its number says its IDs"
                    ))
                } else {
                    Ok(ApicId::X2Apic {
                        id,
                        ldr: x2apic_ldr(id),
                    })
                }
            }
        };

        Ok(ApicId::XApic {
            // Of an ID with more bits, xAPIC mode has the lower ones.
            id: match self.apic_id {
                Some(_) => byte("APIC ID", initial_id, id)?,
                None => id as u8,
            },
            initial_id,
            logical_id: byte(
                "logical ID",
                initial_id,
                self.logical_id.unwrap_or_default().0,
            )?,
            model,
        })
    }

    /// Makes it a vCPU with a VP index, if it is the one that KVM finds by it.
    fn seen(&self, vp_index: Option<u32>) -> Result<SeenVcpu, String> {
        let Number(id) = self.id;
        let mut seen = SeenVcpu::new(id, self.apic()?, VectorSet::EMPTY, None);

        seen.vp_index = vp_index;
        if let Some(sints) = &self.sints {
            let mut registers = Sint::ALL.map(|_| SintRegister::RESET);

            for (number, vector) in sints {
                let register = registers
                    .get_mut(*number as usize)
                    .ok_or_else(|| format!("vCPU {id}: there is no SINT {number}"))?;

                *register = SintRegister(byte("vector", id, vector.0)?.into());
            }
            seen.sints = Some(registers);
        }
        Ok(seen)
    }
}

/// Returns the LDR that an APIC ID gives in x2APIC mode (Intel SDM volume 3, "Deriving Logical x2APIC ID
/// from the Local x2APIC ID").
fn x2apic_ldr(id: u32) -> u32 {
    id >> 4 << 16 | 1 << (id & 0xf)
}

impl Route {
    fn seen(&self) -> Result<SeenRoute, String> {
        let Number(gsi) = self.gsi;
        let known_flags = if self.msi.is_some() {
            MSI_VALID_DEVID
        } else {
            0
        };
        if self.flags.0 & !known_flags != 0 {
            return Err(format!("GSI {gsi}: flags {:#x}", self.flags.0));
        }
        if self
            .xen_evtchn
            .as_ref()
            .is_some_and(|xen| xen.priority.0 != XEN_PRIO_2LEVEL)
        {
            return Err(format!("GSI {gsi}: the priority has to be 0xffffffff"));
        }

        let targets = [
            self.msi.as_ref().map(|msi| {
                Target::Msi(Msi {
                    address_lo: msi.address_lo.0,
                    address_hi: msi.address_hi.0,
                    data: msi.data.0,
                })
            }),
            self.irqchip.as_ref().map(|irqchip| Target::Irqchip {
                chip: irqchip.irqchip.0,
                pin: irqchip.pin.0,
            }),
            self.hv_sint.as_ref().map(|sint| Target::Sint {
                vp_index: sint.vcpu.0,
                sint: sint.sint.0,
            }),
            self.xen_evtchn
                .as_ref()
                .map(|xen| Target::Xen { port: xen.port.0 }),
        ];
        let mut targets = targets.into_iter().flatten();

        match (targets.next(), targets.next()) {
            (Some(target), None) => Ok(SeenRoute { gsi, target }),
            (None, _) => Err(format!("GSI {gsi}: no msi, irqchip, hv_sint or xen_evtchn")),
            (Some(_), Some(_)) => Err(format!("GSI {gsi}: more than one target")),
        }
    }
}

/// Returns the VP index of each vCPU that KVM finds by it. It looks at the vCPU with that place first, which
/// has it unless the guest's VMM has changed it, then at all.
fn vp_indexes(vcpus: &[Vcpu]) -> Result<Vec<Option<u32>>, String> {
    let all: Vec<u32> = (0..)
        .zip(vcpus)
        .map(|(place, vcpu)| vcpu.vp_index.map_or(place, |vp_index| vp_index.0))
        .collect();

    if let Some(vp_index) = all.iter().find(|vp_index| **vp_index as usize >= MAX_VCPUS) {
        return Err(format!("VP index {vp_index}, of {MAX_VCPUS} from 0"));
    }
    Ok((0..)
        .zip(&all)
        .map(|(place, vp_index)| {
            let first = all.get(*vp_index as usize) == Some(vp_index);
            let found = if first {
                Some(*vp_index as usize)
            } else {
                all.iter().position(|other| other == vp_index)
            };

            (found == Some(place)).then_some(*vp_index)
        })
        .collect())
}

/// Reads a VM. Returns where it is not what it should be, and why.
pub fn parse(text: &str) -> Result<Vm, String> {
    let input: Input = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let api = input.api();
    let vcpus = input
        .vcpus
        .iter()
        .zip(vp_indexes(&input.vcpus)?)
        .map(|(vcpu, vp_index)| vcpu.seen(vp_index));
    let routes: Vec<_> = input
        .routes
        .iter()
        .map(Route::seen)
        .collect::<Result<_, _>>()?;
    // A table that is shown may have been set before KVM_CAP_X2APIC_API. This one is to be set.
    let refused =
        |route: &&SeenRoute| matches!(route.msi(), Some((_, msi)) if !msi.is_valid(api.format));

    if let Some(route) = routes.iter().find(refused) {
        return Err(format!(
            "GSI {}: with 32-bit IDs, bits 7:0 of address_hi have to be 0",
            route.gsi
        ));
    }
    Vm::new(
        api,
        input.reserved_pins.map(|pins| pins.0),
        routes,
        vcpus.collect::<Result<_, _>>()?,
    )
}
