// SPDX-License-Identifier: GPL-2.0

//! To which vCPU an interrupt is posted: `apic_map.rs` and `posting.rs` against KVM's C, told a second
//! time.

use super::{
    cases, property,
    reference::{Arch, Lapic, PostingVm, Vcpu},
    routing::{
        x86::{
            apic_map::{ApicMap, Name, VcpuApic},
            msi::Msi,
            posting::{decide, LowestPriority, Reason, Target},
        },
        Parity,
    },
};
use proptest::{
    collection::vec,
    prelude::{any, Just, Strategy},
    prop_assert_eq, prop_oneof,
};
use std::collections::BTreeMap;

const LEVEL: u32 = 1 << 15;
const LOWEST_PRIORITY: u32 = 1 << 8;
const LOGICAL: u32 = 1 << 2;
const REDIRECTION_HINT: u32 = 1 << 3;

fn map(arch: &Arch, vcpus: &[Vcpu]) -> ApicMap<Vec<Name>> {
    let apics = vcpus.iter().enumerate().map(|(i, vcpu)| VcpuApic {
        vcpu: i as u32,
        id: cases::apic_id(&vcpu.lapic),
        is_logically_mapped: vcpu.sw_enabled && vcpu.lapic.ldr != 0,
    });

    ApicMap::new(cases::api(arch), apics).expect("there is memory")
}

fn msi([address_lo, address_hi, data]: [u32; 3]) -> Msi {
    Msi {
        address_lo,
        address_hi,
        data,
    }
}

fn decide_hashed(
    map: &ApicMap<Vec<Name>>,
    words: [u32; 3],
    parity: Parity,
) -> Result<Target, Reason> {
    decide(&msi(words), map, LowestPriority::Hashed, parity)
}

/// Returns what is to be decided, by KVM's C: with parity what it posts, else what it delivers.
fn expected(vm: &PostingVm<'_>, words: [u32; 3], parity: Parity) -> Result<Target, Reason> {
    let found = match parity {
        Parity::On => vm.posted_to(words).into_iter().collect(),
        Parity::Off => vm.delivered_to(words),
    };

    if words[2] >> 8 & 7 > 1 {
        Err(Reason::DeliveryMode)
    } else if parity == Parity::Off && words[2] & LEVEL != 0 {
        Err(Reason::Level)
    } else {
        match found[..] {
            [vcpu] => Ok(Target {
                vcpu: vcpu as u32,
                vector: words[2] as u8,
            }),
            [] => Err(Reason::NoTarget),
            _ => Err(Reason::Several),
        }
    }
}

/// Tells what is decided as KVM's C does, which has no reasons.
fn same(a: Result<Target, Reason>, b: Result<Target, Reason>, parity: Parity) -> bool {
    match parity {
        Parity::On => a.ok() == b.ok(),
        Parity::Off => a == b,
    }
}

const PARITIES: [Parity; 2] = [Parity::On, Parity::Off];

/// The words of an MSI to `dest`.
fn words(logical: bool, dest: u32, hint: bool, data: u32) -> [u32; 3] {
    [
        0xfee0_0000
            | (dest & 0xff) << 12
            | if logical { LOGICAL } else { 0 }
            | if hint { REDIRECTION_HINT } else { 0 },
        dest & !0xff,
        data,
    ]
}

/// All states of a local APIC that differ in what the map makes of them.
fn states(vcpu_id: u32) -> Vec<Vcpu> {
    let mut states = Vec::new();

    for sw_enabled in [false, true] {
        for ldr in [vcpu_id >> 4 << 16 | 1 << (vcpu_id & 0xf), 0] {
            states.push(Vcpu {
                lapic: Lapic::x2apic(vcpu_id, ldr),
                sw_enabled,
            });
        }
        for id in [vcpu_id as u8, 0] {
            for logical_id in [0, 1, 3, 0x12] {
                for dfr in [0xffff_ffff, 0x0fff_ffff, 0x7fff_ffff] {
                    states.push(Vcpu {
                        lapic: Lapic::xapic(vcpu_id, id, logical_id, dfr),
                        sw_enabled,
                    });
                }
            }
        }
    }
    states
}

fn kind(decision: Result<Target, Reason>) -> &'static str {
    match decision {
        Ok(Target { vcpu: 0, .. }) => "to 0",
        Ok(_) => "to another",
        Err(Reason::DeliveryMode) => "DeliveryMode",
        Err(Reason::Level) => "Level",
        Err(Reason::NoTarget) => "NoTarget",
        Err(Reason::Several) => "Several",
    }
}

