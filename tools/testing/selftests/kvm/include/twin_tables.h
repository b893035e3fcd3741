/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Routing tables of twin VMs.
 */
#ifndef SELFTEST_KVM_TWIN_TABLES_H
#define SELFTEST_KVM_TWIN_TABLES_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "irqroute.h"
#include "kselftest.h"
#include "kvm_util.h"
#include "routes.h"
#include "test_util.h"
#include "twins.h"

struct table {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entries[MAX_ROUTES + 1];
};

/* The table that both twins have, by GSI. */
static struct kvm_irq_routing_entry current_routes[MAX_ROUTES];

/* Where the page begins that cannot be read, behind a table. */
static inline void *table_fence(struct table *table)
{
	return (void *)align_down((u64)table + sizeof(*table) + 2 * getpagesize() - 1,
				  getpagesize());
}

/* Memory for one table, the same each time. */
static inline struct table *table_memory(void)
{
	static struct table *table;

	if (!table) {
		table = kvm_mmap(sizeof(*table) + 2 * getpagesize(), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1);
		TEST_ASSERT_EQ(mprotect(table_fence(table), getpagesize(), PROT_NONE), 0);
	}
	return table;
}

/* Sets a table from table_memory().  Of an unreadable one, KVM can read the head only. */
static inline void set_table(struct kvm_vm *vm, struct table *table, bool unreadable,
			     struct outcome *o)
{
	struct kvm_irq_routing *arg = &table->head;
	u32 i;

	if (unreadable) {
		arg = table_fence(table) - sizeof(*arg);
		memcpy(arg, &table->head, sizeof(*arg));
	}
	state_errno(o, "errno", __vm_ioctl(vm, KVM_SET_GSI_ROUTING, arg));
	if (o->err)
		return;

	memset(current_routes, 0, sizeof(current_routes));
	for (i = 0; i < table->head.nr; i++)
		current_routes[table->entries[i].gsi] = table->entries[i];
}

static inline void print_table(const struct table *table, const char *fault)
{
	u32 i;

	ksft_print_msg("\tnr %u, flags %#x, %s\n", table->head.nr, table->head.flags, fault);
	for (i = 0; i < table->head.nr && i < MAX_ROUTES; i++)
		print_route(&table->entries[i]);
}

#endif /* SELFTEST_KVM_TWIN_TABLES_H */
