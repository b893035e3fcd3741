// SPDX-License-Identifier: GPL-2.0
/*
 * A VM on arm64: its vCPUs, and what exits mean. The interrupt controller is in gic.c.
 */
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "guest.h"
#include "vm.h"

/* A vCPU starts at EL1, with the MMU and interrupts off. */
void arch_setup_vcpu(struct vm *vm, int vcpu, const struct machine *machine)
{
	__u64 entry = guest_entry - guest_image;
	struct kvm_one_reg pc = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
		      KVM_REG_ARM_CORE_REG(regs.pc),
		.addr = (uintptr_t)&entry,
	};
	int fd = vm->vcpu_fd[vcpu];
	struct kvm_vcpu_init init;

	must(ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET",
	     "a defect in KVM?");
	must(ioctl(fd, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT", "a defect in KVM?");
	must(ioctl(fd, KVM_SET_ONE_REG, &pc), "KVM_SET_ONE_REG", "a defect in KVM?");
}

static enum progress handle_mmio(struct vm *vm, int vcpu)
{
	struct kvm_run *run = vm->run[vcpu];
	__u32 value;

	memcpy(&value, run->mmio.data, sizeof(value));
	switch (run->mmio.phys_addr - MMIO_BASE) {
	case MMIO_IDLE:
		return PROGRESS_IDLE;
	case MMIO_RECEIVED:
		vm_note(vm, EVENT_RECEIVED, vcpu, value);
		return PROGRESS_RECEIVED;
	case MMIO_LOST:
		die("vCPU %d: an exception with ESR %#x, which the guest does not handle",
		    vcpu, value);
	default:
		die("the guest uses address %#llx, which does not exist", run->mmio.phys_addr);
	}
}

enum progress arch_handle_exit(struct vm *vm, int vcpu)
{
	if (vm->run[vcpu]->exit_reason == KVM_EXIT_MMIO)
		return handle_mmio(vm, vcpu);
	die("vCPU %d: exit reason %u, which this VMM does not handle",
	    vcpu, vm->run[vcpu]->exit_reason);
}
