// SPDX-License-Identifier: GPL-2.0
/*
 * VMs in trouble, for Documentation/troubleshooting.rst: each has a fault that its
 * routes show.  Prints the name and the process of each VM, and "ready" when all
 * of them run.  They run on until standard input ends.
 */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "irqroute.h"
#include "synic.h"

#define NR_PINS		24
#define STEP_US		50000

/* A level-triggered IRQ of a device whose GSI is the first one past the reserved pins. */
static void net(void (*wait)(void))
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(0, 0x31)), msi_route(NR_PINS, LEVEL_MSI(0, 0x35)));
	for (;;) {
		raise_gsi(vm, 5);
		EXPECT_TAKE(&cpu, VECTORS(0x31), VECTORS(0x31));
		raise_gsi(vm, NR_PINS);
		EXPECT_TAKE(&cpu, VECTORS(0x35), NO_VECTORS);
		wait();
	}
}

/* A busy edge-triggered pin has the vector of an idle level-triggered one. */
static void exits(void (*wait)(void))
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);

	SET_ROUTES(vm, msi_route(10, LEVEL_MSI(0, 0x51)), msi_route(11, EDGE_MSI(0, 0x51)),
		   msi_route(12, EDGE_MSI(0, 0x62)));
	for (;;) {
		raise_gsi(vm, 11);
		EXPECT_TAKE(&cpu, VECTORS(0x51), VECTORS(0x51));
		raise_gsi(vm, 12);
		EXPECT_TAKE(&cpu, VECTORS(0x62), NO_VECTORS);
		wait();
	}
}

/* Nobody serves the device, so that it raises its line again at each EOI; others are at peace. */
static void storm(void (*wait)(void))
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);
	int i;

	SET_ROUTES(vm, msi_route(10, LEVEL_MSI(0, 0x51)), msi_route(11, LEVEL_MSI(0, 0x62)));
	for (;;) {
		for (i = 0; i < 20; i++) {
			raise_gsi(vm, 11);
			EXPECT_TAKE(&cpu, VECTORS(0x62), VECTORS(0x62));
		}
		wait();
	}
}

/* One SINT is masked, one belongs to no virtual processor, one works. */
static void sints(void (*wait)(void))
{
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	struct irq_cpu cpu;

	synic_cpu_add(&cpu, vm, 0, 0);
	set_sint(&cpu, 2, 0x60);
	SET_ROUTES(vm, sint_route(40, 0, 2), sint_route(41, 0, 3), sint_route(42, 1, 2));
	for (;;) {
		raise_gsi(vm, 40);
		EXPECT_TAKE(&cpu, VECTORS(0x60), NO_VECTORS);
		irq_line_status(vm, 41, 1);
		irq_line_status(vm, 42, 1);
		wait();
	}
}

/* Pins that were saved as zeros, and a destination that no vCPU has any more. */
static void restored(void (*wait)(void))
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);

	SET_ROUTES(vm, msi_route(1, LEVEL_MSI(0, 0)), msi_route(4, LEVEL_MSI(0, 0x34)),
		   msi_route(8, LEVEL_MSI(3, 0x38)));
	for (;;) {
		raise_gsi(vm, 1);
		raise_gsi(vm, 8);
		EXPECT_IDLE(&cpu);
		wait();
	}
}

/* The VMM sets its table at each write to its I/O APIC, whether or not that changes a route. */
static void updates(void (*wait)(void))
{
	struct kvm_irq_routing_entry routes[NR_PINS];
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic);
	u32 i;

	for (i = 0; i < NR_PINS; i++)
		routes[i] = msi_route(i, LEVEL_MSI(0, 0x30 + i));
	for (;;) {
		for (i = 0; i < 4; i++)
			__set_routes(vm, routes, NR_PINS, 0);
		routes[3].u.msi.data ^= 0x80;
		EXPECT_IDLE(&cpu);
		wait();
	}
}

static int ready_fd;

static void wait_a_moment(void)
{
	static bool is_ready;

	if (!is_ready)
		TEST_ASSERT(write(ready_fd, "", 1) == 1, "Nobody waits for the VM");
	is_ready = true;
	usleep(STEP_US);
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		void (*run)(void (*wait)(void));
	} vms[] = {
		{ "net", net }, { "exits", exits }, { "storm", storm },
		{ "sints", sints }, { "restored", restored }, { "updates", updates },
	};
	pid_t pids[ARRAY_SIZE(vms)];
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct pollfd ready = { .events = POLLIN };
	char buf[64];
	int fds[2];
	u32 i;

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_ASSERT(!pipe(fds), "pipe() failed");
	ready.fd = fds[0];
	ready_fd = fds[1];
	for (i = 0; i < ARRAY_SIZE(vms); i++) {
		pids[i] = fork();
		TEST_ASSERT(pids[i] >= 0, "fork() failed");
		if (!pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_SET_NAME, vms[i].name);
			vms[i].run(wait_a_moment);
		}
		printf("%s %d\n", vms[i].name, pids[i]);
	}
	for (i = 0; i < ARRAY_SIZE(vms); i++) {
		while (!poll(&ready, 1, 100))
			TEST_ASSERT(!waitpid(-1, NULL, WNOHANG), "A VM has ended by itself");
		TEST_ASSERT(read(fds[0], buf, 1) == 1, "A VM does not run");
	}
	printf("ready\n");
	fflush(stdout);

	while (poll(&input, 1, -1) > 0 && read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		;
	for (i = 0; i < ARRAY_SIZE(vms); i++) {
		TEST_ASSERT(!waitpid(pids[i], NULL, WNOHANG), "%s has ended by itself",
			    vms[i].name);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return 0;
}
