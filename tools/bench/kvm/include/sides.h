/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sides of a comparison: KVM without our patches, the C of KVM with them, and
 * kvm_irqroute.  With the module loaded, one boot has VMs on the latter two; without
 * it, all VMs are on the same side.  What is printed about them is one line for each
 * figure, for report.py:
 *
 *	figure	CASE	NAME=VALUE ...	UNIT	SIDE=VALUE ...
 */
#ifndef SELFTEST_KVM_SIDES_H
#define SELFTEST_KVM_SIDES_H

#include <sys/utsname.h>

#include "cpu.h"
#include "helper.h"
#include "kvm_util.h"

enum side { UNPATCHED, C, RUST, NR_SIDES };

static const char *const side_names[] = {
	[UNPATCHED] = "unpatched",
	[C] = "c",
	[RUST] = "rust",
};

/* Those that there are. */
static enum side first_side, last_side;

/* Tells whether KVM has our patches, while the module, whose names are alike, is not loaded. */
static inline bool kvm_is_patched(void)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	bool found = false;
	char line[512];

	TEST_ASSERT(file, "Cannot read /proc/kallsyms");
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, " kvm_irqroute_");
	fclose(file);
	return found;
}

static inline void find_sides(void)
{
	if (helper_is_loaded()) {
		first_side = C;
		last_side = RUST;
	} else {
		first_side = kvm_is_patched() ? C : UNPATCHED;
		last_side = first_side;
	}
}

/* Decides whose side the VMs are on that are created from now on. */
static inline void take_side(enum side side)
{
	/* Modes are named as the sides are. */
	if (helper_is_loaded())
		helper_write_parameter("mode", side_names[side]);
}

static inline u64 helper_nr_bound(void)
{
	return helper_is_loaded() ? helper_read_counter("vms_bound") : 0;
}

/* Evaluates @_create, which creates a VM, so that it belongs to @_side. */
#define CREATE_ON(_side, _create)						\
({										\
	const enum side on = (_side);						\
	u64 bound = helper_nr_bound();						\
	typeof(_create) created;						\
										\
	take_side(on);								\
	created = (_create);							\
	TEST_ASSERT_EQ(helper_nr_bound() - bound, (u64)(on == RUST));		\
	created;								\
})

static inline int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static inline void sort_u64(u64 *values, u32 nr)
{
	qsort(values, nr, sizeof(*values), compare_u64);
}

static inline u64 median(u64 *values, u32 nr)
{
	sort_u64(values, nr);
	return values[nr / 2];
}

/* The parameters of a figure. */
#define PARAMETERS(_fmt, ...)							\
({										\
	static char text[128];							\
										\
	snprintf(text, sizeof(text), _fmt, ##__VA_ARGS__);			\
	(const char *)text;							\
})

static inline void print_figure(const char *name, const char *parameters, const char *unit,
				u64 values[NR_SIDES])
{
	enum side side;

	printf("figure\t%s\t%s\t%s\t", name, parameters, unit);
	for (side = first_side; side <= last_side; side++)
		printf("%s%s=%lu", side == first_side ? "" : " ", side_names[side], values[side]);
	printf("\n");
	fflush(stdout);
	fprintf(stderr, "%s %s\n", name, parameters);
}

static inline void print_about(const char *name, const char *value)
{
	printf("about\t%s\t%s\n", name, value);
}

static inline void print_kernel_and_cpu(void)
{
	struct utsname uts;

	TEST_ASSERT_EQ(uname(&uts), 0);
	print_about("kernel", uts.release);
	print_about("cpu", cpu_name());
}

/* A table of routes as the ioctl takes it, made once. */
static inline struct kvm_irq_routing *table_new(u32 nr)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + nr * sizeof(*table->entries));

	TEST_ASSERT(table, "Insufficient memory for %u routes", nr);
	table->nr = nr;
	return table;
}

static inline void table_set(struct kvm_vm *vm, struct kvm_irq_routing *table)
{
	vm_ioctl(vm, KVM_SET_GSI_ROUTING, table);
}

#endif /* SELFTEST_KVM_SIDES_H */
