// SPDX-License-Identifier: GPL-2.0

//! What is odd about a route.

use super::routing::{
    x86::{
        apic::{ApicId, BroadcastQuirk, X2ApicApi},
        msi::{Msi, MsiFormat},
        remark::{lasting, losing, may_lose, remarks, Remark},
        route::ReservedPins,
        seen::{SeenRoute, SeenVcpu, SeenVm, Target},
        sint::{SintRegister, SintRoute},
        vector::VectorSet,
    },
    Parity,
};

const LEVEL: u32 = 1 << 15;

fn msi(cpu: u32, data: u32) -> Msi {
    Msi {
        address_lo: 0xfee0_0000 | cpu << 12,
        address_hi: 0,
        data,
    }
}

fn route(gsi: u32, cpu: u32, data: u32) -> SeenRoute {
    SeenRoute {
        gsi,
        target: Target::Msi(msi(cpu, data)),
    }
}

fn sint(gsi: u32, vp_index: u32, sint: u32) -> SeenRoute {
    SeenRoute {
        gsi,
        target: Target::Sint { vp_index, sint },
    }
}

/// Two vCPUs in x2APIC mode. VP 0 has a SynIC: SINT 2 has vector 0x60, SINT 3 vector 15, the others are
/// masked.
fn vcpus(routes: &[SeenRoute], pins: Option<u32>) -> Vec<SeenVcpu> {
    let mut sints = [SintRegister::RESET; 16];

    sints[2] = SintRegister(0x60);
    sints[3] = SintRegister(15);
    (0..2)
        .map(|id| {
            let apic = ApicId::X2Apic { id, ldr: 1 << id };
            let mut vcpu = SeenVcpu::new(id, apic, VectorSet::EMPTY, None);

            vcpu.vp_index = Some(id);
            vcpu.sints = (id == 0).then_some(sints);
            if let Some(pins) = pins {
                vcpu.note_pins(routes, ReservedPins(pins), API);
            }
            vcpu
        })
        .collect()
}

const API: X2ApicApi = X2ApicApi {
    format: MsiFormat::X2Apic,
    quirk: BroadcastQuirk::Off,
};

/// Returns the names of the remarks on each route of a table of a VM with so many reserved pins, or
/// with an irqchip that is not split.
fn names(routes: &[SeenRoute], pins: Option<u32>) -> Vec<(u32, Vec<&'static str>)> {
    let vcpus = vcpus(routes, pins);
    let vm = SeenVm {
        parity: Parity::Off,
        api: API,
        pins: pins.map(ReservedPins),
        routes,
        vcpus: &vcpus,
    };

    routes
        .iter()
        .map(|route| {
            let found = remarks(&vm, route).into_iter().flatten();

            (route.gsi, found.map(|remark| remark.name()).collect())
        })
        .collect()
}

/// Expects these remarks on a route that is alone in its table.
fn expect(route: SeenRoute, pins: Option<u32>, expected: &[&str]) {
    assert_eq!(
        names(&[route], pins),
        [(route.gsi, expected.to_vec())],
        "{route:x?} with {pins:?} pins"
    );
}

#[test]
fn nothing_is_odd_about_most_routes() {
    for pins in [None, Some(0), Some(24)] {
        for data in [0x10, 0x31, 0xff, 0x131] {
            expect(route(5, 0, data), pins, &[]);
            expect(route(24, 1, data), pins, &[]);
        }
        expect(sint(5, 0, 2), pins, &[]);
        for target in [
            Target::Irqchip { chip: 2, pin: 5 },
            Target::Xen { port: 0 },
            Target::Other(3),
        ] {
            expect(SeenRoute { gsi: 5, target }, pins, &[]);
        }
    }
}

#[test]
fn vectors_below_sixteen() {
    for vector in 0..=u8::MAX {
        let expected: &[_] = if vector < 16 {
            &["vector_below_16"]
        } else {
            &[]
        };

        for data in [0, 0x100, LEVEL] {
            expect(route(5, 0, data | u32::from(vector)), Some(24), expected);
        }
    }
    expect(sint(40, 0, 3), Some(24), &["vector_below_16"]);
}

/// A pin that the guest has not set up is nothing odd; one that was set up with vector 0 is.
#[test]
fn routes_that_are_not_set() {
    let unset = |gsi| SeenRoute {
        gsi,
        target: Target::Msi(Msi::default()),
    };

    for pins in [None, Some(24)] {
        expect(unset(5), pins, &[]);
        expect(unset(24), pins, &[]);
    }
    assert_eq!(
        names(&[unset(5), unset(6), route(7, 0, 0)], Some(24)),
        [(5, vec![]), (6, vec![]), (7, vec!["vector_below_16"])]
    );
}

