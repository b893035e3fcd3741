// SPDX-License-Identifier: GPL-2.0
/*
 * SPIs raised by irqfds: how often the guest takes them, how often their
 * resamplefds are signaled, and what their lines are in the end.
 *
 * KVM learns from a list register what the guest has done with an SPI, and looks
 * at it when the vCPU exits.  So it matters whether there is an exit between
 * acknowledge and EOI, and every test of a handler is done with and without one.
 *
 * vCPUs run from one GUEST_SYNC() to the next, and but for one test, one at a time,
 * which makes each count exact.
 */
#include <linux/sizes.h>
#include <pthread.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "gic.h"
#include "gic_v3.h"
#include "irqfd.h"
#include "processor.h"
#include "ucall.h"
#include "vgic.h"

/* The default routes: GSI n is SPI n. */
#define GSI(_intid)	((_intid) - MIN_SPI)

/* SPIs 32 to 63 are what the library's vGIC has. */
#define SPI_WARM_UP	(MIN_SPI + 7)
#define SPI_A		(MIN_SPI + 8)
#define SPI_B		(MIN_SPI + 9)

/* No implementation has more list registers than 16. */
#define FIRST_OF_MANY	(MIN_SPI + 10)
#define NR_MANY		20

/* The handler gives up on a line that nobody lowers. */
#define MAX_TAKEN	50

/* Priorities of group 1 interrupts that preempt each other, from low to high. */
#define NR_NESTED	8
#define NESTED_PRIO(_i)	(0xe0 - (_i) * 0x10)

struct config {
	bool edge;		/* the SPIs' trigger */
	bool exit;		/* between acknowledge and EOI */
	bool split;		/* EOI and deactivation are two writes */
	u32 no_dir;		/* the SPI that the handler doesn't deactivate */
	u32 lower_after;	/* ask the host to lower the line, after that many times */
};

enum op { OP_NONE, OP_DIR, OP_GET_ACTIVE, OP_NEST, OP_SPIN };

/* What a vCPU does next, set by the host. */
static struct request {
	enum op op;
	u32 intid;
	u32 result;
} request;

static struct config config;
static u32 nr_cpus;
static bool spin, spinning;
static u32 nr_taken[MAX_SPI + 1];

#define SYNC_LOWER	1

static void guest_irq_handler(struct ex_regs *regs)
{
	u32 intid = gic_get_and_ack_irq();

	if (intid == IAR_SPURIOUS)
		return;

	GUEST_ASSERT(INTID_IS_SPI(intid));
	nr_taken[intid]++;

	if (nr_taken[intid] == MAX_TAKEN)
		gic_irq_disable(intid);
	if (nr_taken[intid] == config.lower_after)
		GUEST_SYNC_ARGS(SYNC_LOWER, intid, 0, 0, 0);
	if (config.exit)
		readl(GICD_BASE_GVA + GICD_TYPER);

	gic_set_eoi(intid);
	if (config.split && intid != config.no_dir)
		gic_set_dir(intid);
}

/* Take all of them, each on top of the one before, without handler. */
static void guest_nest(void)
{
	u32 i;

	for (i = 0; i < NR_NESTED; i++)
		gic_set_priority(FIRST_OF_MANY + i, NESTED_PRIO(i));

	for (i = 0; i < NR_NESTED; i++) {
		u32 intid;

		/* The host raises it. */
		GUEST_SYNC(0);
		intid = gic_get_and_ack_irq();
		GUEST_ASSERT_EQ(intid, FIRST_OF_MANY + i);
		nr_taken[intid]++;
	}

	while (i--)
		gic_set_eoi(FIRST_OF_MANY + i);
}

static void guest_code(void)
{
	u32 intid;

	gic_init(GIC_V3, nr_cpus);
	gic_set_eoi_split(config.split);

	if (guest_get_vcpuid() == 0) {
		for (intid = SPI_WARM_UP; intid < FIRST_OF_MANY + NR_MANY; intid++) {
			gic_irq_set_config(intid, config.edge);
			gic_irq_enable(intid);
		}
	}

	local_irq_enable();

	while (true) {
		GUEST_SYNC(0);

		switch (request.op) {
		case OP_DIR:
			gic_set_dir(request.intid);
			break;
		case OP_GET_ACTIVE:
			request.result = gic_irq_get_active(request.intid);
			break;
		case OP_NEST:
			local_irq_disable();
			guest_nest();
			local_irq_enable();
			break;
		case OP_SPIN:
			WRITE_ONCE(spinning, true);
			while (READ_ONCE(spin))
				cpu_relax();
			break;
		case OP_NONE:
			break;
		}
	}
}

