// SPDX-License-Identifier: GPL-2.0

//! What KVM does in C, told a second time.
//!
//! The inputs are the bare integers that KVM works with: registers, flags, errno values. Names are
//! those of KVM, so that this file can be held against `arch/x86/kvm/` side by side.
//! Nothing of `rust/routing/` is used: a mistake there has no way to get in here.

/// KVM_IRQ_ROUTING_IRQCHIP.
pub(crate) const IRQCHIP: u32 = 1;
/// KVM_IRQ_ROUTING_MSI, with the low address, the high address and the data as payload.
pub(crate) const MSI: u32 = 2;
/// KVM_IRQ_ROUTING_HV_SINT, with the VP index and the SINT as payload.
pub(crate) const HV_SINT: u32 = 4;
/// KVM_IRQ_ROUTING_XEN_EVTCHN.
pub(crate) const XEN_EVTCHN: u32 = 5;

/// KVM_MAX_IRQ_ROUTES: routes of a table, and one more than the highest GSI.
pub(crate) const MAX_ROUTES: u32 = 4096;

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const EINVAL: i32 = 22;

const MSR_IA32_APICBASE_X2APIC: u64 = 1 << 10;

/// `struct kvm_kernel_irq_routing_entry`: one route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) gsi: u32,
    pub(crate) kind: u32,
    pub(crate) payload: [u32; 3],
}

/// What of `struct kvm_arch` decides how routes are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arch {
    pub(crate) x2apic_format: bool,
    pub(crate) x2apic_broadcast_quirk_disabled: bool,
    pub(crate) nr_reserved_ioapic_pins: u32,
}

/// What of a vCPU's local APIC decides what it receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lapic {
    pub(crate) vcpu_id: u32,
    pub(crate) apic_base: u64,
    pub(crate) id: u32,
    pub(crate) ldr: u32,
    pub(crate) dfr: u32,
    pub(crate) isr: [u32; 8],
    pub(crate) irr: [u32; 8],
}

impl Lapic {
    /// Returns a local APIC in xAPIC mode.
    pub(crate) fn xapic(vcpu_id: u32, id: u8, logical_id: u8, dfr: u32) -> Self {
        Self {
            vcpu_id,
            apic_base: 0,
            id: u32::from(id) << 24,
            ldr: u32::from(logical_id) << 24,
            dfr,
            isr: [0; 8],
            irr: [0; 8],
        }
    }

    /// Returns a local APIC in x2APIC mode.
    pub(crate) fn x2apic(vcpu_id: u32, ldr: u32) -> Self {
        Self {
            vcpu_id,
            apic_base: MSR_IA32_APICBASE_X2APIC,
            id: vcpu_id,
            ldr,
            dfr: 0xffff_ffff,
            isr: [0; 8],
            irr: [0; 8],
        }
    }

    /// Tells which mode it is in (`apic_x2apic_mode`).
    pub(crate) fn is_x2apic(&self) -> bool {
        self.apic_base & MSR_IA32_APICBASE_X2APIC != 0
    }

    /// Does `kvm_apic_pending_eoi`.
    pub(crate) fn pending_eoi(&self, vector: u32) -> bool {
        let test = |registers: &[u32; 8]| registers[vector as usize / 32] >> (vector % 32) & 1 == 1;

        test(&self.isr) || test(&self.irr)
    }
}

/// `struct kvm_lapic_irq`: an interrupt on its way to local APICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LapicIrq {
    pub(crate) dest_id: u32,
    pub(crate) logical: bool,
    pub(crate) vector: u32,
    pub(crate) level_triggered: bool,
}

/// Does `kvm_msi_to_lapic_irq`: takes the bit fields of the message apart, lowest first.
pub(crate) fn msi_to_lapic_irq(arch: &Arch, [lo, hi, data]: [u32; 3]) -> LapicIrq {
    // The field at `shift` that is `width` bits wide.
    let field = |word: u32, shift: u32, width: u32| (word >> shift) % (1 << width);

    let mut dest_id = field(lo, 12, 8);
    if arch.x2apic_format {
        dest_id += field(hi, 8, 24) * 0x100;
    }

    LapicIrq {
        dest_id,
        logical: field(lo, 2, 1) == 1,
        vector: field(data, 0, 8),
        level_triggered: field(data, 15, 1) == 1,
    }
}

