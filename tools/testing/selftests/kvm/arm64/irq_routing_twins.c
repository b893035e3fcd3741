// SPDX-License-Identifier: GPL-2.0
/*
 * Twin VMs on arm64: what each operation returned, which interrupts the guest took and in
 * which order, which resamplefds were signaled, and the lines and states of SPIs.
 *
 * With parity=1 the module keeps all defects of KVM's C.  With parity=0 the twins have to
 * agree where C has none: each line has one source, and each pin with resample irqfds has
 * one GSI, which stays there.
 *
 * All vCPUs are driven from one thread, and work that KVM would do later is waited for, so
 * that a seed gives the same result every time.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "irqfd.h"
#include "irqroute.h"
#include "twin_tables.h"
#include "twins.h"

#define NR_IRQFDS		4
#define NR_DEVICES		2
#define NR_EVENTS		2	/* of a device */
#define NR_LPIS			(NR_DEVICES * NR_EVENTS)

#define FIXED_SEQUENCES		80

/* What is worth counting beyond operations and their errnos. */
enum event {
	SPI_TAKEN,
	LPI_TAKEN,
	RESAMPLED,
	LINE_HIGH,
	MSI_DELIVERED,
	MSI_BLOCKED,
	LPI_SAVED,
	NR_EVENT_KINDS,
};

static const char * const event_names[NR_EVENT_KINDS] = {
	[SPI_TAKEN] = "SPIs taken",
	[LPI_TAKEN] = "LPIs taken",
	[RESAMPLED] = "resamplefds signaled",
	[LINE_HIGH] = "high lines seen",
	[MSI_DELIVERED] = "MSIs delivered",
	[MSI_BLOCKED] = "MSIs blocked",
	[LPI_SAVED] = "pending LPIs saved",
};

static u64 events[NR_EVENT_KINDS];

/* What VMs are in the current sequence. */
static struct shape {
	u32 nr_cpus;
	u32 nr_irqs;
	bool split;		/* EOI and deactivation */
	u32 edges;		/* which of the pins, as bits */
	bool parity_off;	/* of one of them: they have to agree all the same */
} shape;

static struct shape shape_of(u64 seed)
{
	static const u32 nr_irqs[] = { 64, 64, 96, 288, MAX_NR_IRQS };
	struct rng rng = rng_of_op(seed, MAX_OPS);

	return (struct shape){
		.nr_cpus = 1 + rng_below(&rng, MAX_CPUS),
		.nr_irqs = rng_pick(&rng, nr_irqs),
		.split = rng_percent(&rng, 40),
		.edges = rng_next(&rng) & rng_next(&rng) & rng_next(&rng),
		.parity_off = !strcmp(pair[1]->parity, "0"),
	};
}

static u32 nr_spis(void)
{
	return shape.nr_irqs - MIN_SPI;
}

/*
 * The first pins are those of GSIs with the same index where the twins have to agree: only
 * they have resample irqfds then, and KVM_IRQ_LINE does not touch them.
 */
#define NR_OWN_PINS		4
static const u32 pins[] = { 0, 1, 2, 5, 8, 31 };
static const u32 gsis[] = { 0, 1, 2, 5, 40, 41, 987, 4095 };

/* More that are used: those at both ends of what the VM has, and of what a route can name. */
static u32 end_pin(struct rng *rng)
{
	const u32 ends[] = { nr_spis() - 1, nr_spis() - 1, nr_spis(), NR_PINS - 1 };

	return rng_pick(rng, ends);
}

static u32 random_pin(struct rng *rng)
{
	return rng_percent(rng, 80) ? rng_pick(rng, pins) : end_pin(rng);
}

/* One that KVM_IRQ_LINE may change, and routes of GSIs without resample irqfds may lead to. */
static u32 random_free_pin(struct rng *rng)
{
	if (!shape.parity_off)
		return random_pin(rng);
	return rng_percent(rng, 80) ? pins[NR_OWN_PINS + rng_below(rng, 2)] : end_pin(rng);
}

/* One of those that the guest has. */
static u32 random_spi(struct rng *rng)
{
	return MIN_SPI + (rng_percent(rng, 85) ? rng_pick(rng, pins) : nr_spis() - 1);
}

/* Each SPI that is used has its priority, so that what is taken first is no matter of luck. */
static u8 priority_of(u32 spi)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pins) && MIN_SPI + pins[i] != spi; i++)
		;
	return 0x20 + i * 0x10;
}

static u8 priority_of_lpi(u32 lpi)
{
	return 0xa0 + lpi * 8;
}

struct twin_irqfd {
	struct irqfd irqfd;
	bool assigned;
	u32 flags;
};

/* A VM of a pair. */
struct twin {
	struct vm_template template;
	struct kvm_vm *vm;
	struct irq_cpu cpus[MAX_CPUS];
	u32 held[MAX_CPUS][MAX_TAKEN], nr_held[MAX_CPUS];
	int gic_fd;
	bool initialized;
	struct {
		int fd;
		bool placed;
		u32 cwriter;
	} its[NR_ITSES];
	struct twin_irqfd irqfds[NR_IRQFDS];
};

static struct twin first, second;

