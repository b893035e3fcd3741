// SPDX-License-Identifier: GPL-2.0

//! Which SPI a pin is, and whether its line is high.

use super::{
    reference,
    routing::arm64::spi::{change, LineChange, Spi, NR_PINS},
};

#[test]
fn pins_are_spis_as_in_kvm() {
    for nr_spis in [0, 1, 32, 224, 959, 960, 988] {
        for pin in (0..=NR_PINS as u32).chain([0x7fff_ffff, u32::MAX - 32, u32::MAX - 31, u32::MAX])
        {
            let spi = Spi::of_pin(pin, nr_spis);

            assert_eq!(
                spi.map(|spi| spi.intid()),
                reference::spi(pin, nr_spis).ok(),
                "pin {pin} of {nr_spis}"
            );
            assert!(spi.is_none_or(|spi| spi.pin() == pin));
        }
    }
}

#[test]
fn a_line_stays_high_as_long_as_a_source_raises_it() {
    for (raised, held, expected) in [
        (true, false, LineChange::Raise),
        (true, true, LineChange::Raise),
        (false, false, LineChange::Lower),
        (false, true, LineChange::None),
    ] {
        assert_eq!(change(raised, || held), expected, "{raised} {held}");
    }
}