struct test {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[2];
};

/* Until the guest has nothing to do. */
static void run(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	while (true) {
		vcpu_run(vcpu);

		switch (get_ucall(vcpu, &uc)) {
		case UCALL_SYNC:
			if (uc.args[1] != SYNC_LOWER)
				return;
			kvm_arm_irq_line(vcpu->vm, uc.args[2], 0);
			break;
		case UCALL_ABORT:
			REPORT_GUEST_ASSERT(uc);
			break;
		default:
			TEST_FAIL("Unexpected ucall %lu", uc.cmd);
		}
	}
}

static u32 run_request(struct kvm_vcpu *vcpu, enum op op, u32 intid)
{
	request = (struct request) { .op = op, .intid = intid };
	sync_global_to_guest(vcpu->vm, request);
	run(vcpu);
	sync_global_from_guest(vcpu->vm, request);
	write_guest_global(vcpu->vm, request.op, OP_NONE);

	return request.result;
}

/* How often the guest has taken an SPI. */
static u32 taken(struct test *t, u32 intid)
{
	sync_global_from_guest(t->vm, nr_taken);
	return nr_taken[intid];
}

static struct test test_create(u32 cpus, struct config c)
{
	struct test t;
	u32 i;

	t.vm = vm_create_with_vcpus(cpus, guest_code, t.vcpus);
	vm_init_descriptor_tables(t.vm);
	vm_install_exception_handler(t.vm, VECTOR_IRQ_CURRENT, guest_irq_handler);

	nr_cpus = cpus;
	config = c;
	sync_global_to_guest(t.vm, nr_cpus);
	sync_global_to_guest(t.vm, config);

	for (i = 0; i < cpus; i++) {
		vcpu_init_descriptor_tables(t.vcpus[i]);
		run(t.vcpus[i]);
	}

	/* The first time, the handler exits for its pages. */
	kvm_irq_write_ispendr(t.vm->arch.gic_fd, SPI_WARM_UP, t.vcpus[0]);
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_WARM_UP), 1);

	return t;
}

static void test_free(struct test *t)
{
	kvm_vm_free(t->vm);
}

static bool line_is_high(struct test *t, u32 intid)
{
	u32 level;

	kvm_device_attr_get(t->vm->arch.gic_fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
			    VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT |
			    (intid & ~31), &level);
	return level & BIT(intid % 32);
}

/* Resampling irqfds: each signal is taken once, and gives one signal back. */

static void check_resample(struct config c)
{
	struct test t = test_create(1, c);
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));
	u32 i;

	irqfd_assign_resample(t.vm, &irqfd);

	for (i = 1; i <= 10; i++) {
		irqfd_signal(&irqfd);
		TEST_ASSERT(line_is_high(&t, SPI_A), "The line of SPI %u is low", SPI_A);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);

		run(t.vcpus[0]);
		TEST_ASSERT_EQ(taken(&t, SPI_A), i);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
		TEST_ASSERT(!line_is_high(&t, SPI_A), "The line of SPI %u is high", SPI_A);

		/* That was it. */
		run(t.vcpus[0]);
		TEST_ASSERT_EQ(taken(&t, SPI_A), i);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);
	}

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

TEST(resample_without_exit)
{
	check_resample((struct config) {});
}

TEST(resample_with_exit)
{
	check_resample((struct config) { .exit = true });
}

TEST(resample_split_eoi_without_exit)
{
	check_resample((struct config) { .split = true });
}

TEST(resample_split_eoi_with_exit)
{
	check_resample((struct config) { .split = true, .exit = true });
}

/* More of them pending than there are list registers. */
static void check_resample_many(struct config c)
{
	struct irqfd irqfds[NR_MANY];
	struct test t = test_create(1, c);
	u32 i;

	for (i = 0; i < NR_MANY; i++) {
		irqfds[i] = irqfd_create(GSI(FIRST_OF_MANY + i));
		irqfd_assign_resample(t.vm, &irqfds[i]);
		irqfd_signal(&irqfds[i]);
	}

	run(t.vcpus[0]);

	for (i = 0; i < NR_MANY; i++) {
		TEST_ASSERT_EQ(taken(&t, FIRST_OF_MANY + i), 1);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfds[i]), 1);
		TEST_ASSERT(!line_is_high(&t, FIRST_OF_MANY + i),
			    "The line of SPI %u is high", FIRST_OF_MANY + i);
		irqfd_free(t.vm, &irqfds[i]);
	}
	test_free(&t);
}

