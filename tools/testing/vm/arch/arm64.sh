# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the test bed knows of arm64. Sourced by lib.sh. All of it is cross-compiled, and
# emulated: the VM has a root of its own, in which it finds the host's folders.

ARCH_PACKAGES=(qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross debootstrap debian-archive-keyring)
QEMU=qemu-system-aarch64
VMM_PACKAGE=qemu-system-arm	# in the root of the VM
KERNEL_IMAGE=arch/arm64/boot/Image
MAKE_ARGS+=(ARCH=arm64)
# Clang needs no other compiler for it.
[[ " ${MAKE_ARGS[*]} " == *" LLVM=1 "* ]] || MAKE_ARGS+=("CROSS_COMPILE=${CROSS_COMPILE:-aarch64-linux-gnu-}")
SELFTESTS_MAKE=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- LLVM=)
SELFTESTS_SOURCE=(arch/arm64/tools)	# what they are built from besides tools/

# QEMU's machine, for each accelerator: a hypervisor's CPU, GICv3 and ITS. Emulating the
# architecture's own pointer authentication takes most of the time. Instructions are counted
# on a CPU that exists: "max" copies any amount of memory with one, and clears 512 bytes at
# once. Its counter runs at 1 GHz, and so counts each of them.
VIRT="-M virt,virtualization=on,gic-version=3"
declare -A QEMU_MACHINE=(
	[tcg]="$VIRT -cpu max,pauth-impdef=on"
	[icount]="$VIRT -cpu neoverse-n1,cntfrq=1000000000"
)
SPARE_CPUS=0
QEMU_DEVICES=
SERIAL_PORTS=6	# of a device: virtme-ng has all of its own on one

# What of the kernel's own runs into irqfds, their routes and the vgic.
KERNEL_TESTS=(
	irqfd_test
	arm64/vgic_init
	arm64/vgic_irq
	arm64/vgic_lpi_stress
)

# An x86 host has no use for its KVM.
host_kvm_nests() { false; }

# KVM is part of the kernel's image.
KVM_FILE=$KERNEL_IMAGE
kvm_modules() { MODULES=([arm]=""); }

cpu_vendor() { echo arm; }
