// SPDX-License-Identifier: GPL-2.0
/*
 * Which lines of SPIs are high, who hears of the end of their interrupts, and what becomes
 * of MSIs, by a plain model.
 *
 * Devices raise and lower lines by KVM_IRQ_LINE and by irqfds, with resamplefds and without,
 * while tables are replaced, and while the guest takes interrupts, nests them and ends them
 * late.  The model knows what userspace has done and what the guest says it took, and demands:
 *
 * - Until userspace sets routes, GSI n is pin n.  What it has set before the vgic is
 *   initialized stays.
 * - A line is high as long as one of its sources raises it: KVM_IRQ_LINE is one, and the
 *   resample irqfd that was the last to raise it is another one.  An irqfd without
 *   resamplefd is none: the line that it has raised goes down as soon as another source
 *   lowers it.
 * - At the end of a level-triggered SPI, all GSIs that are routed to its pin hear of it, and
 *   so does the one that was the last to raise the line, wherever that is routed by then.  If
 *   one of them has a resamplefd, they raise the line no more.
 * - The guest takes interrupts by their priorities, those of a level-triggered SPI as long as
 *   its line is high, others as often as they were sent: no others, and all of them.
 * - An interrupt that goes nowhere is counted by the reason.
 */
#include <errno.h>
#include <string.h>

#include "irqfd.h"
#include "irqroute.h"
#include "oracle.h"

/* Pins, of which the VM has the first ones, and GSIs. */
#define NR_SPIS			32
#define NR_LIVE_PINS		6
static const u32 pins[] = { 0, 1, 2, 3, 30, NR_SPIS - 1, NR_SPIS, NR_PINS - 1 };
static const u32 gsis[] = { 0, 1, 2, 3, 30, NR_SPIS - 1, NR_SPIS, MAX_ROUTES - 1 };

#define NR_IRQFDS		6

/* An ITS with two events of each of two devices, each with an LPI of vCPU 0. */
#define NR_DEVICES		2
#define NR_EVENTS		2
#define NR_LPIS			(NR_DEVICES * NR_EVENTS)

#define FIXED_SEQUENCES		80

/* What goes wrong. */
enum failure {
	NO_FAILURE,
	EARLY_ROUTES,
	SHARED_LINE,
	SHARED_PIN,
	MOVED_PIN,
	LINE,
	END,
	DELIVERY,
	COUNT,
	NR_FAILURES,
};

static const struct failure_type failures[NR_FAILURES] = {
	[EARLY_ROUTES]	= { "early-routes", "routes_from_before_the_vgic_stay" },
	[SHARED_LINE]	= { "shared-line", "lines_are_high_until_the_last_source_lowers_them" },
	[SHARED_PIN]	= { "shared-pin", "all_gsis_of_a_pin_hear_of_the_end" },
	[MOVED_PIN]	= { "moved-pin", "who_has_raised_a_line_hears_of_the_end" },
	[LINE]		= { "line", "other_lines_are_right" },
	[END]		= { "end", "other_ends_are_heard_of" },
	[DELIVERY]	= { "delivery", "interrupts_are_taken_as_often_as_sent" },
	[COUNT]		= { "count", "what_goes_nowhere_is_counted" },
};

enum event {
	SPI_TAKEN,
	LPI_TAKEN,
	NESTED,
	HEARD,
	HEARD_BY_SEVERAL,
	HEARD_ELSEWHERE,
	KEPT_HIGH,
	EARLY_TABLE,
	NO_SPI,
	NO_ITS,
	NO_DEVICE_ID,
	NO_DOORBELL,
	LONG_ID,
	NR_EVENT_KINDS,
};

#define FIRST_DEAD		NO_SPI
#define NR_DEAD			(NR_EVENT_KINDS - FIRST_DEAD)

static const char * const event_names[NR_EVENT_KINDS] = {
	[SPI_TAKEN]		= "SPIs taken",
	[LPI_TAKEN]		= "LPIs taken",
	[NESTED]		= "of both while others were active",
	[HEARD]			= "resamplefds signaled",
	[HEARD_BY_SEVERAL]	= "ends of pins with several GSIs",
	[HEARD_ELSEWHERE]	= "ends heard of by a GSI that is routed elsewhere",
	[KEPT_HIGH]		= "lines that one source lowered and another kept high",
	[EARLY_TABLE]		= "tables from before the vgic",
	[NO_SPI]		= "changes of pins without an SPI",
	[NO_ITS]		= "MSIs without an ITS",
	[NO_DEVICE_ID]		= "MSIs without a device ID",
	[NO_DOORBELL]		= "MSIs without a doorbell",
	[LONG_ID]		= "MSIs with a long ID",
};