static void twin_open(struct twin *twin)
{
	int i;

	memset(current_routes, 0, sizeof(current_routes));
	memset(twin->nr_held, 0, sizeof(twin->nr_held));
	memset(twin->irqfds, 0, sizeof(twin->irqfds));
	memset(twin->its, 0, sizeof(twin->its));
	twin->initialized = false;

	vm_template_open(&twin->template, twin->cpus, shape.nr_cpus);
	twin->gic_fd = vgic_create(twin->vm, shape.nr_cpus, shape.nr_irqs);
	for (i = 0; i < NR_LPIS; i++)
		((u8 *)gic_table(twin->vm, TABLE_PROPERTIES))[i] =
			priority_of_lpi(i) | LPI_PROP_GROUP1 | LPI_PROP_ENABLED;
	for (i = 0; i < NR_ITSES; i++)
		twin->its[i].fd = -1;
	for (i = 0; i < NR_IRQFDS; i++)
		twin->irqfds[i].irqfd = irqfd_create(0);
}

static void irqfd_ioctl_flags(struct twin *twin, struct outcome *o, struct irqfd *irqfd,
			      u32 flags)
{
	struct kvm_irqfd arg = {
		.fd = irqfd->fd,
		.gsi = irqfd->gsi,
		.flags = flags,
		.resamplefd = irqfd->resamplefd,
	};

	state_errno(o, "errno of KVM_IRQFD", __vm_ioctl(twin->vm, KVM_IRQFD, &arg));
}

/* KVM injects some MSIs from a workqueue.  De-assigning waits for that. */
static void flush_irqfd(struct twin *twin, struct outcome *o, struct twin_irqfd *irqfd)
{
	if (current_routes[irqfd->irqfd.gsi].type == KVM_IRQ_ROUTING_IRQCHIP)
		return;
	irqfd_ioctl_flags(twin, o, &irqfd->irqfd, KVM_IRQFD_FLAG_DEASSIGN);
	irqfd_ioctl_flags(twin, o, &irqfd->irqfd, irqfd->flags);
}

static void twin_close(struct twin *twin)
{
	struct outcome o = {};
	int i;

	for (i = 0; i < NR_IRQFDS; i++) {
		struct twin_irqfd *irqfd = &twin->irqfds[i];

		if (irqfd->assigned)
			irqfd_ioctl_flags(twin, &o, &irqfd->irqfd, KVM_IRQFD_FLAG_DEASSIGN);
		close(irqfd->irqfd.fd);
		close(irqfd->irqfd.resamplefd);
	}
	for (i = 0; i < NR_ITSES; i++)
		if (twin->its[i].fd >= 0)
			close(twin->its[i].fd);
	close(twin->gic_fd);
	kvm_vm_release(twin->vm);
}

static bool can_step(struct twin *twin, u32 cpu)
{
	return twin->initialized && cpu < shape.nr_cpus;
}

/* Has the guest do a step, and states what happened meanwhile. */
static void step(struct twin *twin, struct outcome *o, u32 index, void *fn, u64 arg0, u64 arg1)
{
	struct irq_cpu *cpu = &twin->cpus[index];
	u32 i;

	if (!can_step(twin, index)) {
		o->skipped = true;
		return;
	}

	irq_cpu_call(cpu, fn, arg0, arg1);
	state_errno(o, "errno", 0);
	for (i = 0; i < cpu->guest->nr_taken; i++) {
		state_fact(o, "interrupt taken", cpu->guest->taken[i]);
		events[INTID_IS_SPI(cpu->guest->taken[i]) ? SPI_TAKEN : LPI_TAKEN]++;
	}
}

/* Operations. */
enum op_kind {
	INIT_VGIC,
	SET_ROUTING,
	IRQ_LINE,
	LOWER_LINES,
	SIGNAL_MSI,
	IRQFD_ASSIGN,
	IRQFD_SIGNAL,
	IRQFD_DEASSIGN,
	RESTORE_LINES,
	RESTORE_PENDING,
	SPI_CONFIG,
	SPI_ENABLE,
	SPI_PENDING,
	SPI_ACTIVE,
	SPI_AFFINITY,
	ITS_CREATE,
	ITS_ENABLE,
	ITS_COMMAND,
	ITS_SAVE,
	ITS_RESET,
	LPIS_ENABLE,
	LPI_CONFIG,
	SAVE_PENDING,
	TAKE,
	HOLD,
	END,
	DEACTIVATE,
	NR_OPS,
};

static u32 random_cpu(struct rng *rng)
{
	return rng_percent(rng, 70) ? 0 : rng_below(rng, MAX_CPUS);
}

static u32 random_its(struct rng *rng)
{
	return rng_percent(rng, 75) ? 0 : rng_below(rng, NR_ITSES);
}

/* Mostly a doorbell. */
static u64 random_address(struct rng *rng)
{
	return rng_percent(rng, 85) ? DOORBELL(random_its(rng)) :
	       rng_percent(rng, 50) ? GICD_BASE_GPA + GITS_TRANSLATER :
	       rng_percent(rng, 50) ? DOORBELL(0) | 1ull << 32 : DOORBELL(0) + 4;
}

static u32 random_id(struct rng *rng, u32 nr)
{
	static const u32 long_ids[] = { 1 << 16, 1 << 16 | 1, UINT32_MAX };

	if (rng_percent(rng, 88))
		return rng_below(rng, nr);
	return shape.parity_off || rng_percent(rng, 30) ? 0xffff : rng_pick(rng, long_ids);
}

static struct its_msi random_msi(struct rng *rng)
{
	return (struct its_msi){
		.address = random_address(rng),
		.flags = rng_percent(rng, 90) ? KVM_MSI_VALID_DEVID : 0,
		.devid = random_id(rng, NR_DEVICES),
		.data = random_id(rng, NR_EVENTS),
	};
}

