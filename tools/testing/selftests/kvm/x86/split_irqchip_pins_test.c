// SPDX-License-Identifier: GPL-2.0
/*
 * How many GSIs KVM_CAP_SPLIT_IRQCHIP reserves: as many as it is asked for, up to
 * KVM_MAX_IRQ_ROUTES.
 */
#include "irqroute.h"
#include "kvm_test_harness.h"

#define VECTOR_IN	0x31
#define VECTOR_OUT	0x42

#define MAX_GSIS	4096

static void check_pins(u32 nr_pins)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, nr_pins, guest_xapic);
	struct kvm_irq_routing_entry routes[] = {
		msi_route(nr_pins - 1, LEVEL_MSI(0, VECTOR_IN)),
		msi_route(nr_pins, LEVEL_MSI(0, VECTOR_OUT)),
	};
	bool all = nr_pins == MAX_GSIS;

	TEST_ASSERT_EQ(__set_routes(vm, routes, all ? 1 : 2, 0), 0);

	raise_gsi(vm, nr_pins - 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_IN), VECTORS(VECTOR_IN));
	if (!all) {
		raise_gsi(vm, nr_pins);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_OUT), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

#define PINS_TEST(nr_pins)			\
TEST(pins_##nr_pins)				\
{						\
	check_pins(nr_pins);			\
}

PINS_TEST(1)
PINS_TEST(24)
PINS_TEST(255)
PINS_TEST(256)
PINS_TEST(257)
PINS_TEST(511)
PINS_TEST(4095)
PINS_TEST(4096)

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));

	return test_harness_run(argc, argv);
}
