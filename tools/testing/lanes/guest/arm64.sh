# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# What lanes/guests, and inside the VM guest/qemu, know of Linux on QEMU on arm64. Sourced.
#
# msi  Devices send MSIs to an ITS: the disk by irqfds, as a thread of its own serves it, and the
#      network card by KVM_SIGNAL_MSI.
# spi  There is no ITS, and devices have lines: the network card raises its by an irqfd with a
#      resamplefd, as another process emulates it, and the disk by KVM_IRQ_LINE.
#
# These are two, as QEMU's irqfds for SPIs go by KVM's default routes, which the first route of an
# MSI replaces.

KINDS=(msi spi)
BOOTS="spi.rust msi.verify"	# by default
# Of two CPUs that access a proxied device at the same time, QEMU 10.0 turns one away.
declare -A CPUS=([msi]=2 [spi]=1)
CONSOLE=ttyAMA0

# The pin of the network card without an ITS: the first of four for PCI is 3, and it is in slot 1.
PIN=4
INTID=$((32 + PIN))

# Counted by trace events of KVM: the name of each counter, the event and its filter.
declare -A EVENTS=(
	[raised]="vgic_update_irq_pending irq == $INTID && level == 1"
	[raised_by_ioctl]="kvm_irq_line irq_num == $INTID && level == 1"
	[ended]="kvm_ack_irq pin == $PIN"
	# An irqfd has work done for its first MSI, and whenever the ITS has to be asked.
	[irqfd_works]="kvm_set_irq level == 1"
)

guest_busybox() { echo "$("$VM/root")/bin/busybox"; }

# with_sockets COMMAND...: runs it with a pair of connected sockets as files 3 and 4, which the
# shell cannot make.
with_sockets()
{
	# shellcheck disable=SC2016 # perl's variables
	perl -MSocket -e '$^F = 4; socketpair(A, B, AF_UNIX, SOCK_STREAM, 0) or die $!; exec @ARGV' "$@"
}

# run_qemu KIND ARGUMENT...
run_qemu()
{
	local qemu=(timeout "$limit" qemu-system-aarch64 "${@:2}") nic=virtio-net-pci,netdev=net,romfile=

	if [ "$1" = msi ]; then
		"${qemu[@]}" -M virt,gic-version=3 -cpu host -D /tmp/qemu.log -trace virtio_notify_irqfd \
			-object iothread,id=thread -device virtio-blk-pci,drive=disk,iothread=thread \
			-netdev "$network" -device "$nic"
		return
	fi

	# The other process maps all memory from files, of which that for stolen time has none.
	qemu+=(-M "virt,gic-version=3,its=off,memory-backend=ram" -cpu "host,kvm-steal-time=off"
	       -object "memory-backend-memfd,id=ram,size=$memory,share=on"
	       -device "x-pci-proxy-dev,id=nic,fd=4,addr=1" -device "virtio-blk-pci,drive=disk,addr=2")
	# It ends when the socket of this one is closed.
	# shellcheck disable=SC2016 # the inner shell's variables
	with_sockets bash -c '
		qemu-system-aarch64 -M x-remote -nodefaults -display none -netdev "$0" -device "$1" \
			-object x-remote-object,id=remote,devid=nic,fd=3 4>&- &
		exec "${@:2}" 3>&-' \
		"$network" "$nic,id=nic,vectors=0,disable-modern=on,disable-legacy=off" "${qemu[@]}"
}

more_counters()
{
	[ "$1" != msi ] || echo "== counter irqfd_msis $(grep -c ^virtio_notify_irqfd /tmp/qemu.log)"
}

# expect_counters BOOT KIND MODE
expect_counters()
{
	local taken counter

	case $2 in
	msi)	taken=$(interrupts "$1" 'ITS-PCI-MSI.*-req')
		expect "$1" irqfd_msis -ge $((taken > 0 ? taken : 1))
		expect "$1" irqfd_works -gt 0 ;;
	spi)	taken=$(interrupts "$1" "GICv3 +$INTID ")
		expect "$1" raised -ge $((taken > 0 ? taken : 1))
		expect "$1" raised_by_ioctl -eq 0
		expect "$1" ended -ge $((taken > 0 ? taken : 1)) ;;
	esac
	[ "$3" != c ] || return 0
	# QEMU makes one more, to find out what CPUs there are.
	expect "$1" vms_total -gt 0
	if [ "$2" = spi ]; then
		expect "$1" spi_changes -ge "$taken"
		expect "$1" spi_acks -ge "$taken"
	fi
	for counter in dead_no_{spi,its,device_id,doorbell} dead_long_id; do
		expect "$1" "$counter" -eq 0
	done
}
