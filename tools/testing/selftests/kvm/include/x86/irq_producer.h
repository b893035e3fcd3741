/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device of test_modules/irq_producer.c.  Each file that is opened has an IRQ of
 * its own, which KVM may post to a vCPU as it does with those of assigned devices.
 */
#ifndef SELFTEST_KVM_IRQ_PRODUCER_H
#define SELFTEST_KVM_IRQ_PRODUCER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IRQ_PRODUCER_DEVICE	"kvm_irq_producer"

/* What KVM has programmed. */
struct irq_producer_state {
	__u32 posted;		/* or else the IRQ goes to the host */
	__u32 vcpu_idx;		/* if posted */
	__u32 vector;		/* if posted */
	__u32 nr_calls;		/* since the file was opened, those that failed included */
};

/* Connects the IRQ to the eventfd of an irqfd, or with -1 takes it away again. */
#define IRQ_PRODUCER_BIND	_IOW('P', 0, __s32)
/* Raises the IRQ at the host, whether or not it is posted: its handler signals the eventfd. */
#define IRQ_PRODUCER_RAISE	_IO('P', 1)
#define IRQ_PRODUCER_GET	_IOR('P', 2, struct irq_producer_state)
/* Fails the next so many attempts to post the IRQ. */
#define IRQ_PRODUCER_FAIL_NEXT	_IOW('P', 3, __u32)
/*
 * Fails the next so many attempts to have the IRQ go to the host.  KVM warns of one that
 * fails while the IRQ is posted, unless userspace has asked for it.
 */
#define IRQ_PRODUCER_FAIL_NEXT_UNPOST	_IOW('P', 4, __u32)

#endif /* SELFTEST_KVM_IRQ_PRODUCER_H */
