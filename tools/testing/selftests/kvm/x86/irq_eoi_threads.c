// SPDX-License-Identifier: GPL-2.0
/*
 * EOIs of level-triggered IRQs while everything runs at the same time: vCPUs that take IRQs,
 * nest them and end them late, one thread that sets routing tables, one that raises pins by
 * KVM_IRQ_LINE as an I/O APIC with remote IRR does, and one that raises them by irqfds.
 *
 * No two pins share a vector, so that counts by vector are all there is to know: of each pin,
 * as many EOIs are reported as IRQs were taken, and what was raised and accepted is ended at
 * last, i.e. no remote IRR stays set for ever.  Of edge-triggered IRQs, as many are taken as
 * were sent, and no EOI is reported.
 *
 * In a round with moves only, each pin is in each table with the same vector, and EOIs are
 * lost only if an IRQ is on its way, or not heard of, while the table is replaced.  In the
 * other rounds pins are masked and revectored as well.
 *
 * Who raises a pin, who sets a table, a vCPU, or several of them are stopped at a random point, by
 * a thread of a real-time class on their CPU, until those on the other one have gone on.
 */
#include <getopt.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include "helper.h"
#include "irqroute.h"
#include "kselftest.h"
#include "msi_trace.h"
#include "pinned_threads.h"
#include "random_ops.h"

#define MAX_VCPUS		3
#define NR_PINS			8
#define FIRST_IRQFD_PIN		5
#define EDGE_GSI(cpu)		(NR_PINS + (cpu))
#define NR_GSIS			(NR_PINS + MAX_VCPUS)

/* Pins in various priority classes, each with two vectors to choose from. */
#define PIN_VECTOR(pin, i)	(0x30 + 0x10 * (pin) + 4 * (i))
#define EDGE_VECTOR		0xb8
#define NR_VECTORS		256

/* How often a vCPU looks for IRQs before it returns to userspace. */
#define LOOKS			100

#define DEFAULT_SECONDS		20
#define ROUND_MS		1000
#define MAX_STOP_NS		10000000

static struct kvm_vm *vm;
static u32 nr_vcpus;
static bool moves_only;
static atomic_bool stop;

/* Who can be stopped in this round: one or more of these. */
static u32 stoppable;
#define UPDATER		BIT(0)
#define SENDERS		BIT(1)
#define VCPU		BIT(2)	/* the first one */

static int pcpus[2], timer_fd;

/* A thread that sends, updates, or runs a vCPU. */
struct worker {
	struct rng rng;
	bool stoppable;		/* by the one of a real-time class */
	long span_ns;		/* how long what it does takes */
};

/* What the guest counts, and what userspace does. */
static u64 guest_taken[MAX_VCPUS][NR_VECTORS];
static u64 *taken[MAX_VCPUS];

/* Vectors in service, each higher than the one before it, behind a 0. */
static struct in_service {
	u64 nr;
	u8 vectors[1 + NR_VECTORS / 16];
} guest_in_service[MAX_VCPUS];

static struct counting_cpu {
	struct irq_cpu irq;
	struct worker worker;
	u64 exits[NR_VECTORS];		/* KVM_EXIT_IOAPIC_EOI */
} cpus[MAX_VCPUS];

static atomic_ulong nr_runs, nr_updates, nr_ended[NR_PINS];
static u64 edges_sent[MAX_VCPUS];
static struct kvm_irq_routing_entry routes[NR_PINS];	/* those of type 0 are masked */

/* A pin that waits for its EOI, and how many it had when it was raised. */
static struct {
	bool remote_irr;
	u64 ended_before;
} pins[NR_PINS];

static struct totals {
	u64 rounds, lines, irqfds, level_taken, edge_taken;
	u64 lost_moved, lost_masked, stuck, uncalled, delivery;
} totals;

/* The guest. */
static void guest_end(struct in_service *in_service)
{
	in_service->nr--;
	guest_eoi();
}

