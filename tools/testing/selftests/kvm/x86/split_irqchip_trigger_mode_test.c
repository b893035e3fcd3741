// SPDX-License-Identifier: GPL-2.0
/*
 * EOIs of a vector that both level-triggered and edge-triggered IRQs use: all of them
 * are reported.  The trigger mode register (TMR) does not tell them apart, because it
 * has the mode of the IRQ that arrived last, not of the one in service.
 */
#include <sys/eventfd.h>

#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24
#define VECTOR_A	0x31

#define GSI_LEVEL	5
#define GSI_EDGE_PIN	6
#define GSI_EDGE	40

/* x2APIC MSR of the self-IPI register. */
#define MSR_SELF_IPI	(APIC_BASE_MSR + (APIC_SELF_IPI >> 4))

FIXTURE(trigger_mode) {
	struct kvm_vm *vm;
	struct irq_cpu cpu;
};

FIXTURE_SETUP(trigger_mode)
{
	self->vm = vm_create_split_with_cpus(&self->cpu, 1, NR_PINS, guest_x2apic);
	SET_ROUTES(self->vm, msi_route(GSI_LEVEL, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(GSI_EDGE_PIN, EDGE_MSI(0, VECTOR_A)),
		   msi_route(GSI_EDGE, EDGE_MSI(0, VECTOR_A)));
	EXPECT_IDLE(&self->cpu);
}

FIXTURE_TEARDOWN(trigger_mode)
{
	kvm_vm_free(self->vm);
}

#define EXPECT_REPORTED(_self)	EXPECT_TAKE(&(_self)->cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A))

TEST_F(trigger_mode, level_route)
{
	raise_gsi(self->vm, GSI_LEVEL);
	EXPECT_REPORTED(self);
}

TEST_F(trigger_mode, edge_route_of_pin)
{
	raise_gsi(self->vm, GSI_EDGE_PIN);
	EXPECT_REPORTED(self);
}

TEST_F(trigger_mode, edge_route)
{
	raise_gsi(self->vm, GSI_EDGE);
	EXPECT_REPORTED(self);
}

TEST_F(trigger_mode, edge_irqfd)
{
	int eventfd = kvm_new_eventfd();

	kvm_assign_irqfd(self->vm, GSI_EDGE, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	/* De-assigning completes what has not been injected yet. */
	kvm_deassign_irqfd(self->vm, GSI_EDGE, eventfd);
	close(eventfd);
	EXPECT_REPORTED(self);
}

TEST_F(trigger_mode, msi_without_a_route)
{
	TEST_ASSERT_EQ(signal_msi(self->vm, EDGE_MSI(0, VECTOR_A)), 1);
	EXPECT_REPORTED(self);
	TEST_ASSERT_EQ(signal_msi(self->vm, LEVEL_MSI(0, VECTOR_A)), 1);
	EXPECT_REPORTED(self);
}

TEST_F(trigger_mode, self_ipi)
{
	irq_cpu_call(&self->cpu, guest_wrmsr, MSR_SELF_IPI, VECTOR_A);
	EXPECT_REPORTED(self);
}

TEST_F(trigger_mode, one_after_the_other)
{
	int i;

	for (i = 0; i < 3; i++) {
		raise_gsi(self->vm, GSI_LEVEL);
		EXPECT_REPORTED(self);
		raise_gsi(self->vm, GSI_EDGE);
		EXPECT_REPORTED(self);
	}
}

/* The IRQ came by a level route that is gone. */
TEST_F(trigger_mode, level_in_flight)
{
	raise_gsi(self->vm, GSI_LEVEL);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	SET_ROUTES(self->vm, msi_route(GSI_LEVEL, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_EOI(&self->cpu, VECTORS(VECTOR_A));
}

/* The edge clears the bit in TMR while the EOI of the level is still to come. */
TEST_F(trigger_mode, edge_arrives_with_level_in_service)
{
	raise_gsi(self->vm, GSI_LEVEL);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	raise_gsi(self->vm, GSI_EDGE);
	EXPECT_EOI(&self->cpu, VECTORS(VECTOR_A));
	EXPECT_REPORTED(self);
}

TEST_F(trigger_mode, edge_arrives_with_level_pending)
{
	raise_gsi(self->vm, GSI_LEVEL);
	raise_gsi(self->vm, GSI_EDGE);
	EXPECT_REPORTED(self);
}

/* As above, and then the route goes. */
TEST_F(trigger_mode, edge_arrives_and_route_is_removed)
{
	raise_gsi(self->vm, GSI_LEVEL);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	raise_gsi(self->vm, GSI_EDGE);
	SET_ROUTES(self->vm, msi_route(GSI_EDGE, EDGE_MSI(0, VECTOR_A)));
	EXPECT_EOI(&self->cpu, VECTORS(VECTOR_A));
}

/* As above, and the vCPU has not looked at the table of the level route. */
static void remove_before_a_look(struct kvm_vm *vm, struct irq_cpu *cpu, u32 dest, u64 x2apic_api)
{
	SET_ROUTES(vm, msi_route(GSI_EDGE, EDGE_MSI(0, VECTOR_A)));
	EXPECT_IDLE(cpu);
	SET_ROUTES(vm, msi_route(GSI_LEVEL, LEVEL_MSI(dest, VECTOR_A)),
		   msi_route(GSI_EDGE, EDGE_MSI(0, VECTOR_A)));
	raise_gsi(vm, GSI_LEVEL);
	raise_gsi(vm, GSI_EDGE);
	if (x2apic_api)
		vm_enable_cap(vm, KVM_CAP_X2APIC_API, x2apic_api);
	SET_ROUTES(vm, msi_route(GSI_EDGE, EDGE_MSI(0, VECTOR_A)));
	EXPECT_TAKE(cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	/* It has looked since. */
	raise_gsi(vm, GSI_EDGE);
	EXPECT_TAKE(cpu, VECTORS(VECTOR_A), NO_VECTORS);
}

TEST_F(trigger_mode, edge_arrives_and_route_is_removed_before_a_look)
{
	remove_before_a_look(self->vm, &self->cpu, 0, 0);
}

TEST_F(trigger_mode, edge_arrives_and_broadcast_is_removed_before_a_look)
{
	remove_before_a_look(self->vm, &self->cpu, XAPIC_BROADCAST, 0);
}

/* By then the route is no broadcast any more. */
TEST_F(trigger_mode, edge_arrives_and_quirk_and_broadcast_are_removed_before_a_look)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	remove_before_a_look(self->vm, &self->cpu, XAPIC_BROADCAST,
			     KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
}

/* Nor has the vCPU the ID any more. */
TEST_F(trigger_mode, edge_arrives_and_format_changes_and_route_is_removed_before_a_look)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	remove_before_a_look(self->vm, &self->cpu, 0x100, KVM_X2APIC_API_USE_32BIT_IDS);
}

/* Where userspace has no I/O APIC, it waits for no EOI. */
TEST(level_without_pins)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, 0, guest_xapic);

	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, VECTOR_A)), 1);
	/* The vCPU looks for EOIs to report once more. */
	irq_cpu_apic_write(&cpu, APIC_LDR, 0);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));

	return test_harness_run(argc, argv);
}
