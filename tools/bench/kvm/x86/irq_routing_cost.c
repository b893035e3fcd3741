// SPDX-License-Identifier: GPL-2.0
/*
 * What interrupt routes cost, in instructions that the host's kernel and this
 * program execute, with KVM's C and with kvm_irqroute; without the module, with
 * KVM's C alone.
 */
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "cost.h"
#include "exiting_vcpu.h"
#include "hyperv.h"
#include "irqroute.h"

#define NR_PINS			24
#define NR_SINTS		16
#define MAX_VCPUS		1024

static struct kvm_vm *create_split(u32 nr_vcpus, u64 nr_reserved_pins)
{
	struct kvm_vm *vm = vm_create_split(nr_vcpus, nr_reserved_pins);

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS |
					      KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	return vm;
}

/* What changes.  Routes of pins are level-triggered, all others are edge-triggered. */
enum change { UNCHANGED, ADDED, EDGE, LEVEL, LEVEL_BROADCAST, ALL };

static const char *const change_names[] = {
	[UNCHANGED] = "none",
	[ADDED] = "added",
	[EDGE] = "edge",
	[LEVEL] = "level",
	[LEVEL_BROADCAST] = "level-broadcast",
	[ALL] = "all",
};

#define VECTOR(_i)		(FIRST_IRQ_VECTOR + (_i) % 0xc0)
/* Vectors of no other route. */
#define OWN_VECTOR(_version)	(0xf0 + (_version))

/*
 * A table too small to have a route besides those of pins gets one in place of its
 * last one, which is the one that is added.
 */
static struct pair pair_new(u32 nr, enum change change)
{
	const u32 edge = change == EDGE || change == ADDED ? max(nr - 1, (u32)NR_PINS) : nr - 1;
	struct pair pair;
	u32 i, version;

	for (version = 0; version < 2; version++) {
		pair.tables[version] = table_new(nr);
		for (i = 0; i < nr; i++) {
			u32 gsi = i == nr - 1 ? edge : i;
			bool changes = change == ALL ||
				       (change == EDGE && i == nr - 1) ||
				       (change >= LEVEL && i == 0);
			struct msi msi = {
				.dest = change == LEVEL_BROADCAST && i == 0 ? X2APIC_BROADCAST : 0,
				.vector = VECTOR(i + (changes && version)),
				.level = gsi < NR_PINS,
			};

			pair.tables[version]->entries[i] = msi_route(gsi, msi);
		}
	}
	if (change == ADDED)
		pair.tables[0]->nr--;
	return pair;
}

static u64 update_cost(struct kvm_vm *vm, struct pair *pair, enum change change, u32 round)
{
	if (change == ADDED) {
		table_set(vm, pair->tables[0]);
		settle();
		round = 1;
	}
	return COST_OF(table_set(vm, pair->tables[round % 2]));
}

static void measure_updates(void)
{
	static const u32 sizes[] = { 1, 24, 256, 1024, MAX_ROUTES };
	static const enum change changes[] = { UNCHANGED, ADDED, EDGE, LEVEL, ALL };
	struct kvm_vm *vms[NR_SIDES];
	enum side side;
	int i, j;

	for (side = first_side; side <= last_side; side++) {
		vms[side] = CREATE_ON(side, create_split(1, NR_PINS));
		exiting_vcpu_add(vms[side], 0);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(changes); j++) {
			struct pair pair = pair_new(sizes[i], changes[j]);

			COMPARE("update", PARAMETERS("routes=%u changed=%s", sizes[i],
						     change_names[changes[j]]),
				"instructions", update_cost(vms[s], &pair, changes[j], round));
			pair_free(&pair);
		}
	}
	for (side = first_side; side <= last_side; side++)
		kvm_vm_free(vms[side]);
}

/* Routes of pins to CPUs in turn, as kernels spread them.  The last one changes its vector. */
static struct pair spread_pair_new(u32 nr_pins, u32 nr_destinations)
{
	struct pair pair;
	u32 i, version;

	for (version = 0; version < 2; version++) {
		pair.tables[version] = table_new(nr_pins);
		for (i = 0; i < nr_pins; i++) {
			u8 vector = i == nr_pins - 1 ? OWN_VECTOR(version) : VECTOR(i);

			pair.tables[version]->entries[i] =
				msi_route(i, LEVEL_MSI(i % nr_destinations, vector));
		}
	}
	return pair;
}

