// SPDX-License-Identifier: GPL-2.0

//! What KVM does in C on arm64, written down after `arch/arm64/kvm/vgic/` and `virt/kvm/irqchip.c`.

pub(crate) const EBUSY: i32 = 16;
pub(crate) const ENODEV: i32 = 19;
pub(crate) const EINVAL: i32 = 22;

/// `struct kvm_msi`, as far as the vgic looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Msi {
    pub(crate) address: u64,
    pub(crate) data: u32,
    pub(crate) valid_devid: bool,
    pub(crate) devid: u32,
}

/// An ITS that is on, with what the guest has mapped.
#[derive(Clone, Debug)]
pub(crate) struct Its {
    pub(crate) doorbell: u64,
    pub(crate) enabled: bool,
    /// Pairs of device ID and event ID, none of which is above 0xffff.
    pub(crate) mapped: Vec<(u32, u32)>,
}

/// `kvm_set_msi()` of a line that goes up: 1 if the MSI is delivered, 0 if the guest does not want it.
pub(crate) fn set_msi(itses: &[Its], msi: &Msi) -> i32 {
    if itses.is_empty() {
        return -ENODEV;
    }
    if !msi.valid_devid {
        return -EINVAL;
    }
    let Some(its) = itses.iter().find(|its| its.doorbell == msi.address) else {
        return -EINVAL;
    };
    if !its.enabled {
        return -EBUSY;
    }
    i32::from(its.mapped.contains(&(msi.devid, msi.data)))
}

/// `vgic_irqfd_set_irq()`: the INTID whose line changes.
pub(crate) fn spi(pin: u32, nr_spis: u32) -> Result<u32, i32> {
    let intid = pin.checked_add(32).ok_or(-EINVAL)?;

    if intid < 32 || intid > nr_spis + 31 {
        return Err(-EINVAL);
    }
    Ok(intid)
}
