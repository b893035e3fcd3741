/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The helper, that is kvm_irqroute, as userspace sees it: its mode and its counters.
 */
#ifndef ROUTE_VM_HELPER_H
#define ROUTE_VM_HELPER_H

#include <stdbool.h>

#include "arch.h"

/* In which modes a counter has to grow, or else the helper was not asked. */
enum growth {
	MAY_GROW,
	GROWS,			/* in modes rust and verify */
	GROWS_ON_RUST,		/* KVM does by itself what is only verified */
};

struct counter_info {
	const char *name;
	const char *meaning;
	enum growth growth;
};

/* Each architecture has its own. */
extern const struct counter_info counter_infos[NR_COUNTERS];

bool helper_loaded(void);

/* For VMs that are made from now on. The mode found at the first call is restored at exit. */
void helper_set_mode(const char *mode);

/*
 * Prints a file of this process's newest VM, as a shell would.  Returns false if there is none, or
 * if it doesn't have the word.
 */
bool helper_print_file(const char *name, const char *word);

/* Totals since the helper was loaded; returns false if they cannot be read. */
bool helper_read_counters(unsigned long long *counters);

#endif