static void measure_spread_updates(void)
{
	static const u32 windows[] = { 1, 24, 240, MAX_ROUTES };
	static const u32 spreads[] = { 1, 2, 24, 64, 256 };
	struct kvm_vm *vms[NR_SIDES];
	enum side side;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		for (side = first_side; side <= last_side; side++) {
			vms[side] = CREATE_ON(side, create_split(2, windows[i]));
			exiting_vcpu_add(vms[side], 0);
			exiting_vcpu_add(vms[side], 1);
		}
		for (j = 0; j < ARRAY_SIZE(spreads) && spreads[j] <= windows[i]; j++) {
			struct pair pair = spread_pair_new(windows[i], spreads[j]);

			COMPARE_COST("update-of-pins",
				     PARAMETERS("pins=%u destinations=%u", windows[i], spreads[j]),
				     table_set(vms[s], pair.tables[round % 2]));
			pair_free(&pair);
		}
		for (side = first_side; side <= last_side; side++)
			kvm_vm_free(vms[side]);
	}
}

/*
 * The first pin's route goes to vCPU 0 in one table at least, with a vector of its own,
 * which makes vCPU 0 scan after either update; the scan after the second one counts.
 */
enum matching { NONE, ONE, EVERY };

static const char *const matching_names[] = { "none", "one", "all" };

static struct pair scan_pair_new(u32 nr_pins, enum matching matching)
{
	struct pair pair;
	u32 i, version;

	for (version = 0; version < 2; version++) {
		pair.tables[version] = table_new(max(nr_pins, 1u));
		for (i = 0; i < max(nr_pins, 1u); i++) {
			bool matches = matching == EVERY ||
				       (i == 0 && (matching == ONE || version == 0));
			u8 vector = i ? VECTOR(i) : OWN_VECTOR(version);

			pair.tables[version]->entries[i] =
				msi_route(i, LEVEL_MSI(!matches, vector));
		}
	}
	return pair;
}

/* How much more the first KVM_RUN after an update costs than the next one. */
static u64 scan_cost(struct kvm_vm *vm, struct kvm_vcpu *vcpu, struct pair *pair)
{
	u64 with, without;
	u32 version;

	for (version = 0; version < 2; version++) {
		table_set(vm, pair->tables[version]);
		with = COST_OF(vcpu_run(vcpu));
		without = COST_OF(vcpu_run(vcpu));
	}
	return with > without ? with - without : 0;
}

static void measure_scans(void)
{
	static const u32 windows[] = { 0, 1, 24, 240, 1024, MAX_ROUTES };
	struct kvm_vcpu *vcpus[NR_SIDES];
	struct kvm_vm *vms[NR_SIDES];
	enum matching matching;
	enum side side;
	int i;

	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		for (side = first_side; side <= last_side; side++) {
			vms[side] = CREATE_ON(side, create_split(2, windows[i]));
			vcpus[side] = exiting_vcpu_add(vms[side], 0);
			exiting_vcpu_add(vms[side], 1);
		}
		for (matching = NONE; matching <= EVERY; matching++) {
			struct pair pair = scan_pair_new(windows[i], matching);

			COMPARE("scan", PARAMETERS("reserved=%u matching=%s", windows[i],
						   matching_names[matching]),
				"instructions", scan_cost(vms[s], vcpus[s], &pair));
			pair_free(&pair);
		}
		for (side = first_side; side <= last_side; side++)
			kvm_vm_free(vms[side]);
	}
}

static void guest_end_irq(struct ex_regs *regs)
{
	x2apic_write_reg(APIC_EOI, 0);
}

static void guest_wait_for_irqs(void)
{
	x2apic_enable();
	GUEST_SYNC(0);
	sti();
	for (;;)
		cpu_relax();
}

/* The guest takes the interrupt of a pin and ends it, which leads out of the guest. */
static u64 eoi_cost(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	u64 cost;

	raise_gsi(vm, 0);
	cost = COST_OF(vcpu_run(vcpu));
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IOAPIC_EOI);
	return cost;
}

static void measure_eois(void)
{
	struct kvm_vcpu *vcpus[NR_SIDES];
	struct kvm_vm *vms[NR_SIDES];
	enum side side;

	for (side = first_side; side <= last_side; side++) {
		vms[side] = CREATE_ON(side, create_split(1, NR_PINS));
		vcpus[side] = vm_vcpu_add(vms[side], 0, guest_wait_for_irqs);
		vm_install_exception_handler(vms[side], FIRST_IRQ_VECTOR, guest_end_irq);
		SET_ROUTES(vms[side], msi_route(0, LEVEL_MSI(0, FIRST_IRQ_VECTOR)));
		vcpu_run(vcpus[side]);
		TEST_ASSERT_KVM_EXIT_REASON(vcpus[side], KVM_EXIT_IO);
	}
	COMPARE("eoi", "", "instructions", eoi_cost(vms[s], vcpus[s]));
	for (side = first_side; side <= last_side; side++)
		kvm_vm_free(vms[side]);
}

