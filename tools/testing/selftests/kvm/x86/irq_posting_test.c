// SPDX-License-Identifier: GPL-2.0
/*
 * IRQs of devices that KVM posts to a vCPU: which of them, to which vCPU, with which
 * vector, and how often that is programmed.  The device is that of a test module.
 *
 * An IRQ has to reach the same vCPU whether or not it is posted.  So the device also
 * raises each at the host, for KVM to deliver it: what the guest takes then is where
 * it may be posted.
 */
#include <pthread.h>
#include <sys/ioctl.h>

#include "fault.h"
#include "helper.h"
#include "irq_producer_device.h"
#include "irq_producer_load.h"
#include "irqroute.h"
#include "irqroute_harness.h"
#include "vm_files.h"

#define NR_PINS		24
#define NR_VCPUS		3
#define VECTOR_A	0x31
#define VECTOR_B	0x42

/* A pin, such that the EOI of a level-triggered IRQ is reported. */
#define GSI		5
#define GSI_OTHER	40

/* The vCPUs that take an IRQ, as a mask. */
#define CPU(i)		BIT(i)

FIXTURE(posting) {
	struct kvm_vm *vm;
	struct irq_cpu cpus[NR_VCPUS];
	struct device dev;
	u32 nr_calls;
};

FIXTURE_VARIANT(posting) {
	void (*apic_mode)(void);
};

FIXTURE_VARIANT_ADD(posting, xapic) { guest_xapic };
FIXTURE_VARIANT_ADD(posting, x2apic) { guest_x2apic };

static void set_logical_ids(struct irq_cpu *cpus)
{
	u32 i;

	for (i = 0; i < NR_VCPUS; i++)
		irq_cpu_apic_write(&cpus[i], APIC_LDR, SET_APIC_DEST_FIELD(1 << i));
}

FIXTURE_SETUP(posting)
{
	self->vm = vm_create_split_with_cpus(self->cpus, NR_VCPUS, NR_PINS, variant->apic_mode);
	if (variant->apic_mode == guest_xapic)
		set_logical_ids(self->cpus);
	self->dev = device_open();
	kvm_assign_irqfd(self->vm, GSI, self->dev.eventfd);
	TEST_ASSERT_EQ(device_bind(&self->dev), 0);
	/* Without a route, there is nothing to program. */
	TEST_ASSERT_EQ(device_state(&self->dev).nr_calls, 0);
}

FIXTURE_TEARDOWN(posting)
{
	device_close(&self->dev);
	kvm_vm_free(self->vm);
}

/* The IRQ is posted to the vCPU that takes it if KVM delivers it, or remapped. */
static void check_taken(struct kvm_vm *vm, struct irq_cpu *cpus, struct device *dev,
			struct msi msi, u64 takers, const char *file, int line)
{
	const struct vectors taken = VECTORS(msi.vector), none = NO_VECTORS;
	u32 i;

	device_raise(dev);
	/* One that more than one vCPU gets is delivered later. */
	kvm_deassign_irqfd(vm, GSI, dev->eventfd);
	for (i = 0; i < NR_VCPUS; i++)
		expect_step(&cpus[i], guest_take, takers & CPU(i) ? taken : none,
			    takers & CPU(i) && msi.level ? taken : none, file, line);
	kvm_assign_irqfd(vm, GSI, dev->eventfd);
}

/* @_takers get an IRQ like @_msi from the host. */
#define CHECK_TAKEN(_msi, _takers)	\
	check_taken(self->vm, self->cpus, &self->dev, _msi, _takers, __FILE__, __LINE__)

static void check_msi(struct kvm_vm *vm, struct irq_cpu *cpus, struct device *dev, struct msi msi,
		      u64 takers, int to, const char *file, int line)
{
	SET_ROUTES(vm, msi_route(GSI, msi));
	expect_posted(dev, to, msi.vector, file, line);
	check_taken(vm, cpus, dev, msi, takers, file, line);
	/* Once more, by a new irqfd. */
	expect_posted(dev, to, msi.vector, file, line);
}

