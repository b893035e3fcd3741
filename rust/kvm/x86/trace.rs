// SPDX-License-Identifier: GPL-2.0

//! Trace events of x86.

use super::bindings;
use crate::{
    kvm::trace::{
        emit,
        is_wanted, //
    },
    routing::{
        text::Text,
        x86::{
            lines::{
                Gsis,
                Vectors, //
            },
            posting::{
                Reason,
                Target, //
            },
            scan::Scan,
            sint::{
                Sint,
                SintError, //
            },
            vector::VectorSet, //
        }, //
    }, //
};
use kernel::prelude::*;

pub(super) use crate::kvm::trace::{
    remark,
    remark_is_wanted,
    update,
    update_end,
    update_skipped, //
};

/// Room for the names of 64 vectors.
type Names = Text<320>;

/// Makes a set of a vector, or of none.
fn set_of(vector: Option<u8>) -> VectorSet {
    let mut set = VectorSet::EMPTY;

    if let Some(vector) = vector {
        set.insert(vector);
    }
    set
}

/// Tells whether anyone wants to know of scans. Any context.
#[inline(always)]
pub(super) fn scan_is_wanted() -> bool {
    is_wanted!(irqroute_scan)
}

/// Tells that a vCPU has found out which EOIs it reports. What it had to report before is not known of
/// KVM's own scans. Process context.
#[inline(always)]
pub(super) fn scan(
    vm: u64,
    apic: &bindings::kvm_irqroute_apic_view,
    before: Option<&VectorSet>,
    found: &Scan,
) {
    #[cold]
    #[inline(never)]
    fn tell(
        vm: u64,
        apic: &bindings::kvm_irqroute_apic_view,
        before: Option<&VectorSet>,
        found: &Scan,
    ) {
        let names = |set: Option<VectorSet>| match set {
            Some(set) => Names::new(Vectors(&set)),
            None => Names::new("unknown"),
        };

        emit!(irqroute_scan(
            vm,
            apic.x2apic_id,
            apic.id().current(),
            names(Some(found.handled)).as_c(),
            names(before.map(|before| found.handled.difference(before))).as_c(),
            names(before.map(|before| before.difference(&found.handled))).as_c(),
            names(Some(set_of(found.highest_stale))).as_c(),
        ));
    }

    if scan_is_wanted() {
        tell(vm, apic, before, found);
    }
}

/// Tells of an EOI that is reported to userspace, unless the guest suppresses that. Any context.
#[inline(always)]
pub(super) fn eoi(
    vm: u64,
    vector: u8,
    is_reported: bool,
    view: impl FnOnce() -> Option<bindings::irqroute_eoi>,
) {
    #[cold]
    #[inline(never)]
    fn tell(vm: u64, vector: u8, is_reported: bool, eoi: &bindings::irqroute_eoi) {
        let nr_pins = eoi.nr_pins as usize;
        let pins = eoi.pins.get(..nr_pins).unwrap_or(&eoi.pins);

        emit!(irqroute_eoi(
            vm,
            eoi.vcpu_id,
            vector.into(),
            Text::<96>::new(Gsis(pins, nr_pins)).as_c(),
            is_reported,
        ));
    }

    if is_wanted!(irqroute_eoi) {
        if let Some(eoi) = view() {
            tell(vm, vector, is_reported, &eoi);
        }
    }
}

/// Tells whether anyone wants to know of interrupts for SINTs. Any context.
#[inline(always)]
pub(super) fn sint_is_wanted() -> bool {
    is_wanted!(irqroute_sint)
}

/// Tells what became of an interrupt for a SINT: what KVM_IRQ_LINE_STATUS reports of one that was sent,
/// or why it was not. Nothing is told of a line that goes down. Any context.
#[inline(always)]
pub(super) fn sint(
    vm: u64,
    vp_index: u32,
    number: u32,
    vector: Option<u8>,
    outcome: Result<i32, SintError>,
) {
    #[cold]
    #[inline(never)]
    fn tell(
        vm: u64,
        vp_index: u32,
        number: u32,
        vector: Option<u8>,
        outcome: Result<i32, SintError>,
    ) {
        let outcome = match outcome {
            Ok(1..) => c"delivered",
            Ok(_) => c"not_accepted",
            Err(SintError::Lowered) => return,
            Err(SintError::Masked) => c"masked",
            Err(SintError::NoSynic) if Sint::new(number).is_none() => c"no_such_sint",
            Err(SintError::NoSynic) => c"no_synic",
        };

        emit!(irqroute_sint(
            vm,
            vp_index,
            number,
            Text::<8>::new(Vectors(&set_of(vector))).as_c(),
            outcome.as_char_ptr(),
        ));
    }

    if sint_is_wanted() {
        tell(vm, vp_index, number, vector, outcome);
    }
}

/// Tells that a GSI hears of the end of a SINT's interrupt. Process context.
#[inline(always)]
pub(super) fn sint_ack(vm: u64, vp_index: u32, number: u32, gsi: u32) {
    #[cold]
    #[inline(never)]
    fn tell(vm: u64, vp_index: u32, number: u32, gsi: u32) {
        emit!(irqroute_sint_ack(vm, vp_index, number, gsi));
    }

    if is_wanted!(irqroute_sint_ack) {
        tell(vm, vp_index, number, gsi);
    }
}

/// Tells whether the interrupt of a device is posted, and where. Any context.
#[inline(always)]
pub(super) fn post(vm: u64, gsi: u32, vector: u8, decision: &Result<Target, Reason>) {
    #[cold]
    #[inline(never)]
    fn tell(vm: u64, gsi: u32, vector: u8, decision: &Result<Target, Reason>) {
        let (vcpu, outcome) = match decision {
            Ok(target) => (target.vcpu as i32, c"posted"),
            Err(Reason::DeliveryMode) => (-1, c"delivery_mode"),
            Err(Reason::Level) => (-1, c"level"),
            Err(Reason::NoTarget) => (-1, c"no_target"),
            Err(Reason::Several) => (-1, c"several"),
        };

        emit!(irqroute_post(
            vm,
            gsi,
            u32::from(vector),
            vcpu,
            outcome.as_char_ptr()
        ));
    }

    if is_wanted!(irqroute_post) {
        tell(vm, gsi, vector, decision);
    }
}