/* The vgic. */
static void no_args_make(struct rng *rng, struct op *op)
{
}

static void init_vgic_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 i, spi, gsi;

	state_errno(o, "errno", __kvm_device_attr_set(twin->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
						      KVM_DEV_ARM_VGIC_CTRL_INIT, NULL));
	if (o->err || twin->initialized)
		return;

	/* The default routes replace all others. */
	memset(current_routes, 0, sizeof(current_routes));
	for (gsi = 0; gsi < nr_spis(); gsi++)
		current_routes[gsi] = pin_route(gsi, gsi);

	twin->initialized = true;
	for (i = 0; i < shape.nr_cpus; i++)
		step(twin, o, i, guest_start, shape.nr_cpus, shape.split);
	for (i = 0; i <= ARRAY_SIZE(pins); i++) {
		spi = MIN_SPI + (i < ARRAY_SIZE(pins) ? pins[i] : nr_spis() - 1);
		step(twin, o, 0, gic_set_priority, spi, priority_of(spi));
		step(twin, o, 0, gic_irq_set_config, spi, !!(shape.edges & BIT(i)));
		step(twin, o, 0, guest_write_spi, GICD_ISENABLER, spi);
	}
}

/* Routing tables. */
enum table_fault {
	NO_FAULT,
	BAD_GSI,
	BAD_FLAGS,
	BAD_ENTRY_FLAGS,
	BAD_MSI_FLAGS,
	BAD_TYPE,
	BAD_PIN,
	BAD_IRQCHIP,
	DUPLICATE_GSI,
	TOO_MANY,
	UNREADABLE,
	NR_TABLE_FAULTS,
};

static const char * const table_fault_names[NR_TABLE_FAULTS] = {
	[NO_FAULT] = "no fault",
	[BAD_GSI] = "GSI out of range",
	[BAD_FLAGS] = "bad flags",
	[BAD_ENTRY_FLAGS] = "bad flags of an entry",
	[BAD_MSI_FLAGS] = "bad flags of an MSI",
	[BAD_TYPE] = "bad type",
	[BAD_PIN] = "pin out of range",
	[BAD_IRQCHIP] = "no such irqchip",
	[DUPLICATE_GSI] = "duplicate GSI",
	[TOO_MANY] = "too many",
	[UNREADABLE] = "unreadable",
};

static void break_table(struct rng *rng, struct table *table, enum table_fault fault)
{
	static const u32 no_pins[] = { NR_PINS, NR_PINS + 1, UINT32_MAX };
	struct kvm_irq_routing_entry *e = &table->entries[rng_below(rng, table->head.nr)];

	switch (fault) {
	case BAD_GSI:
		e->gsi = rng_percent(rng, 50) ? MAX_ROUTES : 0x80000000;
		break;
	case BAD_FLAGS:
		table->head.flags = 1;
		break;
	case BAD_ENTRY_FLAGS:
		*e = pin_route(e->gsi, 0);
		e->flags = KVM_MSI_VALID_DEVID;
		break;
	case BAD_MSI_FLAGS:
		*e = msi_route(e->gsi, random_msi(rng));
		e->flags |= 2;
		break;
	case BAD_TYPE:
		e->type = rng_percent(rng, 50) ? KVM_IRQ_ROUTING_HV_SINT : 99;
		break;
	case BAD_PIN:
		*e = pin_route(e->gsi, rng_pick(rng, no_pins));
		break;
	case BAD_IRQCHIP:
		*e = irqchip_route(e->gsi, 1, 0);
		break;
	case DUPLICATE_GSI:
		table->entries[table->head.nr] = *e;
		table->head.nr++;
		break;
	case TOO_MANY:
		table->head.nr = MAX_ROUTES + 1;
		break;
	default:
		break;
	}
}

/* A table of @op->b routes, or so; op->a is the seed of it. */
static void make_table(const struct op *op, struct table *table)
{
	struct rng rng = { .state = op->a };
	u32 i, nr_own = shape.parity_off ? NR_OWN_PINS : 0;
	u32 nr = max_t(u32, op->b, nr_own), offset = rng_below(&rng, ARRAY_SIZE(gsis));

	memset(&table->head, 0, sizeof(table->head));
	table->head.nr = nr;
	for (i = 0; i < nr; i++) {
		struct kvm_irq_routing_entry *e = &table->entries[i];
		u32 gsi = i;

		/* A small table has GSIs that are used, in a large one there are all. */
		if (nr <= ARRAY_SIZE(gsis))
			gsi = gsis[nr_own ? i : (i + offset) % ARRAY_SIZE(gsis)];
		*e = i < nr_own ? pin_route(gsis[i], pins[i]) :
		     rng_percent(&rng, 70) ? pin_route(gsi, random_free_pin(&rng)) :
		     msi_route(gsi, random_msi(&rng));
	}
	if (nr)
		break_table(&rng, table, op->c);
}

static void set_routing_make(struct rng *rng, struct op *op)
{
	static const u32 large[] = { 24, 256, 987, 988, 1024 };

	op->a = rng_next(rng);
	op->c = rng_percent(rng, 20) ? rng_below(rng, NR_TABLE_FAULTS) : NO_FAULT;
	op->b = rng_percent(rng, 5) && !shape.parity_off ? rng_pick(rng, large) :
		rng_percent(rng, 30) ? rng_below(rng, ARRAY_SIZE(gsis)) : ARRAY_SIZE(gsis);
	if (op->c != NO_FAULT && !op->b)
		op->b = 1;
}

