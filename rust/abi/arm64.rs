// SPDX-License-Identifier: GPL-2.0

//! The hooks of arm64.

use super::*;
use crate::{
    kvm::{
        arch::lines::Source,
        srcu::IrqSrcu, //
    },
    routing::arm64::verify::Outcome, //
};
use kernel::error::to_result;

/// What KVM calls a resample irqfd (KVM_IRQFD_RESAMPLE_IRQ_SOURCE_ID).
const RESAMPLE: u32 = 1;

/// Reads the source of a line. Irqfds without a resamplefd are none.
fn source_of(source: u32, gsi: u32) -> Option<Source> {
    match source {
        RESAMPLE => Some(Source::Resample { gsi }),
        KVM_IRQROUTE_IRQ_LINE => Some(Source::IrqLine),
        _ => None,
    }
}

/// Raises or lowers the line of a pin of the interrupt controller, as far as `source` is concerned.
/// KVM itself raises the SPI of an irqfd without a resamplefd, which is no source.
///
/// Context: any, also with interrupts disabled (irqfd). Locks: none that this function relies on.
/// Lifetime: `view` is read during the call only.
///
/// Returns 0, `-EINVAL` if the pin has no SPI, or an error of KVM's interrupt controller.
///
/// # Safety
///
/// `vm` must be bound, and `view` valid for reads.
pub(super) unsafe extern "C" fn set_spi(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
    pin: u32,
    gsi: u32,
    source: u32,
    level: c_int,
) -> c_int {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };

    match vm.set_spi(pin, view.nr_spis, source_of(source, gsi), level != 0) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Forgets who raises the line of a pin: userspace has restored the line.
///
/// Context: any, also with interrupts disabled. Locks: none that this function relies on. Lifetime: no
/// pointers but `vm`.
///
/// # Safety
///
/// `vm` must be bound.
pub(super) unsafe extern "C" fn forget_spi(vm: *mut kvm_irqroute_vm, pin: u32) {
    // SAFETY: `vm` is bound during the call.
    unsafe { borrow_vm(vm) }.forget_spi(pin);
}

/// Counts an MSI that KVM did not deliver by the reason why it can reach no ITS, if there is one, and
/// logs the first of a VM for each reason, within a rate limit.
///
/// Context: any, also with interrupts disabled. Locks: none that this function relies on.
/// Lifetime: `msi` is read during the call only.
///
/// # Safety
///
/// `vm` must be bound, and `msi` valid for reads.
pub(super) unsafe extern "C" fn lose_msi(
    vm: *mut kvm_irqroute_vm,
    msi: *const kvm_irqroute_msi_view,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `msi` is valid for the call. It is on the stack of the caller, who waits, so that no one
    // writes it.
    let msi = unsafe { &*msi };

    vm.lose_msi(msi);
}

/// Reports the end of the SPI of `pin` to all GSIs that are routed to it.
///
/// Context: any, also with interrupts disabled. Locks: `irq_srcu` for reading. Lifetime: `index` is
/// read during the call only.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid.
pub(super) unsafe extern "C" fn ack_pin(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    pin: u32,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: The caller is in the section during the call, in which `srcu` is dropped.
    let srcu = unsafe { IrqSrcu::held(vm.host()) };
    // SAFETY: The caller has found the table in the section.
    let index = unsafe { srcu.index(index) };

    vm.ack_pin(&srcu, index, pin);
}

/// Reads what KVM's own code returned.
fn outcome_of(result: c_int) -> Outcome {
    match to_result(result) {
        Err(EINVAL) => Outcome::Invalid,
        Err(ENODEV) => Outcome::NoDevice,
        _ => Outcome::UpToTheGuest,
    }
}

/// Checks what KVM's own code did with the line of a pin, counts a difference and logs it within a
/// rate limit.
///
/// Context: any, also with interrupts disabled. Locks: none that this function relies on. Lifetime:
/// `view` is read during the call only.
///
/// # Safety
///
/// `vm` must be bound, and `view` valid for reads.
pub(super) unsafe extern "C" fn verify_spi(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
    pin: u32,
    result: c_int,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };

    vm.verify_spi(pin, view.nr_spis, outcome_of(result));
}

/// Checks what KVM's own code did with an MSI, counts a difference and logs it within a rate limit.
///
/// Context: process. Locks: none that this function relies on. Lifetime: `msi` is read during the
/// call only.
///
/// # Safety
///
/// `vm` must be bound, and `msi` valid for reads.
pub(super) unsafe extern "C" fn verify_msi(
    vm: *mut kvm_irqroute_vm,
    msi: *const kvm_irqroute_msi_view,
    result: c_int,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `msi` is valid for the call. It is on the stack of the caller, who waits, so that no one
    // writes it.
    let msi = unsafe { &*msi };

    vm.verify_msi(msi, outcome_of(result));
}

/// Checks which GSI KVM's own code told of the end of the SPI of `pin`, or -1, counts a difference
/// and logs it within a rate limit.
///
/// Context: any, also with interrupts disabled. Locks: `irq_srcu` for reading. Lifetime: `index` is
/// read during the call only.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid.
pub(super) unsafe extern "C" fn verify_ack(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    pin: u32,
    gsi: c_int,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: The caller is in the section during the call, in which `srcu` is dropped.
    let srcu = unsafe { IrqSrcu::held(vm.host()) };
    // SAFETY: The caller has found the table in the section.
    let index = unsafe { srcu.index(index) };

    vm.verify_ack(index, pin, u32::try_from(gsi).ok());
}
