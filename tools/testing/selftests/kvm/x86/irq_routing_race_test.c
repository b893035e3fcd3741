// SPDX-License-Identifier: GPL-2.0
/*
 * A level-triggered IRQ that is on its way while its route is replaced: KVM has
 * looked up the old route and not delivered yet, a vCPU looks at the new table, and
 * the IRQ arrives after that.  Its EOI must be reported, because userspace's I/O
 * APIC waits for it.
 *
 * Whoever sends the IRQ is stopped at a random point by a thread of a real-time
 * class on the same CPU, and goes on when the vCPU has looked at the new table:
 *
 *	CPU 0	updater	  (real-time)	sets the new table
 *		main	  (normal)	runs the vCPUs
 *	CPU 1	stopper	  (real-time)	wakes up, has the table replaced, and spins
 *		sender	  (normal)	raises the GSI
 *
 * As the updater comes before main on their CPU, main goes on only if the new table
 * is published, even where the updater has to wait for the sender before it returns.
 * It does have to, as nothing may come by the old route afterwards.  KVM's C delivers
 * outside of the section that an update waits for, and may return too early.
 */
#include <semaphore.h>
#include <stdatomic.h>

#include "helper.h"
#include "irqroute.h"
#include "kselftest.h"
#include "msi_trace.h"
#include "pinned_threads.h"

#define NR_PINS		24
#define GSI		5

#define VECTOR_A	0x31

/* How many IRQs to catch on their way, and how often to try. */
#define NR_CAUGHT	5
#define MAX_ROUNDS	2000

static struct kvm_vm *vm;
static struct irq_cpu cpus[2];

/* Posted once a round for the thread in question, and by it when it is done. */
static sem_t send, update, sent, stopped, updated;

/* Wakes the stopper.  The sender sets it off. */
static int timer_fd;
static long delay_ns;

static atomic_bool updating, returned, scanned;
static bool quit;

static void set_old_table(void)
{
	SET_ROUTES(vm, msi_route(GSI, LEVEL_MSI(0, VECTOR_A)));
}

static void set_new_table(void)
{
	SET_ROUTES(vm, msi_route(GSI, LEVEL_MSI(1, VECTOR_A)));
}

static bool next_round(sem_t *sem)
{
	sem_wait(sem);
	return !READ_ONCE(quit);
}

static void *sender(void *unused)
{
	while (next_round(&send)) {
		timer_set(timer_fd, delay_ns);
		raise_gsi(vm, GSI);
		sem_post(&sent);
	}
	return NULL;
}

static void *stopper(void *unused)
{
	u64 expirations;

	while (read(timer_fd, &expirations, sizeof(expirations)) > 0 && !READ_ONCE(quit)) {
		sem_post(&update);
		while (!scanned)
			cpu_relax();
		sem_post(&stopped);
	}
	return NULL;
}

static void *updater(void *unused)
{
	while (next_round(&update)) {
		updating = true;
		set_new_table();
		returned = true;
		sem_post(&updated);
	}
	return NULL;
}

/* Has the vCPU take what is pending, and tells whether the EOIs of all of it were reported. */
static bool take(struct irq_cpu *cpu)
{
	irq_cpu_call(cpu, guest_take, 0, 0);
	return cpu->guest->taken.nr == cpu->eoi_exits.nr &&
	       !memcmp(cpu->guest->taken.v, cpu->eoi_exits.v, cpu->eoi_exits.nr);
}

/* Returns how long it takes to set off the timer and to send, in ns: the shortest of a few. */
static long time_to_send(void)
{
	long shortest = LONG_MAX;
	int i;

	set_old_table();
	for (i = 0; i < 10; i++) {
		long before;

		EXPECT_IDLE(&cpus[0]);
		before = now_ns();
		timer_set(timer_fd, NSEC_PER_SEC - 1);
		raise_gsi(vm, GSI);
		shortest = min(shortest, now_ns() - before);
		take(&cpus[0]);
	}
	timer_set(timer_fd, 0);
	return shortest;
}

struct round {
	bool caught;		/* the IRQ came by the old route, after a look at the new table */
	bool reported;		/* so was its EOI */
	bool late;		/* it came after the update had returned */
};

static struct round play_round(void)
{
	struct vectors *taken = &cpus[0].guest->taken;
	struct round round;
	u32 nr_taken;

	set_old_table();
	EXPECT_IDLE(&cpus[0]);
	EXPECT_IDLE(&cpus[1]);

	updating = false;
	returned = false;
	scanned = false;
	sem_post(&send);
	while (!updating)
		sched_yield();

	round.reported = take(&cpus[0]);
	nr_taken = taken->nr;
	round.late = returned;
	scanned = true;
	sem_wait(&stopped);
	sem_wait(&sent);
	sem_wait(&updated);

	round.reported &= take(&cpus[0]);
	round.caught = taken->nr > 0;
	round.late &= round.caught;
	nr_taken += taken->nr;
	round.reported &= take(&cpus[1]);
	nr_taken += cpus[1].guest->taken.nr;
	TEST_ASSERT_EQ(nr_taken, 1);
	return round;
}

int main(int argc, char *argv[])
{
	u32 nr_rounds, nr_caught = 0, nr_lost = 0, nr_late = 0;
	sem_t *sems[] = { &send, &update, &sent, &stopped, &updated };
	pthread_t threads[3];
	int pcpus[2], i;
	long span_ns;

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(find_cpus(pcpus, ARRAY_SIZE(pcpus)));
	TEST_REQUIRE(!geteuid());

	ksft_print_header();
	ksft_set_plan(2);

	for (i = 0; i < ARRAY_SIZE(sems); i++)
		sem_init(sems[i], 0, 0);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
	TEST_ASSERT(timer_fd >= 0, "timerfd_create() failed");

	if (msi_trace_is_available())
		msi_trace_start_slow();

	thread_run_on(pthread_self(), pcpus[0], SCHED_OTHER);
	vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
	span_ns = time_to_send();
	threads[0] = thread_start(sender, NULL, pcpus[1], SCHED_OTHER);
	threads[1] = thread_start(stopper, NULL, pcpus[1], SCHED_FIFO);
	threads[2] = thread_start(updater, NULL, pcpus[0], SCHED_FIFO);

	srandom(0);
	for (nr_rounds = 0; nr_rounds < MAX_ROUNDS && nr_caught < NR_CAUGHT; nr_rounds++) {
		struct round round;

		delay_ns = 1 + random() % (2 * span_ns);
		round = play_round();
		nr_caught += round.caught;
		nr_lost += !round.reported;
		nr_late += round.late;
	}

	WRITE_ONCE(quit, true);
	sem_post(&send);
	timer_set(timer_fd, 1);
	sem_post(&update);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	kvm_vm_free(vm);
	if (msi_trace_is_available())
		msi_trace_stop();

	ksft_print_msg("%u rounds, %u IRQs caught on their way\n", nr_rounds, nr_caught);
	ksft_print_msg("%u after the update, %u EOIs not reported\n", nr_late, nr_lost);
	if (nr_caught)
		ksft_test_result(!nr_lost, "eoi_of_irq_on_its_way\n");
	else
		ksft_test_result_skip("eoi_of_irq_on_its_way: none was caught\n");
	if (nr_caught && helper_decides())
		ksft_test_result(!nr_late, "no_irq_by_an_old_route_after_the_update\n");
	else
		ksft_test_result_skip("no_irq_by_an_old_route_after_the_update: %s\n",
				      nr_caught ? "KVM's C decides" : "none was caught");
	ksft_finished();
}