static void set_routing_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct table *table = table_memory();

	/* Tables that are set before stay. */
	if (shape.parity_off && !twin->initialized) {
		o->skipped = true;
		return;
	}

	make_table(op, table);
	set_table(twin->vm, table, op->c == UNREADABLE, o);
}

static void set_routing_print(const struct op *op)
{
	static struct table table;

	make_table(op, &table);
	print_table(&table, table_fault_names[op->c]);
}

/* Lines, MSIs and irqfds. */
static void irq_line_make(struct rng *rng, struct op *op)
{
	/* Behind all SPIs; INTIDs that routes cannot name; one that is private. */
	static const u32 odd_intids[] = { 1019, 1020, 1023, 1024, 0xffff, MIN_SPI - 1, 0 };
	u32 type = rng_percent(rng, 95) ? KVM_ARM_IRQ_TYPE_SPI : rng_below(rng, 4);

	op->a = (rng_percent(rng, 92) ? MIN_SPI + random_free_pin(rng) :
		 rng_pick(rng, odd_intids)) | type << KVM_ARM_IRQ_TYPE_SHIFT;
	op->b = rng_percent(rng, 60);
}

static void irq_line_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct kvm_irq_level arg = { .irq = op->a, .level = op->b };

	state_errno(o, "errno", __vm_ioctl(twin->vm, KVM_IRQ_LINE, &arg));
}

/* Lines that stay high keep the guest from all that has a lower priority. */
static void lower_lines_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 i;

	for (i = shape.parity_off ? NR_OWN_PINS : 0; i < ARRAY_SIZE(pins); i++)
		state_errno(o, "errno", _kvm_arm_irq_line(twin->vm, MIN_SPI + pins[i], 0));
	state_errno(o, "errno", _kvm_arm_irq_line(twin->vm, MIN_SPI + nr_spis() - 1, 0));
}

static void signal_msi_make(struct rng *rng, struct op *op)
{
	struct its_msi msi = random_msi(rng);

	op->a = msi.address;
	op->b = msi.devid | (u64)msi.data << 32;
	op->c = msi.flags | (rng_percent(rng, 3) ? 2 : 0);
}

static void signal_msi_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct its_msi msi = {
		.address = op->a, .devid = op->b, .data = op->b >> 32, .flags = op->c,
	};
	int ret = signal_msi(twin->vm, msi);

	state_errno(o, "errno", ret);
	state_fact(o, "delivered", ret);
	if (!o->err)
		events[ret ? MSI_DELIVERED : MSI_BLOCKED]++;
}

static void irqfd_assign_make(struct rng *rng, struct op *op)
{
	bool resample = rng_percent(rng, 60);

	op->a = rng_percent(rng, 6) ? NR_IRQFDS : rng_below(rng, NR_IRQFDS);
	op->b = resample && shape.parity_off ? gsis[rng_below(rng, NR_OWN_PINS)] :
		rng_pick(rng, gsis);
	op->c = rng_percent(rng, 3) ? 1 << 7 : resample ? KVM_IRQFD_FLAG_RESAMPLE : 0;
}

static void irqfd_assign_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct irqfd bad = { .fd = -1, .resamplefd = -1, .gsi = op->b };
	struct twin_irqfd *irqfd;

	if (op->a == NR_IRQFDS) {
		/* No file, or one that is not an eventfd. */
		bad.fd = op->b & 1 ? -1 : twin->vm->fd;
		irqfd_ioctl_flags(twin, o, &bad, op->c);
		return;
	}

	irqfd = &twin->irqfds[op->a];
	if (irqfd->assigned) {
		bad = irqfd->irqfd;
		bad.gsi = op->b;
		irqfd_ioctl_flags(twin, o, &bad, op->c);
		return;
	}
	irqfd->irqfd.gsi = op->b;
	irqfd->flags = op->c;
	irqfd_ioctl_flags(twin, o, &irqfd->irqfd, op->c);
	irqfd->assigned = !o->err;
	/* There may have been an event before. */
	if (irqfd->assigned)
		flush_irqfd(twin, o, irqfd);
}

static void irqfd_signal_make(struct rng *rng, struct op *op)
{
	op->a = rng_below(rng, NR_IRQFDS);
	op->b = rng_percent(rng, 80);
}

static void irqfd_signal_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct twin_irqfd *irqfd = &twin->irqfds[op->a];
	u32 i;

	for (i = 0; i < NR_IRQFDS && op->b && !irqfd->assigned; i++)
		irqfd = &twin->irqfds[(op->a + i) % NR_IRQFDS];
	irqfd_signal(&irqfd->irqfd);
	state_errno(o, "errno", 0);
	if (irqfd->assigned)
		flush_irqfd(twin, o, irqfd);
}

static void irqfd_deassign_make(struct rng *rng, struct op *op)
{
	op->a = rng_percent(rng, 20) ? NR_IRQFDS : rng_below(rng, NR_IRQFDS);
	op->b = rng_percent(rng, 10);
	op->c = rng_below(rng, 2);
}