static const char * const counters[NR_DEAD] = {
	"dead_no_spi", "dead_no_its", "dead_no_device_id", "dead_no_doorbell", "dead_long_id",
};

static u64 events[NR_EVENT_KINDS];

/* What a VM is, by the seed of its sequence. */
static struct shape {
	u32 nr_cpus;
	bool split;		/* EOI and deactivation */
	bool its;
	bool early_table;	/* before the vgic is initialized */
	u32 edges;		/* which of the pins are edge-triggered */
} shape;

static void set_shape(u64 seed)
{
	struct rng rng = rng_of_op(seed, MAX_OPS);

	shape = (struct shape){
		.nr_cpus = 1 + seed % MAX_CPUS,
		.split = rng_percent(&rng, 40),
		.its = rng_percent(&rng, 70),
		.early_table = rng_percent(&rng, 40),
		.edges = rng_next(&rng) & rng_next(&rng) & rng_below(&rng, BIT(NR_LIVE_PINS)),
	};
}

static void print_shape(void)
{
	ksft_print_msg("%u vCPUs, %s EOIs, %s ITS, first table %s, edge-triggered pins %#x\n",
		       shape.nr_cpus, shape.split ? "split" : "whole", shape.its ? "an" : "no",
		       shape.early_table ? "early" : "late", shape.edges);
}

static struct vm_template template;

/* The VM of the current sequence. */
static struct kvm_vm *vm;
static struct irq_cpu cpus[MAX_CPUS];
static int gic_fd, its_fd;
static bool counts;		/* the helper does */
static u64 counted[NR_DEAD];	/* before the operation */

/* What is known of it. */
static struct interrupt {
	u32 intid;
	u8 priority;
	bool edge, enabled;
	bool pending;		/* if it is no level-triggered SPI */
	u32 cpu;		/* that it goes to */
	bool active;
	/* The line of an SPI, and who raises it. */
	bool high, irq_line, resample;
	u32 raiser;		/* the last of the resample irqfds' GSIs */
	/* Since it was raised, why it may be wrong. */
	bool kept, end_was_shared, end_was_elsewhere, was_early;
} spis[NR_LIVE_PINS], lpis[NR_LPIS];

static struct {
	struct interrupt *held[NR_LIVE_PINS + NR_LPIS];
	u32 nr;
} nests[MAX_CPUS];

static struct kvm_irq_routing_entry routes[ARRAY_SIZE(gsis)];
static bool table_is_early;

static struct {
	struct irqfd irqfd;
	u32 gsi;		/* the index of it */
	bool assigned, resample;
	u64 wanted;		/* signals of the resamplefd */
	enum failure excuse;	/* of the last of them */
} irqfds[NR_IRQFDS];

static u64 dead[NR_DEAD];

/* Routes. */
static bool is_pin_route(u32 gsi)
{
	return routes[gsi].type == KVM_IRQ_ROUTING_IRQCHIP;
}

static struct interrupt *spi_of_pin(u32 pin)
{
	u32 i;

	for (i = 0; i < NR_LIVE_PINS; i++)
		if (pins[i] == pin)
			return &spis[i];
	return NULL;
}

static bool leads_to(u32 gsi, const struct interrupt *spi)
{
	return is_pin_route(gsi) && spi_of_pin(routes[gsi].u.irqchip.pin) == spi;
}

static bool has_resamplefd(u32 gsi)
{
	u32 i;

	for (i = 0; i < NR_IRQFDS; i++)
		if (irqfds[i].assigned && irqfds[i].resample && irqfds[i].gsi == gsi)
			return true;
	return false;
}

static void die(enum event why)
{
	dead[why - FIRST_DEAD]++;
	events[why]++;
}

/* Lines. */
enum source { IRQ_LINE, RESAMPLE, NOBODY };

static void raise_line(struct interrupt *spi, enum source source, u32 gsi)
{
	spi->irq_line |= source == IRQ_LINE;
	spi->resample |= source == RESAMPLE;
	if (source == RESAMPLE)
		spi->raiser = gsi;
	if (spi->edge)
		spi->pending = true;
	spi->high = true;
	spi->kept = false;
	spi->end_was_shared = false;
	spi->end_was_elsewhere = false;
	spi->was_early = false;
}

static void lower_line(struct interrupt *spi, enum source source)
{
	if (source == IRQ_LINE)
		spi->irq_line = false;
	else if (source == RESAMPLE)
		spi->resample = false;

	if (!spi->irq_line && !spi->resample) {
		spi->high = false;
	} else {
		spi->kept = true;
		events[KEPT_HIGH] += spi->high;
	}
}

