// SPDX-License-Identifier: GPL-2.0
/*
 * Neither setting SINT routes nor sending an IRQ by one takes longer with more
 * vCPUs, even if no VP index is the index of its vCPU.
 *
 * The clock has to count instructions (ICOUNT=1 says that it does), which makes
 * the figures the same from run to run.
 *
 * KVM's own code searches all vCPUs.
 */
#include <stdlib.h>
#include <time.h>

#include "irqroute_harness.h"
#include "synic.h"

#define FEW_CPUS	2
#define MANY_CPUS	256

#define NR_ROUNDS	9
#define GSI_A		40

struct cost {
	u64 update;
	u64 delivery;
};

static u64 now(void)
{
	struct timespec ts;

	TEST_ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

/* The first round warms up. */
#define MEDIAN_COST(_what)						\
({									\
	u64 costs[NR_ROUNDS + 1];					\
	u32 round;							\
									\
	for (round = 0; round <= NR_ROUNDS; round++) {			\
		u64 start = now();					\
									\
		_what;							\
		costs[round] = now() - start;				\
	}								\
	qsort(costs + 1, NR_ROUNDS, sizeof(*costs), compare);		\
	costs[1 + NR_ROUNDS / 2];					\
})

/* VP indexes in reversed order; all routes go to the vCPU that was created last. */
static struct cost measure(u32 nr_cpus)
{
	struct kvm_irq_routing_entry routes[HV_NR_SINTS];
	struct kvm_vm *vm = vm_create(nr_cpus);
	struct kvm_vcpu *vcpu = NULL;
	struct cost cost;
	u32 i;

	for (i = 0; i < nr_cpus; i++) {
		vcpu = __vm_vcpu_add(vm, i);
		vcpu_set_hv_cpuid(vcpu);
		vcpu_enable_cap(vcpu, KVM_CAP_HYPERV_SYNIC2, 0);
		vcpu_set_msr(vcpu, HV_X64_MSR_VP_INDEX, nr_cpus - 1 - i);
	}
	vcpu_set_msr(vcpu, HV_X64_MSR_SINT0, 0x31);
	for (i = 0; i < HV_NR_SINTS; i++)
		routes[i] = sint_route(GSI_A + i, 0, i);

	cost.update = MEDIAN_COST(TEST_ASSERT_EQ(__set_routes(vm, routes, HV_NR_SINTS, 0), 0));
	cost.delivery = MEDIAN_COST(raise_gsi(vm, GSI_A));
	kvm_vm_free(vm);
	return cost;
}

static void expect_same_cost(const char *what, u64 few, u64 many)
{
	ksft_print_msg("%s: %lu instructions with %u vCPUs, %lu with %u\n", what,
		       (unsigned long)few, FEW_CPUS, (unsigned long)many, MANY_CPUS);
	TEST_ASSERT(many * 2 <= few * 3, "%s: %lu instructions with %u vCPUs, %lu with %u",
		    what, (unsigned long)few, FEW_CPUS, (unsigned long)many, MANY_CPUS);
}

TEST(update)
{
	expect_same_cost("update", measure(FEW_CPUS).update, measure(MANY_CPUS).update);
}

TEST(delivery)
{
	expect_same_cost("delivery", measure(FEW_CPUS).delivery, measure(MANY_CPUS).delivery);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(getenv("ICOUNT"));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_VP_INDEX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SYS_HYPERV_CPUID));
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_MAX_VCPUS) >= MANY_CPUS);

	return test_harness_run(argc, argv);
}
