// SPDX-License-Identifier: GPL-2.0

//! vCPUs, their local APICs and their SynICs, and what the module asks of KVM about them.

use super::{
    bindings,
    handled::HandledVectors,
    host::Host, //
};
use crate::routing::x86::{
    seen::Pending,
    sint::{
        Sint,
        SintRegister,
        Synic, //
    },
    vector::VectorSet, //
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::NotThreadSafe, //
};

/// A vCPU of a [`Host`], which lives as long as the VM.
///
/// # Invariants
///
/// `vcpu` points to a vCPU of the VM with a Hyper-V context. KVM frees it after the last hook call
/// for the VM has returned.
#[derive(Clone, Copy)]
pub(crate) struct Vp<'a> {
    vcpu: NonNull<bindings::kvm_vcpu>,
    _host: PhantomData<&'a Host>,
}

/// The vCPU whose own thread is in a hook.
///
/// # Invariants
///
/// `vcpu` points to a vCPU of the VM that has a local APIC in KVM, and whose mutex the current thread
/// holds during `'a`.
pub(crate) struct ThisVcpu<'a> {
    vcpu: NonNull<bindings::kvm_vcpu>,
    _call: PhantomData<&'a ()>,
    _thread: NotThreadSafe,
}

impl ThisVcpu<'_> {
    /// Makes the value, or returns nothing if the pointer is null.
    ///
    /// # Safety
    ///
    /// Unless null, `vcpu` must be as the invariants say, for as long as the value exists.
    pub(crate) unsafe fn new(vcpu: *mut bindings::kvm_vcpu) -> Option<Self> {
        // INVARIANT: By the safety requirements.
        Some(Self {
            vcpu: NonNull::new(vcpu)?,
            _call: PhantomData,
            _thread: NotThreadSafe,
        })
    }

    /// Looks at an EOI of the vCPU, for a trace event. Any context. Returns nothing if KVM was built from
    /// other headers than the module.
    #[cold]
    pub(crate) fn view_eoi(&self, vector: u8) -> Option<bindings::irqroute_eoi> {
        let mut eoi = bindings::irqroute_eoi::default();

        // SAFETY: By the invariants, the vCPU is valid, and this is its thread. `eoi` is a local that nothing
        // else refers to and that outlives the call. The table is read under `irq_srcu`.
        unsafe { bindings::irqroute_view_eoi(self.vcpu.as_ptr(), vector, &mut eoi) }.then_some(eoi)
    }
}

/// A vCPU that an update asks whether it has to scan, or that a file shows, which its own thread may run meanwhile.
///
/// # Invariants
///
/// `registers` is nothing, or points to the APIC page of a vCPU, which lives as long as the VM and has
/// the registers 16 bytes apart (Intel SDM volume 3, "Local APIC Register Address Map").
pub(crate) struct AskedVcpu<'a> {
    handled: HandledVectors<'a>,
    registers: Option<NonNull<u32>>,
}

impl AskedVcpu<'_> {
    /// Offsets of the first registers of ISR and IRR, in units of a `u32`.
    const ISR: usize = 0x100 / 4;
    const IRR: usize = 0x200 / 4;
    const STEP: usize = 0x10 / 4;

    /// Returns the vectors whose EOI the vCPU reports.
    pub(crate) fn handled(&self) -> VectorSet {
        self.handled.get()
    }

    /// Returns the vectors that the vCPU has yet to take and to end, unless they may be where nobody
    /// else sees them.
    #[inline]
    pub(crate) fn pending(&self) -> Option<Pending> {
        let registers = self.registers?;
        let vectors = |first: usize| {
            VectorSet::from_registers(&[0, 1, 2, 3, 4, 5, 6, 7].map(|i: usize| {
                let offset = first.wrapping_add(i.wrapping_mul(Self::STEP));
                // SAFETY: By the invariants, the register is part of the page, aligned and valid. All
                // values are. KVM writes it as it does for C code of other threads that reads it.
                unsafe { Atomic::from_ptr(registers.as_ptr().wrapping_add(offset)) }.load(Relaxed)
            }))
        };

        // In the order in which a vector moves on.
        Some(Pending {
            requested: vectors(Self::IRR),
            in_service: vectors(Self::ISR),
        })
    }

    /// Returns the vectors that the vCPU has yet to take or to end. All of them, if they may be where
    /// nobody else sees them.
    fn pending_eoi(&self) -> VectorSet {
        self.pending().map_or(
            VectorSet::from_words([!0; 4]),
            |Pending {
                 requested,
                 in_service,
             }| requested.union(&in_service),
        )
    }

    /// Has the vCPU report the EOIs of pending vectors, until its next scan at least: of those that
    /// `exact` returns, all of which are in `vectors`. Seldom is one of these pending and not reported
    /// anyway.
    pub(crate) fn report_pending(&self, vectors: &VectorSet, exact: impl Fn() -> VectorSet) {
        let unknown = vectors.difference(&self.handled.get());
        if unknown.is_empty() {
            return;
        }

        let pending = unknown.intersection(&self.pending_eoi());
        if !pending.is_empty() {
            self.handled.add(&pending.intersection(&exact()));
        }
    }
}

/// When a vCPU that is in the guest has to hear of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Before the request returns, so that the vCPU has to leave the guest.
    Now,
    /// Before it enters the guest the next time, whenever that is.
    BeforeNextEntry,
}

