/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many bytes of kernel memory something allocates and keeps: the sizes of the
 * objects that this thread had allocated and not freed at the end, from trace
 * events.  Unlike totals of slabs or of a cgroup these are exact, and the same each
 * time.
 */
#ifndef SELFTEST_KVM_ALLOC_TRACE_H
#define SELFTEST_KVM_ALLOC_TRACE_H

#include "trace.h"

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

static inline void alloc_trace_start(void)
{
	int i;

	trace_new();
	for (i = 0; i < ARRAY_SIZE(alloc_events); i++)
		trace_enable(alloc_events[i].path);
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
	FILE *trace = trace_stop();
	char line[512];
	u64 bytes = 0;

	while (trace_line(trace, line, sizeof(line))) {
		for (i = 0; i < ARRAY_SIZE(alloc_events); i++) {
			const struct alloc_event *event = &alloc_events[i];
			u64 address;

			if (!strstr(line, event->name))
				continue;
			address = alloc_trace_value(line, event->address);
			/* A large object may be told twice. */
			for (j = nr; j-- > 0;) {
				if (allocs[j].address == address) {
					allocs[j] = allocs[--nr];
					break;
				}
			}
			if (event->size) {
				TEST_ASSERT(nr < ALLOC_TRACE_MAX, "Too many allocations");
				allocs[nr++] = (struct alloc){
					address, alloc_trace_value(line, event->size),
				};
			}
			break;
		}
	}
	trace_free(trace);

	for (i = 0; i < nr; i++)
		bytes += allocs[i].size;
	return bytes;
}

#endif /* SELFTEST_KVM_ALLOC_TRACE_H */