/* @_takers get the IRQ from the host, and it is posted to vCPU @_to, or REMAPPED. */
#define CHECK_MSI(_msi, _takers, _to)	\
	check_msi(self->vm, self->cpus, &self->dev, _msi, _takers, _to, __FILE__, __LINE__)

TEST_F(posting, physical)
{
	u32 i;

	for (i = 0; i < NR_VCPUS; i++)
		CHECK_MSI(EDGE_MSI(i, VECTOR_A + i), CPU(i), i);
	CHECK_MSI(EDGE_MSI(0, VECTOR_B), CPU(0), 0);
}

TEST_F(posting, physical_to_nobody)
{
	CHECK_MSI(EDGE_MSI(NR_VCPUS, VECTOR_A), 0, REMAPPED);
	CHECK_MSI(EDGE_MSI(0xfe, VECTOR_A), 0, REMAPPED);
}

TEST_F(posting, logical)
{
	u32 i;

	for (i = 0; i < NR_VCPUS; i++)
		CHECK_MSI(EDGE_MSI(1 << i, VECTOR_A, .logical = true), CPU(i), i);
	CHECK_MSI(EDGE_MSI(1 << NR_VCPUS, VECTOR_A, .logical = true), 0, REMAPPED);
	/* One of several bits has a vCPU. */
	CHECK_MSI(EDGE_MSI(1 << NR_VCPUS | 2, VECTOR_A, .logical = true), CPU(1), 1);
}

TEST_F(posting, logical_to_several)
{
	CHECK_MSI(EDGE_MSI(3, VECTOR_A, .logical = true), CPU(0) | CPU(1), REMAPPED);
	CHECK_MSI(EDGE_MSI(7, VECTOR_A, .logical = true), CPU(0) | CPU(1) | CPU(2), REMAPPED);
}

TEST_F(posting, broadcast)
{
	u64 all = CPU(0) | CPU(1) | CPU(2);

	CHECK_MSI(EDGE_MSI(XAPIC_BROADCAST, VECTOR_A), all, REMAPPED);
	CHECK_MSI(EDGE_MSI(XAPIC_BROADCAST, VECTOR_A, .logical = true), all, REMAPPED);
}

/* The vector chooses one of those that the destination has bits for. */
TEST_F(posting, lowest_priority)
{
	u8 vector;

	for (vector = 0x30; vector < 0x36; vector++) {
		CHECK_MSI(EDGE_MSI(7, vector, .logical = true, .delivery_mode = APIC_DM_LOWEST),
			  CPU(vector % 3), vector % 3);
		CHECK_MSI(EDGE_MSI(6, vector, .logical = true, .redir_hint = true),
			  CPU(1 + vector % 2), 1 + vector % 2);
	}
}

/* It may choose a bit that no vCPU has: KVM drops the IRQ then. */
TEST_F(posting, lowest_priority_with_a_hole)
{
	u32 dest = 1 << NR_VCPUS | 1;

	CHECK_MSI(EDGE_MSI(dest, 0x30, .logical = true, .delivery_mode = APIC_DM_LOWEST),
		  CPU(0), 0);
	CHECK_MSI(EDGE_MSI(dest, 0x31, .logical = true, .delivery_mode = APIC_DM_LOWEST),
		  0, REMAPPED);
}

/* Only those with a vector, i.e. fixed and lowest priority ones. */
TEST_F(posting, delivery_modes)
{
	u32 mode;

	for (mode = 0; mode < 8; mode++) {
		SET_ROUTES(self->vm,
			   msi_route(GSI, EDGE_MSI(1, VECTOR_A, .delivery_mode = mode << 8)));
		EXPECT_POSTED(&self->dev, mode <= 1 ? 1 : REMAPPED, VECTOR_A);
	}
}

/* Hardware that posts an IRQ doesn't tell the local APIC that it is level-triggered. */
TEST_F(posting, level_triggered)
{
	CHECK_MSI(LEVEL_MSI(1, VECTOR_A), CPU(1), REMAPPED);
	CHECK_MSI(EDGE_MSI(1, VECTOR_B), CPU(1), 1);
	CHECK_MSI(LEVEL_MSI(1, VECTOR_A), CPU(1), REMAPPED);
}