TEST(resample_many_pending_without_exit)
{
	check_resample_many((struct config) {});
}

TEST(resample_many_pending_with_exit)
{
	check_resample_many((struct config) { .exit = true });
}

/* More of them active than there are list registers, where there are few. */
TEST(resample_many_active)
{
	struct test t = test_create(1, (struct config) {});
	struct irqfd irqfds[NR_NESTED];
	u32 i;

	run_request(t.vcpus[0], OP_NEST, 0);
	for (i = 0; i < NR_NESTED; i++) {
		irqfds[i] = irqfd_create(GSI(FIRST_OF_MANY + i));
		irqfd_assign_resample(t.vm, &irqfds[i]);
		irqfd_signal(&irqfds[i]);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfds[i]), 0);
		run(t.vcpus[0]);
	}

	for (i = 0; i < NR_NESTED; i++) {
		TEST_ASSERT_EQ(taken(&t, FIRST_OF_MANY + i), 1);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfds[i]), 1);
		irqfd_free(t.vm, &irqfds[i]);
	}
	test_free(&t);
}

/* Two irqfds on one line are two devices: both are told. */
TEST(resample_shared_line)
{
	struct test t = test_create(1, (struct config) {});
	struct irqfd irqfds[] = { irqfd_create(GSI(SPI_A)), irqfd_create(GSI(SPI_A)) };

	irqfd_assign_resample(t.vm, &irqfds[0]);
	irqfd_assign_resample(t.vm, &irqfds[1]);
	irqfd_signal(&irqfds[1]);
	run(t.vcpus[0]);

	TEST_ASSERT_EQ(taken(&t, SPI_A), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfds[0]), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfds[1]), 1);

	irqfd_free(t.vm, &irqfds[0]);
	irqfd_free(t.vm, &irqfds[1]);
	test_free(&t);
}

/* No EOI, no signal: an edge-triggered SPI has none that anybody waits for. */
TEST(resample_edge)
{
	struct test t = test_create(1, (struct config) { .edge = true });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));

	irqfd_assign_resample(t.vm, &irqfd);
	irqfd_signal(&irqfd);
	run(t.vcpus[0]);

	TEST_ASSERT_EQ(taken(&t, SPI_A), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

/* vCPU 1 deactivates what vCPU 0 has taken. */
TEST(resample_deactivated_by_other_vcpu)
{
	struct test t = test_create(2, (struct config) { .split = true, .no_dir = SPI_A });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));

	irqfd_assign_resample(t.vm, &irqfd);
	irqfd_signal(&irqfd);
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);
	TEST_ASSERT_EQ(run_request(t.vcpus[1], OP_GET_ACTIVE, SPI_A), 1);

	run_request(t.vcpus[1], OP_DIR, SPI_A);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
	TEST_ASSERT_EQ(run_request(t.vcpus[1], OP_GET_ACTIVE, SPI_A), 0);

	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

static void *run_thread(void *vcpu)
{
	run(vcpu);
	return NULL;
}

/* The same, while vCPU 0 is in the guest, with the SPI in a list register. */
TEST(resample_deactivated_by_other_vcpu_in_lr)
{
	struct test t = test_create(2, (struct config) { .split = true, .no_dir = SPI_A });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));
	pthread_t thread;
	u32 i;

	irqfd_assign_resample(t.vm, &irqfd);

	write_guest_global(t.vm, spin, true);
	write_guest_global(t.vm, request.op, OP_SPIN);
	kvm_pthread_create(&thread, NULL, run_thread, t.vcpus[0]);
	do {
		sync_global_from_guest(t.vm, spinning);
	} while (!spinning);

	for (i = 1; i <= 3; i++) {
		irqfd_signal(&irqfd);
		while (taken(&t, SPI_A) != i)
			;
		TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);

		run_request(t.vcpus[1], OP_DIR, SPI_A);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
		TEST_ASSERT_EQ(run_request(t.vcpus[1], OP_GET_ACTIVE, SPI_A), 0);
	}

	write_guest_global(t.vm, spin, false);
	kvm_pthread_join(thread, NULL);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 3);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

/*
 * vCPU 1 deactivates what is not active.  Neither is that an EOI if the SPI waits
 * for vCPU 0, nor if its line has been lowered before vCPU 0 could take it.
 */
