// SPDX-License-Identifier: GPL-2.0
/*
 * What an update of edge routes costs those who have nothing to do with it: kicks
 * and exits of vCPUs that are in the guest, and the time that the update waits for them.
 * Or, if told so, what an update of a level route costs that goes to all of them, or one
 * that adds an edge route.
 *
 * Two vCPUs, or as many as told, stay in their guest, and another CPU updates.  vCPUs
 * exit for ticks of the host too, so what they do while nothing is updated is counted
 * next to what they do during updates.
 *
 * usage: irq_routing_latency [VCPUS [edge | level-broadcast | added [TURNS]]]
 */
#include "running_vcpus.h"
#include "trace.h"
#include "turns.h"

#define NR_PINS			24
#define NR_ROUTES		(NR_PINS + 40)

#define MAX_LATENCY_TURNS	10
#define NR_UPDATES		100	/* in a turn */

static u32 nr_vcpus = 2, nr_turns = MAX_LATENCY_TURNS;
static bool is_broadcast, is_addition;

/* One for each vCPU, and one for who sets the tables. */
static int pcpus[MAX_RUNNING_VCPUS + 1];

struct crowd {
	struct running_vcpus running;
	u64 latencies[MAX_LATENCY_TURNS * NR_UPDATES];
	u64 kicks, exits_updating, exits_idle;
};

static struct crowd *crowd_new(void)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	u32 id;

	TEST_ASSERT(crowd, "Insufficient memory");
	crowd->running.vm = vm_create_split(nr_vcpus, NR_PINS);
	for (id = 0; id < nr_vcpus; id++)
		running_vcpus_add(&crowd->running, guest_stays, pcpus[id]);
	return crowd;
}

/* Events that a thread leaves when it kicks a vCPU out of the guest, many at once or one. */
static const struct {
	const char *event, *name, *detail;
} kick_events[] = {
	{ "csd/csd_queue_cpu", " csd_queue_cpu: ", " func=ack_kick" },
	{ "ipi/ipi_send_cpu", " ipi_send_cpu: ", "kvm_vcpu_kick" },
};

static void kick_trace_start(void)
{
	int i;

	trace_new();
	for (i = 0; i < ARRAY_SIZE(kick_events); i++)
		trace_enable(kick_events[i].event);
}

/* Returns how many vCPUs this thread has kicked since kick_trace_start(). */
static u64 kick_trace_stop(void)
{
	FILE *trace = trace_stop();
	char line[512];
	u64 kicks = 0;
	int i;

	while (trace_line(trace, line, sizeof(line))) {
		for (i = 0; i < ARRAY_SIZE(kick_events); i++)
			kicks += strstr(line, kick_events[i].name) &&
				 strstr(line, kick_events[i].detail);
	}
	trace_free(trace);
	return kicks;
}

/* One turn: as many updates as that, each followed by as much time without one. */
static void take_turn(struct crowd *crowd, struct kvm_irq_routing *tables[2], u64 *latencies)
{
	struct kvm_vm *vm = crowd->running.vm;
	u64 start, before;
	u32 i;

	running_vcpus_start(&crowd->running);
	kick_trace_start();
	for (i = 0; i < NR_UPDATES; i++) {
		if (is_addition)
			table_set(vm, tables[0]);
		before = running_vcpus_exits(&crowd->running);
		start = now();
		table_set(vm, tables[is_addition || i % 2]);
		latencies[i] = now() - start;
		crowd->exits_updating += running_vcpus_exits(&crowd->running) - before;

		before = running_vcpus_exits(&crowd->running);
		for (start = now(); now() - start < latencies[i];)
			;
		crowd->exits_idle += running_vcpus_exits(&crowd->running) - before;
	}
	crowd->kicks += kick_trace_stop();
	running_vcpus_stop(&crowd->running);
}

int main(int argc, char *argv[])
{
	struct kvm_irq_routing *tables[2];
	struct crowd *crowds[NR_SIDES];
	u64 values[NR_SIDES];
	enum side side;
	u32 i, nr, turn;

	if (argc > 1)
		nr_vcpus = atoi_positive("number of vCPUs", argv[1]);
	is_broadcast = argc > 2 && !strcmp(argv[2], "level-broadcast");
	is_addition = argc > 2 && !strcmp(argv[2], "added");
	if (argc > 3)
		nr_turns = atoi_positive("number of turns", argv[3]);
	TEST_ASSERT(nr_vcpus <= MAX_RUNNING_VCPUS && nr_turns <= MAX_LATENCY_TURNS,
		    "At most %u vCPUs, and %u turns", MAX_RUNNING_VCPUS, MAX_LATENCY_TURNS);

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_BINARY_STATS_FD));
	TEST_REQUIRE(find_cpus(pcpus, nr_vcpus + 1));

	nr = nr_turns * NR_UPDATES;
	find_sides();
	print_kernel_and_cpu();
	pin_self_to_cpu(pcpus[nr_vcpus]);
	for (i = 0; i < 2; i++) {
		u32 gsi;

		tables[i] = table_new(NR_ROUTES);
		for (gsi = 0; gsi < NR_ROUTES; gsi++) {
			bool changes = is_broadcast ? gsi == 0 : !is_addition && gsi >= NR_PINS;

			tables[i]->entries[gsi] = msi_route(gsi, (struct msi){
				.dest = is_broadcast && gsi == 0 ? XAPIC_BROADCAST : 0,
				.vector = FIRST_IRQ_VECTOR + gsi + (changes && i ? NR_ROUTES : 0),
				.level = gsi < NR_PINS,
			});
		}
	}
	if (is_addition)
		tables[0]->nr--;
	for (side = first_side; side <= last_side; side++) {
		crowds[side] = CREATE_ON(side, crowd_new());
		table_set(crowds[side]->running.vm, tables[1]);
	}
	for (turn = 0; turn < nr_turns; turn++) {
		for (side = first_side; side <= last_side; side++)
			take_turn(crowds[side], tables,
				  crowds[side]->latencies + turn * NR_UPDATES);
		fprintf(stderr, "%u of %u updates\n", (turn + 1) * NR_UPDATES, nr);
	}

	TEST_ASSERT(crowds[first_side]->kicks,
		    "C kicks no vCPU: what do its kicks look like in a trace?");
	for (side = first_side; side <= last_side; side++)
		values[side] = crowds[side]->kicks;
	print_figure("kicks-of-running-vcpus", PARAMETERS("updates=%u", nr), "kicks", values);
	for (side = first_side; side <= last_side; side++)
		values[side] = crowds[side]->exits_updating;
	print_figure("exits-of-running-vcpus", PARAMETERS("while=updating updates=%u", nr), "exits",
		     values);
	for (side = first_side; side <= last_side; side++)
		values[side] = crowds[side]->exits_idle;
	print_figure("exits-of-running-vcpus", PARAMETERS("while=idle updates=%u", nr), "exits",
		     values);
	for (side = first_side; side <= last_side; side++)
		sort_u64(crowds[side]->latencies, nr);
	for (i = 0; i < ARRAY_SIZE(quantiles); i++) {
		for (side = first_side; side <= last_side; side++)
			values[side] = quantile(crowds[side]->latencies, nr, i);
		print_figure("update-latency", PARAMETERS("quantile=%s", quantiles[i].name), "ns",
			     values);
	}
	for (side = first_side; side <= last_side; side++) {
		kvm_vm_free(crowds[side]->running.vm);
		free(crowds[side]);
	}
	return 0;
}