static void guest_count_irq(struct ex_regs *regs)
{
	struct guest_cpu *cpu = this_guest_cpu();
	u64 id = cpu->args[0], nr;
	struct in_service *in_service = &guest_in_service[id];

	if (guest_irq_is_repeated(regs, in_service->vectors[in_service->nr]))
		return;
	in_service->vectors[++in_service->nr] = regs->vector;
	guest_taken[id][regs->vector]++;
	nr = cpu->nr_irqs++;
	switch (nr % 4) {
	case 0:
		/* End it late. */
		return;
	case 1:
		/* Be interrupted first. */
		sti_nop_cli();
		break;
	}
	guest_end(in_service);
}

static void guest_end_held(u64 id)
{
	while (guest_in_service[id].nr)
		guest_end(&guest_in_service[id]);
}

static void guest_look(u64 id, u64 looks)
{
	while (looks--) {
		sti_nop_cli();
		if (looks % 4 == 0)
			guest_end_held(id);
	}
	guest_end_held(id);
}

/* Sets off the timer, so that the thread is stopped at some point of what it does now. */
static long begin(struct worker *w)
{
	if (w->stoppable)
		timer_set(timer_fd, 1 + rng_below(&w->rng, 2 * w->span_ns));
	return now_ns();
}

/* The shortest time is that without a stop; the CPU may become slower, however. */
static void finish(struct worker *w, long began)
{
	w->span_ns = min(w->span_ns + w->span_ns / 8, now_ns() - began);
}

/* The vCPUs. */
static void run_once(struct counting_cpu *cpu)
{
	irq_cpu_set_step(&cpu->irq, guest_look, cpu - cpus, LOOKS);
	while (!irq_cpu_run(&cpu->irq)) {
		u8 vector = cpu->irq.vcpu->run->eoi.vector;

		cpu->exits[vector]++;
		if (vector >= PIN_VECTOR(0, 0) && vector < PIN_VECTOR(NR_PINS, 0))
			nr_ended[(vector - PIN_VECTOR(0, 0)) / 0x10]++;
	}
	nr_runs++;
}

static void *run_cpu(void *arg)
{
	struct counting_cpu *cpu = arg;

	while (!stop) {
		long began = begin(&cpu->worker);

		run_once(cpu);
		finish(&cpu->worker, began);
	}
	return NULL;
}

/* Tables. */
static struct msi random_pin_msi(struct rng *rng, u32 pin)
{
	bool logical = rng_percent(rng, 30);
	u32 which = moves_only ? 0 : rng_below(rng, 2);

	return LEVEL_MSI(logical ? 1 + rng_below(rng, (1 << nr_vcpus) - 1) :
				   rng_below(rng, nr_vcpus),
			 PIN_VECTOR(pin, which), .logical = logical);
}

static void program_pin(struct rng *rng, u32 pin)
{
	routes[pin] = msi_route(pin, random_pin_msi(rng, pin));
	if (!moves_only && rng_percent(rng, 30))
		routes[pin].type = 0;
}

/* As a guest does, that programs its I/O APIC pin by pin; or as one that boots. */
static void set_random_table(struct rng *rng, bool all)
{
	struct kvm_irq_routing_entry table[NR_GSIS];
	u32 i, nr = 0;

	for (i = 0; i < NR_PINS && all; i++)
		program_pin(rng, i);
	if (!all)
		program_pin(rng, rng_below(rng, NR_PINS));
	for (i = 0; i < NR_PINS; i++)
		if (routes[i].type)
			table[nr++] = routes[i];
	for (i = 0; i < nr_vcpus; i++)
		table[nr++] = msi_route(EDGE_GSI(i), EDGE_MSI(i, EDGE_VECTOR));
	TEST_ASSERT_EQ(__set_routes(vm, table, nr, 0), 0);
}

static void *update(void *arg)
{
	struct worker *w = arg;

	while (!stop) {
		long began = begin(w);

		set_random_table(&w->rng, rng_percent(&w->rng, 30));
		finish(w, began);
		nr_updates++;
		if (rng_percent(&w->rng, 30))
			usleep(rng_below(&w->rng, 2000));
	}
	return NULL;
}

