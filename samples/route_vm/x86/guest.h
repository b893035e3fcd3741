/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest (guest.S) and the VMM (vm.c) agree on.
 */
#ifndef ROUTE_VM_GUEST_H
#define ROUTE_VM_GUEST_H

/* Guest memory: the image starts at address 0, each vCPU has a stack of its own above it. */
#define GUEST_MEMORY_SIZE	0x10000
#define GUEST_STACK_TOP(vcpu)	(0x8000 + 0x1000 * (vcpu))

/* The guest talks to the VMM through I/O ports: each access is an exit. */
#define PORT_IDLE		0x10	/* out: nothing left to do */
#define PORT_RECEIVED		0x11	/* out: the vector of the interrupt being handled */
#define PORT_HOW_TO_END		0x12	/* in:  END_* bits, how to end that interrupt */

#define END_WITH_EOI		0x1	/* write the local APIC's EOI register */
#define END_WITH_EOM		0x2	/* write the SynIC's EOM register */

/* A vCPU starts with this in EBX if it has a Hyper-V SynIC to set up, else with 0. */
#define BOOT_WITH_SYNIC		1

/* The two SINTs that the guest unmasks. The local APIC ends SINT 3's interrupt on its own. */
#define PLAIN_SINT		2
#define PLAIN_SINT_VECTOR	0x36
#define AUTO_EOI_SINT		3
#define AUTO_EOI_SINT_VECTOR	0x37

#ifndef __ASSEMBLER__
extern const unsigned char guest_image[], guest_entry[], guest_image_end[];
#endif

#endif
