/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of this thread, in a tracefs instance of its own.
 */
#ifndef SELFTEST_KVM_TRACE_H
#define SELFTEST_KVM_TRACE_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "test_util.h"

#define TRACEFS			"/sys/kernel/tracing"
#define TRACE_INSTANCE		TRACEFS "/instances/irq_routing_bench"
#define TRACE_KB		"8192"

static inline void trace_write(const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), TRACE_INSTANCE "/%s", file);
	f = fopen(path, "w");
	TEST_ASSERT(f && fputs(text, f) >= 0 && !fclose(f), "Cannot write to %s", path);
}

static inline void trace_new(void)
{
	char tid[16];

	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	TEST_ASSERT(!mkdir(TRACE_INSTANCE, 0700), "Cannot make " TRACE_INSTANCE);
	trace_write("buffer_size_kb", TRACE_KB);
	snprintf(tid, sizeof(tid), "%d", gettid());
	trace_write("set_event_pid", tid);
}

/* @event has the form SYSTEM/NAME. */
static inline void trace_enable(const char *event)
{
	char file[64];

	snprintf(file, sizeof(file), "events/%s/enable", event);
	trace_write(file, "1");
}

/* Returns what was traced, for trace_line() and then trace_free(). */
static inline FILE *trace_stop(void)
{
	FILE *trace;

	trace_write("tracing_on", "0");
	trace = fopen(TRACE_INSTANCE "/trace", "r");
	TEST_ASSERT(trace, "Cannot read the trace");
	return trace;
}

static inline bool trace_line(FILE *trace, char *line, size_t size)
{
	if (!fgets(line, size, trace))
		return false;
	TEST_ASSERT(!strstr(line, "LOST"), "The trace buffer is too small");
	return true;
}

static inline void trace_free(FILE *trace)
{
	fclose(trace);
	TEST_ASSERT(!rmdir(TRACE_INSTANCE), "Cannot remove " TRACE_INSTANCE);
}

#endif /* SELFTEST_KVM_TRACE_H */
