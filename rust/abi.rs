// SPDX-License-Identifier: GPL-2.0

//! The exported hooks: guard, convert, call, errno.
//!
//! KVM finds [`kvm_irqroute_hooks`] by name, see `exports.c`, and promises for all hooks what
//! `<linux/kvm_irqroute.h>` says: pointers are valid for the call, those to constant data are not
//! written meanwhile, a `vm` comes from [`bind`] and an `index` from [`begin_update`], and neither
//! is used after it has been given back.

use crate::{
    kvm::{
        arch::{
            index::Index,
            vm::Vm, //
        },
        files::{
            Opened,
            Shown, //
        },
        host::Host,
        params::{
            self,
            Mode, //
        },
        raw::*,
        stats::{
            self,
            Stats, //
        }, //
    },
    routing::{
        publication::Succession,
        Origin, //
    }, //
};
use core::{
    ptr,
    slice, //
};
use kernel::{
    ffi::c_int,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::ForeignOwnable, //
};

#[cfg(CONFIG_ARM64)]
mod arm64;
#[cfg(CONFIG_X86)]
mod x86;

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
    put_index: Some(put_index),
    skip_update: Some(skip_update),
    #[cfg(CONFIG_X86)]
    scan: Some(x86::scan),
    #[cfg(CONFIG_X86)]
    eoi: Some(x86::eoi),
    #[cfg(CONFIG_X86)]
    deliver_sint: Some(x86::deliver_sint),
    #[cfg(CONFIG_X86)]
    ack_sint: Some(x86::ack_sint),
    #[cfg(CONFIG_X86)]
    make_apics: Some(x86::make_apics),
    #[cfg(CONFIG_X86)]
    put_apics: Some(x86::put_apics),
    #[cfg(CONFIG_X86)]
    post: Some(x86::post),
    #[cfg(CONFIG_X86)]
    verify_scan: Some(x86::verify_scan),
    #[cfg(CONFIG_X86)]
    decide_sint: Some(x86::decide_sint),
    #[cfg(CONFIG_X86)]
    verify_sint: Some(x86::verify_sint),
    #[cfg(CONFIG_ARM64)]
    set_spi: Some(arm64::set_spi),
    #[cfg(CONFIG_ARM64)]
    forget_spi: Some(arm64::forget_spi),
    #[cfg(CONFIG_ARM64)]
    lose_msi: Some(arm64::lose_msi),
    #[cfg(CONFIG_ARM64)]
    ack_pin: Some(arm64::ack_pin),
    #[cfg(CONFIG_ARM64)]
    verify_spi: Some(arm64::verify_spi),
    #[cfg(CONFIG_ARM64)]
    verify_msi: Some(arm64::verify_msi),
    #[cfg(CONFIG_ARM64)]
    verify_ack: Some(arm64::verify_ack),
};

/// What KVM compares, so that a helper with other structures than its own stays unused.
const SIZES: usize = size_of::<kvm_irqroute_hooks>()
    + size_of::<kvm_irqroute_ops>()
    + ARCH_SIZES
    + size_of::<kvm_irq_routing_entry>();

#[cfg(CONFIG_X86)]
const ARCH_SIZES: usize = size_of::<kvm_irqroute_vcpu_view>()
    + size_of::<kvm_irqroute_synic>()
    + size_of::<kvm_irqroute_target>();
#[cfg(CONFIG_ARM64)]
const ARCH_SIZES: usize = size_of::<kvm_irqroute_vm_view>() + size_of::<kvm_irqroute_msi_view>();

// Several threads use them at the same time, through raw pointers, which do not ask for it.
const _: () = {
    const fn shared<T: Send + Sync>() {}

    shared::<Vm>();
    shared::<Index>();
    #[cfg(CONFIG_X86)]
    shared::<crate::kvm::arch::posting::Apics>();
};

