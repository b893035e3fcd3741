/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest (guest.S) and the VMM (vm.c) agree on.
 */
#ifndef ROUTE_VM_GUEST_H
#define ROUTE_VM_GUEST_H

/* Guest memory: the image starts at address 0. Above it are the tables of the GIC (gic.c). */
#define GUEST_MEMORY_SIZE	0x80000

/* The guest talks to the VMM by 32-bit writes to where there is no memory: each is an exit. */
#define MMIO_BASE		0x01000000
#define MMIO_IDLE		0x0		/* nothing left to do */
#define MMIO_RECEIVED		0x4		/* the INTID of the interrupt being handled */
#define MMIO_LOST		0x8		/* the ESR of an exception that is no interrupt */

#ifndef __ASSEMBLER__
extern const unsigned char guest_image[], guest_entry[], guest_image_end[];
#endif

#endif
