// SPDX-License-Identifier: GPL-2.0
/*
 * The trace event kvm_msi_set_irq: one for each MSI that is sent, and none for
 * looking at a route.
 */
#include "irqroute.h"
#include "irqroute_harness.h"
#include "msi_trace.h"

#define NR_PINS		24
#define VECTOR_A	0x31

/* Returns how many events there were since it was asked before. */
static u32 nr_events(void)
{
	char *events = event_trace_take(MSI_TRACE, MSI_TRACE_EVENT), *at;
	u32 nr = 0;

	for (at = events; (at = strchr(at, '\n')); at++)
		nr++;
	free(events);
	return nr;
}

FIXTURE(trace) {
	struct kvm_vm *vm;
	struct irq_cpu cpu;
	struct kvm_irq_routing_entry routes[NR_PINS];
};

FIXTURE_SETUP(trace)
{
	u32 i;

	msi_trace_start();
	self->vm = vm_create_split_with_cpus(&self->cpu, 1, NR_PINS, guest_xapic);
	for (i = 0; i < NR_PINS; i++)
		self->routes[i] = msi_route(i, LEVEL_MSI(0, VECTOR_A + i));
	nr_events();
}

FIXTURE_TEARDOWN(trace)
{
	kvm_vm_free(self->vm);
	msi_trace_stop();
}

TEST_F(trace, msi_sent)
{
	int i;

	for (i = 0; i < 3; i++)
		TEST_ASSERT_EQ(signal_msi(self->vm, EDGE_MSI(0, VECTOR_A + i)), 1);
	TEST_ASSERT_EQ(nr_events(), 3);
}

TEST_F(trace, routes_set_and_scanned)
{
	TEST_ASSERT_EQ(__set_routes(self->vm, self->routes, NR_PINS, 0), 0);
	EXPECT_IDLE(&self->cpu);
	TEST_ASSERT_EQ(nr_events(), 0);

	raise_gsi(self->vm, 0);
	TEST_ASSERT_EQ(nr_events(), 1);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	TEST_ASSERT_EQ(nr_events(), 0);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(msi_trace_is_available());

	return test_harness_run(argc, argv);
}
