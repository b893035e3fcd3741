/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events, in a tracefs instance of the test's own, so that whoever else traces
 * is left alone.
 */
#ifndef SELFTEST_KVM_EVENT_TRACE_H
#define SELFTEST_KVM_EVENT_TRACE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_util.h"

#define TRACEFS		"/sys/kernel/tracing"

/* Whether there are such events: @event is system/name, or a system. */
static inline bool event_trace_is_available(const char *event)
{
	char path[512];

	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	snprintf(path, sizeof(path), TRACEFS "/events/%s", event);
	return !access(path, F_OK);
}

static inline void event_trace_write(const char *instance, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), TRACEFS "/instances/%s/%s", instance, name);
	f = fopen(path, "w");
	TEST_ASSERT(f && fputs(text, f) >= 0 && !fclose(f), "Cannot write '%s' to %s", text, path);
}

/* Makes an instance in which events are on. */
static inline void event_trace_start(const char *instance, const char *event)
{
	char path[256];

	snprintf(path, sizeof(path), TRACEFS "/instances/%s", instance);
	/* What a test that was killed has left may have events and filters of its own. */
	rmdir(path);
	TEST_ASSERT(!mkdir(path, 0700), "Cannot make %s", path);
	snprintf(path, sizeof(path), "events/%s/enable", event);
	event_trace_write(instance, path, "1");
}

static inline void event_trace_stop(const char *instance)
{
	char path[512];

	snprintf(path, sizeof(path), TRACEFS "/instances/%s", instance);
	TEST_ASSERT(!rmdir(path), "Cannot remove %s", path);
}

/*
 * Takes the events out of an instance whose names begin with @prefix.  Returns them
 * one a line, without time and thread, in a string that is to be freed.
 */
static inline char *event_trace_take(const char *instance, const char *prefix)
{
	char path[512], line[4096], start[64], *events, *at;
	size_t size;
	FILE *from, *to = open_memstream(&events, &size);

	snprintf(path, sizeof(path), TRACEFS "/instances/%s/trace", instance);
	snprintf(start, sizeof(start), ": %s", prefix);
	from = fopen(path, "r");
	TEST_ASSERT(from && to, "Cannot open %s", path);
	while (fgets(line, sizeof(line), from)) {
		at = line[0] == '#' ? NULL : strstr(line, start);
		if (at)
			fputs(at + 2, to);
	}
	fclose(from);
	TEST_ASSERT(!fclose(to), "Insufficient memory for events");
	event_trace_write(instance, "trace", "");
	return events;
}

#endif /* SELFTEST_KVM_EVENT_TRACE_H */
