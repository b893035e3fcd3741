// SPDX-License-Identifier: GPL-2.0
/*
 * The limits: as many vCPUs, APIC IDs, virtual processors, reserved pins, GSIs and
 * vectors as KVM has.  Most of the vCPUs exist only to be searched.
 */
#include <sys/resource.h>

#include "helper.h"
#include "irqroute_harness.h"
#include "synic.h"

#define NR_PINS		24

#define VECTOR_A	0x31
#define VECTOR_B	0x42
#define VECTOR_C	0x53

#define SINT		2

static struct kvm_irq_routing_entry routes[MAX_ROUTES];

static void set_routes(struct kvm_vm *vm, u32 nr)
{
	TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), 0);
}

/*
 * What KVM does by itself with each new vCPU takes as long as there are vCPUs: with
 * 4096 of them, a minute.  So only the helper's APIC IDs are looked up among all.
 */
#define MAX_SMALL_CROWD	1024U

/*
 * A VM with as many vCPUs as KVM allows, or somewhat less, of which these run: those on
 * both sides of what 64-bit masks and 8-bit IDs hold, and the last one.
 */
static const u32 run_ids[] = { 0, 63, 64, 254, 255, 256, 257, -1 };

#define NR_RUN		ARRAY_SIZE(run_ids)

struct crowd {
	struct kvm_vm *vm;
	u32 nr;
	u32 last_vp_index;	/* that KVM takes */
	struct irq_cpu cpus[NR_RUN];
	int *fds;		/* of those that do not run, else -1 */
};

static struct irq_cpu *crowd_cpu(struct crowd *crowd, u32 id)
{
	u32 i;

	for (i = 0; i < NR_RUN; i++) {
		if (min(run_ids[i], crowd->nr - 1) == id)
			return &crowd->cpus[i];
	}
	return NULL;
}

static void set_vp_index(int vcpu_fd, u32 vp_index)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {
		.header.nmsrs = 1,
		.entry.index = HV_X64_MSR_VP_INDEX,
		.entry.data = vp_index,
	};

	TEST_ASSERT_EQ(ioctl(vcpu_fd, KVM_SET_MSRS, &msrs), 1);
}

static void crowd_add(struct crowd *crowd, struct kvm_vm *vm, bool reversed_vps)
{
	struct rlimit limit;
	u32 id, vp_index;

	crowd->vm = vm;
	crowd->nr = kvm_check_cap(KVM_CAP_MAX_VCPUS);
	crowd->last_vp_index = crowd->nr - 1;
	if (!helper_decides() || reversed_vps)
		crowd->nr = min(crowd->nr, MAX_SMALL_CROWD);
	TEST_ASSERT(crowd->nr > 257, "KVM has no more than %u vCPUs", crowd->nr);

	TEST_ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_max = max(limit.rlim_max, (rlim_t)crowd->nr + 256);
	limit.rlim_cur = limit.rlim_max;
	TEST_ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);

	crowd->fds = calloc(crowd->nr, sizeof(*crowd->fds));
	TEST_ASSERT(crowd->fds, "Insufficient memory for %u vCPUs", crowd->nr);

	for (id = 0; id < crowd->nr; id++) {
		struct irq_cpu *cpu = crowd_cpu(crowd, id);

		vp_index = reversed_vps ? crowd->last_vp_index - id : id;
		crowd->fds[id] = -1;
		if (cpu && reversed_vps) {
			synic_cpu_add(cpu, vm, id, vp_index);
		} else if (cpu) {
			irq_cpu_add(cpu, vm, id, guest_x2apic);
		} else {
			crowd->fds[id] = __vm_ioctl(vm, KVM_CREATE_VCPU,
						    (void *)(unsigned long)id);
			TEST_ASSERT(crowd->fds[id] >= 0, "vCPU %u: errno %d", id, errno);
			if (reversed_vps)
				set_vp_index(crowd->fds[id], vp_index);
		}
	}
}

static void crowd_free(struct crowd *crowd)
{
	u32 id;

	for (id = 0; id < crowd->nr; id++) {
		if (crowd->fds[id] >= 0)
			close(crowd->fds[id]);
	}
	free(crowd->fds);
	kvm_vm_free(crowd->vm);
}

static void expect_all_idle(struct crowd *crowd)
{
	int i;

	for (i = 0; i < NR_RUN; i++)
		EXPECT_IDLE(&crowd->cpus[i]);
}

static u32 x2apic_logical_id(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 0xf);
}

