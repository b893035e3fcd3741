// SPDX-License-Identifier: GPL-2.0

//! Generated VMs, readable by both implementations.
//!
//! Random destinations would never reach an APIC and random vectors would never be pending. So
//! all is drawn from near the boundaries and near one another: destinations from the APIC's IDs
//! and what differs from them in one bit, vectors from a handful that routes and pending
//! interrupts share, GSIs from around the end of the window.

use super::{
    reference::{self, Arch, Entry, Lapic, MAX_ROUTES},
    routing::{
        list::{List, NoMemory},
        x86::{
            apic::{Apic, ApicId, BroadcastQuirk, LogicalModel, X2ApicApi},
            dest_map::Slot,
            level_routes::LevelRoutes,
            msi::{Msi, MsiFormat},
            route::{Kept, ReservedPins, Route},
            scan::{self, Scan},
            sint::SintRoute,
            vector::VectorSet,
        },
        Parity,
    },
};
use proptest::{
    collection::vec,
    prelude::{any, Just, Strategy},
    prop_oneof,
    sample::{select, Index},
};
use std::collections::BTreeSet;

impl<T> List<T> for Vec<T> {
    fn push(&mut self, item: T) -> Result<(), NoMemory> {
        Vec::push(self, item);
        Ok(())
    }
}

/// The level routes of a table, in as much memory as they need.
pub(crate) type VecLevelRoutes = LevelRoutes<Vec<Msi>, Vec<Slot>>;

/// Returns what a table keeps of the level routes `msis`.
pub(crate) fn level_routes(msis: &[Msi], format: MsiFormat) -> VecLevelRoutes {
    level_routes_after(msis, format, None)
}

/// Returns what a table keeps of the level routes `msis` that takes the place of one with `old`.
pub(crate) fn level_routes_after(
    msis: &[Msi],
    format: MsiFormat,
    old: Option<&VecLevelRoutes>,
) -> VecLevelRoutes {
    let same_first = old.map_or(0, |old| nr_same_first(msis, old.msis()));
    let mut routes = LevelRoutes::new(format);

    // As many from the table before, and as much known of it, as can be, or half of that.
    let same_first = if msis.len() % 2 == 0 {
        same_first
    } else {
        same_first / 2
    };
    if let Some(old) = old {
        routes.add_first(same_first, old).expect("there is memory");
    }
    for &msi in &msis[same_first..] {
        routes.add(msi).expect("there is memory");
    }
    routes.send(old, same_first).expect("there is memory");

    assert_eq!(routes.msis(), msis);
    routes
}

/// Returns how many items two lists begin with.
pub(crate) fn nr_same_first<T: PartialEq>(one: &[T], other: &[T]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// A VM with one vCPU, as far as scans are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) arch: Arch,
    pub(crate) lapic: Lapic,
    /// In the order in which userspace gave them.
    pub(crate) table: Vec<Entry>,
}

impl Case {
    /// Returns the window of reserved pins.
    pub(crate) fn pins(&self) -> ReservedPins {
        ReservedPins(self.arch.nr_reserved_ioapic_pins)
    }

    /// Returns the routes of the table.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        self.table.iter().map(route)
    }

    /// Returns the level routes of the window, as KVM's C sees them.
    pub(crate) fn msis(&self) -> Vec<Msi> {
        self.routes()
            .filter_map(|route| match route.kept(self.pins(), Parity::On) {
                Some(Kept::Level(msi)) => Some(msi),
                _ => None,
            })
            .collect()
    }

    /// Returns the settings of KVM_CAP_X2APIC_API.
    pub(crate) fn api(&self) -> X2ApicApi {
        api(&self.arch)
    }

    /// Scans with the core.
    pub(crate) fn scan(&self) -> Scan {
        let api = self.api();
        let routes = level_routes(&self.msis(), api.format);

        scan::scan(&routes, api, &self.apic())
    }

    /// Returns the local APIC in the core's terms.
    pub(crate) fn apic(&self) -> Apic {
        apic(&self.lapic)
    }

    /// Scans as KVM does.
    pub(crate) fn reference_scan(&self) -> Scan {
        result(&reference::Scan::routes(&self.arch, &self.table, |_| {
            self.lapic
        }))
    }

    /// Returns the same VM with more interrupts pending.
    pub(crate) fn with_pending(&self, vectors: &[u8]) -> Self {
        let mut case = self.clone();

        for vector in vectors {
            set_bit(&mut case.lapic.irr, *vector);
        }

        case
    }
}

fn set_bit(registers: &mut [u32; 8], vector: u8) {
    registers[usize::from(vector) / 32] |= 1 << (vector % 32);
}

