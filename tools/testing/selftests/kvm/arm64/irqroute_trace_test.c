// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events of the module: one for each thing that it does for a VM which it
 * handles, with what was decided.  Of a VM that it does not handle there are none.
 */
#include "irqfd.h"
#include "irqroute.h"
#include "irqroute_harness.h"
#include "traced_vm.h"

#define NR_IRQS		64
#define NR_SPIS		(NR_IRQS - MIN_SPI)

/* The pin whose SPI the guest takes. */
#define PIN		8

FIXTURE(trace)
{
	struct vm_template template;
	struct traced_vm traced;
	struct irq_cpu cpu;
};

FIXTURE_SETUP(trace)
{
	struct kvm_vm *vm;

	event_trace_start(EVENTS, EVENTS);
	vm_template_make(&self->template);
	vm = self->template.vm;
	vm_template_open(&self->template, &self->cpu, 1);
	traced_vm_init(&self->traced, vm);
	if (self->traced.handler == PARITY)
		SKIP(return, "with parity, updates are KVM's");
	__vgic_v3_init(vgic_create(vm, 1, NR_IRQS));
	irq_cpu_call(&self->cpu, guest_start, 1, false);
	irq_cpu_call(&self->cpu, gic_set_priority, MIN_SPI + PIN, 0x20);
	irq_cpu_call(&self->cpu, gic_irq_set_config, MIN_SPI + PIN, false);
	irq_cpu_call(&self->cpu, guest_write_spi, GICD_ISENABLER, MIN_SPI + PIN);
	drop_events();
}

FIXTURE_TEARDOWN(trace)
{
	kvm_vm_free(self->template.vm);
	free(self->template.memory);
	drop_events();
	event_trace_stop(EVENTS);
}

TEST_F(trace, updates)
{
	const struct kvm_irq_routing_entry
		pin = pin_route(3, PIN),
		msi = msi_route(40, ITS_MSI(0, 3, 8));
	struct kvm_vm *vm = self->traced.vm;

	/* By default, each pin has a GSI. */
	SET_ROUTES(vm, pin);
	EXPECT_SAME_EVENTS(&self->traced,
			   "update: kind=changes routes=1 gsis=32 asked=0 waits=1\n"
			   "update_end: asked=0\n");
	/* KVM itself compares no tables. */
	SET_ROUTES(vm, pin, msi);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=adds routes=2 gsis=1 asked=0 waits=0\n",
		      "update: kind=changes routes=2 gsis=1 asked=0 waits=1\n"
		      "update_end: asked=0\n");
	SET_ROUTES(vm, pin, msi);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=same routes=2 gsis=0 asked=0 waits=0\n",
		      "update: kind=changes routes=2 gsis=0 asked=0 waits=1\n"
		      "update_end: asked=0\n");
	/* Who ends an interrupt by the old table would not tell the GSI of another pin. */
	SET_ROUTES(vm, pin, msi, pin_route(4, PIN));
	EXPECT_SAME_EVENTS(&self->traced,
			   "update: kind=changes routes=3 gsis=1 asked=0 waits=1\n"
			   "update_end: asked=0\n");
	SET_ROUTES(vm);
	EXPECT_SAME_EVENTS(&self->traced,
			   "update: kind=changes routes=0 gsis=3 asked=0 waits=1\n"
			   "update_end: asked=0\n");

	/* One that is refused is none. */
	TEST_ASSERT_EQ(__set_routes(vm, (struct kvm_irq_routing_entry[]){ { .gsi = 4096 } }, 1, 0),
		       EINVAL);
	EXPECT_SAME_EVENTS(&self->traced, "");
}

TEST_F(trace, lines)
{
	struct irqfd plain = irqfd_create(3), resample = irqfd_create(4), dead = irqfd_create(5);
	struct kvm_vm *vm = self->traced.vm;

	SET_ROUTES(vm, pin_route(3, PIN), pin_route(4, PIN), pin_route(5, NR_SPIS));
	irqfd_assign(vm, &plain);
	irqfd_assign_resample(vm, &resample);
	irqfd_assign(vm, &dead);
	drop_events();

	/* The module sees what goes by a route, and KVM_IRQ_LINE goes by none. */
	kvm_arm_irq_line(vm, MIN_SPI + PIN, 1);
	EXPECT_EVENTS(&self->traced, "spi: pin=8 gsi=-1 source=irq_line level=1 result=0\n", "");
	kvm_arm_irq_line(vm, MIN_SPI + PIN, 0);
	EXPECT_EVENTS(&self->traced, "spi: pin=8 gsi=-1 source=irq_line level=0 result=0\n", "");

	/* An irqfd that nobody lowers is no source: KVM raises its SPI. */
	irqfd_signal(&plain);
	EXPECT_EVENTS(&self->traced, "", "spi: pin=8 gsi=-1 source=other level=-1 result=0\n");
	kvm_arm_irq_line(vm, MIN_SPI + PIN, 0);
	drop_events();

	irqfd_signal(&resample);
	EXPECT_EVENTS(&self->traced,
		      "spi: pin=8 gsi=4 source=resample level=1 result=0\n",
		      "spi: pin=8 gsi=-1 source=other level=-1 result=0\n");
	irq_cpu_call(&self->cpu, guest_take, true, 0);
	TEST_ASSERT_EQ(self->cpu.guest->nr_taken, 1);
	TEST_ASSERT_EQ(irqfd_resampled(&resample), 1);
	/* C lowers the line by a route, and tells one GSI of each pin. */
	EXPECT_EVENTS(&self->traced,
		      "spi_ack: pin=8 gsis=2\n",
		      "spi: pin=8 gsi=-1 source=other level=-1 result=0\n"
		      "spi_ack: pin=8 gsis=1\n");

	irqfd_signal(&dead);
	EXPECT_EVENTS(&self->traced,
		      "remark: gsi=-1 remark=no_spi reason=\"the VM has 32 SPIs\"\n"
		      "spi: pin=32 gsi=-1 source=other level=1 result=-22\n",
		      "spi: pin=32 gsi=-1 source=other level=-1 result=-22\n");

	irqfd_free(vm, &plain);
	irqfd_free(vm, &resample);
	irqfd_free(vm, &dead);
}

TEST_F(trace, dead_msis)
{
	struct its_msi elsewhere = ITS_MSI(0, 3, 8), without_id = ITS_MSI(0, 0, 8);
	struct kvm_vm *vm = self->traced.vm;

	without_id.flags = 0;
	elsewhere.address += SZ_64K;
	signal_msi(vm, ITS_MSI(0, 3, 8));
	EXPECT_EVENTS(&self->traced,
		      "remark: gsi=-1 remark=no_its reason=\"the VM has no ITS\"\n", "");

	close(its_create(vm, 0));
	signal_msi(vm, without_id);
	signal_msi(vm, elsewhere);
	signal_msi(vm, ITS_MSI(0, 0x10000, 8));
	EXPECT_EVENTS(&self->traced,
		      "remark: gsi=-1 remark=no_device_id reason=\"the MSI has no device ID\"\n"
		      "remark: gsi=-1 remark=no_doorbell reason=\"no ITS has its doorbell there\"\n"
		      "remark: gsi=-1 remark=long_id reason=\"an ID has more than 16 bits\"\n", "");

	/* The guest has yet to set up the ITS, which is no fault of the route. */
	signal_msi(vm, ITS_MSI(0, 3, 8));
	EXPECT_SAME_EVENTS(&self->traced, "");
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(event_trace_is_available(EVENTS));

	return test_harness_run(argc, argv);
}