static void irqfd_deassign_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct irqfd other = { .fd = op->c ? -1 : twin->vm->fd };
	struct twin_irqfd *irqfd = &twin->irqfds[op->a];

	if (op->a == NR_IRQFDS) {
		irqfd_ioctl_flags(twin, o, &other, KVM_IRQFD_FLAG_DEASSIGN);
		return;
	}
	if (op->b) {
		/* Nothing is assigned to that GSI. */
		other = irqfd->irqfd;
		other.gsi = MAX_ROUTES - 2;
		irqfd_ioctl_flags(twin, o, &other, KVM_IRQFD_FLAG_DEASSIGN);
		return;
	}
	irqfd_ioctl_flags(twin, o, &irqfd->irqfd, KVM_IRQFD_FLAG_DEASSIGN);
	irqfd->assigned = false;
}

/* SPIs, as userspace restores them and as the guest sets them up. */
static u32 observed_intid(u32 which)
{
	return which ? shape.nr_irqs - 32 : MIN_SPI;
}

static u32 pins_mask(struct rng *rng)
{
	u32 mask = 0, i;

	for (i = 0; i < ARRAY_SIZE(pins); i++)
		if (rng_percent(rng, 25))
			mask |= BIT(pins[i]);
	return mask;
}

static void restore_make(struct rng *rng, struct op *op)
{
	op->a = rng_below(rng, 2);
	op->b = op->a ? BIT(31) * rng_below(rng, 2) : pins_mask(rng);
}

static void restore_lines_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 levels = op->b;

	state_errno(o, "errno", __kvm_device_attr_set(twin->gic_fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
						      LINE_LEVELS(observed_intid(op->a)), &levels));
}

static void restore_pending_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 pending = op->b;

	state_errno(o, "errno", __kvm_device_attr_set(twin->gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
						      GICD_ISPENDR + observed_intid(op->a) / 8,
						      &pending));
}

static void spi_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = random_spi(rng);
	op->c = rng_below(rng, 2);
}

static void spi_config_make(struct rng *rng, struct op *op)
{
	spi_make(rng, op);
	op->c = rng_percent(rng, 30);
}

static void spi_enable_make(struct rng *rng, struct op *op)
{
	spi_make(rng, op);
	op->c = rng_percent(rng, 75);
}

static void spi_config_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, gic_irq_set_config, op->b, op->c);
}

static void spi_enable_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_write_spi, op->c ? GICD_ISENABLER : GICD_ICENABLER, op->b);
}

static void spi_pending_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_write_spi, op->c ? GICD_ISPENDR : GICD_ICPENDR, op->b);
}

static void spi_active_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_write_spi, op->c ? GICD_ISACTIVER : GICD_ICACTIVER, op->b);
}

static void spi_affinity_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_write64, GICD_BASE_GPA + GICD_IROUTER + op->b * 8, op->c);
}

/* ITSes and LPIs. */
static void its_make(struct rng *rng, struct op *op)
{
	op->a = random_its(rng);
	op->b = rng_percent(rng, 85);
	op->c = random_cpu(rng);
}

static void its_create_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u64 address = GITS_BASE(op->a);
	int fd = twin->its[op->a].fd;

	if (!op->b || fd < 0) {
		fd = __kvm_create_device(twin->vm, KVM_DEV_TYPE_ARM_VGIC_ITS);
		state_errno(o, "errno", fd);
		if (fd < 0)
			return;
		if (twin->its[op->a].fd >= 0)
			close(twin->its[op->a].fd);
		twin->its[op->a].fd = fd;
		if (!op->b)
			return;
	}

	state_errno(o, "errno of the address",
		    __kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE,
					  &address));
	state_errno(o, "errno of the initialization",
		    __kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
					  KVM_DEV_ARM_VGIC_CTRL_INIT, NULL));
	twin->its[op->a].placed |= !o->facts[o->nr - 1].value;
}

/* Whether the guest can do something with an ITS. */
static bool can_use_its(struct twin *twin, u32 its, u32 cpu, struct outcome *o)
{
	o->skipped = !twin->its[its].placed || !can_step(twin, cpu);
	return !o->skipped;
}

static void its_enable_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	if (!can_use_its(twin, op->a, op->c, o))
		return;
	if (op->b)
		step(twin, o, op->c, guest_its_tables, op->a, 0);
	step(twin, o, op->c, guest_write32, GITS_BASE(op->a) + GITS_CTLR,
	     op->b ? GITS_CTLR_ENABLE : 0);
	/* New tables start with an empty queue. */
	if (op->b)
		twin->its[op->a].cwriter = 0;
}

static void send_command(struct twin *twin, struct outcome *o, u32 its, u32 cpu,
			 struct its_command c)
{
	twin->its[its].cwriter = its_write_command(twin->vm, its, twin->its[its].cwriter, c);
	step(twin, o, cpu, guest_write64, GITS_BASE(its) + GITS_CWRITER, twin->its[its].cwriter);
}

struct command_args {
	u32 device, event, lpi, cpu, its;
	u16 collection;
	bool valid;
};

static struct its_command command_of(u8 nr, const struct command_args *a)
{
	struct its_command c;

	switch (nr) {
	case GITS_CMD_MAPD:
		return its_mapd(a->device, ITT_GPA(a->its, a->device), a->valid);
	case GITS_CMD_MAPC:
		return its_mapc(a->collection, a->cpu, a->valid);
	case GITS_CMD_MAPTI:
		return its_mapti(a->device, a->event, a->lpi, a->collection);
	case GITS_CMD_MOVALL:
		c = its_command(nr, 0, 0);
		c.raw[2] = (u64)a->cpu << 16;
		c.raw[3] = (u64)!a->cpu << 16;
		return c;
	default:
		return its_of_collection(nr, a->device, a->event, a->collection);
	}
}

