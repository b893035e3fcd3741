// SPDX-License-Identifier: GPL-2.0
/*
 * Which EOIs a VM with a split irqchip reports when a route changes between the
 * injection of a level-triggered IRQ and its EOI.
 *
 * Userspace cannot de-assert a pin whose EOI it never hears of, and it may mask the
 * pin, i.e. take the route out of the table, before the guest gets there.  The vCPU
 * that has the IRQ of an old route therefore reports its EOI whatever the table is by
 * then, but only the first one: later IRQs with that vector have nothing to do with
 * the route.
 */
#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24

/* In different priority classes, so that a later one interrupts an earlier one. */
#define VECTOR_A	0x31
#define VECTOR_B	0x42
#define VECTOR_C	0x53

/* Where the IRQ of the old route is when the route changes. */
enum in_flight {
	PENDING,
	IN_SERVICE,
	NR_IN_FLIGHT,
};

static const char * const in_flight_names[NR_IN_FLIGHT] = {
	[PENDING] = "pending",
	[IN_SERVICE] = "in service",
};

static void raise_in_flight(struct irq_cpu *cpu, u32 gsi, u8 vector, enum in_flight state)
{
	raise_gsi(cpu->vcpu->vm, gsi);
	if (state == IN_SERVICE)
		EXPECT_HOLD(cpu, VECTORS(vector));
}

/* The guest comes to @vector's EOI, and that is reported exactly like this. */
static void expect_land(struct irq_cpu *cpu, u8 vector, enum in_flight state,
			struct vectors exits, unsigned int line)
{
	if (state == IN_SERVICE)
		expect_step(cpu, guest_eoi, NO_VECTORS, exits, __FILE__, line);
	else
		expect_step(cpu, guest_take, VECTORS(vector), exits, __FILE__, line);
}

#define EXPECT_LAND(_cpu, _vector, _state, _exits)	\
	expect_land(_cpu, _vector, _state, _exits, __LINE__)

/* An IRQ that no route has sent, whose EOI is not reported. */
static void expect_unreported(struct irq_cpu *cpu, u8 vector, unsigned int line)
{
	struct kvm_vcpu *vcpu = cpu->vcpu;

	TEST_ASSERT_EQ(signal_msi(vcpu->vm, EDGE_MSI(vcpu->id, vector)), 1);
	expect_step(cpu, guest_take, VECTORS(vector), NO_VECTORS, __FILE__, line);
}

#define EXPECT_UNREPORTED(_cpu, _vector)	expect_unreported(_cpu, _vector, __LINE__)

static struct kvm_vm *vm_create_reroute(struct irq_cpu *cpus, u32 nr_cpus)
{
	return vm_create_split_with_cpus(cpus, nr_cpus, NR_PINS, guest_xapic);
}

static void check_moved_to_vcpu(enum in_flight state, void (*apic_mode)(void))
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, apic_mode);
	int i;

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, state);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_LAND(&cpus[0], VECTOR_A, state, VECTORS(VECTOR_A));

	for (i = 0; i < 3; i++)
		EXPECT_UNREPORTED(&cpus[0], VECTOR_A);

	/* The new vCPU, which has to look at its routes before it gets an IRQ. */
	EXPECT_IDLE(&cpus[1]);
	for (i = 0; i < 2; i++) {
		raise_gsi(vm, 5);
		EXPECT_IDLE(&cpus[0]);
		EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	}
	kvm_vm_free(vm);
}

TEST(moved_to_vcpu_in_service)
{
	check_moved_to_vcpu(IN_SERVICE, guest_xapic);
}

TEST(moved_to_vcpu_pending)
{
	check_moved_to_vcpu(PENDING, guest_xapic);
}

TEST(moved_to_vcpu_in_service_x2apic)
{
	check_moved_to_vcpu(IN_SERVICE, guest_x2apic);
}

TEST(moved_to_vcpu_pending_x2apic)
{
	check_moved_to_vcpu(PENDING, guest_x2apic);
}

/* One in service and another one pending behind it: both came by the old route. */
TEST(moved_to_vcpu_in_service_and_pending)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, IN_SERVICE);
	raise_in_flight(&cpus[0], 5, VECTOR_A, PENDING);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	kvm_vm_free(vm);
}

TEST(moved_when_nothing_in_flight)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_IDLE(&cpus[0]);
	EXPECT_IDLE(&cpus[1]);
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