/* How often KVM has programmed the IRQ since it was asked before. */
static u32 new_calls(struct device *dev, u32 *nr_calls)
{
	u32 before = *nr_calls;

	*nr_calls = device_state(dev).nr_calls;
	return *nr_calls - before;
}

#define EXPECT_CALLS(_nr)	TEST_ASSERT_EQ(new_calls(&self->dev, &self->nr_calls), _nr)

TEST_F(posting, programmed_once)
{
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	EXPECT_CALLS(1);
	/* The same again, and another GSI. */
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)),
		   msi_route(GSI_OTHER, EDGE_MSI(1, VECTOR_A)));
	EXPECT_CALLS(0);
	/* To the same vCPU by its logical ID. */
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A, .logical = true)));
	EXPECT_CALLS(0);
	EXPECT_POSTED(&self->dev, 0, VECTOR_A);
	/* Another vector, another vCPU, the host, and again to the host. */
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	EXPECT_CALLS(1);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_B)));
	EXPECT_CALLS(1);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(XAPIC_BROADCAST, VECTOR_B)));
	EXPECT_CALLS(1);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(NR_VCPUS, VECTOR_B)));
	EXPECT_CALLS(0);
}

TEST_F(posting, route_comes_and_goes)
{
	EXPECT_REMAPPED(&self->dev);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	EXPECT_POSTED(&self->dev, 0, VECTOR_A);
	SET_ROUTES(self->vm);
	EXPECT_REMAPPED(&self->dev);
	EXPECT_CALLS(2);
}

TEST_F(posting, irqfd_and_producer_come_and_go)
{
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	kvm_deassign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_REMAPPED(&self->dev);
	/* The producer first, then the irqfd. */
	kvm_assign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	device_unbind(&self->dev);
	EXPECT_REMAPPED(&self->dev);
	/* The other way round; what has changed meanwhile counts. */
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(2, VECTOR_B)));
	TEST_ASSERT_EQ(device_bind(&self->dev), 0);
	EXPECT_POSTED(&self->dev, 2, VECTOR_B);
	EXPECT_CALLS(5);
}

/* An IRQ follows the APIC IDs of the guest. */
TEST_F(posting, apic_changes)
{
	struct irq_cpu *cpu = &self->cpus[1];

	if (variant->apic_mode == guest_x2apic) {
		/* Its ID in xAPIC mode is the same, and its logical ID is not. */
		SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(2, VECTOR_A, .logical = true)));
		EXPECT_POSTED(&self->dev, 1, VECTOR_A);
		vcpu_set_msr(cpu->vcpu, MSR_IA32_APICBASE,
			     vcpu_get_msr(cpu->vcpu, MSR_IA32_APICBASE) & ~MSR_IA32_APICBASE_EXTD);
		EXPECT_REMAPPED(&self->dev);
		irq_cpu_start(cpu, guest_x2apic);
		EXPECT_POSTED(&self->dev, 1, VECTOR_A);
		EXPECT_CALLS(3);
		return;
	}

	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(9, VECTOR_A)));
	EXPECT_REMAPPED(&self->dev);
	irq_cpu_apic_write(cpu, APIC_ID, SET_APIC_DEST_FIELD(9));
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	CHECK_TAKEN(EDGE_MSI(0, VECTOR_A), CPU(1));
	irq_cpu_apic_write(cpu, APIC_ID, SET_APIC_DEST_FIELD(10));
	EXPECT_REMAPPED(&self->dev);
	/* Two with one ID. */
	irq_cpu_apic_write(cpu, APIC_ID, SET_APIC_DEST_FIELD(2));
	CHECK_MSI(EDGE_MSI(2, VECTOR_A), CPU(1) | CPU(2), REMAPPED);
	irq_cpu_apic_write(cpu, APIC_ID, SET_APIC_DEST_FIELD(1));
	EXPECT_POSTED(&self->dev, 2, VECTOR_A);
}

