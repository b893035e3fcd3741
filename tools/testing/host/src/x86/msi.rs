// SPDX-License-Identifier: GPL-2.0

//! Decoding of MSI address and data.

use super::{
    property,
    reference::{self, Arch, LapicIrq},
    routing::x86::{
        destination::Destination::{self, Logical, Physical},
        msi::{Delivery, Msi, MsiFormat, Trigger},
    },
};
use proptest::{array, bool, num, prop_assert_eq};

const FORMATS: [MsiFormat; 2] = [MsiFormat::Compat, MsiFormat::X2Apic];

fn addressed(address_lo: u32, address_hi: u32) -> Msi {
    Msi {
        address_lo,
        address_hi,
        data: 0,
    }
}

fn carrying(data: u32) -> Msi {
    Msi {
        data,
        ..Msi::default()
    }
}

#[test]
fn destination_of_address() {
    for (lo, hi, compat, x2apic) in [
        (0x0000_0000, 0x0000_0000, Physical(0), Physical(0)),
        (0xfee0_0000, 0x0000_0000, Physical(0), Physical(0)),
        (0xfee0_1000, 0x0000_0000, Physical(1), Physical(1)),
        (0xfeef_e000, 0x0000_0000, Physical(0xfe), Physical(0xfe)),
        (0xfeef_f000, 0x0000_0000, Physical(0xff), Physical(0xff)),
        (0xfef0_0000, 0x0000_0000, Physical(0), Physical(0)),
        (0xfee0_0fff, 0x0000_0000, Logical(0), Logical(0)),
        (0xfee0_0ffb, 0x0000_0000, Physical(0), Physical(0)),
        (0xfee0_0004, 0x0000_0000, Logical(0), Logical(0)),
        (0xfee0_1004, 0x0000_0000, Logical(1), Logical(1)),
        (0xfeef_f004, 0x0000_0000, Logical(0xff), Logical(0xff)),
        (0xfee0_0000, 0x0000_00ff, Physical(0), Physical(0)),
        (0xfee0_0000, 0x0000_0100, Physical(0), Physical(0x100)),
        (0xfee0_1000, 0x0000_0100, Physical(1), Physical(0x101)),
        (0xfeef_f000, 0x0000_0100, Physical(0xff), Physical(0x1ff)),
        (0xfee0_2000, 0x8000_0000, Physical(2), Physical(0x8000_0002)),
        (
            0xfeef_e000,
            0xffff_ff00,
            Physical(0xfe),
            Physical(0xffff_fffe),
        ),
        (
            0xfeef_f000,
            0xffff_ff00,
            Physical(0xff),
            Physical(0xffff_ffff),
        ),
        (
            0xfeef_f004,
            0xffff_ff00,
            Logical(0xff),
            Logical(0xffff_ffff),
        ),
        (0xfee0_4004, 0x0001_0000, Logical(4), Logical(0x1_0004)),
    ] {
        let msi = addressed(lo, hi);

        assert_eq!(msi.destination(MsiFormat::Compat), compat, "{msi:x?}");
        assert_eq!(msi.destination(MsiFormat::X2Apic), x2apic, "{msi:x?}");
    }
}

#[test]
fn each_address_bit_means_one_thing() {
    for bit in 0..32 {
        let expected: Destination = match bit {
            2 => Logical(0),
            12..=19 => Physical(1 << (bit - 12)),
            _ => Physical(0),
        };
        for format in FORMATS {
            let msi = addressed(1 << bit, 0);
            assert_eq!(
                msi.destination(format),
                expected,
                "low bit {bit}, {format:?}"
            );
        }

        let msi = addressed(0, 1 << bit);
        let expected = Physical(if bit < 8 { 0 } else { 1 << bit });
        assert_eq!(
            msi.destination(MsiFormat::X2Apic),
            expected,
            "high bit {bit}"
        );
        assert_eq!(
            msi.destination(MsiFormat::Compat),
            Physical(0),
            "high bit {bit}"
        );
    }
}

#[test]
fn each_data_bit_means_one_thing() {
    for bit in 0..32 {
        let msi = carrying(1 << bit);

        assert_eq!(
            msi.vector(),
            if bit < 8 { 1 << bit } else { 0 },
            "bit {bit}"
        );
        assert_eq!(msi.trigger() == Trigger::Level, bit == 15, "bit {bit}");

        let msi = carrying(!(1 << bit));

        assert_eq!(
            msi.vector(),
            if bit < 8 { !(1 << bit) } else { 0xff },
            "bit {bit}"
        );
        assert_eq!(msi.trigger() == Trigger::Edge, bit == 15, "bit {bit}");
    }
}

#[test]
fn address_and_data_do_not_mix() {
    let address = addressed(u32::MAX, u32::MAX);
    let data = carrying(u32::MAX);

    assert_eq!((address.vector(), address.trigger()), (0, Trigger::Edge));
    for format in FORMATS {
        assert_eq!(data.destination(format), Physical(0), "{format:?}");
    }
}

#[test]
fn decodes_as_kvm_does() {
    property::check(
        (array::uniform3(num::u32::ANY), bool::ANY),
        |(words, x2apic_format)| {
            let [address_lo, address_hi, data] = words;
            let msi = Msi {
                address_lo,
                address_hi,
                data,
            };
            let format = FORMATS[usize::from(x2apic_format)];
            let (logical, dest_id) = match msi.destination(format) {
                Logical(mda) => (true, mda),
                Physical(mda) => (false, mda),
            };
            let arch = Arch {
                x2apic_format,
                x2apic_broadcast_quirk_disabled: false,
                nr_reserved_ioapic_pins: 0,
            };

            let irq = reference::msi_to_lapic_irq(&arch, words);

            prop_assert_eq!(
                LapicIrq {
                    dest_id,
                    logical,
                    vector: u32::from(msi.vector()),
                    level_triggered: msi.trigger() == Trigger::Level,
                    ..irq
                },
                irq
            );
            prop_assert_eq!(msi.delivery() == Delivery::Vector, irq.is_postable());
            prop_assert_eq!(msi.is_for_one(), irq.is_lowest_prio());
            Ok(())
        },
    );
}