TEST(resample_inactive_deactivated)
{
	struct test t = test_create(2, (struct config) { .split = true });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));

	irqfd_assign_resample(t.vm, &irqfd);
	kvm_arm_irq_line(t.vm, SPI_A, 1);
	run_request(t.vcpus[1], OP_DIR, SPI_A);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);
	TEST_ASSERT(line_is_high(&t, SPI_A), "The line of SPI %u is low", SPI_A);

	kvm_arm_irq_line(t.vm, SPI_A, 0);
	run_request(t.vcpus[1], OP_DIR, SPI_A);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);

	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 0);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 0);

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

/*
 * KVM lets vCPU 1 deactivate SPI A for vCPU 0, for which its ICC_DIR_EL1 has to
 * trap, no matter what has become of other SPIs in the meantime.
 */
static void check_deactivate_after(struct config c)
{
	struct test t;

	c.split = true;
	c.no_dir = SPI_A;
	c.lower_after = 5;
	t = test_create(2, c);

	kvm_irq_write_ispendr(t.vm->arch.gic_fd, SPI_A, t.vcpus[0]);
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 1);

	/* Its line stays high for a few EOIs. */
	kvm_arm_irq_line(t.vm, SPI_B, 1);
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_B), 5);

	TEST_ASSERT_EQ(run_request(t.vcpus[1], OP_GET_ACTIVE, SPI_A), 1);
	run_request(t.vcpus[1], OP_DIR, SPI_A);
	TEST_ASSERT_EQ(run_request(t.vcpus[1], OP_GET_ACTIVE, SPI_A), 0);

	test_free(&t);
}

TEST(deactivate_after_level_without_exit)
{
	check_deactivate_after((struct config) {});
}

TEST(deactivate_after_level_with_exit)
{
	check_deactivate_after((struct config) { .exit = true });
}

/*
 * Without a resamplefd, an irqfd only ever raises the line of an SPI, and
 * KVM_IRQ_LINE lowers it.  That is the same if the event was there first.
 */

TEST(level)
{
	struct test t = test_create(1, (struct config) { .lower_after = 3 });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));

	irqfd_assign(t.vm, &irqfd);
	irqfd_signal(&irqfd);
	TEST_ASSERT(line_is_high(&t, SPI_A), "The line of SPI %u is low", SPI_A);
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 3);
	TEST_ASSERT(!line_is_high(&t, SPI_A), "The line of SPI %u is high", SPI_A);

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

TEST(level_signaled_before_assign)
{
	struct test t = test_create(1, (struct config) { .lower_after = 3 });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));

	irqfd_signal(&irqfd);
	irqfd_assign(t.vm, &irqfd);
	/* De-assigning completes what has not been injected yet. */
	irqfd_free(t.vm, &irqfd);
	TEST_ASSERT(line_is_high(&t, SPI_A), "The line of SPI %u is low", SPI_A);
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 3);
	TEST_ASSERT(!line_is_high(&t, SPI_A), "The line of SPI %u is high", SPI_A);

	test_free(&t);
}

TEST(edge)
{
	struct test t = test_create(1, (struct config) { .edge = true });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));
	u32 i;

	irqfd_assign(t.vm, &irqfd);
	for (i = 1; i <= 3; i++) {
		irqfd_signal(&irqfd);
		run(t.vcpus[0]);
		TEST_ASSERT_EQ(taken(&t, SPI_A), i);
	}

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

TEST(edge_signaled_before_assign)
{
	struct test t = test_create(1, (struct config) { .edge = true });
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));

	irqfd_signal(&irqfd);
	irqfd_assign(t.vm, &irqfd);
	irqfd_free(t.vm, &irqfd);
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 1);

	test_free(&t);
}

TEST(resample_signaled_before_assign)
{
	struct test t = test_create(1, (struct config) {});
	struct irqfd irqfd = irqfd_create(GSI(SPI_A));

	irqfd_signal(&irqfd);
	irqfd_assign_resample(t.vm, &irqfd);
	/* The event may be on its way through a work item. */
	while (!line_is_high(&t, SPI_A))
		;
	run(t.vcpus[0]);
	TEST_ASSERT_EQ(taken(&t, SPI_A), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);

	irqfd_free(t.vm, &irqfd);
	test_free(&t);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_supports_vgic_v3());
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));

	return test_harness_run(argc, argv);
}
