// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events of the module: one for each thing that it does for a VM which it
 * handles, with what was decided.  Of a VM that it does not handle there are none.
 */
#include "irq_producer_device.h"
#include "irq_producer_load.h"
#include "irqroute_harness.h"
#include "synic.h"
#include "traced_vm.h"

#define NR_PINS		24

FIXTURE(trace) {
	struct traced_vm traced;
	struct irq_cpu cpus[2];
};

FIXTURE_SETUP(trace)
{
	struct kvm_vm *vm;

	event_trace_start(EVENTS, EVENTS);
	vm = vm_create_split(8, NR_PINS);
	traced_vm_init(&self->traced, vm);
	irq_cpu_add(&self->cpus[0], vm, 0, guest_x2apic);
	irq_cpu_add(&self->cpus[1], vm, 5, guest_xapic);
	irq_cpu_apic_write(&self->cpus[1], APIC_ID, 7 << 24);
	EXPECT_IDLE(&self->cpus[0]);
	EXPECT_IDLE(&self->cpus[1]);
	if (self->traced.handler == PARITY) {
		kvm_vm_free(vm);
		event_trace_stop(EVENTS);
		SKIP(return, "with parity, updates are KVM's");
	}
	drop_events();
}

FIXTURE_TEARDOWN(trace)
{
	if (self->traced.handler == PARITY)
		return;
	kvm_vm_free(self->traced.vm);
	drop_events();
	event_trace_stop(EVENTS);
}

TEST_F(trace, updates)
{
	const struct kvm_irq_routing_entry
		level = msi_route(5, LEVEL_MSI(0, 0x31)),
		edge = msi_route(NR_PINS, EDGE_MSI(7, 0x41));
	struct kvm_vm *vm = self->traced.vm;

	/* KVM itself compares no tables, waits in each update, and asks all vCPUs afterwards. */
	SET_ROUTES(vm, level);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=adds routes=1 gsis=1 asked=1 waits=0\n",
		      "update: kind=changes routes=1 gsis=1 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");
	SET_ROUTES(vm, level, edge);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=adds routes=2 gsis=1 asked=0 waits=0\n",
		      "update: kind=changes routes=2 gsis=1 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");
	SET_ROUTES(vm, level, edge);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=same routes=2 gsis=0 asked=0 waits=0\n",
		      "update: kind=changes routes=2 gsis=0 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");

	/* In another order, they lead where they did. */
	SET_ROUTES(vm, edge, level);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=changes routes=2 gsis=0 asked=0 waits=1\n"
		      "update_end: asked=0\n",
		      "update: kind=changes routes=2 gsis=0 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");

	/* To both vCPUs: one has it already.  Then to none. */
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(XAPIC_BROADCAST, 0x31)), edge);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=changes routes=2 gsis=1 asked=2 waits=1\n"
		      "update_end: asked=1\n",
		      "update: kind=changes routes=2 gsis=1 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");
	SET_ROUTES(vm);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=changes routes=0 gsis=2 asked=0 waits=1\n"
		      "update_end: asked=2\n",
		      "update: kind=changes routes=0 gsis=2 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");

	/* One that is refused is none. */
	TEST_ASSERT_EQ(__set_routes(vm, (struct kvm_irq_routing_entry[]){ { .gsi = 4096 } }, 1, 0),
		       EINVAL);
	EXPECT_SAME_EVENTS(&self->traced, "");
}

TEST_F(trace, scans)
{
	struct kvm_vm *vm = self->traced.vm;

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, 0x31)), msi_route(6, LEVEL_MSI(0, 0x42)),
		   msi_route(7, LEVEL_MSI(7, 0x53)));
	drop_events();
	EXPECT_IDLE(&self->cpus[0]);
	EXPECT_EVENTS(&self->traced,
		      "scan: vcpu=0 apic_id=0 reported=0x31,0x42 added=0x31,0x42 dropped=- stale=-\n",
		      "scan: vcpu=0 apic_id=0 reported=0x31,0x42 added=unknown dropped=unknown stale=-\n");
	EXPECT_IDLE(&self->cpus[1]);
	EXPECT_EVENTS(&self->traced,
		      "scan: vcpu=5 apic_id=7 reported=0x53 added=0x53 dropped=- stale=-\n",
		      "scan: vcpu=5 apic_id=7 reported=0x53 added=unknown dropped=unknown stale=-\n");

	/* What is in service stays to be reported, though no route leads there any more. */
	raise_gsi(vm, 5);
	EXPECT_HOLD(&self->cpus[0], VECTORS(0x31));
	EXPECT_SAME_EVENTS(&self->traced, "");
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(7, 0x31)), msi_route(7, LEVEL_MSI(7, 0x53)));
	drop_events();
	irq_cpu_call(&self->cpus[0], guest_nop, 0, 0);
	EXPECT_EVENTS(&self->traced,
		      "scan: vcpu=0 apic_id=0 reported=0x31 added=- dropped=0x42 stale=0x31\n",
		      "scan: vcpu=0 apic_id=0 reported=0x31 added=unknown dropped=unknown stale=0x31\n");
	EXPECT_EOI(&self->cpus[0], VECTORS(0x31));
	EXPECT_EVENTS(&self->traced,
		      "eoi: vcpu=0 vector=0x31 pins=5 reported=1\n"
		      "scan: vcpu=0 apic_id=0 reported=- added=- dropped=0x31 stale=-\n",
		      "eoi: vcpu=0 vector=0x31 pins=5 reported=1\n"
		      "scan: vcpu=0 apic_id=0 reported=- added=unknown dropped=unknown stale=-\n");
}

