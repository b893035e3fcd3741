// SPDX-License-Identifier: GPL-2.0
/*
 * All that has to do with GSI routes on arm64 at once, from nine threads:
 *
 *	two run a vCPU each		which takes interrupts all the time
 *	one is two devices		which raise level-triggered SPIs by resample irqfds
 *	one sets routing tables
 *	one sets tables that are refused, and sends MSIs to nowhere
 *	one raises and lowers lines by KVM_IRQ_LINE
 *	one raises GSIs by irqfds, which it assigns and deassigns
 *	one makes VMs, has each take an interrupt, and destroys them; each is for another
 *	mode of the module
 *	one reads the files that the module has of each VM
 *
 * The routes of the devices are the same in all tables.  Whatever else goes on, each of their
 * interrupts is taken once, and its end is heard of once.
 */
#include <errno.h>
#include <string.h>

#include "irqfd.h"
#include "irqroute.h"
#include "stress.h"

#define NR_IRQS			64
#define NR_SPIS			(NR_IRQS - MIN_SPI)

/* Pins, and GSIs: a level-triggered one of each vCPU that stays, and others that move. */
#define DEVICE_GSI(cpu)		(cpu)
#define FIRST_MOVING		MAX_CPUS
#define NR_MOVING_GSIS		40
#define NR_MOVING_PINS		12

/* How often a vCPU looks for interrupts before it returns to userspace. */
#define LOOKS			200

enum op {
	RUN, END, UPDATE, REFUSED_UPDATE, DEAD_MSI, LINE, IRQFD, FILES, VM, NR_OPS
};

static const char * const op_names[NR_OPS] = {
	[RUN]			= "runs of a vCPU",
	[END]			= "interrupts of devices",
	[UPDATE]		= "updates",
	[REFUSED_UPDATE]	= "refused updates",
	[DEAD_MSI]		= "MSIs to nowhere",
	[LINE]			= "changed lines",
	[IRQFD]			= "raised irqfds",
	[FILES]			= "files read",
	[VM]			= "VMs",
};

/* One that is stressed, and one that comes and goes. */
static struct vm_template stressed, small;
static struct irq_cpu cpus[MAX_CPUS];
static int gic_fd;

/* How often the guest has taken each SPI. */
static u64 guest_taken[NR_IRQS];

static struct device {
	struct irqfd irqfd;
	u64 raised, heard;
} devices[MAX_CPUS];

static u64 taken(struct vm_template *t, u32 pin)
{
	u64 *counts = addr_gva2hva(t->vm, (gva_t)guest_taken);

	return READ_ONCE(counts[MIN_SPI + pin]);
}

static void guest_look(u64 looks)
{
	u32 intid;

	while (looks--) {
		intid = gic_get_and_ack_irq();
		if (intid == IAR_SPURIOUS)
			continue;
		guest_taken[intid]++;
		gic_set_eoi(intid);
	}
}

/* An SPI of vCPU @cpu; devices are the first to be served. */
static void set_up_spi(struct irq_cpu *by, u32 pin, u32 cpu, bool edge)
{
	u32 intid = MIN_SPI + pin;

	irq_cpu_call(by, gic_set_priority, intid, pin < MAX_CPUS ? 0x20 : 0xa0);
	irq_cpu_call(by, gic_irq_set_config, intid, edge);
	irq_cpu_call(by, guest_write64, GICD_BASE_GPA + GICD_IROUTER + intid * 8, cpu);
	irq_cpu_call(by, guest_write_spi, GICD_ISENABLER, intid);
}

static void run_once(u32 cpu)
{
	irq_cpu_call(&cpus[cpu], guest_look, LOOKS, 0);
	done[RUN]++;
}

static void *run_cpu(void *cpu)
{
	while (!stop)
		run_once((u64)cpu);
	return NULL;
}

/* Whether the guest has ended what the device has raised. */
static bool is_heard(struct device *device)
{
	device->heard += irqfd_resampled(&device->irqfd);
	return device->heard >= device->raised;
}

static void *run_devices(void *unused)
{
	u32 i;

	while (!stop) {
		for (i = 0; i < MAX_CPUS; i++) {
			if (!is_heard(&devices[i]))
				continue;
			done[END] += !!devices[i].raised;
			devices[i].raised++;
			irqfd_signal(&devices[i].irqfd);
		}
		sched_yield();
	}
	return NULL;
}

