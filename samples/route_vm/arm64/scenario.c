// SPDX-License-Identifier: GPL-2.0
/*
 * The scenarios. Each has a VM of its own; what a step leads to is written next to it.
 *
 * A GSI is routed to a pin of the GIC, which is an SPI, or to an ITS, as an MSI, which becomes an
 * LPI. KVM has to find out where the interrupt of an irqfd goes, whether the line of an SPI is
 * high, and which GSIs hear of the end of its interrupt. That is what the helper does in Rust.
 */
#include "gic.h"
#include "helper.h"
#include "scenario.h"

#define FAR_PIN		NR_SPIS			/* the first one that is no SPI */
#define ELSEWHERE	(DOORBELL + 0x100000)	/* where no ITS is */
#define LONG_ID		(0x10000 | DEVICE_ID)	/* an ITS of KVM's has 16 bits */

#define PIN_ROUTE(_gsi, _pin)						\
	{								\
		.gsi = (_gsi),						\
		.type = KVM_IRQ_ROUTING_IRQCHIP,			\
		.u.irqchip.pin = (_pin),				\
	}

#define MSI_ROUTE(_gsi, _address, _flags, _device_id)			\
	{								\
		.gsi = (_gsi),						\
		.type = KVM_IRQ_ROUTING_MSI,				\
		.flags = (_flags),					\
		.u.msi = {						\
			.address_lo = (_address),			\
			.data = EVENT_ID,				\
			.devid = (_device_id),				\
		},							\
	}

/* Raises the GSI, and finds out whether the helper has dropped the interrupt, and why. */
static void raise_once(struct vm *vm, unsigned int gsi)
{
	unsigned long long before[NR_COUNTERS], after[NR_COUNTERS];
	bool known = helper_read_counters(before);

	vm_raise_by_irqfd(vm, gsi);
	if (known && helper_read_counters(after))
		for (int i = COUNTER_DEAD_NO_SPI; i <= COUNTER_DEAD_LONG_ID; i++)
			if (after[i] > before[i])
				vm_note(vm, EVENT_DEAD, NO_VCPU, i);
	vm_run_all(vm);
}

static void raise_resampled(struct vm *vm, unsigned int gsi)
{
	vm_add_resample_irqfd(vm, gsi);
	vm_raise_irqfd(vm, gsi);
	vm_run_all(vm);
}

/* Two devices have a line in common. One raises it, but the guest has to look at both. */
static void raise_shared(struct vm *vm, unsigned int gsi)
{
	vm_add_resample_irqfd(vm, gsi);
	vm_add_resample_irqfd(vm, OTHER_GSI);
	vm_raise_irqfd(vm, gsi);
	vm_run_all(vm);
}

/*
 * Both raise it, the other one by KVM_IRQ_LINE. The guest serves one of them for each interrupt
 * that it gets, and the other one lowers the line when it is served.
 */
static void raise_held(struct vm *vm, unsigned int gsi)
{
	vm_add_resample_irqfd(vm, gsi);
	set_line(vm, SPI(LEVEL_PIN), true);
	vm_raise_irqfd(vm, gsi);

	vm_run(vm, 0, PROGRESS_RECEIVED);
	vm_run(vm, 0, PROGRESS_RECEIVED);
	set_line(vm, SPI(LEVEL_PIN), false);
	vm_run_all(vm);
}

static void raise_dead(struct vm *vm, unsigned int gsi)
{
	static const struct routes others[] = {
		ROUTES(MSI_ROUTE(GSI, DOORBELL, KVM_MSI_VALID_DEVID, LONG_ID)),
		ROUTES(PIN_ROUTE(GSI, FAR_PIN)),
	};

	raise_once(vm, gsi);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		vm_next_step(vm);
		vm_set_routes(vm, &others[i]);
		raise_once(vm, gsi);
	}
}

