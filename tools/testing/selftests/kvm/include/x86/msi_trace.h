/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trace event of an MSI that KVM sends, in a tracefs instance of the test's own,
 * so that whoever else traces is left alone.
 */
#ifndef SELFTEST_KVM_MSI_TRACE_H
#define SELFTEST_KVM_MSI_TRACE_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "test_util.h"

#define TRACEFS			"/sys/kernel/tracing"
#define MSI_TRACE		TRACEFS "/instances/kvm_msi"
#define MSI_TRACE_EVENT		"kvm_msi_set_irq"

static inline bool msi_trace_is_available(void)
{
	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	return !access(TRACEFS "/events/kvm/" MSI_TRACE_EVENT, F_OK);
}

static inline void msi_trace_write(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	TEST_ASSERT(f && fputs(text, f) >= 0 && !fclose(f), "Cannot write to %s", file);
}

static inline void msi_trace_start(void)
{
	TEST_ASSERT(!mkdir(MSI_TRACE, 0700) || errno == EEXIST, "Cannot make " MSI_TRACE);
	msi_trace_write(MSI_TRACE "/events/kvm/" MSI_TRACE_EVENT "/enable", "1");
}

/*
 * KVM emits the event between looking up a route and delivering.  That it has to take a
 * stack trace with it keeps an IRQ on its way for longer.
 */
static inline void msi_trace_start_slow(void)
{
	msi_trace_start();
	msi_trace_write(MSI_TRACE "/events/kvm/" MSI_TRACE_EVENT "/trigger", "stacktrace");
}

static inline void msi_trace_stop(void)
{
	TEST_ASSERT(!rmdir(MSI_TRACE), "Cannot remove " MSI_TRACE);
}

#endif /* SELFTEST_KVM_MSI_TRACE_H */
