// SPDX-License-Identifier: GPL-2.0

//! Text where nothing can be allocated.

use core::fmt::{Result, Write};

/// A text that is made in place and ends with a zero byte. What is too long for its `N` bytes is cut,
/// and ends with three dots.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const DOTS: [u8; 4] = *b"...\0";

    /// Makes the text of a value.
    pub(crate) fn new(value: impl core::fmt::Display) -> Self {
        let mut text = Self {
            bytes: [0; N],
            len: 0,
        };

        // It fails where it is cut.
        let _ = write!(text, "{value}");
        text
    }

    fn cut(&mut self) {
        for (to, from) in self.bytes.iter_mut().rev().zip(Self::DOTS.iter().rev()) {
            *to = *from;
        }
    }

    /// Returns its bytes, of which the last one is zero.
    pub(crate) fn bytes(&self) -> &[u8; N] {
        &self.bytes
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, more: &str) -> Result {
        for byte in more.bytes() {
            let next = self.len.saturating_add(1);

            match self.bytes.get_mut(self.len) {
                // The last one is the zero.
                Some(free) if next < N => *free = byte,
                _ => {
                    self.cut();
                    return Err(core::fmt::Error);
                }
            }
            self.len = next;
        }
        Ok(())
    }
}
