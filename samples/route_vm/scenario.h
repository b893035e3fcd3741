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
#define RESAMPLED(_vcpu, _gsi)		{ EVENT_RESAMPLED, _vcpu, _gsi }
#define DEAD(_counter)			{ EVENT_DEAD, NO_VCPU, _counter }
#define EXPECT(...)							\
	{								\
		.events = { __VA_ARGS__ },				\
		.nr = sizeof((struct event[]){ __VA_ARGS__ }) / sizeof(struct event),	\
	}

#define ROUTES(...)							\
	{								\
		.entries = { __VA_ARGS__ },				\
		.nr = sizeof((struct kvm_irq_routing_entry[]){ __VA_ARGS__ }) /	\
		      sizeof(struct kvm_irq_routing_entry),		\
	}

struct step {
	const char *name;
	struct log expected;
	const char *defect;		/* of C, which Rust does not have: see text.defects */
	struct log with_defect;		/* and what is expected of C then */
};

struct scenario {
	const char *name;
	struct machine machine;
	struct routes routes;		/* set before run() */
	bool routes_first;		/* before the interrupt controller is initialized */
	void (*run)(struct vm *vm, unsigned int gsi);	/* that of the first route */
	int nr_steps;
	struct step steps[MAX_STEPS];
	const char *symptom;		/* of what is wrong with this VM, if anything is */
	const char *remark;		/* that the helper makes on it then */
};

/* Each architecture has its own. */
extern const struct scenario scenarios[NR_SCENARIOS];

#endif
