// SPDX-License-Identifier: GPL-2.0

//! Trace events of arm64.

use super::lines::Source;
use crate::kvm::trace::{
    emit,
    is_wanted, //
};
use kernel::prelude::*;

pub(super) use crate::kvm::trace::{
    remark,
    update,
    update_end,
    update_skipped, //
};

/// Tells that the line of a pin was raised or lowered, as far as `source` is concerned, and with which
/// result. KVM's own code does not say by whom. Any context.
#[inline(always)]
pub(super) fn spi(
    vm: u64,
    pin: u32,
    source: Option<Source>,
    raised: Option<bool>,
    result: &Result,
) {
    #[cold]
    #[inline(never)]
    fn tell(vm: u64, pin: u32, source: Option<Source>, raised: Option<bool>, result: &Result) {
        let (source, gsi) = match source {
            Some(Source::Resample { gsi }) => (c"resample", gsi as i32),
            Some(Source::IrqLine) => (c"irq_line", -1),
            None => (c"other", -1),
        };

        emit!(irqroute_spi(
            vm,
            pin,
            gsi,
            source.as_char_ptr(),
            raised.map_or(-1, i32::from),
            result.map_or_else(|error| error.to_errno(), |()| 0),
        ));
    }

    if is_wanted!(irqroute_spi) {
        tell(vm, pin, source, raised, result);
    }
}

/// Tells that so many GSIs are to hear of the end of the SPI of a pin. Any context.
#[inline(always)]
pub(super) fn spi_ack(vm: u64, pin: u32, gsis: u64) {
    #[cold]
    #[inline(never)]
    fn tell(vm: u64, pin: u32, gsis: u64) {
        emit!(irqroute_spi_ack(vm, pin, gsis as u32));
    }

    if is_wanted!(irqroute_spi_ack) {
        tell(vm, pin, gsis);
    }
}
