// SPDX-License-Identifier: GPL-2.0

//! Whom a route reaches.

use super::{
    cases::{self, Case},
    property,
    reference::{self, Entry, Lapic},
    routing::{
        x86::{
            apic::{BroadcastQuirk, X2ApicApi},
            msi::MsiFormat,
            route::{ReservedPins, Route},
            seen::{Enabled, SeenRoute, SeenVcpu, SeenVm, Target},
            sint::SintRegister,
            vector::VectorSet,
        },
        Parity,
    },
};
use proptest::{collection::vec, prelude::Strategy, prop_assert_eq};

/// Returns a route of a table as a file sees it.
fn seen_route(entry: &Entry) -> SeenRoute {
    let [a, b, _] = entry.payload;
    let target = match (cases::route(entry), entry.kind) {
        (Route::Msi { msi, .. }, _) => Target::Msi(msi),
        (_, reference::HV_SINT) => Target::Sint {
            vp_index: a,
            sint: b,
        },
        (_, reference::IRQCHIP) => Target::Irqchip { chip: a, pin: b },
        _ => Target::Xen { port: a },
    };

    SeenRoute {
        gsi: entry.gsi,
        target,
    }
}

fn seen_vcpu(lapic: &Lapic) -> SeenVcpu {
    SeenVcpu::new(lapic.vcpu_id, cases::apic_id(lapic), VectorSet::EMPTY, None)
}

/// A VM with some more vCPUs.
fn vms() -> impl Strategy<Value = (Case, Vec<Lapic>)> {
    let others = vec(cases::vms().prop_map(|case| case.lapic), 0..4);

    (cases::vms(), others).prop_map(|(case, mut lapics)| {
        lapics.push(case.lapic);
        (case, lapics)
    })
}

/// Whether the local APICs of a VM are enabled, of all of which there are examples.
const ENABLED: [Enabled; 3] = [Enabled::Yes, Enabled::NotBySpiv, Enabled::NotByApicBase];

