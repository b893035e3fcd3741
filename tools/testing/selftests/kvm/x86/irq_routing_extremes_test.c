// SPDX-License-Identifier: GPL-2.0
/*
 * Numbers that userspace or the guest chooses, at both ends of what their type
 * holds and around the limits of KVM: VP indexes, SINTs, vectors, GSIs, pins and
 * destinations.  One that is out of range is refused, or leads nowhere; it is never
 * taken for another one, and it harms no route that is all right.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "irqroute_harness.h"
#include "synic.h"

#define NR_PINS		24

#define SINT		2

#define VECTOR_A	0x31
#define VECTOR_B	0x42
#define VECTOR_C	0x53

#define GSI_A		40
#define GSI_B		41

/* SINTs and local APICs don't deliver lower ones (SDM, "Valid Interrupt Vectors"). */
#define FIRST_VALID_VECTOR	16

static u32 max_vcpus(void)
{
	return kvm_check_cap(KVM_CAP_MAX_VCPUS);
}

#define NR_VP_INDEXES	8

static u32 extreme_vp_index(int i)
{
	const u32 vp_indexes[NR_VP_INDEXES] = {
		0, 1, max_vcpus() - 1, max_vcpus(), 0x7fffffff, 0x80000000, 0x80000001, ~0u,
	};

	return vp_indexes[i];
}