/*
 * Whether a vCPU was asked to scan shows in its next KVM_RUN, on any side:
 * it costs more than the one before.  The least that a scan can cost is this.  All
 * else that a KVM_RUN does is the same each time, but for ticks, which only add to it:
 * so the least of some rounds counts.
 */
#define LEAST_SCAN		32
#define NR_KICK_ROUNDS		5

static void measure_kicks_of(struct kvm_vm *vm, struct kvm_vcpu **vcpus, u32 nr,
			     struct pair *pair, u64 *update, u64 *asked)
{
	static u64 before[MAX_VCPUS], after[MAX_VCPUS];
	u64 updates[NR_KICK_ROUNDS];
	u32 i, round;

	memset(before, 0xff, sizeof(before));
	memset(after, 0xff, sizeof(after));
	table_set(vm, pair->tables[1]);
	for (i = 0; i < nr; i++)
		vcpu_run(vcpus[i]);

	for (round = 0; round < NR_KICK_ROUNDS; round++) {
		for (i = 0; i < nr; i++)
			before[i] = min(before[i], COST_OF(vcpu_run(vcpus[i])));
		settle();
		updates[round] = COST_OF(table_set(vm, pair->tables[round % 2]));
		settle();
		for (i = 0; i < nr; i++)
			after[i] = min(after[i], COST_OF(vcpu_run(vcpus[i])));
	}
	*update = median(updates, NR_KICK_ROUNDS);
	*asked = 0;
	for (i = 0; i < nr; i++)
		*asked += after[i] >= before[i] + LEAST_SCAN;
}

static void measure_kicks(void)
{
	static const u32 crowds[] = { 2, 64, 256, MAX_VCPUS };
	static const enum change changes[] = { UNCHANGED, EDGE, LEVEL, LEVEL_BROADCAST };
	static struct kvm_vcpu *vcpus[NR_SIDES][MAX_VCPUS];
	u64 updates[NR_SIDES], asked[NR_SIDES];
	struct kvm_vm *vms[NR_SIDES];
	enum side side;
	u32 i, j, id;

	for (i = 0; i < ARRAY_SIZE(crowds); i++) {
		fprintf(stderr, "kicks: making %u vCPUs for each side\n", crowds[i]);
		for (side = first_side; side <= last_side; side++) {
			vms[side] = CREATE_ON(side, create_split(crowds[i], NR_PINS));
			for (id = 0; id < crowds[i]; id++)
				vcpus[side][id] = exiting_vcpu_add(vms[side], id);
		}
		for (j = 0; j < ARRAY_SIZE(changes); j++) {
			struct pair pair = pair_new(2 * NR_PINS, changes[j]);
			const char *parameters = PARAMETERS("vcpus=%u changed=%s", crowds[i],
							    change_names[changes[j]]);

			for (side = first_side; side <= last_side; side++)
				measure_kicks_of(vms[side], vcpus[side], crowds[i], &pair,
						 &updates[side], &asked[side]);
			print_figure("asked-to-scan", parameters, "vCPUs", asked);
			print_figure("update-of-crowd", parameters, "instructions", updates);
			pair_free(&pair);
		}
		for (side = first_side; side <= last_side; side++)
			kvm_vm_free(vms[side]);
	}
}

/* A vCPU that takes interrupts, and its local APIC while none is pending. */
struct target {
	struct kvm_vcpu *vcpu;
	struct kvm_lapic_state idle;
};

static void target_init(struct target *target, struct kvm_vcpu *vcpu)
{
	u32 *spiv = (u32 *)(target->idle.regs + APIC_SPIV);

	target->vcpu = vcpu;
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &target->idle);
	*spiv |= APIC_SPIV_APIC_ENABLED;
}

/* What is pending already would not be delivered again. */
static void target_clear(struct target *target)
{
	vcpu_ioctl(target->vcpu, KVM_SET_LAPIC, &target->idle);
}

static u64 line_cost(struct kvm_vm *vm, struct target *target, u32 gsi)
{
	target_clear(target);
	return COST_OF(raise_gsi(vm, gsi));
}