/// Checks each two states of local APICs with these IDs, with each setting and many destinations. Returns
/// how often what was decided.
fn check_pairs(ids: [u32; 2]) -> BTreeMap<(u8, &'static str), usize> {
    let dests = [
        0,
        1,
        2,
        3,
        0x11,
        0x12,
        0xff,
        0x100,
        0x101,
        0x103,
        0x10_000f,
        0xffff_ffff,
    ];
    let mut seen = BTreeMap::new();

    for first in states(ids[0]) {
        for second in states(ids[1]) {
            let vcpus = [first, second];

            for settings in 0..4 {
                let arch = Arch {
                    x2apic_format: settings & 1 != 0,
                    x2apic_broadcast_quirk_disabled: settings & 2 != 0,
                    nr_reserved_ioapic_pins: 24,
                };
                let map = map(&arch, &vcpus);
                let vm = PostingVm::new(&arch, &vcpus);

                for dest in dests {
                    if !arch.x2apic_format && dest > 0xff {
                        continue;
                    }
                    for (logical, hint, data) in [
                        (false, false, 0x31),
                        (true, false, 0x31),
                        (true, true, 0x31),
                        (true, false, LOWEST_PRIORITY | 0x30),
                    ] {
                        let words = words(logical, dest, hint, data);

                        for parity in PARITIES {
                            let rust = decide_hashed(&map, words, parity);
                            let c = expected(&vm, words, parity);

                            assert!(
                                same(rust, c, parity),
                                "{parity:?} {words:x?} {arch:?} {vcpus:x?}: Rust {rust:?}, C {c:?}"
                            );
                            *seen.entry((parity as u8, kind(rust))).or_default() += 1;
                        }
                    }
                }
            }
        }
    }
    seen
}

#[test]
fn all_pairs_of_states() {
    // Neighbours, those whose 8-bit IDs are the same, and one that is a broadcast in xAPIC mode.
    for ids in [[0, 1], [0, 0x100], [0xff, 0x101]] {
        let seen = check_pairs(ids);

        for parity in PARITIES {
            for kind in ["to 0", "to another", "NoTarget", "Several"] {
                let nr = seen.get(&(parity as u8, kind)).copied().unwrap_or(0);

                assert!(nr > 1000, "{parity:?} {kind}: {nr} times with {ids:x?}");
            }
        }
    }
}

/// A VM, whether its vCPUs have IDs near one another, and the words of an MSI to one of them.
fn vms() -> impl Strategy<Value = (Arch, Vec<Vcpu>, [u32; 3])> {
    let like = prop_oneof![
        2 => Just(None),
        1 => Just(Some(0xffff_ffff)),
        1 => Just(Some(0x0fff_ffff)),
        2 => Just(Some(0)),
    ];

    (
        cases::archs(),
        vec((cases::lapics(), 0..8_u8), 1..24),
        like,
        any::<u8>(),
    )
        .prop_flat_map(|(arch, lapics, like, which)| {
            let mut vcpus = Vec::new();

            for (i, (mut lapic, choice)) in lapics.into_iter().enumerate() {
                let i = i as u32;
                // Most VMs have IDs in order, and local APICs that are alike.
                match like {
                    Some(0) => lapic = Lapic::x2apic(i, i >> 4 << 16 | 1 << (i & 0xf)),
                    Some(dfr) if choice != 0 => {
                        let logical_id = match dfr {
                            0xffff_ffff => 1_u32.checked_shl(i).unwrap_or(0) as u8,
                            _ => (i / 4 << 4 | 1 << (i % 4)) as u8,
                        };
                        lapic = Lapic::xapic(i, i as u8, logical_id, dfr);
                    }
                    _ => {
                        // Different IDs, as vCPUs have; many are the same in xAPIC mode.
                        let id = i << 8 | lapic.vcpu_id & 0xff;
                        lapic.vcpu_id = if choice < 4 { i } else { id };
                    }
                }
                if vcpus
                    .iter()
                    .all(|vcpu: &Vcpu| vcpu.lapic.vcpu_id != lapic.vcpu_id)
                {
                    vcpus.push(Vcpu {
                        lapic,
                        sw_enabled: choice != 1,
                    });
                }
            }

            let target = vcpus[usize::from(which) % vcpus.len()].lapic;
            let data = prop_oneof![
                4 => any::<u8>().prop_map(u32::from),
                2 => any::<u8>().prop_map(|vector| LOWEST_PRIORITY | u32::from(vector)),
                1 => any::<u32>(),
            ];
            let more = prop_oneof![2 => Just(0), 1 => any::<u8>().prop_map(u32::from)];

            (
                Just(arch),
                Just(vcpus),
                (cases::destinations(&target), more, 0..4_u8, 0..64_u32, data).prop_map(
                    |((logical, mda), more, hint, reserved, data)| {
                        // More CPUs of a logical destination.
                        let mda = if logical { mda | more } else { mda };
                        let [lo, hi, data] = words(logical, mda, hint == 0, data);

                        [lo, hi | u32::from(reserved == 0), data]
                    },
                ),
            )
        })
}

#[test]
fn decides_as_c() {
    property::check(vms(), |(arch, vcpus, words)| {
        let rust = decide_hashed(&map(&arch, &vcpus), words, Parity::On);

        prop_assert_eq!(
            rust.ok(),
            expected(&PostingVm::new(&arch, &vcpus), words, Parity::On).ok()
        );
        Ok(())
    });
}

