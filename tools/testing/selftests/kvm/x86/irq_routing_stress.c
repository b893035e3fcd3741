// SPDX-License-Identifier: GPL-2.0
/*
 * All that has to do with routes of a split irqchip at once, from nine threads:
 *
 *	two run a vCPU each		which takes IRQs all the time
 *	one sets routing tables
 *	one sets tables that are refused, and KVM_CAP_X2APIC_API, late as it is
 *	one raises GSIs by KVM_IRQ_LINE
 *	one raises GSIs by irqfds, which it assigns and deassigns
 *	one adds vCPUs and activates their SynICs
 *	one makes VMs, has each take an IRQ, and destroys them; each is for another
 *	mode of the module
 *	one reads the files that the module has of each VM
 *
 * Some routes are the same in all tables.  Whatever else goes on, each of their
 * IRQs has its EOI reported if it is level-triggered, and none if it is not.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "irqroute.h"
#include "stress.h"
#include "synic.h"

#define NR_VCPUS		2
#define NR_PINS		24

/* GSIs: a level-triggered pin of each vCPU that stays, pins that move, and others. */
#define STABLE_GSI(cpu)		(cpu)
#define FIRST_MOVING_GSI	NR_VCPUS
#define EDGE_GSI(cpu)		(NR_PINS + (cpu))
#define FIRST_SINT_GSI		(NR_PINS + NR_VCPUS)
#define NR_SINT_GSIS		8
#define NR_GSIS			(FIRST_SINT_GSI + NR_SINT_GSIS)

#define STABLE_VECTOR		0x40
#define EDGE_VECTOR		0x50
#define SINT_VECTOR		0x60
#define MOVING_VECTOR(gsi)	(0x70 + (gsi))
#define SINT			2

/* How often a vCPU looks for IRQs before it returns to userspace. */
#define LOOKS			200

enum op {
	RUN, EOI_EXIT, UPDATE, REFUSED_UPDATE, X2APIC_API, LINE, IRQFD, SYNIC, FILES, VM, NR_OPS
};

static const char * const op_names[NR_OPS] = {
	[RUN]			= "runs of a vCPU",
	[EOI_EXIT]		= "EOI exits",
	[UPDATE]		= "updates",
	[REFUSED_UPDATE]	= "refused updates",
	[X2APIC_API]		= "KVM_CAP_X2APIC_API",
	[LINE]			= "raised lines",
	[IRQFD]			= "raised irqfds",
	[SYNIC]			= "SynICs",
	[FILES]			= "files read",
	[VM]			= "VMs",
};

static struct kvm_vm *vm;

static struct stressed_cpu {
	struct irq_cpu irq;
	u64 *taken;		/* how often, by vector; the guest writes it */
	u64 exits[256];		/* KVM_EXIT_IOAPIC_EOI, by vector */
} cpus[NR_VCPUS];

/* The guest's counters. */
static u64 guest_taken[NR_VCPUS][256];

static void guest_count_irq(struct ex_regs *regs)
{
	if (guest_irq_is_repeated(regs, 0))
		return;
	guest_taken[this_guest_cpu()->args[0]][regs->vector]++;
	guest_eoi();
}

static void guest_look(u64 cpu, u64 looks)
{
	while (looks--) {
		sti_nop_cli();
		cpu_relax();
	}
}

static void run_once(struct stressed_cpu *cpu)
{
	irq_cpu_set_step(&cpu->irq, guest_look, cpu - cpus, LOOKS);
	while (!irq_cpu_run(&cpu->irq)) {
		cpu->exits[cpu->irq.vcpu->run->eoi.vector]++;
		done[EOI_EXIT]++;
	}
	done[RUN]++;
}

static void *run_cpu(void *cpu)
{
	while (!stop)
		run_once(cpu);
	return NULL;
}

/* A vCPU that runs, or one whose SynIC is about to be activated. */
static u32 random_vp_index(unsigned int *seed)
{
	return rand_r(seed) % NR_VCPUS + (rand_r(seed) % 2) * (NR_VCPUS + done[SYNIC]);
}

/* A table in which all but the stable routes are random; returns how many there are. */
static u32 make_table(struct kvm_irq_routing_entry *routes, unsigned int *seed)
{
	u32 gsi, nr = 0;

	for (gsi = 0; gsi < NR_VCPUS; gsi++) {
		routes[nr++] = msi_route(STABLE_GSI(gsi), LEVEL_MSI(gsi, STABLE_VECTOR));
		routes[nr++] = msi_route(EDGE_GSI(gsi), EDGE_MSI(gsi, EDGE_VECTOR));
	}
	for (gsi = FIRST_MOVING_GSI; gsi < NR_PINS; gsi++)
		if (rand_r(seed) % 4)
			routes[nr++] = msi_route(gsi, LEVEL_MSI(rand_r(seed) % NR_VCPUS,
								MOVING_VECTOR(gsi)));
	for (gsi = FIRST_SINT_GSI; gsi < NR_GSIS; gsi++)
		if (rand_r(seed) % 2)
			routes[nr++] = sint_route(gsi, random_vp_index(seed), SINT);
	return nr;
}