/* With the pins whose level-triggered routes have the vector, whomever they lead to. */
TEST_F(trace, eois)
{
	const struct kvm_irq_routing_entry edge = msi_route(8, EDGE_MSI(0, 0x44));
	struct kvm_irq_routing_entry many[18];
	struct kvm_vm *vm = self->traced.vm;
	u32 i;

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, 0x31)), msi_route(7, LEVEL_MSI(7, 0x31)),
		   msi_route(6, EDGE_MSI(0, 0x31)), msi_route(4, LEVEL_MSI(0, 0x32)),
		   msi_route(3, LEVEL_MSI(0, 0x31, .delivery_mode = APIC_DM_NMI)),
		   msi_route(9, LEVEL_MSI(7, 0x51)), edge,
		   msi_route(NR_PINS, LEVEL_MSI(0, 0x31)));
	EXPECT_IDLE(&self->cpus[0]);
	EXPECT_IDLE(&self->cpus[1]);
	drop_events();
	raise_gsi(vm, 5);
	EXPECT_TAKE(&self->cpus[0], VECTORS(0x31), VECTORS(0x31));
	EXPECT_SAME_EVENTS(&self->traced, "eoi: vcpu=0 vector=0x31 pins=5,7 reported=1\n");
	/* The number that the vCPU was made with, not its APIC ID. */
	raise_gsi(vm, 9);
	EXPECT_TAKE(&self->cpus[1], VECTORS(0x51), VECTORS(0x51));
	EXPECT_SAME_EVENTS(&self->traced, "eoi: vcpu=5 vector=0x51 pins=9 reported=1\n");
	/* Nobody waits for that of an edge-triggered IRQ. */
	raise_gsi(vm, 8);
	EXPECT_TAKE(&self->cpus[0], VECTORS(0x44), NO_VECTORS);
	EXPECT_SAME_EVENTS(&self->traced, "");

	/* Userspace masks the pin meanwhile.  KVM itself forgets the vector. */
	raise_gsi(vm, 4);
	EXPECT_HOLD(&self->cpus[0], VECTORS(0x32));
	SET_ROUTES(vm, edge);
	drop_events();
	irq_cpu_call(&self->cpus[0], guest_eoi, 0, 0);
	EXPECT_EVENTS(&self->traced,
		      "scan: vcpu=0 apic_id=0 reported=0x32 added=- dropped=0x31 stale=0x32\n"
		      "eoi: vcpu=0 vector=0x32 pins=- reported=1\n"
		      "scan: vcpu=0 apic_id=0 reported=- added=- dropped=0x32 stale=-\n",
		      "scan: vcpu=0 apic_id=0 reported=- added=unknown dropped=unknown stale=-\n");

	/* More pins than there is room for. */
	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = msi_route(i, LEVEL_MSI(0, 0x61));
	TEST_ASSERT_EQ(__set_routes(vm, many, ARRAY_SIZE(many), 0), 0);
	EXPECT_IDLE(&self->cpus[0]);
	drop_events();
	raise_gsi(vm, 17);
	EXPECT_TAKE(&self->cpus[0], VECTORS(0x61), VECTORS(0x61));
	EXPECT_SAME_EVENTS(&self->traced, "eoi: vcpu=0 vector=0x61 pins=0-15,... reported=1\n");
}

