/* SPDX-License-Identifier: GPL-2.0 */
/*
 * GSI routes and tables of them.
 */
#ifndef SELFTEST_KVM_ROUTES_H
#define SELFTEST_KVM_ROUTES_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm_util.h"
#include "test_util.h"

#define MAX_ROUTES		4096	/* KVM_MAX_IRQ_ROUTES, and the number of GSIs */

static inline struct kvm_irq_routing_entry irqchip_route(u32 gsi, u32 irqchip, u32 pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip.irqchip = irqchip,
		.u.irqchip.pin = pin,
	};
}

/* Returns 0 or the errno of KVM_SET_GSI_ROUTING. */
static inline int __set_routes(struct kvm_vm *vm, const struct kvm_irq_routing_entry *entries,
			       u32 nr, u32 flags)
{
	struct kvm_irq_routing *table;
	int ret;

	table = calloc(1, sizeof(*table) + nr * sizeof(*entries));
	TEST_ASSERT(table, "Insufficient memory for %u routes", nr);
	table->nr = nr;
	table->flags = flags;
	if (nr)
		memcpy(table->entries, entries, nr * sizeof(*entries));

	ret = __vm_ioctl(vm, KVM_SET_GSI_ROUTING, table) ? errno : 0;
	free(table);
	return ret;
}

/* Sets the table to the routes given, or to none at all. */
#define SET_ROUTES(vm, ...)							\
do {										\
	const struct kvm_irq_routing_entry __entries[] = { __VA_ARGS__ };	\
										\
	TEST_ASSERT_EQ(__set_routes(vm, __entries, ARRAY_SIZE(__entries), 0), 0);	\
} while (0)

#endif /* SELFTEST_KVM_ROUTES_H */
