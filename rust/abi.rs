// SPDX-License-Identifier: GPL-2.0

//! The exported functions: guard, convert, call, errno.
//!
//! KVM finds them by name, see `exports.c`, and promises for all of them what
//! `<linux/kvm_irqroute.h>` says: pointers are valid for the call, those to constant data are not
//! written meanwhile, a `vm` comes from [`kvm_irqroute_bind`] and an `index` from
//! [`kvm_irqroute_index_build`], and neither is used after it has been given back.

use crate::{
    kvm::{
        host::Host,
        index::Index,
        locks::{
            IrqLock,
            IrqSrcu, //
        },
        params::{
            self,
            Mode, //
        },
        raw::*,
        stats::{
            self,
            Stats, //
        },
        vm::Vm, //
    },
    routing::{
        scan::Scan,
        sint::SintError, //
    },
};
use core::slice;
use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::ForeignOwnable, //
};

/// Fails the build if an exported function does not have the type that the header gives it: both
/// branches of an `if` have the same type. Functions that C declares are `unsafe`, so that each of
/// ours has to be, as with the kernel's `#[export]`.
macro_rules! check_signatures {
    ($($name:ident),* $(,)?) => {
        $(const _: () = {
            if true { crate::kvm::raw::$name } else { crate::abi::$name };
        };)*
    };
}

check_signatures!(
    irqroute_total,
    kvm_irqroute_bind,
    kvm_irqroute_release,
    kvm_irqroute_index_build,
    kvm_irqroute_index_free,
    kvm_irqroute_prepare,
    kvm_irqroute_update,
    kvm_irqroute_settled,
    kvm_irqroute_reading_changed,
    kvm_irqroute_scan,
    kvm_irqroute_verify_scan,
    kvm_irqroute_sint_setup,
    kvm_irqroute_sint_decide,
    kvm_irqroute_sint_deliver,
    kvm_irqroute_verify_sint,
    kvm_irqroute_sint_acked,
);

/// Borrows the VM of a hook call.
///
/// # Safety
///
/// `vm` must come from [`kvm_irqroute_bind`] and stay bound for `'a`.
unsafe fn borrow_vm<'a>(vm: *mut kvm_irqroute_vm) -> &'a Vm {
    // SAFETY: `vm` is what `into_foreign()` returned and is valid for `'a` by the safety
    // requirements. It is only ever borrowed shared: what changes in it is atomic, or has a lock.
    unsafe { &*vm.cast::<Vm>() }
}

/// Borrows the index of a hook call, nothing if it is null.
///
/// # Safety
///
/// Unless null, `index` must come from [`kvm_irqroute_index_build`] and not be freed during `'a`.
unsafe fn borrow_index<'a>(index: *const kvm_irqroute_index) -> Option<&'a Index> {
    // SAFETY: The pointer is null or what `Arc::into_raw()` returned, and valid for `'a` by the
    // safety requirements. An index is never written once it is made, so that there is no mutable
    // alias.
    unsafe { index.cast::<Index>().as_ref() }
}

/// As [`borrow_index`], for a hook that may keep the index.
///
/// # Safety
///
/// As for [`borrow_index`].
unsafe fn borrow_shared_index<'a>(
    index: *const kvm_irqroute_index,
) -> Option<ArcBorrow<'a, Index>> {
    // SAFETY: As for `borrow_index()`; whoever keeps the index takes a reference.
    (!index.is_null()).then(|| unsafe { ArcBorrow::from_raw(index.cast::<Index>()) })
}

