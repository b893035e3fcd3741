// SPDX-License-Identifier: GPL-2.0
/*
 * Which EOIs a VM with a split irqchip reports with KVM_EXIT_IOAPIC_EOI: those
 * of the vectors that a level-triggered MSI route of a reserved GSI sends to the
 * vCPU, and no others.
 *
 * To show that a vCPU is not a destination of a route, it is sent the route's
 * vector past the routing table.  Before any IRQ, a vCPU runs once to look at new
 * routes, because it takes what is pending at that point for an IRQ by the old
 * ones, and reports its EOI wherever the new ones go.  IRQs of both trigger modes
 * with one vector have a test of their own, split_irqchip_trigger_mode_test.
 */
#include <sys/eventfd.h>

#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24

/* In different priority classes, so that a later one interrupts an earlier one. */
#define VECTOR_A	0x31
#define VECTOR_B	0x42
#define VECTOR_C	0x53

/* How an IRQ gets from the host to the vCPU. */
static void inject_irq_line(struct kvm_vm *vm, u32 gsi, struct msi msi)
{
	kvm_irq_line(vm, gsi, 1);
}

static void inject_signal_msi(struct kvm_vm *vm, u32 gsi, struct msi msi)
{
	TEST_ASSERT_EQ(signal_msi(vm, msi), 1);
}

static void inject_irqfd(struct kvm_vm *vm, u32 gsi, struct msi msi)
{
	int eventfd = kvm_new_eventfd();

	kvm_assign_irqfd(vm, gsi, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	/* De-assigning completes what has not been injected yet. */
	kvm_deassign_irqfd(vm, gsi, eventfd);
	close(eventfd);
}

static const struct {
	const char *name;
	void (*inject)(struct kvm_vm *vm, u32 gsi, struct msi msi);
} injectors[] = {
	{ "KVM_IRQ_LINE", inject_irq_line },
	{ "KVM_SIGNAL_MSI", inject_signal_msi },
	{ "irqfd", inject_irqfd },
};

static void check_level_exits_per_injector(void (*apic_mode)(void))
{
	struct msi msi = LEVEL_MSI(0, VECTOR_A);
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, apic_mode);
	int i;

	SET_ROUTES(vm, msi_route(5, msi));

	for (i = 0; i < ARRAY_SIZE(injectors); i++) {
		ksft_print_msg("by %s\n", injectors[i].name);
		injectors[i].inject(vm, 5, msi);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
		EXPECT_IDLE(&cpu);
	}
	kvm_vm_free(vm);
}

TEST(level_exits_xapic)
{
	check_level_exits_per_injector(guest_xapic);
}

TEST(level_exits_x2apic)
{
	check_level_exits_per_injector(guest_x2apic);
}

TEST(edge_does_not_exit)
{
	struct msi msi = EDGE_MSI(0, VECTOR_A);
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int i;

	SET_ROUTES(vm, msi_route(5, msi), msi_route(6, LEVEL_MSI(0, VECTOR_B)));

	for (i = 0; i < ARRAY_SIZE(injectors); i++) {
		injectors[i].inject(vm, 5, msi);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

TEST(no_route_no_exit)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(exit_at_eoi_not_before)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));

	raise_gsi(vm, 5);
	EXPECT_HOLD(&cpu, VECTORS(VECTOR_A));
	EXPECT_IDLE(&cpu);
	EXPECT_EOI(&cpu, VECTORS(VECTOR_A));
	/* Nothing is in service any more. */
	EXPECT_EOI(&cpu, NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(every_eoi_exits_once)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int i;

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));

	for (i = 0; i < 10; i++) {
		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	}
	kvm_vm_free(vm);
}

TEST(coalesced_irqs_exit_once)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));

	raise_gsi(vm, 5);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	/* One in service and one pending are two IRQs. */
	raise_gsi(vm, 5);
	EXPECT_HOLD(&cpu, VECTORS(VECTOR_A));
	raise_gsi(vm, 5);
	EXPECT_EOI(&cpu, VECTORS(VECTOR_A));
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