/* A table in which all but the routes of devices are random; returns how many there are. */
static u32 make_table(struct kvm_irq_routing_entry *routes, unsigned int *seed)
{
	u32 i, gsi, nr = 0;

	for (i = 0; i < MAX_CPUS; i++)
		routes[nr++] = pin_route(DEVICE_GSI(i), i);
	for (i = 0; i < NR_MOVING_GSIS; i++) {
		gsi = FIRST_MOVING + i;
		switch (rand_r(seed) % 4) {
		case 0:
			break;
		case 1:
			routes[nr++] = msi_route(gsi, ITS_MSI(0, rand_r(seed) % 2 << 16, 0));
			break;
		default:
			routes[nr++] = pin_route(gsi, FIRST_MOVING + rand_r(seed) % NR_SPIS);
			break;
		}
	}
	return nr;
}

static void *update(void *unused)
{
	struct kvm_irq_routing_entry routes[FIRST_MOVING + NR_MOVING_GSIS];
	unsigned int seed = 1;

	while (!stop) {
		TEST_ASSERT_EQ(__set_routes(stressed.vm, routes, make_table(routes, &seed), 0), 0);
		done[UPDATE]++;
	}
	return NULL;
}

static void *update_in_vain(void *unused)
{
	static const struct kvm_irq_routing_entry bad[] = {
		{ .gsi = MAX_ROUTES, .type = KVM_IRQ_ROUTING_MSI },
		{ .gsi = 100, .type = KVM_IRQ_ROUTING_HV_SINT },
		{ .gsi = 100, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = NR_PINS },
		{ .gsi = 100, .type = KVM_IRQ_ROUTING_MSI, .flags = ~0u },
	};
	struct kvm_irq_routing_entry routes[FIRST_MOVING + NR_MOVING_GSIS + 1];
	unsigned int seed = 2;
	u32 nr;

	while (!stop) {
		nr = make_table(routes, &seed);
		routes[nr++] = bad[rand_r(&seed) % ARRAY_SIZE(bad)];
		TEST_ASSERT_EQ(__set_routes(stressed.vm, routes, nr, 0), EINVAL);
		done[REFUSED_UPDATE]++;

		TEST_ASSERT_EQ(signal_msi(stressed.vm, ITS_MSI(0, 0, 0)), -1);
		TEST_ASSERT_EQ(errno, ENODEV);
		done[DEAD_MSI]++;
	}
	return NULL;
}

static void *change_lines(void *unused)
{
	unsigned int seed = 3;

	while (!stop) {
		kvm_arm_irq_line(stressed.vm,
				 MIN_SPI + FIRST_MOVING + rand_r(&seed) % NR_MOVING_PINS,
				 rand_r(&seed) % 2);
		done[LINE]++;
	}
	return NULL;
}

static void *raise_irqfds(void *unused)
{
	struct irqfd irqfds[NR_MOVING_GSIS];
	unsigned int seed = 4;
	int i;

	while (!stop) {
		for (i = 0; i < NR_MOVING_GSIS; i++) {
			irqfds[i] = irqfd_create(FIRST_MOVING + i);
			if (i % 2)
				irqfd_assign_resample(stressed.vm, &irqfds[i]);
			else
				irqfd_assign(stressed.vm, &irqfds[i]);
		}
		for (i = 0; i < 10 * NR_MOVING_GSIS; i++) {
			irqfd_signal(&irqfds[rand_r(&seed) % NR_MOVING_GSIS]);
			done[IRQFD]++;
		}
		for (i = 0; i < NR_MOVING_GSIS; i++)
			irqfd_free(stressed.vm, &irqfds[i]);
	}
	return NULL;
}

