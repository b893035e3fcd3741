/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attributes of the kvm-vfio device: VFIO files, what may be posted, and what KVM says of it.
 */
#ifndef SELFTEST_KVM_VFIO_ATTRS_H
#define SELFTEST_KVM_VFIO_ATTRS_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "kvm_util.h"
#include "test_util.h"

#define POST_IRQ	KVM_DEV_VFIO_DEVICE_POST_IRQ
#define UNPOST_IRQ	KVM_DEV_VFIO_DEVICE_UNPOST_IRQ

/* All functions return 0 or the errno. */
static inline int set_attr(int device, u32 group, u64 attr, void *arg)
{
	return __kvm_device_attr_set(device, group, attr, arg) ? errno : 0;
}

static inline int get_attr(int device, u32 group, u64 attr, void *arg)
{
	return __kvm_device_attr_get(device, group, attr, arg) ? errno : 0;
}

static inline int has_attr(int device, u32 group, u64 attr)
{
	return __kvm_has_device_attr(device, group, attr) ? errno : 0;
}

static inline int add_file(int device, int fd)
{
	return set_attr(device, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &fd);
}

static inline int del_file(int device, int fd)
{
	return set_attr(device, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL, &fd);
}

static inline struct kvm_vfio_irqs *irqs_new(int fd, u32 count)
{
	u32 size = sizeof(struct kvm_vfio_irqs) + count * sizeof(u32);
	struct kvm_vfio_irqs *irqs = calloc(1, size);

	TEST_ASSERT(irqs, "Insufficient memory for %u GSIs", count);
	irqs->argsz = size;
	irqs->fd = fd;
	irqs->count = count;
	return irqs;
}

static inline int choose_all(int device, u64 attr, int fd, const u32 *gsis, u32 count)
{
	struct kvm_vfio_irqs *irqs = irqs_new(fd, count);
	int r;

	memcpy(irqs->gsis, gsis, count * sizeof(*gsis));
	r = set_attr(device, KVM_DEV_VFIO_DEVICE, attr, irqs);
	free(irqs);
	return r;
}

static inline int choose(int device, u64 attr, int fd, u32 gsi)
{
	return choose_all(device, attr, fd, &gsi, 1);
}

static inline int get_posting(int device, int fd, u32 gsi, struct kvm_vfio_irq_posting *posting)
{
	*posting = (struct kvm_vfio_irq_posting) {
		.argsz = sizeof(*posting),
		.fd = fd,
		.gsi = gsi,
		/* All of it is written. */
		.allowed = 77,
		.posted = 77,
		.reason = 77,
		.vcpu_idx = 77,
		.vector = 77,
	};
	return get_attr(device, KVM_DEV_VFIO_DEVICE, POST_IRQ, posting);
}

static inline int get_errno(int device, int fd, u32 gsi)
{
	struct kvm_vfio_irq_posting posting;

	return get_posting(device, fd, gsi, &posting);
}

/* What KVM's C says for a reason: it does not tell why, where it looks at the local APICs. */
static inline u32 reason_in_c(u32 reason)
{
	switch (reason) {
	case KVM_VFIO_IRQ_DELIVERY_MODE:
	case KVM_VFIO_IRQ_NO_TARGET:
	case KVM_VFIO_IRQ_SEVERAL:
		return KVM_VFIO_IRQ_NOT_POSTABLE;
	}
	return reason;
}

static inline bool is_reason(u32 reason, u32 expected)
{
	return reason == expected || (!helper_decides() && reason == reason_in_c(expected));
}

static inline void expect_state(int device, int fd, u32 gsi, bool allowed, bool posted, u32 reason,
				u32 vcpu_idx, u32 vector, const char *file, int line)
{
	struct kvm_vfio_irq_posting got;
	int r = get_posting(device, fd, gsi, &got);

	test_assert(!r, "posting", file, line, "GSI %u: errno %d", gsi, r);
	test_assert(got.argsz == sizeof(got) && !got.flags && got.fd == fd && got.gsi == gsi &&
		    got.allowed == allowed && got.posted == posted &&
		    is_reason(got.reason, reason) && got.vcpu_idx == vcpu_idx &&
		    got.vector == vector, "posting", file, line,
		    "GSI %u: allowed %u, posted %u, reason %u, vCPU %u, vector %#x; wanted %u, %u, %u, %u, %#x",
		    gsi, got.allowed, got.posted, got.reason, got.vcpu_idx, got.vector,
		    allowed, posted, reason, vcpu_idx, vector);
}

/* Whether KVM has those of posting. */
static inline bool has_posting_attrs(void)
{
	struct kvm_vm *vm = vm_create_barebones();
	int vfio = kvm_create_device(vm, KVM_DEV_TYPE_VFIO);
	bool has = !has_attr(vfio, KVM_DEV_VFIO_DEVICE, UNPOST_IRQ);

	close(vfio);
	kvm_vm_free(vm);
	return has;
}

#endif /* SELFTEST_KVM_VFIO_ATTRS_H */