TEST(deassertion_delivers_nothing)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));

	TEST_ASSERT_EQ(irq_line_status(vm, 5, 0), -1);
	EXPECT_IDLE(&cpu);
	kvm_vm_free(vm);
}

TEST(nested_irqs_exit_in_eoi_order)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, EDGE_MSI(0, VECTOR_B)),
		   msi_route(7, LEVEL_MSI(0, VECTOR_C)));

	raise_gsi(vm, 5);
	EXPECT_HOLD(&cpu, VECTORS(VECTOR_A));
	raise_gsi(vm, 6);
	EXPECT_HOLD(&cpu, VECTORS(VECTOR_B));
	raise_gsi(vm, 7);
	EXPECT_HOLD(&cpu, VECTORS(VECTOR_C));

	EXPECT_EOI(&cpu, VECTORS(VECTOR_C));
	EXPECT_EOI(&cpu, NO_VECTORS);
	EXPECT_EOI(&cpu, VECTORS(VECTOR_A));

	/* Pending together, they are taken and reported from the highest to the lowest. */
	raise_gsi(vm, 5);
	raise_gsi(vm, 6);
	raise_gsi(vm, 7);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_C, VECTOR_B, VECTOR_A), VECTORS(VECTOR_C, VECTOR_A));
	kvm_vm_free(vm);
}

/* Every vector, with the first and the last of each word of KVM's bitmap. */
TEST(vector_range)
{
	static const u8 vectors[] = {
		0x20, 0x3e, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff,
	};
	struct kvm_irq_routing_entry routes[ARRAY_SIZE(vectors)];
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);
	int i;

	for (i = 0; i < ARRAY_SIZE(vectors); i++)
		routes[i] = msi_route(i, LEVEL_MSI(0, vectors[i]));
	TEST_ASSERT_EQ(__set_routes(vm, routes, ARRAY_SIZE(routes), 0), 0);

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		raise_gsi(vm, i);
		EXPECT_TAKE(&cpu, VECTORS(vectors[i]), VECTORS(vectors[i]));
	}

	/* Their neighbours have no route. */
	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, 0x21)), 1);
	EXPECT_TAKE(&cpu, VECTORS(0x21), NO_VECTORS);
	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, 0xfd)), 1);
	EXPECT_TAKE(&cpu, VECTORS(0xfd), NO_VECTORS);
	kvm_vm_free(vm);
}

/*
 * args[0] = 256 and above are left out: they say how many pins to reserve, but
 * KVM keeps eight bits of it.
 */
TEST(window_boundary)
{
	static const u32 windows[] = { 0, 1, 24, 255 };
	int i, j;

	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		const u32 nr_pins = windows[i];
		const u32 gsis[] = {
			0, nr_pins ? nr_pins - 1 : 0, nr_pins, nr_pins + 1,
			KVM_MAX_IRQ_ROUTES - 1,
		};
		struct irq_cpu cpu;
		struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, nr_pins, guest_xapic);

		for (j = 0; j < ARRAY_SIZE(gsis); j++) {
			ksft_print_msg("GSI %u, %u reserved pins\n", gsis[j], nr_pins);
			SET_ROUTES(vm, msi_route(gsis[j], LEVEL_MSI(0, VECTOR_A)));
			EXPECT_IDLE(&cpu);

			raise_gsi(vm, gsis[j]);
			if (gsis[j] < nr_pins)
				EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
			else
				EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
		}
		kvm_vm_free(vm);
	}
}

