// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_GSI_ROUTING as a transaction: a table takes effect as a whole and at
 * once, also on vCPUs that run, and a table that is refused changes nothing.  That
 * is so whatever it has in common with the table before.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "helper.h"
#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24
/* Of either PIC. */
#define NR_PIC_PINS	8

#define VECTOR_A	0x31
#define VECTOR_B	0x42
#define VECTOR_C	0x53
#define VECTOR_SPARE	0x64

#define NR_UPDATES	120

/* The guest takes IRQs until it is told to stop, once without and once with HLT. */
static void guest_serve_spinning(void)
{
	struct guest_cpu *cpu = this_guest_cpu();

	sti();
	while (!READ_ONCE(cpu->stop))
		cpu_relax();
	cli();
}

static void guest_serve_halted(void)
{
	struct guest_cpu *cpu = this_guest_cpu();

	/* The IRQ that tells it to stop must not come between the test and HLT. */
	while (!READ_ONCE(cpu->stop)) {
		safe_halt();
		cli();
	}
}

/* A vCPU that runs in a thread of its own. */
struct server {
	struct irq_cpu cpu;
	pthread_t thread;
	void *fn;
	u64 nr_sent;
	u64 eoi_exits[256];
};

static void *server_thread(void *arg)
{
	struct server *server = arg;
	u64 *exits;

	while (!irq_cpu_run(&server->cpu)) {
		exits = &server->eoi_exits[server->cpu.vcpu->run->eoi.vector];
		WRITE_ONCE(*exits, *exits + 1);
	}
	return NULL;
}

static void server_start(struct server *server, struct kvm_vm *vm, u32 id, void *fn)
{
	memset(server, 0, sizeof(*server));
	irq_cpu_add(&server->cpu, vm, id, guest_x2apic);
	irq_cpu_set_step(&server->cpu, fn, 0, 0);
	TEST_ASSERT_EQ(pthread_create(&server->thread, NULL, server_thread, server), 0);
}

/*
 * Waits until the guest is through with the EOI of an IRQ just sent to it.  An
 * exit that the EOI causes comes before that.
 */
static void server_sent(struct server *server)
{
	server->nr_sent++;
	while (READ_ONCE(server->cpu.guest->nr_irqs) != server->nr_sent)
		sched_yield();
}

/* An IRQ past the routing table. */
static void server_send(struct server *server, u8 vector)
{
	struct kvm_vcpu *vcpu = server->cpu.vcpu;

	TEST_ASSERT_EQ(signal_msi(vcpu->vm, EDGE_MSI(vcpu->id, vector)), 1);
	server_sent(server);
}

static void server_stop(struct server *server)
{
	struct kvm_vcpu *vcpu = server->cpu.vcpu;

	WRITE_ONCE(server->cpu.guest->stop, true);
	TEST_ASSERT_EQ(signal_msi(vcpu->vm, EDGE_MSI(vcpu->id, VECTOR_SPARE)), 1);
	TEST_ASSERT_EQ(pthread_join(server->thread, NULL), 0);
}

#define EXPECT_SERVER_EXITS(_server, _vector, _nr)				\
	TEST_ASSERT_EQ(READ_ONCE((_server)->eoi_exits[_vector]), (u64)(_nr))

/* Every update changes what the next EOI means, on two vCPUs that run all the time. */
TEST(updates_while_vcpus_run)
{
	const struct {
		struct msi msi;
		bool exits;
	} routes[] = {
		{ LEVEL_MSI(0, VECTOR_A), true },
		{ LEVEL_MSI(1, VECTOR_A), true },
		{ EDGE_MSI(0, VECTOR_A), false },
		{ LEVEL_MSI(1, VECTOR_B), true },
		{ EDGE_MSI(1, VECTOR_A), false },
		{ LEVEL_MSI(0, VECTOR_B), true },
	};
	struct kvm_vm *vm = vm_create_split(2, NR_PINS);
	u64 exits[2][256] = {};
	struct server servers[2];
	int i, cpu;
	u8 vector;

	server_start(&servers[0], vm, 0, guest_serve_spinning);
	server_start(&servers[1], vm, 1, guest_serve_halted);

	for (i = 0; i < NR_UPDATES; i++) {
		const struct msi msi = routes[i % ARRAY_SIZE(routes)].msi;

		SET_ROUTES(vm, msi_route(5, msi), msi_route(NR_PINS, LEVEL_MSI(0, VECTOR_C)));

		TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 1);
		server_sent(&servers[msi.dest]);
		exits[msi.dest][msi.vector] += routes[i % ARRAY_SIZE(routes)].exits;

		/*
		 * The same vector on the other vCPU is none of the route's business,
		 * once that vCPU has run and looked at the new table.
		 */
		server_send(&servers[!msi.dest], VECTOR_SPARE);
		server_send(&servers[!msi.dest], msi.vector);

		for (cpu = 0; cpu < 2; cpu++) {
			for (vector = VECTOR_A; vector <= VECTOR_C; vector++)
				EXPECT_SERVER_EXITS(&servers[cpu], vector, exits[cpu][vector]);
		}
	}

	for (cpu = 0; cpu < 2; cpu++)
		server_stop(&servers[cpu]);
	kvm_vm_free(vm);
}