TEST_F(trace, eoi_that_the_guest_suppresses)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm;

	if (!(kvm_check_cap(KVM_CAP_X2APIC_API) & KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST))
		SKIP(return, "KVM cannot suppress EOI broadcasts");

	kvm_vm_free(self->traced.vm);
	vm = vm_create_split(1, NR_PINS);
	traced_vm_init(&self->traced, vm);
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST);
	irq_cpu_add(&cpu, vm, 0, guest_x2apic);
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, 0x31)));
	irq_cpu_apic_write(&cpu, APIC_SPIV, APIC_SPIV_APIC_ENABLED | 0xff | APIC_SPIV_DIRECTED_EOI);
	EXPECT_IDLE(&cpu);
	drop_events();
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpu, VECTORS(0x31), NO_VECTORS);
	EXPECT_SAME_EVENTS(&self->traced, "eoi: vcpu=0 vector=0x31 pins=5 reported=0\n");
}

/* One vector more than there is room for. */
TEST_F(trace, scan_of_many_vectors)
{
	struct kvm_irq_routing_entry routes[65];
	char expected[512], *events;
	struct irq_cpu cpu;
	struct kvm_vm *vm;
	u32 i, at = 0;

	kvm_vm_free(self->traced.vm);
	vm = vm_create_split_with_cpus(&cpu, 1, ARRAY_SIZE(routes), guest_x2apic);
	traced_vm_init(&self->traced, vm);
	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		routes[i] = msi_route(i, LEVEL_MSI(0, 0x40 + i));
		at += sprintf(expected + at, "%s0x%02x", i ? "," : "", 0x40 + i);
	}
	memcpy(expected + 316, "...", sizeof("..."));

	TEST_ASSERT_EQ(__set_routes(vm, routes, ARRAY_SIZE(routes) - 1, 0), 0);
	drop_events();
	EXPECT_IDLE(&cpu);
	events = event_trace_take(EVENTS, EVENT_PREFIX "scan");
	TEST_ASSERT(self->traced.handler == KVM ? !*events : !!strstr(events, "0x7e,0x7f "),
		    "not all vectors: %s", events);
	free(events);

	TEST_ASSERT_EQ(__set_routes(vm, routes, ARRAY_SIZE(routes), 0), 0);
	drop_events();
	EXPECT_IDLE(&cpu);
	events = event_trace_take(EVENTS, EVENT_PREFIX "scan");
	TEST_ASSERT(self->traced.handler == KVM ? !*events : !!strstr(events, expected),
		    "%s not in %s", expected, events);
	free(events);
}

TEST_F(trace, sints)
{
	struct kvm_vm *vm;
	struct irq_cpu *cpu = &self->cpus[0];

	kvm_vm_free(self->traced.vm);
	vm = vm_create_split(2, NR_PINS);
	traced_vm_init(&self->traced, vm);
	synic_cpu_add(cpu, vm, 0, 3);
	irq_cpu_add(&self->cpus[1], vm, 1, guest_x2apic);
	set_sint(cpu, 2, 0x60);
	SET_ROUTES(vm, sint_route(40, 3, 2), sint_route(41, 3, 3), sint_route(42, 3, 2),
		   sint_route(43, 77, 2), sint_route(44, 1, 2), sint_route(45, 3, HV_NR_SINTS));
	EXPECT_IDLE(cpu);
	drop_events();

	raise_gsi(vm, 40);
	EXPECT_SAME_EVENTS(&self->traced,
			   "sint: vp_index=3 sint=2 vector=0x60 outcome=delivered\n");
	/* A SINT has no line that could go down. */
	kvm_irq_line(vm, 40, 0);
	EXPECT_SAME_EVENTS(&self->traced, "");

	irq_cpu_call(cpu, guest_take, 0, 0);
	EXPECT_EVENTS(&self->traced,
		      "sint_ack: vp_index=3 sint=2 gsi=40\n"
		      "sint_ack: vp_index=3 sint=2 gsi=42\n", "");

	irq_cpu_apic_write(cpu, APIC_SPIV, 0xff);
	drop_events();
	irq_line_status(vm, 40, 1);
	EXPECT_SAME_EVENTS(&self->traced,
			   "sint: vp_index=3 sint=2 vector=0x60 outcome=not_accepted\n");
	irq_line_status(vm, 41, 1);
	EXPECT_SAME_EVENTS(&self->traced, "sint: vp_index=3 sint=3 vector=- outcome=masked\n");
	irq_line_status(vm, 43, 1);
	irq_line_status(vm, 44, 1);
	EXPECT_SAME_EVENTS(&self->traced,
			   "sint: vp_index=77 sint=2 vector=- outcome=no_synic\n"
			   "sint: vp_index=1 sint=2 vector=- outcome=no_synic\n");
	irq_line_status(vm, 45, 1);
	EXPECT_SAME_EVENTS(&self->traced,
			   "sint: vp_index=3 sint=16 vector=- outcome=no_such_sint\n");
}

