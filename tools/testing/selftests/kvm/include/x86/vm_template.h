/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM that is set up once and opened many times: what takes long is the memory, with
 * the code and stacks of all vCPUs that the VM may get.
 */
#ifndef SELFTEST_KVM_VM_TEMPLATE_H
#define SELFTEST_KVM_VM_TEMPLATE_H

#include "irqroute.h"
#include "synic.h"

#define MAX_CPUS	4

/* APIC IDs: adjacent ones, one in another x2APIC cluster, one that xAPIC cannot have. */
static const u32 cpu_ids[MAX_CPUS] = { 0, 1, 18, 260 };

struct vm_template {
	struct kvm_vm *vm;
	void *memory;		/* what it is before the first step */
	struct {
		struct guest_cpu *guest;
		struct kvm_sregs sregs;
		struct kvm_regs regs;
		struct kvm_xcrs xcrs;
	} made[MAX_CPUS];
};

static inline size_t vm_template_size(struct vm_template *t)
{
	return memslot2region(t->vm, 0)->region.memory_size;
}

static inline void vm_template_make(struct vm_template *t)
{
	struct irq_cpu cpu;
	int i;

	t->vm = vm_create(MAX_CPUS);
	for (i = 0; i < MAX_CPUS; i++) {
		irq_cpu_create(&cpu, t->vm, i);
		t->made[i].guest = cpu.guest;
		vcpu_sregs_get(cpu.vcpu, &t->made[i].sregs);
		vcpu_regs_get(cpu.vcpu, &t->made[i].regs);
		vcpu_ioctl(cpu.vcpu, KVM_GET_XCRS, &t->made[i].xcrs);
	}
}

/* Keeps the memory as it is now, with all handlers installed. */
static inline void vm_template_keep(struct vm_template *t)
{
	kvm_vm_release(t->vm);
	t->vm->has_irqchip = false;

	t->memory = malloc(vm_template_size(t));
	TEST_ASSERT(t->memory, "Insufficient memory");
	memcpy(t->memory, addr_gpa2hva(t->vm, 0), vm_template_size(t));
}

/* Opens the VM anew, without an irqchip or vCPUs. */
static inline void vm_template_open(struct vm_template *t)
{
	kvm_vm_restart(t->vm);
	memcpy(addr_gpa2hva(t->vm, 0), t->memory, vm_template_size(t));
}

/* Adds a vCPU, which has yet to be started. */
static inline void vm_template_add_cpu(struct vm_template *t, struct irq_cpu *cpu, u32 index,
				       bool hyperv)
{
	struct kvm_mp_state mp_state = { .mp_state = KVM_MP_STATE_RUNNABLE };

	cpu->vcpu = __vm_vcpu_add(t->vm, cpu_ids[index]);
	cpu->guest = t->made[index].guest;
	if (hyperv)
		vcpu_set_hv_cpuid(cpu->vcpu);
	else
		vcpu_init_cpuid(cpu->vcpu, kvm_get_supported_cpuid());
	vcpu_sregs_set(cpu->vcpu, &t->made[index].sregs);
	vcpu_xcrs_set(cpu->vcpu, &t->made[index].xcrs);
	vcpu_regs_set(cpu->vcpu, &t->made[index].regs);
	vcpu_mp_state_set(cpu->vcpu, &mp_state);
}

#endif /* SELFTEST_KVM_VM_TEMPLATE_H */