/// Returns a result of KVM in the core's terms.
pub(crate) fn result(c: &reference::Scan) -> Scan {
    let mut scan = Scan::default();

    for vector in 0..=u8::MAX {
        if c.ioapic_handled_vectors[usize::from(vector)] {
            scan.handled.insert(vector);
        }
    }
    scan.highest_stale = u8::try_from(c.highest_stale_pending_ioapic_eoi).ok();

    scan
}

/// Returns the settings of KVM_CAP_X2APIC_API in the core's terms.
pub(crate) fn api(arch: &Arch) -> X2ApicApi {
    X2ApicApi {
        format: if arch.x2apic_format {
            MsiFormat::X2Apic
        } else {
            MsiFormat::Compat
        },
        quirk: if arch.x2apic_broadcast_quirk_disabled {
            BroadcastQuirk::Off
        } else {
            BroadcastQuirk::On
        },
    }
}

/// Returns a route in the core's terms.
pub(crate) fn route(entry: &Entry) -> Route {
    let gsi = entry.gsi;
    let [a, b, c] = entry.payload;

    match entry.kind {
        reference::MSI => Route::Msi {
            gsi,
            msi: Msi {
                address_lo: a,
                address_hi: b,
                data: c,
            },
        },
        reference::HV_SINT => Route::Sint(SintRoute {
            gsi,
            vp_index: a,
            sint: b,
        }),
        _ => Route::Other,
    }
}

/// Returns the identity of a local APIC in the core's terms.
pub(crate) fn apic_id(lapic: &Lapic) -> ApicId {
    if lapic.is_x2apic() {
        ApicId::X2Apic {
            id: lapic.vcpu_id,
            ldr: lapic.ldr,
        }
    } else {
        ApicId::XApic {
            id: (lapic.id >> 24) as u8,
            initial_id: lapic.vcpu_id,
            logical_id: (lapic.ldr >> 24) as u8,
            model: LogicalModel::from_dfr(lapic.dfr),
        }
    }
}

fn apic(lapic: &Lapic) -> Apic {
    let irr = VectorSet::from_registers(&lapic.irr);
    let isr = VectorSet::from_registers(&lapic.isr);

    Apic {
        id: apic_id(lapic),
        pending_eoi: irr.union(&isr),
    }
}

/// Generates VMs.
pub(crate) fn vms() -> impl Strategy<Value = Case> {
    (lapics(), vec(vectors(), 5), archs())
        .prop_flat_map(|(lapic, pool, arch)| {
            let table = vec(entries(&lapic, &pool, &arch), 0..10);

            (Just(arch), pending(lapic, pool), table)
        })
        .prop_map(|(arch, lapic, mut table)| {
            let mut seen = BTreeSet::new();
            table.retain(|entry: &Entry| seen.insert(entry.gsi));

            Case { arch, lapic, table }
        })
}

/// Generates VMs together with vectors that become pending in them, most of them routed.
pub(crate) fn vms_with_arrivals() -> impl Strategy<Value = (Case, Vec<u8>)> {
    let arrival = (any::<Index>(), any::<u8>(), 0..4_u8);

    (vms(), vec(arrival, 1..6)).prop_map(|(case, arrivals)| {
        let vectors = arrivals
            .into_iter()
            .map(|(index, other, choice)| match case.table.get(..) {
                Some(table) if choice != 0 && !table.is_empty() => {
                    index.get(table).payload[2] as u8
                }
                _ => other,
            })
            .collect();

        (case, vectors)
    })
}

pub(crate) fn archs() -> impl Strategy<Value = Arch> {
    let pins = prop_oneof![
        6 => select(vec![23, 24, 25]),
        3 => select(vec![0, 1, 2, 255, 256, 257, MAX_ROUTES - 1, MAX_ROUTES]),
        1 => 0..=MAX_ROUTES,
    ];

    (any::<bool>(), any::<bool>(), pins).prop_map(|(format, quirk, pins)| Arch {
        x2apic_format: format,
        x2apic_broadcast_quirk_disabled: quirk,
        nr_reserved_ioapic_pins: pins,
    })
}

fn vectors() -> impl Strategy<Value = u8> {
    prop_oneof![
        3 => select(vec![0, 31, 32, 63, 64, 127, 128, 191, 192, 254, 255]),
        1 => any::<u8>(),
    ]
}

