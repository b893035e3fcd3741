// SPDX-License-Identifier: GPL-2.0
/*
 * irqfds with a split irqchip: which are refused, and which route an irqfd
 * follows while the table shrinks, grows and changes.
 */
#include <sys/eventfd.h>

#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24

#define VECTOR_A	0x31
#define VECTOR_B	0x42

#define GSI		40
#define GSI_PIN		5

/* Returns 0 or the errno of KVM_IRQFD. */
static int assign_resample_irqfd(struct kvm_vm *vm, u32 gsi, int eventfd, int resamplefd)
{
	struct kvm_irqfd irqfd = {
		.fd = eventfd,
		.gsi = gsi,
		.flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = resamplefd,
	};

	return __vm_ioctl(vm, KVM_IRQFD, &irqfd) ? errno : 0;
}

static void fire(int eventfd)
{
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
}

/*
 * An irqfd whose route cannot be taken in the context of the write injects later.
 * De-assigning waits for that.
 */
static void fire_and_deassign(struct kvm_vm *vm, u32 gsi, int eventfd)
{
	fire(eventfd);
	kvm_deassign_irqfd(vm, gsi, eventfd);
}

TEST(resample_refused)
{
	static const u32 gsis[] = { 0, GSI_PIN, NR_PINS - 1, NR_PINS, GSI };
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd(), resamplefd = kvm_new_eventfd();
	int i, err;

	SET_ROUTES(vm, msi_route(GSI_PIN, LEVEL_MSI(0, VECTOR_A)),
		   msi_route(GSI, EDGE_MSI(0, VECTOR_B)));

	/* With a route and without, inside the window and outside. */
	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		err = assign_resample_irqfd(vm, gsis[i], eventfd, resamplefd);
		TEST_ASSERT(err == EINVAL, "GSI %u: errno %d", gsis[i], err);
	}

	/* Nothing was left behind: the eventfd is free for a plain irqfd. */
	kvm_assign_irqfd(vm, GSI, eventfd);
	fire(eventfd);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);
	close(eventfd);
	close(resamplefd);
	kvm_vm_free(vm);
}

TEST(resample_accepted_with_full_irqchip)
{
	struct kvm_vm *vm = vm_create_barebones();
	int eventfd = kvm_new_eventfd(), resamplefd = kvm_new_eventfd();

	TEST_ASSERT_EQ(assign_resample_irqfd(vm, GSI_PIN, eventfd, resamplefd), EINVAL);
	vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	TEST_ASSERT_EQ(assign_resample_irqfd(vm, GSI_PIN, eventfd, resamplefd), 0);
	close(eventfd);
	close(resamplefd);
	kvm_vm_free(vm);
}

TEST(no_irqchip_refused)
{
	struct kvm_vm *vm = vm_create_barebones();
	int eventfd = kvm_new_eventfd();

	TEST_ASSERT_EQ(__kvm_irqfd(vm, GSI, eventfd, 0), -1);
	TEST_ASSERT_EQ(errno, EINVAL);

	vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, NR_PINS);
	TEST_ASSERT_EQ(__kvm_irqfd(vm, GSI, eventfd, 0), 0);
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(unknown_flags_refused)
{
	struct kvm_vm *vm = vm_create_barebones();
	int bit, err, eventfd = kvm_new_eventfd();

	vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, NR_PINS);
	for (bit = 2; bit < 32; bit++) {
		err = __kvm_irqfd(vm, GSI, eventfd, BIT(bit)) ? errno : 0;
		TEST_ASSERT(err == EINVAL, "flag %d: errno %d", bit, err);
	}
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(msi_delivered)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
	int i, eventfds[2];

	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)),
		   msi_route(GSI + 1, EDGE_MSI(1, VECTOR_B)));
	for (i = 0; i < 2; i++) {
		eventfds[i] = kvm_new_eventfd();
		kvm_assign_irqfd(vm, GSI + i, eventfds[i]);
	}

	for (i = 0; i < 3; i++) {
		fire(eventfds[0]);
		EXPECT_IDLE(&cpus[1]);
		EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), NO_VECTORS);
		fire(eventfds[1]);
		EXPECT_IDLE(&cpus[0]);
		EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_B), NO_VECTORS);
	}

	/* Whatever is added to the counter at once is one IRQ. */
	TEST_ASSERT_EQ(eventfd_write(eventfds[0], 5), 0);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_IDLE(&cpus[0]);
	for (i = 0; i < 2; i++)
		close(eventfds[i]);
	kvm_vm_free(vm);
}

