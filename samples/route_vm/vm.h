/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM, and a log of what happened in it.
 */
#ifndef ROUTE_VM_VM_H
#define ROUTE_VM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>
#include <linux/kvm.h>

#include "arch.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define NR_VCPUS	2
#define MAX_EVENTS	4
#define MAX_ROUTES	2
#define MAX_IRQFDS	2

#define NO_VCPU		(-1)

enum event_type {
	EVENT_NONE,
	EVENT_RECEIVED,		/* the guest's handler for the interrupt with that number ran */
	EVENT_EOI_EXIT,		/* KVM_RUN returned with KVM_EXIT_IOAPIC_EOI for that vector */
	EVENT_RESAMPLED,	/* the resamplefd of that GSI was signalled */
	EVENT_DEAD,		/* the helper dropped an interrupt, and counted it: which counter */
};

struct event {
	enum event_type type;
	int vcpu;
	int number;
};

struct log {
	struct event events[MAX_EVENTS];
	int nr;
};

struct routes {
	struct kvm_irq_routing_entry entries[MAX_ROUTES];
	int nr;
};

/* One with a resamplefd. */
struct irqfd {
	unsigned int gsi;
	int fd;
	int resamplefd;
};

/* What an exit tells of the guest, and how far vm_run() lets it go. */
enum progress {
	PROGRESS_NONE,
	PROGRESS_RECEIVED,	/* it is in the handler, before it ends the interrupt */
	PROGRESS_IDLE,		/* it has nothing left to do */
};

struct vm {
	int fd;
	int vcpu_fd[NR_VCPUS];
	struct kvm_run *run[NR_VCPUS];
	size_t run_size;
	void *memory;
	struct irqfd irqfds[MAX_IRQFDS];
	int nr_irqfds;
	struct log *log;	/* where events go; vm_next_step() moves on to the next one */
	struct arch_vm arch;
};

struct scenario;

/* What is under way, for the one line that is printed if it fails. */
extern const char *doing[2];

noreturn void die(const char *fmt, ...);

/* Nothing here may fail. What does ends the program with one line: what, why and a remedy. */
long must(long ret, const char *what, const char *remedy);

void vm_create(struct vm *vm, const struct scenario *scenario, struct log *log);
void vm_destroy(struct vm *vm);

void vm_set_routes(struct vm *vm, const struct routes *routes);
void vm_raise_by_irqfd(struct vm *vm, unsigned int gsi);
void vm_add_resample_irqfd(struct vm *vm, unsigned int gsi);
void vm_raise_irqfd(struct vm *vm, unsigned int gsi);

void vm_run(struct vm *vm, int vcpu, enum progress until);
void vm_run_all(struct vm *vm);
void vm_note(struct vm *vm, enum event_type type, int vcpu, int number);
void vm_next_step(struct vm *vm);

/*
 * Each architecture has its own of these: vm_create() calls them in this order, and
 * arch_handle_exit() is called for each exit.
 */
void arch_create_irqchip(struct vm *vm, const struct machine *machine);
void arch_setup_vcpu(struct vm *vm, int vcpu, const struct machine *machine);
void arch_init_irqchip(struct vm *vm, const struct machine *machine);
enum progress arch_handle_exit(struct vm *vm, int vcpu);

#endif
