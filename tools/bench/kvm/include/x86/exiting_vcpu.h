/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that exits whenever it runs, for ever, and does nothing else.
 */
#ifndef SELFTEST_KVM_EXITING_VCPU_H
#define SELFTEST_KVM_EXITING_VCPU_H

#include "irqroute.h"

#define EXIT_PORT		0x10

static __maybe_unused void guest_exits(void)
{
	x2apic_enable();
	for (;;)
		asm volatile("outb %%al, %0" :: "i"(EXIT_PORT));
}

/* A vCPU of a split irqchip that has enabled its local APIC. */
static inline struct kvm_vcpu *exiting_vcpu_add(struct kvm_vm *vm, u32 id)
{
	struct kvm_vcpu *vcpu = vm_vcpu_add(vm, id, guest_exits);

	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	return vcpu;
}

#endif /* SELFTEST_KVM_EXITING_VCPU_H */
