// SPDX-License-Identifier: GPL-2.0
/*
 * Which EOIs a userspace I/O APIC has to hear of, by a plain model.
 *
 * An I/O APIC has its pins raised, masked, i.e. taken out of the routing table, unmasked,
 * moved and revectored at random, while the guest takes IRQs, nests them, ends them late
 * and changes its local APICs.  The model knows no destinations and no scans.  It knows
 * what userspace has sent, sees at each local APIC what became pending there, is told by
 * the guest what it took, and demands:
 *
 * - The EOI of each level-triggered IRQ of a reserved pin is reported, whatever tables
 *   were set since it was raised.
 * - No other EOI is, unless a pin has had the vector since the vCPU was last at rest, or a
 *   level-triggered IRQ with the vector has come by another way.  Of all IRQs that no pin has
 *   sent, at most one in MAX_SPURIOUS is reported; and at most one in MAX_SPURIOUS_AT_REST of
 *   those that a vCPU takes at rest, with vectors that pins do not send to it.
 * - All IRQs, of whatever kind, are taken as often as they were sent.
 * - The EOIs and EOMs of a SINT go to those GSIs that the current table routes to it.
 *
 * A sequence of operations follows from its seed.  One that fails is cut off behind the
 * failure, and then operations are left out one by one as long as it still fails.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "irqroute.h"
#include "oracle.h"
#include "synic.h"
#include "vm_template.h"

/* GSIs: pins, others that may be level-triggered too, and those for SINTs. */
#define NR_PINS			8
#define FIRST_SINT_GSI		12
#define NR_GSIS			16

#define NR_VECTORS		256

#define FIXED_SEQUENCES		160

/*
 * Of the IRQs that no pin has sent, one in so many may be reported; and at rest, where APICs
 * that share an ID may report what only one of them gets.
 */
#define MAX_SPURIOUS		3
#define MAX_SPURIOUS_AT_REST	100

#define IA32_APICBASE_MODE	(MSR_IA32_APICBASE_ENABLE | MSR_IA32_APICBASE_EXTD)

/* Vectors, some of which share a priority class, by what may send them. */
static const u8 pin_vectors[] = { 0x31, 0x32, 0x42, 0x53, 0x54, 0x90, 0xef };
static const u8 other_vectors[] = { 0x35, 0x44, 0x62, 0xa1 };
static const u8 shared_vectors[] = { 0x38, 0x71, 0xb2 };
static const u8 sint_vectors[] = { 0x66, 0x72 };

/* What an IRQ is, by who has sent it.  Several IRQs may have become one. */
#define FROM_PIN		BIT(0)	/* a level-triggered one of a reserved pin */
#define OTHER_LEVEL		BIT(1)
#define EDGE			BIT(2)

struct irq {
	u8 sure;		/* kinds that it is made of */
	u8 maybe;		/* kinds that may have been added */
};

struct oracle_cpu {
	struct irq_cpu irq;
	bool x2apic;
	bool synic;
	u32 vp_index;
	u64 sints[HV_NR_SINTS];
	struct irq pending[NR_VECTORS], in_service[NR_VECTORS];
	/* Vectors whose EOI may be reported although no pin has sent the IRQ. */
	bool excused[NR_VECTORS];
};

/* What goes wrong. */
enum failure {
	NO_FAILURE,
	LOST_DROPPED,		/* no pin has the vector any more */
	LOST_JOINED,		/* likewise, and an edge has become one with the IRQ */
	LOST_FORMAT,		/* since KVM_CAP_X2APIC_API has changed how routes decode */
	LOST,
	UNCALLED,
	DELIVERY,
	SINT_ACK,
	NR_FAILURES,
};

static const struct failure_type failures[NR_FAILURES] = {
	[LOST_DROPPED]	= { "lost-dropped", "eois_of_dropped_routes_are_reported" },
	[LOST_JOINED]	= { "lost-joined", "eois_of_irqs_that_an_edge_joins_are_reported" },
	[LOST_FORMAT]	= { "lost-format", "eois_after_a_new_format_are_reported" },
	[LOST]		= { "lost", "eois_of_pins_are_reported" },
	[UNCALLED]	= { "uncalled", "other_eois_are_not" },
	[DELIVERY]	= { "delivery", "irqs_are_taken_as_often_as_sent" },
	[SINT_ACK]	= { "sint-ack", "sint_acks_go_by_the_current_table" },
};

enum event {
	IRQ_TAKEN,
	IRQ_NESTED,
	PIN_EOI,
	NO_PIN_EOI,
	SPURIOUS,
	PROBE_REPORTED,
	PROBE_NOT_REPORTED,
	ACK,
	PROBE_SPURIOUS,
	NR_EVENTS,
};

static const char * const event_names[NR_EVENTS] = {
	[IRQ_TAKEN]		= "IRQs taken",
	[IRQ_NESTED]		= "of them while others were in service",
	[PIN_EOI]		= "EOIs of pins, all of which have to be reported",
	[NO_PIN_EOI]		= "EOIs of IRQs that no pin has sent",
	[SPURIOUS]		= "of them reported",
	[PROBE_REPORTED]	= "EOIs at rest, of vectors that pins send",
	[PROBE_NOT_REPORTED]	= "EOIs at rest, of vectors that no pin sends",
	[ACK]			= "acks of SINTs",
	[PROBE_SPURIOUS]	= "EOIs at rest that were reported without need",
};

static u64 events[NR_EVENTS];