/* The routes on both sides of the boundary, in one table. */
TEST(window_splits_table)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(NR_PINS, LEVEL_MSI(0, VECTOR_B)),
		   msi_route(NR_PINS - 1, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(KVM_MAX_IRQ_ROUTES - 1, LEVEL_MSI(0, VECTOR_C)));
	/* What is pending when a vCPU looks at its routes may be reported if in doubt. */
	EXPECT_IDLE(&cpu);

	raise_gsi(vm, NR_PINS - 1);
	raise_gsi(vm, NR_PINS);
	raise_gsi(vm, KVM_MAX_IRQ_ROUTES - 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_C, VECTOR_B, VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

TEST(two_pins_on_one_vector)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);

	/* An exit names the vector, not the pin, so one EOI is one exit. */
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_A)));
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	raise_gsi(vm, 5);
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	/* The second pin is reason enough, whether inside the window or not. */
	SET_ROUTES(vm, msi_route(6, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(NR_PINS, LEVEL_MSI(0, VECTOR_A)));
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	/* To two vCPUs: each reports its own. */
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_IDLE(&cpus[0]);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	EXPECT_IDLE(&cpus[1]);
	raise_gsi(vm, 6);
	EXPECT_IDLE(&cpus[0]);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

TEST(vcpus_have_vectors_of_their_own)
{
	struct irq_cpu cpus[3];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 3, NR_PINS, guest_xapic);
	int i;

	SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(1, LEVEL_MSI(1, VECTOR_B)),
		   msi_route(2, LEVEL_MSI(2, VECTOR_C)));

	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		EXPECT_IDLE(&cpus[i]);
		TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(i, VECTOR_C)), 1);
		TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(i, VECTOR_B)), 1);
		TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(i, VECTOR_A)), 1);
	}
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_C, VECTOR_B, VECTOR_A), VECTORS(VECTOR_A));
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_C, VECTOR_B, VECTOR_A), VECTORS(VECTOR_B));
	EXPECT_TAKE(&cpus[2], VECTORS(VECTOR_C, VECTOR_B, VECTOR_A), VECTORS(VECTOR_C));
	kvm_vm_free(vm);
}

/*
 * Destinations.  A case says which vCPUs, by position, a route reaches.  They
 * get the IRQ and report its EOI; the others neither get it nor report an EOI of
 * the same vector from somewhere else.
 */
struct dest_case {
	struct msi msi;
	u32 reached;		/* bitmap of vCPUs by position */
};

#define DEST(_dest, _reached, ...)	\
	{ LEVEL_MSI(_dest, VECTOR_A, ##__VA_ARGS__), _reached }
#define PHYS(_dest, _reached)		DEST(_dest, _reached)
#define LOGICAL(_dest, _reached)	DEST(_dest, _reached, .logical = true)

static void check_dest(struct kvm_vm *vm, struct irq_cpu *cpus, u32 nr_cpus,
		       const struct dest_case *c)
{
	u32 i;

	ksft_print_msg("%s destination 0x%x\n", c->msi.logical ? "logical" : "physical",
		       c->msi.dest);

	SET_ROUTES(vm, msi_route(5, c->msi));
	for (i = 0; i < nr_cpus; i++)
		EXPECT_IDLE(&cpus[i]);

	raise_gsi(vm, 5);

	for (i = 0; i < nr_cpus; i++) {
		struct irq_cpu *cpu = &cpus[i];

		if (c->reached & BIT(i)) {
			EXPECT_TAKE(cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
			continue;
		}

		EXPECT_IDLE(cpu);
		TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(cpu->vcpu->id, VECTOR_A)), 1);
		EXPECT_TAKE(cpu, VECTORS(VECTOR_A), NO_VECTORS);
	}
}

static void check_dests(struct kvm_vm *vm, struct irq_cpu *cpus, u32 nr_cpus,
			const struct dest_case *cases, u32 nr_cases)
{
	u32 i;

	for (i = 0; i < nr_cases; i++)
		check_dest(vm, cpus, nr_cpus, &cases[i]);
}

#define CHECK_DESTS(_vm, _cpus, _nr_cpus, ...)				\
do {									\
	static const struct dest_case __cases[] = { __VA_ARGS__ };	\
									\
	check_dests(_vm, _cpus, _nr_cpus, __cases, ARRAY_SIZE(__cases));	\
} while (0)

static void set_ldr(struct irq_cpu *cpu, u8 logical_id)
{
	irq_cpu_apic_write(cpu, APIC_LDR, SET_APIC_DEST_FIELD((u32)logical_id));
}

TEST(dest_xapic_physical)
{
	struct irq_cpu cpus[3];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 3, NR_PINS, guest_xapic);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    PHYS(0, 0b001),
		    PHYS(1, 0b010),
		    PHYS(2, 0b100),
		    PHYS(3, 0),
		    PHYS(0x81, 0),
		    PHYS(0xfe, 0));
	kvm_vm_free(vm);
}