/* Not a command, but those that map all events of a device. */
#define MAP_ALL			0

static const u8 commands[] = {
	GITS_CMD_MAPTI, GITS_CMD_MAPTI, GITS_CMD_MAPTI, GITS_CMD_MAPC, GITS_CMD_MAPC,
	GITS_CMD_MAPD, GITS_CMD_DISCARD, GITS_CMD_MOVI, GITS_CMD_MOVI, GITS_CMD_MOVALL,
	GITS_CMD_INV, GITS_CMD_INVALL, GITS_CMD_CLEAR, GITS_CMD_INT,
	GITS_CMD_MAPI, GITS_CMD_SYNC, 0xff,
};

static void its_command_make(struct rng *rng, struct op *op)
{
	op->a = random_its(rng);
	op->b = rng_percent(rng, 20) ? MAP_ALL : rng_pick(rng, commands);
	op->c = rng_next(rng);
}

static u32 lpi_of(u32 device, u32 event)
{
	return MIN_LPI + (device * NR_EVENTS + event) % NR_LPIS;
}

static struct command_args command_args_of(const struct op *op)
{
	static const u32 odd_lpis[] = { 0, MIN_LPI - 1, 0x10000, UINT32_MAX };
	static const u32 odd_ids[] = { 0x1fff, 0x2000, 0xffff, 0x10000, UINT32_MAX };
	struct rng rng = { .state = op->c };
	struct command_args a = {
		.its = op->a,
		.cpu = rng_below(&rng, MAX_CPUS),
		.device = rng_percent(&rng, 96) ? rng_below(&rng, NR_DEVICES) :
			  rng_pick(&rng, odd_ids),
		.event = rng_percent(&rng, 96) ? rng_below(&rng, NR_EVENTS) :
			 rng_pick(&rng, odd_ids),
		.collection = rng_percent(&rng, 97) ? rng_below(&rng, 2) :
			      rng_pick(&rng, odd_ids),
		.valid = rng_percent(&rng, 80),
	};

	/* Where each event has its LPI there are more of them that work. */
	a.lpi = rng_percent(&rng, 80) ? lpi_of(a.device, a.event) :
		rng_percent(&rng, 80) ? MIN_LPI + rng_below(&rng, NR_LPIS) :
		rng_pick(&rng, odd_lpis);
	return a;
}

static void its_command_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct command_args a = command_args_of(op);
	u32 cpu = a.cpu % shape.nr_cpus;

	if (!can_use_its(twin, op->a, cpu, o))
		return;
	if (op->b != MAP_ALL) {
		send_command(twin, o, op->a, cpu, command_of(op->b, &a));
		return;
	}

	/* All that a device needs. */
	a.valid = true;
	a.cpu = cpu;
	send_command(twin, o, op->a, cpu, command_of(GITS_CMD_MAPC, &a));
	send_command(twin, o, op->a, cpu, command_of(GITS_CMD_MAPD, &a));
	for (a.event = 0; a.event < NR_EVENTS; a.event++) {
		a.lpi = lpi_of(a.device, a.event);
		send_command(twin, o, op->a, cpu, command_of(GITS_CMD_MAPTI, &a));
	}
}

static void its_command_print(const struct op *op)
{
	struct command_args a = command_args_of(op);

	ksft_print_msg("\tdevice %#x, event %#x, LPI %u, collection %u, vCPU %u, valid %u\n",
		       a.device, a.event, a.lpi, a.collection, a.cpu, a.valid);
}

static int its_ctrl(struct twin *twin, u32 its, u32 what)
{
	return __kvm_device_attr_set(twin->its[its].fd, KVM_DEV_ARM_VGIC_GRP_CTRL, what, NULL);
}

static void its_save_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u64 *devices = gic_table(twin->vm, TABLE_DEVICES + op->a);
	u64 *collections = gic_table(twin->vm, TABLE_COLLECTIONS + op->a);
	u32 i;

	if (!can_use_its(twin, op->a, op->c, o))
		return;
	state_errno(o, "errno", its_ctrl(twin, op->a, KVM_DEV_ARM_ITS_SAVE_TABLES));
	for (i = 0; i < NR_DEVICES; i++) {
		state_fact(o, "entry of a device", devices[i]);
		state_fact(o, "entry of a collection", collections[i]);
	}
}

static void its_reset_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	if (!can_use_its(twin, op->a, op->c, o))
		return;
	state_errno(o, "errno", its_ctrl(twin, op->a, KVM_DEV_ARM_ITS_CTRL_RESET));
	twin->its[op->a].cwriter = 0;
	if (!op->b)
		return;

	step(twin, o, op->c, guest_its_tables, op->a, 0);
	state_errno(o, "errno of the restoration",
		    its_ctrl(twin, op->a, KVM_DEV_ARM_ITS_RESTORE_TABLES));
	step(twin, o, op->c, guest_write32, GITS_BASE(op->a) + GITS_CTLR, GITS_CTLR_ENABLE);
}

static void lpis_enable_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->c, op->b ? guest_enable_lpis : guest_disable_lpis, 0, 0);
}

static void lpi_config_make(struct rng *rng, struct op *op)
{
	op->a = rng_below(rng, NR_LPIS);
	op->b = rng_percent(rng, 60);
}

