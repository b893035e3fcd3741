/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of SINT routes share: vCPUs with a SynIC, and a device that
 * hears of EOI and EOM.
 */
#ifndef SELFTEST_KVM_SYNIC_H
#define SELFTEST_KVM_SYNIC_H

#include <sys/eventfd.h>

#include "hyperv.h"
#include "irqroute.h"

#define HV_SINT_MASKED		BIT_ULL(16)
#define HV_SINT_AUTO_EOI	BIT_ULL(17)
#define HV_NR_SINTS		16

static inline void set_sint(struct irq_cpu *cpu, u32 sint, u64 val)
{
	vcpu_set_msr(cpu->vcpu, HV_X64_MSR_SINT0 + sint, val);
}

/* A vCPU with an active SynIC, all of whose SINTs are masked. */
static inline void synic_cpu_add(struct irq_cpu *cpu, struct kvm_vm *vm, u32 id, u32 vp_index)
{
	irq_cpu_create(cpu, vm, id);
	vcpu_set_hv_cpuid(cpu->vcpu);
	vcpu_enable_cap(cpu->vcpu, KVM_CAP_HYPERV_SYNIC2, 0);
	vcpu_set_msr(cpu->vcpu, HV_X64_MSR_VP_INDEX, vp_index);
	irq_cpu_start(cpu, guest_x2apic);
}

static inline struct kvm_vm *vm_create_synic(struct irq_cpu *cpus, u32 nr_cpus)
{
	struct kvm_vm *vm = vm_create(nr_cpus);
	u32 i;

	for (i = 0; i < nr_cpus; i++)
		synic_cpu_add(&cpus[i], vm, i, i);
	return vm;
}

static __maybe_unused void guest_eom(void)
{
	wrmsr(HV_X64_MSR_EOM, 0);
}

/* What a device would use: it raises the GSI and hears when it is acknowledged. */
struct resample_irqfd {
	struct kvm_vm *vm;
	u32 gsi;
	int eventfd, resamplefd;
};

static inline void resample_irqfd_ioctl(struct resample_irqfd *r, u32 flags)
{
	struct kvm_irqfd irqfd = {
		.fd = r->eventfd,
		.gsi = r->gsi,
		.flags = flags,
		.resamplefd = r->resamplefd,
	};

	vm_ioctl(r->vm, KVM_IRQFD, &irqfd);
}

static inline struct resample_irqfd resample_irqfd_new(struct kvm_vm *vm, u32 gsi)
{
	struct resample_irqfd r = {
		.vm = vm,
		.gsi = gsi,
		.eventfd = kvm_new_eventfd(),
		.resamplefd = eventfd(0, EFD_NONBLOCK),
	};

	TEST_ASSERT(r.resamplefd >= 0, "eventfd() failed");
	resample_irqfd_ioctl(&r, KVM_IRQFD_FLAG_RESAMPLE);
	return r;
}

static inline void resample_irqfd_free(struct resample_irqfd *r)
{
	resample_irqfd_ioctl(r, KVM_IRQFD_FLAG_DEASSIGN);
	close(r->eventfd);
	close(r->resamplefd);
}

static inline void resample_irqfd_raise(struct resample_irqfd *r)
{
	TEST_ASSERT_EQ(eventfd_write(r->eventfd, 1), 0);
}

static inline u64 nr_acks(struct resample_irqfd *r)
{
	eventfd_t acks = 0;

	if (eventfd_read(r->resamplefd, &acks))
		TEST_ASSERT_EQ(errno, EAGAIN);
	return acks;
}

/* The GSI was acknowledged so many times since it was asked before. */
#define EXPECT_ACKS(_resample_irqfd, _nr)	\
	TEST_ASSERT_EQ(nr_acks(_resample_irqfd), (u64)(_nr))

#endif /* SELFTEST_KVM_SYNIC_H */
