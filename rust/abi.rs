// SPDX-License-Identifier: GPL-2.0

//! The exported hooks: guard, convert, call, errno.
//!
//! KVM finds [`kvm_irqroute_hooks`] by name, see `exports.c`, and promises for all hooks what
//! `<linux/kvm_irqroute.h>` says: pointers are valid for the call, those to constant data are not
//! written meanwhile, a `vm` comes from [`bind`] and an `index` from [`begin_update`], and neither
//! is used after it has been given back.

use crate::{
    kvm::{
        handled::HandledVectors,
        host::{
            Host,
            ThisVcpu, //
        },
        index::Index,
        params::{
            self,
            Mode, //
        },
        raw::*,
        srcu::IrqSrcu,
        stats::{
            self,
            Stats, //
        },
        vm::Vm, //
    },
    routing::{
        scan::Scan,
        sint::SintError,
        vector::VectorSet, //
    },
};
use core::{
    ptr,
    slice, //
};
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

/// The hooks, which KVM finds by this name. Each has the type that the header gives it, or the
/// module does not compile.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub(crate) static kvm_irqroute_hooks: kvm_irqroute_hooks = kvm_irqroute_hooks {
    abi: KVM_IRQROUTE_ABI,
    sizes: SIZES as u32,
    bind: Some(bind),
    release: Some(release),
    begin_update: Some(begin_update),
    end_update: Some(end_update),
    scan: Some(scan),
    deliver_sint: Some(deliver_sint),
    ack_sint: Some(ack_sint),
    verify_scan: Some(verify_scan),
    decide_sint: Some(decide_sint),
    verify_sint: Some(verify_sint),
};

/// What KVM compares, so that a helper with other structures than its own stays unused.
const SIZES: usize = size_of::<kvm_irqroute_hooks>()
    + size_of::<kvm_irqroute_ops>()
    + size_of::<kvm_irqroute_vcpu_view>()
    + size_of::<kvm_irqroute_synic>()
    + size_of::<kvm_irq_routing_entry>();

// Several threads use them at the same time, through raw pointers, which do not ask for it.
const _: () = {
    const fn shared<T: Send + Sync>() {}

    shared::<Vm>();
    shared::<Index>();
};

// `debugfs.c` calls it by the type that `helpers.h` declares: both branches have the same.
const _: () = {
    if true {
        crate::kvm::raw::irqroute_total
    } else {
        crate::abi::irqroute_total
    };
};

/// Borrows the VM of a hook call.
///
/// # Safety
///
/// `vm` must come from [`bind`] and stay bound for `'a`.
unsafe fn borrow_vm<'a>(vm: *mut kvm_irqroute_vm) -> &'a Vm {
    // SAFETY: `vm` is what `into_foreign()` returned, and is not given back during `'a` by the
    // safety requirements. It is only ever borrowed shared until then: what changes in it is
    // atomic, or has a lock.
    unsafe { <Pin<KBox<Vm>>>::borrow(vm.cast()) }.get_ref()
}

/// Borrows an index as a reference that can be cloned, nothing if it is null.
///
/// # Safety
///
/// Unless null, `index` must come from [`begin_update`] and not be given back during `'a`.
unsafe fn borrow_index<'a>(index: *mut kvm_irqroute_index) -> Option<ArcBorrow<'a, Index>> {
    // SAFETY: `index` is what `Arc::into_raw()` returned, and its reference is not given back
    // during `'a` by the safety requirements. An index is never written, so that there is no
    // mutable alias.
    (!index.is_null()).then(|| unsafe { ArcBorrow::from_raw(index.cast::<Index>()) })
}

/// Takes back an index, unless it is null.
///
/// # Safety
///
/// `index` must be null, or come from [`begin_update`] and not be used by the caller again. No
/// reader of its table may be left.
unsafe fn give_back(index: *mut kvm_irqroute_index) {
    if !index.is_null() {
        // SAFETY: `index` is what `Arc::into_raw()` returned, and by the safety requirements this
        // is the one time that its reference is given back, with no borrow left.
        drop(unsafe { Arc::from_raw(index.cast::<Index>()) });
    }
}