/* What an irqfd can't inject at once, it injects later.  De-assigning waits for that. */
static void raise_by_irqfd(struct kvm_vm *vm, u32 gsi)
{
	int eventfd = kvm_new_eventfd();

	kvm_assign_irqfd(vm, gsi, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	kvm_deassign_irqfd(vm, gsi, eventfd);
	close(eventfd);
}

/* Raises @gsi in all ways, none of which reaches a vCPU. */
static void check_leads_nowhere(struct kvm_vm *vm, u32 gsi, const char *what, u32 number)
{
	int status = irq_line_status(vm, gsi, 1);

	TEST_ASSERT(status == -1, "%s 0x%x: status %d", what, number, status);
	TEST_ASSERT_EQ(_kvm_irq_line(vm, gsi, 1), 0);
	TEST_ASSERT_EQ(irq_line_status(vm, gsi, 0), -1);
	raise_by_irqfd(vm, gsi);
}

static void check_sint_arrives(struct kvm_vm *vm, struct irq_cpu *cpu, u32 gsi)
{
	TEST_ASSERT_EQ(irq_line_status(vm, gsi, 1), 1);
	EXPECT_TAKE(cpu, VECTORS(VECTOR_A), NO_VECTORS);
	raise_by_irqfd(vm, gsi);
	EXPECT_TAKE(cpu, VECTORS(VECTOR_A), NO_VECTORS);
}

/* VP indexes */

TEST(vp_index_without_vcpus)
{
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	int i;

	for (i = 0; i < NR_VP_INDEXES; i++) {
		SET_ROUTES(vm, sint_route(GSI_A, extreme_vp_index(i), SINT));
		check_leads_nowhere(vm, GSI_A, "VP index", extreme_vp_index(i));
	}
	kvm_vm_free(vm);
}

/* Of all VP indexes that a route may name, only @vp_index leads to the vCPU that has it. */
static void check_vp_index(u32 vp_index)
{
	struct kvm_irq_routing_entry routes[NR_VP_INDEXES + 1];
	struct kvm_vm *vm = vm_create(1);
	struct irq_cpu cpu;
	int i;

	ksft_print_msg("VP index %u\n", vp_index);

	synic_cpu_add(&cpu, vm, 0, vp_index);
	set_sint(&cpu, SINT, VECTOR_A);

	for (i = 0; i < NR_VP_INDEXES; i++)
		routes[i] = sint_route(GSI_A + i, extreme_vp_index(i), SINT);
	routes[i] = sint_route(GSI_A + i, vp_index, SINT);
	TEST_ASSERT_EQ(__set_routes(vm, routes, ARRAY_SIZE(routes), 0), 0);

	for (i = 0; i < NR_VP_INDEXES; i++) {
		if (extreme_vp_index(i) == vp_index) {
			check_sint_arrives(vm, &cpu, GSI_A + i);
		} else {
			check_leads_nowhere(vm, GSI_A + i, "VP index", extreme_vp_index(i));
			EXPECT_IDLE(&cpu);
		}
		/* Where one was looked for before must not matter to another one. */
		check_sint_arrives(vm, &cpu, GSI_A + NR_VP_INDEXES);
	}
	kvm_vm_free(vm);
}

TEST(vp_index_of_vcpu_is_another_one)
{
	check_vp_index(5);
}

TEST(vp_index_of_vcpu_is_0)
{
	check_vp_index(0);
}

TEST(vp_index_of_vcpu_is_1)
{
	check_vp_index(1);
}

TEST(vp_index_of_vcpu_is_highest)
{
	check_vp_index(max_vcpus() - 1);
}

/* Userspace may write what a route can lead to, and nothing else. */
TEST(vp_index_written_by_userspace)
{
	struct kvm_vm *vm = vm_create(1);
	struct irq_cpu cpu;
	u32 vp_index;
	int i;

	synic_cpu_add(&cpu, vm, 0, 5);
	set_sint(&cpu, SINT, VECTOR_A);

	for (i = 0; i < NR_VP_INDEXES; i++) {
		vp_index = extreme_vp_index(i);
		ksft_print_msg("VP index 0x%x\n", vp_index);

		TEST_ASSERT_EQ(_vcpu_set_msr(cpu.vcpu, HV_X64_MSR_VP_INDEX, 5), 1);
		TEST_ASSERT_EQ(_vcpu_set_msr(cpu.vcpu, HV_X64_MSR_VP_INDEX, vp_index),
			       vp_index < max_vcpus());
		SET_ROUTES(vm, sint_route(GSI_A, vp_index, SINT), sint_route(GSI_B, 5, SINT));

		if (vp_index < max_vcpus()) {
			TEST_ASSERT_EQ(vcpu_get_msr(cpu.vcpu, HV_X64_MSR_VP_INDEX), (u64)vp_index);
			check_sint_arrives(vm, &cpu, GSI_A);
			check_leads_nowhere(vm, GSI_B, "VP index", 5);
		} else {
			TEST_ASSERT_EQ(vcpu_get_msr(cpu.vcpu, HV_X64_MSR_VP_INDEX), (u64)5);
			check_leads_nowhere(vm, GSI_A, "VP index", vp_index);
			check_sint_arrives(vm, &cpu, GSI_B);
		}
		EXPECT_IDLE(&cpu);
	}
	kvm_vm_free(vm);
}

static void guest_wrmsr_refused(u64 msr, u64 val)
{
	GUEST_ASSERT_EQ(wrmsr_safe(msr, val), GP_VECTOR);
}

/* The guest may only read it. */
TEST(vp_index_written_by_guest)
{
	struct kvm_vm *vm = vm_create(1);
	struct irq_cpu cpu;
	int i;

	synic_cpu_add(&cpu, vm, 0, 5);
	set_sint(&cpu, SINT, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 5, SINT));

	for (i = 0; i < NR_VP_INDEXES; i++) {
		irq_cpu_call(&cpu, guest_wrmsr_refused, HV_X64_MSR_VP_INDEX, extreme_vp_index(i));
		TEST_ASSERT_EQ(vcpu_get_msr(cpu.vcpu, HV_X64_MSR_VP_INDEX), (u64)5);
		check_sint_arrives(vm, &cpu, GSI_A);
	}
	kvm_vm_free(vm);
}

/*
 * A vCPU whose creation fails late.
 *
 * KVM puts a vCPU where others find it by its index, and counts it as online only
 * once it has a file descriptor.  If it can't have one, then it is freed.  Nobody may
 * have found it meanwhile, also not by a VP index that is no index at all: one of
 * 2^31 and more is negative where the index is an int.
 *
 * The creation has to wait for its file descriptor, in a table that another thread
 * makes larger, for which it waits until an RCU grace period is over.  The other
 * thread then takes the one that RLIMIT_NOFILE has left.  Meanwhile, threads look for
 * the vCPU, and are interrupted as soon as the creation goes on.
 *
 * What is wrong then is KASAN's to tell.
 */
#define NR_FDS		64	/* in a table that has not been made larger yet */
#define NR_LINE_THREADS	3
#define NR_ROUNDS	60

struct late_failure {
	struct kvm_vm *vm;
	int eventfd;
	bool taken;
	bool stop;
};

static void *take_last_fd(void *arg)
{
	struct late_failure *f = arg;

	WRITE_ONCE(f->taken, true);
	dup(f->eventfd);
	return NULL;
}

