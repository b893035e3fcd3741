/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The words of an architecture.
 */
#ifndef ROUTE_VM_TEXT_H
#define ROUTE_VM_TEXT_H

#include "vm.h"

#define TEXT_SIZE	32
#define MAX_DEFECTS	8

/* A defect of C that the helper does not have. */
struct defect {
	const char *number;	/* by which Documentation/parity.rst knows it */
	const char *what;
};

struct text {
	const char *purpose;	/* what the program does, for --help */
	const char *intro;	/* what the VMs have besides vCPUs */
	const char *seen;	/* heading of what else than the guest's interrupts is seen */
	const char *legend;	/* beneath the table */
	struct defect defects[MAX_DEFECTS];	/* all that are shown */
	const char *no_kvm;	/* what to do if there is no /dev/kvm */
	const char *run;	/* the VM runner, for a system that this program runs on */
	const char *demo;	/* the same, for the one that the demo takes */
	const char *make;	/* what runs the demo */
	const char *check;	/* what runs all tests */
	int name_width;		/* of the columns of the table */
	int got_width;
	int seen_width;
	int mark_width;
	int counter_width;	/* of the names of counters */
};

extern const struct text text;

/* The text of an event: in buf, or a constant. */
const char *event_text(const struct event *event, char buf[TEXT_SIZE]);

#endif
