/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module under test, where a program binds VMs to C and to Rust itself.
 */
#ifndef SELFTEST_KVM_HELPER_H
#define SELFTEST_KVM_HELPER_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test_util.h"

#define HELPER_PARAMETERS	"/sys/module/kvm_irqroute/parameters/"
#define HELPER_COUNTERS		"/sys/kernel/debug/kvm_irqroute/"

static inline bool helper_is_loaded(void)
{
	return !access(HELPER_PARAMETERS "mode", W_OK);
}

/* Whether it decides for the VMs that are created from now on, better than KVM's C. */
static inline bool helper_decides(void)
{
	char mode[16] = "", parity[16] = "";
	FILE *file;

	file = fopen(HELPER_PARAMETERS "mode", "r");
	if (file) {
		TEST_ASSERT(fgets(mode, sizeof(mode), file), "Cannot read the mode");
		fclose(file);
	}
	file = fopen(HELPER_PARAMETERS "parity", "r");
	if (file) {
		TEST_ASSERT(fgets(parity, sizeof(parity), file), "Cannot read the parity");
		fclose(file);
	}
	return !strcmp(mode, "rust\n") && !strcmp(parity, "0\n");
}

/* Sets a parameter for the VMs that are created from now on. */
static inline void helper_write_parameter(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), HELPER_PARAMETERS "%s", name);
	fd = open(path, O_WRONLY);
	TEST_ASSERT(fd >= 0 && write(fd, value, strlen(value)) == strlen(value),
		    "Cannot write '%s' to %s", value, path);
	close(fd);
}

static inline u64 helper_read_counter(const char *name)
{
	char path[128];
	u64 value;
	FILE *file;

	snprintf(path, sizeof(path), HELPER_COUNTERS "%s", name);
	file = fopen(path, "r");
	TEST_ASSERT(file && fscanf(file, "%lu", &value) == 1, "Cannot read %s", path);
	fclose(file);
	return value;
}

/* A number from a file of /proc or /sys, or -1 if there is no such file. */
static inline long read_number(const char *path, const char *format)
{
	char line[256];
	FILE *file = fopen(path, "r");
	long number = -1;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, format, &number) == 1)
			break;
	}
	fclose(file);
	return number;
}

#endif /* SELFTEST_KVM_HELPER_H */