/// Offers a new VM to the module, which takes it or, with parameter `mode` being `c`, does not.
///
/// Context: process, may sleep. Locks: none. Lifetime: `kvm` and `ops` stay valid until
/// [`release`]; on success `*vm` is the handle for the other hooks.
///
/// Returns the mode of the VM (`enum kvm_irqroute_mode`, 0 if the module does not take it),
/// `-ENOMEM`, `-EINVAL` if a pointer is null, or `-ENODEV` if the module is not set up.
///
/// # Safety
///
/// As above, and `vm` must be valid for writes.
unsafe extern "C" fn bind(
    kvm: *mut kvm,
    ops: *const kvm_irqroute_ops,
    vm: *mut *mut kvm_irqroute_vm,
) -> c_int {
    let mode = Mode::current();
    let parity = mode.parity(params::parity());
    if mode == Mode::C {
        return mode.as_raw(parity);
    }

    // SAFETY: The caller keeps `kvm` and `ops` valid until it calls `release()`, which drops the
    // `Host`. `Host` only shares them.
    let Some(host) = (unsafe { Host::new(kvm, ops) }) else {
        return EINVAL.to_errno();
    };

    let bound = Stats::listed(mode, parity)
        .and_then(|stats| KBox::pin_init(Vm::new(host, mode, parity, stats), GFP_KERNEL_ACCOUNT));

    match bound {
        Ok(bound) => {
            let handle = bound.into_foreign().cast();

            // SAFETY: `vm` is valid for writes. It is part of a VM that only the caller knows so
            // far.
            unsafe { vm.write(handle) };
            mode.as_raw(parity)
        }
        Err(error) => error.to_errno(),
    }
}

/// Takes a VM back, and the index of its last table.
///
/// Context: process, may sleep. Locks: none. Lifetime: `vm` and `index` are gone afterwards; the
/// indexes of all other tables have been given back before.
///
/// # Safety
///
/// `vm` must come from [`bind`], no other hook may run for it, and `index` must be null or come from
/// [`begin_update`].
unsafe extern "C" fn release(vm: *mut kvm_irqroute_vm, index: *mut kvm_irqroute_index) {
    // SAFETY: The VM goes away, and with it all readers of its table have.
    unsafe { give_back(index) };
    // SAFETY: `vm` is what `into_foreign()` returned, and the caller gives it back once, when no
    // hook borrows it any more.
    drop(unsafe { <Pin<KBox<Vm>>>::from_foreign(vm.cast()) });
}