TEST(level_msi_exits_at_eoi)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int i, eventfd = kvm_new_eventfd();

	SET_ROUTES(vm, msi_route(GSI_PIN, LEVEL_MSI(0, VECTOR_A)));
	kvm_assign_irqfd(vm, GSI_PIN, eventfd);

	for (i = 0; i < 3; i++) {
		fire(eventfd);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	}
	EXPECT_IDLE(&cpu);
	close(eventfd);
	kvm_vm_free(vm);
}

/* To all vCPUs KVM cannot deliver in the context of the write. */
TEST(broadcast_msi_delivered)
{
	struct irq_cpu cpus[3];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 3, NR_PINS, guest_xapic);
	int i, eventfd = kvm_new_eventfd();

	SET_ROUTES(vm, msi_route(GSI_PIN, LEVEL_MSI(XAPIC_BROADCAST, VECTOR_A)));
	kvm_assign_irqfd(vm, GSI_PIN, eventfd);
	fire_and_deassign(vm, GSI_PIN, eventfd);

	for (i = 0; i < ARRAY_SIZE(cpus); i++)
		EXPECT_TAKE(&cpus[i], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(several_irqfds_on_one_gsi)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int i, eventfds[3];

	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	for (i = 0; i < ARRAY_SIZE(eventfds); i++) {
		eventfds[i] = kvm_new_eventfd();
		kvm_assign_irqfd(vm, GSI, eventfds[i]);
	}
	for (i = 0; i < ARRAY_SIZE(eventfds); i++) {
		fire(eventfds[i]);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	}

	/* All of them follow an update, and one can go without the others. */
	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	kvm_deassign_irqfd(vm, GSI, eventfds[0]);
	fire(eventfds[0]);
	EXPECT_IDLE(&cpu);
	for (i = 1; i < ARRAY_SIZE(eventfds); i++) {
		fire(eventfds[i]);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);
	}
	for (i = 0; i < ARRAY_SIZE(eventfds); i++)
		close(eventfds[i]);
	kvm_vm_free(vm);
}

/* An event from before the irqfd is injected when the irqfd is assigned. */
TEST(pending_event_delivered_at_assign)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd();

	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	fire(eventfd);
	EXPECT_IDLE(&cpu);
	kvm_assign_irqfd(vm, GSI, eventfd);
	kvm_deassign_irqfd(vm, GSI, eventfd);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(gsi_without_route)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd();

	SET_ROUTES(vm, msi_route(GSI - 1, EDGE_MSI(0, VECTOR_A)),
		   msi_route(GSI + 1, EDGE_MSI(0, VECTOR_B)));
	kvm_assign_irqfd(vm, GSI, eventfd);
	fire_and_deassign(vm, GSI, eventfd);
	EXPECT_IDLE(&cpu);
	close(eventfd);
	kvm_vm_free(vm);
}