/* A thread that sets tables which differ in everything but the route of GSI 5. */
struct churner {
	struct kvm_vm *vm;
	pthread_t thread;
	u64 nr_updates;
	bool stop;
};

static void *churner_thread(void *arg)
{
	struct churner *churner = arg;
	const struct kvm_irq_routing_entry always = msi_route(5, LEVEL_MSI(0, VECTOR_A));

	while (!READ_ONCE(churner->stop)) {
		SET_ROUTES(churner->vm, always, msi_route(6, LEVEL_MSI(0, VECTOR_B)));
		SET_ROUTES(churner->vm, msi_route(KVM_MAX_IRQ_ROUTES - 1, EDGE_MSI(0, VECTOR_C)),
			   always);
		WRITE_ONCE(churner->nr_updates, churner->nr_updates + 2);
	}
	return NULL;
}

/* Updates by two threads race with injection and EOI: no IRQ and no exit is lost. */
TEST(updates_race_with_irqs)
{
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	struct churner churners[2] = { { .vm = vm }, { .vm = vm } };
	int i, eventfd = kvm_new_eventfd();
	struct server server;

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)));
	server_start(&server, vm, 0, guest_serve_spinning);
	kvm_assign_irqfd(vm, 5, eventfd);

	for (i = 0; i < 2; i++)
		TEST_ASSERT_EQ(pthread_create(&churners[i].thread, NULL, churner_thread,
					      &churners[i]), 0);

	while (server.nr_sent < NR_UPDATES ||
	       READ_ONCE(churners[0].nr_updates) < NR_UPDATES ||
	       READ_ONCE(churners[1].nr_updates) < NR_UPDATES) {
		if (server.nr_sent & 1)
			TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 1);
		else
			TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
		server_sent(&server);
		EXPECT_SERVER_EXITS(&server, VECTOR_A, server.nr_sent);
	}

	for (i = 0; i < 2; i++) {
		WRITE_ONCE(churners[i].stop, true);
		TEST_ASSERT_EQ(pthread_join(churners[i].thread, NULL), 0);
	}
	server_stop(&server);
	EXPECT_SERVER_EXITS(&server, VECTOR_B, 0);
	EXPECT_SERVER_EXITS(&server, VECTOR_C, 0);
	close(eventfd);
	kvm_vm_free(vm);
}

/* What the helper says of updates, unless it leaves them to KVM. */
struct updates {
	u64 published, unawaited, skipped;
};

static struct updates updates_read(void)
{
	if (!helper_decides())
		return (struct updates){};
	return (struct updates){
		.published = helper_read_counter("updates"),
		.unawaited = helper_read_counter("updates_unawaited"),
		.skipped = helper_read_counter("updates_skipped"),
	};
}

static void expect_updates(struct updates before, u64 published, u64 unawaited, u64 skipped)
{
	struct updates now = updates_read();

	if (!helper_decides())
		return;
	TEST_ASSERT_EQ(now.published - before.published, published);
	TEST_ASSERT_EQ(now.unawaited - before.unawaited, unawaited);
	TEST_ASSERT_EQ(now.skipped - before.skipped, skipped);
}

