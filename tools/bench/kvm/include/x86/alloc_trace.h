/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many bytes of kernel memory something allocates and keeps: the sizes of the
 * objects that this thread had allocated and not freed at the end, from trace
 * events in a tracefs instance of its own.  Unlike totals of slabs or of a cgroup
 * these are exact, and the same each time.
 */
#ifndef SELFTEST_KVM_ALLOC_TRACE_H
#define SELFTEST_KVM_ALLOC_TRACE_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "test_util.h"

#define TRACEFS			"/sys/kernel/tracing"
#define ALLOC_TRACE		TRACEFS "/instances/irq_routing_cost"
#define ALLOC_TRACE_KB		"8192"
#define ALLOC_TRACE_MAX		16384

/* An event, and what precedes the address and the size in its line. */
struct alloc_event {
	const char *path, *name, *address, *size;
};

static const struct alloc_event alloc_events[] = {
	{ "kmem/kmalloc", " kmalloc: ", "ptr=", "bytes_alloc=" },
	{ "kmem/kfree", " kfree: ", "ptr=", NULL },
	{ "vmalloc/alloc_vmap_area", " alloc_vmap_area: ", "va_start: ", "size=" },
	{ "vmalloc/free_vmap_area_noflush", " free_vmap_area_noflush: ", "va_start=", NULL },
	{ "percpu/percpu_alloc_percpu", " percpu_alloc_percpu: ", "ptr=", "bytes_alloc=" },
	{ "percpu/percpu_free_percpu", " percpu_free_percpu: ", "ptr=", NULL },
};

struct alloc {
	u64 address, size;
};

static inline void alloc_trace_write(const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), ALLOC_TRACE "/%s", file);
	f = fopen(path, "w");
	TEST_ASSERT(f && fputs(text, f) >= 0 && !fclose(f), "Cannot write to %s", path);
}

static inline void alloc_trace_enable(const char *value)
{
	char file[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(alloc_events); i++) {
		snprintf(file, sizeof(file), "events/%s/enable", alloc_events[i].path);
		alloc_trace_write(file, value);
	}
}

static inline void alloc_trace_start(void)
{
	char pid[16];

	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	TEST_ASSERT(!mkdir(ALLOC_TRACE, 0700), "Cannot make " ALLOC_TRACE);
	alloc_trace_write("buffer_size_kb", ALLOC_TRACE_KB);
	snprintf(pid, sizeof(pid), "%d", getpid());
	alloc_trace_write("set_event_pid", pid);
	alloc_trace_enable("1");
}

static inline u64 alloc_trace_value(const char *line, const char *label)
{
	const char *value = strstr(line, label);

	TEST_ASSERT(value, "No %s in: %s", label, line);
	value += strlen(label);
	/* Addresses lack a prefix where the kernel hides them. */
	return strtoull(value, NULL, !strcmp(label, "ptr=") ? 16 : 0);
}

/* Returns the bytes kept since alloc_trace_start(). */
static inline u64 alloc_trace_stop(void)
{
	static struct alloc allocs[ALLOC_TRACE_MAX];
	u32 nr = 0, i, j;
	char line[512];
	u64 bytes = 0;
	FILE *trace;

	alloc_trace_enable("0");
	trace = fopen(ALLOC_TRACE "/trace", "r");
	TEST_ASSERT(trace, "Cannot read the trace");
	while (fgets(line, sizeof(line), trace)) {
		TEST_ASSERT(!strstr(line, "LOST"), "The trace buffer is too small");
		for (i = 0; i < ARRAY_SIZE(alloc_events); i++) {
			const struct alloc_event *event = &alloc_events[i];
			u64 address;

			if (!strstr(line, event->name))
				continue;
			address = alloc_trace_value(line, event->address);
			if (event->size) {
				TEST_ASSERT(nr < ALLOC_TRACE_MAX, "Too many allocations");
				allocs[nr++] = (struct alloc){
					address, alloc_trace_value(line, event->size),
				};
				break;
			}
			for (j = nr; j-- > 0;) {
				if (allocs[j].address == address) {
					allocs[j] = allocs[--nr];
					break;
				}
			}
			break;
		}
	}
	fclose(trace);
	TEST_ASSERT(!rmdir(ALLOC_TRACE), "Cannot remove " ALLOC_TRACE);

	for (i = 0; i < nr; i++)
		bytes += allocs[i].size;
	return bytes;
}

#endif /* SELFTEST_KVM_ALLOC_TRACE_H */