TEST(dest_xapic_flat)
{
	struct irq_cpu cpus[3];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 3, NR_PINS, guest_xapic);
	int i;

	/* Logical IDs which differ from every physical destination of the vCPU. */
	for (i = 0; i < ARRAY_SIZE(cpus); i++)
		set_ldr(&cpus[i], 0x20 << i);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    LOGICAL(0x20, 0b001),
		    LOGICAL(0x40, 0b010),
		    LOGICAL(0x80, 0b100),
		    LOGICAL(0x60, 0b011),
		    LOGICAL(0xa0, 0b101),
		    LOGICAL(0xe0, 0b111),
		    LOGICAL(0x3f, 0b001),
		    LOGICAL(0x01, 0),
		    LOGICAL(0x1f, 0),
		    LOGICAL(0x00, 0),
		    PHYS(0x20, 0),
		    PHYS(1, 0b010));
	kvm_vm_free(vm);
}

TEST(dest_xapic_cluster)
{
	struct irq_cpu cpus[4];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 4, NR_PINS, guest_xapic);
	static const u8 logical_ids[] = { 0x11, 0x12, 0x21, 0x28 };
	int i;

	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		irq_cpu_apic_write(&cpus[i], APIC_DFR, APIC_DFR_CLUSTER);
		set_ldr(&cpus[i], logical_ids[i]);
	}

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    LOGICAL(0x11, 0b0001),
		    LOGICAL(0x12, 0b0010),
		    LOGICAL(0x13, 0b0011),
		    LOGICAL(0x21, 0b0100),
		    LOGICAL(0x28, 0b1000),
		    LOGICAL(0x2f, 0b1100),
		    LOGICAL(0x14, 0),
		    LOGICAL(0x10, 0),
		    LOGICAL(0x01, 0),
		    LOGICAL(0x31, 0));
	kvm_vm_free(vm);
}

TEST(dest_x2apic_physical)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_x2apic);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    PHYS(0, 0b01),
		    PHYS(1, 0b10),
		    PHYS(2, 0),
		    PHYS(0xfe, 0));
	kvm_vm_free(vm);
}

/* Eight bits of MSI destination reach the first eight vCPUs of cluster 0. */
TEST(dest_x2apic_logical)
{
	static const u32 ids[] = { 0, 1, 7 };
	struct irq_cpu cpus[ARRAY_SIZE(ids)];
	struct kvm_vm *vm = vm_create_split(ARRAY_SIZE(ids), NR_PINS);
	int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++)
		irq_cpu_add(&cpus[i], vm, ids[i], guest_x2apic);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    LOGICAL(0x01, 0b001),
		    LOGICAL(0x02, 0b010),
		    LOGICAL(0x80, 0b100),
		    LOGICAL(0x03, 0b011),
		    LOGICAL(0x83, 0b111),
		    LOGICAL(0x04, 0),
		    LOGICAL(0x7c, 0),
		    LOGICAL(0x00, 0));
	kvm_vm_free(vm);
}

/* Without 32-bit IDs, the high half of the address is not part of the destination. */
TEST(dest_high_bits_ignored_in_compat_format)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_x2apic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0xabcdef01, VECTOR_A)));
	EXPECT_IDLE(&cpus[1]);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	EXPECT_IDLE(&cpus[0]);
	kvm_vm_free(vm);
}