static u64 irqfd_cost(int fd, struct target *target)
{
	target_clear(target);
	return COST_OF(TEST_ASSERT_EQ(eventfd_write(fd, 1), 0));
}

/*
 * SINT routes to the last vCPU, whose VP index is its own index, or that of the first
 * one.  An in-kernel I/O APIC, so that no update is about scans.
 */
static struct kvm_vm *create_with_synics(u32 nr_vcpus, bool reversed, struct target *target)
{
	struct kvm_vm *vm = vm_create(nr_vcpus);
	struct kvm_vcpu *vcpu = NULL;
	u32 i;

	for (i = 0; i < nr_vcpus; i++) {
		vcpu = __vm_vcpu_add(vm, i);
		vcpu_enable_cap(vcpu, KVM_CAP_HYPERV_SYNIC2, 0);
		if (reversed)
			vcpu_set_msr(vcpu, HV_X64_MSR_VP_INDEX, nr_vcpus - 1 - i);
	}
	for (i = 0; i < NR_SINTS; i++)
		vcpu_set_msr(vcpu, HV_X64_MSR_SINT0 + i, FIRST_IRQ_VECTOR + i);
	target_init(target, vcpu);
	return vm;
}

static struct pair sint_pair_new(u32 vp_index)
{
	struct pair pair;
	u32 i, version;

	for (version = 0; version < 2; version++) {
		pair.tables[version] = table_new(NR_SINTS);
		for (i = 0; i < NR_SINTS; i++)
			pair.tables[version]->entries[i] =
				sint_route(NR_PINS + i, vp_index, (i + version) % NR_SINTS);
	}
	return pair;
}

static void measure_sints(void)
{
	static const u32 crowds[] = { 2, 256, MAX_VCPUS };
	struct target targets[NR_SIDES];
	struct kvm_vm *vms[NR_SIDES];
	enum side side;
	u32 i, reversed;

	for (i = 0; i < ARRAY_SIZE(crowds); i++) {
		for (reversed = 0; reversed < 2; reversed++) {
			struct pair pair = sint_pair_new(reversed ? 0 : crowds[i] - 1);
			const char *parameters = PARAMETERS("vcpus=%u vp-index=%s", crowds[i],
							    reversed ? "reversed" : "same");

			fprintf(stderr, "sint: making %u SynICs for each side\n", crowds[i]);
			for (side = first_side; side <= last_side; side++)
				vms[side] = CREATE_ON(side, create_with_synics(crowds[i], reversed,
									       &targets[side]));
			COMPARE_COST("sint-update", parameters,
				     table_set(vms[s], pair.tables[round % 2]));
			COMPARE("sint-delivery", parameters, "instructions",
				line_cost(vms[s], &targets[s], NR_PINS));
			for (side = first_side; side <= last_side; side++)
				kvm_vm_free(vms[side]);
			pair_free(&pair);
		}
	}
}

static int irqfd_new(struct kvm_vm *vm, u32 gsi)
{
	int fd = kvm_new_eventfd();

	kvm_assign_irqfd(vm, gsi, fd);
	return fd;
}

static void measure_irqfds(void)
{
	static const struct {
		const char *name;
		struct kvm_irq_routing_entry route;
	} kinds[] = {
		{ "msi", { .type = KVM_IRQ_ROUTING_MSI } },
		{ "sint", { .type = KVM_IRQ_ROUTING_HV_SINT } },
	};
	struct target targets[NR_SIDES];
	struct kvm_vm *vms[NR_SIDES];
	int fds[NR_SIDES];
	enum side side;
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (side = first_side; side <= last_side; side++) {
			struct kvm_irq_routing *table = table_new(1);

			vms[side] = CREATE_ON(side, create_with_synics(2, false, &targets[side]));
			table->entries[0] = kinds[i].route.type == KVM_IRQ_ROUTING_MSI ?
					    msi_route(NR_PINS, EDGE_MSI(1, FIRST_IRQ_VECTOR)) :
					    sint_route(NR_PINS, 1, 0);
			table_set(vms[side], table);
			free(table);
			fds[side] = irqfd_new(vms[side], NR_PINS);
		}
		COMPARE("irqfd", PARAMETERS("route=%s", kinds[i].name), "instructions",
			irqfd_cost(fds[s], &targets[s]));
		for (side = first_side; side <= last_side; side++) {
			kvm_vm_free(vms[side]);
			close(fds[side]);
		}
	}
}