enum style { FLAT, CLUSTER, X2APIC, MIXED, NR_STYLES };

static const char * const style_names[NR_STYLES] = {
	[FLAT] = "flat", [CLUSTER] = "cluster", [X2APIC] = "x2APIC", [MIXED] = "mixed",
};

/* What a VM is, by the seed of its sequence. */
struct shape {
	u32 nr_cpus;
	bool split;	/* else no EOI is reported, but acks of SINTs can be heard */
	enum style style;
	u64 x2apic_api;
};

static struct shape shape_of(u64 seed)
{
	struct rng rng = rng_of_op(seed, MAX_OPS);
	struct shape shape = {
		.nr_cpus = 1 + seed % MAX_CPUS,
		.style = seed / MAX_CPUS % NR_STYLES,
		.split = rng_percent(&rng, 85),
		.x2apic_api = rng_percent(&rng, 50) ? KVM_X2APIC_API_USE_32BIT_IDS : 0,
	};

	if (rng_percent(&rng, 30))
		shape.x2apic_api |= KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	return shape;
}

static struct vm_template template;

/* The VM of the current sequence and what is known of it. */
static struct kvm_vm *vm;
static struct shape shape;
static struct oracle_cpu cpus[MAX_CPUS];
static struct kvm_irq_routing_entry routes[NR_GSIS], unmasked[NR_GSIS];
static struct resample_irqfd irqfds[NR_GSIS];	/* of SINT GSIs */
static u64 wanted_acks[NR_GSIS];
static bool format_changed;

static void set_shape(u64 seed)
{
	shape = shape_of(seed);
}

static void print_shape(void)
{
	ksft_print_msg("%u vCPUs, %s, %s irqchip, KVM_CAP_X2APIC_API %#lx\n", shape.nr_cpus,
		       style_names[shape.style], shape.split ? "split" : "full",
		       shape.x2apic_api);
}

/* The guest. */
static void guest_set_mode(u64 x2apic, u64 unused)
{
	u64 base = rdmsr(MSR_IA32_APICBASE) & ~IA32_APICBASE_MODE;
	struct guest_cpu *cpu = this_guest_cpu();

	if (!x2apic)
		wrmsr(MSR_IA32_APICBASE, base);
	wrmsr(MSR_IA32_APICBASE, base | MSR_IA32_APICBASE_ENABLE);
	if (x2apic)
		wrmsr(MSR_IA32_APICBASE, base | IA32_APICBASE_MODE);
	cpu->x2apic = x2apic;
	guest_apic_write(APIC_SPIV, 0xff | APIC_SPIV_APIC_ENABLED);
}

/* Routes. */
static bool is_present(const struct kvm_irq_routing_entry *route)
{
	return route->type;
}

static bool is_level(const struct kvm_irq_routing_entry *route)
{
	return route->type == KVM_IRQ_ROUTING_MSI && route->u.msi.data & APIC_INT_LEVELTRIG;
}

static u8 vector_of(const struct kvm_irq_routing_entry *route)
{
	return route->u.msi.data & 0xff;
}

static bool a_pin_has(u8 vector)
{
	u32 gsi;

	for (gsi = 0; gsi < NR_PINS; gsi++)
		if (is_level(&routes[gsi]) && vector_of(&routes[gsi]) == vector)
			return true;
	return false;
}

static void excuse_pins(struct oracle_cpu *cpu)
{
	u32 gsi;

	for (gsi = 0; gsi < NR_PINS; gsi++)
		if (shape.split && is_level(&routes[gsi]))
			cpu->excused[vector_of(&routes[gsi])] = true;
}

static void set_table(void)
{
	struct kvm_irq_routing_entry table[NR_GSIS];
	u32 gsi, i, nr = 0;

	for (gsi = 0; gsi < NR_GSIS; gsi++)
		if (is_present(&routes[gsi]))
			table[nr++] = routes[gsi];
	TEST_ASSERT_EQ(__set_routes(vm, table, nr, 0), 0);

	format_changed = false;
	for (i = 0; i < shape.nr_cpus; i++)
		excuse_pins(&cpus[i]);
}

static void set_route(u32 gsi, struct kvm_irq_routing_entry route)
{
	route.gsi = gsi;
	routes[gsi] = route;
	unmasked[gsi] = route;
	set_table();
}

/* Local APICs, as userspace sees them. */
static u32 apic_register(const struct kvm_lapic_state *apic, u32 reg)
{
	return *(u32 *)&apic->regs[reg];
}

static bool has_vector(const struct kvm_lapic_state *apic, u32 base, u8 vector)
{
	return apic_register(apic, base + APIC_VECTOR_TO_REG_OFFSET(vector)) &
	       BIT(APIC_VECTOR_TO_BIT_NUMBER(vector));
}

static void read_apics(struct kvm_lapic_state apics[MAX_CPUS])
{
	u32 i;

	for (i = 0; i < shape.nr_cpus; i++)
		vcpu_ioctl(cpus[i].irq.vcpu, KVM_GET_LAPIC, &apics[i]);
}

static bool is_known(struct irq irq)
{
	return irq.sure;
}

static int highest(const struct irq irqs[NR_VECTORS])
{
	int vector;

	for (vector = NR_VECTORS - 1; vector >= 0 && !is_known(irqs[vector]); vector--)
		;
	return vector;
}

