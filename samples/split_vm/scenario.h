/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is done to a VM, and what has to come of it.
 */
#ifndef SPLIT_VM_SCENARIO_H
#define SPLIT_VM_SCENARIO_H

#include "vm.h"

#define MAX_STEPS	3

struct step {
	const char *name;
	struct log expected;
};

struct scenario {
	const char *name;
	enum irqchip_kind irqchip;
	bool synic;
	struct kvm_irq_routing_entry route;	/* set before run() */
	void (*run)(struct vm *vm, const struct scenario *scenario);
	int nr_steps;
	struct step steps[MAX_STEPS];
};

#define NR_SCENARIOS	7
extern const struct scenario scenarios[NR_SCENARIOS];

#endif
