/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failing allocations, one at a time: the kernel lets the nth allocation that a
 * thread makes from now on fail, and tells how many of the n are left.
 */
#ifndef SELFTEST_KVM_FAULT_H
#define SELFTEST_KVM_FAULT_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "kselftest.h"
#include "test_util.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define FAULT_DEBUGFS	"/sys/kernel/debug"

/* More allocations than any ioctl() makes. */
#define NEVER		1000000

/* Every allocation counts, those that may sleep and single pages included. */
static const struct fault_knob {
	const char *path, *value;
} fault_knobs[] = {
	{ FAULT_DEBUGFS "/failslab/ignore-gfp-wait", "N" },
	{ FAULT_DEBUGFS "/failslab/cache-filter", "N" },
	{ FAULT_DEBUGFS "/failslab/verbose", "0" },
	{ FAULT_DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
	{ FAULT_DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N" },
	{ FAULT_DEBUGFS "/fail_page_alloc/min-order", "0" },
	{ FAULT_DEBUGFS "/fail_page_alloc/verbose", "0" },
};

static inline bool fault_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	bool written;

	if (fd < 0)
		return false;

	written = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return written;
}

/* Returns whether the kernel can inject faults. */
static inline bool fault_setup(void)
{
	int i;

	if (access(FAIL_NTH, W_OK))
		return false;

	for (i = 0; i < ARRAY_SIZE(fault_knobs); i++) {
		if (!fault_write(fault_knobs[i].path, fault_knobs[i].value))
			return false;
	}
	return true;
}

/* What became of the ioctl()s with a fault. */
struct faults {
	u32 injected;	/* by fault_end() */
	u32 survived;	/* although injected, e.g. by another way to get memory */
	int fd;
};

static inline struct faults faults_new(void)
{
	struct faults faults = { .fd = open(FAIL_NTH, O_RDWR) };

	TEST_ASSERT(faults.fd >= 0, "Cannot open " FAIL_NTH);
	return faults;
}

static inline void faults_free(struct faults *faults)
{
	close(faults->fd);
}

static inline void fault_set(struct faults *faults, u32 nth)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%u", nth);

	TEST_ASSERT_EQ(pwrite(faults->fd, buf, len, 0), len);
}

/* From now on, the @nth allocation of this thread fails. */
static inline void fault_begin(struct faults *faults, u32 nth)
{
	fault_set(faults, nth);
}

/* Returns how many more allocations there would have to be for one to fail, 0 if one did. */
static inline u32 fault_end(struct faults *faults)
{
	char buf[16] = "";

	TEST_ASSERT(pread(faults->fd, buf, sizeof(buf) - 1, 0) > 0, "Cannot read " FAIL_NTH);
	fault_set(faults, 0);
	return atoi(buf);
}

/*
 * Ends the fault begun before an ioctl() that returned @ret, with @err in errno.
 * Returns whether it was injected.  If not, the ioctl() must have worked; if so,
 * it has failed for lack of memory, or has survived.
 */
static inline bool fault_check(struct faults *faults, const char *what, u32 nth, int ret, int err)
{
	if (fault_end(faults)) {
		TEST_ASSERT(ret >= 0, "%s without a fault failed with errno %d", what, err);
		return false;
	}

	faults->injected++;
	if (ret >= 0)
		faults->survived++;
	else
		TEST_ASSERT(err == ENOMEM, "%s: failing allocation %u gave errno %d, not ENOMEM",
			    what, nth, err);
	return true;
}

static inline void faults_report(const struct faults *faults, const char *what)
{
	ksft_print_msg("faults injected: %u, survived: %u (%s)\n", faults->injected,
		       faults->survived, what);
	TEST_ASSERT(faults->injected, "%s allocates nothing", what);
	TEST_ASSERT(faults->injected > faults->survived, "%s failed by no fault", what);
}

/* Runs @_call, which has no effect beyond the call, and returns how often it allocates. */
#define COUNT_ALLOCATIONS(_faults, _call)		\
({							\
	struct faults *__faults = (_faults);		\
							\
	fault_begin(__faults, NEVER);			\
	TEST_ASSERT((_call) >= 0, #_call " failed");	\
	NEVER - fault_end(__faults);			\
})

#endif /* SELFTEST_KVM_FAULT_H */