/* What the guest does then to have the ITS see it is another operation. */
static void lpi_config_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u8 *config = (u8 *)gic_table(twin->vm, TABLE_PROPERTIES) + op->a;

	*config = op->b ? *config | LPI_PROP_ENABLED : *config & ~LPI_PROP_ENABLED;
	state_errno(o, "errno", 0);
}

static void save_pending_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 cpu, *pending;

	state_errno(o, "errno", __kvm_device_attr_set(twin->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
						      KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, NULL));
	for (cpu = 0; cpu < shape.nr_cpus; cpu++) {
		pending = gic_table(twin->vm, TABLE_PENDING + cpu) + MIN_LPI / 8;
		state_fact(o, "pending LPIs", *pending);
		events[LPI_SAVED] += !!*pending;
	}
}

/* What guests do with interrupts. */
static void take_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_percent(rng, 50);
}

static void take_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_take, op->b, 0);
}

static void hold_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 *nr = &twin->nr_held[op->a];

	if (*nr == MAX_TAKEN) {
		o->skipped = true;
		return;
	}
	step(twin, o, op->a, guest_hold, 0, 0);
	if (!o->skipped && twin->cpus[op->a].guest->nr_taken)
		twin->held[op->a][(*nr)++] = twin->cpus[op->a].guest->taken[0];
}

static void end_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 *nr = &twin->nr_held[op->a];

	if (!*nr) {
		o->skipped = true;
		return;
	}
	step(twin, o, op->a, guest_end, twin->held[op->a][--*nr], op->b);
}

static void deactivate_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	if (shape.split)
		step(twin, o, op->a, guest_deactivate, op->b, 0);
	else
		o->skipped = true;
}

static const struct op_type types[NR_OPS] = {
	[INIT_VGIC] = {
		"initialize the vgic", 1, no_args_make, init_vgic_do, .errnos = { 0 },
	},
	[SET_ROUTING] = {
		"KVM_SET_GSI_ROUTING", 10, set_routing_make, set_routing_do, set_routing_print,
		.args = { "seed", "routes", "fault" }, .errnos = { 0, EINVAL, EFAULT },
	},
	[IRQ_LINE] = {
		"KVM_IRQ_LINE", 24, irq_line_make, irq_line_do,
		.args = { "IRQ", "level" }, .errnos = { 0, EINVAL, EBUSY, ENXIO },
	},
	[LOWER_LINES] = {
		"KVM_IRQ_LINE, all low", 8, no_args_make, lower_lines_do, .errnos = { 0, EBUSY },
	},
	[SIGNAL_MSI] = {
		"KVM_SIGNAL_MSI", 16, signal_msi_make, signal_msi_do,
		.args = { "address", "device and event", "flags" },
		.errnos = { 0, EINVAL, ENODEV, EBUSY },
	},
	[IRQFD_ASSIGN] = {
		"KVM_IRQFD, assign", 8, irqfd_assign_make, irqfd_assign_do,
		.args = { "irqfd", "GSI", "flags" },
		.errnos = { 0, EINVAL, EBADF, EBUSY, EAGAIN },
	},
	[IRQFD_SIGNAL] = {
		"signal an irqfd", 28, irqfd_signal_make, irqfd_signal_do,
		.args = { "irqfd", "or one that is assigned" }, .errnos = { 0 },
	},
	[IRQFD_DEASSIGN] = {
		"KVM_IRQFD, de-assign", 4, irqfd_deassign_make, irqfd_deassign_do,
		.args = { "irqfd", "other GSI", "other file" }, .errnos = { 0, EINVAL, EBADF },
	},
	[RESTORE_LINES] = {
		"restore lines", 2, restore_make, restore_lines_do,
		.args = { "word", "levels" }, .errnos = { 0, EBUSY },
	},
	[RESTORE_PENDING] = {
		"restore pending SPIs", 2, restore_make, restore_pending_do,
		.args = { "word", "pending" }, .errnos = { 0, EBUSY },
	},
	[SPI_CONFIG] = {
		"guest sets level or edge", 3, spi_config_make, spi_config_do,
		.args = { "vCPU", "SPI", "edge" }, .errnos = { 0 },
	},
	[SPI_ENABLE] = {
		"guest enables an SPI", 4, spi_enable_make, spi_enable_do,
		.args = { "vCPU", "SPI", "enabled" }, .errnos = { 0 },
	},
	[SPI_PENDING] = {
		"guest sets an SPI pending", 3, spi_make, spi_pending_do,
		.args = { "vCPU", "SPI", "pending" }, .errnos = { 0 },
	},
	[SPI_ACTIVE] = {
		"guest sets an SPI active", 2, spi_make, spi_active_do,
		.args = { "vCPU", "SPI", "active" }, .errnos = { 0 },
	},
	[SPI_AFFINITY] = {
		"guest moves an SPI", 3, spi_make, spi_affinity_do,
		.args = { "vCPU", "SPI", "to" }, .errnos = { 0 },
	},
	[ITS_CREATE] = {
		"create an ITS", 2, its_make, its_create_do,
		.args = { "ITS", "initialize" }, .errnos = { 0 },
	},
	[ITS_ENABLE] = {
		"guest enables an ITS", 3, its_make, its_enable_do,
		.args = { "ITS", "enabled", "vCPU" }, .errnos = { 0 },
	},
	[ITS_COMMAND] = {
		"command to an ITS", 20, its_command_make, its_command_do, its_command_print,
		.args = { "ITS", "command", "seed" }, .errnos = { 0 },
	},
	[ITS_SAVE] = {
		"save an ITS", 2, its_make, its_save_do,
		.args = { "ITS", "", "vCPU" }, .errnos = { 0 },
	},
	[ITS_RESET] = {
		"reset an ITS", 1, its_make, its_reset_do,
		.args = { "ITS", "restore", "vCPU" }, .errnos = { 0 },
	},
	[LPIS_ENABLE] = {
		"guest enables LPIs", 4, its_make, lpis_enable_do,
		.args = { "", "enabled", "vCPU" }, .errnos = { 0 },
	},
	[LPI_CONFIG] = {
		"guest configures an LPI", 2, lpi_config_make, lpi_config_do,
		.args = { "LPI", "enabled" }, .errnos = { 0 },
	},
	[SAVE_PENDING] = {
		"save pending LPIs", 3, no_args_make, save_pending_do, .errnos = { 0 },
	},
	[TAKE] = {
		"guest takes interrupts", 24, take_make, take_do,
		.args = { "vCPU", "with exit" }, .errnos = { 0 },
	},
	[HOLD] = {
		"guest holds an interrupt", 8, take_make, hold_do, .args = { "vCPU" },
		.errnos = { 0 },
	},
	[END] = {
		"guest ends an interrupt", 10, take_make, end_do,
		.args = { "vCPU", "deactivate" }, .errnos = { 0 },
	},
	[DEACTIVATE] = {
		"guest deactivates an SPI", 3, spi_make, deactivate_do,
		.args = { "vCPU", "SPI" }, .errnos = { 0 },
	},
};

