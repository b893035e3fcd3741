/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is arm64's own of a VM, of a scenario and of the helper's counters.
 */
#ifndef ROUTE_VM_ARCH_H
#define ROUTE_VM_ARCH_H

#include <stdbool.h>

#define NR_SCENARIOS	9

/* Not the numbers of pins in use, so that it shows which of both a route goes by. */
#define GSI		20
#define OTHER_GSI	21

/* Pins n are SPIs 32 + n. One is level-triggered, all others are edge-triggered. */
#define EDGE_PIN	8
#define LEVEL_PIN	9

/* What a scenario wants of its VM. */
struct machine {
	bool its;
};

/* What a VM has besides what all have. */
struct arch_vm {
	int gic_fd;		/* of the vgic, until it is initialized */
};

enum counter {
	COUNTER_VMS_TOTAL,
	COUNTER_UPDATES,
	COUNTER_SPI_CHANGES,
	COUNTER_SPI_ACKS,
	COUNTER_DEAD_NO_SPI,
	COUNTER_DEAD_NO_ITS,
	COUNTER_DEAD_NO_DEVICE_ID,
	COUNTER_DEAD_NO_DOORBELL,
	COUNTER_DEAD_LONG_ID,
	COUNTER_DIFFERENCES,
	NR_COUNTERS
};

#endif