/* A level-triggered SPI ends. */
static void end_spi(struct interrupt *spi)
{
	bool raised = spi->resample, waited_for = raised, is_elsewhere, hears;
	u32 gsi, nr = 0, i;

	for (gsi = 0; gsi < ARRAY_SIZE(gsis); gsi++) {
		nr += leads_to(gsi, spi);
		waited_for |= leads_to(gsi, spi) && has_resamplefd(gsi);
	}
	is_elsewhere = raised && !leads_to(spi->raiser, spi);

	for (i = 0; i < NR_IRQFDS; i++) {
		if (!irqfds[i].assigned || !irqfds[i].resample)
			continue;
		gsi = irqfds[i].gsi;
		hears = leads_to(gsi, spi);
		if (hears)
			irqfds[i].excuse = nr > 1 ? SHARED_PIN : END;
		else if (is_elsewhere && gsi == spi->raiser)
			irqfds[i].excuse = MOVED_PIN;
		else
			continue;
		irqfds[i].wanted++;
		events[hears ? HEARD : HEARD_ELSEWHERE]++;
		events[HEARD_BY_SEVERAL] += hears && nr > 1;
	}

	spi->end_was_shared |= nr > 1;
	spi->end_was_elsewhere |= is_elsewhere;
	if (waited_for)
		lower_line(spi, RESAMPLE);
}

/* Why a line is high that should be low, or low that should be high. */
static enum failure kind_of_line(const struct interrupt *spi, enum failure other)
{
	if (table_is_early || spi->was_early)
		return EARLY_ROUTES;
	if (spi->high)
		return spi->kept ? SHARED_LINE : other;
	return spi->end_was_shared ? SHARED_PIN : spi->end_was_elsewhere ? MOVED_PIN : other;
}

/* From now on, the line is what it is. */
static void accept_line(struct interrupt *spi, bool high)
{
	spi->high = high;
	if (!high) {
		spi->irq_line = false;
		spi->resample = false;
	}
}

static void check_lines(void)
{
	u32 i, lines = gic_read_lines(gic_fd, MIN_SPI);

	for (i = 0; i < NR_LIVE_PINS; i++) {
		bool high = lines & BIT(pins[i]);

		if (spis[i].edge || spis[i].high == high)
			continue;
		fail(kind_of_line(&spis[i], LINE), "the line of pin %u is %s", pins[i],
		     high ? "high" : "low");
		accept_line(&spis[i], high);
	}
}

static void check_resamplefds(void)
{
	u32 i;

	for (i = 0; i < NR_IRQFDS; i++) {
		u64 signals = irqfd_resampled(&irqfds[i].irqfd);

		if (signals != irqfds[i].wanted)
			fail(table_is_early ? EARLY_ROUTES :
			     signals < irqfds[i].wanted ? irqfds[i].excuse : END,
			     "the resamplefd of GSI %u was signaled %lu times, not %lu",
			     gsis[irqfds[i].gsi], signals, irqfds[i].wanted);
		irqfds[i].wanted = 0;
	}
}

static void read_counters(u64 values[NR_DEAD])
{
	u32 i;

	for (i = 0; i < NR_DEAD && counts; i++)
		values[i] = helper_read_counter(counters[i]);
}

static void check_counters(void)
{
	u64 now[NR_DEAD] = {};
	u32 i;

	read_counters(now);
	for (i = 0; i < NR_DEAD && counts; i++) {
		if (now[i] - counted[i] != dead[i])
			fail(COUNT, "%s went from %lu to %lu, not by %lu", counters[i], counted[i],
			     now[i], dead[i]);
		counted[i] = now[i];
	}
	memset(dead, 0, sizeof(dead));
}

static void check_all(void)
{
	check_resamplefds();
	check_lines();
	check_counters();
}

/* The guest. */
static bool is_pending(const struct interrupt *irq)
{
	return irq->enabled && !irq->active &&
	       (irq->edge || !INTID_IS_SPI(irq->intid) ? irq->pending : irq->high);
}

static void take_better(struct interrupt *irq, u32 cpu, struct interrupt **best)
{
	if (is_pending(irq) && irq->cpu == cpu && (!*best || irq->priority < (*best)->priority))
		*best = irq;
}

/* What a vCPU takes next, if anything. */
static struct interrupt *next_of_cpu(u32 cpu)
{
	struct interrupt *best = NULL, *running = NULL;
	u32 i;

	for (i = 0; i < NR_LIVE_PINS; i++)
		take_better(&spis[i], cpu, &best);
	for (i = 0; i < NR_LPIS; i++)
		take_better(&lpis[i], cpu, &best);
	if (nests[cpu].nr)
		running = nests[cpu].held[nests[cpu].nr - 1];
	return best && (!running || best->priority < running->priority) ? best : NULL;
}

