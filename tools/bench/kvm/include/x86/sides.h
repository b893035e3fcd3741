/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two sides of a comparison: VMs whose routes KVM's own C handles, and VMs
 * on kvm_irqroute, in one boot.  What is printed about them is one line for each
 * figure, for report.py:
 *
 *	figure	CASE	NAME=VALUE ...	UNIT	C	RUST
 */
#ifndef SELFTEST_KVM_SIDES_H
#define SELFTEST_KVM_SIDES_H

#include <sys/resource.h>
#include <sys/utsname.h>

#include "irqroute.h"

#define HELPER_MODE		"/sys/module/kvm_irqroute/parameters/mode"
#define HELPER_BOUND		"/sys/kernel/debug/kvm_irqroute/vms_bound"

enum side { C, RUST, NR_SIDES };

static inline void helper_set_mode(enum side side)
{
	static const char *const modes[] = { [C] = "c", [RUST] = "rust" };
	FILE *file = fopen(HELPER_MODE, "w");

	TEST_ASSERT(file && fputs(modes[side], file) >= 0 && !fclose(file),
		    "Cannot write to " HELPER_MODE);
}

static inline u64 helper_nr_bound(void)
{
	FILE *file = fopen(HELPER_BOUND, "r");
	u64 nr;

	TEST_ASSERT(file && fscanf(file, "%lu", &nr) == 1, "Cannot read " HELPER_BOUND);
	fclose(file);
	return nr;
}

/* Evaluates @_create, which creates a VM, so that it belongs to @_side. */
#define CREATE_ON(_side, _create)						\
({										\
	const enum side on = (_side);						\
	u64 bound = helper_nr_bound();						\
	typeof(_create) created;						\
										\
	helper_set_mode(on);							\
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
				u64 c, u64 rust)
{
	printf("figure\t%s\t%s\t%s\t%lu\t%lu\n", name, parameters, unit, c, rust);
	fflush(stdout);
	fprintf(stderr, "%s %s\n", name, parameters);
}

static inline void print_about(const char *name, const char *value)
{
	printf("about\t%s\t%s\n", name, value);
}

static inline void print_kernel_and_cpu(void)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	struct utsname uts;
	char line[256];

	TEST_ASSERT_EQ(uname(&uts), 0);
	print_about("kernel", uts.release);

	TEST_ASSERT(file, "Cannot read /proc/cpuinfo");
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "model name", strlen("model name")))
			continue;
		line[strcspn(line, "\n")] = '\0';
		print_about("cpu", strchr(line, ':') + 2);
		break;
	}
	fclose(file);
}

/* Two VMs with all vCPUs that KVM allows need more files than the library asks for. */
static inline void raise_file_limit(void)
{
	struct rlimit limit = { .rlim_cur = 1 << 14, .rlim_max = 1 << 14 };

	TEST_ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
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

/* A guest that exits whenever it runs, for ever, and does nothing else. */
#define EXIT_PORT		0x10

static __maybe_unused void guest_exits(void)
{
	x2apic_enable();
	for (;;)
		asm volatile("outb %%al, %0" :: "i"(EXIT_PORT));
}

/* A vCPU of a split irqchip that has enabled its local APIC. */
static inline struct kvm_vcpu *exiting_vcpu_add(struct kvm_vm *vm, u32 id)
{
	struct kvm_vcpu *vcpu = vm_vcpu_add(vm, id, guest_exits);

	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	return vcpu;
}

#endif /* SELFTEST_KVM_SIDES_H */