/// Generates local APICs with nothing pending.
pub(crate) fn lapics() -> impl Strategy<Value = Lapic> {
    let vcpu_ids = || {
        prop_oneof![
            4 => 0..8_u32,
            4 => 0xfd..0x104_u32,
            2 => 0..MAX_ROUTES,
            1 => any::<u32>(),
        ]
    };
    let xapics = {
        let logical_ids = prop_oneof![
            4 => (0..8_u8).prop_map(|cpu| 1 << cpu),
            1 => Just(0),
            3 => any::<u8>(),
        ];
        let dfrs = prop_oneof![
            4 => Just(0xffff_ffff),
            4 => Just(0x0fff_ffff),
            1 => (0..16_u32).prop_map(|model| model << 28 | 0x0fff_ffff),
        ];
        let other_ids = prop_oneof![3 => Just(None), 1 => any::<u8>().prop_map(Some)];

        (vcpu_ids(), other_ids, logical_ids, dfrs).prop_map(|(vcpu_id, id, logical_id, dfr)| {
            Lapic::xapic(vcpu_id, id.unwrap_or(vcpu_id as u8), logical_id, dfr)
        })
    };
    let x2apics = {
        let other_ldrs = prop_oneof![
            4 => Just(None),
            1 => Just(Some(0)),
            1 => any::<u32>().prop_map(Some),
        ];

        (vcpu_ids(), other_ldrs)
            .prop_map(|(id, ldr)| Lapic::x2apic(id, ldr.unwrap_or(id >> 4 << 16 | 1 << (id & 0xf))))
    };

    prop_oneof![3 => xapics, 2 => x2apics]
}

/// Makes some of the vectors in `pool` pending, and some others.
fn pending(lapic: Lapic, pool: Vec<u8>) -> impl Strategy<Value = Lapic> {
    let states = vec((0..4_u8, 0..4_u8), pool.len());
    let others = vec(any::<u8>(), 0..3);

    (states, others).prop_map(move |(states, others)| {
        let mut lapic = lapic;

        for (vector, (irr, isr)) in pool.iter().zip(states) {
            if irr == 0 {
                set_bit(&mut lapic.irr, *vector);
            }
            if isr == 0 {
                set_bit(&mut lapic.isr, *vector);
            }
        }
        for vector in others {
            set_bit(&mut lapic.isr, vector);
        }

        lapic
    })
}

/// Generates routes that `lapic` may have to do with.
fn entries(lapic: &Lapic, pool: &[u8], arch: &Arch) -> impl Strategy<Value = Entry> {
    let end = arch.nr_reserved_ioapic_pins;
    let gsis = prop_oneof![
        4 => (end.saturating_sub(4)..end + 3).prop_map(|gsi| gsi.min(MAX_ROUTES - 1)),
        3 => 0..end.clamp(1, 8),
        1 => 0..MAX_ROUTES,
    ];
    let kinds = prop_oneof![
        12 => Just(reference::MSI),
        1 => Just(reference::HV_SINT),
        1 => select(vec![reference::IRQCHIP, reference::XEN_EVTCHN]),
    ];

    (gsis, kinds, msis(lapic, pool)).prop_map(|(gsi, kind, payload)| Entry { gsi, kind, payload })
}

/// Generates the words of MSIs, with noise in the bits that mean nothing.
fn msis(lapic: &Lapic, pool: &[u8]) -> impl Strategy<Value = [u32; 3]> {
    let noise = || prop_oneof![2 => Just(0), 1 => any::<u32>()];
    let levels = prop_oneof![5 => Just(true), 1 => Just(false)];

    (
        destinations(lapic),
        select(pool.to_vec()),
        levels,
        [noise(), noise(), noise()],
    )
        .prop_map(
            |((logical, mda), vector, level, [noise_lo, noise_hi, noise_data])| {
                [
                    (mda & 0xff) << 12 | u32::from(logical) << 2 | noise_lo & !0x000f_f004,
                    mda & !0xff | noise_hi & 0xff,
                    u32::from(vector) | u32::from(level) << 15 | noise_data & !0x80ff,
                ]
            },
        )
}

/// Generates destinations near what `lapic` accepts: whether they are logical, and the MDA.
pub(crate) fn destinations(lapic: &Lapic) -> impl Strategy<Value = (bool, u32)> {
    let logical_id = if lapic.is_x2apic() {
        lapic.ldr
    } else {
        lapic.ldr >> 24
    };
    let physical = prop_oneof![2 => near(lapic.vcpu_id), 1 => near(lapic.id >> 24)];

    prop_oneof![
        1 => physical.prop_map(|mda| (false, mda)),
        1 => near(logical_id).prop_map(|mda| (true, mda)),
    ]
}

/// Generates `id` and what may be mistaken for it.
fn near(id: u32) -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => Just(id),
        3 => (0..32_u32).prop_map(move |bit| id ^ 1 << bit),
        // The other CPUs of a cluster.
        2 => Just(id ^ 0x0f),
        1 => Just(id & 0xff),
        1 => Just(!id),
        2 => select(vec![0, 1, 0xfe, 0x100, 0x1ff, 0xffff, 0xffff_fffe]),
        2 => select(vec![0xff, 0xffff_ffff]),
        1 => any::<u8>().prop_map(u32::from),
        1 => any::<u32>(),
    ]
}