static int raise_line(struct worker *w, u32 gsi)
{
	long began = begin(w);
	int status = irq_line_status(vm, gsi, 1);

	finish(w, began);
	return status;
}

/* An I/O APIC does not send while remote IRR is set. */
static void raise_pin(struct worker *w, u32 pin)
{
	if (pins[pin].remote_irr && nr_ended[pin] == pins[pin].ended_before)
		return;
	pins[pin].ended_before = nr_ended[pin];
	pins[pin].remote_irr = raise_line(w, pin) > 0;
	totals.lines++;
}

static void raise_edge(u32 cpu)
{
	if (READ_ONCE(taken[cpu][EDGE_VECTOR]) < edges_sent[cpu])
		return;
	edges_sent[cpu]++;
	if (irq_line_status(vm, EDGE_GSI(cpu), 1) != 1)
		totals.delivery++;
}

static void *raise_lines(void *arg)
{
	struct worker *w = arg;

	while (!stop) {
		u32 gsi = rng_below(&w->rng, FIRST_IRQFD_PIN + nr_vcpus);

		if (gsi < FIRST_IRQFD_PIN)
			raise_pin(w, gsi);
		else
			raise_edge(gsi - FIRST_IRQFD_PIN);
		sched_yield();
	}
	return NULL;
}

/* And some devices do not care. */
static void *raise_irqfds(void *arg)
{
	struct worker *w = arg;
	int fds[NR_PINS], pin;

	for (pin = FIRST_IRQFD_PIN; pin < NR_PINS; pin++) {
		fds[pin] = kvm_new_eventfd();
		kvm_assign_irqfd(vm, pin, fds[pin]);
	}
	while (!stop) {
		pin = FIRST_IRQFD_PIN + rng_below(&w->rng, NR_PINS - FIRST_IRQFD_PIN);
		if (rng_percent(&w->rng, 30))
			TEST_ASSERT_EQ(eventfd_write(fds[pin], 1), 0);
		else
			raise_line(w, pin);
		totals.irqfds++;
		if (rng_percent(&w->rng, 5))
			usleep(rng_below(&w->rng, 500));
	}
	for (pin = FIRST_IRQFD_PIN; pin < NR_PINS; pin++) {
		kvm_deassign_irqfd(vm, pin, fds[pin]);
		close(fds[pin]);
	}
	return NULL;
}

/*
 * Stops who has set off the timer, until each vCPU has looked for IRQs, or the others have, and
 * a table was set unless that waits for whom is stopped.
 */
static void *stop_others(void *unused)
{
	u64 expirations;

	while (read(timer_fd, &expirations, sizeof(expirations)) > 0 && !stop) {
		u64 runs = nr_runs + 2 * nr_vcpus;
		u64 updates = nr_updates + 2 * (stoppable == VCPU);
		long end = now_ns() + MAX_STOP_NS;

		while (!stop && (nr_runs < runs || nr_updates < updates) && now_ns() < end)
			cpu_relax();
	}
	return NULL;
}

/* Rounds. */
static void open_vm(struct rng *rng)
{
	u32 i, vector;

	nr_vcpus = 2 + rng_below(rng, MAX_VCPUS - 1);
	vm = vm_create_split(nr_vcpus, NR_PINS);
	for (i = 0; i < nr_vcpus; i++) {
		memset(&cpus[i], 0, sizeof(cpus[i]));
		irq_cpu_create(&cpus[i].irq, vm, i);
		taken[i] = addr_gva2hva(vm, (gva_t)guest_taken[i]);
		edges_sent[i] = 0;
	}
	for (vector = FIRST_IRQ_VECTOR; vector < NR_VECTORS; vector++)
		vm_install_exception_handler(vm, vector, guest_count_irq);
	if (rng_percent(rng, 50)) {
		for (i = 0; i < nr_vcpus; i++)
			irq_cpu_start(&cpus[i].irq, guest_x2apic);
	} else {
		for (i = 0; i < nr_vcpus; i++) {
			irq_cpu_start(&cpus[i].irq, guest_xapic);
			irq_cpu_apic_write(&cpus[i].irq, APIC_LDR, SET_APIC_DEST_FIELD(1 << i));
		}
	}
	memset(pins, 0, sizeof(pins));
	for (i = 0; i < NR_PINS; i++)
		nr_ended[i] = 0;
}