/*
 * Some VMs have routes before the vgic.  Most get it, an ITS and irqfds soon, or little would
 * happen at all.
 */
static const struct {
	enum op_kind kind;
	u32 percent;
} prelude[] = {
	{ SET_ROUTING, 40 }, { IRQ_LINE, 40 }, { INIT_VGIC, 95 }, { ITS_CREATE, 85 },
	{ ITS_ENABLE, 85 }, { LPIS_ENABLE, 90 }, { LPIS_ENABLE, 90 }, { ITS_COMMAND, 80 },
	{ ITS_COMMAND, 80 }, { SET_ROUTING, 50 }, { IRQFD_ASSIGN, 80 }, { IRQFD_ASSIGN, 80 },
	{ IRQFD_ASSIGN, 60 },
};

static void make_op(u64 seed, u32 index, struct op *op)
{
	struct rng rng = rng_of_op(seed, index);
	u32 percent = rng_below(&rng, 100);
	bool in_prelude;

	shape = shape_of(seed);
	memset(op, 0, sizeof(*op));
	in_prelude = index < ARRAY_SIZE(prelude) && percent < prelude[index].percent;
	op->kind = in_prelude ? prelude[index].kind :
		   rng_weighted(&rng, &types[0].weight, sizeof(types[0]), NR_OPS);
	types[op->kind].make(&rng, op);
	if (!in_prelude)
		return;

	switch (op->kind) {
	case ITS_ENABLE:
	case LPIS_ENABLE:
		op->b = true;
		op->c = index % MAX_CPUS;
		break;
	case ITS_COMMAND:
		op->a = 0;
		op->b = MAP_ALL;
		break;
	}
}

/* What can be seen of a twin at any time. */
static void observe(struct twin *twin, struct outcome *o)
{
	u32 i, intid, lines;
	u64 resampled;

	for (i = 0; i < NR_IRQFDS; i++) {
		resampled = irqfd_resampled(&twin->irqfds[i].irqfd);
		if (!resampled)
			continue;
		state_fact(o, "resamplefd", i);
		state_fact(o, "resampled", resampled);
		events[RESAMPLED] += resampled;
	}

	for (i = 0; i < 2 && twin->initialized; i++) {
		intid = observed_intid(i);
		lines = gic_read_lines(twin->gic_fd, intid);
		events[LINE_HIGH] += !!lines;
		state_fact(o, "lines", lines);
		state_fact(o, "pending", gicd_read(twin->gic_fd, GICD_ISPENDR + intid / 8));
		state_fact(o, "active", gicd_read(twin->gic_fd, GICD_ISACTIVER + intid / 8));
	}
}

/* C with Rust, or what verifies it, or where it has no defects with parity=0. */
static const char *default_pair(u64 seed)
{
	static const char * const pairs[] = { "c,rust", "c,rust", "c,better", "verify,rust" };

	return pairs[seed % ARRAY_SIZE(pairs)];
}

static const struct twins twins = {
	.twin = { &first, &second },
	.types = types,
	.nr_types = NR_OPS,
	.make_op = make_op,
	.open = twin_open,
	.close = twin_close,
	.observe = observe,
	.event_names = event_names,
	.events = events,
	.nr_events = NR_EVENT_KINDS,
	.default_pair = default_pair,
};

int main(int argc, char *argv[])
{
	struct counted counters[] = {
		{ "updates" }, { "spi_changes" }, { "spi_acks" }, { "dead_no_spi" },
	};
	int i;

	TEST_REQUIRE(helper_is_loaded());
	TEST_REQUIRE(kvm_supports_vgic_v3());
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));

	helper_write_parameter("mode", "c");
	for (i = 0; i < 2; i++) {
		vm_template_make(&twins.twin[i]->template);
		twins.twin[i]->vm = twins.twin[i]->template.vm;
	}
	return run_twins(argc, argv, FIXED_SEQUENCES, counters, ARRAY_SIZE(counters));
}