/* Whether what a vCPU has pending and in service is what the model says. */
static void check_apic(u32 index, const struct kvm_lapic_state *apic)
{
	struct oracle_cpu *cpu = &cpus[index];
	u32 v;

	for (v = 0; v < NR_VECTORS; v++) {
		if (has_vector(apic, APIC_IRR, v) != is_known(cpu->pending[v]))
			fail(DELIVERY, "vCPU %u: vector %#x is%s pending", index, v,
			     is_known(cpu->pending[v]) ? " not" : "");
		if (has_vector(apic, APIC_ISR, v) != is_known(cpu->in_service[v]))
			fail(DELIVERY, "vCPU %u: vector %#x is%s in service", index, v,
			     is_known(cpu->in_service[v]) ? " not" : "");
	}
}

static bool is_at_rest(const struct oracle_cpu *cpu)
{
	return highest(cpu->pending) < 0 && highest(cpu->in_service) < 0;
}

#define UNKNOWN_STATUS	INT_MIN

/*
 * An IRQ was sent, of which @status says how many vCPUs have accepted it.  Where the vector
 * was pending already, it may not be known whether the vCPU is one of them.
 */
static void note_sent(u8 vector, u8 kind, int status, const struct kvm_lapic_state *before)
{
	struct kvm_lapic_state after[MAX_CPUS];
	int nr_new = 0, nr_old = 0, nr_coalesced;
	u32 i;

	read_apics(after);
	for (i = 0; i < shape.nr_cpus; i++) {
		if (has_vector(&before[i], APIC_IRR, vector)) {
			nr_old++;
		} else if (has_vector(&after[i], APIC_IRR, vector)) {
			nr_new++;
			cpus[i].pending[vector].sure = kind;
		}
	}

	nr_coalesced = status == UNKNOWN_STATUS ? nr_old : max(status, 0) - nr_new;
	if (nr_coalesced < 0 || nr_coalesced > nr_old)
		fail(DELIVERY, "vector %#x was accepted by %d vCPUs, and is pending on %d",
		     vector, status, nr_new);

	for (i = 0; i < shape.nr_cpus; i++) {
		struct irq *irq = &cpus[i].pending[vector];

		if (has_vector(&before[i], APIC_IRR, vector)) {
			if (status != UNKNOWN_STATUS && nr_coalesced == nr_old)
				irq->sure |= kind;
			else if (nr_coalesced)
				irq->maybe |= kind;
		}
		if (shape.split && (irq->sure | irq->maybe) & OTHER_LEVEL)
			cpus[i].excused[vector] = true;
		check_apic(i, &after[i]);
	}
}

/* SINTs. */
static struct oracle_cpu *cpu_by_vp_index(u32 vp_index)
{
	u32 i;

	for (i = 0; i < shape.nr_cpus; i++)
		if (cpus[i].vp_index == vp_index)
			return &cpus[i];
	return NULL;
}

static bool sint_has_vector(const struct oracle_cpu *cpu, u32 sint, u8 vector)
{
	return cpu->synic && !(cpu->sints[sint] & HV_SINT_MASKED) &&
	       (cpu->sints[sint] & 0xff) == vector;
}

static void want_acks_of_sint(const struct oracle_cpu *cpu, u32 sint)
{
	u32 gsi;

	for (gsi = FIRST_SINT_GSI; gsi < NR_GSIS; gsi++)
		if (routes[gsi].type == KVM_IRQ_ROUTING_HV_SINT &&
		    routes[gsi].u.hv_sint.vcpu == cpu->vp_index &&
		    routes[gsi].u.hv_sint.sint == sint)
			wanted_acks[gsi]++;
}

static void check_acks(void)
{
	u32 gsi;

	for (gsi = FIRST_SINT_GSI; gsi < NR_GSIS && !shape.split; gsi++) {
		u64 acks = nr_acks(&irqfds[gsi]);

		if (acks != wanted_acks[gsi])
			fail(SINT_ACK, "GSI %u was acknowledged %lu times, not %lu", gsi, acks,
			     wanted_acks[gsi]);
		events[ACK] += acks;
		wanted_acks[gsi] = 0;
	}
}

/* Steps of a guest. */
static void note_taken(u32 index, u8 vector)
{
	struct oracle_cpu *cpu = &cpus[index];

	events[IRQ_TAKEN]++;
	events[IRQ_NESTED] += highest(cpu->in_service) >= 0;
	if (!is_known(cpu->pending[vector]))
		fail(DELIVERY, "vCPU %u took vector %#x, which nobody has sent", index, vector);
	cpu->in_service[vector] = cpu->pending[vector];
	cpu->pending[vector] = (struct irq){};
}

static enum failure kind_of_loss(u8 vector, struct irq irq)
{
	if (!a_pin_has(vector))
		return (irq.sure | irq.maybe) & EDGE ? LOST_JOINED : LOST_DROPPED;
	return format_changed ? LOST_FORMAT : LOST;
}

static void note_ended(u32 index, u8 vector, u32 nr_reports)
{
	struct oracle_cpu *cpu = &cpus[index];
	struct irq irq = cpu->in_service[vector];
	u32 sint;

	cpu->in_service[vector] = (struct irq){};
	if (irq.sure & FROM_PIN) {
		events[PIN_EOI]++;
		if (!nr_reports)
			fail(kind_of_loss(vector, irq),
			     "vCPU %u: the EOI of vector %#x was not reported", index, vector);
	} else if (!(irq.maybe & FROM_PIN)) {
		events[NO_PIN_EOI]++;
		events[SPURIOUS] += !!nr_reports;
		if (nr_reports && !cpu->excused[vector])
			fail(UNCALLED, "vCPU %u: the EOI of vector %#x was reported", index,
			     vector);
	}

	for (sint = 0; sint < HV_NR_SINTS; sint++)
		if (sint_has_vector(cpu, sint, vector))
			want_acks_of_sint(cpu, sint);
}

