/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is done to a VM, and what has to come of it.
 */
#ifndef ROUTE_VM_SCENARIO_H
#define ROUTE_VM_SCENARIO_H

#include "vm.h"

#define MAX_STEPS	3

#define RECEIVED(_vcpu, _number)	{ EVENT_RECEIVED, _vcpu, _number }
#define EOI_EXIT(_vcpu, _number)	{ EVENT_EOI_EXIT, _vcpu, _number }
#define RESAMPLED(_vcpu)		{ EVENT_RESAMPLED, _vcpu, 0 }
#define EXPECT(...)							\
	{								\
		.events = { __VA_ARGS__ },				\
		.nr = sizeof((struct event[]){ __VA_ARGS__ }) / sizeof(struct event),	\
	}

struct step {
	const char *name;
	struct log expected;
};

struct scenario {
	const char *name;
	struct machine machine;
	struct kvm_irq_routing_entry route;	/* set before run() */
	void (*run)(struct vm *vm, const struct scenario *scenario);
	int nr_steps;
	struct step steps[MAX_STEPS];
};

/* Each architecture has its own. */
extern const struct scenario scenarios[NR_SCENARIOS];

#endif