#[test]
fn level_routes_outside_the_pins() {
    for (gsi, level, pins, is_outside) in [
        (23, LEVEL, Some(24), false),
        (24, LEVEL, Some(24), true),
        (24, LEVEL, Some(25), false),
        (4095, LEVEL, Some(24), true),
        (4095, LEVEL, Some(4096), false),
        (0, LEVEL, Some(0), true),
        (24, 0, Some(24), false),
        // The I/O APIC is in KVM.
        (24, LEVEL, None, false),
    ] {
        let expected: &[_] = if is_outside {
            &["level_outside_pins"]
        } else {
            &[]
        };

        expect(route(gsi, 0, level | 0x31), pins, expected);
    }
}

#[test]
fn destinations_that_nobody_has() {
    for (cpu, is_reached) in [(0, true), (1, true), (2, false), (0xfe, false)] {
        let expected: &[_] = if is_reached { &[] } else { &["reaches_nobody"] };

        expect(route(5, cpu, 0x31), Some(24), expected);
        expect(route(40, cpu, 0x31), None, expected);
    }
}

#[test]
fn delivery_modes_without_a_vector() {
    for mode in 0..8 {
        let expected: &[_] = if mode > 1 { &["no_vector"] } else { &[] };

        // The vector has no meaning, nor is there an EOI.
        expect(route(5, 0, LEVEL | mode << 8 | 0x31), Some(24), expected);
        if mode > 1 {
            expect(route(24, 0, LEVEL | mode << 8), Some(24), expected);
        }
    }
}

#[test]
fn pins_that_share_a_vector() {
    let shared = ["shared_vector"].to_vec();
    let table = [
        route(5, 0, LEVEL | 0x31),
        route(6, 0, 0x31),
        // To another vCPU, with another vector, without a vector, and not of a pin.
        route(7, 1, LEVEL | 0x31),
        route(8, 0, LEVEL | 0x32),
        route(9, 0, 0x431),
        route(24, 0, 0x31),
    ];

    assert_eq!(
        names(&table, Some(24)),
        [
            (5, shared.clone()),
            (6, shared.clone()),
            (7, vec![]),
            (8, vec![]),
            (9, vec!["no_vector"]),
            (24, vec![]),
        ]
    );
    // No pin is one of an I/O APIC in userspace, or only the first is.
    for pins in [None, Some(6)] {
        assert_eq!(names(&table[..1], pins), [(5, vec![])]);
        assert_eq!(names(&[table[0], table[1]], pins)[0], (5, vec![]));
    }
    // A broadcast reaches both vCPUs.
    let broadcast = SeenRoute {
        gsi: 3,
        target: Target::Msi(Msi {
            address_lo: 0xfeef_f000,
            address_hi: 0xffff_ff00,
            data: 0x31,
        }),
    };
    assert_eq!(
        names(&[broadcast, table[2]], Some(24)),
        [(3, shared.clone()), (7, shared)]
    );
}

#[test]
fn the_other_pin_is_named() {
    let routes = [route(5, 0, 0x31), route(9, 0, 0x31), route(7, 1, 0x31)];
    let vcpus = vcpus(&routes, Some(24));
    let vm = SeenVm {
        parity: Parity::Off,
        api: API,
        pins: Some(ReservedPins(24)),
        routes: &routes,
        vcpus: &vcpus,
    };
    let found = |route| remarks(&vm, route).into_iter().flatten().next();

    assert_eq!(found(&routes[0]), Some(Remark::SharedVector(9)));
    assert_eq!(found(&routes[1]), Some(Remark::SharedVector(5)));
    assert_eq!(found(&routes[2]), None);
}

#[test]
fn sints_that_get_nothing() {
    for (vp_index, number, expected) in [
        (0, 16, "no_such_sint"),
        (9, 16, "no_such_sint"),
        (0, u32::MAX, "no_such_sint"),
        (2, 2, "no_such_vp"),
        (u32::MAX, 15, "no_such_vp"),
        (1, 2, "synic_off"),
        (0, 0, "sint_masked"),
        (0, 15, "sint_masked"),
    ] {
        expect(sint(40, vp_index, number), Some(24), &[expected]);
    }
}

#[test]
fn several_remarks_on_one_route() {
    expect(
        route(24, 7, LEVEL | 3),
        Some(24),
        &["vector_below_16", "level_outside_pins", "reaches_nobody"],
    );
    expect(
        route(24, 7, LEVEL | 0x400),
        Some(24),
        &["no_vector", "reaches_nobody"],
    );
}