/* Each vCPU takes its own IRQ and reports its EOI, and no other vCPU does. */
static void check_each(struct crowd *crowd, bool logical)
{
	int i, j;

	for (i = 0; i < NR_RUN; i++) {
		u32 id = crowd->cpus[i].vcpu->id;

		routes[i] = msi_route(i, LEVEL_MSI(logical ? x2apic_logical_id(id) : id,
						   VECTOR_A + 0x10 * (i % 4),
						   .logical = logical));
	}
	set_routes(crowd->vm, NR_RUN);
	expect_all_idle(crowd);

	for (i = 0; i < NR_RUN; i++) {
		u8 vector = VECTOR_A + 0x10 * (i % 4);

		TEST_ASSERT_EQ(irq_line_status(crowd->vm, i, 1), 1);
		for (j = 0; j < NR_RUN; j++) {
			if (j == i)
				EXPECT_TAKE(&crowd->cpus[j], VECTORS(vector), VECTORS(vector));
			else
				EXPECT_IDLE(&crowd->cpus[j]);
		}

		/* The vector of the next route is that of another vCPU. */
		vector = VECTOR_A + 0x10 * ((i + 1) % 4);
		TEST_ASSERT_EQ(signal_msi(crowd->vm,
					  LEVEL_MSI(crowd->cpus[i].vcpu->id, vector)), 1);
		EXPECT_TAKE(&crowd->cpus[i], VECTORS(vector), NO_VECTORS);
	}
}

TEST(all_vcpus)
{
	struct kvm_vm *vm = vm_create_split(NR_RUN, NR_PINS);
	struct crowd crowd;
	int i;

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS |
					      KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	crowd_add(&crowd, vm, false);

	check_each(&crowd, false);
	check_each(&crowd, true);

	/* The others have their APIC still disabled. */
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(X2APIC_BROADCAST, VECTOR_B)));
	expect_all_idle(&crowd);
	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), NR_RUN);
	for (i = 0; i < NR_RUN; i++)
		EXPECT_TAKE(&crowd.cpus[i], VECTORS(VECTOR_B), VECTORS(VECTOR_B));

	/* To nobody: the first ID, and the first cluster, that no vCPU has. */
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(crowd.nr, VECTOR_C)),
		   msi_route(6, LEVEL_MSI(x2apic_logical_id(crowd.nr), VECTOR_C, .logical = true)));
	expect_all_idle(&crowd);
	for (i = 5; i <= 6; i++)
		TEST_ASSERT(irq_line_status(vm, i, 1) <= 0, "GSI %d reaches a vCPU", i);
	expect_all_idle(&crowd);
	for (i = 0; i < NR_RUN; i++) {
		TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(crowd.cpus[i].vcpu->id, VECTOR_C)), 1);
		EXPECT_TAKE(&crowd.cpus[i], VECTORS(VECTOR_C), NO_VECTORS);
	}
	crowd_free(&crowd);
}

/* SINT routes name virtual processors, here by the opposite of the order of vCPUs. */
TEST(reversed_vp_indexes)
{
	struct kvm_vm *vm = vm_create(NR_RUN);
	struct resample_irqfd irqfds[NR_RUN];
	struct crowd crowd;
	int i, j;

	crowd_add(&crowd, vm, true);

	for (i = 0; i < NR_RUN; i++) {
		set_sint(&crowd.cpus[i], SINT, VECTOR_A);
		irqfds[i] = resample_irqfd_new(vm, i);
		routes[i] = sint_route(i, crowd.last_vp_index - crowd.cpus[i].vcpu->id, SINT);
	}
	set_routes(vm, NR_RUN);

	for (i = 0; i < NR_RUN; i++) {
		resample_irqfd_raise(&irqfds[i]);
		for (j = 0; j < NR_RUN; j++) {
			if (j == i)
				EXPECT_TAKE(&crowd.cpus[j], VECTORS(VECTOR_A), NO_VECTORS);
			else
				EXPECT_IDLE(&crowd.cpus[j]);
		}
		for (j = 0; j < NR_RUN; j++)
			EXPECT_ACKS(&irqfds[j], j == i);
	}

	for (i = 0; i < NR_RUN; i++)
		resample_irqfd_free(&irqfds[i]);
	crowd_free(&crowd);
}

/* Both sides of what 8 bits hold, and of the middle, and the last one. */
static const u32 gsis[] = { 0, 1, 23, 24, 254, 255, 256, 257, 2047, 2048, 4094, 4095 };

static u8 vector_of(u32 gsi)
{
	return FIRST_IRQ_VECTOR + gsi % (0x100 - FIRST_IRQ_VECTOR);
}