static struct interrupt *interrupt_of(u32 intid)
{
	if (INTID_IS_SPI(intid))
		return spi_of_pin(intid - MIN_SPI);
	return intid >= MIN_LPI && intid < MIN_LPI + NR_LPIS ? &lpis[intid - MIN_LPI] : NULL;
}

/* A vCPU did not take what is next.  If that is what a line did not do, it goes by that. */
static void skip_next(u32 cpu, struct interrupt *next)
{
	fail(kind_of_line(next, DELIVERY), "vCPU %u did not take interrupt %u", cpu, next->intid);
	accept_line(next, false);
	next->pending = false;
}

/* Returns what it is, or nothing if the guest cannot have taken it. */
static struct interrupt *note_taken(u32 cpu, u32 intid)
{
	struct interrupt *irq = interrupt_of(intid), *next;

	if (!irq) {
		fail(DELIVERY, "vCPU %u took interrupt %u", cpu, intid);
		return NULL;
	}

	events[INTID_IS_SPI(intid) ? SPI_TAKEN : LPI_TAKEN]++;
	events[NESTED] += nests[cpu].nr > 0;
	if (!is_pending(irq) || irq->cpu != cpu) {
		fail(kind_of_line(irq, DELIVERY), "vCPU %u took interrupt %u, which is not pending",
		     cpu, intid);
		accept_line(irq, true);
	}
	while (is_pending(irq) && (next = next_of_cpu(cpu)) && next != irq)
		skip_next(cpu, next);
	irq->pending = false;
	return irq;
}

static void note_deactivated(struct interrupt *irq)
{
	irq->active = false;
	if (INTID_IS_SPI(irq->intid) && !irq->edge)
		end_spi(irq);
}

static void step(u32 index, void *fn, u64 arg0, u64 arg1)
{
	irq_cpu_call(&cpus[index], fn, arg0, arg1);
}

/* Operations. */
enum op_kind {
	SET_LINE,
	SIGNAL,
	SIGNAL_MSI,
	ASSIGN,
	DEASSIGN,
	SET_ROUTE,
	SET_TABLE,
	RESTORE_LINES,
	TAKE,
	HOLD,
	END_HELD,
	DEACTIVATE,
	ENABLE,
	MOVE,
	NR_OPS,
};

/* Most things happen to few pins, or they would have little to do with each other. */
static u32 random_pin(struct rng *rng)
{
	return rng_below(rng, rng_percent(rng, 55) ? 2 : ARRAY_SIZE(pins));
}

static u32 random_live_pin(struct rng *rng)
{
	return random_pin(rng) % NR_LIVE_PINS;
}

static u32 random_gsi(struct rng *rng)
{
	return rng_below(rng, rng_percent(rng, 55) ? 3 : ARRAY_SIZE(gsis));
}

static u32 random_cpu(struct rng *rng)
{
	return rng_percent(rng, 65) ? 0 : rng_below(rng, shape.nr_cpus);
}

static struct its_msi random_msi(struct rng *rng)
{
	static const u32 odd_ids[] = { 7, 0xffff, 0x10000, UINT32_MAX };
	struct its_msi msi = ITS_MSI(0, rng_below(rng, NR_DEVICES), rng_below(rng, NR_EVENTS));

	if (rng_percent(rng, 10))
		msi.flags = 0;
	if (rng_percent(rng, 10))
		msi.address = rng_percent(rng, 50) ? DOORBELL(1) : msi.address | 1ull << 32;
	if (rng_percent(rng, 12))
		msi.devid = rng_pick(rng, odd_ids);
	if (rng_percent(rng, 12))
		msi.data = rng_pick(rng, odd_ids);
	return msi;
}

static struct kvm_irq_routing_entry random_route(struct rng *rng, u32 gsi)
{
	return rng_percent(rng, 75) ? pin_route(gsi, pins[random_pin(rng)]) :
	       msi_route(gsi, random_msi(rng));
}

/* An MSI is sent.  Returns what KVM_SIGNAL_MSI has to return for it, or the errno, negative. */
static int send_msi(struct its_msi msi)
{
	struct interrupt *lpi;

	if (!shape.its) {
		die(NO_ITS);
		return -ENODEV;
	}
	if (!(msi.flags & KVM_MSI_VALID_DEVID)) {
		die(NO_DEVICE_ID);
		return -EINVAL;
	}
	if (msi.address != DOORBELL(0)) {
		die(NO_DOORBELL);
		return -EINVAL;
	}
	if (msi.devid > 0xffff || msi.data > 0xffff) {
		die(LONG_ID);
		return 0;
	}
	if (msi.devid >= NR_DEVICES || msi.data >= NR_EVENTS)
		return 0;
	lpi = &lpis[msi.devid * NR_EVENTS + msi.data];
	lpi->pending = true;
	lpi->was_early = false;
	return 1;
}