/// Offers a new VM to the module, which takes it or, with parameter `mode` being `c`, does not.
///
/// Context: process, may sleep. Locks: none. Lifetime: `kvm` and `ops` stay valid until
/// [`kvm_irqroute_release`]; on success `*vm` is the handle for the other hooks.
///
/// Returns the mode of the VM (`enum kvm_irqroute_mode`, 0 if the module does not take it),
/// `-ENOMEM`, `-EINVAL` if a pointer is null, or `-ENODEV` if the module is not set up.
///
/// # Safety
///
/// As above, and `vm` must be valid for writes.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_bind(
    kvm: *mut kvm,
    ops: *const kvm_irqroute_ops,
    vm: *mut *mut kvm_irqroute_vm,
) -> c_int {
    let mode = Mode::current();
    if mode == Mode::C {
        return mode.as_raw();
    }

    // SAFETY: The caller keeps `kvm` and `ops` valid until it calls `kvm_irqroute_release()`,
    // which drops the `Host`. `Host` only shares them, and KVM's functions lock for themselves.
    let Some(host) = (unsafe { Host::new(kvm, ops) }) else {
        return EINVAL.to_errno();
    };

    let parity = mode.parity(params::parity());
    let bound = Stats::listed(mode, parity)
        .and_then(|stats| KBox::pin_init(Vm::new(host, mode, parity, stats), GFP_KERNEL_ACCOUNT));

    match bound {
        Ok(bound) => {
            let handle = bound.into_foreign().cast();

            // SAFETY: `vm` is valid for writes. It is part of a VM that only the caller knows so
            // far.
            unsafe { vm.write(handle) };
            mode.as_raw()
        }
        Err(error) => error.to_errno(),
    }
}

/// Takes a VM back.
///
/// Context: process, may sleep. Locks: none. Lifetime: `vm` is gone afterwards; all of its indexes
/// must be freed before.
///
/// # Safety
///
/// `vm` must come from [`kvm_irqroute_bind`], and no other hook may run for it.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_release(vm: *mut kvm_irqroute_vm) {
    // SAFETY: `vm` is what `into_foreign()` returned, and the caller gives it back once, when no
    // hook runs that borrows it.
    drop(unsafe { <Pin<KBox<Vm>>>::from_foreign(vm.cast()) });
}

/// Makes the index of a routing table that is valid and not published yet.
///
/// Context: process, may sleep. Locks: one that keeps other updates of the VM away. Lifetime:
/// `routes` and `old`, the index of the current table, are read during the call only; on success
/// `*index`, which may be `old` once more, is to be freed by [`kvm_irqroute_index_free`], or null if
/// there is nothing to keep.
///
/// Returns 0 or `-ENOMEM`, in which case nothing has changed.
///
/// # Safety
///
/// `vm` must be bound, `view` valid for reads, `old` null or valid, `index` valid for writes, and
/// `routes` for reads of `nr` entries, whatever it is if `nr` is 0.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_index_build(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
    old: *mut kvm_irqroute_index,
    routes: *const kvm_irq_routing_entry,
    nr: u32,
    index: *mut *mut kvm_irqroute_index,
) -> c_int {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };
    // SAFETY: As no other update runs, the current table, and with it the index, is not replaced.
    let old = unsafe { borrow_shared_index(old) };
    let routes = if nr == 0 {
        &[]
    } else {
        // SAFETY: `routes` is valid for `nr` entries during the call. It is a constant of KVM or
        // its private copy of what userspace gave, so that no one writes it.
        unsafe { slice::from_raw_parts(routes, nr as usize) }
    };

    match vm.build_index(view, old, routes) {
        Ok(built) => {
            let raw = built.map_or(core::ptr::null(), Arc::into_raw).cast_mut();

            // SAFETY: `index` is valid for writes. It is part of a table that only the caller knows
            // so far.
            unsafe { index.write(raw.cast()) };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// Frees an index, after the grace period of its table.
///
/// Context: process, may sleep. Locks: none. Lifetime: `index` is gone afterwards.
///
/// # Safety
///
/// `index` must come from [`kvm_irqroute_index_build`], not be null, and not be in use.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_index_free(index: *mut kvm_irqroute_index) {
    // SAFETY: `index` is what `Arc::into_raw()` returned, and the caller gives it back once, after
    // the readers of its table have left `irq_srcu`. Whoever else uses it has a reference.
    drop(unsafe { Arc::from_raw(index.cast::<Index>()) });
}

/// Gets ready for a routing table that is about to be published.
///
/// Context: process, may sleep. Locks: one that keeps other updates of the VM away. Lifetime:
/// `view`, `old`, the index of the current table, and `new` are read during the call only. What of
/// them is needed until [`kvm_irqroute_settled`] is shared, so that KVM may free its reference.
///
/// # Safety
///
/// `vm` must be bound, `view` valid for reads, and each index null or valid.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_prepare(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
    old: *const kvm_irqroute_index,
    new: *const kvm_irqroute_index,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };
    // SAFETY: As no other update runs, the current table, and with it the index, is not replaced.
    let old = unsafe { borrow_shared_index(old) };
    // SAFETY: Only the caller knows the new table.
    let new = unsafe { borrow_shared_index(new) };

    vm.prepare(view, old, new);
}