static void check_pins(u32 nr_pins)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, nr_pins, guest_x2apic);
	u32 i;

	/* vCPU 1 is left to the GSIs that are tested, each with a vector of its own. */
	for (i = 0; i < MAX_ROUTES; i++)
		routes[i] = msi_route(i, LEVEL_MSI(0, 0xfe));
	for (i = 0; i < ARRAY_SIZE(gsis); i++)
		routes[gsis[i]] = msi_route(gsis[i], LEVEL_MSI(1, 0x30 + 0x10 * i));
	set_routes(vm, MAX_ROUTES);
	EXPECT_IDLE(&cpus[1]);

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		u8 vector = 0x30 + 0x10 * i;

		TEST_ASSERT_EQ(irq_line_status(vm, gsis[i], 1), 1);
		EXPECT_TAKE(&cpus[1], VECTORS(vector),
			    gsis[i] < nr_pins ? VECTORS(vector) : NO_VECTORS);
	}
	EXPECT_IDLE(&cpus[0]);
	kvm_vm_free(vm);
}

TEST(pins_4096)
{
	check_pins(4096);
}

TEST(pins_4095)
{
	check_pins(4095);
}

TEST(pins_256)
{
	check_pins(256);
}

TEST(pins_255)
{
	check_pins(255);
}

TEST(pins_24)
{
	check_pins(NR_PINS);
}

TEST(all_routes_to_one_vector)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, MAX_ROUTES, guest_x2apic);
	u32 i;

	for (i = 0; i < MAX_ROUTES; i++)
		routes[i] = msi_route(i, LEVEL_MSI(0, VECTOR_A));
	set_routes(vm, MAX_ROUTES);
	EXPECT_IDLE(&cpus[1]);

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		TEST_ASSERT_EQ(irq_line_status(vm, gsis[i], 1), 1);
		EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));
	}
	/* All of them at once are one IRQ. */
	for (i = 0; i < MAX_ROUTES; i++)
		TEST_ASSERT_EQ(irq_line_status(vm, i, 1), 1);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(1, VECTOR_A)), 1);
	EXPECT_TAKE(&cpus[1], VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(all_vectors_on_one_vcpu)
{
	const u32 nr_vectors = 0x100 - FIRST_IRQ_VECTOR, nr_at_once = 28;
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, nr_vectors, guest_x2apic);
	struct vectors want;
	u32 i, j;

	for (i = 0; i < nr_vectors; i++)
		routes[i] = msi_route(i, LEVEL_MSI(0, vector_of(i)));
	set_routes(vm, nr_vectors);
	EXPECT_IDLE(&cpus[1]);

	for (i = 0; i < nr_vectors; i++) {
		TEST_ASSERT_EQ(irq_line_status(vm, i, 1), 1);
		EXPECT_TAKE(&cpus[0], VECTORS(vector_of(i)), VECTORS(vector_of(i)));
	}

	/* Many at once, the highest is taken first. */
	for (i = 0; i < nr_vectors; i += nr_at_once) {
		want.nr = 0;
		for (j = 0; j < nr_at_once; j++)
			TEST_ASSERT_EQ(irq_line_status(vm, i + j, 1), 1);
		while (j--)
			vectors_add(&want, vector_of(i + j));
		EXPECT_TAKE(&cpus[0], want, want);
	}

	for (i = 0; i < nr_vectors; i++) {
		TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(1, vector_of(i))), 1);
		EXPECT_TAKE(&cpus[1], VECTORS(vector_of(i)), NO_VECTORS);
	}
	kvm_vm_free(vm);
}

/* A table that holds nothing but the last GSI. */
TEST(highest_gsi)
{
	const u32 gsi = MAX_ROUTES - 1;
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split(1, MAX_ROUTES);
	struct kvm_irq_routing_entry above = msi_route(MAX_ROUTES, EDGE_MSI(0, VECTOR_A));
	int eventfd = kvm_new_eventfd();

	synic_cpu_add(&cpu, vm, 0, 0);
	set_sint(&cpu, SINT, VECTOR_B);

	SET_ROUTES(vm, msi_route(gsi, LEVEL_MSI(0, VECTOR_A)));
	kvm_assign_irqfd(vm, gsi, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	kvm_deassign_irqfd(vm, gsi, eventfd);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	TEST_ASSERT_EQ(__set_routes(vm, &above, 1, 0), EINVAL);
	TEST_ASSERT_EQ(irq_line_status(vm, gsi, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), VECTORS(VECTOR_A));

	SET_ROUTES(vm, sint_route(gsi, 0, SINT));
	TEST_ASSERT_EQ(irq_line_status(vm, gsi, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);

	close(eventfd);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));

	return test_harness_run(argc, argv);
}