static struct kvm_vm *vm_create_x2apic_api(struct irq_cpu *cpus, const u32 *ids, u32 nr_cpus,
					   u64 flags)
{
	struct kvm_vm *vm = vm_create_split(nr_cpus, NR_PINS);
	u32 i;

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, flags);
	for (i = 0; i < nr_cpus; i++)
		irq_cpu_add(&cpus[i], vm, ids[i], guest_x2apic);
	return vm;
}

TEST(dest_x2apic_physical_32bit)
{
	static const u32 ids[] = { 1, 254, 256, 257 };
	struct irq_cpu cpus[ARRAY_SIZE(ids)];
	struct kvm_vm *vm = vm_create_x2apic_api(cpus, ids, ARRAY_SIZE(ids),
						 KVM_X2APIC_API_USE_32BIT_IDS |
						 KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    PHYS(1, 0b0001),
		    PHYS(254, 0b0010),
		    PHYS(255, 0),
		    PHYS(256, 0b0100),
		    PHYS(257, 0b1000),
		    PHYS(258, 0),
		    PHYS(0x201, 0),
		    PHYS(0x10001, 0),
		    PHYS(0x1000001, 0),
		    PHYS(0xfffffffe, 0));
	kvm_vm_free(vm);
}

TEST(dest_x2apic_logical_32bit)
{
	static const u32 ids[] = { 0, 15, 16, 257 };
	struct irq_cpu cpus[ARRAY_SIZE(ids)];
	struct kvm_vm *vm = vm_create_x2apic_api(cpus, ids, ARRAY_SIZE(ids),
						 KVM_X2APIC_API_USE_32BIT_IDS |
						 KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    LOGICAL(0x00000001, 0b0001),
		    LOGICAL(0x00008000, 0b0010),
		    LOGICAL(0x00008001, 0b0011),
		    LOGICAL(0x0000ffff, 0b0011),
		    LOGICAL(0x00007ffe, 0),
		    LOGICAL(0x00010001, 0b0100),
		    LOGICAL(0x0001fffe, 0),
		    LOGICAL(0x00100002, 0b1000),
		    LOGICAL(0x00100001, 0),
		    LOGICAL(0x00200002, 0));
	kvm_vm_free(vm);
}

/* KVM lets an ID that xAPIC cannot express reach a vCPU that is not in x2APIC mode yet. */
TEST(dest_id_above_255_in_xapic_mode)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split(2, NR_PINS);

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	irq_cpu_add(&cpus[0], vm, 0, guest_x2apic);
	irq_cpu_add(&cpus[1], vm, 0x101, guest_xapic);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    PHYS(0, 0b01),
		    PHYS(0x101, 0b10),
		    /* Its xAPIC ID is what eight bits hold of its number. */
		    PHYS(0x01, 0b10),
		    PHYS(0x102, 0));
	kvm_vm_free(vm);
}

TEST(broadcast_xapic)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    PHYS(XAPIC_BROADCAST, 0b11),
		    PHYS(XAPIC_BROADCAST - 1, 0),
		    /* Without a logical ID, too. */
		    LOGICAL(XAPIC_BROADCAST, 0b11),
		    LOGICAL(XAPIC_BROADCAST - 1, 0));
	kvm_vm_free(vm);
}

TEST(broadcast_x2apic_quirk)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split(2, NR_PINS);

	/* Beyond the eight vCPUs that a logical 0xff names. */
	irq_cpu_add(&cpus[0], vm, 0, guest_x2apic);
	irq_cpu_add(&cpus[1], vm, 9, guest_x2apic);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    PHYS(XAPIC_BROADCAST, 0b11),
		    LOGICAL(XAPIC_BROADCAST, 0b11),
		    LOGICAL(XAPIC_BROADCAST - 1, 0));
	kvm_vm_free(vm);
}

/*
 * With the quirk, a 32-bit broadcast is left out: KVM reports EOIs as if it
 * reached all vCPUs, but delivers it to none.
 */
