/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Figures in instructions that the host's kernel and the program execute.
 *
 * The VM that this runs in has to have a clock that counts instructions (QEMU's
 * -icount shift=0).  Each figure is a median, with the sides taking turns, so
 * that the timer tick that some of the rounds catch does not show.
 */
#ifndef SELFTEST_KVM_COST_H
#define SELFTEST_KVM_COST_H

#include <sched.h>

#include "alloc_trace.h"
#include "sides.h"

#define NR_ROUNDS		11

static u64 clock_cost;

/* How many instructions @_what takes. */
#define COST_OF(_what)				\
({						\
	u64 start = count();			\
						\
	_what;					\
	count() - start - clock_cost;		\
})

/* Dies unless the clock counts instructions, one by one.  Prints how well it does. */
static inline void check_clock(void)
{
	const u64 nr = 100000;
	u64 costs[NR_ROUNDS];
	char text[128];
	u32 i;

	for (i = 0; i < NR_ROUNDS; i++)
		costs[i] = COST_OF();
	clock_cost = median(costs, NR_ROUNDS);

	for (i = 0; i < NR_ROUNDS; i++)
		costs[i] = COST_OF(spin(nr));
	TEST_ASSERT(llabs((s64)(median(costs, NR_ROUNDS) - 2 * nr)) < nr / 1000,
		    "A loop of %lu instructions counts as %lu: run this with --icount",
		    2 * nr, costs[NR_ROUNDS / 2]);

	snprintf(text, sizeof(text), "%lu instructions count as %lu to %lu, a reading as %lu",
		 2 * nr, costs[0], costs[NR_ROUNDS - 1], clock_cost);
	print_about("clock", text);
}

/*
 * An update leaves work behind for a kernel thread, such as the end of its grace period,
 * and new vCPUs leave a lot.  Lets that finish, so that it is not counted with what comes
 * next, and then begins at another distance from the next tick than the last time.
 */
static inline void settle(void)
{
	static u32 distance_us;

	distance_us = (distance_us + 617) % 4000;
	usleep(100000 + distance_us);
}

/*
 * Who else wants the CPU gets it while this thread waits, and no sooner: the scheduler
 * has no choice that could differ from run to run.
 */
static inline void outrank_others(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	TEST_ASSERT(!sched_setscheduler(0, SCHED_FIFO, &param), "SCHED_FIFO: errno %d", errno);
}

static inline void print_medians(const char *name, const char *parameters, const char *unit,
				 u64 figures[NR_SIDES][NR_ROUNDS + 1])
{
	u64 medians[NR_SIDES];
	enum side side;

	for (side = first_side; side <= last_side; side++)
		medians[side] = median(figures[side] + 1, NR_ROUNDS);
	print_figure(name, parameters, unit, medians);
}

/*
 * Measures @_what, which may use the number of the round and s, the side it is for, in
 * turns.  The first round warms up.
 */
#define COMPARE(_case, _parameters, _unit, _what)				\
do {										\
	u64 figures[NR_SIDES][NR_ROUNDS + 1];					\
	enum side s;								\
	u32 round;								\
										\
	for (round = 0; round <= NR_ROUNDS; round++) {				\
		for (s = first_side; s <= last_side; s++) {			\
			settle();						\
			figures[s][round] = (_what);				\
		}								\
	}									\
	print_medians(_case, _parameters, _unit, figures);			\
} while (0)

#define COMPARE_COST(_case, _parameters, _what)					\
	COMPARE(_case, _parameters, "instructions", COST_OF(_what))

/* Tables that differ in what an update changes; rounds go to and fro. */
struct pair {
	struct kvm_irq_routing *tables[2];
};

static inline void pair_free(struct pair *pair)
{
	free(pair->tables[0]);
	free(pair->tables[1]);
}

/* What a table takes in the place of none. */
static inline u64 table_bytes(struct kvm_vm *vm, struct kvm_irq_routing *table)
{
	struct kvm_irq_routing empty = {};

	table_set(vm, &empty);
	settle();
	alloc_trace_start();
	table_set(vm, table);
	return alloc_trace_stop();
}

struct group {
	const char *name;
	void (*measure)(void);
};

/* Measures the groups that are named on the command line, or all. */
static inline void measure_groups(const struct group *groups, int nr, int argc, char *argv[])
{
	int i, j;

	find_sides();
	outrank_others();
	print_kernel_and_cpu();
	check_clock();
	for (i = 0; i < nr; i++) {
		bool wanted = argc == 1;

		for (j = 1; j < argc; j++)
			wanted |= !strcmp(argv[j], groups[i].name);
		if (wanted)
			groups[i].measure();
	}
}

#endif /* SELFTEST_KVM_COST_H */
