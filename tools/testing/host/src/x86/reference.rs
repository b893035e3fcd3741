// SPDX-License-Identifier: GPL-2.0

//! What KVM does in C, told a second time.
//!
//! The inputs are the bare integers that KVM works with: registers, flags, errno values. Names are
//! those of KVM, so that this file can be held against `arch/x86/kvm/` side by side.
//! Nothing of `rust/routing/` is used: a mistake there has no way to get in here.

use std::collections::BTreeMap;

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
    pub(crate) delivery_mode: u32,
    pub(crate) msi_redir_hint: bool,
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
        delivery_mode: field(data, 8, 3),
        msi_redir_hint: field(lo, 3, 1) == 1,
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

/// `enum kvm_apic_logical_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogicalMode {
    SwDisabled,
    X2apic,
    XapicFlat,
    XapicCluster,
    MapDisabled,
}

/// A vCPU whose local APIC is enabled by hardware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vcpu {
    pub(crate) lapic: Lapic,
    pub(crate) sw_enabled: bool,
}

/// `struct kvm_apic_map`, with vCPUs by their number in place of pointers.
struct ApicMap {
    logical_mode: LogicalMode,
    max_apic_id: u32,
    phys_map: BTreeMap<u32, usize>,
    xapic_flat_map: [Option<usize>; 8],
    xapic_cluster_map: [[Option<usize>; 4]; 16],
}

impl ApicMap {
    /// Does `kvm_recalculate_apic_map`.
    fn recalculate(arch: &Arch, vcpus: &[Vcpu]) -> Option<Self> {
        let mut map = Self {
            logical_mode: LogicalMode::SwDisabled,
            max_apic_id: 255,
            phys_map: BTreeMap::new(),
            xapic_flat_map: [None; 8],
            xapic_cluster_map: [[None; 4]; 16],
        };

        for vcpu in vcpus {
            map.max_apic_id = map.max_apic_id.max(vcpu.lapic.vcpu_id);
        }
        for (i, vcpu) in vcpus.iter().enumerate() {
            map.add_physical(arch, i, &vcpu.lapic)?;
            map.add_logical(i, vcpu);
        }
        Some(map)
    }

    /// Does `kvm_recalculate_phys_map`.
    fn add_physical(&mut self, arch: &Arch, i: usize, lapic: &Lapic) -> Option<()> {
        let (x2apic_id, xapic_id) = (lapic.vcpu_id, lapic.id >> 24);

        if arch.x2apic_format {
            if lapic.is_x2apic() || x2apic_id > 0xff {
                self.phys_map.insert(x2apic_id, i);
            }
            if !lapic.is_x2apic() && !self.phys_map.contains_key(&xapic_id) {
                self.phys_map.insert(xapic_id, i);
            }
            return Some(());
        }

        let physical_id = if lapic.is_x2apic() {
            x2apic_id
        } else {
            xapic_id
        };
        if self.phys_map.contains_key(&physical_id) {
            return None;
        }
        self.phys_map.insert(physical_id, i);
        Some(())
    }

    /// Does `kvm_recalculate_logical_map`.
    fn add_logical(&mut self, i: usize, vcpu: &Vcpu) {
        let lapic = &vcpu.lapic;

        if self.logical_mode == LogicalMode::MapDisabled || !vcpu.sw_enabled || lapic.ldr == 0 {
            return;
        }

        let logical_mode = if lapic.is_x2apic() {
            LogicalMode::X2apic
        } else {
            match lapic.dfr {
                0xffff_ffff => LogicalMode::XapicFlat,
                0x0fff_ffff => LogicalMode::XapicCluster,
                _ => {
                    self.logical_mode = LogicalMode::MapDisabled;
                    return;
                }
            }
        };
        if self.logical_mode == LogicalMode::SwDisabled {
            self.logical_mode = logical_mode;
        } else if self.logical_mode != logical_mode {
            self.logical_mode = LogicalMode::MapDisabled;
            return;
        }
        if lapic.is_x2apic() {
            return;
        }

        let ldr = (lapic.ldr >> 24) as usize;
        let (slots, mask) = match self.logical_mode {
            LogicalMode::XapicFlat => (&mut self.xapic_flat_map[..], ldr),
            _ => (&mut self.xapic_cluster_map[ldr / 16][..], ldr % 16),
        };
        if mask == 0 {
            return;
        }
        let slot = &mut slots[mask.trailing_zeros() as usize];
        if !mask.is_power_of_two() || slot.is_some() {
            self.logical_mode = LogicalMode::MapDisabled;
        } else {
            *slot = Some(i);
        }
    }

    /// Does `kvm_apic_is_broadcast_dest` without a source.
    fn is_broadcast_dest(&self, arch: &Arch, irq: &LapicIrq) -> bool {
        if arch.x2apic_broadcast_quirk_disabled {
            irq.dest_id == 0xff && self.logical_mode != LogicalMode::X2apic
                || irq.dest_id == 0xffff_ffff
        } else {
            irq.dest_id == 0xff
        }
    }