/* Further updates do not make a stale EOI forgotten, nor reported twice. */
TEST(updates_while_stale)
{
	struct irq_cpu cpus[3];
	struct kvm_vm *vm = vm_create_reroute(cpus, 3);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, IN_SERVICE);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_IDLE(&cpus[0]);
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(2, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	EXPECT_IDLE(&cpus[0]);
	SET_ROUTES(vm, msi_route(7, LEVEL_MSI(1, VECTOR_A)));

	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	kvm_vm_free(vm);
}

TEST(moved_and_moved_back)
{
	enum in_flight state;

	for (state = 0; state < NR_IN_FLIGHT; state++) {
		struct irq_cpu cpus[2];
		struct kvm_vm *vm = vm_create_reroute(cpus, 2);

		ksft_print_msg("%s\n", in_flight_names[state]);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
		raise_in_flight(&cpus[0], 5, VECTOR_A, state);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)));
		/* The vCPU sees the move in one case and not in the other. */
		if (state == IN_SERVICE)
			EXPECT_IDLE(&cpus[0]);
		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));

		/* It is a destination again, so there is nothing stale. */
		EXPECT_LAND(&cpus[0], VECTOR_A, state, VECTORS(VECTOR_A));
		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));

		EXPECT_IDLE(&cpus[1]);
		EXPECT_UNREPORTED(&cpus[1], VECTOR_A);
		kvm_vm_free(vm);
	}
}

/* The pin still waits for the EOI of the old vector, and the new one works at once. */
TEST(moved_to_vector)
{
	enum in_flight state;

	for (state = 0; state < NR_IN_FLIGHT; state++) {
		struct irq_cpu cpu;
		struct kvm_vm *vm = vm_create_reroute(&cpu, 1);

		ksft_print_msg("%s\n", in_flight_names[state]);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
		raise_in_flight(&cpu, 5, VECTOR_A, state);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_B)));
		EXPECT_LAND(&cpu, VECTOR_A, state, VECTORS(VECTOR_A));
		EXPECT_UNREPORTED(&cpu, VECTOR_A);

		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), VECTORS(VECTOR_B));
		kvm_vm_free(vm);
	}
}

/* The old vector is in the table, with another pin for another vCPU. */
TEST(moved_to_vector_old_one_taken_over)
{
	enum in_flight state;

	for (state = 0; state < NR_IN_FLIGHT; state++) {
		struct irq_cpu cpus[2];
		struct kvm_vm *vm = vm_create_reroute(cpus, 2);

		ksft_print_msg("%s\n", in_flight_names[state]);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
		raise_in_flight(&cpus[0], 5, VECTOR_A, state);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_B)),
			   msi_route(6, LEVEL_MSI(1, VECTOR_A)));
		EXPECT_LAND(&cpus[0], VECTOR_A, state, VECTORS(VECTOR_A));
		EXPECT_UNREPORTED(&cpus[0], VECTOR_A);

		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_B), VECTORS(VECTOR_B));
		EXPECT_IDLE(&cpus[1]);
		raise_gsi(vm, 6);
		EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
		kvm_vm_free(vm);
	}
}

TEST(vector_swap)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_B)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, IN_SERVICE);
	raise_in_flight(&cpus[1], 6, VECTOR_B, IN_SERVICE);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_B)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	EXPECT_EOI(&cpus[1], VECTORS(VECTOR_B));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	EXPECT_UNREPORTED(&cpus[1], VECTOR_B);

	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_B), VECTORS(VECTOR_B));
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

/*
 * The EOI of a stale vector is not forgotten on the way to those below it, as
 * long as they come from the highest to the lowest, as EOIs do.
 */
TEST(several_stale_in_service)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)),
		   msi_route(7, LEVEL_MSI(0, VECTOR_C)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, IN_SERVICE);
	raise_in_flight(&cpus[0], 6, VECTOR_B, IN_SERVICE);
	raise_in_flight(&cpus[0], 7, VECTOR_C, IN_SERVICE);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_B)),
		   msi_route(7, LEVEL_MSI(1, VECTOR_C)));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_C));
	/* Done with, although others are still in flight. */
	EXPECT_UNREPORTED(&cpus[0], VECTOR_C);
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_B));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_B);
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	kvm_vm_free(vm);
}

TEST(several_stale_pending)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)),
		   msi_route(7, LEVEL_MSI(0, VECTOR_C)));
	raise_gsi(vm, 5);
	raise_gsi(vm, 6);
	raise_gsi(vm, 7);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_B)),
		   msi_route(7, LEVEL_MSI(1, VECTOR_C)));
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_C, VECTOR_B, VECTOR_A),
		    VECTORS(VECTOR_C, VECTOR_B, VECTOR_A));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_C);
	EXPECT_UNREPORTED(&cpus[0], VECTOR_B);
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	kvm_vm_free(vm);
}