/* Returns 0 or the errno of KVM_CREATE_VCPU. */
static void *create_vcpu_without_fd(void *arg)
{
	const struct sched_param param = { .sched_priority = 1 };
	struct late_failure *f = arg;
	pthread_t thread;
	int fd;

	/* Both threads go on at once when they may.  Where that isn't allowed, do without. */
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);

	TEST_ASSERT_EQ(unshare(CLONE_FILES), 0);
	do {
		fd = dup(f->eventfd);
		TEST_ASSERT(fd >= 0 && fd < NR_FDS, "dup() returned %d, errno %d", fd, errno);
	} while (fd < NR_FDS - 1);

	TEST_ASSERT_EQ(pthread_create(&thread, NULL, take_last_fd, f), 0);
	while (!READ_ONCE(f->taken))
		sched_yield();

	fd = __vm_ioctl(f->vm, KVM_CREATE_VCPU, NULL);
	fd = fd < 0 ? errno : 0;
	TEST_ASSERT_EQ(pthread_join(thread, NULL), 0);
	return (void *)(long)fd;
}

/* The routes of GSI_A and GSI_B lead to VP indexes that are negative as an int. */
static void *raise_lines(void *arg)
{
	struct late_failure *f = arg;

	while (!READ_ONCE(f->stop)) {
		TEST_ASSERT_EQ(irq_line_status(f->vm, GSI_A, 1), -1);
		TEST_ASSERT_EQ(irq_line_status(f->vm, GSI_B, 1), -1);
	}
	return NULL;
}

static void *raise_irqfd(void *arg)
{
	struct late_failure *f = arg;

	while (!READ_ONCE(f->stop))
		TEST_ASSERT_EQ(eventfd_write(f->eventfd, 1), 0);
	return NULL;
}

static int create_late_failure(void)
{
	struct late_failure f = { .eventfd = kvm_new_eventfd() };
	pthread_t lines[NR_LINE_THREADS], irqfd, creator;
	void *err;
	int i;

	f.vm = vm_create_barebones();
	vm_enable_cap(f.vm, KVM_CAP_SPLIT_IRQCHIP, NR_PINS);
	SET_ROUTES(f.vm, sint_route(GSI_A, 0x80000000, SINT), sint_route(GSI_B, ~0u, SINT));
	kvm_assign_irqfd(f.vm, GSI_A, f.eventfd);

	for (i = 0; i < NR_LINE_THREADS; i++)
		TEST_ASSERT_EQ(pthread_create(&lines[i], NULL, raise_lines, &f), 0);
	TEST_ASSERT_EQ(pthread_create(&irqfd, NULL, raise_irqfd, &f), 0);
	TEST_ASSERT_EQ(pthread_create(&creator, NULL, create_vcpu_without_fd, &f), 0);

	TEST_ASSERT_EQ(pthread_join(creator, &err), 0);
	WRITE_ONCE(f.stop, true);
	for (i = 0; i < NR_LINE_THREADS; i++)
		TEST_ASSERT_EQ(pthread_join(lines[i], NULL), 0);
	TEST_ASSERT_EQ(pthread_join(irqfd, NULL), 0);

	close(f.eventfd);
	kvm_vm_free(f.vm);
	return (long)err;
}

TEST(vp_index_of_vcpu_whose_creation_fails)
{
	const struct rlimit limit = { NR_FDS + 1, NR_FDS + 1 };
	int i, err, nr_failed = 0;

	TEST_ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);

	for (i = 0; i < NR_ROUNDS; i++) {
		err = create_late_failure();
		/* The creation may also have been first. */
		TEST_ASSERT(!err || err == EMFILE, "KVM_CREATE_VCPU: errno %d", err);
		nr_failed += !!err;
	}
	ksft_print_msg("%d of %d vCPUs were not created\n", nr_failed, NR_ROUNDS);
}

/* SINTs */