TEST_F(posting, logical_id_changes)
{
	struct irq_cpu *cpu = &self->cpus[1];

	if (variant->apic_mode == guest_x2apic)
		SKIP(return, "The logical ID of an x2APIC is constant");

	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0x40, VECTOR_A, .logical = true)));
	EXPECT_REMAPPED(&self->dev);
	irq_cpu_apic_write(cpu, APIC_LDR, SET_APIC_DEST_FIELD(0x40));
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	CHECK_TAKEN(EDGE_MSI(0, VECTOR_A), CPU(1));
	irq_cpu_apic_write(&self->cpus[2], APIC_LDR, SET_APIC_DEST_FIELD(0x40));
	EXPECT_REMAPPED(&self->dev);
	irq_cpu_apic_write(cpu, APIC_LDR, SET_APIC_DEST_FIELD(0x2));
	EXPECT_POSTED(&self->dev, 2, VECTOR_A);
	/* No cluster has them all. */
	irq_cpu_apic_write(&self->cpus[2], APIC_DFR, APIC_DFR_CLUSTER);
	EXPECT_REMAPPED(&self->dev);
}

/* What does not concern the IRQ is not programmed. */
TEST_F(posting, other_apic_changes)
{
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	EXPECT_CALLS(1);
	irq_cpu_apic_write(&self->cpus[1], APIC_SPIV, 0xff);
	irq_cpu_apic_write(&self->cpus[1], APIC_SPIV, 0xff | APIC_SPIV_APIC_ENABLED);
	EXPECT_CALLS(0);
	EXPECT_POSTED(&self->dev, 0, VECTOR_A);
}

/* Once KVM has posted to another vCPU in vain, the IRQ goes to the host, until it works. */
TEST_F(posting, fails_to_follow)
{
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	EXPECT_POSTED(&self->dev, 0, VECTOR_A);
	device_fail_next(&self->dev, 1);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
	EXPECT_REMAPPED(&self->dev);
	/* An update that changes another route. */
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)),
		   msi_route(GSI_OTHER, EDGE_MSI(1, VECTOR_A)));
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	/* To the same vCPU. */
	device_fail_next(&self->dev, 2);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_B)));
	EXPECT_REMAPPED(&self->dev);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
	EXPECT_REMAPPED(&self->dev);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_B)));
	EXPECT_POSTED(&self->dev, 1, VECTOR_B);
}

TEST_F(posting, fails_at_first)
{
	device_unbind(&self->dev);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
	device_fail_next(&self->dev, 1);
	TEST_ASSERT_EQ(device_bind(&self->dev), 0);
	EXPECT_REMAPPED(&self->dev);
	device_raise(&self->dev);
	EXPECT_TAKE(&self->cpus[1], VECTORS(VECTOR_A), NO_VECTORS);
	/* A change of a local APIC that has nothing to do with it. */
	irq_cpu_apic_write(&self->cpus[0], APIC_SPIV, 0xff);
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
}

/* How many irqfds the file of the VM has in a line. */
static u32 count_irqfds(const char *dir, const char *line)
{
	char *text = read_vm_file(dir, "posting"), *at;
	u32 nr;

	TEST_ASSERT(text, "Cannot read what is posted");
	at = strstr(text, line);
	TEST_ASSERT(at && sscanf(at + strlen(line), " %u\n", &nr) == 1, "No line %s in\n%s",
		    line, text);
	free(text);
	return nr;
}

/* For the documentation. */
static void print_irqfds(const char *dir)
{
	char *text = read_vm_file(dir, "posting"), *line, *rest = text;

	TEST_ASSERT(text, "Cannot read what is posted");
	while ((line = strsep(&rest, "\n")) && *line)
		ksft_print_msg("posting: %s\n", line);
	free(text);
}

static void expect_irqfds(const char *dir, u32 nr, const char *line, unsigned int at)
{
	u32 got = count_irqfds(dir, line);

	test_assert(got == nr, "irqfds", __FILE__, at, "%u and not %u are%s", got, nr, line);
}

#define EXPECT_IRQFDS(_nr, _line)	expect_irqfds(dir, _nr, _line, __LINE__)