static void try_vm(void)
{
	struct irqfd irqfd = irqfd_create(40);
	struct irq_cpu cpu;
	int fd;

	vm_template_open(&small, &cpu, 1);
	fd = vgic_create(small.vm, 1, NR_IRQS);
	__vgic_v3_init(fd);
	irq_cpu_call(&cpu, guest_start, 1, 0);
	set_up_spi(&cpu, 5, 0, false);
	SET_ROUTES(small.vm, pin_route(40, 5), msi_route(41, ITS_MSI(0, 0, 0)));
	irqfd_assign_resample(small.vm, &irqfd);

	irqfd_signal(&irqfd);
	irq_cpu_call(&cpu, guest_look, LOOKS, 0);
	TEST_ASSERT_EQ(taken(&small, 5), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
	TEST_ASSERT_EQ(gic_read_lines(fd, MIN_SPI), 0);

	irqfd_free(small.vm, &irqfd);
	close(fd);
	kvm_vm_release(small.vm);
}

static void set_up(bool vms_only)
{
	u32 i, pin;

	vm_template_make(&small);
	if (vms_only)
		return;

	vm_template_make(&stressed);
	vm_template_open(&stressed, cpus, MAX_CPUS);
	gic_fd = vgic_create(stressed.vm, MAX_CPUS, NR_IRQS);
	__vgic_v3_init(gic_fd);
	for (i = 0; i < MAX_CPUS; i++)
		irq_cpu_call(&cpus[i], guest_start, MAX_CPUS, 0);
	for (i = 0; i < MAX_CPUS; i++) {
		set_up_spi(&cpus[0], i, i, false);
		devices[i].irqfd = irqfd_create(DEVICE_GSI(i));
		irqfd_assign_resample(stressed.vm, &devices[i].irqfd);
	}
	/* Some are level-triggered too. */
	for (pin = FIRST_MOVING; pin < FIRST_MOVING + NR_MOVING_PINS; pin++)
		set_up_spi(&cpus[0], pin, pin % MAX_CPUS, pin % 3 != 0);
}

static bool devices_were_heard(void)
{
	u32 i;

	for (i = 0; i < MAX_CPUS; i++)
		if (!READ_ONCE(devices[i].heard))
			return false;
	return true;
}

static void run_all(void)
{
	u32 i;

	for (i = 0; i < MAX_CPUS; i++)
		run_once(i);
}

static void expect_counts(void)
{
	u32 i;

	for (i = 0; i < MAX_CPUS; i++) {
		is_heard(&devices[i]);
		TEST_ASSERT(devices[i].raised, "Device %u was idle", i);
		TEST_ASSERT_EQ(devices[i].heard, devices[i].raised);
		TEST_ASSERT_EQ(taken(&stressed, i), devices[i].raised);
	}
}

/* After all that, each pin still has one interrupt, and its end is heard of once. */
static void expect_all_pins_work(void)
{
	struct irqfd irqfd = irqfd_create(MAX_ROUTES - 1);
	u64 before;
	u32 pin;

	/* A pin that somebody has left high is low now. */
	for (pin = FIRST_MOVING; pin < NR_SPIS; pin++)
		kvm_arm_irq_line(stressed.vm, MIN_SPI + pin, 0);
	run_all();
	TEST_ASSERT_EQ(gic_read_lines(gic_fd, MIN_SPI), 0);

	irqfd_assign_resample(stressed.vm, &irqfd);
	for (pin = FIRST_MOVING; pin < FIRST_MOVING + NR_MOVING_PINS; pin++) {
		SET_ROUTES(stressed.vm, pin_route(MAX_ROUTES - 1, pin));
		before = taken(&stressed, pin);
		irqfd_signal(&irqfd);
		run_all();
		TEST_ASSERT_EQ(taken(&stressed, pin) - before, 1);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfd), pin % 3 == 0);
		TEST_ASSERT_EQ(gic_read_lines(gic_fd, MIN_SPI), 0);
	}
	irqfd_free(stressed.vm, &irqfd);
}

static void judge(void)
{
	u32 i;

	/* What was raised last. */
	run_all();
	expect_counts();
	ksft_test_result_pass("interrupts_of_devices_are_taken_and_heard_of\n");
	expect_all_pins_work();
	ksft_test_result_pass("all_pins_work_afterwards\n");
	for (i = 0; i < MAX_CPUS; i++)
		irqfd_free(stressed.vm, &devices[i].irqfd);
}

static const struct work work[] = {
	{ run_cpu, (void *)0 }, { run_cpu, (void *)1 }, { run_devices }, { update },
	{ update_in_vain }, { change_lines }, { raise_irqfds },
};

static const struct stress stress = {
	.work = work,
	.nr_work = ARRAY_SIZE(work),
	.try_vm = try_vm,
	.op_names = op_names,
	.nr_ops = NR_OPS,
	.set_up = set_up,
	.has_seen_enough = devices_were_heard,
	.judge = judge,
	.nr_results = 2,
};

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));

	return run_stress(argc, argv);
}
