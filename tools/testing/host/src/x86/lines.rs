// SPDX-License-Identifier: GPL-2.0

//! How routes, vCPUs and remarks are written.

use super::routing::{
    lines::TableRemarkLine,
    x86::{
        apic::{ApicId, BroadcastQuirk, LogicalModel, X2ApicApi},
        lines::{
            Gsis, PostingLine, RemarkLines, RouteLine, VcpuLines, Way, POSTING_COLUMNS,
            ROUTE_COLUMNS,
        },
        msi::{Msi, MsiFormat},
        route::ReservedPins,
        seen::{Enabled, Pending, SeenRoute, SeenVcpu, SeenVm, Target},
        sint::SintRegister,
        vector::VectorSet,
    },
    Parity,
};

fn set(vectors: &[u8]) -> VectorSet {
    let mut set = VectorSet::EMPTY;

    for vector in vectors {
        set.insert(*vector);
    }
    set
}

fn msi(gsi: u32, address_lo: u32, data: u32) -> SeenRoute {
    SeenRoute {
        gsi,
        target: Target::Msi(Msi {
            address_lo,
            address_hi: 0,
            data,
        }),
    }
}

fn sint(gsi: u32, vp_index: u32, sint: u32) -> SeenRoute {
    SeenRoute {
        gsi,
        target: Target::Sint { vp_index, sint },
    }
}