static void *update(void *unused)
{
	struct kvm_irq_routing_entry routes[NR_GSIS];
	unsigned int seed = 1;

	while (!stop) {
		TEST_ASSERT_EQ(__set_routes(vm, routes, make_table(routes, &seed), 0), 0);
		done[UPDATE]++;
	}
	return NULL;
}

static void *update_in_vain(void *unused)
{
	static const struct kvm_irq_routing_entry bad[] = {
		{ .gsi = 4096, .type = KVM_IRQ_ROUTING_MSI },
		{ .gsi = 5, .type = 99 },
		{ .gsi = 5, .type = KVM_IRQ_ROUTING_IRQCHIP },
		{ .gsi = 5, .type = KVM_IRQ_ROUTING_MSI, .flags = ~0u },
	};
	struct kvm_irq_routing_entry routes[NR_GSIS + 1];
	unsigned int seed = 2;
	u32 nr;

	while (!stop) {
		nr = make_table(routes, &seed);
		routes[nr++] = bad[rand_r(&seed) % ARRAY_SIZE(bad)];
		TEST_ASSERT_EQ(__set_routes(vm, routes, nr, 0), EINVAL);
		done[REFUSED_UPDATE]++;

		/* Destinations below 256 mean the same with and without 32-bit IDs. */
		vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
		done[X2APIC_API]++;
	}
	return NULL;
}

static void *raise_lines(void *unused)
{
	unsigned int seed = 3;

	while (!stop) {
		raise_gsi(vm, rand_r(&seed) % NR_GSIS);
		done[LINE]++;
	}
	return NULL;
}

static void *raise_irqfds(void *unused)
{
	unsigned int seed = 4;
	int fds[NR_GSIS], i;

	while (!stop) {
		for (i = 0; i < NR_GSIS; i++) {
			fds[i] = kvm_new_eventfd();
			kvm_assign_irqfd(vm, i, fds[i]);
		}
		for (i = 0; i < 10 * NR_GSIS; i++) {
			TEST_ASSERT_EQ(eventfd_write(fds[rand_r(&seed) % NR_GSIS], 1), 0);
			done[IRQFD]++;
		}
		for (i = 0; i < NR_GSIS; i++) {
			kvm_deassign_irqfd(vm, i, fds[i]);
			close(fds[i]);
		}
	}
	return NULL;
}

static void set_msr(int vcpu_fd, u32 index, u64 data)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {
		.header.nmsrs = 1,
		.entry = { .index = index, .data = data },
	};

	TEST_ASSERT_EQ(ioctl(vcpu_fd, KVM_SET_MSRS, &msrs), 1);
}

/* These vCPUs never run: the library need not know of them. */
static void *activate_synics(void *unused)
{
	struct kvm_enable_cap synic = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	u32 id, max_id = kvm_check_cap(KVM_CAP_MAX_VCPUS);

	for (id = NR_VCPUS; id < max_id && !stop; id++) {
		int fd = __vm_ioctl(vm, KVM_CREATE_VCPU, (void *)(unsigned long)id);

		TEST_ASSERT_VM_VCPU_IOCTL(fd >= 0, KVM_CREATE_VCPU, fd, vm);
		TEST_ASSERT_EQ(ioctl(fd, KVM_ENABLE_CAP, &synic), 0);
		set_msr(fd, HV_X64_MSR_SINT0 + SINT, SINT_VECTOR);
		/* VP indexes that the SINT routes name, taken from whoever had them. */
		set_msr(fd, HV_X64_MSR_VP_INDEX, id % (2 * NR_VCPUS));
		set_msr(fd, HV_X64_MSR_VP_INDEX, id);
		done[SYNIC]++;
		close(fd);
	}
	return NULL;
}

static void try_vm(void)
{
	struct kvm_vm *small = vm_create_split(1, NR_PINS);
	struct irq_cpu cpu;

	SET_ROUTES(small, msi_route(5, LEVEL_MSI(0, STABLE_VECTOR)), sint_route(40, 0, SINT));
	synic_cpu_add(&cpu, small, 0, 0);
	set_sint(&cpu, SINT, SINT_VECTOR);
	EXPECT_IDLE(&cpu);
	raise_gsi(small, 5);
	EXPECT_TAKE(&cpu, VECTORS(STABLE_VECTOR), VECTORS(STABLE_VECTOR));
	raise_gsi(small, 40);
	EXPECT_TAKE(&cpu, VECTORS(SINT_VECTOR), NO_VECTORS);
	kvm_vm_free(small);
}