TEST(same_table)
{
	const struct kvm_irq_routing_entry routes[] = {
		msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		msi_route(NR_PINS, EDGE_MSI(0, VECTOR_B)),
	};
	const struct kvm_irq_routing_entry moved[] = { routes[1], routes[0] };
	const struct kvm_irq_routing_entry twice[] = { routes[0], routes[0] };
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	struct updates before = updates_read();
	int i;

	TEST_ASSERT_EQ(__set_routes(vm, routes, 2, 0), 0);
	expect_updates(before, 1, 1, 0);
	for (i = 0; i < 3; i++)
		TEST_ASSERT_EQ(__set_routes(vm, routes, 2, 0), 0);
	expect_updates(before, 1, 1, 3);

	/* A table that is no table stays one. */
	TEST_ASSERT_EQ(__set_routes(vm, twice, 2, 0), EINVAL);
	TEST_ASSERT_EQ(__set_routes(vm, routes, 2, 1), EINVAL);
	expect_updates(before, 1, 1, 3);

	/* The same in another order is not looked for, and is right as well. */
	TEST_ASSERT_EQ(__set_routes(vm, moved, 2, 0), 0);
	expect_updates(before, 2, 1, 3);
	TEST_ASSERT_EQ(__set_routes(vm, moved, 2, 0), 0);
	expect_updates(before, 2, 1, 4);
	TEST_ASSERT_EQ(__set_routes(vm, moved, 1, 0), 0);
	expect_updates(before, 3, 1, 4);
	TEST_ASSERT_EQ(__set_routes(vm, moved, 2, 0), 0);
	expect_updates(before, 4, 2, 4);

	raise_gsi(vm, 5);
	raise_gsi(vm, NR_PINS);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B, VECTOR_A), VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

/* The routes that KVM itself sets, and a VMM keeps: those of both PICs and of the I/O APIC. */
TEST(same_table_full_irqchip)
{
	struct kvm_irq_routing_entry routes[2 * NR_PIC_PINS + KVM_IOAPIC_NUM_PINS + 1];
	struct kvm_vm *vm = vm_create_barebones();
	struct updates before;
	u32 gsi, nr = 0;

	vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	for (gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; gsi++) {
		routes[nr++] = irqchip_route(gsi, KVM_IRQCHIP_IOAPIC, gsi);
		if (gsi < NR_PIC_PINS)
			routes[nr++] = irqchip_route(gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
		else if (gsi < 2 * NR_PIC_PINS)
			routes[nr++] = irqchip_route(gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - NR_PIC_PINS);
	}

	before = updates_read();
	TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);
	expect_updates(before, 0, 0, 1);
	routes[nr++] = msi_route(KVM_IOAPIC_NUM_PINS, EDGE_MSI(0, VECTOR_A));
	TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);
	expect_updates(before, 1, 1, 1);
	TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);
	expect_updates(before, 1, 1, 2);
	kvm_vm_free(vm);
}

/* Anything that differs in a route makes another table. */
TEST(almost_the_same_table)
{
	const struct kvm_irq_routing_entry routes[] = {
		msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		msi_route(5, EDGE_MSI(0, VECTOR_A)),
		msi_route(5, EDGE_MSI(0, VECTOR_B)),
		msi_route(5, EDGE_MSI(1, VECTOR_B)),
		msi_route(6, EDGE_MSI(1, VECTOR_B)),
		sint_route(6, 0, 2),
		sint_route(6, 0, 3),
		sint_route(6, 1, 3),
		sint_route(7, 1, 3),
	};
	struct kvm_vm *vm = vm_create_split(2, NR_PINS);
	struct updates before;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		before = updates_read();
		TEST_ASSERT_EQ(__set_routes(vm, &routes[i], 1, 0), 0);
		expect_updates(before, 1, !i, 0);
		TEST_ASSERT_EQ(__set_routes(vm, &routes[i], 1, 0), 0);
		expect_updates(before, 1, !i, 1);
	}
	kvm_vm_free(vm);
}

