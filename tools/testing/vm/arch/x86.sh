# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the test bed knows of x86. Sourced by lib.sh.

ARCH_PACKAGES=(qemu-system-x86)
QEMU=qemu-system-x86_64
KERNEL_IMAGE=arch/x86/boot/bzImage
SELFTESTS_MAKE=(ARCH=x86 LLVM=)
SELFTESTS_SOURCE=()
# Where selftests have modules of their own.
TEST_MODULES=test_modules

# QEMU's machine, for each accelerator. TCG counts each round of a rep instruction: with
# erms and fsrm, a copy of n bytes would be n instructions.
declare -A QEMU_MACHINE=(
	[tcg]="-cpu max"
	[icount]="-cpu max,-erms,-fsrm"
	[kvm]="-cpu host"
)

# In QEMU, whichever CPU loads an FPU state writes to a word of CPU 0 that holds the state of SVM too:
# a write of CPU 0 is lost at times, and with it a guest, or the VM (testing.rst).
SPARE_CPUS=1

# Besides what QEMU and virtme-ng have anyway: a PCI device with an MSI, for vfio_irqfd.
QEMU_DEVICES="-device edu"

# Of a device: virtme-ng has one for each of its ports, and we have three on ours.
SERIAL_PORTS=3

# What of the kernel's own runs into the code that the helper takes over. Tests
# that bound wall time are left out: under TCG they fail with any kernel.
KERNEL_TESTS=(
	irqfd_test
	x86/hyperv_cpuid
	x86/hyperv_features
	x86/hyperv_ipi
	x86/recalc_apic_map_test
	x86/set_boot_cpu_id
	x86/userspace_io_test
	x86/xapic_state_test
)

# A /dev/kvm alone proves nothing: the VM needs its CPU to offer SVM or VMX.
host_kvm_nests()
{
	local vendor flag

	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
	for vendor in amd:svm intel:vmx; do
		flag=${vendor#*:}
		vendor=${vendor%:*}
		grep -qsw "$flag" /proc/cpuinfo || continue
		grep -qs '^[Y1]' "/sys/module/kvm_$vendor/parameters/nested" && return
	done
	return 1
}

# What a folder with another KVM has.
KVM_FILE=kvm.ko

# kvm_modules KDIR KVM: the modules that a guest is to load on a CPU of either vendor, in
# this order.
kvm_modules()
{
	local common="$1/virt/lib/irqbypass.ko $2/kvm.ko"

	MODULES=([amd]="$common $2/kvm-amd.ko" [intel]="$common $2/kvm-intel.ko")
}

# In the VM: whose CPU it is.
cpu_vendor()
{
	local line

	while read -r line; do
		case "$line " in
		flags*\ svm\ *) echo amd; break ;;
		flags*\ vmx\ *) echo intel; break ;;
		esac
	done </proc/cpuinfo
}