TEST_F(posting, counted_by_reason)
{
	const struct msi msis[] = {
		EDGE_MSI(0, VECTOR_A),
		EDGE_MSI(1, VECTOR_A),
		EDGE_MSI(1, VECTOR_A, .delivery_mode = APIC_DM_NMI),
		EDGE_MSI(NR_VCPUS, VECTOR_A),
		EDGE_MSI(XAPIC_BROADCAST, VECTOR_A),
		LEVEL_MSI(0, VECTOR_A),
	};
	struct device devs[ARRAY_SIZE(msis)];
	struct kvm_irq_routing_entry e[ARRAY_SIZE(msis)];
	char dir[256];
	u32 i;

	if (!find_vm_dir(dir, sizeof(dir)))
		SKIP(return, "The module does not handle the VM");

	/* Of the fixture. */
	EXPECT_IRQFDS(1, "\nremapped not_msi");
	for (i = 0; i < ARRAY_SIZE(msis); i++) {
		devs[i] = device_open();
		e[i] = msi_route(GSI_OTHER + i, msis[i]);
		kvm_assign_irqfd(self->vm, GSI_OTHER + i, devs[i].eventfd);
	}
	EXPECT_IRQFDS(1, "\nremapped not_msi");
	for (i = 0; i < ARRAY_SIZE(msis); i++)
		TEST_ASSERT_EQ(device_bind(&devs[i]), 0);
	EXPECT_IRQFDS(7, "\nremapped not_msi");

	device_fail_next(&devs[1], 1);
	SET_ROUTES(self->vm, e[0], e[1], e[2], e[3], e[4], e[5]);
	EXPECT_IRQFDS(1, "\nremapped not_msi");
	EXPECT_IRQFDS(1, "\nremapped failed");
	EXPECT_IRQFDS(0, "\nremapped undecided");
	print_irqfds(dir);
	if (helper_decides()) {
		EXPECT_IRQFDS(1, "\nposted -");
		EXPECT_IRQFDS(1, "\nremapped delivery_mode");
		EXPECT_IRQFDS(1, "\nremapped no_target");
		EXPECT_IRQFDS(1, "\nremapped several");
		EXPECT_IRQFDS(1, "\nremapped level");
		EXPECT_IRQFDS(0, "\nremapped not_postable");
	} else {
		/* The level-triggered one is posted. */
		EXPECT_IRQFDS(2, "\nposted -");
		TEST_ASSERT_EQ(count_irqfds(dir, "\nremapped not_postable") +
			       count_irqfds(dir, "\nremapped delivery_mode") +
			       count_irqfds(dir, "\nremapped no_target") +
			       count_irqfds(dir, "\nremapped several"), 3);
	}

	/* That which failed is tried again. */
	SET_ROUTES(self->vm, e[0], e[1]);
	EXPECT_IRQFDS(2, "\nposted -");
	EXPECT_IRQFDS(0, "\nremapped failed");
	EXPECT_IRQFDS(5, "\nremapped not_msi");

	device_unbind(&devs[0]);
	kvm_deassign_irqfd(self->vm, GSI_OTHER + 1, devs[1].eventfd);
	EXPECT_IRQFDS(0, "\nposted -");
	EXPECT_IRQFDS(5, "\nremapped not_msi");
	for (i = 0; i < ARRAY_SIZE(msis); i++)
		device_close(&devs[i]);
	EXPECT_IRQFDS(1, "\nremapped not_msi");
}

TEST(vcpu_comes)
{
	struct kvm_vm *vm = vm_create_split(2, NR_PINS);
	struct device dev = device_open();
	struct irq_cpu cpus[2];

	irq_cpu_add(&cpus[0], vm, 0, guest_xapic);
	kvm_assign_irqfd(vm, GSI, dev.eventfd);
	TEST_ASSERT_EQ(device_bind(&dev), 0);
	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
	EXPECT_REMAPPED(&dev);
	irq_cpu_add(&cpus[1], vm, 1, guest_xapic);
	EXPECT_POSTED(&dev, 1, VECTOR_A);
	device_raise(&dev);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), NO_VECTORS);
	device_close(&dev);
	kvm_vm_free(vm);
}

