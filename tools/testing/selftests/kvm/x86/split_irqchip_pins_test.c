// SPDX-License-Identifier: GPL-2.0
/*
 * How many GSIs KVM_CAP_SPLIT_IRQCHIP reserves: as many as it is asked for, up to
 * KVM_MAX_IRQ_ROUTES.
 */
#include "irqroute.h"
#include "irqroute_harness.h"

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

TEST(pins_1)
{
	check_pins(1);
}

TEST(pins_24)
{
	check_pins(24);
}

TEST(pins_255)
{
	check_pins(255);
}

TEST(pins_256)
{
	check_pins(256);
}

TEST(pins_257)
{
	check_pins(257);
}

TEST(pins_511)
{
	check_pins(511);
}

TEST(pins_4095)
{
	check_pins(4095);
}

TEST(pins_4096)
{
	check_pins(4096);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));

	return test_harness_run(argc, argv);
}