/// Makes the index of a routing table that is valid and about to be published, and lets scans cover
/// both that and the current one.
///
/// Context: process, may sleep. Locks: `update_lock` of the VM, held until [`end_update`] has
/// returned. Lifetime: `view`, `routes` and `old`, the index of the current table, are read during
/// the call only. On success `*index`, which may be null if there is nothing to keep or `old` once
/// more, is to be given back once no reader of its table is left.
///
/// Returns 0 or `-ENOMEM`, in which case nothing has changed.
///
/// # Safety
///
/// `vm` must be bound, `view` valid for reads, `old` null or valid, `index` valid for writes, and
/// `routes` for reads of `nr` entries, whatever it is if `nr` is 0.
unsafe extern "C" fn begin_update(
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
    // SAFETY: `update_lock` keeps the current table, and with it the index, from being replaced.
    let old = unsafe { borrow_index(old) };
    let routes = if nr == 0 {
        &[]
    } else {
        // SAFETY: `routes` is valid for `nr` entries during the call. It is a constant of KVM or
        // its private copy of what userspace gave, so that no one writes it.
        unsafe { slice::from_raw_parts(routes, nr as usize) }
    };

    match vm.begin_update(view, old, routes) {
        Ok(new) => {
            let raw = new.map_or(ptr::null(), Arc::into_raw).cast_mut();

            // SAFETY: `index` is valid for writes. It is part of a table that only the caller knows
            // so far.
            unsafe { index.write(raw.cast()) };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// Lets scans cover the current table alone, and takes back the index of the one before: no
/// interrupt is in flight by it any more.
///
/// Context: process, may sleep. Locks: `update_lock`, since [`begin_update`]. Lifetime: `old` is
/// gone afterwards.
///
/// # Safety
///
/// `vm` must be bound, and `old` be null or the index of the table before the current one, whose
/// grace period is over.
unsafe extern "C" fn end_update(vm: *mut kvm_irqroute_vm, old: *mut kvm_irqroute_index) {
    // SAFETY: `vm` is bound during the call.
    unsafe { borrow_vm(vm) }.end_update();
    // SAFETY: KVM frees the table next. Its readers have left it, since it was replaced before a
    // grace period of `irq_srcu`.
    unsafe { give_back(old) };
}

/// What KVM has for the highest vector of an empty set.
const NO_VECTOR: c_int = -1;

/// Scans the routes for a vCPU: which EOIs it has to report to userspace. Replaces those that it had
/// to report so far, in `handled`.
///
/// Context: process, may sleep; called by the vCPU's own thread. Locks: `irq_srcu` for reading.
/// Lifetime: pointers are used during the call only.
///
/// Returns the highest vector of `handled` that is there because of an older route only, or -1.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid, `vcpu` one of its vCPUs, with
/// its mutex held, and `handled` valid for reads and writes of four words.
unsafe extern "C" fn scan(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    vcpu: *mut kvm_vcpu,
    handled: *mut u64,
) -> c_int {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: The caller is in the section during the call, in which `srcu` is dropped.
    let srcu = unsafe { IrqSrcu::held(vm.host()) };
    // SAFETY: The caller has found the table in the section.
    let index = unsafe { srcu.index(index) };
    // SAFETY: The caller is the thread that runs the vCPU, and holds its mutex.
    let Some(vcpu) = (unsafe { ThisVcpu::new(vcpu) }) else {
        return NO_VECTOR;
    };
    // SAFETY: `handled` is four aligned words of the vCPU, which lives as long as the VM. Updates of the
    // table write to them, atomically. All else is done by the caller, who runs the vCPU and holds its
    // mutex.
    let handled = unsafe { HandledVectors::new(handled) };

    let scan = handled.replace(|reported| vm.scan(index, &vcpu, reported));
    scan.highest_stale.map_or(NO_VECTOR, c_int::from)
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
unsafe extern "C" fn deliver_sint(
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

/// Reports the EOI or EOM of SINT `sint` of the virtual processor `vp_index` to the GSIs that are
/// routed to it.
///
/// Context: process; called by the vCPU's own thread. Locks: `irq_srcu` for reading. Lifetime:
/// `index` is read during the call only.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid.
unsafe extern "C" fn ack_sint(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    vp_index: u32,
    sint: u32,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: The caller is in the section during the call, in which `srcu` is dropped.
    let srcu = unsafe { IrqSrcu::held(vm.host()) };
    // SAFETY: The caller has found the table in the section.
    let index = unsafe { srcu.index(index) };

    vm.ack_sint(&srcu, index, vp_index, sint);
}

/// What KVM_IRQ_LINE_STATUS and KVM's own code make of a reason not to deliver.
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

/// Checks KVM's own scan for a vCPU, counts a difference and logs it within a rate limit.
///
/// Context: process, may sleep; called by the vCPU's own thread. Locks: `irq_srcu` for reading,
/// since before the scan. Lifetime: pointers are used during the call only.
///
/// # Safety
///
/// `vm` must be bound and its `irq_srcu` held, `index` null or valid, the other pointers valid for
/// reads, `handled` of four words.
unsafe extern "C" fn verify_scan(
    vm: *mut kvm_irqroute_vm,
    index: *const kvm_irqroute_index,
    before: *const kvm_irqroute_vcpu_view,
    after: *const kvm_irqroute_vcpu_view,
    handled: *const u64,
    highest_stale: c_int,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: The caller is in the section during the call, in which `srcu` is dropped.
    let srcu = unsafe { IrqSrcu::held(vm.host()) };
    // SAFETY: The caller has found the table in the section.
    let index = unsafe { srcu.index(index) };
    // SAFETY: Both views are valid for the call. They are on the stack of the caller, who waits, so
    // that no one writes them. `handled` belongs to the vCPU, whose mutex the caller holds, and four
    // words of it have the layout of the array.
    let (before, after, handled) = unsafe { (&*before, &*after, &*handled.cast::<[u64; 4]>()) };

    let c = Scan {
        handled: VectorSet::from_words(*handled),
        highest_stale: u8::try_from(highest_stale).ok(),
    };
    vm.verify_scan(index, before, after, &c);
}

/// Tells what [`deliver_sint`] would do, without doing it.
///
/// Context: any, also with interrupts disabled. Locks: none that this function relies on.
/// Lifetime: no pointers but `vm`.
///
/// Returns 0 if it would deliver, else the error that it would return.
///
/// # Safety
///
/// `vm` must be bound.
unsafe extern "C" fn decide_sint(
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

/// Checks what KVM's own code did with a line that is routed to a SINT, counts a difference and
/// logs it within a rate limit.
///
/// Context: any, also with interrupts disabled. Locks: none that this function relies on.
/// Lifetime: no pointers but `vm`. `decision` is what [`decide_sint`] returned before KVM acted,
/// `result` what KVM's code returned.
///
/// # Safety
///
/// `vm` must be bound.
unsafe extern "C" fn verify_sint(
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

/// Returns the value of a file about all VMs, for `debugfs.c`.
///
/// Context: process, may sleep. Locks: none.
///
/// # Safety
///
/// Always safe to call: `unsafe` is what the declaration in C makes of it.
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
    use kernel::sync::atomic::Relaxed;

    const LEVEL: u32 = 1 << 15;

    /// Binds the fake VM in mode `rust`, runs `test`, and releases the VM with the index of its last
    /// table, which `test` returns.
    fn with_vm(
        test: impl FnOnce(*mut kvm_irqroute_vm) -> Result<*mut kvm_irqroute_index>,
    ) -> Result {
        fake::reset(0x60);

        // SAFETY: The fake KVM's functions do not follow the pointer to the VM; its ops are
        // constant and static.
        let host = unsafe { Host::new(fake::kvm(), &fake::OPS) }.ok_or(EINVAL)?;
        let vm = Vm::new(host, Mode::Rust, Parity::Off, Stats::unlisted()?);
        let vm = KBox::pin_init(vm, GFP_KERNEL)?.into_foreign().cast();
        let result = test(vm);
        let index = *result.as_ref().unwrap_or(&ptr::null_mut());

        // SAFETY: `vm` was bound above, `index` is that of its last table, and neither is used
        // again, nor by anyone else.
        unsafe { release(vm, index) };
        result.map(|_| ())
    }

    #[test]
    fn bind_without_a_vm() {
        let mut vm = ptr::null_mut();

        // SAFETY: Null is refused before anything is followed; `vm` is a local.
        let result = unsafe { bind(ptr::null_mut(), ptr::null(), &mut vm) };
        assert!(result == EINVAL.to_errno() || Mode::current() == Mode::C);
        assert!(vm.is_null());
    }

    /// Sets a first table of `routes` and returns its index.
    fn set(
        vm: *mut kvm_irqroute_vm,
        routes: &[kvm_irq_routing_entry],
    ) -> Result<*mut kvm_irqroute_index> {
        let (view, nr) = (fake::split_vm(), routes.len() as u32);
        let mut index = ptr::dangling_mut();

        // SAFETY: The VM is bound, `view` and `index` are locals, and there was no table before.
        let result = unsafe {
            let old = ptr::null_mut();
            let result = begin_update(vm, &view, old, routes.as_ptr(), nr, &mut index);

            end_update(vm, old);
            result
        };
        to_result(result)?;
        Ok(index)
    }

    #[test]
    fn index_of_no_routes() -> Result {
        with_vm(|vm| {
            assert!(set(vm, &[])?.is_null());
            Ok(ptr::null_mut())
        })
    }

    #[test]
    fn scan_of_a_table() -> Result {
        with_vm(|vm| {
            let index = set(
                vm,
                &[
                    // To APIC ID 0, to APIC ID 1, and again to APIC ID 1.
                    fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41),
                    fake::msi_route(1, 0xfee0_1000, LEVEL | 0x42),
                    fake::msi_route(2, 0xfee0_1000, LEVEL | 0x43),
                ],
            )?;
            let vcpu = fake::xapic(0, Some(0x42));
            let mut handled = [0; 4];

            // SAFETY: The VM is bound and has the index, the other pointers are to locals that no
            // one else uses.
            let stale = unsafe { scan(vm, index, fake::vcpu_with(&vcpu), handled.as_mut_ptr()) };
            assert_eq!(handled, [0, 1 << 1 | 1 << 2, 0, 0]);
            assert_eq!(stale, 0x42);

            // The EOI is owed all the same if it was to be reported, or if the interrupt was
            // level-triggered. A null index is a table without routes.
            let mut level_triggered = vcpu;
            level_triggered.level_triggered = [0, 0, 1 << 2, 0, 0, 0, 0, 0];
            for (view, reported, expected, highest_stale) in [
                (&vcpu, [0; 4], [0; 4], -1),
                (&vcpu, handled, [0, 1 << 2, 0, 0], 0x42),
                (&level_triggered, [0; 4], [0, 1 << 2, 0, 0], 0x42),
            ] {
                let mut handled = reported;
                let vcpu = fake::vcpu_with(view);
                // SAFETY: As above.
                let stale = unsafe { scan(vm, ptr::null(), vcpu, handled.as_mut_ptr()) };
                assert_eq!(handled, expected);
                assert_eq!(stale, highest_stale);
            }
            Ok(index)
        })
    }

    #[test]
    fn errno_of_a_delivery() -> Result {
        with_vm(|vm| {
            let deliver = |vp, sint, level| {
                // SAFETY: The VM is bound.
                unsafe { deliver_sint(vm, vp, sint, level) }
            };

            assert_eq!(deliver(0, 2, 1), 1);
            assert_eq!(deliver(0, 2, 0), -1);
            assert_eq!(deliver(0, 15, 1), 1);
            assert_eq!(deliver(0, 16, 1), EINVAL.to_errno());
            assert_eq!(deliver(1, 2, 1), EINVAL.to_errno());
            assert_eq!(deliver(u32::MAX, u32::MAX, 1), EINVAL.to_errno());
            fake::STATE.sint.store(1 << 16, Relaxed);
            assert_eq!(deliver(0, 2, 1), ENOENT.to_errno());
            Ok(ptr::null_mut())
        })
    }

    #[test]
    fn errno_of_a_decision() -> Result {
        with_vm(|vm| {
            // SAFETY: The VM is bound.
            let decide = |sint, level| unsafe { decide_sint(vm, 0, sint, level) };

            assert_eq!(decide(2, 1), 0);
            assert_eq!(decide(2, 0), -1);
            assert_eq!(decide(16, 1), EINVAL.to_errno());
            fake::STATE.sint.store(1 << 16, Relaxed);
            assert_eq!(decide(2, 1), ENOENT.to_errno());
            assert_eq!(fake::STATE.delivered.load(Relaxed), -1);
            Ok(ptr::null_mut())
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
            let index = set(vm, &[fake::sint_route(40, 0, 2)])?;

            // SAFETY: The VM is bound and has the index, and the fake KVM has no list for
            // `irq_srcu` to protect.
            unsafe {
                ack_sint(vm, index, 0, 2);
                ack_sint(vm, index, 0, 3);
                ack_sint(vm, index, 1, 2);
            }
            assert_eq!(fake::STATE.acked.load(Relaxed), 40);

            // SAFETY: As above.
            assert_eq!(unsafe { borrow_vm(vm) }.counters().get(Event::SintAck), 1);
            Ok(index)
        })
    }
}
