// SPDX-License-Identifier: GPL-2.0

//! A KVM with one VM of one vCPU for unit tests. It remembers what it was asked to do.

use super::{
    bindings,
    vm::Vm, //
};
use core::ptr;
use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// What the fake KVM shows, and what it was told last. Tests run one after the other.
pub(crate) struct State {
    /// The VP index of the vCPU.
    pub(crate) vp_index: Atomic<u32>,
    /// Whether its SynIC is active.
    pub(crate) active: Atomic<u32>,
    /// All of its SINT registers.
    pub(crate) sint: Atomic<u64>,
    /// Vector of the last delivery, -1 if there was none.
    pub(crate) delivered: Atomic<i32>,
    /// GSI that was acknowledged last, -1 if none, and how many were.
    pub(crate) acked: Atomic<i32>,
    pub(crate) acks: Atomic<u32>,
    /// Where KVM was to look first for a VP index.
    pub(crate) hint: Atomic<u32>,
    /// The local APIC of the vCPU, in xAPIC mode.
    pub(crate) apic_id: Atomic<u32>,
    /// The vectors whose EOI it has to report since its last scan.
    pub(crate) handled: [Atomic<u64>; 4],
    /// The registers of its local APIC up to IRR, and whether they are shown.
    pub(crate) regs: [Atomic<u32>; 0xa0],
    pub(crate) regs_are_shown: Atomic<u32>,
    /// How often the vCPU was asked to scan.
    pub(crate) requests: Atomic<u32>,
    /// The address of a VM whose update ends when a vCPU is looked at, 0 if there is none.
    pub(crate) ends_update: Atomic<usize>,
    /// How often the vCPU had to leave the guest for that.
    pub(crate) kicks: Atomic<u32>,
}

/// The index of the vCPU, which is not its VP index.
pub(crate) const VCPU_INDEX: u32 = 5;

/// The state.
pub(crate) static STATE: State = State {
    vp_index: Atomic::new(0),
    active: Atomic::new(0),
    sint: Atomic::new(0),
    delivered: Atomic::new(-1),
    acked: Atomic::new(-1),
    acks: Atomic::new(0),
    hint: Atomic::new(0),
    apic_id: Atomic::new(0),
    handled: [const { Atomic::new(0) }; 4],
    regs: [const { Atomic::new(0) }; 0xa0],
    regs_are_shown: Atomic::new(1),
    requests: Atomic::new(0),
    ends_update: Atomic::new(0),
    kicks: Atomic::new(0),
};

/// Brings the state back to a VM whose vCPU has VP index 0 and an active SynIC with all SINTs at
/// `vector`, and that was not asked for anything yet.
pub(crate) fn reset(vector: u8) {
    STATE.vp_index.store(0, Relaxed);
    STATE.active.store(1, Relaxed);
    STATE.sint.store(u64::from(vector), Relaxed);
    STATE.delivered.store(-1, Relaxed);
    STATE.acked.store(-1, Relaxed);
    STATE.acks.store(0, Relaxed);
    STATE.hint.store(0, Relaxed);
    STATE.apic_id.store(0, Relaxed);
    for word in &STATE.handled {
        word.store(0, Relaxed);
    }
    for register in &STATE.regs {
        register.store(0, Relaxed);
    }
    STATE.regs_are_shown.store(1, Relaxed);
    STATE.requests.store(0, Relaxed);
    STATE.ends_update.store(0, Relaxed);
    STATE.kicks.store(0, Relaxed);
}

/// A pointer to the VM. It is not null and must not be followed.
pub(crate) fn kvm() -> *mut bindings::kvm {
    ptr::dangling_mut()
}

/// A pointer to the vCPU. It is not null and must not be followed.
pub(crate) fn vcpu() -> *mut bindings::kvm_vcpu {
    ptr::dangling_mut()
}

/// # Safety
///
/// `wanted` must be safe to call with `data`. The VM is not followed.
unsafe extern "C" fn request_scan(
    _kvm: *mut bindings::kvm,
    kick: c_int,
    wanted: Option<
        unsafe extern "C" fn(*const bindings::kvm_irqroute_apic_view, *mut c_void) -> c_int,
    >,
    data: *mut c_void,
) -> u32 {
    let mut apic = xapic(STATE.apic_id.load(Relaxed) as u8, None).apic;
    apic.handled = STATE.handled.as_ptr().cast_mut().cast();
    if STATE.regs_are_shown.load(Relaxed) != 0 {
        apic.regs = STATE.regs.as_ptr().cast();
    }
    // SAFETY: `Host::request_scan()` passes both and waits for this to return. `apic` is a local,
    // which is valid for the call and written by no one.
    let asked = wanted.is_some_and(|wanted| unsafe { wanted(&apic, data) } != 0);

    STATE.requests.fetch_add(u32::from(asked), Relaxed);
    STATE
        .kicks
        .fetch_add(u32::from(asked && kick != 0), Relaxed);
    u32::from(asked)
}

/// A pointer to a vCPU that looks like `view`, which has to outlive what is done with it.
pub(crate) fn vcpu_with(view: &bindings::kvm_irqroute_vcpu_view) -> *mut bindings::kvm_vcpu {
    ptr::from_ref(view).cast_mut().cast()
}