/// Acts on a routing table that was just published: in mode `rust` sets what the SINTs report to
/// and requests the scans, in mode `verify` only counts.
///
/// Context: process, may sleep. Locks: `irq_lock`. Lifetime: `view` and `index` are read during
/// the call only.
///
/// # Safety
///
/// `vm` must be bound and its `irq_lock` held, `view` valid for reads, `index` null or valid.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_update(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
    index: *const kvm_irqroute_index,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };
    // SAFETY: `irq_lock` keeps the table, and with it the index, from being replaced and freed.
    let index = unsafe { borrow_index(index) };

    // SAFETY: By the safety requirements.
    let lock = unsafe { IrqLock::held() };

    vm.update(&lock, view, index);
}

/// Leaves the table before the current one behind, after its grace period: no interrupt is in
/// flight by it any more.
///
/// Context: process, may sleep. Locks: as for [`kvm_irqroute_prepare`], since then. Lifetime:
/// `view` is read during the call only.
///
/// # Safety
///
/// `vm` must be bound, `view` valid for reads.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_settled(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };

    vm.settled(view);
}

/// Acts on a change of how the routes of a VM decode (KVM_CAP_X2APIC_API). Not called in mode
/// `verify`.
///
/// Context: process, may sleep. Locks: none. Lifetime: `view` is read during the call only.
///
/// # Safety
///
/// `vm` must be bound, `view` valid for reads.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_reading_changed(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };

    vm.reading_changed(view);
}

/// Scans the routes for a vCPU: which EOIs it has to report to userspace.
///
/// Context: process, may sleep; called by the vCPU's own thread. Locks: `irq_srcu` for reading.
/// Lifetime: pointers are used during the call only.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid, `vcpu` valid for reads and
/// `result` for writes.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_scan(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    vcpu: *const kvm_irqroute_vcpu_view,
    result: *mut kvm_irqroute_scan_result,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `irq_srcu` keeps the table, and with it the index, from being freed.
    let index = unsafe { borrow_index(index) };
    // SAFETY: `vcpu` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let vcpu = unsafe { &*vcpu };
    let scan = vm.scan(index, vcpu);

    // SAFETY: `result` is valid for writes. It is on the stack of the caller, and no one else knows
    // it.
    unsafe { result.write(scan.into()) };
}

/// Checks KVM's own scan for a vCPU, counts a difference and logs it within a rate limit.
///
/// Context: process, may sleep; called by the vCPU's own thread. Locks: `irq_srcu` for reading,
/// since before the scan. Lifetime: pointers are used during the call only.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid, the other pointers valid for
/// reads.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_verify_scan(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    before: *const kvm_irqroute_vcpu_view,
    after: *const kvm_irqroute_vcpu_view,
    result: *const kvm_irqroute_scan_result,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `irq_srcu` keeps the table, and with it the index, from being freed.
    let index = unsafe { borrow_index(index) };
    // SAFETY: All three are valid for the call. They are on the stack of the caller, who waits, so
    // that no one writes them.
    let (before, after, result) = unsafe { (&*before, &*after, &*result) };

    vm.verify_scan(index, before, after, &Scan::from(result));
}

/// Takes note of a SINT route for a table that is being set up.
///
/// Context: process, may sleep. Locks: none. Lifetime: no pointers but `vm`.
///
/// Returns 0: KVM accepts any VP index and SINT number, only delivery fails.
///
/// # Safety
///
/// `vm` must be bound.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_sint_setup(
    vm: *mut kvm_irqroute_vm,
    _vp_index: u32,
    _sint: u32,
) -> c_int {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };

    vm.setup_sint();
    0
}