/* Routes are added one by one, each with its first IRQ, on a vCPU that runs. */
static void add_routes(struct kvm_vm *vm, struct server *server, bool from_the_end)
{
	struct kvm_irq_routing_entry routes[2 * NR_PINS];
	const u32 nr_routes = ARRAY_SIZE(routes);
	struct updates before = updates_read();
	u64 exits[256] = {};
	u32 nr, gsi, i;
	u8 vector;

	memcpy(exits, server->eoi_exits, sizeof(exits));
	for (nr = 1; nr <= nr_routes; nr++) {
		for (i = 0; i < nr; i++) {
			gsi = from_the_end ? nr_routes - nr + i : i;
			routes[i] = msi_route(gsi, gsi < NR_PINS ? LEVEL_MSI(0, VECTOR_A + gsi) :
								   EDGE_MSI(0, VECTOR_A + gsi));
		}
		TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);

		gsi = from_the_end ? nr_routes - nr : nr - 1;
		vector = VECTOR_A + gsi;
		TEST_ASSERT_EQ(irq_line_status(vm, gsi, 1), 1);
		server_sent(server);
		EXPECT_SERVER_EXITS(server, vector, exits[vector] + (gsi < NR_PINS));

		/* And those from before are still there. */
		gsi = routes[nr / 2].gsi;
		vector = VECTOR_A + gsi;
		exits[vector] = READ_ONCE(server->eoi_exits[vector]);
		TEST_ASSERT_EQ(irq_line_status(vm, gsi, 1), 1);
		server_sent(server);
		EXPECT_SERVER_EXITS(server, vector, exits[vector] + (gsi < NR_PINS));
	}
	expect_updates(before, nr_routes, nr_routes, 0);

	SET_ROUTES(vm);
	expect_updates(before, nr_routes + 1, nr_routes, 0);
	for (gsi = 0; gsi < nr_routes; gsi++)
		TEST_ASSERT_EQ(irq_line_status(vm, gsi, 1), -1);
}

/* Pins may share a line: who lowers it by the old table has to be waited for. */
TEST(added_pins)
{
	const struct kvm_irq_routing_entry routes[] = {
		irqchip_route(5, KVM_IRQCHIP_IOAPIC, 5),
		irqchip_route(6, KVM_IRQCHIP_IOAPIC, 5),
		msi_route(NR_PINS, EDGE_MSI(0, VECTOR_A)),
	};
	struct kvm_vm *vm = vm_create(1);
	struct updates before = updates_read();
	u32 nr;

	for (nr = 1; nr <= 2; nr++)
		TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);
	expect_updates(before, 2, 0, 0);
	TEST_ASSERT_EQ(__set_routes(vm, routes, 2, 0), 0);
	expect_updates(before, 2, 0, 1);
	TEST_ASSERT_EQ(__set_routes(vm, routes, 3, 0), 0);
	expect_updates(before, 3, 1, 1);
	kvm_vm_free(vm);
}

/* A table that was right when it was set need not be so any more. */
TEST(same_table_in_another_format)
{
	struct kvm_irq_routing_entry route = msi_route(NR_PINS, EDGE_MSI(0, VECTOR_A));
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);

	route.u.msi.address_hi = 1;
	TEST_ASSERT_EQ(__set_routes(vm, &route, 1, 0), 0);
	TEST_ASSERT_EQ(__set_routes(vm, &route, 1, 0), 0);
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	TEST_ASSERT_EQ(__set_routes(vm, &route, 1, 0), EINVAL);
	kvm_vm_free(vm);
}

TEST(added_routes_on_a_vcpu_that_runs)
{
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	struct server server;

	server_start(&server, vm, 0, guest_serve_spinning);
	add_routes(vm, &server, false);
	add_routes(vm, &server, true);
	server_stop(&server);
	kvm_vm_free(vm);
}

/* A thread that raises a GSI for as long as it may. */
struct raiser {
	struct kvm_vm *vm;
	pthread_t thread;
	u32 gsi;
	u64 nr_delivered;
	bool stop;
};

static void *raiser_thread(void *arg)
{
	struct raiser *raiser = arg;

	while (!READ_ONCE(raiser->stop))
		if (irq_line_status(raiser->vm, raiser->gsi, 1) > 0)
			WRITE_ONCE(raiser->nr_delivered, raiser->nr_delivered + 1);
	return NULL;
}

/* When an update has returned, no IRQ comes by a route that it has removed. */
TEST(removed_route_is_silent)
{
	const struct kvm_irq_routing_entry routes[] = {
		msi_route(5, EDGE_MSI(0, VECTOR_A)),
		msi_route(6, LEVEL_MSI(0, VECTOR_B)),
		msi_route(NR_PINS, EDGE_MSI(0, VECTOR_C)),
	};
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	struct raiser raiser = { .vm = vm, .gsi = 5 };
	u64 nr_delivered;
	int i, nr;

	if (!helper_decides())
		SKIP(return, "KVM's C does not wait for it, see irq_routing_race_test");

	TEST_ASSERT_EQ(pthread_create(&raiser.thread, NULL, raiser_thread, &raiser), 0);
	for (i = 0; i < NR_UPDATES; i++) {
		/* It comes back with a table that nobody waits for, or after one. */
		for (nr = 1; nr <= 1 + i % 3; nr++)
			TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);
		nr_delivered = READ_ONCE(raiser.nr_delivered);
		while (READ_ONCE(raiser.nr_delivered) == nr_delivered) {
			irq_cpu_call(&cpu, guest_take, 0, 0);
			sched_yield();
		}

		TEST_ASSERT_EQ(__set_routes(vm, routes + 1, i % 3, 0), 0);
		irq_cpu_call(&cpu, guest_take, 0, 0);
		sched_yield();
		EXPECT_IDLE(&cpu);
	}
	WRITE_ONCE(raiser.stop, true);
	TEST_ASSERT_EQ(pthread_join(raiser.thread, NULL), 0);
	kvm_vm_free(vm);
}