/* Has the guest do a step, and checks what it took, ended and reported. */
static void step(u32 index, void *fn, u64 arg0, u64 arg1)
{
	struct oracle_cpu *cpu = &cpus[index];
	const struct vectors *taken = &cpu->irq.guest->taken, *exits = &cpu->irq.eoi_exits;
	int in_service = highest(cpu->in_service);
	struct kvm_lapic_state apic;
	u32 i, exit = 0, nr;
	u8 vector;

	irq_cpu_call(&cpu->irq, fn, arg0, arg1);
	for (i = 0; i < taken->nr + (fn == guest_eoi && in_service >= 0); i++) {
		vector = fn == guest_eoi ? in_service : taken->v[i];
		if (fn != guest_eoi)
			note_taken(index, vector);
		if (fn == guest_hold)
			continue;
		for (nr = 0; exit < exits->nr && exits->v[exit] == vector; nr++)
			exit++;
		note_ended(index, vector, nr);
	}
	if (exit < exits->nr)
		fail(UNCALLED, "vCPU %u: an EOI of vector %#x was reported, and none was written",
		     index, exits->v[exit]);

	if ((fn == guest_take || fn == guest_hold) &&
	    highest(cpu->pending) >> 4 > max(highest(cpu->in_service), 0) >> 4)
		fail(DELIVERY, "vCPU %u did not take vector %#x", index, highest(cpu->pending));

	vcpu_ioctl(cpu->irq.vcpu, KVM_GET_LAPIC, &apic);
	check_apic(index, &apic);
	check_acks();

	/* Nothing is left of older tables at a vCPU that has nothing to do. */
	if (is_at_rest(cpu)) {
		memset(cpu->excused, 0, sizeof(cpu->excused));
		excuse_pins(cpu);
	}
}

/* Operations. */
enum op_kind {
	RAISE,
	RAISE_IRQFD,
	SIGNAL_MSI,
	JOIN,
	MASK,
	UNMASK,
	MOVE,
	REVECTOR,
	PROGRAM,
	SET_TABLE,
	TAKE,
	HOLD,
	END,
	ENTER,
	APIC_WRITE,
	APIC_MODE,
	X2APIC_API,
	SINT_WRITE,
	SINT_ROUTE,
	SINT_RAISE,
	SINT_EOM,
	VP_INDEX,
	PROBE,
	NR_OPS,
};

/* Most things happen to one vCPU and few pins, or they would have little to do with others. */
static u32 random_cpu(struct rng *rng)
{
	return rng_percent(rng, 55) ? 0 : rng_below(rng, shape.nr_cpus);
}

static u32 random_pin(struct rng *rng)
{
	return rng_below(rng, rng_percent(rng, 70) ? 3 : NR_PINS);
}

static u32 random_gsi(struct rng *rng)
{
	return rng_percent(rng, 75) ? random_pin(rng) :
	       NR_PINS + rng_below(rng, FIRST_SINT_GSI - NR_PINS);
}

static u32 random_logical_dest(struct rng *rng, enum style style)
{
	static const u32 flat[] = { 1, 1, 2, 2, 3, 4, 8, 0x0d, 0x0f };
	static const u32 cluster[] = { 0x11, 0x11, 0x12, 0x13, 0x21, 0x28, 0x29, 0x1f };
	static const u32 x2apic[] = { 1, 1, 2, 2, 3, 0x10004, 0x10012, 0x100010 };

	switch (style) {
	case FLAT:
		return rng_pick(rng, flat);
	case CLUSTER:
		return rng_pick(rng, cluster);
	case X2APIC:
		return rng_pick(rng, x2apic);
	default:
		return random_logical_dest(rng, rng_below(rng, MIXED));
	}
}

static u32 random_dest(struct rng *rng, bool logical)
{
	static const u32 others[] = { 2, 4, 0x82, XAPIC_BROADCAST, X2APIC_BROADCAST };

	if (rng_percent(rng, 10))
		return rng_pick(rng, others);
	if (!logical)
		return cpu_ids[random_cpu(rng)];
	/* What was meant for another mode may reach somebody too. */
	return random_logical_dest(rng, rng_percent(rng, 90) ? shape.style : MIXED);
}

/* Only pins have @pin_vectors, so that it is known what an IRQ with such a vector is. */
static u8 random_vector(struct rng *rng, bool from_pin)
{
	if (rng_percent(rng, 15))
		return rng_pick(rng, shared_vectors);
	return from_pin ? rng_pick(rng, pin_vectors) : rng_pick(rng, other_vectors);
}

static struct msi random_msi(struct rng *rng, bool pin)
{
	bool logical = rng_percent(rng, 40), level = rng_percent(rng, pin ? 90 : 25);

	return MSI(.dest = random_dest(rng, logical),
		   .vector = random_vector(rng, pin && level),
		   .level = level, .logical = logical, .redir_hint = rng_percent(rng, 8),
		   .delivery_mode = rng_percent(rng, 88) ? APIC_DM_FIXED : APIC_DM_LOWEST);
}

static struct kvm_irq_routing_entry random_sint_route(struct rng *rng, u32 gsi)
{
	return sint_route(gsi, rng_below(rng, shape.nr_cpus + 1), 2 + rng_below(rng, 3));
}