/// Has `check` look at a VM of 24 pins and vCPUs 0 to 3 and 9, of which the last one is in xAPIC mode. vCPU 9
/// has VP index 1, and a SynIC.
fn with_vm(routes: &[SeenRoute], check: impl FnOnce(&SeenVm<'_>)) {
    let api = X2ApicApi {
        format: MsiFormat::Compat,
        quirk: BroadcastQuirk::On,
    };
    let pins = ReservedPins(24);
    let mut vcpus: Vec<_> = (0..4)
        .map(|id| {
            SeenVcpu::new(
                id,
                ApicId::X2Apic { id, ldr: 1 << id },
                VectorSet::EMPTY,
                None,
            )
        })
        .collect();
    let mut last = SeenVcpu::new(
        9,
        ApicId::XApic {
            id: 12,
            initial_id: 9,
            logical_id: 0x80,
            model: LogicalModel::Flat,
        },
        set(&[0x31, 0x99]),
        Some(Pending {
            requested: set(&[0x31, 0x32]),
            in_service: VectorSet::EMPTY,
        }),
    );
    let mut sints = [SintRegister::RESET; 16];

    sints[2] = SintRegister(0x60);
    sints[4] = SintRegister(0x2_0061);
    last.vp_index = Some(1);
    last.sints = Some(sints);
    vcpus.push(last);
    for vcpu in &mut vcpus {
        vcpu.note_pins(routes, pins, api);
    }
    check(&SeenVm {
        parity: Parity::Off,
        api,
        pins: Some(pins),
        routes,
        vcpus: &vcpus,
    });
}

#[test]
fn postings() {
    for (line, expected) in [
        (PostingLine(Way::Posted, 0), "posted - 0\n"),
        (PostingLine(Way::Posted, u32::MAX), "posted - 4294967295\n"),
        (PostingLine(Way::Remapped("level"), 3), "remapped level 3\n"),
    ] {
        let line = line.to_string();

        assert_eq!(line, expected);
        assert_eq!(line.split(' ').count(), POSTING_COLUMNS.split(' ').count());
    }
}

#[test]
fn routes() {
    for (route, line) in [
        (
            msi(5, 0xfee0_1000, 0x8031),
            "5 msi yes 0x31 level fixed physical:0x1 1 1 - -",
        ),
        (
            msi(5, 0xfeef_f000, 0x0031),
            "5 msi yes 0x31 edge fixed physical:0xff 0-3,12 0-3,9 - -",
        ),
        (
            msi(24, 0xfee8_5004, 0x0131),
            "24 msi no 0x31 edge lowest logical:0x85 0,2,12 0,2,9 - -",
        ),
        (
            msi(24, 0xfee0_9000, 0x8003),
            "24 msi no 0x03 level fixed physical:0x9 - - - \
             vector_below_16,level_outside_pins,reaches_nobody",
        ),
        (
            msi(3, 0xfee0_0000, 0x0400),
            "3 msi yes 0x00 edge nmi physical:0x0 0 0 - no_vector",
        ),
        (
            sint(40, 1, 2),
            "40 sint no 0x60 edge fixed vp:1,sint:2 12 9 - -",
        ),
        (
            sint(40, 1, 3),
            "40 sint no - edge fixed vp:1,sint:3 - - - sint_masked",
        ),
        (
            sint(40, 7, 99),
            "40 sint no - edge fixed vp:7,sint:99 - - - no_such_sint",
        ),
        (
            SeenRoute {
                gsi: 7,
                target: Target::Irqchip { chip: 2, pin: 8 },
            },
            "7 irqchip no - - - ioapic:8 - - - -",
        ),
        (
            SeenRoute {
                gsi: 7,
                target: Target::Xen { port: 3 },
            },
            "7 xen no - - - port:3 - - - -",
        ),
        (
            SeenRoute {
                gsi: 4095,
                target: Target::Other(3),
            },
            "4095 type_3 no - - - - - - - -",
        ),
    ] {
        with_vm(&[route], |vm| {
            assert_eq!(
                RouteLine(vm, &vm.routes[0], None).to_string(),
                format!("{line}\n")
            );
        });
        assert_eq!(
            line.split(' ').count(),
            ROUTE_COLUMNS.split(' ').count(),
            "{line}"
        );
    }
}

#[test]
fn ways_of_routes() {
    for (way, word) in [
        (None, "-"),
        (Some(Way::Posted), "yes"),
        (Some(Way::Remapped("denied")), "no:denied"),
    ] {
        with_vm(&[msi(24, 0xfee0_9000, 0x0031)], |vm| {
            assert_eq!(
                RouteLine(vm, &vm.routes[0], way).to_string(),
                format!("24 msi no 0x31 edge fixed physical:0x9 - - {word} reaches_nobody\n")
            );
        });
    }
}

#[test]
fn remarks_have_a_line_each() {
    with_vm(&[msi(24, 0xfee0_9000, 0x8003)], |vm| {
        assert_eq!(
            RemarkLines(vm, &vm.routes[0]).to_string(),
            "24 vector_below_16 yes vector 0x3 is never delivered\n\
             24 level_outside_pins yes level-triggered, but the 24 pins end below: its EOI is not reported\n\
             24 reaches_nobody yes no vCPU accepts the destination\n"
        );
    });
    with_vm(
        &[msi(5, 0xfee0_1000, 0x8031), msi(6, 0xfee0_1000, 0x8031)],
        |vm| {
            assert_eq!(
                RemarkLines(vm, &vm.routes[0]).to_string(),
                "5 shared_vector no GSI 6 sends a vCPU the same vector: the EOI of one is that of both\n"
            );
        },
    );
    with_vm(&[msi(5, 0xfee0_1000, 0x8031)], |vm| {
        assert_eq!(RemarkLines(vm, &vm.routes[0]).to_string(), "");
    });
}

#[test]
fn table_that_is_full() {
    for nr in [0, 1, 4095] {
        assert_eq!(TableRemarkLine(nr).to_string(), "", "{nr}");
    }
    assert_eq!(
        TableRemarkLine(4096).to_string(),
        "- table_full no there is no room for another route\n"
    );
}

#[test]
fn vcpus() {
    let table = [
        // To vCPU 9, by its APIC ID.
        msi(5, 0xfee0_c000, 0x8031),
        msi(6, 0xfee0_c000, 0x8031),
        msi(7, 0xfee0_c000, 0x8031),
        // Edge, elsewhere, and not a pin.
        msi(8, 0xfee0_c000, 0x0099),
        msi(9, 0xfee0_0000, 0x8099),
        msi(24, 0xfee0_c000, 0x8099),
        sint(40, 1, 2),
        sint(41, 1, 3),
        sint(42, 1, 2),
        sint(43, 0, 2),
    ];

    with_vm(&table, |vm| {
        assert_eq!(
            VcpuLines(vm, &vm.vcpus[4]).to_string(),
            "9 apic_id 12\n\
             9 mode xapic_flat\n\
             9 logical_id 0x80\n\
             9 enabled yes\n\
             9 eoi_exit 0x31 gsis 5-7\n\
             9 eoi_exit 0x99 gsis - stale\n\
             9 requested 0x31,0x32\n\
             9 in_service -\n\
             9 vp_index 1\n\
             9 synic on\n\
             9 sint 2 vector 0x60 gsis 40,42\n\
             9 sint 3 masked gsis 41\n\
             9 sint 4 vector 0x61 gsis -\n"
        );
        assert_eq!(
            VcpuLines(vm, &vm.vcpus[1]).to_string(),
            "1 apic_id 1\n\
             1 mode x2apic\n\
             1 logical_id 0x2\n\
             1 enabled yes\n\
             1 requested unknown\n\
             1 in_service unknown\n\
             1 vp_index unknown\n\
             1 synic off\n"
        );
    });
}

/// An I/O APIC in KVM hears of EOIs without an exit.
#[test]
fn without_pins_no_eoi_exits() {
    with_vm(&[], |vm| {
        let vm = SeenVm { pins: None, ..*vm };
        let lines = VcpuLines(&vm, &vm.vcpus[4]).to_string();

        assert!(!lines.contains("eoi_exit"), "{lines}");
    });
}

#[test]
fn apics_that_are_not_enabled() {
    with_vm(
        &[msi(5, 0xfee0_0000, 0x31), msi(6, 0xfee0_0000, 0x400)],
        |vm| {
            for (enabled, name, routes) in [
                (
                    Enabled::Yes,
                    "yes",
                    ["physical:0x0 0 0 - -", "physical:0x0 0 0 - no_vector"],
                ),
                (
                    Enabled::NotBySpiv,
                    "no:spiv",
                    [
                        "physical:0x0 - - - reaches_nobody",
                        "physical:0x0 0 0 - no_vector",
                    ],
                ),
                (
                    Enabled::NotByApicBase,
                    "no:apic_base",
                    [
                        "physical:0x0 - - - reaches_nobody",
                        "physical:0x0 - - - no_vector,reaches_nobody",
                    ],
                ),
            ] {
                let vcpus = [SeenVcpu {
                    enabled,
                    ..vm.vcpus[0]
                }];
                let vm = SeenVm {
                    vcpus: &vcpus,
                    ..*vm
                };

                assert!(VcpuLines(&vm, &vcpus[0])
                    .to_string()
                    .contains(&format!("\n0 enabled {name}\n")));
                for (route, end) in vm.routes.iter().zip(routes) {
                    let line = RouteLine(&vm, route, None).to_string();

                    assert!(line.trim_end().ends_with(end), "{line}");
                }
            }
        },
    );
}

/// What is not set, and what KVM refuses where destinations have 32 bits.
#[test]
fn routes_without_a_destination() {
    let invalid = SeenRoute {
        gsi: 6,
        target: Target::Msi(Msi {
            address_lo: 0xfee0_0000,
            address_hi: 1,
            data: 0x31,
        }),
    };

    with_vm(&[msi(5, 0, 0), invalid], |vm| {
        let line = |vm: &SeenVm<'_>, i: usize| RouteLine(vm, &vm.routes[i], None).to_string();

        assert_eq!(line(vm, 0).trim_end(), "5 msi yes - - - unset - - - -");
        assert_eq!(
            line(vm, 1).trim_end(),
            "6 msi yes 0x31 edge fixed physical:0x0 0 0 - -"
        );

        let api = X2ApicApi {
            format: MsiFormat::X2Apic,
            ..vm.api
        };
        assert_eq!(
            line(&SeenVm { api, ..*vm }, 1).trim_end(),
            "6 msi yes 0x31 edge fixed invalid - - - reaches_nobody"
        );
    });
}

#[test]
fn gsis() {
    for (gsis, nr, expected) in [
        (&[][..], 0, "-"),
        (&[5], 1, "5"),
        (&[0, 1, 2, 3, 7], 5, "0-3,7"),
        (&[7, 3, 4, 4095, u32::MAX], 5, "7,3-4,4095,4294967295"),
        (&[0, 1], 3, "0-1,..."),
    ] {
        assert_eq!(Gsis(gsis, nr).to_string(), expected);
    }
}