static long vmalloc_used_kb(void)
{
	long kb = read_number("/proc/meminfo", "VmallocUsed: %ld");

	TEST_ASSERT(kb >= 0, "Cannot read the memory in use");
	return kb;
}

/* Tables that nobody waits for are not kept for long: together these take more than 80 MB. */
TEST(many_additions)
{
	const u32 first = 800, last = 1600;
	struct kvm_irq_routing_entry *routes = calloc(last, sizeof(*routes));
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	struct updates before = updates_read();
	long before_kb, max_kb = 0;
	u32 nr;

	TEST_ASSERT(routes, "Insufficient memory");
	for (nr = 0; nr < last; nr++)
		routes[nr] = msi_route(nr, EDGE_MSI(0, VECTOR_A));
	before_kb = vmalloc_used_kb();
	for (nr = first; nr <= last; nr++) {
		TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);
		max_kb = max(max_kb, vmalloc_used_kb() - before_kb);
	}
	ksft_print_msg("at most %ld kB in use\n", max_kb);
	TEST_ASSERT(max_kb < 2048, "%ld kB in use", max_kb);
	expect_updates(before, last - first + 1, last - first + 1, 0);

	TEST_ASSERT_EQ(irq_line_status(vm, last - 1, 1), 1);
	kvm_vm_free(vm);
	free(routes);
}

TEST(no_routes_at_first)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	TEST_ASSERT_EQ(irq_line_status(vm, 0, 1), -1);
	TEST_ASSERT_EQ(irq_line_status(vm, NR_PINS, 1), -1);
	EXPECT_IDLE(&cpu);
	kvm_vm_free(vm);
}

/* An update replaces the table: what it does not name is gone. */
TEST(table_is_replaced)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(6, LEVEL_MSI(0, VECTOR_B)));
	SET_ROUTES(vm, msi_route(6, LEVEL_MSI(0, VECTOR_C)));

	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), -1);
	TEST_ASSERT_EQ(irq_line_status(vm, 6, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_C), VECTORS(VECTOR_C));
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, VECTOR_A)), 1);
	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, VECTOR_B)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B, VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(empty_table)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd();

	SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(NR_PINS, EDGE_MSI(0, VECTOR_B)));
	kvm_assign_irqfd(vm, NR_PINS, eventfd);
	SET_ROUTES(vm);

	TEST_ASSERT_EQ(irq_line_status(vm, 0, 1), -1);
	TEST_ASSERT_EQ(irq_line_status(vm, NR_PINS, 1), -1);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	/* De-assigning completes what has not been injected yet. */
	kvm_deassign_irqfd(vm, NR_PINS, eventfd);
	EXPECT_IDLE(&cpu);

	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	/* Empty twice, and filled again. */
	SET_ROUTES(vm);
	SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, VECTOR_A)));
	raise_gsi(vm, 0);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	close(eventfd);
	kvm_vm_free(vm);
}

/* Level routes in and out of the window, on vectors that the two do not share. */
static u8 full_table_vector(u32 gsi, u32 nr_pins)
{
	return gsi < nr_pins ? 0x20 + gsi % 0x60 : 0x80 + gsi % 0x80;
}

