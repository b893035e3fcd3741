// SPDX-License-Identifier: GPL-2.0
/*
 * Which delivery modes of a level-triggered route of a reserved pin make EOIs
 * exit: those with a vector, fixed and lowest priority.  The vector field of the
 * others has no meaning, so that an EOI of that vector has nothing to do with them.
 *
 * The IRQ whose EOI is looked at is level-triggered too, and sent past the routes.
 */
#include "irqroute.h"
#include "kvm_test_harness.h"

#define NR_PINS		24
#define VECTOR_A	0x31

static void check_delivery_mode(u32 delivery_mode, struct vectors eoi_exits)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A, .delivery_mode = delivery_mode)));
	EXPECT_IDLE(&cpu);

	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), eoi_exits);
	kvm_vm_free(vm);
}

#define DELIVERY_MODE_TEST(name, mode, ...)				\
TEST(name)								\
{									\
	check_delivery_mode((mode) << 8, VECTORS(__VA_ARGS__));		\
}

DELIVERY_MODE_TEST(fixed, 0, VECTOR_A)
DELIVERY_MODE_TEST(lowest_priority, 1, VECTOR_A)
DELIVERY_MODE_TEST(smi, 2)
DELIVERY_MODE_TEST(reserved_3, 3)
DELIVERY_MODE_TEST(nmi, 4)
DELIVERY_MODE_TEST(init, 5)
DELIVERY_MODE_TEST(reserved_6, 6)
DELIVERY_MODE_TEST(extint, 7)

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));

	return test_harness_run(argc, argv);
}