/// Does `kvm_apic_match_dest` for an interrupt that is not an IPI.
pub(crate) fn match_dest(arch: &Arch, lapic: &Lapic, dest_id: u32, logical: bool) -> bool {
    let x2apic = lapic.is_x2apic();

    let mut mda = dest_id;
    if !arch.x2apic_broadcast_quirk_disabled && dest_id == 0xff && x2apic {
        mda = 0xffff_ffff;
    }

    if mda == if x2apic { 0xffff_ffff } else { 0xff } {
        return true;
    }

    if !logical {
        return if x2apic || mda > 0xff {
            mda == lapic.vcpu_id
        } else {
            mda == lapic.id >> 24
        };
    }

    // The cluster, then the CPUs of that cluster.
    let split = |logical_id: u32, bits: u32| (logical_id / (1 << bits), logical_id % (1 << bits));
    let same_cluster_and_cpu = |logical_id: u32, bits: u32| {
        let (cluster, cpus) = split(logical_id, bits);
        let (mda_cluster, mda_cpus) = split(mda, bits);

        cluster == mda_cluster && cpus & mda_cpus != 0
    };

    if x2apic {
        return same_cluster_and_cpu(lapic.ldr, 16);
    }

    let logical_id = lapic.ldr >> 24;
    match lapic.dfr {
        0xffff_ffff => logical_id & mda != 0,
        0x0fff_ffff => same_cluster_and_cpu(logical_id, 4),
        _ => false,
    }
}

/// What a scan leaves in a vCPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) ioapic_handled_vectors: [bool; 256],
    pub(crate) highest_stale_pending_ioapic_eoi: i32,
}

impl Scan {
    /// Starts a scan as `vcpu_scan_ioapic` does.
    pub(crate) fn new() -> Self {
        Self {
            ioapic_handled_vectors: [false; 256],
            highest_stale_pending_ioapic_eoi: -1,
        }
    }

    /// Does `kvm_scan_ioapic_irq`.
    fn irq(&mut self, arch: &Arch, lapic: &Lapic, irq: &LapicIrq) {
        if match_dest(arch, lapic, irq.dest_id, irq.logical) {
            self.ioapic_handled_vectors[irq.vector as usize] = true;
        } else if lapic.pending_eoi(irq.vector) {
            self.ioapic_handled_vectors[irq.vector as usize] = true;
            if irq.vector as i32 > self.highest_stale_pending_ioapic_eoi {
                self.highest_stale_pending_ioapic_eoi = irq.vector as i32;
            }
        }
    }

    /// Does `kvm_scan_ioapic_routes` for a table, with the local APIC as `lapic_at` returns it
    /// while the given number of GSIs has been looked at.
    pub(crate) fn routes(
        arch: &Arch,
        table: &[Entry],
        mut lapic_at: impl FnMut(usize) -> Lapic,
    ) -> Self {
        let mut scan = Self::new();
        let by_gsi = by_gsi(table);

        for (step, gsi) in (0..arch.nr_reserved_ioapic_pins.min(by_gsi.len() as u32)).enumerate() {
            let Some(entry) = by_gsi[gsi as usize] else {
                continue;
            };
            if entry.kind != MSI {
                continue;
            }

            let irq = msi_to_lapic_irq(arch, entry.payload);
            if irq.level_triggered {
                scan.irq(arch, &lapic_at(step), &irq);
            }
        }

        scan
    }
}

/// Does `kvm_set_irq_routing`: arranges routes by GSI, up to the highest one.
///
/// Only irqchip routes may share a GSI, and a split irqchip has none.
fn by_gsi(table: &[Entry]) -> Vec<Option<Entry>> {
    let nr_rt_entries = table.iter().map(|entry| entry.gsi).max().unwrap_or(0) + 1;
    let mut map = vec![None; nr_rt_entries as usize];

    for entry in table {
        let previous = map[entry.gsi as usize].replace(*entry);
        assert!(previous.is_none(), "GSI {} is routed twice", entry.gsi);
    }

    map
}

/// The SynIC of a virtual processor, by VP index: none if there is no such virtual processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synic {
    pub(crate) active: bool,
    pub(crate) sint: [u64; 16],
    pub(crate) sint_to_gsi: [i32; 16],
}

/// Does `synic_get`.
fn synic_get(synics: &mut [Option<Synic>], vp_index: u32) -> Option<&mut Synic> {
    synics
        .get_mut(vp_index as usize)?
        .as_mut()
        .filter(|synic| synic.active)
}

/// Does `kvm_hv_synic_set_irq` up to the delivery: returns the vector to deliver.
pub(crate) fn synic_set_irq(
    synics: &mut [Option<Synic>],
    [vp_index, sint]: [u32; 2],
    level: i32,
) -> Result<u8, i32> {
    if level == 0 {
        return Err(-EPERM);
    }
    let Some(synic) = synic_get(synics, vp_index) else {
        return Err(-EINVAL);
    };
    if sint >= 16 {
        return Err(-EINVAL);
    }

    let register = synic.sint[sint as usize];
    if register / 0x1_0000 % 2 == 1 {
        return Err(-ENOENT);
    }

    Ok((register % 0x100) as u8)
}

/// Does `kvm_hv_irq_routing_update`.
pub(crate) fn hv_irq_routing_update(synics: &mut [Option<Synic>], table: &[Entry]) {
    for entry in by_gsi(table).into_iter().flatten() {
        if entry.kind != HV_SINT {
            continue;
        }

        let [vp_index, sint, _] = entry.payload;
        if let Some(synic) = synic_get(synics, vp_index) {
            if sint < 16 {
                synic.sint_to_gsi[sint as usize] = entry.gsi as i32;
            }
        }
    }
}