/// What KVM found for a VP index.
pub(crate) struct Found<'a> {
    /// The SynIC.
    pub(crate) synic: Synic,
    /// The vCPU, if its SynIC is active.
    pub(crate) vp: Option<Vp<'a>>,
    /// Where the VP index was found, by the index of the vCPU; as it was if nowhere.
    pub(crate) vcpu_index: u32,
}

impl Host {
    /// Makes the vCPUs whose local APIC is `wanted` scan the routes before they next enter the
    /// guest, and with [`Urgency::Now`] waits until none of them is in the guest without having
    /// heard of it. Process context, in an update of the table if any is wanted; `wanted` must not sleep.
    /// Returns how many these are.
    pub(crate) fn request_scan<F>(&self, urgency: Urgency, wanted: F) -> u32
    where
        F: Fn(&bindings::kvm_irqroute_apic_view, &AskedVcpu<'_>) -> bool,
    {
        /// # Safety
        ///
        /// Both pointers must be valid for reads, `data` of an `F`, and `apic` be of a vCPU of KVM.
        unsafe extern "C" fn call<F>(
            apic: *const bindings::kvm_irqroute_apic_view,
            data: *mut c_void,
        ) -> c_int
        where
            F: Fn(&bindings::kvm_irqroute_apic_view, &AskedVcpu<'_>) -> bool,
        {
            // SAFETY: `apic` is on KVM's stack and `data` on that of `request_scan()`. Both belong
            // to this thread, whose functions wait for this call to return: they are valid during
            // the call, and written by no one.
            let (apic, wanted) = unsafe { (&*apic, &*data.cast::<F>()) };
            // SAFETY: KVM points `handled` to four aligned words of a vCPU, which lives as long as the VM.
            // An update that asks who is wanted is one of a VM in mode `rust`, in which `scan()` and
            // updates alone write to them, atomically; else KVM reads them, in the thread that runs the
            // vCPU. A file of a VM in another mode only reads them, each in one piece, while KVM's C may
            // write them: it shows what is there at some moment.
            let handled = unsafe { HandledVectors::new(apic.handled) };
            // INVARIANT: `regs` is null, or KVM points it to the page of the same vCPU.
            let registers = NonNull::new(apic.regs.cast_mut().cast());
            let vcpu = AskedVcpu { handled, registers };

            c_int::from(wanted(apic, &vcpu))
        }

        let kick = c_int::from(urgency == Urgency::Now);
        let data = ptr::from_ref(&wanted).cast_mut().cast();
        match self.ops().request_scan {
            // SAFETY: By the invariants, `kvm` is valid. KVM looks at vCPUs, which live until after
            // `release()`, and sets their request bits, which are atomic. It passes `data`, which
            // outlives the call and is only read, to `call()` alone.
            Some(request_scan) => unsafe { request_scan(self.kvm(), kick, Some(call::<F>), data) },
            None => 0,
        }
    }

    /// Looks at a vCPU: what decides how routes decode, and its local APIC. Process context.
    pub(crate) fn view_vcpu(&self, vcpu: &ThisVcpu<'_>) -> bindings::kvm_irqroute_vcpu_view {
        let mut view = bindings::kvm_irqroute_vcpu_view::default();

        if let Some(view_vcpu) = self.ops().view_vcpu {
            // SAFETY: By the invariants of `ThisVcpu`, the vCPU is valid and this thread may look at
            // it. `view` is a local that nothing else refers to and that outlives the call.
            unsafe { view_vcpu(vcpu.vcpu.as_ptr(), &mut view) }
        }
        view
    }

    /// Reads the SynIC of the virtual processor `vp_index` and its register for `sint`. KVM first
    /// looks at the vCPU with index `hint`. Any context.
    pub(crate) fn read_synic(&self, vp_index: u32, sint: Sint, hint: u32) -> Found<'_> {
        let mut raw = bindings::kvm_irqroute_synic {
            vcpu_idx: hint,
            ..Default::default()
        };

        if let Some(read_synic) = self.ops().read_synic {
            // SAFETY: By the invariants, `kvm` is valid; `raw` is a local that nothing else
            // refers to and that outlives the call. KVM finds vCPUs under RCU, and they live as
            // long as the VM.
            unsafe { read_synic(self.kvm(), vp_index, sint.number(), &mut raw) }
        }

        // INVARIANT: KVM has just found the vCPU in the VM. An active SynIC is part of a Hyper-V
        // context, which is never taken away.
        let vp = NonNull::new(raw.vcpu).map(|vcpu| Vp {
            vcpu,
            _host: PhantomData,
        });

        Found {
            synic: match vp {
                Some(_) => Synic::Active(SintRegister(raw.sint)),
                None => Synic::Absent,
            },
            vp,
            vcpu_index: raw.vcpu_idx,
        }
    }

    /// Sends `vector` for `sint` to the local APIC of `vp`. Any context. Returns what
    /// KVM_IRQ_LINE_STATUS reports: how many CPUs accepted it, 0 if the local APIC is not enabled,
    /// or a negative number.
    pub(crate) fn deliver_sint(&self, vp: Vp<'_>, sint: Sint, vector: u8) -> i32 {
        match self.ops().deliver_sint {
            // SAFETY: By the invariants of `Vp`, the vCPU is valid and has a Hyper-V context. Its
            // local APIC takes interrupts from any context: the bits of the IRR are atomic.
            Some(deliver_sint) => unsafe { deliver_sint(vp.vcpu.as_ptr(), sint.number(), vector) },
            None => EINVAL.to_errno(),
        }
    }
}