const struct scenario scenarios[NR_SCENARIOS] = {
	{
		.name = "edge SPI",
		.routes = ROUTES(PIN_ROUTE(GSI, EDGE_PIN)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(0, SPI(EDGE_PIN))) },
		},
	},
	{
		.name = "level SPI, resamplefd",
		.routes = ROUTES(PIN_ROUTE(GSI, LEVEL_PIN)),
		.run = raise_resampled,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(0, SPI(LEVEL_PIN)), RESAMPLED(0, GSI)) },
		},
	},
	{
		.name = "two GSIs on one pin",
		.routes = ROUTES(PIN_ROUTE(GSI, LEVEL_PIN), PIN_ROUTE(OTHER_GSI, LEVEL_PIN)),
		.run = raise_shared,
		.nr_steps = 1,
		.steps = {
			{
				.expected = EXPECT(RECEIVED(0, SPI(LEVEL_PIN)), RESAMPLED(0, GSI),
						   RESAMPLED(0, OTHER_GSI)),
				.defect = "A8",
				.with_defect = EXPECT(RECEIVED(0, SPI(LEVEL_PIN)),
						      RESAMPLED(0, OTHER_GSI)),
			},
		},
	},
	{
		.name = "two sources of a line",
		.routes = ROUTES(PIN_ROUTE(GSI, LEVEL_PIN)),
		.run = raise_held,
		.nr_steps = 1,
		.steps = {
			{
				.expected = EXPECT(RECEIVED(0, SPI(LEVEL_PIN)), RESAMPLED(0, GSI),
						   RECEIVED(0, SPI(LEVEL_PIN)), RESAMPLED(0, GSI)),
				.defect = "A7",
				.with_defect = EXPECT(RECEIVED(0, SPI(LEVEL_PIN)),
						      RESAMPLED(0, GSI)),
			},
		},
	},
	{
		.name = "MSI with a device ID",
		.machine = { .its = true },
		.routes = ROUTES(MSI_ROUTE(GSI, DOORBELL, KVM_MSI_VALID_DEVID, DEVICE_ID)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(LPI_VCPU, LPI)) },
		},
	},
	{
		.name = "MSI without one",
		.machine = { .its = true },
		.routes = ROUTES(MSI_ROUTE(GSI, DOORBELL, 0, DEVICE_ID)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{
				.expected = EXPECT(DEAD(COUNTER_DEAD_NO_DEVICE_ID)),
				.defect = "A9",
			},
		},
		.symptom = "a device's MSI goes nowhere",
		.remark = "no_device_id",
	},
	{
		.name = "MSI in a VM with no ITS",
		.routes = ROUTES(MSI_ROUTE(GSI, DOORBELL, KVM_MSI_VALID_DEVID, DEVICE_ID)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{
				.expected = EXPECT(DEAD(COUNTER_DEAD_NO_ITS)),
				.defect = "A9",
			},
		},
	},
	{
		.name = "other dead routes",
		.machine = { .its = true },
		.routes = ROUTES(MSI_ROUTE(GSI, ELSEWHERE, KVM_MSI_VALID_DEVID, DEVICE_ID)),
		.run = raise_dead,
		.nr_steps = 3,
		.steps = {
			{
				.name = "no ITS at the address",
				.expected = EXPECT(DEAD(COUNTER_DEAD_NO_DOORBELL)),
				.defect = "A9",
			},
			{
				.name = "device ID of 17 bits",
				.expected = EXPECT(DEAD(COUNTER_DEAD_LONG_ID)),
				.defect = "A9",
			},
			{
				.name = "pin that is no SPI",
				.expected = EXPECT(DEAD(COUNTER_DEAD_NO_SPI)),
				.defect = "A9",
			},
		},
	},
	{
		.name = "routes before the vgic",
		.routes = ROUTES(PIN_ROUTE(GSI, EDGE_PIN)),
		.routes_first = true,
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{
				.expected = EXPECT(RECEIVED(0, SPI(EDGE_PIN))),
				.defect = "A6",
				/* By default, GSI n is pin n. */
				.with_defect = EXPECT(RECEIVED(0, SPI(GSI))),
			},
		},
	},
};
