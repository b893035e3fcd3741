// SPDX-License-Identifier: GPL-2.0
/*
 * Which delivery modes of a level-triggered route of a reserved pin make EOIs
 * exit: those with a vector, fixed and lowest priority.  The vector field of the
 * others has no meaning, so that an EOI of that vector has nothing to do with them.
 *
 * The IRQ whose EOI is looked at is level-triggered too, and sent past the routes.
 */
#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24
#define VECTOR_A	0x31

/* @mode is what bits 10:8 of the MSI data hold. */
static void check_delivery_mode(u32 mode, struct vectors eoi_exits)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A, .delivery_mode = mode << 8)));
	EXPECT_IDLE(&cpu);

	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), eoi_exits);
	kvm_vm_free(vm);
}

TEST(fixed)
{
	check_delivery_mode(0, VECTORS(VECTOR_A));
}

TEST(lowest_priority)
{
	check_delivery_mode(1, VECTORS(VECTOR_A));
}

TEST(smi)
{
	check_delivery_mode(2, NO_VECTORS);
}

TEST(reserved_3)
{
	check_delivery_mode(3, NO_VECTORS);
}

TEST(nmi)
{
	check_delivery_mode(4, NO_VECTORS);
}

TEST(init)
{
	check_delivery_mode(5, NO_VECTORS);
}

TEST(reserved_6)
{
	check_delivery_mode(6, NO_VECTORS);
}

TEST(extint)
{
	check_delivery_mode(7, NO_VECTORS);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));

	return test_harness_run(argc, argv);
}