/// Returns what KVM's own code returns for each reason not to deliver.
fn errno_of(error: SintError) -> c_int {
    match error {
        // The -1 of "ignored".
        SintError::Lowered => EPERM,
        SintError::NoSynic => EINVAL,
        SintError::Masked => ENOENT,
    }
    .to_errno()
}

/// Reads the result of a delivery.
fn outcome_of(result: c_int, raised: bool) -> Result<(), SintError> {
    match to_result(result) {
        // Of a line that goes up it says that no CPU accepts the interrupt.
        Err(EPERM) if !raised => Err(SintError::Lowered),
        Err(EINVAL) => Err(SintError::NoSynic),
        Err(ENOENT) => Err(SintError::Masked),
        _ => Ok(()),
    }
}

/// Tells what [`kvm_irqroute_sint_deliver`] would do, without doing it.
///
/// Context: any, also with interrupts disabled. Locks: none that this function relies on.
/// Lifetime: no pointers but `vm`.
///
/// Returns 0 if it would deliver, else the error that it would return.
///
/// # Safety
///
/// `vm` must be bound.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_sint_decide(
    vm: *mut kvm_irqroute_vm,
    vp_index: u32,
    sint: u32,
    level: c_int,
) -> c_int {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };

    match vm.decide(vp_index, sint, level != 0) {
        Ok(()) => 0,
        Err(error) => errno_of(error),
    }
}

/// Raises or lowers a line that is routed to a SINT.
///
/// Context: any, also with interrupts disabled (irqfd). Locks: none that this function relies on.
/// Lifetime: no pointers but `vm`.
///
/// Returns how many CPUs accepted the interrupt, 0 if it was pending already, -1 if `level` is 0
/// or no CPU accepts, `-EINVAL` if there is no active SynIC or no such SINT, `-ENOENT` if the SINT
/// is masked.
///
/// # Safety
///
/// `vm` must be bound.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_sint_deliver(
    vm: *mut kvm_irqroute_vm,
    vp_index: u32,
    sint: u32,
    level: c_int,
) -> c_int {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };

    match vm.deliver_sint(vp_index, sint, level != 0) {
        Ok(result) => result,
        Err(error) => errno_of(error),
    }
}

/// Checks what KVM's own code did with a line that is routed to a SINT, counts a difference and
/// logs it within a rate limit.
///
/// Context: any, also with interrupts disabled. Locks: none that this function relies on.
/// Lifetime: no pointers but `vm`. `decision` is what [`kvm_irqroute_sint_decide`] returned before
/// KVM acted, `result` what KVM's code returned.
///
/// # Safety
///
/// `vm` must be bound.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_verify_sint(
    vm: *mut kvm_irqroute_vm,
    vp_index: u32,
    sint: u32,
    level: c_int,
    decision: c_int,
    result: c_int,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    let raised = level != 0;
    let before = outcome_of(decision, raised);
    let c = outcome_of(result, raised);

    vm.verify_sint(vp_index, sint, raised, before, c);
}

/// Reports the EOI or EOM of SINT `sint` of the virtual processor `vp_index` to the GSIs that are
/// routed to it. In mode `verify` only counts.
///
/// Context: process. Locks: `irq_srcu` for reading and the vCPU's mutex. Lifetime: `index` is read
/// during the call only. `gsi` is what the helper or KVM itself set for the SINT, or -1.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid.
#[no_mangle]
pub(crate) unsafe extern "C" fn kvm_irqroute_sint_acked(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    vp_index: u32,
    sint: u32,
    gsi: c_int,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `irq_srcu` keeps the table, and with it the index, from being freed.
    let index = unsafe { borrow_index(index) };
    // SAFETY: By the safety requirements.
    let srcu = unsafe { IrqSrcu::held() };

    vm.ack_sint(&srcu, index, vp_index, sint, u32::try_from(gsi).ok());
}

