/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The helper, that is kvm_irqroute, as userspace sees it: its mode and its counters.
 */
#ifndef SPLIT_VM_HELPER_H
#define SPLIT_VM_HELPER_H

#include <stdbool.h>

enum counter {
	COUNTER_VMS_TOTAL,
	COUNTER_UPDATES,
	COUNTER_SCANS,
	COUNTER_SCAN_REQUESTS,
	COUNTER_SINT_DELIVERIES,
	COUNTER_SINT_ACKS,
	COUNTER_DIFFERENCES,
	NR_COUNTERS
};

struct counter_info {
	const char *name;
	const char *meaning;
};

extern const struct counter_info counter_infos[NR_COUNTERS];

bool helper_loaded(void);

/* For VMs that are made from now on. The mode found at the first call is restored at exit. */
void helper_set_mode(const char *mode);

/* Totals since the helper was loaded; returns false if they cannot be read. */
bool helper_read_counters(unsigned long long *counters);

#endif