/* A route to a SINT that isn't there is for nobody, neither there nor back. */
TEST(sint_of_route)
{
	static const u32 sints[] = {
		HV_NR_SINTS, 0x100 + SINT, 0x10000 + SINT, 0x7fffffff, 0x80000000,
		0x80000000 + SINT, ~0u - 1, ~0u,
	};
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd good = resample_irqfd_new(vm, GSI_A);
	struct resample_irqfd bad = resample_irqfd_new(vm, GSI_B);
	int i;

	set_sint(&cpu, SINT, VECTOR_A);
	for (i = 0; i < ARRAY_SIZE(sints); i++) {
		ksft_print_msg("SINT 0x%x\n", sints[i]);
		SET_ROUTES(vm, sint_route(GSI_A, 0, SINT), sint_route(GSI_B, 0, sints[i]));

		check_leads_nowhere(vm, GSI_B, "SINT", sints[i]);
		resample_irqfd_raise(&bad);
		EXPECT_IDLE(&cpu);
		irq_cpu_call(&cpu, guest_eom, 0, 0);
		EXPECT_ACKS(&good, 1);
		EXPECT_ACKS(&bad, 0);

		resample_irqfd_raise(&good);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
		EXPECT_ACKS(&good, 1);
		EXPECT_ACKS(&bad, 0);
	}
	resample_irqfd_free(&good);
	resample_irqfd_free(&bad);
	kvm_vm_free(vm);
}

static const u8 valid_vectors[] = { FIRST_VALID_VECTOR, 31, 32, 254, 255 };
static const u8 low_vectors[] = { 0, 1, FIRST_VALID_VECTOR - 1 };

/* The guest takes IRQs also where exceptions are. */
static void handle_valid_vectors(struct kvm_vm *vm)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(valid_vectors); i++)
		vm_install_exception_handler(vm, valid_vectors[i], guest_irq_handler);
}

TEST(vector_of_sint)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, GSI_A);
	u64 sint;
	int i;

	handle_valid_vectors(vm);
	SET_ROUTES(vm, sint_route(GSI_A, 0, SINT));

	for (i = 0; i < ARRAY_SIZE(valid_vectors); i++) {
		irq_cpu_call(&cpu, guest_wrmsr, HV_X64_MSR_SINT0 + SINT, valid_vectors[i]);
		resample_irqfd_raise(&irqfd);
		EXPECT_TAKE(&cpu, VECTORS(valid_vectors[i]), NO_VECTORS);
		EXPECT_ACKS(&irqfd, 1);

		/* What else is in the register is no part of the vector. */
		sint = ~0xffull & ~HV_SINT_MASKED & ~HV_SINT_AUTO_EOI;
		set_sint(&cpu, SINT, sint | valid_vectors[i]);
		resample_irqfd_raise(&irqfd);
		EXPECT_TAKE(&cpu, VECTORS(valid_vectors[i]), NO_VECTORS);
		EXPECT_ACKS(&irqfd, 1);
	}
	resample_irqfd_free(&irqfd);
	kvm_vm_free(vm);
}

/* Only a masked SINT may have one of these. */
TEST(low_vector_of_sint_written_by_guest)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	u64 masked;
	int i;

	SET_ROUTES(vm, sint_route(GSI_A, 0, SINT));

	for (i = 0; i < ARRAY_SIZE(low_vectors); i++) {
		irq_cpu_call(&cpu, guest_wrmsr, HV_X64_MSR_SINT0 + SINT, VECTOR_A);
		irq_cpu_call(&cpu, guest_wrmsr_refused, HV_X64_MSR_SINT0 + SINT, low_vectors[i]);
		TEST_ASSERT_EQ(vcpu_get_msr(cpu.vcpu, HV_X64_MSR_SINT0 + SINT), (u64)VECTOR_A);
		check_sint_arrives(vm, &cpu, GSI_A);

		masked = low_vectors[i] | HV_SINT_MASKED;
		irq_cpu_call(&cpu, guest_wrmsr, HV_X64_MSR_SINT0 + SINT, masked);
		TEST_ASSERT_EQ(vcpu_get_msr(cpu.vcpu, HV_X64_MSR_SINT0 + SINT), masked);
		check_leads_nowhere(vm, GSI_A, "masked vector", low_vectors[i]);
		EXPECT_IDLE(&cpu);
	}
	kvm_vm_free(vm);
}

/* Userspace may unmask one with a low vector, which the local APIC keeps to itself. */
TEST(low_vector_of_sint_written_by_userspace)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, GSI_A);
	int i;

	set_sint(&cpu, SINT + 1, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, SINT), sint_route(GSI_B, 0, SINT + 1));

	for (i = 0; i < ARRAY_SIZE(low_vectors); i++) {
		set_sint(&cpu, SINT, low_vectors[i]);
		TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
		resample_irqfd_raise(&irqfd);
		EXPECT_IDLE(&cpu);
		EXPECT_ACKS(&irqfd, 0);
		check_sint_arrives(vm, &cpu, GSI_B);
		EXPECT_ACKS(&irqfd, 0);
	}
	resample_irqfd_free(&irqfd);
	kvm_vm_free(vm);
}

