// SPDX-License-Identifier: GPL-2.0

//! The routes of the current table of a VM, as KVM has them.

use super::{
    bindings,
    host::Host, //
};
use crate::routing::publication::{
    count_changed_gsis,
    Entry, //
};
use kernel::{
    ffi::c_int,
    prelude::*, //
};

/// What is copied of a table.
type Routes = KVVec<bindings::kvm_irq_routing_entry>;

/// Makes room for routes until `copy` has copied all of them: it gets the room, and returns how many there
/// are or an error.
fn copy_with(copy: impl Fn(*mut bindings::kvm_irq_routing_entry, u32) -> c_int) -> Result<Routes> {
    let mut routes = Routes::new();

    loop {
        let room = routes.len();
        let nr = copy(routes.as_mut_ptr(), room as u32);
        let nr = usize::try_from(nr).map_err(|_| Error::from_errno(nr))?;

        if nr <= room {
            routes.truncate(nr);
            return Ok(routes);
        }
        routes = KVVec::with_capacity(nr, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..nr {
            routes.push_within_capacity(Default::default())?;
        }
    }
}

impl Host {
    /// Copies the current table. Process context; takes the lock of updates. Returns `ENOMEM`; `EINTR` if
    /// the caller is killed; `ENODEV` if KVM was built from other headers than the module.
    ///
    /// # Safety
    ///
    /// The first update of the VM must have begun, so that KVM has set up the lock.
    pub(super) unsafe fn copy_routes(&self) -> Result<Routes> {
        copy_with(|routes, room| {
            // SAFETY: By the invariants, the VM is valid, and by the safety requirements its lock is.
            // `routes` is valid for writes of `room` entries, which nothing else refers to.
            unsafe { bindings::irqroute_copy_routes(self.kvm(), routes, room) }
        })
    }

    /// Counts the GSIs for which `new` has other routes than the current table. Process context. Returns
    /// `ENOMEM`; `ENODEV` as above.
    ///
    /// # Safety
    ///
    /// The caller must hold the lock of updates.
    #[cold]
    pub(super) unsafe fn count_changed_gsis(
        &self,
        new: &[bindings::kvm_irq_routing_entry],
    ) -> Result<usize> {
        let old = copy_with(|routes, room| {
            // SAFETY: As above; by the safety requirements, nobody replaces the table meanwhile.
            unsafe { bindings::irqroute_copy_routes_locked(self.kvm(), routes, room) }
        })?;

        Ok(count_changed_gsis(&mut entries(&old)?, &mut entries(new)?))
    }
}

/// Returns what routes are compared by.
fn entries(routes: &[bindings::kvm_irq_routing_entry]) -> Result<KVVec<Entry>> {
    let mut entries = KVVec::with_capacity(routes.len(), GFP_KERNEL_ACCOUNT)?;

    for route in routes {
        entries.push_within_capacity(route.into())?;
    }
    Ok(entries)
}

impl From<&bindings::kvm_irq_routing_entry> for Entry {
    fn from(entry: &bindings::kvm_irq_routing_entry) -> Self {
        let to = &entry.u;
        let has_device_id = entry.flags & bindings::KVM_MSI_VALID_DEVID != 0;
        // SAFETY: `type_` says which member of the union is in use. All consist of integers, for which any
        // bits are valid; the device ID is in a union with nothing but padding. The entry is borrowed, so
        // that no one writes it, and lives as long as the borrow.
        let target = unsafe {
            match entry.type_ {
                bindings::KVM_IRQ_ROUTING_IRQCHIP => [to.irqchip.irqchip, to.irqchip.pin, 0, 0],
                bindings::KVM_IRQ_ROUTING_MSI => {
                    let device_id = if has_device_id {
                        to.msi.__bindgen_anon_1.devid
                    } else {
                        0
                    };

                    [to.msi.address_lo, to.msi.address_hi, to.msi.data, device_id]
                }
                bindings::KVM_IRQ_ROUTING_HV_SINT => [to.hv_sint.vcpu, to.hv_sint.sint, 0, 0],
                bindings::KVM_IRQ_ROUTING_XEN_EVTCHN => [
                    to.xen_evtchn.port,
                    to.xen_evtchn.vcpu,
                    to.xen_evtchn.priority,
                    0,
                ],
                _ => [0; 4],
            }
        };

        Self {
            gsi: entry.gsi,
            kind: entry.type_,
            flags: entry.flags,
            target,
        }
    }
}
