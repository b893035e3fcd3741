// SPDX-License-Identifier: GPL-2.0
/*
 * Which GSIs hear of the EOI and EOM of a SINT: all those that the current table
 * routes to it, and no others.
 *
 * KVM's own code keeps one GSI for each SINT, which it sets when a table is set
 * and never takes away.
 */
#include "irqroute_harness.h"
#include "synic.h"

#define VECTOR_A	0x31
#define VECTOR_B	0x42

#define GSI_A		40
#define GSI_B		41

#define SINT_A		2
#define SINT_B		3

/* A vCPU with VP index 0 and a device with a route to its SINT A. */
FIXTURE(sint_ack) {
	struct kvm_vm *vm;
	struct irq_cpu cpu;
	struct resample_irqfd irqfd;
};

FIXTURE_SETUP(sint_ack)
{
	self->vm = vm_create_synic(&self->cpu, 1);
	self->irqfd = resample_irqfd_new(self->vm, GSI_A);
	set_sint(&self->cpu, SINT_A, VECTOR_A);
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, SINT_A));
}

FIXTURE_TEARDOWN(sint_ack)
{
	resample_irqfd_free(&self->irqfd);
	kvm_vm_free(self->vm);
}

/* All SINTs of the vCPU are acknowledged, whether or not anything is in flight. */
static void expect_acks_by_eom(FIXTURE_DATA(sint_ack) * self, u64 nr)
{
	irq_cpu_call(&self->cpu, guest_eom, 0, 0);
	EXPECT_ACKS(&self->irqfd, nr);
}

TEST_F(sint_ack, route_in_the_table)
{
	expect_acks_by_eom(self, 1);
}

TEST_F(sint_ack, route_removed)
{
	SET_ROUTES(self->vm);
	expect_acks_by_eom(self, 0);
}

TEST_F(sint_ack, gsi_moved_to_ioapic_pin)
{
	SET_ROUTES(self->vm, irqchip_route(GSI_A, KVM_IRQCHIP_IOAPIC, 20));
	expect_acks_by_eom(self, 0);
}

TEST_F(sint_ack, gsi_moved_to_other_sint)
{
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, SINT_B));
	expect_acks_by_eom(self, 1);
}

TEST_F(sint_ack, gsi_moved_to_other_vp)
{
	SET_ROUTES(self->vm, sint_route(GSI_A, 1, SINT_A));
	expect_acks_by_eom(self, 0);
}

TEST_F(sint_ack, route_removed_in_flight)
{
	resample_irqfd_raise(&self->irqfd);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	SET_ROUTES(self->vm);
	EXPECT_EOI(&self->cpu, NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 0);
}

TEST_F(sint_ack, vp_index_changed_to_that_of_route)
{
	set_sint(&self->cpu, SINT_B, VECTOR_B);
	SET_ROUTES(self->vm, sint_route(GSI_A, 1, SINT_B));
	vcpu_set_msr(self->cpu.vcpu, HV_X64_MSR_VP_INDEX, 1);

	resample_irqfd_raise(&self->irqfd);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_B), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);
}

TEST_F(sint_ack, vp_index_changed_from_that_of_route)
{
	vcpu_set_msr(self->cpu.vcpu, HV_X64_MSR_VP_INDEX, 1);
	expect_acks_by_eom(self, 0);
}

TEST_F(sint_ack, two_gsis_share_a_sint)
{
	struct resample_irqfd irqfd_b = resample_irqfd_new(self->vm, GSI_B);

	SET_ROUTES(self->vm, sint_route(GSI_B, 0, SINT_A), sint_route(GSI_A, 0, SINT_A));

	resample_irqfd_raise(&self->irqfd);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&irqfd_b, 1);
	EXPECT_ACKS(&self->irqfd, 1);
	expect_acks_by_eom(self, 1);
	EXPECT_ACKS(&irqfd_b, 1);
	resample_irqfd_free(&irqfd_b);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_VP_INDEX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SYS_HYPERV_CPUID));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));

	return test_harness_run(argc, argv);
}
