// SPDX-License-Identifier: GPL-2.0

//! Delivery of Hyper-V SINT routes.

use super::{
    reference::{self, EINVAL, ENOENT, EPERM},
    routing::sint::{
        from_first, target, vector, Sint, SintError, SintRegister, SintRoute, Synic, NR_SINTS,
    },
};

/// SINT numbers around the last one.
const NUMBERS: [(u32, bool); 8] = [
    (0, true),
    (1, true),
    (14, true),
    (15, true),
    (16, false),
    (17, false),
    (256, false),
    (u32::MAX, false),
];

#[test]
fn there_are_sixteen_sints() {
    assert_eq!(NR_SINTS, 16);

    for (number, exists) in NUMBERS {
        let expected = exists.then_some(number);

        assert_eq!(
            Sint::new(number).map(|sint| sint.number()),
            expected,
            "{number}"
        );
    }
}

#[test]
fn vector_of_register() {
    for (register, expected) in [
        (0x0_0000, Some(0)),
        (0x0_0001, Some(1)),
        (0x0_000f, Some(15)),
        (0x0_0010, Some(16)),
        (0x0_00fe, Some(254)),
        (0x0_00ff, Some(255)),
        (0x0_0100, Some(0)),
        (0x0_ffff, Some(255)),
        (0x1_0000, None),
        (0x1_0030, None),
        (0x1_ffff, None),
        // Auto-EOI (bit 17) and polling (bit 18) do not mask.
        (0x2_0030, Some(0x30)),
        (0x4_0030, Some(0x30)),
        (0x3_0030, None),
        (u64::MAX, None),
        (u64::MAX - 0x1_0000, Some(255)),
    ] {
        assert_eq!(
            SintRegister(register).vector(),
            expected,
            "register {register:#x}"
        );
    }
}

#[test]
fn each_register_bit_means_one_thing() {
    for bit in 0..64 {
        let expected = match bit {
            0..=7 => Some(1 << bit),
            16 => None,
            _ => Some(0),
        };

        assert_eq!(SintRegister(1 << bit).vector(), expected, "bit {bit}");
    }
}

#[test]
fn line_going_down_delivers_nothing() {
    for (number, _) in NUMBERS {
        assert_eq!(
            target(number, false),
            Err(SintError::Lowered),
            "SINT {number}"
        );
    }
}

#[test]
fn line_going_up_needs_a_sint() {
    for (number, exists) in NUMBERS {
        let expected = if exists {
            Ok(number)
        } else {
            Err(SintError::NoSynic)
        };

        assert_eq!(
            target(number, true).map(|sint| sint.number()),
            expected,
            "SINT {number}"
        );
    }
}

#[test]
fn vector_needs_an_active_synic_and_an_open_sint() {
    for (synic, expected) in [
        (Synic::Absent, Err(SintError::NoSynic)),
        (Synic::Active(SintRegister(0x30)), Ok(0x30)),
        (
            Synic::Active(SintRegister(0x1_0030)),
            Err(SintError::Masked),
        ),
        (Synic::Active(SintRegister(0x2_00ff)), Ok(0xff)),
        (Synic::Active(SintRegister(0)), Ok(0)),
    ] {
        assert_eq!(vector(synic), expected, "{synic:?}");
    }
}

/// The errno that KVM returns for an error.
fn errno(error: SintError) -> i32 {
    match error {
        SintError::Lowered => -EPERM,
        SintError::NoSynic => -EINVAL,
        SintError::Masked => -ENOENT,
    }
}

/// Delivers as the module does, one decision after the other.
fn deliver(
    synics: &[Option<reference::Synic>],
    [vp_index, sint]: [u32; 2],
    raised: bool,
) -> Result<u8, SintError> {
    let sint = target(sint, raised)?;

    vector(match synics.get(vp_index as usize) {
        Some(Some(synic)) if synic.active => {
            Synic::Active(SintRegister(synic.sint[sint.number() as usize]))
        }
        _ => Synic::Absent,
    })
}

#[test]
fn delivers_as_kvm_does() {
    // VP 0 has an inactive SynIC, VP 1 an active one, VP 2 does not exist.
    let synic = |active| reference::Synic {
        active,
        sint: std::array::from_fn(|n| n as u64 % 4 * 0x1_0000 + n as u64 * 0x11),
        sint_to_gsi: [-1; 16],
    };
    let mut synics = [Some(synic(false)), Some(synic(true)), None];
    let mut outcomes = Vec::new();

    for vp_index in [0, 1, 2, 3, u32::MAX] {
        for sint in (0..18).chain([256, u32::MAX]) {
            for raised in [false, true] {
                let expected =
                    reference::synic_set_irq(&mut synics, [vp_index, sint], i32::from(raised));

                assert_eq!(
                    deliver(&synics, [vp_index, sint], raised).map_err(errno),
                    expected,
                    "VP {vp_index}, SINT {sint}, raised {raised}"
                );
                outcomes.push(expected);
            }
        }
    }

    for outcome in [Ok(0), Ok(0xee), Err(-EPERM), Err(-EINVAL), Err(-ENOENT)] {
        assert!(outcomes.contains(&outcome), "{outcome:?} is never seen");
    }
}

#[test]
fn search_in_tables_of_all_small_sizes() {
    for len in 0..=17u32 {
        let routes: Vec<_> = (0..len)
            .map(|gsi| SintRoute {
                gsi,
                vp_index: 0,
                sint: 0,
            })
            .collect();

        for first in 0..=len {
            let rest = from_first(&routes, |route| route.gsi < first);

            assert_eq!(rest, &routes[first as usize..], "{first} of {len}");
        }
    }
}
