// SPDX-License-Identifier: GPL-2.0
/*
 * A guest or a VMM that does the same thing over and over, wrong things included,
 * does not fill the kernel log: kvm_irqroute adds nothing to it but one line for each
 * reason for which a VM's routes lose interrupts.
 *
 * Where C and Rust do not agree, in mode "verify", it may add more: every
 * difference counts, and some are logged.  A module that is built to disagree shows that.
 */
#include <pthread.h>
#include <sys/klog.h>

#include "irqroute_harness.h"
#include "synic.h"
#include "vm_files.h"

#define NR_PINS		24
#define NR_ROUNDS	3000

#define VECTOR_A	0x31
#define VECTOR_B	0x42

#define GSI_SINT	40

#define DIFFERENCES	"/sys/kernel/debug/kvm_irqroute/differences"

/* What the module lets itself log at most, plus a line on how many it left out. */
#define LOG_INTERVAL	5
#define LOG_BURST	(10 + 1)

#define SYSLOG_ACTION_READ_ALL		3
#define SYSLOG_ACTION_SIZE_BUFFER	10

/* Lines in the kernel log that have @text. */
static u32 nr_lines_with(const char *text)
{
	int len, size = klogctl(SYSLOG_ACTION_SIZE_BUFFER, NULL, 0);
	char *line, *log = calloc(1, size + 1);
	u32 nr = 0;

	TEST_ASSERT(log, "Insufficient memory for %d bytes of log", size);
	len = klogctl(SYSLOG_ACTION_READ_ALL, log, size);
	TEST_ASSERT(len >= 0, "Cannot read the log, errno %d", errno);

	for (line = strtok(log, "\n"); line; line = strtok(NULL, "\n"))
		nr += !!strstr(line, text);
	free(log);
	return nr;
}

/* Lines of the module, or of KVM about it, in the kernel log. */
static u32 nr_log_lines(void)
{
	return nr_lines_with("irqroute");
}

static u64 nr_differences(void)
{
	FILE *file = fopen(DIFFERENCES, "r");
	u64 nr = 0;

	if (file) {
		TEST_ASSERT_EQ(fscanf(file, "%lu", &nr), 1);
		fclose(file);
	}
	return nr;
}

struct log_state {
	u64 differences;
	u32 lines;
	struct timespec start;
};

FIXTURE(log)
{
	struct log_state before;
};

FIXTURE_SETUP(log)
{
	self->before.differences = nr_differences();
	self->before.lines = nr_log_lines();
	clock_gettime(CLOCK_MONOTONIC, &self->before.start);
}

/*
 * There are no differences and no lines.  Or each of @nr times there was one, and
 * there are no more lines than the limit allows for the time that it took.
 */
static void expect_log(const struct log_state *before, u64 nr)
{
	u64 differences = nr_differences() - before->differences;
	u32 limit, lines = nr_log_lines() - before->lines;
	struct timespec elapsed = timespec_elapsed(before->start);

	/* An interval may have begun before, and another may be about to end. */
	limit = LOG_BURST * (elapsed.tv_sec / LOG_INTERVAL + 2);
	ksft_print_msg("differences: %lu in %lu, lines logged: %u\n", differences, nr, lines);
	if (!differences) {
		TEST_ASSERT_EQ(lines, 0);
	} else {
		TEST_ASSERT(differences == nr, "%lu of %lu differences were counted",
			    differences, nr);
		TEST_ASSERT(lines <= limit, "%lu differences gave %u lines, more than %u",
			    differences, lines, limit);
	}
}

FIXTURE_TEARDOWN(log)
{
}

/* A vCPU scans after every one of the updates. */
TEST_F(log, scans)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);
	int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, i % 2 ? VECTOR_A : VECTOR_B)));
		EXPECT_IDLE(&cpu);
	}
	expect_log(&self->before, NR_ROUNDS);
	kvm_vm_free(vm);
}

