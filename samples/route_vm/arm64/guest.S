/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest, at EL1 with the MMU off. The vector table comes first, and the VMM copies this image
 * to address 0, so a label's address in the guest is its distance from guest_image.
 *
 * The VMM has set up the distributor, the redistributors and the ITS. What is left to the guest is
 * its CPU interface. All is done in registers: it has no stack, and writes no memory.
 */
#include "guest.h"

#define VECTOR_SIZE		0x80
#define NR_VECTORS		16
#define VECTOR_IRQ		5	/* an IRQ from EL1 with a stack pointer of its own */

#define PRIORITY_LOWEST		0xff
#define DAIF_IRQ		2

	.section .rodata
	.globl	guest_image, guest_entry, guest_image_end
	.balign	0x800
guest_image:

	.set	vector, 0
	.rept	NR_VECTORS
	.if	vector == VECTOR_IRQ
	b	received
	.else
	b	lost
	.endif
	.balign	VECTOR_SIZE
	.set	vector, vector + 1
	.endr

guest_entry:
	adr	x0, guest_image
	msr	vbar_el1, x0
	mov	x0, #PRIORITY_LOWEST		/* all others are let through */
	msr	icc_pmr_el1, x0
	mov	x0, #1
	msr	icc_igrpen1_el1, x0
	isb
	mov	x1, #MMIO_BASE
	msr	daifclr, #DAIF_IRQ

/* Give way to the VMM instead of WFI: it runs one vCPU at a time and wants to be told. */
idle:
	str	wzr, [x1, #MMIO_IDLE]
	b	idle

/* Acknowledge the interrupt, report it, then end it. */
received:
	mrs	x2, icc_iar1_el1
	str	w2, [x1, #MMIO_RECEIVED]
	msr	icc_eoir1_el1, x2
	eret

lost:
	mov	x1, #MMIO_BASE
	mrs	x2, esr_el1
	str	w2, [x1, #MMIO_LOST]
	b	lost

guest_image_end:

	.section .note.GNU-stack, "", %progbits