static void count_round(u64 seed)
{
	u64 lost = 0, stuck = 0;
	u32 cpu, pin, i;

	for (cpu = 0; cpu < nr_vcpus; cpu++) {
		for (pin = 0; pin < NR_PINS; pin++) {
			for (i = 0; i < 2; i++) {
				u8 v = PIN_VECTOR(pin, i);
				u64 nr = taken[cpu][v], exits = cpus[cpu].exits[v];

				totals.level_taken += nr;
				if (exits != nr)
					ksft_print_msg("vCPU %u: %#x taken %lu times, exits: %lu\n",
						       cpu, v, nr, exits);
				if (exits > nr)
					totals.uncalled++;
				else
					lost += nr - exits;
			}
		}
		totals.edge_taken += taken[cpu][EDGE_VECTOR];
		totals.uncalled += cpus[cpu].exits[EDGE_VECTOR];
		totals.delivery += taken[cpu][EDGE_VECTOR] != edges_sent[cpu];
	}
	for (pin = 0; pin < FIRST_IRQFD_PIN; pin++)
		stuck += pins[pin].remote_irr && nr_ended[pin] == pins[pin].ended_before;

	*(moves_only ? &totals.lost_moved : &totals.lost_masked) += lost;
	totals.stuck += stuck;
	if (lost || stuck)
		ksft_print_msg("round %lu, %s: %lu EOIs lost, %lu pins stuck\n", seed,
			       moves_only ? "moves only" : "all tables", lost, stuck);
}

static pthread_t start_worker(struct worker *w, u32 who, struct rng rng, void *(*fn)(void *),
			      void *arg)
{
	*w = (struct worker){
		.rng = rng,
		.stoppable = stoppable & who,
		.span_ns = NSEC_PER_SEC / 1000,
	};
	return thread_start(fn, arg, pcpus[w->stoppable], SCHED_OTHER);
}

static void play_round(u64 seed)
{
	void *(* const works[])(void *) = { update, raise_lines, raise_irqfds };
	struct worker workers[ARRAY_SIZE(works)];
	pthread_t threads[MAX_VCPUS + ARRAY_SIZE(workers) + 1];
	struct rng rng = rng_of_op(seed, 0);
	u32 i, nr = 0;

	limit_time(seed, HANG_SECONDS);
	moves_only = seed % 2;
	open_vm(&rng);
	set_random_table(&rng, true);

	stoppable = 1 + rng_below(&rng, UPDATER | SENDERS | VCPU);
	stop = false;
	for (i = 0; i < nr_vcpus; i++, nr++)
		threads[nr] = start_worker(&cpus[i].worker, i ? 0 : VCPU, rng_of_op(seed, 1 + nr),
					   run_cpu, &cpus[i]);
	for (i = 0; i < ARRAY_SIZE(works); i++, nr++)
		threads[nr] = start_worker(&workers[i], i ? SENDERS : UPDATER,
					   rng_of_op(seed, 1 + nr), works[i], &workers[i]);
	threads[nr++] = thread_start(stop_others, NULL, pcpus[1], SCHED_FIFO);
	usleep(ROUND_MS * 1000);
	stop = true;
	timer_set(timer_fd, 1);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);

	/* What was raised last. */
	for (i = 0; i < nr_vcpus; i++)
		run_once(&cpus[i]);
	count_round(seed);
	kvm_vm_free(vm);
	totals.rounds++;
}