static void check_full_table(u32 nr_pins)
{
	const u32 gsis[] = {
		0, 1, nr_pins - 1, nr_pins, 254, 255, 256, 257,
		KVM_MAX_IRQ_ROUTES / 2, KVM_MAX_IRQ_ROUTES - 1,
	};
	struct kvm_irq_routing_entry *routes;
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, nr_pins, guest_xapic);
	u32 i, gsi;
	u8 vector;

	routes = calloc(KVM_MAX_IRQ_ROUTES, sizeof(*routes));
	TEST_ASSERT(routes, "Insufficient memory");
	/* From the last GSI to the first, which must not matter. */
	for (gsi = 0; gsi < KVM_MAX_IRQ_ROUTES; gsi++) {
		vector = full_table_vector(gsi, nr_pins);
		routes[KVM_MAX_IRQ_ROUTES - 1 - gsi] = msi_route(gsi, LEVEL_MSI(0, vector));
	}
	TEST_ASSERT_EQ(__set_routes(vm, routes, KVM_MAX_IRQ_ROUTES, 0), 0);

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		gsi = gsis[i];
		vector = full_table_vector(gsi, nr_pins);

		TEST_ASSERT_EQ(irq_line_status(vm, gsi, 1), 1);
		if (gsi < nr_pins)
			EXPECT_TAKE(&cpu, VECTORS(vector), VECTORS(vector));
		else
			EXPECT_TAKE(&cpu, VECTORS(vector), NO_VECTORS);
	}
	TEST_ASSERT_EQ(irq_line_status(vm, KVM_MAX_IRQ_ROUTES, 1), -1);

	free(routes);
	kvm_vm_free(vm);
}

TEST(full_table)
{
	check_full_table(NR_PINS);
}

TEST(full_table_widest_window)
{
	check_full_table(255);
}

/* The number of routes says nothing about the GSIs. */
TEST(sparse_table)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	SET_ROUTES(vm, msi_route(KVM_MAX_IRQ_ROUTES - 1, EDGE_MSI(0, VECTOR_A)),
		   msi_route(0, LEVEL_MSI(0, VECTOR_B)));
	TEST_ASSERT_EQ(irq_line_status(vm, 1, 1), -1);
	TEST_ASSERT_EQ(irq_line_status(vm, KVM_MAX_IRQ_ROUTES - 2, 1), -1);
	TEST_ASSERT_EQ(irq_line_status(vm, KVM_MAX_IRQ_ROUTES - 1, 1), 1);
	TEST_ASSERT_EQ(irq_line_status(vm, 0, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B, VECTOR_A), VECTORS(VECTOR_B));

	/* GSIs around the end of a shorter table. */
	SET_ROUTES(vm, msi_route(7, EDGE_MSI(0, VECTOR_C)));
	TEST_ASSERT_EQ(irq_line_status(vm, 6, 1), -1);
	TEST_ASSERT_EQ(irq_line_status(vm, 7, 1), 1);
	TEST_ASSERT_EQ(irq_line_status(vm, 8, 1), -1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_C), NO_VECTORS);
	kvm_vm_free(vm);
}

/*
 * Refused tables.  The VM has two routes, by line and by irqfd, which must work
 * after each refusal just as before.
 */
#define GSI_LINE	5
#define GSI_IRQFD	6

struct old_routes {
	struct irq_cpu cpu;
	struct kvm_vm *vm;
	int eventfd;
};