#define MAX_IRQFDS		2048

/* One edge route changes, that of the first irqfd if there is one. */
static void measure_updates_with_irqfds(void)
{
	static const u32 crowds[] = { 0, 64, 520, MAX_IRQFDS };
	static int fds[NR_SIDES][MAX_IRQFDS];
	struct pair pair = pair_new(NR_PINS + MAX_IRQFDS, EDGE);
	struct kvm_vm *vms[NR_SIDES];
	enum side side;
	u32 i, j, nr;

	for (side = first_side; side <= last_side; side++) {
		vms[side] = CREATE_ON(side, create_split(1, NR_PINS));
		exiting_vcpu_add(vms[side], 0);
	}
	for (i = nr = 0; i < ARRAY_SIZE(crowds); nr = crowds[i++]) {
		for (side = first_side; side <= last_side; side++) {
			for (j = nr; j < crowds[i]; j++)
				fds[side][j] = irqfd_new(vms[side], pair.tables[0]->nr - 1 - j);
		}
		COMPARE_COST("update-with-irqfds", PARAMETERS("irqfds=%u", crowds[i]),
			     table_set(vms[s], pair.tables[round % 2]));
	}
	for (side = first_side; side <= last_side; side++) {
		kvm_vm_free(vms[side]);
		for (j = 0; j < nr; j++)
			close(fds[side][j]);
	}
	pair_free(&pair);
}

/* A VM with a split irqchip and a table, but no memory and no vCPU. */
static void measure_vm_lifetime(void)
{
	struct pair pair = pair_new(2 * NR_PINS, UNCHANGED);
	u64 create[NR_SIDES][NR_ROUNDS + 1], destroy[NR_SIDES][NR_ROUNDS + 1];
	int kvm_fd = open_kvm_dev_path_or_exit();
	enum side side;
	u32 round;
	int fd;

	for (round = 0; round <= NR_ROUNDS; round++) {
		for (side = first_side; side <= last_side; side++) {
			struct kvm_enable_cap split = {
				.cap = KVM_CAP_SPLIT_IRQCHIP,
				.args[0] = NR_PINS,
			};

			take_side(side);
			create[side][round] = COST_OF(fd = ioctl(kvm_fd, KVM_CREATE_VM, 0));
			TEST_ASSERT(fd >= 0, "KVM_CREATE_VM: errno %d", errno);
			TEST_ASSERT_EQ(ioctl(fd, KVM_ENABLE_CAP, &split), 0);
			TEST_ASSERT_EQ(ioctl(fd, KVM_SET_GSI_ROUTING, pair.tables[0]), 0);
			destroy[side][round] = COST_OF(close(fd));
		}
	}
	print_medians("vm-create", "", "instructions", create);
	print_medians("vm-destroy", "", "instructions", destroy);
	close(kvm_fd);
	pair_free(&pair);
}

static void measure_memory(void)
{
	static const u32 sizes[] = { 1, 24, 256, MAX_ROUTES };
	struct kvm_vm *vms[NR_SIDES];
	enum side side;
	int i;

	for (side = first_side; side <= last_side; side++)
		vms[side] = CREATE_ON(side, create_split(1, NR_PINS));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pair pair = pair_new(sizes[i], UNCHANGED);

		COMPARE("table-memory", PARAMETERS("routes=%u", sizes[i]), "bytes",
			table_bytes(vms[s], pair.tables[0]));
		pair_free(&pair);
	}
	for (side = first_side; side <= last_side; side++)
		kvm_vm_free(vms[side]);
}

static const struct group groups[] = {
	{ "memory", measure_memory },
	{ "update", measure_updates },
	{ "pins", measure_spread_updates },
	{ "scan", measure_scans },
	{ "eoi", measure_eois },
	{ "irqfd", measure_irqfds },
	{ "irqfds", measure_updates_with_irqfds },
	{ "vm", measure_vm_lifetime },
	{ "sint", measure_sints },
	{ "kicks", measure_kicks },
};

/* Two VMs with all vCPUs that KVM allows need more files than the library asks for. */
static void raise_file_limit(void)
{
	struct rlimit limit = { .rlim_cur = 1 << 14, .rlim_max = 1 << 14 };

	TEST_ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_VP_INDEX));
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_MAX_VCPUS) >= MAX_VCPUS);

	raise_file_limit();
	measure_groups(groups, ARRAY_SIZE(groups), argc, argv);
	return 0;
}
