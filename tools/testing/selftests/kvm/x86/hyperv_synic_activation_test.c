// SPDX-License-Identifier: GPL-2.0
/*
 * SINT routes that are older than the SynIC they point to: EOI and EOM have to
 * reach the GSI although no routing table was set since the SynIC is active.
 *
 * KVM's own code forgets such routes until the next table.
 */
#include "irqroute_harness.h"
#include "synic.h"

#define VECTOR_A	0x31
#define VECTOR_B	0x42

#define GSI_A		40
#define GSI_B		41

static void expect_acks_by_eoi_and_eom(struct irq_cpu *cpu, u8 vector,
				       struct resample_irqfd *irqfd)
{
	resample_irqfd_raise(irqfd);
	EXPECT_TAKE(cpu, VECTORS(vector), NO_VECTORS);
	EXPECT_ACKS(irqfd, 1);
	irq_cpu_call(cpu, guest_eom, 0, 0);
	EXPECT_ACKS(irqfd, 1);
}

TEST(synic_activated_after_routes)
{
	struct kvm_vm *vm = vm_create(1);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, GSI_A);
	struct irq_cpu cpu;

	irq_cpu_create(&cpu, vm, 0);
	vcpu_set_hv_cpuid(cpu.vcpu);
	irq_cpu_start(&cpu, guest_x2apic);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));

	vcpu_enable_cap(cpu.vcpu, KVM_CAP_HYPERV_SYNIC2, 0);
	set_sint(&cpu, 2, VECTOR_A);
	expect_acks_by_eoi_and_eom(&cpu, VECTOR_A, &irqfd);
	resample_irqfd_free(&irqfd);
	kvm_vm_free(vm);
}

TEST(vcpu_created_after_routes)
{
	struct kvm_vm *vm = vm_create(1);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, GSI_A);
	struct irq_cpu cpu;

	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	synic_cpu_add(&cpu, vm, 0, 0);
	set_sint(&cpu, 2, VECTOR_A);
	expect_acks_by_eoi_and_eom(&cpu, VECTOR_A, &irqfd);
	resample_irqfd_free(&irqfd);
	kvm_vm_free(vm);
}

/* One SynIC is there before the routes, one comes after. */
TEST(second_synic_activated_after_routes)
{
	struct kvm_vm *vm = vm_create(2);
	struct resample_irqfd irqfd_a = resample_irqfd_new(vm, GSI_A);
	struct resample_irqfd irqfd_b = resample_irqfd_new(vm, GSI_B);
	struct irq_cpu cpus[2];

	synic_cpu_add(&cpus[0], vm, 0, 0);
	set_sint(&cpus[0], 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2), sint_route(GSI_B, 1, 2));
	synic_cpu_add(&cpus[1], vm, 1, 1);
	set_sint(&cpus[1], 2, VECTOR_B);

	expect_acks_by_eoi_and_eom(&cpus[0], VECTOR_A, &irqfd_a);
	EXPECT_ACKS(&irqfd_b, 0);
	expect_acks_by_eoi_and_eom(&cpus[1], VECTOR_B, &irqfd_b);
	EXPECT_ACKS(&irqfd_a, 0);
	resample_irqfd_free(&irqfd_a);
	resample_irqfd_free(&irqfd_b);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_VP_INDEX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SYS_HYPERV_CPUID));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));

	return test_harness_run(argc, argv);
}