static void old_routes_init(struct old_routes *old, u64 x2apic_api)
{
	old->vm = vm_create_split(1, NR_PINS);
	vm_enable_cap(old->vm, KVM_CAP_X2APIC_API, x2apic_api);
	irq_cpu_add(&old->cpu, old->vm, 0, guest_x2apic);

	SET_ROUTES(old->vm, msi_route(GSI_LINE, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(GSI_IRQFD, EDGE_MSI(0, VECTOR_B)));
	old->eventfd = kvm_new_eventfd();
	kvm_assign_irqfd(old->vm, GSI_IRQFD, old->eventfd);
}

static void old_routes_check(struct old_routes *old)
{
	TEST_ASSERT_EQ(irq_line_status(old->vm, GSI_LINE, 1), 1);
	EXPECT_TAKE(&old->cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	TEST_ASSERT_EQ(eventfd_write(old->eventfd, 1), 0);
	EXPECT_TAKE(&old->cpu, VECTORS(VECTOR_B), NO_VECTORS);
}

static void old_routes_free(struct old_routes *old)
{
	close(old->eventfd);
	kvm_vm_free(old->vm);
}

/* Two routes that would change the old ones, with @bad before, between and after them. */
static void check_refused(struct old_routes *old, const char *name,
			  struct kvm_irq_routing_entry bad, u32 table_flags)
{
	const struct kvm_irq_routing_entry line = msi_route(GSI_LINE, EDGE_MSI(0, VECTOR_C));
	const struct kvm_irq_routing_entry irqfd = msi_route(GSI_IRQFD, LEVEL_MSI(0, VECTOR_C));
	struct kvm_irq_routing_entry tables[][3] = {
		{ bad, line, irqfd },
		{ line, bad, irqfd },
		{ line, irqfd, bad },
	};
	int i, err;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		err = __set_routes(old->vm, tables[i], ARRAY_SIZE(tables[i]), table_flags);
		TEST_ASSERT(err == EINVAL, "%s as entry %d: errno %d", name, i, err);
	}
	old_routes_check(old);
}

static struct kvm_irq_routing_entry with_type(u32 type)
{
	return (struct kvm_irq_routing_entry){ .gsi = 7, .type = type };
}

static struct kvm_irq_routing_entry with_flags(struct kvm_irq_routing_entry entry, u32 flags)
{
	entry.flags = flags;
	return entry;
}

TEST(refused_type)
{
	struct old_routes old;

	old_routes_init(&old, 0);
	check_refused(&old, "type 0", with_type(0), 0);
	check_refused(&old, "s390 adapter", with_type(KVM_IRQ_ROUTING_S390_ADAPTER), 0);
	check_refused(&old, "type above all", with_type(99), 0);
	check_refused(&old, "last type", with_type(~0u), 0);
	check_refused(&old, "irqchip", irqchip_route(7, KVM_IRQCHIP_IOAPIC, 7), 0);
	old_routes_free(&old);
}

TEST(refused_gsi)
{
	struct old_routes old;

	old_routes_init(&old, 0);
	check_refused(&old, "first GSI too high",
		      msi_route(KVM_MAX_IRQ_ROUTES, LEVEL_MSI(0, VECTOR_C)), 0);
	check_refused(&old, "last GSI", msi_route(~0u, LEVEL_MSI(0, VECTOR_C)), 0);
	old_routes_free(&old);
}

TEST(refused_duplicate_gsi)
{
	struct old_routes old;

	old_routes_init(&old, 0);
	check_refused(&old, "same GSI, another MSI",
		      msi_route(GSI_LINE, LEVEL_MSI(0, VECTOR_B)), 0);
	check_refused(&old, "same GSI, same MSI",
		      msi_route(GSI_LINE, EDGE_MSI(0, VECTOR_C)), 0);
	if (kvm_has_cap(KVM_CAP_HYPERV_SYNIC))
		check_refused(&old, "same GSI, SINT", sint_route(GSI_IRQFD, 0, 2), 0);
	old_routes_free(&old);
}

TEST(refused_flags)
{
	struct old_routes old;

	old_routes_init(&old, 0);
	check_refused(&old, "MSI flag",
		      with_flags(msi_route(7, LEVEL_MSI(0, VECTOR_C)), BIT(1)), 0);
	check_refused(&old, "MSI flags",
		      with_flags(msi_route(7, LEVEL_MSI(0, VECTOR_C)),
				 KVM_MSI_VALID_DEVID | BIT(31)), 0);
	check_refused(&old, "table flag", msi_route(7, LEVEL_MSI(0, VECTOR_C)), 1);
	if (kvm_has_cap(KVM_CAP_HYPERV_SYNIC))
		check_refused(&old, "SINT flag",
			      with_flags(sint_route(7, 0, 2), KVM_MSI_VALID_DEVID), 0);
	old_routes_free(&old);
}

TEST(refused_x2apic_msi_address)
{
	struct kvm_irq_routing_entry bad = msi_route(7, LEVEL_MSI(0x100, VECTOR_C));
	struct old_routes old;
	int bit;

	old_routes_init(&old, KVM_X2APIC_API_USE_32BIT_IDS);
	for (bit = 0; bit < 8; bit++) {
		bad.u.msi.address_hi = 0x100 | BIT(bit);
		check_refused(&old, "reserved address bit", bad, 0);
	}
	old_routes_free(&old);
}

TEST(refused_unreadable_table)
{
	const size_t size = getpagesize();
	struct kvm_irq_routing_entry line = msi_route(GSI_LINE, EDGE_MSI(0, VECTOR_C));
	struct kvm_irq_routing *table;
	struct old_routes old;
	void *mem;

	old_routes_init(&old, 0);

	/* The first entry ends where the readable page does. */
	mem = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(mem != MAP_FAILED, "mmap() failed");
	TEST_ASSERT_EQ(mprotect(mem + size, size, PROT_NONE), 0);
	table = mem + size - sizeof(*table) - sizeof(line);
	memcpy(table->entries, &line, sizeof(line));
	table->nr = 2;

	TEST_ASSERT_EQ(__vm_ioctl(old.vm, KVM_SET_GSI_ROUTING, table), -1);
	TEST_ASSERT_EQ(errno, EFAULT);
	old_routes_check(&old);

	TEST_ASSERT_EQ(munmap(mem, 2 * size), 0);
	old_routes_free(&old);
}

/* With a full irqchip, only routes to different irqchips may share a GSI. */
TEST(duplicate_gsi_full_irqchip)
{
	const struct kvm_irq_routing_entry
		pic = irqchip_route(4, KVM_IRQCHIP_PIC_MASTER, 4),
		other_pic = irqchip_route(4, KVM_IRQCHIP_PIC_SLAVE, 4),
		ioapic = irqchip_route(4, KVM_IRQCHIP_IOAPIC, 4),
		other_pin = irqchip_route(4, KVM_IRQCHIP_IOAPIC, 5),
		other_gsi = irqchip_route(5, KVM_IRQCHIP_IOAPIC, 4),
		msi = msi_route(4, EDGE_MSI(0, VECTOR_A));
	const struct {
		const char *name;
		struct kvm_irq_routing_entry routes[3];
		int nr, err;
	} cases[] = {
		{ "PIC and IOAPIC", { pic, ioapic }, 2, 0 },
		{ "all irqchips", { pic, other_pic, ioapic }, 3, 0 },
		{ "one pin, two GSIs", { ioapic, other_gsi }, 2, 0 },
		{ "IOAPIC pin twice", { ioapic, ioapic }, 2, EINVAL },
		{ "two IOAPIC pins", { ioapic, pic, other_pin }, 3, EINVAL },
		{ "IOAPIC, then MSI", { ioapic, msi }, 2, EINVAL },
		{ "MSI, then IOAPIC", { msi, ioapic }, 2, EINVAL },
	};
	struct kvm_vm *vm = vm_create_barebones();
	int i, err;

	vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		err = __set_routes(vm, cases[i].routes, cases[i].nr, 0);
		TEST_ASSERT(err == cases[i].err, "%s: errno %d, wanted %d",
			    cases[i].name, err, cases[i].err);
	}
	kvm_vm_free(vm);
}

