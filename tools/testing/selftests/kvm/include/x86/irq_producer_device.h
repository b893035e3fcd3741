/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device of test_modules/irq_producer.c, and what KVM has programmed.
 */
#ifndef SELFTEST_KVM_IRQ_PRODUCER_DEVICE_H
#define SELFTEST_KVM_IRQ_PRODUCER_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "irq_producer.h"
#include "kvm_util.h"
#include "test_util.h"

/* Instead of the vCPU that an IRQ is posted to. */
#define REMAPPED	(-1)

struct device {
	int fd;
	int eventfd;
};

static inline struct device device_open(void)
{
	struct device dev = {
		.fd = open("/dev/" IRQ_PRODUCER_DEVICE, O_RDWR),
		.eventfd = kvm_new_eventfd(),
	};

	TEST_ASSERT(dev.fd >= 0, "Cannot open the device");
	return dev;
}

/* Returns 0 or the errno. */
static inline int device_bind(struct device *dev)
{
	return ioctl(dev->fd, IRQ_PRODUCER_BIND, &dev->eventfd) ? errno : 0;
}

static inline void device_unbind(struct device *dev)
{
	int none = -1;

	TEST_ASSERT_EQ(ioctl(dev->fd, IRQ_PRODUCER_BIND, &none), 0);
}

static inline void device_close(struct device *dev)
{
	close(dev->fd);
	close(dev->eventfd);
}

static inline void device_raise(struct device *dev)
{
	TEST_ASSERT_EQ(ioctl(dev->fd, IRQ_PRODUCER_RAISE), 0);
}

static inline void device_fail_next(struct device *dev, u32 nr)
{
	TEST_ASSERT_EQ(ioctl(dev->fd, IRQ_PRODUCER_FAIL_NEXT, &nr), 0);
}

static inline struct irq_producer_state device_state(struct device *dev)
{
	struct irq_producer_state state;

	TEST_ASSERT_EQ(ioctl(dev->fd, IRQ_PRODUCER_GET, &state), 0);
	return state;
}

static inline void device_fail_next_unpost(struct device *dev, u32 nr)
{
	TEST_ASSERT_EQ(ioctl(dev->fd, IRQ_PRODUCER_FAIL_NEXT_UNPOST, &nr), 0);
}

static inline void expect_posted(struct device *dev, int to, u8 vector, const char *file, int line)
{
	struct irq_producer_state state = device_state(dev);

	if (to == REMAPPED)
		test_assert(!state.posted, "remapped", file, line,
			    "Posted to vCPU %u with vector %#x, but is to go to the host",
			    state.vcpu_idx, state.vector);
	else
		test_assert(state.posted && state.vcpu_idx == to && state.vector == vector,
			    "posted", file, line,
			    "Posted %u, vCPU %u, vector %#x; wanted vCPU %d, vector %#x",
			    state.posted, state.vcpu_idx, state.vector, to, vector);
}

#define EXPECT_POSTED(_dev, _to, _vector)	\
	expect_posted(_dev, _to, _vector, __FILE__, __LINE__)
#define EXPECT_REMAPPED(_dev)			\
	expect_posted(_dev, REMAPPED, 0, __FILE__, __LINE__)

#endif /* SELFTEST_KVM_IRQ_PRODUCER_DEVICE_H */