/* Vectors of level-triggered routes */

TEST(vector_of_level_route)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_x2apic);
	u8 vector;
	int i;

	handle_valid_vectors(vm);

	for (i = 0; i < ARRAY_SIZE(valid_vectors); i++) {
		vector = valid_vectors[i];
		SET_ROUTES(vm, msi_route(NR_PINS - 1, LEVEL_MSI(0, vector)),
			   msi_route(NR_PINS, LEVEL_MSI(1, vector)));
		/* What is pending when a vCPU looks at new routes may be by an old one. */
		EXPECT_IDLE(&cpus[1]);

		TEST_ASSERT_EQ(irq_line_status(vm, NR_PINS - 1, 1), 1);
		EXPECT_TAKE(&cpus[0], VECTORS(vector), VECTORS(vector));
		raise_by_irqfd(vm, NR_PINS - 1);
		EXPECT_TAKE(&cpus[0], VECTORS(vector), VECTORS(vector));

		TEST_ASSERT_EQ(irq_line_status(vm, NR_PINS, 1), 1);
		EXPECT_TAKE(&cpus[1], VECTORS(vector), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

/* They are never taken, so that there is no EOI, and they hide no other vector. */
TEST(low_vector_of_level_route)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);
	int i, j;

	handle_valid_vectors(vm);

	for (i = 0; i < ARRAY_SIZE(low_vectors); i++) {
		SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, low_vectors[i])),
			   msi_route(1, LEVEL_MSI(0, FIRST_VALID_VECTOR)),
			   msi_route(2, LEVEL_MSI(0, 255)));
		TEST_ASSERT_EQ(irq_line_status(vm, 0, 1), 1);
		EXPECT_IDLE(&cpu);
		EXPECT_EOI(&cpu, NO_VECTORS);

		for (j = 1; j <= 2; j++)
			TEST_ASSERT_EQ(irq_line_status(vm, j, 1), 1);
		EXPECT_TAKE(&cpu, VECTORS(255, FIRST_VALID_VECTOR),
			    VECTORS(255, FIRST_VALID_VECTOR));

		/* Without routes, nothing is reported: what is pending does not count. */
		SET_ROUTES(vm);
		EXPECT_IDLE(&cpu);
		TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, FIRST_VALID_VECTOR)), 1);
		EXPECT_TAKE(&cpu, VECTORS(FIRST_VALID_VECTOR), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

/* GSIs and pins */

static const u32 bad_gsis[] = {
	MAX_ROUTES, MAX_ROUTES + GSI_A, 0x10000 + GSI_A, 0x7fffffff,
	0x80000000, 0x80000000 + GSI_A, ~0u - 1, ~0u,
};

/* No table may have them, and one that has them changes nothing. */
TEST(gsi_of_route)
{
	struct kvm_vm *vm = vm_create(1);
	const struct kvm_irq_routing_entry routes[] = {
		msi_route(0, EDGE_MSI(0, VECTOR_A)),
		sint_route(0, 0, SINT),
		irqchip_route(0, KVM_IRQCHIP_IOAPIC, 0),
	};
	struct kvm_irq_routing_entry bad, table[2];
	struct irq_cpu cpu;
	int i, j, err;

	irq_cpu_add(&cpu, vm, 0, guest_x2apic);
	SET_ROUTES(vm, msi_route(GSI_A, EDGE_MSI(0, VECTOR_B)),
		   msi_route(MAX_ROUTES - 1, EDGE_MSI(0, VECTOR_C)));

	for (i = 0; i < ARRAY_SIZE(bad_gsis) * ARRAY_SIZE(routes); i++) {
		bad = routes[i % ARRAY_SIZE(routes)];
		bad.gsi = bad_gsis[i / ARRAY_SIZE(routes)];

		/* Before and after one that is all right. */
		for (j = 0; j < 2; j++) {
			table[j] = bad;
			table[!j] = msi_route(GSI_A, EDGE_MSI(0, VECTOR_A));
			err = __set_routes(vm, table, ARRAY_SIZE(table), 0);
			TEST_ASSERT(err == EINVAL, "GSI 0x%x, type %u: errno %d",
				    bad.gsi, bad.type, err);
		}

		TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
		TEST_ASSERT_EQ(irq_line_status(vm, MAX_ROUTES - 1, 1), 1);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_C, VECTOR_B), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

/* Nor may it have a pin that an irqchip lacks. */
TEST(pin_of_route)
{
	static const u32 bad_pins[] = {
		KVM_IOAPIC_NUM_PINS, 0xff, 0x100, 0x7fffffff, 0x80000000, ~0u - 7, ~0u,
	};
	static const u32 bad_irqchips[] = {
		KVM_NR_IRQCHIPS, 0x100, 0x7fffffff, 0x80000000, ~0u,
	};
	struct kvm_irq_routing_entry route;
	struct kvm_vm *vm = vm_create(1);
	struct irq_cpu cpu;
	int i, err;

	irq_cpu_add(&cpu, vm, 0, guest_x2apic);
	SET_ROUTES(vm, msi_route(GSI_A, EDGE_MSI(0, VECTOR_A)));

	for (i = 0; i < ARRAY_SIZE(bad_pins) * KVM_NR_IRQCHIPS; i++) {
		route = irqchip_route(GSI_A, i % KVM_NR_IRQCHIPS, bad_pins[i / KVM_NR_IRQCHIPS]);
		err = __set_routes(vm, &route, 1, 0);
		TEST_ASSERT(err == EINVAL, "irqchip %u, pin 0x%x: errno %d",
			    route.u.irqchip.irqchip, route.u.irqchip.pin, err);
	}
	for (i = 0; i < ARRAY_SIZE(bad_irqchips); i++) {
		route = irqchip_route(GSI_A, bad_irqchips[i], 0);
		err = __set_routes(vm, &route, 1, 0);
		TEST_ASSERT(err == EINVAL, "irqchip 0x%x: errno %d", bad_irqchips[i], err);
	}

	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

/* KVM_IRQ_LINE and irqfds take any GSI.  Those without a route lead nowhere. */
static void check_bad_gsis(struct kvm_vm *vm, struct irq_cpu *cpu)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_gsis); i++) {
		check_leads_nowhere(vm, bad_gsis[i], "GSI", bad_gsis[i]);
		EXPECT_IDLE(cpu);
	}
}