static u8 kind_of(u32 gsi, bool level)
{
	return !level ? EDGE : shape.split && gsi < NR_PINS ? FROM_PIN : OTHER_LEVEL;
}

static u64 msi_address(struct msi msi)
{
	return msi_address_lo(msi) | (u64)msi_address_hi(msi) << 32;
}

static void make_cpu(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
}

static void make_pin(struct rng *rng, struct op *op)
{
	op->a = random_pin(rng);
}

/* Lines, MSIs and irqfds. */
static void make_raise(struct rng *rng, struct op *op)
{
	op->a = random_gsi(rng);
}

static void do_raise(const struct op *op)
{
	const struct kvm_irq_routing_entry *route = &routes[op->a];
	struct kvm_lapic_state before[MAX_CPUS];
	int status;

	read_apics(before);
	status = irq_line_status(vm, op->a, 1);
	if (!is_present(route) && status != -1)
		fail(DELIVERY, "GSI %lu is masked, and accepted by %d vCPUs", op->a, status);
	note_sent(vector_of(route), kind_of(op->a, is_level(route)), status, before);
}

static void do_raise_irqfd(const struct op *op)
{
	const struct kvm_irq_routing_entry *route = &routes[op->a];
	struct kvm_lapic_state before[MAX_CPUS];
	int eventfd = kvm_new_eventfd();

	read_apics(before);
	kvm_assign_irqfd(vm, op->a, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	/* De-assigning completes what has not been injected yet. */
	kvm_deassign_irqfd(vm, op->a, eventfd);
	close(eventfd);
	note_sent(vector_of(route), kind_of(op->a, is_level(route)),
		  is_present(route) ? UNKNOWN_STATUS : 0, before);
}

static void make_signal_msi(struct rng *rng, struct op *op)
{
	struct msi msi = random_msi(rng, false);

	op->a = msi_address(msi);
	op->b = msi_data(msi);
}

static void do_signal_msi(const struct op *op)
{
	struct kvm_msi msi = {
		.address_lo = op->a,
		.address_hi = op->a >> 32,
		.data = op->b,
	};
	struct kvm_lapic_state before[MAX_CPUS];
	int nr;

	read_apics(before);
	nr = __vm_ioctl(vm, KVM_SIGNAL_MSI, &msi);
	/* -1 is what KVM has for nobody. */
	TEST_ASSERT_VM_VCPU_IOCTL(nr >= 0 || errno == EPERM, KVM_SIGNAL_MSI, nr, vm);
	note_sent(op->b, kind_of(NR_PINS, op->b & APIC_INT_LEVELTRIG), nr, before);
}

/* Sends an edge-triggered IRQ to a vCPU. */
static void send_edge(u32 index, u8 vector)
{
	struct msi msi = EDGE_MSI(cpu_ids[index], vector);
	struct kvm_lapic_state apic;

	vcpu_ioctl(cpus[index].irq.vcpu, KVM_GET_LAPIC, &apic);
	if (!cpus[index].x2apic)
		msi.dest = apic_register(&apic, APIC_ID) >> 24;
	do_signal_msi(&(struct op){ .a = msi_address(msi), .b = msi_data(msi) });
}

/* An edge with the vector of what is in service changes the trigger mode register (TMR). */
static void do_join(const struct op *op)
{
	int vector = highest(cpus[op->a].in_service);

	if (vector >= 0)
		send_edge(op->a, vector);
}

/* What a guest does to its I/O APIC. */
static void do_mask(const struct op *op)
{
	routes[op->a].type = 0;
	set_table();
}

static void do_unmask(const struct op *op)
{
	routes[op->a] = unmasked[op->a];
	set_table();
}

static void make_move(struct rng *rng, struct op *op)
{
	struct msi msi = random_msi(rng, true);

	op->a = random_pin(rng);
	op->b = msi_address(msi);
}

static void do_move(const struct op *op)
{
	routes[op->a] = unmasked[op->a];
	routes[op->a].u.msi.address_lo = op->b;
	routes[op->a].u.msi.address_hi = op->b >> 32;
	set_route(op->a, routes[op->a]);
}

static void make_revector(struct rng *rng, struct op *op)
{
	op->a = random_pin(rng);
	op->b = random_vector(rng, true);
}

static void do_revector(const struct op *op)
{
	/* Pins alone have these vectors if they are level-triggered. */
	routes[op->a] = unmasked[op->a];
	routes[op->a].u.msi.data &= ~0xff;
	routes[op->a].u.msi.data |= op->b | APIC_INT_LEVELTRIG;
	set_route(op->a, routes[op->a]);
}

static void make_program(struct rng *rng, struct op *op)
{
	struct msi msi;

	op->a = random_gsi(rng);
	msi = random_msi(rng, op->a < NR_PINS);
	op->b = msi_address(msi);
	op->c = msi_data(msi);
}

static struct kvm_irq_routing_entry programmed_route(const struct op *op)
{
	return (struct kvm_irq_routing_entry){
		.gsi = op->a,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi.address_lo = op->b,
		.u.msi.address_hi = op->b >> 32,
		.u.msi.data = op->c,
	};
}

static void do_program(const struct op *op)
{
	set_route(op->a, programmed_route(op));
}

static void print_program(const struct op *op)
{
	struct kvm_irq_routing_entry route = programmed_route(op);

	print_route(&route);
}

static void make_set_table(struct rng *rng, struct op *op)
{
	op->a = rng_next(rng);
	op->b = rng_percent(rng, 15) ? 0 : 30 + rng_below(rng, 70);
}

static void random_table(const struct op *op, struct kvm_irq_routing_entry table[NR_GSIS])
{
	struct rng rng = { .state = op->a };
	u32 gsi;

	for (gsi = 0; gsi < NR_GSIS; gsi++) {
		table[gsi] = gsi < FIRST_SINT_GSI ?
			     msi_route(gsi, random_msi(&rng, gsi < NR_PINS)) :
			     random_sint_route(&rng, gsi);
		if (!rng_percent(&rng, op->b))
			table[gsi].type = 0;
	}
}

static void do_set_table(const struct op *op)
{
	u32 gsi;

	random_table(op, routes);
	for (gsi = 0; gsi < NR_GSIS; gsi++)
		if (is_present(&routes[gsi]))
			unmasked[gsi] = routes[gsi];
	set_table();
}

static void print_table(const struct op *op)
{
	struct kvm_irq_routing_entry table[NR_GSIS];
	u32 gsi;

	random_table(op, table);
	for (gsi = 0; gsi < NR_GSIS; gsi++)
		if (is_present(&table[gsi]))
			print_route(&table[gsi]);
}

/* What a guest does to its local APICs. */
static void do_take(const struct op *op)
{
	step(op->a, guest_take, 0, 0);
}

static void do_hold(const struct op *op)
{
	step(op->a, guest_hold, 0, 0);
}

static void do_end(const struct op *op)
{
	step(op->a, guest_eoi, 0, 0);
}

static void do_enter(const struct op *op)
{
	step(op->a, guest_nop, 0, 0);
}

static void make_apic_write(struct rng *rng, struct op *op)
{
	static const u32 ids[] = { 0, 1, 2, 4, 18 };

	op->a = random_cpu(rng);
	switch (rng_below(rng, 4)) {
	case 0:
		op->b = APIC_ID;
		op->c = SET_APIC_DEST_FIELD(rng_pick(rng, ids));
		break;
	case 1:
		op->b = APIC_DFR;
		op->c = rng_percent(rng, 50) ? APIC_DFR_FLAT :
			rng_percent(rng, 80) ? APIC_DFR_CLUSTER : APIC_DFR_RESERVED;
		break;
	default:
		op->b = APIC_LDR;
		op->c = rng_percent(rng, 10) ? 0 :
			SET_APIC_DEST_FIELD(random_logical_dest(rng, shape.style) & 0xff);
		break;
	}
	op->c = (u32)op->c;
}

static void do_apic_write(const struct op *op)
{
	/* x2APIC mode has none of these registers to write to. */
	if (!cpus[op->a].x2apic)
		step(op->a, guest_apic_write, op->b, op->c);
}

static void make_apic_mode(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_below(rng, 2);
}

static void do_apic_mode(const struct op *op)
{
	if (cpus[op->a].x2apic == op->b)
		return;
	cpus[op->a].x2apic = op->b;
	step(op->a, guest_set_mode, op->b, 0);
}

static void make_x2apic_api(struct rng *rng, struct op *op)
{
	op->a = 1 + rng_below(rng, 3);
}

static void do_x2apic_api(const struct op *op)
{
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, op->a);
	format_changed = true;
}