/* Those that routes tell by themselves, if an update changes anything. */
TEST_F(trace, remarks)
{
#define REMARKS										\
	"remark: gsi=1 remark=vector_below_16 reason=\"vector 0xf is never delivered\"\n"\
	"remark: gsi=2 remark=vector_below_16 reason=\"vector 0x0 is never delivered\"\n"\
	"remark: gsi=3 remark=no_vector reason=\"delivery mode extint has no vector, and "\
	"no EOI\"\n"									\
	"remark: gsi=24 remark=level_outside_pins reason=\"level-triggered, but the 24 "\
	"pins end below: its EOI is not reported\"\n"					\
	"remark: gsi=25 remark=vector_below_16 reason=\"vector 0x5 is never delivered\"\n"\
	"remark: gsi=25 remark=level_outside_pins reason=\"level-triggered, but the 24 "\
	"pins end below: its EOI is not reported\"\n"					\
	"remark: gsi=40 remark=no_such_sint reason=\"there is no SINT 16\"\n"

	const struct kvm_irq_routing_entry routes[] = {
		msi_route(1, LEVEL_MSI(0, 0x0f)),
		msi_route(2, EDGE_MSI(0, 0)),
		msi_route(3, EDGE_MSI(0, 0, .delivery_mode = APIC_DM_EXTINT)),
		/* Nobody is there, the pin is not set up, the SINT is masked. */
		msi_route(4, LEVEL_MSI(9, 0x31)),
		{ .gsi = 5, .type = KVM_IRQ_ROUTING_MSI },
		sint_route(41, 0, 2),
		msi_route(6, LEVEL_MSI(0, 0, .delivery_mode = APIC_DM_NMI)),
		msi_route(23, LEVEL_MSI(0, 0x31)),
		msi_route(24, LEVEL_MSI(0, 0x31)),
		msi_route(25, LEVEL_MSI(0, 5)),
		msi_route(26, EDGE_MSI(0, 0x31)),
		sint_route(40, 0, HV_NR_SINTS),
	};
	struct kvm_vm *vm = self->traced.vm;

	TEST_ASSERT_EQ(__set_routes(vm, routes, ARRAY_SIZE(routes), 0), 0);
	EXPECT_EVENTS(&self->traced,
		      REMARKS "update: kind=adds routes=12 gsis=12 asked=1 waits=0\n",
		      REMARKS "update: kind=changes routes=12 gsis=12 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");
	TEST_ASSERT_EQ(__set_routes(vm, routes, ARRAY_SIZE(routes), 0), 0);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=same routes=12 gsis=0 asked=0 waits=0\n",
		      REMARKS "update: kind=changes routes=12 gsis=0 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");

	SET_ROUTES(vm);
	EXPECT_EVENTS(&self->traced,
		      "update: kind=changes routes=0 gsis=12 asked=0 waits=1\n"
		      "update_end: asked=1\n",
		      "update: kind=changes routes=0 gsis=12 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");

	/* Without pins there may be no split irqchip. */
	kvm_vm_free(vm);
	vm = vm_create_split(1, 0);
	self->traced.vm = vm;
	traced_vm_init(&self->traced, vm);
	drop_events();
	SET_ROUTES(vm, msi_route(24, LEVEL_MSI(0, 0x31)));
	EXPECT_EVENTS(&self->traced,
		      "update: kind=adds routes=1 gsis=1 asked=0 waits=0\n",
		      "update: kind=changes routes=1 gsis=1 asked=-1 waits=1\n"
		      "update_end: asked=-1\n");
}

