// SPDX-License-Identifier: GPL-2.0
/*
 * The scenarios. Each has a VM of its own with one route; what a step leads to is written next
 * to it.
 *
 * A local APIC sends an EOI to the I/O APICs if the interrupt was level triggered. With a split
 * irqchip the I/O APIC is in the VMM: KVM has to leave KVM_RUN with KVM_EXIT_IOAPIC_EOI. Which
 * vectors on which vCPUs want that is for KVM to work out, from the level routes of the GSIs that
 * the VMM has reserved as I/O APIC pins. That is what the helper does in Rust.
 */
#include "guest.h"
#include "scenario.h"

#define PIN		4			/* in the window of reserved pins */
#define BEYOND		(RESERVED_PINS + 4)	/* outside of it */

#define LEVEL		0x8000
#define EDGE		0
#define PHYSICAL	0			/* destination is an APIC ID */
#define LOGICAL		0x4			/* destination is a set of APICs: bit n is vCPU n */

#define MSI(_vector, _trigger, _mode, _destination)			\
	{								\
		.address_lo = 0xfee00000 | (_destination) << 12 | (_mode),	\
		.data = (_trigger) | (_vector),				\
	}

#define MSI_ROUTE(_gsi, ...)						\
	{								\
		.gsi = (_gsi),						\
		.type = KVM_IRQ_ROUTING_MSI,				\
		.u.msi = MSI(__VA_ARGS__),				\
	}

#define SINT_ROUTE(_gsi, _vp_index, _sint)				\
	{								\
		.gsi = (_gsi),						\
		.type = KVM_IRQ_ROUTING_HV_SINT,			\
		.u.hv_sint = { .vcpu = (_vp_index), .sint = (_sint) },	\
	}

static void raise_once(struct vm *vm, unsigned int gsi)
{
	raise_line(vm, gsi);
	vm_run_all(vm);
}

/*
 * The interrupt is in service on vCPU 0 when its route moves to vCPU 1. The I/O APIC still waits
 * for that EOI, so it must exit; no later one of vCPU 0 has to do with the pin any more.
 */
static void move_in_flight(struct vm *vm, unsigned int gsi)
{
	static const struct routes moved = ROUTES(MSI_ROUTE(PIN, 0x33, LEVEL, PHYSICAL, 1));
	static const struct kvm_irq_routing_msi coincidental = MSI(0x33, EDGE, PHYSICAL, 0);

	raise_line(vm, gsi);
	vm_run(vm, 0, PROGRESS_RECEIVED);
	vm_set_routes(vm, &moved);
	vm_run_all(vm);

	vm_next_step(vm);
	send_msi(vm, &coincidental);
	vm_run_all(vm);

	vm_next_step(vm);
	raise_line(vm, gsi);
	vm_run_all(vm);
}

static void raise_sint(struct vm *vm, unsigned int gsi)
{
	vm->arch.how_to_end = END_WITH_EOI | END_WITH_EOM;
	raise_once(vm, gsi);
}

/* An auto-EOI SINT: no EOI is written, so it is the EOM that reaches the GSI. */
static void raise_sint_by_irqfd(struct vm *vm, unsigned int gsi)
{
	vm->arch.how_to_end = END_WITH_EOM;
	vm_add_resample_irqfd(vm, gsi);
	vm_raise_irqfd(vm, gsi);
	vm_run_all(vm);
}

const struct scenario scenarios[NR_SCENARIOS] = {
	{
		.name = "level pin, one vCPU",
		.routes = ROUTES(MSI_ROUTE(PIN, 0x31, LEVEL, PHYSICAL, 0)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(0, 0x31), EOI_EXIT(0, 0x31)) },
		},
	},
	{
		.name = "level pin, logical group of 2",
		.routes = ROUTES(MSI_ROUTE(PIN, 0x32, LEVEL, LOGICAL, 0x3)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(0, 0x32), EOI_EXIT(0, 0x32),
					     RECEIVED(1, 0x32), EOI_EXIT(1, 0x32)) },
		},
	},
	{
		.name = "level pin, moved in flight",
		.routes = ROUTES(MSI_ROUTE(PIN, 0x33, LEVEL, PHYSICAL, 0)),
		.run = move_in_flight,
		.nr_steps = 3,
		.steps = {
			{
				.name = "moved to vCPU1 before EOI",
				.expected = EXPECT(RECEIVED(0, 0x33), EOI_EXIT(0, 0x33)),
			},
			{
				.name = "same vector, other sender",
				.expected = EXPECT(RECEIVED(0, 0x33)),
			},
			{
				.name = "the pin again",
				.expected = EXPECT(RECEIVED(1, 0x33), EOI_EXIT(1, 0x33)),
			},
		},
	},
	{
		.name = "edge pin",
		.routes = ROUTES(MSI_ROUTE(PIN, 0x34, EDGE, PHYSICAL, 1)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(1, 0x34)) },
		},
	},
	{
		.name = "level, outside the window",
		.routes = ROUTES(MSI_ROUTE(BEYOND, 0x35, LEVEL, PHYSICAL, 1)),
		.run = raise_once,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(1, 0x35)) },
		},
		.symptom = "a device's interrupt comes once, and never again",
		.remark = "level_outside_pins",
	},
	{
		.name = "SINT, EOI and EOM",
		.machine = { .synic = true },
		.routes = ROUTES(SINT_ROUTE(BEYOND, 1, PLAIN_SINT)),
		.run = raise_sint,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(1, PLAIN_SINT_VECTOR)) },
		},
	},
	{
		.name = "SINT, full irqchip, EOM only",
		.machine = { .irqchip = IRQCHIP_FULL, .synic = true },
		.routes = ROUTES(SINT_ROUTE(BEYOND, 1, AUTO_EOI_SINT)),
		.run = raise_sint_by_irqfd,
		.nr_steps = 1,
		.steps = {
			{ .expected = EXPECT(RECEIVED(1, AUTO_EOI_SINT_VECTOR),
					     RESAMPLED(1, BEYOND)) },
		},
	},
};
