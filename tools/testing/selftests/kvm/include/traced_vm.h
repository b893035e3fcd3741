/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trace events of the module, of one VM.
 */
#ifndef SELFTEST_KVM_TRACED_VM_H
#define SELFTEST_KVM_TRACED_VM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_trace.h"
#include "kvm_util.h"
#include "test_util.h"
#include "vm_files.h"

/* Also what the tests call their tracefs instance. */
#define EVENTS		"kvm_irqroute"
#define EVENT_PREFIX	"irqroute_"

/* Who decides for a VM. */
enum handler {
	KVM,		/* C alone, so there are no events */
	VERIFIED,	/* C, and the module looks at the results */
	MODULE,
	PARITY,		/* the module, with the defects of C; updates are C's */
};

struct traced_vm {
	struct kvm_vm *vm;
	enum handler handler;
	unsigned long number;
};

/* Looks at the VM that was made last. */
static inline void traced_vm_init(struct traced_vm *traced, struct kvm_vm *vm)
{
	char dir[256], *mode, *parity;

	*traced = (struct traced_vm) { .vm = vm };
	if (!find_vm_dir(dir, sizeof(dir)))
		return;
	traced->number = strtoul(strrchr(dir, '-') + 1, NULL, 10);
	mode = read_vm_file(dir, "mode");
	parity = read_vm_file(dir, "parity");
	TEST_ASSERT(mode && parity, "Cannot read how the VM is handled");
	traced->handler = !strcmp(mode, "verify\n") ? VERIFIED :
			  strcmp(parity, "0\n") ? PARITY : MODULE;
	free(mode);
	free(parity);
}

static inline void drop_events(void)
{
	free(event_trace_take(EVENTS, EVENT_PREFIX));
}

/*
 * Expects events, each with the number of the VM left out and in a line of its own:
 * @decided if the module decides, @seen if it only sees, NULL for the same.  Nobody
 * else uses the module meanwhile.
 */
static inline void expect_events(const struct traced_vm *traced, const char *decided,
				 const char *seen, const char *file, unsigned int line)
{
	const char *expected = traced->handler == VERIFIED && seen ? seen : decided;
	char *events = event_trace_take(EVENTS, EVENT_PREFIX), *got, *each, *rest = events;
	char vm[64];
	size_t size;
	FILE *to = open_memstream(&got, &size);

	snprintf(vm, sizeof(vm), " vm=%lu", traced->number);
	TEST_ASSERT(to, "Insufficient memory for events");
	while ((each = strsep(&rest, "\n")) && *each) {
		char *number = strstr(each, vm);

		test_assert(number && number[strlen(vm)] == ' ', "vm", file, line,
			    "not of%s: %s", vm, each);
		*number = '\0';
		fprintf(to, "%s%s\n", each + strlen(EVENT_PREFIX), number + strlen(vm));
	}
	TEST_ASSERT(!fclose(to), "Insufficient memory for events");
	if (traced->handler == KVM)
		expected = "";
	test_assert(!strcmp(got, expected), "events", file, line,
		    "events are\n%s---- and were to be\n%s", got, expected);
	free(got);
	free(events);
}

#define EXPECT_EVENTS(_traced, _decided, _seen)	\
	expect_events(_traced, _decided, _seen, __FILE__, __LINE__)
#define EXPECT_SAME_EVENTS(_traced, _events)	EXPECT_EVENTS(_traced, _events, NULL)

#endif /* SELFTEST_KVM_TRACED_VM_H */