static void set_up(bool vms_only)
{
	u32 i, vector;

	if (vms_only)
		return;

	vm = vm_create_split(NR_VCPUS, NR_PINS);
	for (i = 0; i < NR_VCPUS; i++) {
		synic_cpu_add(&cpus[i].irq, vm, i, i);
		set_sint(&cpus[i].irq, SINT, SINT_VECTOR);
		cpus[i].taken = addr_gva2hva(vm, (gva_t)guest_taken[i]);
	}
	for (vector = FIRST_IRQ_VECTOR; vector <= 0xff; vector++)
		vm_install_exception_handler(vm, vector, guest_count_irq);
}

static void expect_counts(void)
{
	u32 i, vector;

	for (i = 0; i < NR_VCPUS; i++) {
		struct stressed_cpu *cpu = &cpus[i];

		TEST_ASSERT(cpu->taken[STABLE_VECTOR], "vCPU %u took no level IRQ", i);
		TEST_ASSERT_EQ(cpu->exits[STABLE_VECTOR], cpu->taken[STABLE_VECTOR]);
		TEST_ASSERT(cpu->taken[EDGE_VECTOR], "vCPU %u took no edge IRQ", i);
		TEST_ASSERT_EQ(cpu->exits[EDGE_VECTOR], 0);
		TEST_ASSERT_EQ(cpu->exits[SINT_VECTOR], 0);
		for (vector = 0; vector < 256; vector++)
			TEST_ASSERT(cpu->exits[vector] <= cpu->taken[vector],
				    "vCPU %u: vector %#x exited %lu times, was taken %lu times",
				    i, vector, cpu->exits[vector], cpu->taken[vector]);
	}
}

static bool all_irqs_were_taken(void)
{
	u32 i;

	for (i = 0; i < NR_VCPUS; i++)
		if (!READ_ONCE(cpus[i].taken[STABLE_VECTOR]) ||
		    !READ_ONCE(cpus[i].taken[EDGE_VECTOR]))
			return false;
	return true;
}

/* After all that, each pin still sends one IRQ, and its one EOI is reported. */
static void expect_all_pins_work(void)
{
	struct kvm_irq_routing_entry routes[NR_PINS];
	u64 taken[NR_VCPUS][256], exits[NR_VCPUS][256];
	u32 gsi, i;

	for (gsi = 0; gsi < NR_PINS; gsi++)
		routes[gsi] = msi_route(gsi, LEVEL_MSI(gsi % NR_VCPUS, MOVING_VECTOR(gsi)));
	TEST_ASSERT_EQ(__set_routes(vm, routes, NR_PINS, 0), 0);
	for (i = 0; i < NR_VCPUS; i++) {
		run_once(&cpus[i]);
		memcpy(taken[i], cpus[i].taken, sizeof(taken[i]));
		memcpy(exits[i], cpus[i].exits, sizeof(exits[i]));
	}
	for (gsi = 0; gsi < NR_PINS; gsi++)
		raise_gsi(vm, gsi);
	for (i = 0; i < NR_VCPUS; i++)
		run_once(&cpus[i]);
	for (gsi = 0; gsi < NR_PINS; gsi++) {
		u8 vector = MOVING_VECTOR(gsi);

		i = gsi % NR_VCPUS;
		TEST_ASSERT_EQ(cpus[i].taken[vector] - taken[i][vector], 1);
		TEST_ASSERT_EQ(cpus[i].exits[vector] - exits[i][vector], 1);
	}
}

static void judge(void)
{
	u32 i;

	/* What was raised last. */
	for (i = 0; i < NR_VCPUS; i++)
		run_once(&cpus[i]);
	expect_counts();
	ksft_test_result_pass("eois_of_level_irqs_are_reported\n");
	expect_all_pins_work();
	ksft_test_result_pass("all_pins_work_afterwards\n");
	kvm_vm_free(vm);
}

static const struct work work[] = {
	{ run_cpu, &cpus[0] }, { run_cpu, &cpus[1] }, { update }, { update_in_vain },
	{ raise_lines }, { raise_irqfds }, { activate_synics },
};

static const struct stress stress = {
	.work = work,
	.nr_work = ARRAY_SIZE(work),
	.try_vm = try_vm,
	.op_names = op_names,
	.nr_ops = NR_OPS,
	.set_up = set_up,
	.has_seen_enough = all_irqs_were_taken,
	.judge = judge,
	.nr_results = 2,
};

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));

	return run_stress(argc, argv);
}