static void make_set_line(struct rng *rng, struct op *op)
{
	op->a = random_pin(rng);
	op->b = rng_percent(rng, 55);
}

static void do_set_line(const struct op *op)
{
	struct interrupt *spi = spi_of_pin(pins[op->a]);
	int err = _kvm_arm_irq_line(vm, MIN_SPI + pins[op->a], op->b) ? errno : 0;

	if (err != (spi ? 0 : EINVAL))
		fail(DELIVERY, "KVM_IRQ_LINE of pin %u: errno %d", pins[op->a], err);
	if (spi && op->b)
		raise_line(spi, IRQ_LINE, 0);
	else if (spi)
		lower_line(spi, IRQ_LINE);
	else if (op->b)
		die(NO_SPI);
	check_all();
}

/* KVM sends some MSIs from a workqueue.  De-assigning waits for that. */
static void flush_irqfd(u32 i)
{
	if (is_pin_route(irqfds[i].gsi))
		return;
	kvm_deassign_irqfd(vm, irqfds[i].irqfd.gsi, irqfds[i].irqfd.fd);
	if (irqfds[i].resample)
		irqfd_assign_resample(vm, &irqfds[i].irqfd);
	else
		irqfd_assign(vm, &irqfds[i].irqfd);
}

static void make_irqfd(struct rng *rng, struct op *op)
{
	op->a = rng_below(rng, NR_IRQFDS);
}

static void do_signal(const struct op *op)
{
	u32 gsi = irqfds[op->a].gsi;
	const struct kvm_irq_routing_entry *route = &routes[gsi];
	struct interrupt *spi;

	if (!irqfds[op->a].assigned)
		return;

	irqfd_signal(&irqfds[op->a].irqfd);
	flush_irqfd(op->a);
	if (is_pin_route(gsi)) {
		spi = spi_of_pin(route->u.irqchip.pin);
		if (spi)
			raise_line(spi, irqfds[op->a].resample ? RESAMPLE : NOBODY, gsi);
		else
			die(NO_SPI);
	} else if (route->type == KVM_IRQ_ROUTING_MSI) {
		send_msi((struct its_msi){
			.address = route->u.msi.address_lo | (u64)route->u.msi.address_hi << 32,
			.flags = route->flags,
			.devid = route->u.msi.devid,
			.data = route->u.msi.data,
		});
	}
	check_all();
}

static void make_signal_msi(struct rng *rng, struct op *op)
{
	struct its_msi msi = random_msi(rng);

	op->a = msi.address;
	op->b = msi.devid | (u64)msi.data << 32;
	op->c = msi.flags;
}

static void do_signal_msi(const struct op *op)
{
	struct its_msi msi = {
		.address = op->a, .devid = op->b, .data = op->b >> 32, .flags = op->c,
	};
	int ret = signal_msi(vm, msi);

	ret = ret < 0 ? -errno : ret;
	if (ret != send_msi(msi))
		fail(DELIVERY, "KVM_SIGNAL_MSI returned %d", ret);
	check_all();
}

static void make_assign(struct rng *rng, struct op *op)
{
	op->a = rng_below(rng, NR_IRQFDS);
	op->b = random_gsi(rng);
	op->c = rng_percent(rng, 75);
}

static void do_assign(const struct op *op)
{
	if (irqfds[op->a].assigned)
		return;

	irqfds[op->a].gsi = op->b;
	irqfds[op->a].irqfd.gsi = gsis[op->b];
	irqfds[op->a].resample = op->c;
	irqfds[op->a].assigned = true;
	if (op->c)
		irqfd_assign_resample(vm, &irqfds[op->a].irqfd);
	else
		irqfd_assign(vm, &irqfds[op->a].irqfd);
	check_all();
}

/* With its last resamplefd, a GSI stops raising its pin, if it was the last to raise it. */
static void do_deassign(const struct op *op)
{
	u32 gsi = irqfds[op->a].gsi;
	struct interrupt *spi = NULL;

	if (!irqfds[op->a].assigned)
		return;

	kvm_deassign_irqfd(vm, gsis[gsi], irqfds[op->a].irqfd.fd);
	irqfds[op->a].assigned = false;
	if (is_pin_route(gsi))
		spi = spi_of_pin(routes[gsi].u.irqchip.pin);
	if (spi && irqfds[op->a].resample && !has_resamplefd(gsi))
		lower_line(spi, spi->raiser == gsi ? RESAMPLE : NOBODY);
	check_all();
}

