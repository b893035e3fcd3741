// SPDX-License-Identifier: GPL-2.0

//! The hooks of x86.

use super::*;
use crate::{
    kvm::{
        arch::{
            handled::HandledVectors,
            posting::Apics,
            vcpu::ThisVcpu, //
        },
        srcu::IrqSrcu, //
    },
    routing::x86::{
        msi::Msi,
        posting::Reason,
        scan::Scan,
        sint::SintError,
        vector::VectorSet, //
    }, //
};
use kernel::error::to_result;

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
pub(super) unsafe extern "C" fn scan(
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

/// Takes note of an EOI that KVM reports to userspace, or would if the guest did not suppress that.
///
/// Context: any; called by the vCPU's own thread. Locks: none that this function relies on. Lifetime:
/// pointers are used during the call only.
///
/// # Safety
///
/// `vm` must be bound, and `vcpu` one of its vCPUs, with its mutex held.
pub(super) unsafe extern "C" fn eoi(
    vm: *mut kvm_irqroute_vm,
    vcpu: *mut kvm_vcpu,
    vector: u8,
    reported: bool,
) {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };

    // SAFETY: The caller is the thread that runs the vCPU, and holds its mutex.
    if let Some(vcpu) = unsafe { ThisVcpu::new(vcpu) } {
        vm.note_eoi(&vcpu, vector, reported);
    }
}