/// Calls `check` with a VM as files see it.
fn with_seen<R>(
    case: &Case,
    lapics: &[Lapic],
    parity: Parity,
    check: impl FnOnce(&SeenVm<'_>) -> R,
) -> R {
    let routes: Vec<_> = case.table.iter().map(seen_route).collect();
    let mut vcpus: Vec<_> = lapics.iter().map(seen_vcpu).collect();

    for (vcpu, enabled) in vcpus.iter_mut().zip(ENABLED.iter().cycle()) {
        vcpu.enabled = *enabled;
        vcpu.note_pins(&routes, case.pins(), case.api());
    }
    check(&SeenVm {
        parity,
        api: case.api(),
        pins: Some(case.pins()),
        routes: &routes,
        vcpus: &vcpus,
    })
}

/// The numbers of the vCPUs that accept a route in KVM.
fn accepting(case: &Case, lapics: &[Lapic], entry: &Entry) -> Vec<u32> {
    let irq = reference::msi_to_lapic_irq(&case.arch, entry.payload);
    let is_refused = case.arch.x2apic_format && entry.payload[1] % 0x100 != 0;

    lapics
        .iter()
        .zip(ENABLED.iter().cycle())
        .filter(|(lapic, enabled)| {
            let takes = match enabled {
                Enabled::Yes => true,
                Enabled::NotBySpiv => !has_vector(entry),
                Enabled::NotByApicBase => false,
            };

            takes
                && !is_refused
                && reference::match_dest(&case.arch, lapic, irq.dest_id, irq.logical)
        })
        .map(|(lapic, _)| lapic.vcpu_id)
        .collect()
}

#[test]
fn reaches_those_that_accept_it_in_kvm() {
    property::check(vms(), |(case, lapics)| {
        with_seen(&case, &lapics, Parity::Off, |vm| {
            for (entry, route) in case.table.iter().zip(vm.routes) {
                let reached: Vec<_> = vm.reached(&route.target).map(|vcpu| vcpu.id).collect();
                let expected = if entry.kind == reference::MSI {
                    accepting(&case, &lapics, entry)
                } else {
                    Vec::new()
                };

                prop_assert_eq!(reached, expected, "{:?}", entry);
                prop_assert_eq!(
                    vm.is_pin(route),
                    entry.kind == reference::MSI && entry.gsi < case.arch.nr_reserved_ioapic_pins
                );
            }
            Ok(())
        })
    });
}

/// What a vCPU reports that has nothing pending, each vector has a pin; what it does not, none.
#[test]
fn each_vector_of_a_scan_has_a_pin() {
    property::check(vms(), |(case, lapics)| {
        with_seen(&case, &lapics, Parity::On, |vm| {
            for (lapic, vcpu) in lapics.iter().zip(vm.vcpus) {
                let idle = Lapic {
                    irr: [0; 8],
                    isr: [0; 8],
                    ..*lapic
                };
                let scan = reference::Scan::routes(&case.arch, &case.table, |_| idle);

                for vector in 0..=u8::MAX {
                    let expected: Vec<u32> = case
                        .table
                        .iter()
                        .filter(|entry| {
                            let irq = reference::msi_to_lapic_irq(&case.arch, entry.payload);

                            entry.kind == reference::MSI
                                && entry.gsi < case.arch.nr_reserved_ioapic_pins
                                && irq.level_triggered
                                && irq.vector == u32::from(vector)
                                && reference::match_dest(
                                    &case.arch,
                                    lapic,
                                    irq.dest_id,
                                    irq.logical,
                                )
                        })
                        .map(|entry| entry.gsi)
                        .collect();

                    prop_assert_eq!(
                        !expected.is_empty(),
                        scan.ioapic_handled_vectors[usize::from(vector)]
                    );
                    prop_assert_eq!(vm.pins_of(vcpu, vector).collect::<Vec<_>>(), expected);
                }
            }
            Ok(())
        })
    });
}

/// Delivery modes that have a vector: fixed and lowest priority.
fn has_vector(entry: &Entry) -> bool {
    [0, 1].contains(&(entry.payload[2] / 256 % 8))
}

#[test]
fn vectors_from_pins_are_counted() {
    property::check(vms(), |(case, lapics)| {
        with_seen(&case, &lapics, Parity::Off, |vm| {
            for vcpu in vm.vcpus {
                for vector in 0..=u8::MAX {
                    let nr = case
                        .table
                        .iter()
                        .filter(|entry| {
                            entry.kind == reference::MSI
                                && entry.gsi < case.arch.nr_reserved_ioapic_pins
                                && entry.payload[2] % 256 == u32::from(vector)
                                && has_vector(entry)
                                && accepting(&case, &lapics, entry).contains(&vcpu.id)
                                && vm.reaches(&seen_route(entry).target, vcpu)
                        })
                        .count();

                    prop_assert_eq!(vcpu.from_pins.contains(vector), nr > 0);
                    prop_assert_eq!(vcpu.from_several_pins.contains(vector), nr > 1);
                }
            }
            Ok(())
        })
    });
}

/// A route to a SINT reaches one vCPU, or nobody.
#[test]
fn sints_reach_the_vp_that_has_them_open() {
    let mut vcpus = [0, 1, 2].map(|id| seen_vcpu(&Lapic::x2apic(id, 1 << id)));
    let mut sints = [SintRegister::RESET; 16];

    sints[2] = SintRegister(0x60);
    // VP 7 has a SynIC, VP 1 has none.
    vcpus[0].vp_index = Some(7);
    vcpus[0].sints = Some(sints);
    vcpus[1].vp_index = Some(1);
    let vm = SeenVm {
        parity: Parity::Off,
        api: X2ApicApi {
            format: MsiFormat::X2Apic,
            quirk: BroadcastQuirk::Off,
        },
        pins: Some(ReservedPins(24)),
        routes: &[],
        vcpus: &vcpus,
    };

    for (vp_index, sint, expected) in [
        (7, 2, &[0][..]),
        (7, 1, &[]),
        (7, 3, &[]),
        (7, 15, &[]),
        (7, 16, &[]),
        (7, u32::MAX, &[]),
        (1, 2, &[]),
        (0, 2, &[]),
        (2, 2, &[]),
        (u32::MAX, 2, &[]),
    ] {
        let target = Target::Sint { vp_index, sint };
        let reached: Vec<_> = vm.reached(&target).map(|vcpu| vcpu.id).collect();

        assert_eq!(reached, expected, "VP {vp_index}, SINT {sint}");
    }
    assert_eq!(vm.vp(7).map(|vcpu| vcpu.id), Some(0));
    assert_eq!(vm.vp(1).map(|vcpu| vcpu.id), Some(1));
    assert_eq!(vm.vp(0), None);
}