/// Returns the value of a file about all VMs, for `debugfs.c`.
///
/// Context: process, may sleep. Locks: none.
///
/// # Safety
///
/// Always safe to call: `unsafe` is what `check_signatures!` asks for.
#[no_mangle]
pub(crate) unsafe extern "C" fn irqroute_total(which: u32) -> u64 {
    stats::total(which)
}

#[cfg(CONFIG_KUNIT = "y")]
#[kunit_tests(kvm_irqroute_abi)]
mod tests {
    use super::*;
    use crate::{
        kvm::{
            counters::Event,
            fake, //
        },
        routing::Parity, //
    };
    use core::ptr;
    use kernel::sync::atomic::Relaxed;

    const LEVEL: u32 = 1 << 15;

    /// Binds the fake VM in mode `rust`, runs `test` and releases the VM.
    fn with_vm(test: impl FnOnce(*mut kvm_irqroute_vm) -> Result) -> Result {
        fake::reset(0x60);

        // SAFETY: The fake KVM's functions do not follow the pointer to the VM. Its ops are
        // constant and static.
        let host = unsafe { Host::new(fake::kvm(), &fake::OPS) }.ok_or(EINVAL)?;
        let vm = Vm::new(host, Mode::Rust, Parity::Off, Stats::unlisted()?);
        let vm = KBox::pin_init(vm, GFP_KERNEL)?.into_foreign().cast();
        let result = test(vm);

        // SAFETY: `vm` was bound above and is not used again, nor by anyone else.
        unsafe { kvm_irqroute_release(vm) };
        result
    }

    #[test]
    fn bind_without_a_vm() {
        let mut vm = ptr::null_mut();

        // SAFETY: Null is refused before anything is followed; `vm` is a local.
        let result = unsafe { kvm_irqroute_bind(ptr::null_mut(), ptr::null(), &mut vm) };
        assert!(result == EINVAL.to_errno() || Mode::current() == Mode::C);
        assert!(vm.is_null());
    }

    #[test]
    fn index_of_no_routes() -> Result {
        with_vm(|vm| {
            let view = fake::split_vm();
            let mut index = ptr::dangling_mut();

            // SAFETY: The VM is bound, `view` and `index` are locals, and there are no routes to
            // be read.
            let result = unsafe {
                kvm_irqroute_index_build(vm, &view, ptr::null_mut(), ptr::null(), 0, &mut index)
            };
            assert_eq!(result, 0);
            assert!(index.is_null());
            Ok(())
        })
    }