/// Raises or lowers a line that is routed to a SINT.
///
/// Context: any, also with interrupts disabled (irqfd). Locks: none that this function relies on.
/// Lifetime: no pointers but `vm`.
///
/// Returns how many CPUs accepted the interrupt, 0 if the local APIC is not enabled, -1 if
/// `level` is 0 or no CPU accepts, `-EINVAL` if there is no active SynIC or no such SINT, `-ENOENT`
/// if the SINT is masked.
///
/// # Safety
///
/// `vm` must be bound.
pub(super) unsafe extern "C" fn deliver_sint(
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
pub(super) unsafe extern "C" fn ack_sint(
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

/// Reads the result of a delivery: what KVM_IRQ_LINE_STATUS reports if an interrupt was sent.
fn outcome_of(result: c_int, raised: bool) -> Result<i32, SintError> {
    match to_result(result) {
        // Of a line that goes up it says that no CPU accepts the interrupt.
        Err(EPERM) if !raised => Err(SintError::Lowered),
        Err(EINVAL) => Err(SintError::NoSynic),
        Err(ENOENT) => Err(SintError::Masked),
        _ => Ok(result),
    }
}

/// Makes what [`post`] needs to know of the local APICs of all vCPUs.
///
/// Context: process, may sleep. Locks: none that this function relies on. Lifetime: `view` and `apics`
/// are read during the call only. What is returned is to be put once, unless it is null.
///
/// Returns null if there is no memory.
///
/// # Safety
///
/// `vm` must be bound, `view` valid for reads, and `apics` for reads of `nr` views, whatever it is if `nr`
/// is 0.
pub(super) unsafe extern "C" fn make_apics(
    _vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
    apics: *const kvm_irqroute_apic_view,
    nr: u32,
) -> *mut kvm_irqroute_apics {
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };
    let apics = if nr == 0 {
        &[]
    } else {
        // SAFETY: `apics` is valid for `nr` views during the call. It is the private copy of the caller,
        // who waits, so that no one writes it.
        unsafe { slice::from_raw_parts(apics, nr as usize) }
    };

    Apics::new(view, apics).map_or(ptr::null_mut(), |made| KBox::into_raw(made).cast())
}

/// Takes back what [`make_apics`] has made, unless it is null.
///
/// Context: process, may sleep. Locks: none. Lifetime: `apics` is gone afterwards.
///
/// # Safety
///
/// `apics` must be null, or come from [`make_apics`] and not be used by anyone again.
pub(super) unsafe extern "C" fn put_apics(apics: *mut kvm_irqroute_apics) {
    if !apics.is_null() {
        // SAFETY: `apics` is what `KBox::into_raw()` returned, and by the safety requirements this is
        // the one time that it is given back, with no borrow left.
        drop(unsafe { KBox::from_raw(apics.cast::<Apics>()) });
    }
}

/// Decides whether the interrupt of a device is posted whose GSI is routed to this MSI, and where.
///
/// Context: any, also with interrupts disabled. Locks: `irqfds.lock`, which keeps `apics`. Lifetime:
/// `apics` is read, and `target` written, during the call only.
///
/// Returns `KVM_IRQROUTE_POSTED` if it is, and `target` is written; or else why it goes to the host.
///
/// # Safety
///
/// `vm` must be bound, `apics` come from [`make_apics`] and not be given back during the call, and `target`
/// be valid for writes.
pub(super) unsafe extern "C" fn post(
    vm: *mut kvm_irqroute_vm,
    apics: *const kvm_irqroute_apics,
    gsi: u32,
    address_lo: u32,
    address_hi: u32,
    data: u32,
    target: *mut kvm_irqroute_target,
) -> kvm_irqroute_posting {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `apics` is valid during the call, and constant since it was made.
    let apics = unsafe { &*apics.cast::<Apics>() };
    let msi = Msi {
        address_lo,
        address_hi,
        data,
    };

    let posted = match vm.post(apics, gsi, &msi) {
        Ok(posted) => kvm_irqroute_target {
            vcpu_idx: posted.vcpu,
            vector: posted.vector.into(),
        },
        Err(reason) => return posting_of(reason),
    };

    // SAFETY: `target` is valid for writes. It is on the stack of the caller, who waits.
    unsafe { target.write(posted) };
    KVM_IRQROUTE_POSTED
}

/// What KVM calls a reason not to post.
fn posting_of(reason: Reason) -> kvm_irqroute_posting {
    match reason {
        Reason::DeliveryMode => KVM_IRQROUTE_DELIVERY_MODE,
        Reason::Level => KVM_IRQROUTE_LEVEL,
        Reason::NoTarget => KVM_IRQROUTE_NO_TARGET,
        Reason::Several => KVM_IRQROUTE_SEVERAL,
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
pub(super) unsafe extern "C" fn verify_scan(
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
pub(super) unsafe extern "C" fn decide_sint(
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
pub(super) unsafe extern "C" fn verify_sint(
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
    let before = outcome_of(decision, raised).map(|_| ());
    let c = outcome_of(result, raised);

    vm.verify_sint(vp_index, sint, raised, before, c);
}

#[cfg(CONFIG_KUNIT = "y")]
#[kunit_tests(kvm_irqroute_abi)]
mod tests {
    use super::*;
    use crate::{
        kvm::{
            arch::fake,
            counters::Event, //
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
        let vm = Vm::new(host, Parity::Off, Stats::unlisted()?);
        let vm = KBox::pin_init(vm, GFP_KERNEL)?.into_foreign().cast();
        let result = test(vm);
        let index = *result.as_ref().unwrap_or(&ptr::null_mut());

        // SAFETY: `vm` was bound above, `index` is that of its last table, and neither is used
        // again, nor by anyone else.
        unsafe {
            put_index(index);
            release(vm);
        }
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
            let result = begin_update(vm, &view, old, routes.as_ptr(), nr, 0, &mut index);

            end_update(vm);
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
        assert_eq!(outcome_of(1, true), Ok(1));
        assert_eq!(outcome_of(0, true), Ok(0));
        // No CPU accepts, as opposed to a line that goes down.
        assert_eq!(outcome_of(-1, true), Ok(-1));
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

    #[test]
    fn posting() -> Result {
        with_vm(|vm| {
            let (view, mut apics) = (fake::split_vm(), [fake::xapic(0, None).apic; 3]);
            apics[1].xapic_id = 1;
            apics[2].xapic_id = 1;

            // Where interrupts to APIC ID 0, to APIC ID 1, and an NMI and a level one to APIC ID 0 are posted.
            let posted = |apics: &[kvm_irqroute_apic_view]| {
                // SAFETY: The VM is bound, `view` is a local, and `apics` is borrowed.
                let made = unsafe { make_apics(vm, &view, apics.as_ptr(), apics.len() as u32) };
                let posted = [
                    (0xfee0_0000, 0x41),
                    (0xfee0_1000, 0x42),
                    (0xfee0_0000, 0x441),
                    (0xfee0_0000, LEVEL | 0x41),
                ]
                .map(|(address, data)| {
                    let mut target = kvm_irqroute_target::default();
                    // SAFETY: The VM is bound, `made` was just made, and `target` is a local.
                    let posting = unsafe { post(vm, made, 24, address, 0, data, &mut target) };

                    match posting {
                        KVM_IRQROUTE_POSTED => Ok((target.vcpu_idx, target.vector)),
                        _ => Err(posting),
                    }
                });

                // SAFETY: `made` is not used again.
                unsafe { put_apics(made) };
                posted
            };

            let (nobody, several) = (Err(KVM_IRQROUTE_NO_TARGET), Err(KVM_IRQROUTE_SEVERAL));
            let (nmi, level) = (Err(KVM_IRQROUTE_DELIVERY_MODE), Err(KVM_IRQROUTE_LEVEL));
            assert_eq!(posted(&[]), [nobody, nobody, nmi, level]);
            assert_eq!(posted(&apics), [Ok((0, 0x41)), several, nmi, level]);
            apics[1].hw_enabled = 0;
            assert_eq!(posted(&apics), [Ok((0, 0x41)), Ok((2, 0x42)), nmi, level]);

            // SAFETY: The VM is bound.
            let counters = unsafe { borrow_vm(vm) }.counters();
            for (event, nr) in [
                (Event::Posted, 3),
                (Event::RemappedNoTarget, 2),
                (Event::RemappedSeveral, 1),
                (Event::RemappedDeliveryMode, 3),
                (Event::RemappedLevel, 3),
            ] {
                assert_eq!(counters.get(event), nr);
            }
            // SAFETY: There is nothing to put.
            unsafe { put_apics(ptr::null_mut()) };
            Ok(ptr::null_mut())
        })
    }
}