TEST(broadcast_x2apic_quirk_32bit)
{
	static const u32 ids[] = { 0, 9 };
	struct irq_cpu cpus[ARRAY_SIZE(ids)];
	struct kvm_vm *vm = vm_create_x2apic_api(cpus, ids, ARRAY_SIZE(ids),
						 KVM_X2APIC_API_USE_32BIT_IDS);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    PHYS(XAPIC_BROADCAST, 0b11),
		    LOGICAL(XAPIC_BROADCAST, 0b11),
		    PHYS(0x1ff, 0));
	kvm_vm_free(vm);
}

TEST(broadcast_x2apic_no_quirk)
{
	static const u32 ids[] = { 0, 9, 255 };
	struct irq_cpu cpus[ARRAY_SIZE(ids)];
	struct kvm_vm *vm = vm_create_x2apic_api(cpus, ids, ARRAY_SIZE(ids),
						 KVM_X2APIC_API_USE_32BIT_IDS |
						 KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);

	CHECK_DESTS(vm, cpus, ARRAY_SIZE(cpus),
		    /* 0xff is an ID, or the first eight vCPUs of cluster 0. */
		    PHYS(XAPIC_BROADCAST, 0b100),
		    LOGICAL(XAPIC_BROADCAST, 0b001),
		    PHYS(X2APIC_BROADCAST, 0b111),
		    LOGICAL(X2APIC_BROADCAST, 0b111),
		    PHYS(X2APIC_BROADCAST - 1, 0),
		    LOGICAL(X2APIC_BROADCAST - 1, 0));
	kvm_vm_free(vm);
}

/* Of all destinations one gets the IRQ, but any of them might. */
TEST(lowest_priority)
{
	static const struct msi msis[] = {
		LEVEL_MSI(0x03, VECTOR_A, .logical = true, .delivery_mode = APIC_DM_LOWEST),
		LEVEL_MSI(0x03, VECTOR_A, .logical = true, .redir_hint = true),
	};
	struct irq_cpu cpus[3];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 3, NR_PINS, guest_x2apic);
	int i, j, nr_taken;

	for (i = 0; i < ARRAY_SIZE(msis); i++) {
		SET_ROUTES(vm, msi_route(5, msis[i]));
		for (j = 0; j < ARRAY_SIZE(cpus); j++)
			EXPECT_IDLE(&cpus[j]);
		TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 1);

		nr_taken = 0;
		for (j = 0; j < ARRAY_SIZE(cpus); j++) {
			irq_cpu_call(&cpus[j], guest_take, 0, 0);
			TEST_ASSERT_EQ(cpus[j].eoi_exits.nr, cpus[j].guest->taken.nr);
			nr_taken += cpus[j].guest->taken.nr;
		}
		TEST_ASSERT_EQ(nr_taken, 1);
		TEST_ASSERT_EQ(cpus[2].guest->taken.nr, 0);

		for (j = 0; j < 2; j++) {
			TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(j, VECTOR_A)), 1);
			EXPECT_TAKE(&cpus[j], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
		}
		TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(2, VECTOR_A)), 1);
		EXPECT_TAKE(&cpus[2], VECTORS(VECTOR_A), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

/* The 65th vCPU is the first one that a 64-bit mask of vCPUs does not hold. */
TEST(more_than_64_vcpus)
{
	const u32 nr_cpus = 65;
	struct irq_cpu cpus[65];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, nr_cpus, NR_PINS, guest_x2apic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(64, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(63, VECTOR_B)));
	EXPECT_IDLE(&cpus[64]);
	EXPECT_IDLE(&cpus[63]);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[64], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[63], VECTORS(VECTOR_B), VECTORS(VECTOR_B));

	SET_ROUTES(vm, msi_route(6, LEVEL_MSI(64, VECTOR_B)));
	EXPECT_IDLE(&cpus[64]);
	EXPECT_IDLE(&cpus[63]);
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(64, VECTOR_A)), 1);
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[64], VECTORS(VECTOR_B, VECTOR_A), VECTORS(VECTOR_B));
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(63, VECTOR_B)), 1);
	EXPECT_TAKE(&cpus[63], VECTORS(VECTOR_B), NO_VECTORS);
	kvm_vm_free(vm);
}

