// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM proper: makes a VM, routes and raises interrupts, runs the vCPUs.
 *
 * The vCPUs take turns on one thread, each until its guest reports that it is idle. So the order
 * of events is the same in every run, however slow the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "scenario.h"
#include "text.h"
#include "vm.h"

/* Far more than any scenario needs: a guest that gets here will never come to rest. */
#define MAX_EXITS		64

const char *doing[2];

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("route_vm: ", stderr);
	for (int i = 0; i < 2; i++)
		if (doing[i])
			fprintf(stderr, "%s: ", doing[i]);

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

long must(long ret, const char *what, const char *remedy)
{
	if (ret < 0)
		die("%s: %s (%s)", what, strerror(errno), remedy);
	return ret;
}

static void *must_map(void *address, const char *what)
{
	must(address == MAP_FAILED ? -1 : 0, what, "out of memory?");
	return address;
}

static int open_kvm(void)
{
	return must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm", text.no_kvm);
}

static void create_memory(struct vm *vm)
{
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_MEMORY_SIZE };

	vm->memory = must_map(mmap(NULL, GUEST_MEMORY_SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "guest memory");
	memcpy(vm->memory, guest_image, guest_image_end - guest_image);

	region.userspace_addr = (uintptr_t)vm->memory;
	must(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region),
	     "KVM_SET_USER_MEMORY_REGION", "out of memory?");
}

static void create_vcpu(struct vm *vm, int vcpu, const struct machine *machine)
{
	int fd = must(ioctl(vm->fd, KVM_CREATE_VCPU, vcpu), "KVM_CREATE_VCPU", "out of memory?");

	vm->vcpu_fd[vcpu] = fd;
	vm->run[vcpu] = must_map(mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				      fd, 0), "the vCPU's kvm_run");
	arch_setup_vcpu(vm, vcpu, machine);
}

/*
 * Makes a VM with the routes of a scenario. KVM binds it to C or to Rust in KVM_CREATE_VM, by the
 * helper's mode at that moment.
 */
void vm_create(struct vm *vm, const struct scenario *scenario, struct log *log)
{
	int kvm = open_kvm();

	*vm = (struct vm){ .log = log };
	vm->fd = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM",
		      "is virtualisation switched off, or in use by another hypervisor?");
	vm->run_size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE",
			    "a defect in KVM?");
	close(kvm);

	arch_create_irqchip(vm, &scenario->machine);
	create_memory(vm);
	for (int i = 0; i < NR_VCPUS; i++)
		create_vcpu(vm, i, &scenario->machine);
	if (scenario->routes_first)
		vm_set_routes(vm, &scenario->routes);
	arch_init_irqchip(vm, &scenario->machine);

	/* Until they are idle, with interrupts on. */
	vm_run_all(vm);
	if (!scenario->routes_first)
		vm_set_routes(vm, &scenario->routes);
	/* Each vCPU takes the routes up before the first interrupt is pending. */
	vm_run_all(vm);
}

/* KVM destroys the VM, and releases the helper, with the last of these. */
void vm_destroy(struct vm *vm)
{
	for (int i = 0; i < NR_VCPUS; i++) {
		munmap(vm->run[i], vm->run_size);
		close(vm->vcpu_fd[i]);
	}
	for (int i = 0; i < vm->nr_irqfds; i++) {
		close(vm->irqfds[i].fd);
		close(vm->irqfds[i].resamplefd);
	}
	close(vm->fd);
	munmap(vm->memory, GUEST_MEMORY_SIZE);
}

/* Replaces the VM's routing table. */
void vm_set_routes(struct vm *vm, const struct routes *routes)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[MAX_ROUTES];
	} table = { .head.nr = routes->nr };

	memcpy(table.entries, routes->entries, sizeof(table.entries));
	must(ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), "KVM_SET_GSI_ROUTING",
	     "the kernel refuses the routes: see the kernel log");
}

static int create_eventfd(void)
{
	return must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", "out of memory?");
}

static void signal_irqfd(int fd)
{
	must(eventfd_write(fd, 1), "write to the irqfd", "a defect in KVM?");
}

/* With the irqfd goes the work item that KVM may have left the interrupt to, once it is done. */
void vm_raise_by_irqfd(struct vm *vm, unsigned int gsi)
{
	struct kvm_irqfd irqfd = { .gsi = gsi, .fd = create_eventfd() };

	must(ioctl(vm->fd, KVM_IRQFD, &irqfd), "KVM_IRQFD", "needs an in-kernel irqchip");
	signal_irqfd(irqfd.fd);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	must(ioctl(vm->fd, KVM_IRQFD, &irqfd), "KVM_IRQFD to deassign", "a defect in KVM?");
	close(irqfd.fd);
}

/* KVM raises the GSI when irqfd is written, and signals resamplefd when the guest has ended it. */
void vm_add_resample_irqfd(struct vm *vm, unsigned int gsi)
{
	struct irqfd *new = &vm->irqfds[vm->nr_irqfds++];
	struct kvm_irqfd irqfd = { .gsi = gsi, .flags = KVM_IRQFD_FLAG_RESAMPLE };

	*new = (struct irqfd){ gsi, create_eventfd(), create_eventfd() };
	irqfd.fd = new->fd;
	irqfd.resamplefd = new->resamplefd;
	must(ioctl(vm->fd, KVM_IRQFD, &irqfd), "KVM_IRQFD with a resamplefd",
	     "needs the full in-kernel irqchip");
}

void vm_raise_irqfd(struct vm *vm, unsigned int gsi)
{
	for (int i = 0; i < vm->nr_irqfds; i++)
		if (vm->irqfds[i].gsi == gsi)
			signal_irqfd(vm->irqfds[i].fd);
}

void vm_note(struct vm *vm, enum event_type type, int vcpu, int number)
{
	if (vm->log->nr == MAX_EVENTS)
		die("more than %d events in one step: an interrupt that does not end?", MAX_EVENTS);
	vm->log->events[vm->log->nr++] = (struct event){ type, vcpu, number };
}

static void note_resampled(struct vm *vm, int vcpu)
{
	eventfd_t signals;

	for (int i = 0; i < vm->nr_irqfds; i++)
		if (!eventfd_read(vm->irqfds[i].resamplefd, &signals))
			while (signals--)
				vm_note(vm, EVENT_RESAMPLED, vcpu, vm->irqfds[i].gsi);
}

/* Runs a vCPU until it has received an interrupt, or has nothing left to do at all. */
void vm_run(struct vm *vm, int vcpu, enum progress until)
{
	enum progress progress;
	int ret;

	for (int exits = 0; exits < MAX_EXITS; exits++) {
		do
			ret = ioctl(vm->vcpu_fd[vcpu], KVM_RUN, 0);
		while (ret < 0 && errno == EINTR);
		must(ret, "KVM_RUN", "see the kernel log");

		/* First, as it was signalled before the exit, so that the order comes out right. */
		note_resampled(vm, vcpu);
		progress = arch_handle_exit(vm, vcpu);
		if (progress == until || progress == PROGRESS_IDLE)
			return;
	}
	die("vCPU %d is still busy after %d exits", vcpu, MAX_EXITS);
}

void vm_run_all(struct vm *vm)
{
	for (int i = 0; i < NR_VCPUS; i++)
		vm_run(vm, i, PROGRESS_IDLE);
}

void vm_next_step(struct vm *vm)
{
	vm->log++;
}