TEST(gsi_raised)
{
	static const u32 gsis[] = {
		0, NR_PINS - 1, NR_PINS, GSI_A, MAX_ROUTES - 2, MAX_ROUTES - 1,
	};
	struct kvm_irq_routing_entry routes[ARRAY_SIZE(gsis)];
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);
	struct vectors exits;
	int i;

	for (i = 0; i < ARRAY_SIZE(gsis); i++)
		routes[i] = msi_route(gsis[i], LEVEL_MSI(0, VECTOR_A + i));
	TEST_ASSERT_EQ(__set_routes(vm, routes, ARRAY_SIZE(routes), 0), 0);

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		exits = gsis[i] < NR_PINS ? VECTORS(VECTOR_A + i) : NO_VECTORS;

		TEST_ASSERT_EQ(irq_line_status(vm, gsis[i], 1), 1);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A + i), exits);
		raise_by_irqfd(vm, gsis[i]);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A + i), exits);
	}
	check_bad_gsis(vm, &cpu);

	/* Nor do the others, once the table is as small as can be. */
	SET_ROUTES(vm);
	for (i = 0; i < ARRAY_SIZE(gsis); i++)
		check_leads_nowhere(vm, gsis[i], "GSI", gsis[i]);
	check_bad_gsis(vm, &cpu);
	kvm_vm_free(vm);
}

TEST(gsi_raised_with_full_irqchip)
{
	struct kvm_vm *vm = vm_create(1);
	struct irq_cpu cpu;

	irq_cpu_add(&cpu, vm, 0, guest_x2apic);
	SET_ROUTES(vm, msi_route(GSI_A, EDGE_MSI(0, VECTOR_A)));
	check_bad_gsis(vm, &cpu);

	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

/* Any level but 0 raises a line. */
TEST(level_of_line)
{
	static const u32 levels[] = { 1, 2, 0x100, 0x7fffffff, 0x80000000, ~0u };
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	struct irq_cpu cpu;
	int i;

	synic_cpu_add(&cpu, vm, 0, 0);
	set_sint(&cpu, SINT, VECTOR_A);
	SET_ROUTES(vm, msi_route(0, LEVEL_MSI(0, VECTOR_B)), sint_route(GSI_A, 0, SINT));

	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, levels[i]), 1);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
		TEST_ASSERT_EQ(irq_line_status(vm, 0, levels[i]), 1);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), VECTORS(VECTOR_B));
	}
	for (i = 0; i <= GSI_A; i += GSI_A)
		TEST_ASSERT_EQ(irq_line_status(vm, i, 0), -1);
	EXPECT_IDLE(&cpu);
	kvm_vm_free(vm);
}