/* KVM_IRQFD does not check the GSI, which may be none that a table can have. */
TEST(gsi_beyond_table)
{
	static const u32 gsis[] = {
		GSI, GSI + 1, KVM_MAX_IRQ_ROUTES - 1, KVM_MAX_IRQ_ROUTES, 0x7fffffff,
		0x80000000, 0x80000000 + GSI, ~0u,
	};
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int i;

	SET_ROUTES(vm, msi_route(GSI - 1, EDGE_MSI(0, VECTOR_A)));

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		int eventfd = kvm_new_eventfd();

		ksft_print_msg("GSI 0x%x\n", gsis[i]);
		kvm_assign_irqfd(vm, gsis[i], eventfd);
		/* An update looks the GSI up again. */
		SET_ROUTES(vm, msi_route(GSI - 1, EDGE_MSI(0, VECTOR_B)));
		fire_and_deassign(vm, gsis[i], eventfd);
		EXPECT_IDLE(&cpu);
		close(eventfd);
	}

	TEST_ASSERT_EQ(irq_line_status(vm, GSI - 1, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(table_shrinks)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd();

	SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, VECTOR_B)),
		   msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	kvm_assign_irqfd(vm, GSI, eventfd);
	fire(eventfd);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, VECTOR_B)));
	fire_and_deassign(vm, GSI, eventfd);
	EXPECT_IDLE(&cpu);
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(table_shrinks_and_grows)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int i, eventfd = kvm_new_eventfd();

	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	kvm_assign_irqfd(vm, GSI, eventfd);

	for (i = 0; i < 3; i++) {
		SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, VECTOR_B)));
		EXPECT_IDLE(&cpu);
		SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
		fire(eventfd);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	}
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(table_grows_to_irqfd)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd();

	kvm_assign_irqfd(vm, GSI, eventfd);

	SET_ROUTES(vm, msi_route(GSI - 1, EDGE_MSI(0, VECTOR_B)));
	EXPECT_IDLE(&cpu);
	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	fire(eventfd);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	close(eventfd);
	kvm_vm_free(vm);
}

/* From each route to each other one, with the irqfd assigned all the time. */
TEST(follows_route)
{
	static const struct {
		struct msi msi;
		u32 cpu;
		bool exits;
	} routes[] = {
		{ EDGE_MSI(0, VECTOR_A), 0, false },
		{ EDGE_MSI(1, VECTOR_A), 1, false },
		{ LEVEL_MSI(1, VECTOR_A), 1, true },
		{ LEVEL_MSI(0, VECTOR_B), 0, true },
		{ LEVEL_MSI(0, VECTOR_A), 0, true },
		{ EDGE_MSI(0, VECTOR_B), 0, false },
	};
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd();
	int i, from, to;

	kvm_assign_irqfd(vm, GSI_PIN, eventfd);

	for (i = 0; i < ARRAY_SIZE(routes) * ARRAY_SIZE(routes); i++) {
		const struct msi *msi;

		from = i / ARRAY_SIZE(routes);
		to = i % ARRAY_SIZE(routes);
		msi = &routes[to].msi;

		SET_ROUTES(vm, msi_route(GSI_PIN, routes[from].msi));
		/* Else what that may have sent and hardware posted would have to be reported. */
		if (host_posts_irqs()) {
			EXPECT_IDLE(&cpus[0]);
			EXPECT_IDLE(&cpus[1]);
		}
		SET_ROUTES(vm, msi_route(GSI_PIN, *msi));
		fire(eventfd);

		EXPECT_IDLE(&cpus[!routes[to].cpu]);
		if (routes[to].exits)
			EXPECT_TAKE(&cpus[routes[to].cpu], VECTORS(msi->vector),
				    VECTORS(msi->vector));
		else
			EXPECT_TAKE(&cpus[routes[to].cpu], VECTORS(msi->vector), NO_VECTORS);
	}
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(deassign_stops_delivery)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);
	int eventfd = kvm_new_eventfd();
	eventfd_t count;

	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	kvm_assign_irqfd(vm, GSI, eventfd);

	/* The wrong GSI is no error and de-assigns nothing. */
	kvm_deassign_irqfd(vm, GSI + 1, eventfd);
	fire(eventfd);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	kvm_deassign_irqfd(vm, GSI, eventfd);
	fire(eventfd);
	EXPECT_IDLE(&cpu);
	/* An update does not bring it back. */
	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	EXPECT_IDLE(&cpu);

	/* The event is the eventfd's again. */
	TEST_ASSERT_EQ(eventfd_read(eventfd, &count), 0);
	TEST_ASSERT_EQ(count, (eventfd_t)1);

	kvm_assign_irqfd(vm, GSI, eventfd);
	fire(eventfd);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);
	close(eventfd);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SIGNAL_MSI));

	return test_harness_run(argc, argv);
}