/// # Safety
///
/// `vcpu` must come from [`vcpu_with`], and `view` be valid for writes.
unsafe extern "C" fn view_vcpu(
    vcpu: *mut bindings::kvm_vcpu,
    view: *mut bindings::kvm_irqroute_vcpu_view,
) {
    // SAFETY: `vcpu` points to a view of a test, which nobody writes. `Host::view_vcpu()` passes a
    // local that outlives the call, and to which nothing else refers.
    unsafe { view.write(*vcpu.cast()) }

    let vm: *const Vm = ptr::with_exposed_provenance(STATE.ends_update.load(Relaxed));
    // SAFETY: The address is 0, or that of the VM whose test this is called in, which shares it.
    if let Some(vm) = unsafe { vm.as_ref() } {
        vm.end_update();
    }
}

/// # Safety
///
/// `synic` must be valid for reads and writes.
unsafe extern "C" fn read_synic(
    _kvm: *mut bindings::kvm,
    vp_index: u32,
    _sint: u32,
    synic: *mut bindings::kvm_irqroute_synic,
) {
    let found = vp_index == STATE.vp_index.load(Relaxed);
    let active = found && STATE.active.load(Relaxed) != 0;

    // SAFETY: `Host::read_synic()` passes a local that outlives the call, and to which nothing else
    // refers.
    let synic = unsafe { &mut *synic };

    STATE.hint.store(synic.vcpu_idx, Relaxed);
    if found {
        synic.vcpu_idx = VCPU_INDEX;
    }
    synic.vcpu = if active { vcpu() } else { ptr::null_mut() };
    synic.sint = STATE.sint.load(Relaxed);
}

/// # Safety
///
/// None: the pointers are not followed.
unsafe extern "C" fn deliver_sint(_vcpu: *mut bindings::kvm_vcpu, _sint: u32, vector: u8) -> c_int {
    STATE.delivered.store(i32::from(vector), Relaxed);
    1
}

/// # Safety
///
/// None: the pointers are not followed.
unsafe extern "C" fn notify_acked_gsi(_kvm: *mut bindings::kvm, gsi: c_int) {
    STATE.acked.store(gsi, Relaxed);
    STATE.acks.fetch_add(1, Relaxed);
}

/// The functions of the fake KVM.
pub(crate) static OPS: bindings::kvm_irqroute_ops = bindings::kvm_irqroute_ops {
    request_scan: Some(request_scan),
    view_vcpu: Some(view_vcpu),
    read_synic: Some(read_synic),
    deliver_sint: Some(deliver_sint),
    notify_acked_gsi: Some(notify_acked_gsi),
};

/// Makes a KVM_IRQ_ROUTING_MSI route.
pub(crate) fn msi_route(gsi: u32, address: u64, data: u32) -> bindings::kvm_irq_routing_entry {
    let mut route = bindings::kvm_irq_routing_entry {
        gsi,
        type_: bindings::KVM_IRQ_ROUTING_MSI,
        ..Default::default()
    };
    route.u.msi.address_lo = address as u32;
    route.u.msi.address_hi = (address >> 32) as u32;
    route.u.msi.data = data;
    route
}

/// Makes a KVM_IRQ_ROUTING_HV_SINT route.
pub(crate) fn sint_route(gsi: u32, vp_index: u32, sint: u32) -> bindings::kvm_irq_routing_entry {
    let mut route = bindings::kvm_irq_routing_entry {
        gsi,
        type_: bindings::KVM_IRQ_ROUTING_HV_SINT,
        ..Default::default()
    };
    route.u.hv_sint = bindings::kvm_irq_routing_hv_sint {
        vcpu: vp_index,
        sint,
    };
    route
}

/// The view of a VM with a split irqchip of 24 pins.
pub(crate) fn split_vm() -> bindings::kvm_irqroute_vm_view {
    bindings::kvm_irqroute_vm_view {
        nr_reserved_pins: 24,
        x2apic_format: 0,
        broadcast_quirk: 1,
        vector_hashing: 1,
    }
}

/// The view of a vCPU of that VM, in xAPIC mode with APIC ID `id`, with `pending` in its IRR or ISR.
pub(crate) fn xapic(id: u8, pending: Option<u8>) -> bindings::kvm_irqroute_vcpu_view {
    let mut view = bindings::kvm_irqroute_vcpu_view {
        vm: split_vm(),
        apic: bindings::kvm_irqroute_apic_view {
            x2apic_id: u32::from(id),
            x2apic_mode: 0,
            xapic_id: u32::from(id),
            ldr: 0x0200_0000,
            dfr: 0xffff_ffff,
            hw_enabled: 1,
            sw_enabled: 1,
            handled: ptr::null_mut(),
            regs: ptr::null(),
        },
        ..Default::default()
    };

    if let Some(vector) = pending {
        if let Some(register) = view.pending_eoi.get_mut(usize::from(vector / 32)) {
            *register |= 1 << (vector % 32);
        }
    }
    view
}