/* SINTs. */
static void make_sint_write(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = 2 + rng_below(rng, 3);
	op->c = (rng_percent(rng, 80) ? rng_pick(rng, sint_vectors) :
		 rng_pick(rng, shared_vectors)) | (rng_percent(rng, 15) ? HV_SINT_MASKED : 0);
}

static void do_sint_write(const struct op *op)
{
	struct oracle_cpu *cpu = &cpus[op->a];

	/* A SynIC may become active late. */
	if (!cpu->synic)
		vcpu_enable_cap(cpu->irq.vcpu, KVM_CAP_HYPERV_SYNIC2, 0);
	cpu->synic = true;
	cpu->sints[op->b] = op->c;
	set_sint(&cpu->irq, op->b, op->c);
}

static void make_sint_route(struct rng *rng, struct op *op)
{
	struct kvm_irq_routing_entry route;

	op->a = FIRST_SINT_GSI + rng_below(rng, NR_GSIS - FIRST_SINT_GSI);
	route = random_sint_route(rng, op->a);
	op->b = rng_percent(rng, 80) ? route.u.hv_sint.vcpu : ~0ull;
	op->c = route.u.hv_sint.sint;
}

static void do_sint_route(const struct op *op)
{
	if (op->b == ~0ull)
		do_mask(op);
	else
		set_route(op->a, sint_route(op->a, op->b, op->c));
}

static void make_sint_raise(struct rng *rng, struct op *op)
{
	op->a = FIRST_SINT_GSI + rng_below(rng, NR_GSIS - FIRST_SINT_GSI);
	op->b = rng_below(rng, 2);
}

static void do_sint_raise(const struct op *op)
{
	const struct kvm_irq_routing_entry *route = &routes[op->a];
	struct kvm_lapic_state before[MAX_CPUS];
	struct oracle_cpu *cpu = NULL;
	int status = 0;
	u8 vector = 0;

	if (is_present(route))
		cpu = cpu_by_vp_index(route->u.hv_sint.vcpu);
	if (cpu) {
		vector = cpu->sints[route->u.hv_sint.sint];
		status = sint_has_vector(cpu, route->u.hv_sint.sint, vector);
	}

	read_apics(before);
	/* What has no route is put off, and may have one when KVM gets to it. */
	if (op->b && !shape.split && is_present(route))
		resample_irqfd_raise(&irqfds[op->a]);
	else if (max(irq_line_status(vm, op->a, 1), 0) != status)
		fail(DELIVERY, "SINT GSI %lu is%s delivered", op->a, status ? " not" : "");
	note_sent(vector, EDGE, status, before);
	if (status && !is_known(cpu->pending[vector]))
		fail(DELIVERY, "SINT GSI %lu reached nobody", op->a);
}