/* Which vCPU a route means depends on KVM_CAP_X2APIC_API. */
TEST(x2apic_api_late)
{
	struct kvm_vm *vm = vm_create_split(2, NR_PINS);
	struct device dev = device_open();
	struct irq_cpu cpus[2];

	irq_cpu_add(&cpus[0], vm, 0, guest_x2apic);
	irq_cpu_add(&cpus[1], vm, 0x100, guest_x2apic);
	kvm_assign_irqfd(vm, GSI, dev.eventfd);
	TEST_ASSERT_EQ(device_bind(&dev), 0);
	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0x100, VECTOR_A)));
	EXPECT_POSTED(&dev, 0, VECTOR_A);
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	EXPECT_POSTED(&dev, 1, VECTOR_A);
	device_raise(&dev);
	EXPECT_IDLE(&cpus[0]);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), NO_VECTORS);
	device_close(&dev);
	kvm_vm_free(vm);
}

/* More than KVM programs in one go. */
#define NR_DEVICES	50

/* The IRQs of @devs have GSIs from GSI_OTHER on, and go to the APIC ID @dest. */
static void devices_set_routes(struct kvm_vm *vm, u32 nr, u32 dest)
{
	struct kvm_irq_routing *routing;
	u32 i;

	routing = calloc(1, sizeof(*routing) + nr * sizeof(routing->entries[0]));
	TEST_ASSERT(routing, "Insufficient memory for %u routes", nr);
	routing->nr = nr;
	for (i = 0; i < nr; i++)
		routing->entries[i] = msi_route(GSI_OTHER + i, EDGE_MSI(dest, VECTOR_A + i));
	vm_ioctl(vm, KVM_SET_GSI_ROUTING, routing);
	free(routing);
}

/* A table, some of whose routes change at a time, and where. */
struct shuffled {
	struct kvm_irq_routing *routing;
	u8 vector[NR_DEVICES];	/* of each GSI from GSI_OTHER on, 0: it has no route */
	u32 nr_calls[NR_DEVICES];
};

static void shuffled_set(struct kvm_vm *vm, struct shuffled *table, u32 first)
{
	struct kvm_irq_routing_entry *entries = table->routing->entries;
	u32 i, gsi, nr = 0;

	/* Where a route is in the table makes no difference. */
	for (i = 0; i < NR_DEVICES; i++) {
		gsi = (first + i) % NR_DEVICES;
		if (table->vector[gsi])
			entries[nr++] = msi_route(GSI_OTHER + gsi, EDGE_MSI(0, table->vector[gsi]));
	}
	table->routing->nr = nr;
	vm_ioctl(vm, KVM_SET_GSI_ROUTING, table->routing);
}

/* Few or many of the routes change, come or go, or only move within the table. */
TEST(some_of_many_routes_change)
{
	/* None, one, a few, or more than KVM takes note of. */
	static const u32 crowds[] = { 0, 1, 1, 4, 40 };
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	unsigned int seed = 0x1d;
	struct device devs[NR_DEVICES];
	struct shuffled table = {};
	u32 round, i, gsi, nr, first = 0;
	u8 vector;

	table.routing = calloc(1, sizeof(*table.routing) +
			       NR_DEVICES * sizeof(table.routing->entries[0]));
	TEST_ASSERT(table.routing, "Insufficient memory for a table");
	for (i = 0; i < NR_DEVICES; i++) {
		devs[i] = device_open();
		kvm_assign_irqfd(vm, GSI_OTHER + i, devs[i].eventfd);
		TEST_ASSERT_EQ(device_bind(&devs[i]), 0);
	}

	for (round = 0; round < 300; round++) {
		bool was_changed[NR_DEVICES] = {};

		nr = crowds[rand_r(&seed) % ARRAY_SIZE(crowds)];
		for (i = 0; i < nr; i++) {
			gsi = rand_r(&seed) % NR_DEVICES;
			if (was_changed[gsi])
				continue;
			was_changed[gsi] = true;
			vector = rand_r(&seed) % 4 ? 0x30 + rand_r(&seed) % 64 : 0;
			if (vector != table.vector[gsi])
				table.nr_calls[gsi]++;
			table.vector[gsi] = vector;
		}
		if (rand_r(&seed) % 4 == 0)
			first = rand_r(&seed) % NR_DEVICES;
		shuffled_set(vm, &table, first);

		for (i = 0; i < NR_DEVICES; i++) {
			expect_posted(&devs[i], table.vector[i] ? 0 : REMAPPED, table.vector[i],
				      __FILE__, __LINE__);
			TEST_ASSERT_EQ(device_state(&devs[i]).nr_calls, table.nr_calls[i]);
		}
		/* What KVM delivers goes by the same route; without one, it does so later. */
		gsi = rand_r(&seed) % NR_DEVICES;
		if (!table.vector[gsi])
			continue;
		device_raise(&devs[gsi]);
		EXPECT_TAKE(&cpu, VECTORS(table.vector[gsi]), NO_VECTORS);
	}

	for (i = 0; i < NR_DEVICES; i++)
		device_close(&devs[i]);
	free(table.routing);
	kvm_vm_free(vm);
}

