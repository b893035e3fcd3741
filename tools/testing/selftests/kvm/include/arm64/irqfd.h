/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Irqfds, with the resamplefds that hear of the end of their interrupts.
 */
#ifndef SELFTEST_KVM_IRQFD_H
#define SELFTEST_KVM_IRQFD_H

#include <sys/eventfd.h>

#include "kvm_util.h"
#include "test_util.h"

struct irqfd {
	u32 gsi;
	int fd;
	int resamplefd;
};

static inline struct irqfd irqfd_create(u32 gsi)
{
	struct irqfd irqfd = {
		.gsi = gsi,
		.fd = kvm_new_eventfd(),
		.resamplefd = eventfd(0, EFD_NONBLOCK),
	};

	TEST_ASSERT(irqfd.resamplefd >= 0, __KVM_SYSCALL_ERROR("eventfd()", irqfd.resamplefd));
	return irqfd;
}

static inline void irqfd_assign(struct kvm_vm *vm, struct irqfd *irqfd)
{
	kvm_assign_irqfd(vm, irqfd->gsi, irqfd->fd);
}

static inline void irqfd_assign_resample(struct kvm_vm *vm, struct irqfd *irqfd)
{
	struct kvm_irqfd args = {
		.fd = irqfd->fd,
		.gsi = irqfd->gsi,
		.flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = irqfd->resamplefd,
	};

	vm_ioctl(vm, KVM_IRQFD, &args);
}

static inline void irqfd_signal(struct irqfd *irqfd)
{
	TEST_ASSERT_EQ(eventfd_write(irqfd->fd, 1), 0);
}

/* How often the resamplefd has been signaled since it was last asked. */
static inline u64 irqfd_resampled(struct irqfd *irqfd)
{
	eventfd_t count;

	if (!eventfd_read(irqfd->resamplefd, &count))
		return count;

	TEST_ASSERT_EQ(errno, EAGAIN);
	return 0;
}

static inline void irqfd_free(struct kvm_vm *vm, struct irqfd *irqfd)
{
	kvm_deassign_irqfd(vm, irqfd->gsi, irqfd->fd);
	close(irqfd->fd);
	close(irqfd->resamplefd);
}

#endif /* SELFTEST_KVM_IRQFD_H */