static void do_sint_eom(const struct op *op)
{
	u32 sint;

	if (!cpus[op->a].synic)
		return;
	for (sint = 0; sint < HV_NR_SINTS; sint++)
		want_acks_of_sint(&cpus[op->a], sint);
	step(op->a, guest_eom, 0, 0);
}

static void make_vp_index(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_below(rng, MAX_CPUS + 1);
}

static void do_vp_index(const struct op *op)
{
	if (cpu_by_vp_index(op->b))
		return;
	cpus[op->a].vp_index = op->b;
	vcpu_set_msr(cpus[op->a].irq.vcpu, HV_X64_MSR_VP_INDEX, op->b);
}

/*
 * Shows all that a vCPU reports at rest: what pins send to it is found by raising them, and
 * then each of their vectors is sent to it by an MSI that is none of theirs.
 */
static void rest(u32 index)
{
	while (!is_at_rest(&cpus[index]) && !failed.what)
		step(index, highest(cpus[index].in_service) >= 0 ? guest_eoi : guest_take, 0, 0);
	step(index, guest_nop, 0, 0);
}

static bool sends_to_one(const struct kvm_irq_routing_entry *route)
{
	return route->u.msi.address_lo & 8 || (route->u.msi.data & 0x700) == APIC_DM_LOWEST;
}

static void probe_vector(u32 index, u8 vector, u8 sent, bool unsure)
{
	struct oracle_cpu *cpu = &cpus[index];
	u32 nr_exits;

	send_edge(index, vector);
	if (!is_known(cpu->pending[vector]))
		return;

	step(index, guest_take, 0, 0);
	nr_exits = cpu->irq.eoi_exits.nr;
	if (sent && !nr_exits)
		fail(kind_of_loss(vector, (struct irq){ .sure = sent }),
		     "vCPU %u, which gets vector %#x, does not report it", index, vector);
	events[sent ? PROBE_REPORTED : PROBE_NOT_REPORTED]++;
	events[PROBE_SPURIOUS] += !sent && !unsure && nr_exits;
}

static void do_probe(const struct op *op)
{
	bool unsure[NR_VECTORS] = {};
	u8 sent[NR_VECTORS] = {};
	u32 gsi, i;

	if (!shape.split)
		return;
	rest(op->a);
	for (gsi = 0; gsi < NR_PINS; gsi++) {
		u8 vector = vector_of(&routes[gsi]);

		if (!is_level(&routes[gsi]))
			continue;
		do_raise(&(struct op){ .a = gsi });
		sent[vector] |= cpus[op->a].pending[vector].sure;
		unsure[vector] |= sends_to_one(&routes[gsi]);
	}
	rest(op->a);
	for (i = 0; i < ARRAY_SIZE(pin_vectors) && !failed.what; i++)
		probe_vector(op->a, pin_vectors[i], sent[pin_vectors[i]], unsure[pin_vectors[i]]);
}

static const struct op_type types[NR_OPS] = {
	[RAISE] = { "raise", 42, make_raise, do_raise, { "GSI" } },
	[RAISE_IRQFD] = { "raise by irqfd", 5, make_raise, do_raise_irqfd, { "GSI" } },
	[SIGNAL_MSI] = { "MSI", 4, make_signal_msi, do_signal_msi, { "address", "data" } },
	[JOIN] = { "edge with the vector in service", 4, make_cpu, do_join, { "vCPU" } },
	[MASK] = { "mask", 9, make_pin, do_mask, { "pin" } },
	[UNMASK] = { "unmask", 7, make_pin, do_unmask, { "pin" } },
	[MOVE] = { "move", 6, make_move, do_move, { "pin", "address" } },
	[REVECTOR] = { "revector", 6, make_revector, do_revector, { "pin", "vector" } },
	[PROGRAM] = {
		"program", 6, make_program, do_program, { "GSI", "address", "data" }, print_program
	},
	[SET_TABLE] = {
		"set table", 3, make_set_table, do_set_table, { "seed", "percent" }, print_table
	},
	[TAKE] = { "take IRQs", 10, make_cpu, do_take, { "vCPU" } },
	[HOLD] = { "take an IRQ and hold it", 16, make_cpu, do_hold, { "vCPU" } },
	[END] = { "write EOI", 12, make_cpu, do_end, { "vCPU" } },
	[ENTER] = { "enter the guest", 5, make_cpu, do_enter, { "vCPU" } },
	[APIC_WRITE] = {
		"write APIC", 6, make_apic_write, do_apic_write, { "vCPU", "register", "value" }
	},
	[APIC_MODE] = { "set APIC mode", 2, make_apic_mode, do_apic_mode, { "vCPU", "x2APIC" } },
	[X2APIC_API] = { "KVM_CAP_X2APIC_API", 2, make_x2apic_api, do_x2apic_api, { "flags" } },
	[SINT_WRITE] = {
		"write SINT", 3, make_sint_write, do_sint_write, { "vCPU", "SINT", "value" }
	},
	[SINT_ROUTE] = {
		"route to SINT", 4, make_sint_route, do_sint_route, { "GSI", "VP", "SINT" }
	},
	[SINT_RAISE] = { "raise SINT", 5, make_sint_raise, do_sint_raise, { "GSI", "irqfd" } },
	[SINT_EOM] = { "write EOM", 2, make_cpu, do_sint_eom, { "vCPU" } },
	[VP_INDEX] = { "set VP index", 1, make_vp_index, do_vp_index, { "vCPU", "index" } },
	[PROBE] = { "probe at rest", 2, make_cpu, do_probe, { "vCPU" } },
};