/* A VM is told from others by its number, and what is not asked for is not emitted. */
TEST_F(trace, some_events_of_some_vms)
{
	struct traced_vm other;
	char filter[64];

	traced_vm_init(&other, vm_create_split(1, NR_PINS));
	drop_events();
	event_trace_write(EVENTS, "events/" EVENTS "/irqroute_update_end/enable", "0");
	snprintf(filter, sizeof(filter), "vm != %lu && routes == 2", other.number);
	event_trace_write(EVENTS, "events/" EVENTS "/irqroute_update/filter", filter);

	SET_ROUTES(other.vm, msi_route(5, LEVEL_MSI(0, 0x31)));
	SET_ROUTES(other.vm, msi_route(5, LEVEL_MSI(0, 0x31)), msi_route(6, LEVEL_MSI(0, 0x32)));
	SET_ROUTES(self->traced.vm, msi_route(5, LEVEL_MSI(0, 0x31)));
	SET_ROUTES(self->traced.vm, msi_route(5, LEVEL_MSI(0, 0x31)),
		   msi_route(6, LEVEL_MSI(0, 0x32)));
	EXPECT_EVENTS(&self->traced,
		      "update: kind=adds routes=2 gsis=1 asked=1 waits=0\n",
		      "update: kind=changes routes=2 gsis=1 asked=-1 waits=1\n");

	event_trace_write(EVENTS, "events/" EVENTS "/irqroute_update/filter", "0");
	event_trace_write(EVENTS, "events/" EVENTS "/enable", "0");
	SET_ROUTES(self->traced.vm, msi_route(5, LEVEL_MSI(0, 0x33)));
	EXPECT_IDLE(&self->cpus[0]);
	EXPECT_SAME_EVENTS(&self->traced, "");
	kvm_vm_free(other.vm);
}

/* With the device of test_modules/irq_producer.c. */
TEST_F(trace, posting)
{
	struct kvm_vm *vm = self->traced.vm;
	struct device device, other;

	if (!enable_posting() || !load_device("/proc/self/exe"))
		SKIP(return, "there is no device whose IRQs could be posted");
	device = device_open();
	other = device_open();
	kvm_assign_irqfd(vm, NR_PINS, device.eventfd);
	TEST_ASSERT_EQ(device_bind(&device), 0);
	event_trace_write(EVENTS, "events/" EVENTS "/enable", "0");
	event_trace_write(EVENTS, "events/" EVENTS "/irqroute_post/enable", "1");

	SET_ROUTES(vm, msi_route(NR_PINS, EDGE_MSI(0, 0x31)));
	EXPECT_EVENTS(&self->traced, "post: gsi=24 vector=0x31 vcpu=0 outcome=posted\n", "");
	/* The index of the vCPU that was made with the number 5. */
	SET_ROUTES(vm, msi_route(NR_PINS, EDGE_MSI(7, 0x32)));
	EXPECT_EVENTS(&self->traced, "post: gsi=24 vector=0x32 vcpu=1 outcome=posted\n", "");
	SET_ROUTES(vm, msi_route(NR_PINS, EDGE_MSI(9, 0x32)));
	EXPECT_EVENTS(&self->traced, "post: gsi=24 vector=0x32 vcpu=-1 outcome=no_target\n", "");
	SET_ROUTES(vm, msi_route(NR_PINS, EDGE_MSI(XAPIC_BROADCAST, 0x32)));
	EXPECT_EVENTS(&self->traced, "post: gsi=24 vector=0x32 vcpu=-1 outcome=several\n", "");
	SET_ROUTES(vm, msi_route(NR_PINS, LEVEL_MSI(0, 0x32)));
	EXPECT_EVENTS(&self->traced, "post: gsi=24 vector=0x32 vcpu=-1 outcome=level\n", "");
	SET_ROUTES(vm, msi_route(NR_PINS, EDGE_MSI(0, 0, .delivery_mode = APIC_DM_NMI)));
	EXPECT_EVENTS(&self->traced,
		      "post: gsi=24 vector=0x00 vcpu=-1 outcome=delivery_mode\n", "");

	/* Two, as the local APICs change. */
	kvm_assign_irqfd(vm, NR_PINS + 1, other.eventfd);
	SET_ROUTES(vm, msi_route(NR_PINS, EDGE_MSI(7, 0x31)),
		   msi_route(NR_PINS + 1, EDGE_MSI(8, 0x31)));
	TEST_ASSERT_EQ(device_bind(&other), 0);
	EXPECT_EVENTS(&self->traced,
		      "post: gsi=24 vector=0x31 vcpu=1 outcome=posted\n"
		      "post: gsi=25 vector=0x31 vcpu=-1 outcome=no_target\n", "");
	irq_cpu_apic_write(&self->cpus[1], APIC_ID, 8 << 24);
	EXPECT_EVENTS(&self->traced,
		      "post: gsi=24 vector=0x31 vcpu=-1 outcome=no_target\n"
		      "post: gsi=25 vector=0x31 vcpu=1 outcome=posted\n", "");
	device_close(&other);
	device_close(&device);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(event_trace_is_available(EVENTS));

	return test_harness_run(argc, argv);
}