/*
 * A resample irqfd may wait for any GSI.  -1 is also what KVM has for a pin or a SINT
 * without a route, whose EOI is for nobody.
 */
TEST(gsi_of_resample_irqfd)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd irqfds[ARRAY_SIZE(bad_gsis)], good = resample_irqfd_new(vm, GSI_A);
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_gsis); i++)
		irqfds[i] = resample_irqfd_new(vm, bad_gsis[i]);
	set_sint(&cpu, SINT, VECTOR_A);
	set_sint(&cpu, SINT + 1, VECTOR_B);
	SET_ROUTES(vm, sint_route(GSI_A, 0, SINT));

	for (i = 0; i < ARRAY_SIZE(bad_gsis); i++)
		resample_irqfd_raise(&irqfds[i]);
	EXPECT_IDLE(&cpu);

	TEST_ASSERT_EQ(signal_msi(vm, EDGE_MSI(0, VECTOR_B)), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);
	EXPECT_ACKS(&good, 0);
	resample_irqfd_raise(&good);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&good, 1);
	irq_cpu_call(&cpu, guest_eom, 0, 0);
	EXPECT_ACKS(&good, 1);

	for (i = 0; i < ARRAY_SIZE(bad_gsis); i++) {
		EXPECT_ACKS(&irqfds[i], 0);
		resample_irqfd_free(&irqfds[i]);
	}
	resample_irqfd_free(&good);
	kvm_vm_free(vm);
}

/* Without reserved pins, no EOI is for userspace. */
TEST(no_reserved_pins)
{
	static const u32 gsis[] = { 0, 1, NR_PINS, 255, 256, MAX_ROUTES - 1 };
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, 0, guest_x2apic);
	int i;

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		SET_ROUTES(vm, msi_route(gsis[i], LEVEL_MSI(0, VECTOR_A)));
		TEST_ASSERT_EQ(irq_line_status(vm, gsis[i], 1), 1);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

/* Destinations */

/* Who gets an MSI, one bit for each vCPU of the test. */
struct dest {
	u32 dest;
	u32 physical, logical;
};

static void check_msi(struct kvm_vm *vm, struct irq_cpu *cpus, u32 nr_cpus,
		      struct msi msi, u32 want)
{
	int i, status, nr = __builtin_popcount(want);

	SET_ROUTES(vm, msi_route(0, msi));

	status = irq_line_status(vm, 0, 1);
	TEST_ASSERT(nr ? status == nr : status <= 0, "%s destination 0x%x: status %d",
		    msi.logical ? "logical" : "physical", msi.dest, status);
	for (i = 0; i < nr_cpus; i++) {
		if (want & BIT(i))
			EXPECT_TAKE(&cpus[i], VECTORS(msi.vector), VECTORS(msi.vector));
		else
			EXPECT_IDLE(&cpus[i]);
	}

	/* Which vCPUs report an EOI does not depend on how the IRQ came. */
	for (i = 0; i < nr_cpus; i++) {
		TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(cpus[i].vcpu->id, msi.vector)), 1);
		EXPECT_TAKE(&cpus[i], VECTORS(msi.vector),
			    want & BIT(i) ? VECTORS(msi.vector) : NO_VECTORS);
	}
}

static void check_dests(void (*apic_mode)(void), u64 x2apic_api, const u32 *ids, u32 nr_cpus,
			const struct dest *dests, int nr_dests)
{
	struct kvm_vm *vm = vm_create_split(nr_cpus, NR_PINS);
	struct irq_cpu cpus[4];
	int i;

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, x2apic_api);
	for (i = 0; i < nr_cpus; i++)
		irq_cpu_add(&cpus[i], vm, ids[i], apic_mode);

	for (i = 0; i < nr_dests; i++) {
		const struct dest *d = &dests[i];

		check_msi(vm, cpus, nr_cpus, LEVEL_MSI(d->dest, VECTOR_A), d->physical);
		check_msi(vm, cpus, nr_cpus, LEVEL_MSI(d->dest, VECTOR_A, .logical = true),
			  d->logical);
	}
	kvm_vm_free(vm);
}