TEST(irqchip_pin_range_full_irqchip)
{
	static const struct {
		u32 irqchip, pin;
		int err;
	} cases[] = {
		{ KVM_IRQCHIP_PIC_MASTER, 7, 0 },
		{ KVM_IRQCHIP_PIC_MASTER, 8, EINVAL },
		{ KVM_IRQCHIP_PIC_SLAVE, 7, 0 },
		{ KVM_IRQCHIP_PIC_SLAVE, 8, EINVAL },
		/* KVM keeps the first pin as 8, and the last one as 15. */
		{ KVM_IRQCHIP_PIC_SLAVE, 0, 0 },
		{ KVM_IRQCHIP_PIC_SLAVE, 8, EINVAL },
		{ KVM_IRQCHIP_PIC_SLAVE, 7, 0 },
		{ KVM_IRQCHIP_PIC_SLAVE, 15, EINVAL },
		{ KVM_IRQCHIP_PIC_SLAVE, -1u, EINVAL },
		{ KVM_IRQCHIP_IOAPIC, KVM_IOAPIC_NUM_PINS - 1, 0 },
		{ KVM_IRQCHIP_IOAPIC, KVM_IOAPIC_NUM_PINS, EINVAL },
		{ KVM_NR_IRQCHIPS, 0, EINVAL },
	};
	struct kvm_vm *vm = vm_create_barebones();
	int i, err;

	vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct kvm_irq_routing_entry route =
			irqchip_route(0, cases[i].irqchip, cases[i].pin);

		err = __set_routes(vm, &route, 1, 0);
		TEST_ASSERT(err == cases[i].err, "irqchip %u, pin %u: errno %d, wanted %d",
			    cases[i].irqchip, cases[i].pin, err, cases[i].err);
	}
	kvm_vm_free(vm);
}

/* KVM's own IOAPIC takes the EOIs, and MSI routes are delivered without one. */
TEST(msi_routes_full_irqchip)
{
	struct kvm_vm *vm = vm_create(1);
	struct irq_cpu cpu;

	irq_cpu_add(&cpu, vm, 0, guest_xapic);
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(100, EDGE_MSI(0, VECTOR_B)));
	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 1);
	TEST_ASSERT_EQ(irq_line_status(vm, 100, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B, VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SIGNAL_MSI));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD));

	return test_harness_run(argc, argv);
}
