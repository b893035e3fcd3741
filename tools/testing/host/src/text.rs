// SPDX-License-Identifier: GPL-2.0

//! Text is what was written, up to the last byte but one.

use super::routing::text::Text;
use core::fmt::{Display, Formatter, Result};

/// Values that are written one after the other.
struct Parts<'a>(&'a [&'a str]);

impl Display for Parts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.iter().try_for_each(|part| f.write_str(part))
    }
}

fn text<const N: usize>(parts: &[&str]) -> [u8; N] {
    *Text::new(Parts(parts)).bytes()
}

#[test]
fn what_fits() {
    assert_eq!(&text(&[]), b"\0\0\0\0\0\0\0\0");
    assert_eq!(&text(&["abc"]), b"abc\0\0\0\0\0");
    assert_eq!(&text(&["abc", "", "defg"]), b"abcdefg\0");
    assert_eq!(&text(&["abcdefg", ""]), b"abcdefg\0");
}

#[test]
fn what_is_cut() {
    assert_eq!(&text(&["abcdefgh"]), b"abcd...\0");
    assert_eq!(&text(&["abc", "defghijk"]), b"abcd...\0");
    assert_eq!(&text(&["abcdefg", "h"]), b"abcd...\0");
    assert_eq!(&text(&["abcdefg", "h", "i"]), b"abcd...\0");
    assert_eq!(&text(&["a", "bcdefghi", "j"]), b"abcd...\0");
}

#[test]
fn where_dots_do_not_fit() {
    assert_eq!(&text::<4>(&["abcd"]), b"...\0");
    assert_eq!(&text::<3>(&["abc"]), b"..\0");
    assert_eq!(&text::<1>(&["abc"]), b"\0");
    assert_eq!(&text::<1>(&[""]), b"\0");
}