/* Returns how many there are. */
static u32 set_routes(void)
{
	struct kvm_irq_routing_entry table[ARRAY_SIZE(gsis)];
	u32 gsi, i, nr = 0;

	for (gsi = 0; gsi < ARRAY_SIZE(gsis); gsi++)
		if (routes[gsi].type)
			table[nr++] = routes[gsi];
	TEST_ASSERT_EQ(__set_routes(vm, table, nr, 0), 0);

	for (i = 0; i < NR_LIVE_PINS && table_is_early; i++)
		spis[i].was_early = true;
	for (i = 0; i < NR_LPIS && table_is_early; i++)
		lpis[i].was_early = true;
	table_is_early = false;
	return nr;
}

static void make_set_route(struct rng *rng, struct op *op)
{
	op->a = random_gsi(rng);
	op->b = rng_percent(rng, 80);
	op->c = rng_next(rng);
}

static struct kvm_irq_routing_entry route_of(const struct op *op)
{
	struct rng rng = { .state = op->c };

	return op->b ? random_route(&rng, gsis[op->a]) : (struct kvm_irq_routing_entry){};
}

static void do_set_route(const struct op *op)
{
	routes[op->a] = route_of(op);
	set_routes();
	check_all();
}

static void print_set_route(const struct op *op)
{
	struct kvm_irq_routing_entry route = route_of(op);

	if (op->b)
		print_route(&route);
}

static void make_set_table(struct rng *rng, struct op *op)
{
	op->a = rng_next(rng);
	op->b = rng_percent(rng, 15) ? 0 : 50 + rng_below(rng, 50);
}

static void make_table(const struct op *op)
{
	struct rng rng = { .state = op->a };
	u32 gsi;

	memset(routes, 0, sizeof(routes));
	for (gsi = 0; gsi < ARRAY_SIZE(gsis); gsi++)
		if (rng_percent(&rng, op->b))
			routes[gsi] = random_route(&rng, gsis[gsi]);
}

static void do_set_table(const struct op *op)
{
	make_table(op);
	set_routes();
	check_all();
}

static void print_set_table(const struct op *op)
{
	struct kvm_irq_routing_entry saved[ARRAY_SIZE(gsis)];
	u32 gsi;

	memcpy(saved, routes, sizeof(routes));
	make_table(op);
	for (gsi = 0; gsi < ARRAY_SIZE(gsis); gsi++)
		if (routes[gsi].type)
			print_route(&routes[gsi]);
	memcpy(routes, saved, sizeof(routes));
}

/* Of a line that userspace restores no source is known. */
static void make_restore_lines(struct rng *rng, struct op *op)
{
	op->a = rng_next(rng) & rng_next(rng) & (BIT(NR_LIVE_PINS) - 1);
}

static void do_restore_lines(const struct op *op)
{
	u32 i, levels = 0;

	for (i = 0; i < NR_LIVE_PINS; i++) {
		accept_line(&spis[i], false);
		spis[i].high = op->a & BIT(i);
		levels |= spis[i].high ? BIT(pins[i]) : 0;
	}
	gic_write_lines(gic_fd, MIN_SPI, levels);
	check_all();
}

/*
 * QEMU counts an EOI that meets no list register (ICH_HCR_EL2.EOIcount) also if EOIs are
 * split, where the architecture counts deactivations only, and KVM goes by that.  As few
 * interrupts as this are all in list registers.
 */
#define NR_LIST_REGISTERS	4

static bool can_end(void)
{
	u32 i, nr = 0;

	for (i = 0; i < NR_LIVE_PINS; i++)
		nr += spis[i].active || is_pending(&spis[i]);
	for (i = 0; i < NR_LPIS; i++)
		nr += lpis[i].active || is_pending(&lpis[i]);
	return !shape.split || nr <= NR_LIST_REGISTERS;
}

static void make_take(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_below(rng, 2);
}

static void do_take(const struct op *op)
{
	const struct guest_cpu *guest = cpus[op->a].guest;
	struct interrupt *irq, *next;
	u32 i;

	if (!can_end())
		return;

	step(op->a, guest_take, op->b, 0);
	for (i = 0; i < guest->nr_taken; i++) {
		irq = note_taken(op->a, guest->taken[i]);
		if (irq)
			note_deactivated(irq);
	}
	while (guest->nr_taken < MAX_TAKEN && (next = next_of_cpu(op->a)))
		skip_next(op->a, next);
	check_all();
}

static void make_cpu(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
}

static void do_hold(const struct op *op)
{
	const struct guest_cpu *guest = cpus[op->a].guest;
	struct interrupt *irq, *next;

	step(op->a, guest_hold, 0, 0);
	if (guest->nr_taken) {
		irq = note_taken(op->a, guest->taken[0]);
		if (irq) {
			irq->active = true;
			nests[op->a].held[nests[op->a].nr++] = irq;
		}
	} else {
		while ((next = next_of_cpu(op->a)))
			skip_next(op->a, next);
	}
	check_all();
}

