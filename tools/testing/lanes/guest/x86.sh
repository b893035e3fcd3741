# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# What lanes/guests, and inside the VM guest/qemu, know of Linux on QEMU on x86. Sourced.
#
# All devices have a pin of QEMU's I/O APIC, which has to hear of EOIs.
#
# plain   a CPU as KVM has it
# hyperv  with the enlightenments of Hyper-V

KINDS=(plain hyperv)
BOOTS="plain.rust hyperv.verify"	# by default
declare -A CPUS=([plain]=2 [hyperv]=2)
CONSOLE=ttyS0
limit=300	# seconds that a guest may take

# Counted by trace events of KVM: the name of each counter, the event and its filter.
KVM_EXIT_IOAPIC_EOI=26
declare -A EVENTS=([eoi_exits]="kvm_userspace_exit reason == $KVM_EXIT_IOAPIC_EOI")

guest_busybox() { command -v busybox; }

# run_qemu KIND ARGUMENT...
run_qemu()
{
	declare -A features=([hyperv]=",hv-relaxed,hv-vpindex,hv-time,hv-synic,hv-stimer")

	# Without MSI-X vectors a virtio device has a pin, and a level.
	timeout "$limit" qemu-system-x86_64 "${@:2}" -M q35,kernel-irqchip=split \
		-cpu "qemu64,+x2apic${features[$1]:-}" -device virtio-blk-pci,drive=disk,vectors=0 \
		-netdev "$network" -device virtio-net-pci,netdev=net,vectors=0,romfile=
}

more_counters() { :; }

# expect_counters BOOT KIND MODE
expect_counters()
{
	local pins

	# Each interrupt of a level-triggered pin has to be ended in userspace.
	pins=$(interrupts "$1" 'IO-APIC .*fasteoi')
	expect "$1" eoi_exits -ge $((pins > 0 ? pins : 1))
	[ "$3" != c ] || return 0
	expect "$1" vms_total -eq 1
	expect "$1" scans -gt 0
}
