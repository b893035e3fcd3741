// SPDX-License-Identifier: GPL-2.0

//! Times the pure core, `rust/routing/`, on the CPU that this runs on.
//!
//! The crate mounts the very files that the kernel module is made of. Here they work on memory of
//! the host, and no KVM is around them: this tells what the decisions cost, `make bench` what KVM
//! makes of them.

use criterion::{criterion_group, criterion_main, Criterion};
use routing::{
    list::{List, NoMemory},
    x86::{
        apic::{Apic, ApicId, BroadcastQuirk, X2ApicApi},
        dest_map::Slot,
        level_routes::LevelRoutes,
        msi::{Msi, MsiFormat},
        route::{Kept, ReservedPins, Route},
        scan::{scan, Scan},
        vector::VectorSet,
    },
    Parity,
};
use std::{hint::black_box, time::Duration};

#[allow(dead_code)]
#[path = "../../../../rust/routing/mod.rs"]
mod routing;

impl<T> List<T> for Vec<T> {
    fn push(&mut self, item: T) -> Result<(), NoMemory> {
        Vec::push(self, item);
        Ok(())
    }
}

const API: X2ApicApi = X2ApicApi {
    format: MsiFormat::X2Apic,
    quirk: BroadcastQuirk::Off,
};

/// The index of a table of MSI routes, as the module makes it of memory that it allocates. All that
/// is known here of how the core is to be called is in this type.
struct Index(LevelRoutes<Vec<Msi>, Vec<Slot>>);

impl Index {
    fn new(routes: &[Route], pins: ReservedPins) -> Self {
        let mut level_routes = LevelRoutes::new(API.format);

        for route in routes {
            if let Some(Kept::Level(msi)) = route.kept(pins, Parity::Off) {
                level_routes.add(msi).expect("a Vec has memory");
            }
        }
        level_routes.send(None, 0).expect("a Vec has memory");

        Self(level_routes)
    }

    fn scan(&self, apic: &Apic) -> Scan {
        scan(&self.0, API, apic)
    }
}

/// The ID of the vCPU that scans, and that of another one.
const SCANNER: u32 = 0;
const OTHER: u32 = 1;

/// A table that routes its first GSIs, `pins`, as level interrupts to the CPU with ID `target`, and
/// the others as edge interrupts.
fn table(nr_routes: u32, pins: ReservedPins, target: u32) -> Vec<Route> {
    (0..nr_routes)
        .map(|gsi| {
            let level = u32::from(pins.contains(gsi)) << 15;

            Route::Msi {
                gsi,
                msi: Msi {
                    address_lo: 0xfee0_0000 | target << 12,
                    address_hi: 0,
                    data: level | 0x20 + gsi % 0xc0,
                },
            }
        })
        .collect()
}

fn apic() -> Apic {
    let mut pending_eoi = VectorSet::EMPTY;

    // Of no route.
    pending_eoi.insert(0x10);
    Apic {
        id: ApicId::X2Apic {
            id: SCANNER,
            ldr: 1,
        },
        pending_eoi,
    }
}

fn index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");

    for (nr_routes, nr_pins) in [
        (1, 1),
        (24, 24),
        (256, 24),
        (1024, 24),
        (4096, 24),
        (4096, 4096),
    ] {
        let pins = ReservedPins(nr_pins);
        let routes = table(nr_routes, pins, SCANNER);

        group.bench_function(format!("{nr_routes} routes, {nr_pins} level"), |bencher| {
            bencher.iter(|| Index::new(black_box(&routes), pins))
        });
    }
    group.finish();
}

fn scans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");

    for (name, target) in [("none matches", OTHER), ("all match", SCANNER)] {
        for nr_pins in [0, 24, 240, 1024, 4096] {
            let pins = ReservedPins(nr_pins);
            let index = Index::new(&table(nr_pins, pins, target), pins);
            let apic = apic();

            group.bench_function(format!("{nr_pins} level, {name}"), |bencher| {
                bencher.iter(|| black_box(&index).scan(black_box(&apic)))
            });
        }
    }
    group.finish();
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = routing_benches;
    config = config();
    targets = index, scans
}
criterion_main!(routing_benches);