/* Lines to a SINT that is masked, that does not exist, and of a VP that does not. */
TEST_F(log, deliveries_that_fail)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	int i;

	set_sint(&cpu, 2, VECTOR_A | HV_SINT_MASKED);
	SET_ROUTES(vm, sint_route(GSI_SINT, 0, 2),
		   sint_route(GSI_SINT + 1, 0, HV_NR_SINTS),
		   sint_route(GSI_SINT + 2, 77, 2),
		   sint_route(GSI_SINT + 3, UINT_MAX, UINT_MAX));
	/* It may have been said once that there is no such SINT. */
	self->before.lines = nr_log_lines();

	for (i = 0; i < NR_ROUNDS; i++) {
		struct kvm_irq_level level = { .irq = GSI_SINT + i % 4, .level = 1 };

		TEST_ASSERT(__vm_ioctl(vm, KVM_IRQ_LINE_STATUS, &level) || level.status < 0,
			    "GSI %u was delivered", level.irq);
	}
	expect_log(&self->before, NR_ROUNDS);
	kvm_vm_free(vm);
}

/* Each reason is said once for each VM that the module handles, in whatever mode. */
TEST_F(log, routes_that_lose_interrupts)
{
	u32 lines, before = nr_lines_with("loses interrupts");
	char dir[256];
	int i, n;

	/* What was logged before no longer counts, but is summed up in a line. */
	sleep(LOG_INTERVAL + 1);

	for (n = 1; n <= 2; n++) {
		struct kvm_vm *vm = vm_create_split(1, NR_PINS);
		bool is_bound = find_vm_dir(dir, sizeof(dir));

		for (i = 0; i < NR_ROUNDS; i++)
			SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, i)),
				   sint_route(GSI_SINT, 0, HV_NR_SINTS + i),
				   msi_route(6, LEVEL_MSI(0, 0, .delivery_mode = APIC_DM_NMI)));

		lines = nr_lines_with("loses interrupts") - before;
		ksft_print_msg("VM %d is %s, lines logged: %u\n", n,
			       is_bound ? "bound" : "not bound", lines);
		TEST_ASSERT_EQ(lines, is_bound ? 2 * n : 0);
		kvm_vm_free(vm);
	}
}

static void *lose_interrupts(void *vm)
{
	SET_ROUTES(vm, sint_route(GSI_SINT, 0, HV_NR_SINTS));
	return NULL;
}

/* The process is named, whichever of its threads it was. */
TEST_F(log, process_that_loses_interrupts)
{
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	char dir[256], line[64];
	pthread_t thread;
	u32 before;

	snprintf(line, sizeof(line), "process %d set a route that loses interrupts", getpid());
	before = nr_lines_with(line);
	/* As above. */
	sleep(LOG_INTERVAL + 1);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, lose_interrupts, vm), 0);
	TEST_ASSERT_EQ(pthread_join(thread, NULL), 0);
	TEST_ASSERT_EQ(nr_lines_with(line) - before, find_vm_dir(dir, sizeof(dir)) ? 1 : 0);
	kvm_vm_free(vm);
}

/* EOMs and EOIs that end nothing, and changes of SINTs, each of which makes the vCPU scan. */
static void guest_make_noise(u64 nr)
{
	while (nr--) {
		wrmsr(HV_X64_MSR_SINT0 + nr % HV_NR_SINTS, HV_SINT_MASKED | VECTOR_A);
		wrmsr(HV_X64_MSR_EOM, 0);
		guest_eoi();
	}
}

TEST_F(log, noise_of_the_guest)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);

	synic_cpu_add(&cpu, vm, 0, 0);
	SET_ROUTES(vm, sint_route(GSI_SINT, 0, 2));
	irq_cpu_call(&cpu, guest_make_noise, NR_ROUNDS, 0);
	expect_log(&self->before, 0);
	kvm_vm_free(vm);
}

TEST_F(log, refused_tables)
{
	const struct kvm_irq_routing_entry refused[] = {
		msi_route(4096, LEVEL_MSI(0, VECTOR_A)),
		{ .gsi = 5, .type = 77 },
		{ .gsi = 5, .type = KVM_IRQ_ROUTING_HV_SINT, .flags = 77 },
		irqchip_route(5, 77, 77),
	};
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	int i;

	for (i = 0; i < NR_ROUNDS; i++)
		TEST_ASSERT_EQ(__set_routes(vm, &refused[i % ARRAY_SIZE(refused)], 1, 0), EINVAL);
	expect_log(&self->before, 0);
	kvm_vm_free(vm);
}

/* New VMs, one of which may be the first that KVM has to say something about. */
TEST_F(log, vms)
{
	int i;

	kvm_vm_free(vm_create_barebones());
	self->before.lines = nr_log_lines();

	for (i = 0; i < 100; i++)
		kvm_vm_free(vm_create_barebones());
	expect_log(&self->before, 0);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));

	return test_harness_run(argc, argv);
}