static void make_end_held(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_percent(rng, 60);
}

static void do_end_held(const struct op *op)
{
	struct interrupt *irq;

	if (!nests[op->a].nr || !can_end())
		return;

	irq = nests[op->a].held[--nests[op->a].nr];
	step(op->a, guest_end, irq->intid, op->b);
	if (!shape.split || op->b || !INTID_IS_SPI(irq->intid))
		note_deactivated(irq);
	check_all();
}

static bool is_held(const struct interrupt *irq)
{
	u32 cpu, i;

	for (cpu = 0; cpu < shape.nr_cpus; cpu++)
		for (i = 0; i < nests[cpu].nr; i++)
			if (nests[cpu].held[i] == irq)
				return true;
	return false;
}

/* Any vCPU may do so, after the EOI. */
static void make_deactivate(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = random_live_pin(rng);
}

static void do_deactivate(const struct op *op)
{
	struct interrupt *spi = &spis[op->b];

	if (!shape.split || is_held(spi))
		return;

	step(op->a, guest_deactivate, spi->intid, 0);
	if (spi->active)
		note_deactivated(spi);
	check_all();
}

static void make_enable(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = random_live_pin(rng);
	op->c = rng_percent(rng, 75);
}

static void do_enable(const struct op *op)
{
	step(op->a, guest_write_spi, op->c ? GICD_ISENABLER : GICD_ICENABLER, spis[op->b].intid);
	spis[op->b].enabled = op->c;
	check_all();
}

static void make_move(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = random_live_pin(rng);
	op->c = rng_below(rng, shape.nr_cpus);
}

static void do_move(const struct op *op)
{
	step(op->a, guest_write64, GICD_BASE_GPA + GICD_IROUTER + spis[op->b].intid * 8, op->c);
	/* What is pending moves when the vCPU that has it leaves the guest. */
	step(spis[op->b].cpu, guest_nop, 0, 0);
	spis[op->b].cpu = op->c;
	check_all();
}

static const struct op_type types[NR_OPS] = {
	[SET_LINE] = { "KVM_IRQ_LINE", 16, make_set_line, do_set_line, { "pin", "level" } },
	[SIGNAL] = { "signal an irqfd", 40, make_irqfd, do_signal, { "irqfd" } },
	[SIGNAL_MSI] = {
		"KVM_SIGNAL_MSI", 6, make_signal_msi, do_signal_msi,
		{ "address", "device and event", "flags" }
	},
	[ASSIGN] = {
		"assign an irqfd", 16, make_assign, do_assign, { "irqfd", "GSI", "resample" }
	},
	[DEASSIGN] = { "de-assign an irqfd", 5, make_irqfd, do_deassign, { "irqfd" } },
	[SET_ROUTE] = {
		"route a GSI", 12, make_set_route, do_set_route, { "GSI", "somewhere", "seed" },
		print_set_route
	},
	[SET_TABLE] = {
		"set a table", 4, make_set_table, do_set_table, { "seed", "percent" },
		print_set_table
	},
	[RESTORE_LINES] = {
		"restore lines", 2, make_restore_lines, do_restore_lines, { "levels" }
	},
	[TAKE] = { "take interrupts", 28, make_take, do_take, { "vCPU", "with exit" } },
	[HOLD] = { "take an interrupt and hold it", 12, make_cpu, do_hold, { "vCPU" } },
	[END_HELD] = { "end it", 14, make_end_held, do_end_held, { "vCPU", "deactivate" } },
	[DEACTIVATE] = { "deactivate", 5, make_deactivate, do_deactivate, { "vCPU", "pin" } },
	[ENABLE] = { "enable", 3, make_enable, do_enable, { "vCPU", "pin", "enabled" } },
	[MOVE] = { "move", 3, make_move, do_move, { "vCPU", "pin", "to" } },
};

static void make_op(u64 seed, u32 index, struct op *op)
{
	struct rng rng = rng_of_op(seed, index);

	memset(op, 0, sizeof(*op));
	/* Little happens without irqfds. */
	op->kind = index < 4 ? ASSIGN :
		   rng_weighted(&rng, &types[0].weight, sizeof(types[0]), NR_OPS);
	types[op->kind].make(&rng, op);
}

/* Sequences. */
static void send_command(u32 *cwriter, struct its_command c)
{
	*cwriter = its_write_command(vm, 0, *cwriter, c);
	step(0, guest_write64, GITS_BASE(0) + GITS_CWRITER, *cwriter);
}