// `debugfs.c` calls them by the types that `helpers.h` declares: both branches have the same.
const _: () = {
    use crate::{
        abi,
        kvm::raw, //
    };

    if true {
        raw::irqroute_total
    } else {
        abi::irqroute_total
    };
    if true {
        raw::irqroute_file_open
    } else {
        abi::irqroute_file_open
    };
    if true {
        raw::irqroute_file_records
    } else {
        abi::irqroute_file_records
    };
    if true {
        raw::irqroute_file_show
    } else {
        abi::irqroute_file_show
    };
    if true {
        raw::irqroute_file_close
    } else {
        abi::irqroute_file_close
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
    // `Host`s, that of the files included. They only share them.
    let hosts = unsafe { (Host::new(kvm, ops), Host::new(kvm, ops)) };
    let (Some(host), Some(shown)) = hosts else {
        return EINVAL.to_errno();
    };

    let bound = Stats::listed(mode, parity, shown)
        .and_then(|stats| KBox::pin_init(Vm::new(host, parity, stats), GFP_KERNEL_ACCOUNT));

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

/// Takes a VM back.
///
/// Context: process, may sleep. Locks: none. Lifetime: `vm` is gone afterwards; the indexes of all its
/// tables have been put before.
///
/// # Safety
///
/// `vm` must come from [`bind`], and no other hook may run for it.
unsafe extern "C" fn release(vm: *mut kvm_irqroute_vm) {
    // SAFETY: `vm` is what `into_foreign()` returned, and the caller gives it back once, when no
    // hook borrows it any more.
    drop(unsafe { <Pin<KBox<Vm>>>::from_foreign(vm.cast()) });
}

/// Reads where a table comes from.
fn origin_of(flags: u32) -> Origin {
    if flags & KVM_IRQROUTE_DEFAULT != 0 {
        Origin::Default
    } else {
        Origin::Userspace
    }
}

/// Reads how the routes of a table compare with those of the current one.
fn succession_of(flags: u32) -> Succession {
    if flags & KVM_IRQROUTE_ADDS != 0 {
        Succession::Adds
    } else {
        Succession::Changes
    }
}

/// Tells whether a table with the `nr` routes of the current one, in the same order, need not be
/// published.
///
/// Context: process, may sleep. Locks: `update_lock` of the VM. Lifetime: `view` is read during the
/// call only.
///
/// # Safety
///
/// `vm` must be bound, and `view` valid for reads.
unsafe extern "C" fn skip_update(
    vm: *mut kvm_irqroute_vm,
    view: *const kvm_irqroute_vm_view,
    nr: u32,
    flags: u32,
) -> bool {
    // SAFETY: `vm` is bound during the call.
    let vm = unsafe { borrow_vm(vm) };
    // SAFETY: `view` is valid for the call. It is on the stack of the caller, who waits, so that no
    // one writes it.
    let view = unsafe { &*view };

    vm.skip_update(view, nr as usize, origin_of(flags))
}

/// Makes the index of a routing table that is valid and about to be published, and lets scans cover
/// both that and the current one.
///
/// Context: process, may sleep. Locks: `update_lock` of the VM, held until KVM is done with the update.
/// Lifetime: `view`, `routes` and `old`, the index of the current table, are read during the call
/// only. On success `*index`, which may be null if there is nothing to keep or `old` once more, is to
/// be put once no reader of its table is left.
///
/// Returns 0 if KVM is to wait for readers of older tables and to call [`end_update`] then, or
/// `KVM_IRQROUTE_NO_WAIT` if it need not do so yet; or `-ENOMEM` or `-EEXIST` (for KVM's default
/// routes, if userspace has set others), in which cases nothing has changed.
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
    flags: u32,
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

    match vm.begin_update(view, old, routes, origin_of(flags), succession_of(flags)) {
        Ok((is_awaited, new)) => {
            let raw = new.map_or(ptr::null(), Arc::into_raw).cast_mut();

            // SAFETY: `index` is valid for writes. It is part of a table that only the caller knows
            // so far.
            unsafe { index.write(raw.cast()) };
            if is_awaited {
                0
            } else {
                KVM_IRQROUTE_NO_WAIT as c_int
            }
        }
        Err(error) => error.to_errno(),
    }
}

/// Lets scans cover the current table alone: no interrupt is in flight by an older one any more.
///
/// Context: process, may sleep. Locks: `update_lock`, since [`begin_update`]. Lifetime: no pointers
/// but `vm`.
///
/// # Safety
///
/// `vm` must be bound, and the grace periods of all tables before the current one over.
unsafe extern "C" fn end_update(vm: *mut kvm_irqroute_vm) {
    // SAFETY: `vm` is bound during the call.
    unsafe { borrow_vm(vm) }.end_update();
}

/// Takes back an index, unless it is null.
///
/// Context: process, may sleep. Locks: none. Lifetime: `index` is gone afterwards.
///
/// # Safety
///
/// `index` must be null, or come from [`begin_update`] and not be used by the caller again. No
/// reader of its table may be left.
unsafe extern "C" fn put_index(index: *mut kvm_irqroute_index) {
    if !index.is_null() {
        // SAFETY: `index` is what `Arc::into_raw()` returned, and by the safety requirements this
        // is the one time that its reference is given back, with no borrow left.
        drop(unsafe { Arc::from_raw(index.cast::<Index>()) });
    }
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

/// Borrows a file that is open.
///
/// # Safety
///
/// `opened` must come from [`irqroute_file_open`] and not be closed during `'a`.
unsafe fn borrow_opened<'a>(opened: *const irqroute_opened) -> &'a Opened {
    // SAFETY: `opened` is what `KBox::into_raw()` returned, and is not given back during `'a` by the
    // safety requirements. It is never written until then.
    unsafe { &*opened.cast::<Opened>() }
}

/// Opens a file of a VM, by its number: looks at the VM, for `debugfs.c`.
///
/// Context: process, may sleep. Locks: none; takes `update_lock` of the VM. Lifetime: `shown` is used
/// during the call only. On success `*opened` is to be closed.
///
/// Returns 0, `-ENOMEM`, `-EINTR` if the caller is killed, `-ENODEV` if KVM was built from other headers
/// than the module, or `-EINVAL` if there is no such file.
///
/// # Safety
///
/// `shown` must be what the file was made with, the file must not be removed during the call, and
/// `opened` be valid for writes.
#[no_mangle]
pub(crate) unsafe extern "C" fn irqroute_file_open(
    shown: *const irqroute_shown,
    which: u32,
    opened: *mut *mut irqroute_opened,
) -> c_int {
    // SAFETY: The file was made with a pointer to a `Shown`, which stays until it is removed, and is
    // never written.
    let shown = unsafe { &*shown.cast::<Shown>() };

    match Opened::new(shown, which).and_then(|file| Ok(KBox::new(file, GFP_KERNEL_ACCOUNT)?)) {
        Ok(file) => {
            // SAFETY: `opened` is valid for writes. It is on the stack of the caller.
            unsafe { opened.write(KBox::into_raw(file).cast()) };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// Returns how many records an open file has, for `debugfs.c`.
///
/// Context: process. Locks: none. Lifetime: `opened` is read during the call only.
///
/// # Safety
///
/// `opened` must be open.
#[no_mangle]
pub(crate) unsafe extern "C" fn irqroute_file_records(opened: *const irqroute_opened) -> u64 {
    // SAFETY: The file is open during the call.
    unsafe { borrow_opened(opened) }.nr_records() as u64
}

/// Prints a record of an open file, for `debugfs.c`.
///
/// Context: process, may sleep. Locks: that of `seq`, which keeps other threads from it. Lifetime: both
/// pointers are used during the call only.
///
/// # Safety
///
/// `opened` must be open, and `seq` valid, and not be used by another thread during the call.
#[no_mangle]
pub(crate) unsafe extern "C" fn irqroute_file_show(
    opened: *const irqroute_opened,
    record: u64,
    seq: *mut seq_file,
) {
    // SAFETY: The file is open during the call.
    let opened = unsafe { borrow_opened(opened) };
    // SAFETY: `seq` is valid during the call, and this thread alone uses it, by the safety requirements.
    let seq = unsafe { SeqFile::from_raw(seq.cast()) };

    opened.print(record as usize, |line| seq.call_printf(line));
}

/// Closes a file, for `debugfs.c`.
///
/// Context: process, may sleep. Locks: none. Lifetime: `opened` is gone afterwards. The VM may be gone
/// before.
///
/// # Safety
///
/// `opened` must be open, and not be used again.
#[no_mangle]
pub(crate) unsafe extern "C" fn irqroute_file_close(opened: *mut irqroute_opened) {
    // SAFETY: `opened` is what `KBox::into_raw()` returned, and this is the one time that it is given
    // back, with no borrow left, by the safety requirements.
    drop(unsafe { KBox::from_raw(opened.cast::<Opened>()) });
}