    #[test]
    fn scan_of_a_table() -> Result {
        with_vm(|vm| {
            let view = fake::split_vm();
            let routes = [
                // To APIC ID 0, to APIC ID 1, and again to APIC ID 1.
                fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41),
                fake::msi_route(1, 0xfee0_1000, LEVEL | 0x42),
                fake::msi_route(2, 0xfee0_1000, LEVEL | 0x43),
            ];
            let vcpu = fake::xapic(0, Some(0x42));
            let mut index = ptr::null_mut();
            let mut result = kvm_irqroute_scan_result::default();

            // SAFETY: All pointers are to locals that no one else uses, the index is used between
            // build and free only, and the VM is bound.
            let status = unsafe {
                let status = kvm_irqroute_index_build(
                    vm,
                    &view,
                    ptr::null_mut(),
                    routes.as_ptr(),
                    3,
                    &mut index,
                );

                kvm_irqroute_scan(vm, index, &vcpu, &mut result);
                kvm_irqroute_index_free(index);
                status
            };
            assert_eq!(status, 0);
            assert_eq!(result.handled, [0, 1 << 1 | 1 << 2, 0, 0]);
            assert_eq!(result.highest_stale, 0x42);

            // SAFETY: As above; a null index is a table without routes.
            unsafe { kvm_irqroute_scan(vm, ptr::null(), &vcpu, &mut result) };
            assert_eq!(result.handled, [0; 4]);
            assert_eq!(result.highest_stale, -1);

            // The EOI is owed all the same if it was to be reported, or if the interrupt was
            // level-triggered.
            let mut reported = fake::xapic(0, Some(0x42));
            reported.reported = [0, 1 << 1 | 1 << 2, 0, 0];
            let mut level_triggered = fake::xapic(0, Some(0x42));
            level_triggered.level_triggered = [0, 0, 1 << 2, 0, 0, 0, 0, 0];
            for vcpu in [reported, level_triggered] {
                // SAFETY: As above.
                unsafe { kvm_irqroute_scan(vm, ptr::null(), &vcpu, &mut result) };
                assert_eq!(result.handled, [0, 1 << 2, 0, 0]);
                assert_eq!(result.highest_stale, 0x42);
            }
            Ok(())
        })
    }

    #[test]
    fn errno_of_a_delivery() -> Result {
        with_vm(|vm| {
            let deliver = |vp, sint, level| {
                // SAFETY: The VM is bound.
                unsafe { kvm_irqroute_sint_deliver(vm, vp, sint, level) }
            };

            assert_eq!(deliver(0, 2, 1), 1);
            assert_eq!(deliver(0, 2, 0), -1);
            assert_eq!(deliver(0, 15, 1), 1);
            assert_eq!(deliver(0, 16, 1), EINVAL.to_errno());
            assert_eq!(deliver(1, 2, 1), EINVAL.to_errno());
            assert_eq!(deliver(u32::MAX, u32::MAX, 1), EINVAL.to_errno());
            fake::STATE.sint.store(1 << 16, Relaxed);
            assert_eq!(deliver(0, 2, 1), ENOENT.to_errno());
            Ok(())
        })
    }

    #[test]
    fn errno_of_a_decision() -> Result {
        with_vm(|vm| {
            // SAFETY: The VM is bound.
            let decide = |sint, level| unsafe { kvm_irqroute_sint_decide(vm, 0, sint, level) };

            assert_eq!(decide(2, 1), 0);
            assert_eq!(decide(2, 0), -1);
            assert_eq!(decide(16, 1), EINVAL.to_errno());
            fake::STATE.sint.store(1 << 16, Relaxed);
            assert_eq!(decide(2, 1), ENOENT.to_errno());
            assert_eq!(fake::STATE.delivered.load(Relaxed), -1);
            Ok(())
        })
    }

    #[test]
    fn outcome_of_a_delivery() {
        assert_eq!(outcome_of(1, true), Ok(()));
        assert_eq!(outcome_of(0, true), Ok(()));
        // No CPU accepts, as opposed to a line that goes down.
        assert_eq!(outcome_of(-1, true), Ok(()));
        assert_eq!(outcome_of(-1, false), Err(SintError::Lowered));
        assert_eq!(outcome_of(EINVAL.to_errno(), true), Err(SintError::NoSynic));
        assert_eq!(outcome_of(ENOENT.to_errno(), true), Err(SintError::Masked));
    }

    #[test]
    fn end_of_a_sint() -> Result {
        with_vm(|vm| {
            let view = fake::split_vm();
            let routes = [fake::sint_route(40, 0, 2)];
            let mut index = ptr::null_mut();

            // SAFETY: All pointers are to locals that no one else uses, the index is used between
            // build and free only, the VM is bound, and the fake KVM has no list for `irq_srcu` to
            // protect.
            let status = unsafe {
                let status = kvm_irqroute_index_build(
                    vm,
                    &view,
                    ptr::null_mut(),
                    routes.as_ptr(),
                    1,
                    &mut index,
                );

                kvm_irqroute_sint_acked(vm, index, 0, 2, -1);
                kvm_irqroute_sint_acked(vm, index, 0, 3, -1);
                kvm_irqroute_sint_acked(vm, index, 1, 2, -1);
                kvm_irqroute_index_free(index);
                status
            };
            assert_eq!(status, 0);
            assert_eq!(fake::STATE.acked.load(Relaxed), 40);

            // SAFETY: As above.
            assert_eq!(unsafe { borrow_vm(vm) }.counters().get(Event::SintAck), 1);
            Ok(())
        })
    }
}
