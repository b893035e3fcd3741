// SPDX-License-Identifier: GPL-2.0

//! Which SPI a pin is, and whether its line is high.

use super::{
    reference,
    routing::arm64::spi::{set_line, Spi, NR_PINS},
};
use std::{cell::RefCell, convert::Infallible};

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

/// A line, its sources, and what others do to it while one is at work.
struct Line {
    sources: [bool; 3],
    /// Who is at work: what one source says twice at once has no order.
    busy: [bool; 3],
    high: bool,
    /// What others do at the next moments at which they can, the first one last.
    others: Vec<Op>,
}

/// Which source raises or lowers the line, or nothing.
type Op = Option<(usize, bool)>;

impl Line {
    fn others_act(line: &RefCell<Self>) {
        let next = line.borrow_mut().others.pop().flatten();

        if let Some((source, raised)) = next {
            if !line.borrow().busy[source] {
                Self::set(line, source, raised);
            }
        }
    }

    fn set(line: &RefCell<Self>, source: usize, raised: bool) {
        line.borrow_mut().busy[source] = true;
        line.borrow_mut().sources[source] = raised;
        Self::others_act(line);
        let Ok(()) = set_line(
            raised,
            || {
                let held = line.borrow().sources.contains(&true);
                Self::others_act(line);
                held
            },
            |high| {
                line.borrow_mut().high = high;
                Self::others_act(line);
                Ok::<(), Infallible>(())
            },
        );
        line.borrow_mut().busy[source] = false;
    }
}

#[test]
fn a_line_is_high_as_long_as_a_source_raises_it_whatever_others_do_meanwhile() {
    const OPS: [Op; 5] = [
        None,
        Some((1, true)),
        Some((1, false)),
        Some((2, true)),
        Some((2, false)),
    ];
    const MOMENTS: u32 = 7;

    for script in 0..OPS.len().pow(MOMENTS) {
        let others: Vec<_> = (0..MOMENTS)
            .map(|moment| OPS[script / OPS.len().pow(moment) % OPS.len()])
            .collect();

        for sources in [[true, false, false], [true, true, false]] {
            let line = RefCell::new(Line {
                sources,
                busy: [false; 3],
                high: true,
                others: others.clone(),
            });

            Line::set(&line, 0, false);
            let line = line.into_inner();
            assert_eq!(
                line.high,
                line.sources.contains(&true),
                "{sources:?} {others:?}"
            );
        }
    }
}

#[test]
fn each_raise_is_said() {
    for held in [false, true] {
        let mut said = vec![];
        let tell = |high| {
            said.push(high);
            Err(())
        };

        assert_eq!(set_line(true, || held, tell), Err(()));
        assert_eq!(said, [true]);
    }
}