/* What can be found, and whether that is what is looked for. */
static struct finding {
	const char *name, *test;
	u64 *found;
	bool wanted;
} findings[] = {
	{ "lost-moved", "eois_are_reported_while_routes_move", &totals.lost_moved },
	{ "lost-masked", "eois_are_reported_while_pins_are_masked", &totals.lost_masked },
	{ "stuck", "no_remote_irr_stays_set", &totals.stuck },
	{ "uncalled", "other_eois_are_not_reported", &totals.uncalled },
	{ "delivery", "edges_are_taken_as_often_as_sent", &totals.delivery },
};

static void parse_wanted(char *text)
{
	char *part;
	int i;

	while ((part = strsep(&text, ","))) {
		for (i = 0; i < ARRAY_SIZE(findings) && strcmp(findings[i].name, part); i++)
			;
		TEST_ASSERT(i < ARRAY_SIZE(findings), "No such finding: %s", part);
		findings[i].wanted = true;
	}
}

/* Whether all that is looked for is found. */
static bool all_found(void)
{
	bool any = false;
	int i;

	for (i = 0; i < ARRAY_SIZE(findings); i++) {
		if (findings[i].wanted && !*findings[i].found)
			return false;
		any |= findings[i].wanted;
	}
	return any;
}

static void print_usage(const char *name)
{
	printf("usage: %s [OPTION]...\n"
	       "  --seconds N    how long (default: %u)\n"
	       "  --seed S       of the first round (default: a fresh one)\n"
	       "  --mode MODE    who handles the routes: c, verify, rust (default: as it is)\n"
	       "  --until F,...  no longer than until these are found, of what is counted at the end\n",
	       name, DEFAULT_SECONDS);
}

int main(int argc, char *argv[])
{
	enum { SECONDS = 1, SEED, MODE, UNTIL, HELP };
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, SECONDS },
		{ "seed", required_argument, NULL, SEED },
		{ "mode", required_argument, NULL, MODE },
		{ "until", required_argument, NULL, UNTIL },
		{ "help", no_argument, NULL, HELP },
		{}
	};
	u64 seed = random_seed(), seconds = DEFAULT_SECONDS;
	const char *mode = NULL;
	time_t end;
	int opt, i;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case SECONDS:
			seconds = parse_u64(optarg);
			break;
		case SEED:
			seed = parse_u64(optarg);
			break;
		case MODE:
			mode = optarg;
			break;
		case UNTIL:
			parse_wanted(optarg);
			break;
		default:
			print_usage(argv[0]);
			return opt == HELP ? 0 : KSFT_FAIL;
		}
	}

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(find_cpus(pcpus, ARRAY_SIZE(pcpus)));
	TEST_REQUIRE(!geteuid());
	TEST_REQUIRE(!mode || helper_is_loaded());

	if (mode)
		helper_write_parameter("mode", mode);
	if (msi_trace_is_available())
		msi_trace_start_slow();
	timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
	TEST_ASSERT(timer_fd >= 0, "timerfd_create() failed");
	/* Who sets up a round must not be stopped. */
	thread_run_on(pthread_self(), pcpus[0], SCHED_OTHER);

	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(findings) + 1);
	ksft_print_msg("first seed %lu\n", seed);
	end = time(NULL) + seconds;
	do
		play_round(seed++);
	while (time(NULL) < end && !all_found());
	alarm(0);
	if (msi_trace_is_available())
		msi_trace_stop();

	for (i = 0; i < ARRAY_SIZE(findings); i++) {
		ksft_print_msg("%s: %lu\n", findings[i].name, *findings[i].found);
		ksft_test_result(!*findings[i].found, "%s\n", findings[i].test);
	}
	ksft_print_msg("rounds %lu, runs %lu, updates %lu, lines %lu, irqfds %lu\n", totals.rounds,
		       atomic_load(&nr_runs), atomic_load(&nr_updates), totals.lines,
		       totals.irqfds);
	ksft_print_msg("level-triggered IRQs taken %lu, edges %lu\n", totals.level_taken,
		       totals.edge_taken);
	ksft_test_result(nr_updates && totals.lines && totals.irqfds && totals.level_taken &&
			 totals.edge_taken, "all_threads_ran\n");
	ksft_finished();
}
