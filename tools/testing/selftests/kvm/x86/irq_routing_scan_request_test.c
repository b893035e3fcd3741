// SPDX-License-Identifier: GPL-2.0
/*
 * Which updates of the routing table make a vCPU scan: those that change what
 * level-triggered routes of reserved pins send to it, and no others.
 *
 * A scan leaves a trace: it takes a pending IRQ for one by an old route if a route
 * to another vCPU uses the vector, and the EOI is reported.
 */
#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24

#define VECTOR_A	0x31
#define VECTOR_B	0x42

#define LEVEL_ROUTE	msi_route(5, LEVEL_MSI(1, VECTOR_A))

/* vCPU 0 holds an IRQ with the vector of a level route to vCPU 1, and has scanned before. */
FIXTURE(scan_request) {
	struct kvm_vm *vm;
	struct irq_cpu cpus[2];
};

FIXTURE_SETUP(scan_request)
{
	self->vm = vm_create_split_with_cpus(self->cpus, 2, NR_PINS, guest_xapic);
	SET_ROUTES(self->vm, LEVEL_ROUTE);
	EXPECT_IDLE(&self->cpus[0]);
	TEST_ASSERT_EQ(signal_msi(self->vm, LEVEL_MSI(0, VECTOR_A)), 1);
	EXPECT_HOLD(&self->cpus[0], VECTORS(VECTOR_A));
}

FIXTURE_TEARDOWN(scan_request)
{
	kvm_vm_free(self->vm);
}

#define EXPECT_SCAN(_self)	EXPECT_EOI(&(_self)->cpus[0], VECTORS(VECTOR_A))
#define EXPECT_NO_SCAN(_self)	EXPECT_EOI(&(_self)->cpus[0], NO_VECTORS)

TEST_F(scan_request, no_update)
{
	EXPECT_NO_SCAN(self);
}

TEST_F(scan_request, same_table)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE);
	EXPECT_NO_SCAN(self);
}

TEST_F(scan_request, edge_route_of_pin_added)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(6, EDGE_MSI(0, VECTOR_B)));
	EXPECT_NO_SCAN(self);
}

TEST_F(scan_request, edge_route_added)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(NR_PINS, EDGE_MSI(0, VECTOR_B)));
	EXPECT_NO_SCAN(self);
}

TEST_F(scan_request, level_route_outside_of_pins_added)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(NR_PINS, LEVEL_MSI(0, VECTOR_B)));
	EXPECT_NO_SCAN(self);
}

TEST_F(scan_request, level_route_of_pin_added)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	EXPECT_SCAN(self);
}

TEST_F(scan_request, level_route_to_other_vcpu_added)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(6, LEVEL_MSI(1, VECTOR_B)));
	EXPECT_NO_SCAN(self);
}

TEST_F(scan_request, level_route_to_all_vcpus_added)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(6, LEVEL_MSI(0xff, VECTOR_B)));
	EXPECT_SCAN(self);
}

TEST_F(scan_request, level_route_of_pin_changed)
{
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	SET_ROUTES(self->vm, LEVEL_ROUTE, msi_route(6, LEVEL_MSI(1, VECTOR_B)));
	EXPECT_SCAN(self);
}

/* The update is refused, so there is nothing to scan for. */
TEST_F(scan_request, refused_table)
{
	const struct kvm_irq_routing_entry routes[] = {
		LEVEL_ROUTE, msi_route(6, LEVEL_MSI(0, VECTOR_B)), msi_route(4096, MSI()),
	};

	TEST_ASSERT_EQ(__set_routes(self->vm, routes, ARRAY_SIZE(routes), 0), EINVAL);
	EXPECT_NO_SCAN(self);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));

	return test_harness_run(argc, argv);
}