struct comings_and_goings {
	struct kvm_vm *vm;
	bool stop;
};

/* An irqfd and a producer, neither of which concerns the others. */
static void *come_and_go(void *data)
{
	struct comings_and_goings *arg = data;
	struct device dev = device_open();

	while (!READ_ONCE(arg->stop)) {
		kvm_assign_irqfd(arg->vm, GSI, dev.eventfd);
		TEST_ASSERT_EQ(device_bind(&dev), 0);
		kvm_deassign_irqfd(arg->vm, GSI, dev.eventfd);
		device_unbind(&dev);
	}
	device_close(&dev);
	return NULL;
}

/* All IRQs follow a local APIC, and are programmed no more often than that takes. */
static void devices_follow(bool busy)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
	struct comings_and_goings others = { .vm = vm };
	struct device devs[NR_DEVICES];
	u32 round, i, rounds = busy ? 30 : 3;
	pthread_t thread;

	for (i = 0; i < NR_DEVICES; i++) {
		devs[i] = device_open();
		kvm_assign_irqfd(vm, GSI_OTHER + i, devs[i].eventfd);
		TEST_ASSERT_EQ(device_bind(&devs[i]), 0);
	}
	devices_set_routes(vm, NR_DEVICES, 9);
	for (i = 0; i < NR_DEVICES; i++)
		EXPECT_REMAPPED(&devs[i]);

	if (busy)
		pthread_create(&thread, NULL, come_and_go, &others);
	for (round = 1; round <= rounds; round++) {
		irq_cpu_apic_write(&cpus[1], APIC_ID, SET_APIC_DEST_FIELD(9));
		for (i = 0; i < NR_DEVICES; i++)
			EXPECT_POSTED(&devs[i], 1, VECTOR_A + i);
		irq_cpu_apic_write(&cpus[1], APIC_ID, SET_APIC_DEST_FIELD(1));
		for (i = 0; i < NR_DEVICES; i++) {
			EXPECT_REMAPPED(&devs[i]);
			TEST_ASSERT_EQ(device_state(&devs[i]).nr_calls, 2 * round);
		}
	}
	if (busy) {
		WRITE_ONCE(others.stop, true);
		pthread_join(thread, NULL);
	}

	for (i = 0; i < NR_DEVICES; i++)
		device_close(&devs[i]);
	kvm_vm_free(vm);
}

TEST(many_follow_apic_changes)
{
	devices_follow(false);
}

TEST(many_follow_while_others_come_and_go)
{
	devices_follow(true);
}

static void guest_toggle_apic(u64 times)
{
	while (times--) {
		guest_apic_write(APIC_SPIV, 0xff);
		guest_apic_write(APIC_SPIV, 0xff | APIC_SPIV_APIC_ENABLED);
	}
}

static void *toggle_apic(void *cpu)
{
	irq_cpu_call(cpu, guest_toggle_apic, 200, 0);
	return NULL;
}

/* The first producer does not wait for KVM's map of local APICs, and is not forgotten. */
TEST(producer_comes_while_apics_change)
{
	struct irq_cpu cpus[2];
	pthread_t thread;
	int i;

	for (i = 0; i < 8; i++) {
		struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
		struct device dev = device_open();

		SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
		kvm_assign_irqfd(vm, GSI, dev.eventfd);
		pthread_create(&thread, NULL, toggle_apic, &cpus[1]);
		usleep(1000 * (i % 4));
		TEST_ASSERT_EQ(device_bind(&dev), 0);
		pthread_join(thread, NULL);
		EXPECT_POSTED(&dev, 0, VECTOR_A);
		device_close(&dev);
		kvm_vm_free(vm);
	}
}

