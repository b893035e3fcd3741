/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest, in 16-bit real mode: no page tables, no descriptors, and the interrupt vector table
 * is an array at address 0. That is also where the VMM copies this image, so a label's address
 * in the guest is its distance from guest_image.
 *
 * The local APIC is in x2APIC mode: its registers are MSRs, which real mode can reach.
 */
#include "guest.h"

#define MSR_APIC_BASE		0x1b
#define APIC_BASE_X2APIC	0xc00		/* enabled, in x2APIC mode */
#define MSR_X2APIC_EOI		0x80b
#define MSR_X2APIC_SPIV		0x80f
#define SPIV_APIC_ENABLED	0x1ff		/* and spurious vector 0xff */

#define HV_X64_MSR_SCONTROL	0x40000080
#define HV_X64_MSR_EOM		0x40000084
#define HV_X64_MSR_SINT(n)	(0x40000090 + (n))
#define HV_SINT_AUTO_EOI	(1 << 17)

#define STUB_SIZE		8

	.macro write_msr msr, value
	movl	$\msr, %ecx
	xorl	%edx, %edx
	movl	$\value, %eax
	wrmsr
	.endm

	.section .rodata
	.globl	guest_image, guest_entry, guest_image_end
	.code16
	.balign	4096
guest_image:

/* The interrupt vector table: for each vector the offset and segment of its stub. */
	.set	vector, 0
	.rept	256
	.word	stubs - guest_image + STUB_SIZE * vector, 0
	.set	vector, vector + 1
	.endr

guest_entry:
	movl	$MSR_APIC_BASE, %ecx
	rdmsr
	orl	$APIC_BASE_X2APIC, %eax
	wrmsr
	write_msr MSR_X2APIC_SPIV, SPIV_APIC_ENABLED

	testb	$BOOT_WITH_SYNIC, %bl
	jz	idle
	write_msr HV_X64_MSR_SCONTROL, 1
	write_msr HV_X64_MSR_SINT(PLAIN_SINT), PLAIN_SINT_VECTOR
	write_msr HV_X64_MSR_SINT(AUTO_EOI_SINT), (HV_SINT_AUTO_EOI | AUTO_EOI_SINT_VECTOR)

/* Give way to the VMM instead of HLT: it runs one vCPU at a time and wants to be told. */
idle:
	sti
0:	outb	%al, $PORT_IDLE
	jmp	0b

/* Report the vector, then end the interrupt the way the VMM asks for. */
received:
	popw	%ax
	outb	%al, $PORT_RECEIVED
	inb	$PORT_HOW_TO_END, %al
	movb	%al, %bl

	testb	$END_WITH_EOI, %bl
	jz	1f
	write_msr MSR_X2APIC_EOI, 0
1:	testb	$END_WITH_EOM, %bl
	jz	2f
	write_msr HV_X64_MSR_EOM, 0
2:	iretw

/* One stub for each vector, so that none is received unseen. */
	.balign	STUB_SIZE
stubs:
	.set	vector, 0
	.rept	256
	pushw	$vector
	jmp	received
	.balign	STUB_SIZE
	.set	vector, vector + 1
	.endr

guest_image_end:

	.section .note.GNU-stack, "", @progbits
