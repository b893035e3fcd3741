/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's interrupt controller as the scenarios know it.
 */
#ifndef ROUTE_VM_GIC_H
#define ROUTE_VM_GIC_H

#include <stdbool.h>

#define FIRST_SPI	32
#define NR_SPIS		32
#define SPI(_pin)	(FIRST_SPI + (_pin))	/* they go to vCPU 0 */
#define FIRST_LPI	8192

/* The ITS knows one event of one device. It is an LPI that goes to vCPU 1. */
#define DEVICE_ID	3
#define EVENT_ID	5
#define LPI		(FIRST_LPI + 7)
#define LPI_VCPU	1

/* Where devices send their MSIs: GITS_TRANSLATER. */
#define ITS_BASE	0x02200000
#define DOORBELL	(ITS_BASE + 0x10040)

struct vm;

/* KVM_IRQ_LINE takes no route: it names the SPI. */
void set_line(struct vm *vm, int spi, bool high);

#endif
