/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VFIO files, above all of the devices of test_modules/vfio_file.c.
 */
#ifndef SELFTEST_KVM_VFIO_FILE_LOAD_H
#define SELFTEST_KVM_VFIO_FILE_LOAD_H

#include "irq_producer_load.h"
#include "test_util.h"
#include "vfio_file.h"

#define VFIO_FILE_DEVICES	"/sys/bus/faux/devices/" VFIO_FILE_DEVICE

/* The kernel needs VFIO for it. */
static inline bool load_vfio_files(const char *program)
{
	return !access(VFIO_FILE_DEVICES "0", F_OK) || load_test_module(program, "vfio_file");
}

/* Opens the group of the device in a folder of /sys: @prefix and a number name its file. */
static inline int vfio_group_open(const char *device, const char *prefix)
{
	char link[PATH_MAX], target[PATH_MAX] = "", path[PATH_MAX];
	ssize_t len;
	char *group;
	int fd;

	snprintf(link, sizeof(link), "%.128s/iommu_group", device);
	len = readlink(link, target, sizeof(target) - 1);
	group = strrchr(target, '/');
	TEST_ASSERT(len > 0 && group, "Cannot read %s", link);
	snprintf(path, sizeof(path), "/dev/vfio/%s%.32s", prefix, group + 1);
	fd = open(path, O_RDWR);
	TEST_ASSERT(fd >= 0, "Cannot open %s", path);
	return fd;
}

/* One of VFIO_FILE_NR files, each of which can be opened once at a time. */
static inline int vfio_file_open(u32 number)
{
	char device[128];

	snprintf(device, sizeof(device), VFIO_FILE_DEVICES "%u", number);
	return vfio_group_open(device, "");
}

#endif /* SELFTEST_KVM_VFIO_FILE_LOAD_H */