static void make_its(void)
{
	u32 device, event, cwriter = 0;

	its_fd = its_create(vm, 0);
	step(0, guest_enable_lpis, 0, 0);
	step(0, guest_its_tables, 0, 0);
	step(0, guest_write32, GITS_BASE(0) + GITS_CTLR, GITS_CTLR_ENABLE);
	send_command(&cwriter, its_mapc(0, 0, true));
	for (device = 0; device < NR_DEVICES; device++) {
		send_command(&cwriter, its_mapd(device, ITT_GPA(0, device), true));
		for (event = 0; event < NR_EVENTS; event++)
			send_command(&cwriter, its_mapti(device, event,
							 lpis[device * NR_EVENTS + event].intid,
							 0));
	}
}

static void open_vm(u64 seed)
{
	struct op early = { .a = seed, .b = 70 };
	u32 i;

	memset(nests, 0, sizeof(nests));
	memset(routes, 0, sizeof(routes));
	memset(dead, 0, sizeof(dead));
	memset(irqfds, 0, sizeof(irqfds));
	table_is_early = false;
	for (i = 0; i < NR_IRQFDS; i++)
		irqfds[i].irqfd = irqfd_create(0);
	for (i = 0; i < NR_LIVE_PINS; i++)
		spis[i] = (struct interrupt){
			.intid = MIN_SPI + pins[i],
			.priority = 0x20 + i * 0x10,
			.edge = !!(shape.edges & BIT(i)),
			.enabled = true,
		};
	for (i = 0; i < NR_LPIS; i++)
		lpis[i] = (struct interrupt){
			.intid = MIN_LPI + i,
			.priority = 0xa0 + i * 0x10,
			.enabled = true,
		};

	vm_template_open(&template, cpus, shape.nr_cpus);
	for (i = 0; i < NR_LPIS; i++)
		((u8 *)gic_table(vm, TABLE_PROPERTIES))[i] =
			lpis[i].priority | LPI_PROP_GROUP1 | LPI_PROP_ENABLED;
	gic_fd = vgic_create(vm, shape.nr_cpus, MIN_SPI + NR_SPIS);

	/* An empty table is as good as none. */
	if (shape.early_table)
		make_table(&early);
	table_is_early = set_routes();
	events[EARLY_TABLE] += table_is_early;
	__vgic_v3_init(gic_fd);
	for (i = 0; i < ARRAY_SIZE(gsis) && !table_is_early; i++)
		if (gsis[i] < NR_SPIS)
			routes[i] = pin_route(gsis[i], gsis[i]);

	for (i = 0; i < shape.nr_cpus; i++)
		step(i, guest_start, shape.nr_cpus, shape.split);
	for (i = 0; i < NR_LIVE_PINS; i++) {
		step(0, gic_set_priority, spis[i].intid, spis[i].priority);
		step(0, gic_irq_set_config, spis[i].intid, spis[i].edge);
		step(0, guest_write_spi, GICD_ISENABLER, spis[i].intid);
	}
	if (shape.its)
		make_its();
	read_counters(counted);
}

static void finish(void)
{
	u32 i;

	for (i = 0; i < shape.nr_cpus; i++)
		do_take(&(struct op){ .a = i });
}

static void close_vm(void)
{
	u32 i;

	for (i = 0; i < NR_IRQFDS; i++) {
		if (irqfds[i].assigned)
			kvm_deassign_irqfd(vm, irqfds[i].irqfd.gsi, irqfds[i].irqfd.fd);
		close(irqfds[i].irqfd.fd);
		close(irqfds[i].irqfd.resamplefd);
	}
	if (shape.its)
		close(its_fd);
	close(gic_fd);
	kvm_vm_release(vm);
}

/* Only who decides for KVM counts. */
static bool is_seen(u32 failure)
{
	return failure != COUNT || counts;
}

static const struct oracle oracle = {
	.failures = failures,
	.nr_failures = NR_FAILURES,
	.types = types,
	.nr_types = NR_OPS,
	.set_shape = set_shape,
	.print_shape = print_shape,
	.make_op = make_op,
	.open = open_vm,
	.finish = finish,
	.close = close_vm,
	.is_seen = is_seen,
	.event_names = event_names,
	.events = events,
	.nr_events = NR_EVENT_KINDS,
	.nr_needed_events = NR_EVENT_KINDS,
};

int main(int argc, char *argv[])
{
	struct ops_options o = parse_oracle_options(argc, argv, FIXED_SEQUENCES);

	TEST_REQUIRE(kvm_supports_vgic_v3());
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));
	TEST_REQUIRE(!mode || helper_is_loaded());

	if (mode)
		helper_write_parameter("mode", mode);
	counts = helper_decides();

	vm_template_make(&template);
	vm = template.vm;
	return run_oracle(&o);
}