static void make_op(u64 seed, u32 index, struct op *op)
{
	struct rng rng = rng_of_op(seed, index);

	memset(op, 0, sizeof(*op));
	/* Little happens without routes and SINTs. */
	op->kind = !index ? SET_TABLE : index < 3 ? SINT_WRITE :
		   rng_weighted(&rng, &types[0].weight, sizeof(types[0]), NR_OPS);
	/* A full irqchip is there for the acks of SINTs. */
	if (index && !shape.split && rng_percent(&rng, 50))
		op->kind = SINT_WRITE + rng_below(&rng, PROBE - SINT_WRITE);
	types[op->kind].make(&rng, op);
}

/* Sequences. */
static void add_cpu(u32 index, enum style style, bool logical_id)
{
	static const u32 logical_ids[2][MAX_CPUS] = {
		[FLAT] = { 1, 2, 4, 8 }, [CLUSTER] = { 0x11, 0x12, 0x21, 0x28 },
	};
	struct oracle_cpu *cpu = &cpus[index];
	u32 sint;

	for (sint = 0; sint < HV_NR_SINTS; sint++)
		cpu->sints[sint] = HV_SINT_MASKED;
	vm_template_add_cpu(&template, &cpu->irq, index, true);
	cpu->vp_index = index;
	vcpu_set_msr(cpu->irq.vcpu, HV_X64_MSR_VP_INDEX, index);
	cpu->x2apic = style == X2APIC;
	irq_cpu_start(&cpu->irq, cpu->x2apic ? guest_x2apic : guest_xapic);
	if (cpu->x2apic)
		return;
	if (style == CLUSTER)
		irq_cpu_apic_write(&cpu->irq, APIC_DFR, APIC_DFR_CLUSTER);
	if (logical_id)
		irq_cpu_apic_write(&cpu->irq, APIC_LDR,
				   SET_APIC_DEST_FIELD(logical_ids[style][index]));
}

static void open_vm(u64 seed)
{
	struct rng rng = rng_of_op(seed, MAX_OPS + 1);
	u32 i, gsi;

	memset(cpus, 0, sizeof(cpus));
	memset(routes, 0, sizeof(routes));
	memset(wanted_acks, 0, sizeof(wanted_acks));
	format_changed = false;
	for (gsi = 0; gsi < NR_GSIS; gsi++) {
		unmasked[gsi] = msi_route(gsi, LEVEL_MSI(0, pin_vectors[gsi % 4]));
		unmasked[gsi].type = gsi < NR_PINS ? KVM_IRQ_ROUTING_MSI : 0;
	}

	vm_template_open(&template);
	if (shape.split)
		vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, NR_PINS);
	else
		vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	if (shape.x2apic_api)
		vm_enable_cap(vm, KVM_CAP_X2APIC_API, shape.x2apic_api);
	for (i = 0; i < shape.nr_cpus; i++)
		add_cpu(i, shape.style == MIXED ? rng_below(&rng, MIXED) : shape.style,
			!rng_percent(&rng, shape.style == MIXED ? 50 : 10));
	set_table();
	for (gsi = FIRST_SINT_GSI; gsi < NR_GSIS && !shape.split; gsi++)
		irqfds[gsi] = resample_irqfd_new(vm, gsi);
}

static void close_vm(void)
{
	u32 gsi;

	for (gsi = FIRST_SINT_GSI; gsi < NR_GSIS && !shape.split; gsi++) {
		resample_irqfd_free(&irqfds[gsi]);
		close(irqfds[gsi].resamplefd);
	}
	kvm_vm_release(vm);
}

/* What is still to come. */
static void finish(void)
{
	u32 i;

	for (i = 0; i < shape.nr_cpus && !failed.what; i++)
		rest(i);
}

static void judge(bool few)
{
	ksft_print_msg("reported without need: %lu of %lu, and at rest %lu of %lu\n",
		       events[SPURIOUS], events[NO_PIN_EOI], events[PROBE_SPURIOUS],
		       events[PROBE_NOT_REPORTED]);
	if (!few && (events[SPURIOUS] * MAX_SPURIOUS > events[NO_PIN_EOI] ||
		     events[PROBE_SPURIOUS] * MAX_SPURIOUS_AT_REST > events[PROBE_NOT_REPORTED]))
		nr_failures[UNCALLED]++;
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
	.judge = judge,
	.event_names = event_names,
	.events = events,
	.nr_events = NR_EVENTS,
	.nr_needed_events = PROBE_SPURIOUS,
};

int main(int argc, char *argv[])
{
	struct ops_options o = parse_oracle_options(argc, argv, FIXED_SEQUENCES);

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));
	TEST_REQUIRE(!mode || helper_is_loaded());

	if (mode)
		helper_write_parameter("mode", mode);

	vm_template_make(&template);
	vm_template_keep(&template);
	vm = template.vm;
	return run_oracle(&o);
}
