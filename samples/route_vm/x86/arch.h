/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is x86's own of a VM, of a scenario and of the helper's counters.
 */
#ifndef ROUTE_VM_ARCH_H
#define ROUTE_VM_ARCH_H

#include <stdbool.h>

#define NR_SCENARIOS	7

#define RESERVED_PINS	24	/* GSIs 0..23 are pins of an I/O APIC that userspace emulates */

enum irqchip_kind {
	IRQCHIP_SPLIT,		/* local APICs in the kernel, PIC and I/O APIC in userspace */
	IRQCHIP_FULL,		/* all of them in the kernel */
};

/* What a scenario wants of its VM. */
struct machine {
	enum irqchip_kind irqchip;
	bool synic;
};

/* What a VM has besides what all have. */
struct arch_vm {
	int how_to_end;		/* END_* bits, what the guest reads from PORT_HOW_TO_END */
};

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

struct vm;
struct kvm_irq_routing_msi;

void raise_line(struct vm *vm, unsigned int gsi);

/* An interrupt that takes no route at all. */
void send_msi(struct vm *vm, const struct kvm_irq_routing_msi *msi);

#endif
