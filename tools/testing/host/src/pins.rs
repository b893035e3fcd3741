// SPDX-License-Identifier: GPL-2.0

//! The window of reserved pins.

use super::{reference::MAX_ROUTES, routing::pins::ReservedPins};

#[test]
fn window_ends_below_its_size() {
    // A GSI of a table is at most 4095.
    for (pins, inside, outside) in [
        (0, &[][..], &[0, 1, 23, 24, 4095][..]),
        (1, &[0], &[1, 2, 24, 4095]),
        (23, &[0, 1, 22], &[23, 24, 25, 4095]),
        (24, &[0, 1, 22, 23], &[24, 25, 255, 256, 4095]),
        (25, &[0, 23, 24], &[25, 26, 4095]),
        (255, &[0, 253, 254], &[255, 256, 257, 4095]),
        (256, &[0, 254, 255], &[256, 257, 4095]),
        (257, &[0, 1, 255, 256], &[257, 258, 4095]),
        (4095, &[0, 255, 256, 4093, 4094], &[4095]),
        (4096, &[0, 255, 256, 4094, 4095], &[]),
    ] {
        for &gsi in inside {
            assert!(ReservedPins(pins).contains(gsi), "GSI {gsi} of {pins}");
        }
        for &gsi in outside {
            assert!(!ReservedPins(pins).contains(gsi), "GSI {gsi} of {pins}");
        }
    }
}

#[test]
fn window_may_hold_all_gsis() {
    let all = ReservedPins(MAX_ROUTES);

    assert!((0..MAX_ROUTES).all(|gsi| all.contains(gsi)));
    assert!(!all.contains(MAX_ROUTES));
}