#define CHECK_DESTS(_apic_mode, _x2apic_api, _ids, _nr_cpus, ...)		\
do {										\
	const struct dest __dests[] = { __VA_ARGS__ };				\
										\
	check_dests(_apic_mode, _x2apic_api, _ids, _nr_cpus, __dests,		\
		    ARRAY_SIZE(__dests));					\
} while (0)

/* The upper half of the address means nothing. */
TEST(dest_xapic)
{
	static const u32 ids[] = { 0, 1, 0xfe };

	CHECK_DESTS(guest_xapic, 0, ids, ARRAY_SIZE(ids),
		    { 0, 0b001, 0 },
		    { 0xfe, 0b100, 0 },
		    { 0xff, 0b111, 0b111 },
		    { 0x100, 0b001, 0 },
		    { 0xffff0000, 0b001, 0 },
		    { ~0u, 0b111, 0b111 });
}

/* The upper half is part of the destination. */
TEST(dest_xapic_32bit)
{
	static const u32 ids[] = { 0, 1, 0xfe };

	CHECK_DESTS(guest_xapic, KVM_X2APIC_API_USE_32BIT_IDS, ids, ARRAY_SIZE(ids),
		    { 0, 0b001, 0 },
		    { 0xfe, 0b100, 0 },
		    { 0xff, 0b111, 0b111 },
		    { 0x100, 0, 0 },
		    { 0xffff0000, 0, 0 },
		    { ~0u, 0, 0 });
}

TEST(dest_x2apic_quirk)
{
	static const u32 ids[] = { 0, 1, 0xfe };

	CHECK_DESTS(guest_x2apic, 0, ids, ARRAY_SIZE(ids),
		    { 0, 0b001, 0 },
		    { 0xfe, 0b100, 0b010 },
		    { 0xff, 0b111, 0b111 },
		    { 0x100, 0b001, 0 },
		    { 0xffff0000, 0b001, 0 },
		    { ~0u, 0b111, 0b111 });
}

TEST(dest_x2apic_no_quirk)
{
	static const u32 ids[] = { 0, 0xfe, 0xff };

	CHECK_DESTS(guest_x2apic, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK, ids, ARRAY_SIZE(ids),
		    { 0, 0b001, 0 },
		    { 0xfe, 0b010, 0 },
		    { 0xff, 0b100, 0b001 },
		    { 0x100, 0b001, 0 },
		    { 0xffff0000, 0b001, 0 },
		    { ~0u, 0b100, 0b001 });
}

/*
 * A broadcast of 32 bits is left out: KVM reports EOIs as if it reached all vCPUs, but
 * delivers it to none.
 */
TEST(dest_x2apic_quirk_32bit)
{
	static const u32 ids[] = { 0, 0xfe, 0x100 };

	CHECK_DESTS(guest_x2apic, KVM_X2APIC_API_USE_32BIT_IDS, ids, ARRAY_SIZE(ids),
		    { 0, 0b001, 0 },
		    { 0xfe, 0b010, 0 },
		    { 0xff, 0b111, 0b111 },
		    { 0x100, 0b100, 0 },
		    { 0xffff0000, 0, 0 });
}

TEST(dest_x2apic_no_quirk_32bit)
{
	static const u32 ids[] = { 0, 0xfe, 0xff, 0x100 };

	CHECK_DESTS(guest_x2apic, KVM_X2APIC_API_USE_32BIT_IDS |
				  KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
		    ids, ARRAY_SIZE(ids),
		    { 0, 0b0001, 0 },
		    { 0xfe, 0b0010, 0 },
		    { 0xff, 0b0100, 0b0001 },
		    { 0x100, 0b1000, 0 },
		    { 0x000fc000, 0, 0b0110 },
		    { 0x00100001, 0, 0b1000 },
		    { 0xffff0000, 0, 0 },
		    { ~0u, 0b1111, 0b1111 });
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_VP_INDEX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SYS_HYPERV_CPUID));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SIGNAL_MSI));

	return test_harness_run(argc, argv);
}
