/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM with a split or a full in-kernel irqchip, and a log of what happened in it.
 */
#ifndef SPLIT_VM_VM_H
#define SPLIT_VM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>
#include <linux/kvm.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define NR_VCPUS	2
#define RESERVED_PINS	24	/* GSIs 0..23 are pins of an I/O APIC that userspace emulates */
#define MAX_EVENTS	4

enum event_type {
	EVENT_NONE,
	EVENT_RECEIVED,		/* the guest's handler for the vector ran */
	EVENT_EOI_EXIT,		/* KVM_RUN returned with KVM_EXIT_IOAPIC_EOI */
	EVENT_RESAMPLED,	/* the resamplefd was signalled */
};

struct event {
	enum event_type type;
	int vcpu;
	int vector;
};

struct log {
	struct event events[MAX_EVENTS];
	int nr;
};

enum irqchip_kind {
	IRQCHIP_SPLIT,		/* local APICs in the kernel, PIC and I/O APIC in userspace */
	IRQCHIP_FULL,		/* all of them in the kernel */
};

enum run_until {
	UNTIL_RECEIVED,		/* stop in the handler, before the guest ends the interrupt */
	UNTIL_IDLE,
};

struct vm {
	int fd;
	int vcpu_fd[NR_VCPUS];
	struct kvm_run *run[NR_VCPUS];
	size_t run_size;
	void *memory;
	int irqfd;
	int resamplefd;
	int how_to_end;		/* END_* bits, what the guest reads from PORT_HOW_TO_END */
	struct log *log;	/* where events go; vm_next_step() moves on to the next one */
};

/* What is under way, for the one line that is printed if it fails. */
extern const char *doing[2];

noreturn void die(const char *fmt, ...);

void vm_create(struct vm *vm, enum irqchip_kind irqchip, bool synic, struct log *log);
void vm_destroy(struct vm *vm);

void vm_set_route(struct vm *vm, const struct kvm_irq_routing_entry *route);
void vm_raise(struct vm *vm, unsigned int gsi);
void vm_send_msi(struct vm *vm, const struct kvm_irq_routing_msi *msi);
void vm_add_resample_irqfd(struct vm *vm, unsigned int gsi);
void vm_raise_irqfd(struct vm *vm);

void vm_run(struct vm *vm, int vcpu, enum run_until until);
void vm_run_all(struct vm *vm);
void vm_next_step(struct vm *vm);

#endif
