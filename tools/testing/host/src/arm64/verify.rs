// SPDX-License-Identifier: GPL-2.0

//! Whether C and Rust agree.

use super::routing::arm64::{
    msi::DeadMsi,
    verify::{ack_agrees, msi_agrees, spi_agrees, Outcome},
};

const OUTCOMES: [Outcome; 3] = [Outcome::UpToTheGuest, Outcome::Invalid, Outcome::NoDevice];

#[test]
fn pins() {
    for c in OUTCOMES {
        assert_eq!(spi_agrees(c, false), c == Outcome::Invalid, "{c:?}");
        assert_eq!(spi_agrees(c, true), c != Outcome::Invalid, "{c:?}");
    }
}

#[test]
fn msis() {
    for (decision, expected) in [
        (Ok(()), Outcome::UpToTheGuest),
        (Err(DeadMsi::NoIts), Outcome::NoDevice),
        (Err(DeadMsi::NoDeviceId), Outcome::Invalid),
        (Err(DeadMsi::NoDoorbell), Outcome::Invalid),
        (Err(DeadMsi::LongId), Outcome::UpToTheGuest),
    ] {
        for c in OUTCOMES {
            assert_eq!(msi_agrees(c, decision), c == expected, "{c:?} {decision:?}");
        }
    }
}

#[test]
fn ends() {
    assert!(ack_agrees(None, [].into_iter()));
    assert!(!ack_agrees(Some(0), [].into_iter()));
    assert!(!ack_agrees(None, [3].into_iter()));
    assert!(ack_agrees(Some(3), [3].into_iter()));
    assert!(ack_agrees(Some(5), [3, 5].into_iter()));
    assert!(!ack_agrees(Some(4), [3, 5].into_iter()));
}