/* What has KVM try again where it had no memory to find out where an IRQ is posted. */
enum retry {
	OTHER_PRODUCER,
	OTHER_ROUTE,
	OTHER_APIC,
};

/* Returns whether the IRQ was left remapped by the allocation that failed. */
static bool fail_producer(struct faults *faults, u32 nth, enum retry retry)
{
	struct device dev = device_open(), other = device_open();
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
	bool remapped;
	int ret;

	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	kvm_assign_irqfd(vm, GSI_OTHER, other.eventfd);
	/* The producer comes first: what the host allocates for it is none of KVM's business. */
	TEST_ASSERT_EQ(device_bind(&dev), 0);

	fault_begin(faults, nth);
	ret = __kvm_irqfd(vm, GSI, dev.eventfd, 0);
	fault_check(faults, "KVM_IRQFD", nth, ret, errno);
	if (ret)
		kvm_assign_irqfd(vm, GSI, dev.eventfd);

	remapped = !device_state(&dev).posted;
	if (remapped) {
		/* It arrives all the same. */
		device_raise(&dev);
		EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), NO_VECTORS);
		switch (retry) {
		case OTHER_PRODUCER:
			TEST_ASSERT_EQ(device_bind(&other), 0);
			break;
		case OTHER_ROUTE:
			SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)),
				   msi_route(GSI_OTHER, EDGE_MSI(1, VECTOR_A)));
			break;
		case OTHER_APIC:
			irq_cpu_apic_write(&cpus[1], APIC_LDR, SET_APIC_DEST_FIELD(0x40));
			break;
		}
	}
	EXPECT_POSTED(&dev, 0, VECTOR_A);

	device_close(&dev);
	device_close(&other);
	kvm_vm_free(vm);
	return remapped;
}

/*
 * Two allocations are for local APICs.  How many come before them differs from one
 * irqfd to the next, as irqbypass and others have to grow now and then.
 */
#define MAX_ALLOCATIONS		8
#define NR_REMAPPED		4
#define MAX_ATTEMPTS		(16 * MAX_ALLOCATIONS)

static void fail_producers(enum retry retry)
{
	u32 i, nr_remapped = 0, max = helper_decides() ? MAX_ATTEMPTS : MAX_ALLOCATIONS;
	struct faults faults = faults_new();

	for (i = 0; i < max && nr_remapped < NR_REMAPPED; i++)
		nr_remapped += fail_producer(&faults, 1 + i % MAX_ALLOCATIONS, retry);
	ksft_print_msg("faults injected: %u, survived: %u, remapped by %u of them\n",
		       faults.injected, faults.survived, nr_remapped);
	TEST_ASSERT(faults.injected, "KVM_IRQFD allocates nothing");
	TEST_ASSERT(nr_remapped == (helper_decides() ? NR_REMAPPED : 0),
		    "What is kept of local APICs needs no memory");
	faults_free(&faults);
}

TEST(no_memory_until_other_producer)
{
	if (!fault_setup())
		SKIP(return, "No faults in this kernel");
	fail_producers(OTHER_PRODUCER);
}

TEST(no_memory_until_other_route)
{
	if (!fault_setup())
		SKIP(return, "No faults in this kernel");
	fail_producers(OTHER_ROUTE);
}

TEST(no_memory_until_other_apic)
{
	if (!fault_setup())
		SKIP(return, "No faults in this kernel");
	fail_producers(OTHER_APIC);
}

/* VMs go with IRQs that are posted, in whatever order files are closed. */
TEST(vm_goes_first)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	struct device dev = device_open();

	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	kvm_assign_irqfd(vm, GSI, dev.eventfd);
	TEST_ASSERT_EQ(device_bind(&dev), 0);
	EXPECT_POSTED(&dev, 0, VECTOR_A);
	kvm_vm_free(vm);
	EXPECT_REMAPPED(&dev);
	device_close(&dev);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	TEST_REQUIRE(enable_posting());
	TEST_REQUIRE(load_device("/proc/self/exe"));

	return test_harness_run(argc, argv);
}