#[test]
fn posts_to_whom_c_delivers() {
    property::check(vms(), |(arch, vcpus, words)| {
        let rust = decide_hashed(&map(&arch, &vcpus), words, Parity::Off);

        prop_assert_eq!(
            rust,
            expected(&PostingVm::new(&arch, &vcpus), words, Parity::Off)
        );
        Ok(())
    });
}

#[test]
fn vms_have_all_kinds_of_decisions() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();

    for (arch, vcpus, words) in property::sample(vms()) {
        let map = map(&arch, &vcpus);
        let [on, off] = PARITIES.map(|parity| decide_hashed(&map, words, parity));
        let kind = match off {
            Ok(_) if words[0] & LOGICAL == 0 => "physical".to_string(),
            Ok(_) if words[2] & LOWEST_PRIORITY != 0 => "lowest priority".to_string(),
            Ok(_) => "logical".to_string(),
            Err(_) => kind(off).to_string(),
        };

        *seen.entry(kind).or_default() += 1;
        if on.ok() != off.ok() {
            *seen
                .entry("other than with parity".to_string())
                .or_default() += 1;
        }
    }
    for kind in [
        "physical",
        "logical",
        "lowest priority",
        "DeliveryMode",
        "Level",
        "NoTarget",
        "Several",
        "other than with parity",
    ] {
        let nr = seen.get(kind).copied().unwrap_or(0);
        assert!(nr >= 40, "{kind}: {nr} of {seen:?}");
    }
}

fn xapic(id: u32, logical_id: u8) -> Vcpu {
    Vcpu {
        lapic: Lapic::xapic(id, id as u8, logical_id, 0xffff_ffff),
        sw_enabled: true,
    }
}

const ARCH: Arch = Arch {
    x2apic_format: false,
    x2apic_broadcast_quirk_disabled: false,
    nr_reserved_ioapic_pins: 24,
};

fn to(vcpu: u32, vector: u8) -> Result<Target, Reason> {
    Ok(Target { vcpu, vector })
}

#[test]
fn delivery_and_trigger_modes() {
    let map = map(&ARCH, &[xapic(0, 1), xapic(1, 2)]);

    for mode in 0..8 {
        for (level, parity) in [
            (0, Parity::On),
            (LEVEL, Parity::On),
            (0, Parity::Off),
            (LEVEL, Parity::Off),
        ] {
            let words = words(false, 1, false, mode << 8 | level | 0x31);
            let expected = match (mode, level, parity) {
                (2.., _, _) => Err(Reason::DeliveryMode),
                (_, LEVEL, Parity::Off) => Err(Reason::Level),
                _ => to(1, 0x31),
            };

            assert_eq!(decide_hashed(&map, words, parity), expected);
        }
    }
}

#[test]
fn lowest_priority_with_a_hole() {
    // Place 1 of the map is not taken, which KVM chooses for odd vectors.
    let map = map(&ARCH, &[xapic(0, 1), xapic(1, 4)]);
    let decide = |dest, vector, parity| {
        decide_hashed(
            &map,
            words(true, dest, false, LOWEST_PRIORITY | vector),
            parity,
        )
    };

    assert_eq!(decide(3, 0x30, Parity::Off), to(0, 0x30));
    assert_eq!(decide(3, 0x31, Parity::Off), Err(Reason::NoTarget));
    assert_eq!(decide(3, 0x30, Parity::On), to(0, 0x30));
    assert_eq!(decide(3, 0x31, Parity::On), to(0, 0x31));
    // One of two that are there.
    assert_eq!(decide(5, 0x30, Parity::Off), to(0, 0x30));
    assert_eq!(decide(5, 0x31, Parity::Off), to(1, 0x31));
}

#[test]
fn lowest_priority_without_hashing() {
    let by_priority = |vcpus: &[Vcpu], dest, parity| {
        let words = words(true, dest, false, LOWEST_PRIORITY | 0x31);

        decide(
            &msi(words),
            &map(&ARCH, vcpus),
            LowestPriority::ByPriority,
            parity,
        )
    };
    let mut vcpus = [xapic(0, 1), xapic(1, 4)];

    for parity in PARITIES {
        assert_eq!(by_priority(&vcpus, 1, parity), to(0, 0x31));
        assert_eq!(by_priority(&vcpus, 3, parity), to(0, 0x31));
        assert_eq!(by_priority(&vcpus, 5, parity), Err(Reason::Several));
    }
    // KVM's map does not have the other one, which would accept it.
    vcpus[1].sw_enabled = false;
    for parity in PARITIES {
        assert_eq!(by_priority(&vcpus, 5, parity), to(0, 0x31));
    }
}

#[test]
fn aliases_of_an_apic_id() {
    let vcpus = [xapic(0, 0), xapic(0x100, 0)];
    let words = words(false, 0, false, 0x31);

    // Both get it, unless KVM's map has one for each ID.
    assert_eq!(
        decide_hashed(&map(&ARCH, &vcpus), words, Parity::Off),
        Err(Reason::Several)
    );
    let arch = Arch {
        x2apic_format: true,
        ..ARCH
    };
    assert_eq!(
        decide_hashed(&map(&arch, &vcpus), words, Parity::Off),
        to(0, 0x31)
    );
}