/* A change of the guest's APIC changes which vCPUs a route reaches. */
TEST(dest_follows_ldr)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
	static const struct dest_case to_0 = LOGICAL(0x01, 0b01);
	static const struct dest_case to_1 = LOGICAL(0x01, 0b10);

	set_ldr(&cpus[0], 0x01);
	set_ldr(&cpus[1], 0x02);
	check_dest(vm, cpus, 2, &to_0);

	/* The same route again, without an update in between. */
	set_ldr(&cpus[0], 0x04);
	set_ldr(&cpus[1], 0x01);
	raise_gsi(vm, 5);
	EXPECT_IDLE(&cpus[0]);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), NO_VECTORS);

	check_dest(vm, cpus, 2, &to_1);
	kvm_vm_free(vm);
}

TEST(dest_follows_apic_mode)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	/* In xAPIC mode this vCPU has no logical ID, in x2APIC mode it has 1. */
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0x01, VECTOR_A, .logical = true)));
	raise_gsi(vm, 5);
	EXPECT_IDLE(&cpu);
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	irq_cpu_call(&cpu, guest_x2apic, 0, 0);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	irq_cpu_call(&cpu, guest_xapic, 0, 0);
	raise_gsi(vm, 5);
	EXPECT_IDLE(&cpu);
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

#define SPIV_ENABLED	(APIC_SPIV_APIC_ENABLED | 0xff)
#define SPIV_DISABLED	0xff

TEST(software_disabled_apic)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_A)));

	/* What is in service when the APIC is disabled still gets its EOI. */
	raise_gsi(vm, 5);
	EXPECT_HOLD(&cpus[0], VECTORS(VECTOR_A));
	irq_cpu_apic_write(&cpus[0], APIC_SPIV, SPIV_DISABLED);
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));

	/* Nothing new is accepted, and the other vCPU does not mind. */
	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 0);
	EXPECT_IDLE(&cpus[0]);
	EXPECT_EOI(&cpus[0], NO_VECTORS);
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	/* Nor is it delivered late. */
	irq_cpu_apic_write(&cpus[0], APIC_SPIV, SPIV_ENABLED);
	EXPECT_IDLE(&cpus[0]);
	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 1);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

TEST(hardware_disabled_apic)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	irq_cpu_call(&cpus[0], apic_disable, 0, 0);
	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 0);
	EXPECT_IDLE(&cpus[0]);

	/* The routes change while this vCPU has no APIC to look at them. */
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_B)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_C)));
	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 0);
	EXPECT_IDLE(&cpus[0]);
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_C), VECTORS(VECTOR_C));

	irq_cpu_call(&cpus[0], guest_xapic, 0, 0);
	EXPECT_IDLE(&cpus[0]);
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, VECTOR_A)), 1);
	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 1);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_B, VECTOR_A), VECTORS(VECTOR_B));
	kvm_vm_free(vm);
}

/* A VM without the capability reports EOIs even where the guest suppressed them. */
TEST(suppressed_eoi_broadcast_quirk)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	irq_cpu_apic_write(&cpu, APIC_SPIV, SPIV_ENABLED | APIC_SPIV_DIRECTED_EOI);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

TEST(suppressed_eoi_broadcast)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm;

	if (!(kvm_check_cap(KVM_CAP_X2APIC_API) & KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST))
		SKIP(return, "KVM cannot suppress EOI broadcasts");

	vm = vm_create_split(1, NR_PINS);
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST);
	irq_cpu_add(&cpu, vm, 0, guest_xapic);
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));

	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	irq_cpu_apic_write(&cpu, APIC_SPIV, SPIV_ENABLED | APIC_SPIV_DIRECTED_EOI);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	irq_cpu_apic_write(&cpu, APIC_SPIV, SPIV_ENABLED);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SIGNAL_MSI));

	return test_harness_run(argc, argv);
}
