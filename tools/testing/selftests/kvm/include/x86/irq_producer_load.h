/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What it takes that KVM posts the IRQs of the device of test_modules/irq_producer.c.
 */
#ifndef SELFTEST_KVM_IRQ_PRODUCER_LOAD_H
#define SELFTEST_KVM_IRQ_PRODUCER_LOAD_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "irq_producer.h"

/* Loads a module that is built next to the tests. */
static inline bool load_test_module(const char *program, const char *name)
{
	char path[PATH_MAX], *slash;
	int fd, r;

	if (!realpath(program, path))
		return false;
	slash = strrchr(path, '/');
	snprintf(slash, path + sizeof(path) - slash, "/../test_modules/%s.ko", name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	r = syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	return !r;
}

/* Loads the device. */
static inline bool load_device(const char *program)
{
	return !access("/dev/" IRQ_PRODUCER_DEVICE, F_OK) ||
	       load_test_module(program, "irq_producer");
}

/* KVM posts without an IOMMU if its configuration is one for tests. */
static inline bool set_posting(bool on)
{
	FILE *file = fopen("/sys/module/kvm_amd/parameters/test_posting", "w");

	return file && fputs(on ? "Y" : "N", file) >= 0 && !fclose(file);
}

static inline bool enable_posting(void)
{
	return set_posting(true);
}

#endif /* SELFTEST_KVM_IRQ_PRODUCER_LOAD_H */