    /// Does `kvm_apic_map_get_logical_dest`: returns the slots that the destination has bits for, and the
    /// mask of those bits.
    fn logical_dest(&self, vcpus: &[Vcpu], dest_id: u32) -> Option<([Option<usize>; 16], u32)> {
        let mut slots = [None; 16];

        let mask = match self.logical_mode {
            LogicalMode::SwDisabled => 0,
            LogicalMode::X2apic => {
                let mut mask = 0;

                for bit in 0..16 {
                    let id = dest_id / 0x1_0000 * 16 + bit;
                    if dest_id >> bit & 1 == 0 || id > self.max_apic_id {
                        continue;
                    }
                    let slot = self.phys_map.get(&id).copied();
                    if dest_id != 0xff && slot.is_some_and(|i| !vcpus[i].lapic.is_x2apic()) {
                        continue;
                    }
                    slots[bit as usize] = slot;
                    mask |= 1 << bit;
                }
                mask
            }
            LogicalMode::XapicFlat => {
                slots[..8].copy_from_slice(&self.xapic_flat_map);
                dest_id & 0xff
            }
            LogicalMode::XapicCluster => {
                let cluster = dest_id as usize / 16 % 16;

                slots[..4].copy_from_slice(&self.xapic_cluster_map[cluster]);
                if dest_id > 0xff {
                    0
                } else {
                    dest_id % 16
                }
            }
            LogicalMode::MapDisabled => return None,
        };
        Some((slots, mask))
    }

    /// Does `kvm_apic_map_get_dest_lapic` with vector hashing.
    fn dest_lapic(
        &self,
        arch: &Arch,
        vcpus: &[Vcpu],
        irq: &LapicIrq,
    ) -> Option<([Option<usize>; 16], u32)> {
        if self.is_broadcast_dest(arch, irq) {
            return None;
        }
        if !irq.logical {
            let mut slots = [None; 16];

            slots[0] = self.phys_map.get(&irq.dest_id).copied();
            return Some((slots, u32::from(irq.dest_id <= self.max_apic_id)));
        }

        let (slots, mask) = self.logical_dest(vcpus, irq.dest_id)?;
        if mask == 0 || !irq.is_lowest_prio() {
            return Some((slots, mask));
        }
        let nth = irq.vector % mask.count_ones();
        let lowest = (0..16)
            .filter(|bit| mask >> bit & 1 == 1)
            .nth(nth as usize)?;
        Some((slots, u32::from(slots[lowest].is_some()) << lowest))
    }
}

impl LapicIrq {
    /// Does `kvm_lowest_prio_delivery`.
    pub(crate) fn is_lowest_prio(&self) -> bool {
        self.delivery_mode == 1 || self.msi_redir_hint
    }

    /// Does `kvm_irq_is_postable`.
    pub(crate) fn is_postable(&self) -> bool {
        matches!(self.delivery_mode, 0 | 1)
    }
}

/// A VM, as far as devices may post interrupts to its vCPUs.
pub(crate) struct PostingVm<'a> {
    arch: &'a Arch,
    vcpus: &'a [Vcpu],
    map: Option<ApicMap>,
}

impl<'a> PostingVm<'a> {
    pub(crate) fn new(arch: &'a Arch, vcpus: &'a [Vcpu]) -> Self {
        Self {
            arch,
            vcpus,
            map: ApicMap::recalculate(arch, vcpus),
        }
    }

    /// Does the first step of `kvm_irq_delivery_to_apic_fast` and `kvm_intr_is_single_vcpu_fast`.
    fn fast(&self, irq: &LapicIrq) -> Option<([Option<usize>; 16], u32)> {
        self.map.as_ref()?.dest_lapic(self.arch, self.vcpus, irq)
    }

    /// Returns all that match the destination, without a map.
    fn matching(&self, irq: &LapicIrq) -> Vec<usize> {
        (0..self.vcpus.len())
            .filter(|&i| match_dest(self.arch, &self.vcpus[i].lapic, irq.dest_id, irq.logical))
            .collect()
    }

    /// Does `kvm_pi_update_irte` up to the IRTE: returns the vCPU that an MSI is posted to.
    pub(crate) fn posted_to(&self, msi: [u32; 3]) -> Option<usize> {
        let irq = msi_to_lapic_irq(self.arch, msi);

        if !irq.is_postable() {
            return None;
        }
        // kvm_intr_is_single_vcpu_fast()
        if let Some((slots, bitmap)) = self.fast(&irq) {
            let i = slots[bitmap.trailing_zeros() as usize % 16];

            if bitmap.count_ones() == 1 && i.is_some() {
                return i;
            }
        }
        // kvm_intr_is_single_vcpu()
        match self.matching(&irq)[..] {
            [i] => Some(i),
            _ => None,
        }
    }

    /// Does `kvm_irq_delivery_to_apic` with vector hashing, as far as that depends on identities:
    /// returns whom an MSI is delivered to, which is one of them for the lowest priority without a map.
    pub(crate) fn delivered_to(&self, msi: [u32; 3]) -> Vec<usize> {
        let irq = msi_to_lapic_irq(self.arch, msi);

        // kvm_msi_route_invalid()
        if self.arch.x2apic_format && msi[1] % 0x100 != 0 {
            return Vec::new();
        }
        // kvm_irq_delivery_to_apic_fast()
        if let Some((slots, bitmap)) = self.fast(&irq) {
            return (0..16)
                .filter(|bit| bitmap >> bit & 1 == 1)
                .filter_map(|bit| slots[bit])
                .collect();
        }
        self.matching(&irq)
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