/* A stale vector below one that is still routed here, and the other way round. */
TEST(stale_below_routed)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, IN_SERVICE);
	raise_in_flight(&cpus[0], 6, VECTOR_B, IN_SERVICE);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_B));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	raise_gsi(vm, 6);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_B), VECTORS(VECTOR_B));
	kvm_vm_free(vm);
}

TEST(stale_above_routed)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, IN_SERVICE);
	raise_in_flight(&cpus[0], 6, VECTOR_B, IN_SERVICE);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_B)));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_B));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_B);
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

/* The lowest and the highest vector there can be. */
TEST(stale_vector_range)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, FIRST_IRQ_VECTOR)),
		   msi_route(6, LEVEL_MSI(0, 0xff)));
	raise_in_flight(&cpus[0], 5, FIRST_IRQ_VECTOR, IN_SERVICE);
	raise_in_flight(&cpus[0], 6, 0xff, IN_SERVICE);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, FIRST_IRQ_VECTOR)),
		   msi_route(6, LEVEL_MSI(1, 0xff)));
	EXPECT_EOI(&cpus[0], VECTORS(0xff));
	EXPECT_UNREPORTED(&cpus[0], 0xff);
	EXPECT_EOI(&cpus[0], VECTORS(FIRST_IRQ_VECTOR));
	EXPECT_UNREPORTED(&cpus[0], FIRST_IRQ_VECTOR);
	kvm_vm_free(vm);
}

/* The IRQ that was taken is a level one, whatever the pin is by now. */
TEST(level_to_edge)
{
	enum in_flight state;

	for (state = 0; state < NR_IN_FLIGHT; state++) {
		struct irq_cpu cpu;
		struct kvm_vm *vm = vm_create_reroute(&cpu, 1);

		ksft_print_msg("%s\n", in_flight_names[state]);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
		raise_in_flight(&cpu, 5, VECTOR_A, state);

		SET_ROUTES(vm, msi_route(5, EDGE_MSI(0, VECTOR_A)));
		EXPECT_LAND(&cpu, VECTOR_A, state, VECTORS(VECTOR_A));
		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
		kvm_vm_free(vm);
	}
}

/* Edge for this pin, but another vCPU's level route has the vector. */
TEST(level_to_edge_vector_shared)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	raise_in_flight(&cpus[0], 5, VECTOR_A, IN_SERVICE);

	SET_ROUTES(vm, msi_route(5, EDGE_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(1, VECTOR_A)));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	raise_gsi(vm, 5);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

/* A pin is masked by removing its route, and waits for the EOI nonetheless. */
TEST(removed)
{
	enum in_flight state;
	int keep_other;

	for (state = 0; state < NR_IN_FLIGHT; state++) {
		for (keep_other = 0; keep_other <= 1; keep_other++) {
			struct irq_cpu cpu;
			struct kvm_vm *vm = vm_create_reroute(&cpu, 1);

			ksft_print_msg("%s, %s\n", in_flight_names[state],
				       keep_other ? "another route stays" : "table emptied");

			SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
			raise_in_flight(&cpu, 5, VECTOR_A, state);

			if (keep_other)
				SET_ROUTES(vm, msi_route(6, LEVEL_MSI(0, VECTOR_B)));
			else
				SET_ROUTES(vm);
			EXPECT_LAND(&cpu, VECTOR_A, state, VECTORS(VECTOR_A));
			EXPECT_UNREPORTED(&cpu, VECTOR_A);
			TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), -1);
			EXPECT_IDLE(&cpu);
			kvm_vm_free(vm);
		}
	}
}