#[test]
fn what_loses_interrupts() {
    for (remark, loses) in [
        (Remark::VectorBelow16(0), true),
        (Remark::LevelOutsidePins(24), true),
        (Remark::ReachesNobody, true),
        (Remark::NoVector(4), false),
        (Remark::SharedVector(5), false),
        (Remark::NoSuchSint(16), true),
        (Remark::NoSuchVp(7), true),
        (Remark::SynicOff(0), true),
        (Remark::SintMasked(2), true),
    ] {
        assert_eq!(remark.loses(), loses, "{remark:?}");
    }
    // SMI, NMI and INIT arrive; ExtINT and the reserved modes do not.
    for mode in 2..8 {
        assert_eq!(
            Remark::NoVector(mode).loses(),
            ![2, 4, 5].contains(&mode),
            "{mode}"
        );
    }
}

#[test]
fn what_routes_show_by_themselves() {
    let (pins, nothing) = (Some(ReservedPins(24)), [None, None]);
    let below = |vector| Some(Remark::VectorBelow16(vector));
    let outside = |pins| Some(Remark::LevelOutsidePins(pins));
    let unset = SeenRoute {
        gsi: 30,
        target: Target::Msi(Msi::default()),
    };
    let irqchip = SeenRoute {
        gsi: 30,
        target: Target::Irqchip { chip: 0, pin: 1 },
    };

    for (route, pins, expected) in [
        (route(23, 7, LEVEL | 0x31), pins, nothing),
        (route(24, 7, LEVEL | 0x31), pins, [None, outside(24)]),
        (route(24, 7, LEVEL | 0x0f), pins, [below(15), outside(24)]),
        (route(23, 7, LEVEL | 0x0f), pins, [below(15), None]),
        (route(24, 7, 0x10), pins, nothing),
        (route(24, 7, 0x0), pins, [below(0), None]),
        (route(24, 7, LEVEL | 0x31), None, nothing),
        (
            route(0, 7, LEVEL | 0x31),
            Some(ReservedPins(0)),
            [None, outside(0)],
        ),
        (
            route(4095, 7, LEVEL | 0x131),
            Some(ReservedPins(4095)),
            [None, outside(4095)],
        ),
        (
            route(4095, 7, LEVEL | 0x31),
            Some(ReservedPins(4096)),
            nothing,
        ),
        (
            route(24, 7, LEVEL | 0x400),
            pins,
            [Some(Remark::NoVector(4)), None],
        ),
        (route(24, 7, 0x731), pins, [Some(Remark::NoVector(7)), None]),
        (unset, pins, nothing),
        (irqchip, pins, nothing),
        (sint(1, 99, 15), pins, nothing),
        (sint(1, 99, 16), pins, [Some(Remark::NoSuchSint(16)), None]),
    ] {
        assert_eq!(lasting(&route, pins), expected, "{route:x?}, {pins:?}");
    }
}

#[test]
fn what_an_index_shows() {
    let sint = |sint| SintRoute {
        sint,
        ..SintRoute::default()
    };

    for (data, sints, expected) in [
        (&[][..], &[][..], [None, None]),
        (&[0x10, 0xff], &[0, 15], [None, None]),
        (
            &[0x31, 0xf, 0x2],
            &[15, 16, 17],
            [
                Some(Remark::VectorBelow16(0xf)),
                Some(Remark::NoSuchSint(16)),
            ],
        ),
        (&[0x0], &[], [Some(Remark::VectorBelow16(0)), None]),
        (
            &[0x31],
            &[u32::MAX],
            [None, Some(Remark::NoSuchSint(u32::MAX))],
        ),
        // An NMI, with what is no vector.
        (&[0x400], &[], [None, None]),
        (&[0x400, 0x101], &[], [Some(Remark::VectorBelow16(1)), None]),
    ] {
        let msis: Vec<_> = data.iter().map(|data| msi(0, LEVEL | data)).collect();
        let sints: Vec<_> = sints.iter().map(|number| sint(*number)).collect();
        let mut vectors = VectorSet::EMPTY;

        for msi in &msis {
            vectors.insert(msi.data as u8);
        }
        assert_eq!(losing(&msis, &sints), expected, "{data:x?}");
        // It is asked first, and sees what may be a vector.
        assert_eq!(
            may_lose(&vectors, &sints),
            expected != [None, None] || data.contains(&0x400),
            "{data:x?}"
        );
    }
}