/* A pin and its vector come back, for another vCPU, after the old one has looked at its routes. */
TEST(removed_and_moved_to_vcpu)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_reroute(cpus, 2);

	SET_ROUTES(vm, msi_route(3, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	raise_in_flight(&cpus[0], 3, VECTOR_A, IN_SERVICE);

	SET_ROUTES(vm, msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	EXPECT_IDLE(&cpus[0]);
	SET_ROUTES(vm, msi_route(3, LEVEL_MSI(1, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	EXPECT_EOI(&cpus[0], VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	kvm_vm_free(vm);
}

/* Many looks at tables without the route do not make the EOI forgotten. */
TEST(removed_and_looked_at)
{
	enum in_flight state;

	for (state = 0; state < NR_IN_FLIGHT; state++) {
		struct irq_cpu cpu;
		struct kvm_vm *vm = vm_create_reroute(&cpu, 1);
		int i;

		ksft_print_msg("%s\n", in_flight_names[state]);

		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
		raise_in_flight(&cpu, 5, VECTOR_A, state);

		for (i = 0; i < 3; i++) {
			SET_ROUTES(vm, msi_route(6, LEVEL_MSI(0, VECTOR_B + i)));
			irq_cpu_call(&cpu, guest_nop, 0, 0);
		}
		EXPECT_LAND(&cpu, VECTOR_A, state, VECTORS(VECTOR_A));
		EXPECT_UNREPORTED(&cpu, VECTOR_A);
		kvm_vm_free(vm);
	}
}

/* The table that has sent the IRQ is gone before the vCPU looks at it. */
TEST(removed_before_the_first_look)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_reroute(&cpu, 1);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	raise_gsi(vm, 5);
	SET_ROUTES(vm);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpu, VECTOR_A);
	kvm_vm_free(vm);
}

/* A pin that is masked, and unmasked with another vector, while two IRQs are nested. */
TEST(removed_below_another)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_reroute(&cpu, 1);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_C)));
	raise_in_flight(&cpu, 5, VECTOR_A, IN_SERVICE);
	raise_in_flight(&cpu, 6, VECTOR_C, IN_SERVICE);

	SET_ROUTES(vm);
	EXPECT_EOI(&cpu, VECTORS(VECTOR_C));
	EXPECT_UNREPORTED(&cpu, VECTOR_C);
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_B)));
	EXPECT_EOI(&cpu, VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpu, VECTOR_A);
	kvm_vm_free(vm);
}

/* Out of the window is as good as removed. */
TEST(moved_out_of_window)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_reroute(&cpu, 1);

	SET_ROUTES(vm, msi_route(NR_PINS - 1, LEVEL_MSI(0, VECTOR_A)));
	raise_in_flight(&cpu, NR_PINS - 1, VECTOR_A, IN_SERVICE);

	SET_ROUTES(vm, msi_route(NR_PINS, LEVEL_MSI(0, VECTOR_A)));
	EXPECT_EOI(&cpu, VECTORS(VECTOR_A));

	/* And back, with the IRQ of the unreserved GSI in service. */
	raise_in_flight(&cpu, NR_PINS, VECTOR_A, IN_SERVICE);
	SET_ROUTES(vm, msi_route(NR_PINS - 1, LEVEL_MSI(0, VECTOR_A)));
	EXPECT_EOI(&cpu, VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

/* The guest moves a logical destination away with its own APIC. */
TEST(ldr_moved_in_flight)
{
	enum in_flight state;

	for (state = 0; state < NR_IN_FLIGHT; state++) {
		struct irq_cpu cpu;
		struct kvm_vm *vm = vm_create_reroute(&cpu, 1);

		ksft_print_msg("%s\n", in_flight_names[state]);

		irq_cpu_apic_write(&cpu, APIC_LDR, SET_APIC_DEST_FIELD(1));
		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(1, VECTOR_A, .logical = true)));
		raise_in_flight(&cpu, 5, VECTOR_A, state);

		irq_cpu_apic_write(&cpu, APIC_LDR, SET_APIC_DEST_FIELD(2));
		EXPECT_LAND(&cpu, VECTOR_A, state, VECTORS(VECTOR_A));
		EXPECT_UNREPORTED(&cpu, VECTOR_A);

		irq_cpu_apic_write(&cpu, APIC_LDR, SET_APIC_DEST_FIELD(1));
		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
		kvm_vm_free(vm);
	}
}

/* From a group to one of its members: only the other one's EOI is stale. */
TEST(group_shrinks_in_flight)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_x2apic);
	int i;

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0b11, VECTOR_A, .logical = true)));
	raise_gsi(vm, 5);
	for (i = 0; i < 2; i++)
		EXPECT_HOLD(&cpus[i], VECTORS(VECTOR_A));

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0b10, VECTOR_A, .logical = true)));
	for (i = 0; i < 2; i++)
		EXPECT_EOI(&cpus[i], VECTORS(VECTOR_A));
	EXPECT_UNREPORTED(&cpus[0], VECTOR_A);
	raise_gsi(vm, 5);
	EXPECT_IDLE(&cpus[0]);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SIGNAL_MSI));

	return test_harness_run(argc, argv);
}
