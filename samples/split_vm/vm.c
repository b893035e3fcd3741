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
#include "vm.h"

/* Far more than any scenario needs: a guest that gets here will never come to rest. */
#define MAX_EXITS		64

/* Only Intel without unrestricted guest mode uses it, and then it must not be guest memory. */
#define UNUSED_TSS_ADDRESS	0xfffbd000

#define CPUID_1_ECX_X2APIC	0x200000
#define CPUID_1_EDX_MSR		0x20
#define CPUID_1_EDX_APIC	0x200
#define CPUID_HV_INTERFACE	0x40000001
#define CPUID_HV_SIGNATURE	0x31237648	/* "Hv#1" */

const char *doing[2];

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("split_vm: ", stderr);
	for (int i = 0; i < 2; i++)
		if (doing[i])
			fprintf(stderr, "%s: ", doing[i]);

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

/* Nothing here may fail. What does ends the program with one line: what, why and a remedy. */
static long must(long ret, const char *what, const char *remedy)
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
	return must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm",
		    "load kvm-amd or kvm-intel, be root or in group kvm, or use tools/testing/vm/run");
}

static void create_irqchip(struct vm *vm, enum irqchip_kind irqchip)
{
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { RESERVED_PINS },
	};

	if (irqchip == IRQCHIP_SPLIT)
		must(ioctl(vm->fd, KVM_ENABLE_CAP, &split),
		     "KVM_ENABLE_CAP(KVM_CAP_SPLIT_IRQCHIP)", "needs Linux 4.5 or later, x86");
	else
		must(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0),
		     "KVM_CREATE_IRQCHIP", "needs CONFIG_KVM_IOAPIC=y");
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

/* Just what the guest uses: MSRs, an x2APIC, and on request the Hyper-V MSRs. */
static void set_cpuid(struct vm *vm, int vcpu, bool synic)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[3];
	} cpuid = {
		.head.nent = synic ? 3 : 2,
		.entries = {
			{ .function = 0, .eax = 1 },
			{
				.function = 1,
				.ecx = CPUID_1_ECX_X2APIC,
				.edx = CPUID_1_EDX_MSR | CPUID_1_EDX_APIC,
			},
			{ .function = CPUID_HV_INTERFACE, .eax = CPUID_HV_SIGNATURE },
		},
	};

	must(ioctl(vm->vcpu_fd[vcpu], KVM_SET_CPUID2, &cpuid),
	     "KVM_SET_CPUID2", "this KVM cannot offer an x2APIC");
}

static void create_vcpu(struct vm *vm, int vcpu, bool synic)
{
	struct kvm_enable_cap synic_cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = {
		.rip = guest_entry - guest_image,
		.rsp = GUEST_STACK_TOP(vcpu),
		.rbx = synic ? BOOT_WITH_SYNIC : 0,
		.rflags = 2,	/* bit 1 is always set */
	};
	struct kvm_sregs sregs;
	int fd;

	fd = must(ioctl(vm->fd, KVM_CREATE_VCPU, vcpu), "KVM_CREATE_VCPU", "out of memory?");
	vm->vcpu_fd[vcpu] = fd;
	vm->run[vcpu] = must_map(mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				      fd, 0), "the vCPU's kvm_run");

	set_cpuid(vm, vcpu, synic);
	if (synic)
		must(ioctl(fd, KVM_ENABLE_CAP, &synic_cap),
		     "KVM_ENABLE_CAP(KVM_CAP_HYPERV_SYNIC2)", "needs CONFIG_KVM_HYPERV=y");

	/* A new vCPU is in real mode already. Its code segment is moved from the BIOS to 0. */
	must(ioctl(fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS", "a defect in KVM?");
	sregs.cs.selector = 0;
	sregs.cs.base = 0;
	must(ioctl(fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS", "a defect in KVM?");
	must(ioctl(fd, KVM_SET_REGS, &regs), "KVM_SET_REGS", "a defect in KVM?");

	/* All but the first vCPU would wait for INIT and SIPI. */
	must(ioctl(fd, KVM_SET_MP_STATE, &runnable), "KVM_SET_MP_STATE", "a defect in KVM?");
}

/*
 * Makes a VM and runs its vCPUs until they are idle, with interrupts on. KVM binds the VM to C
 * or to Rust in KVM_CREATE_VM, by the helper's mode at that moment.
 */
void vm_create(struct vm *vm, enum irqchip_kind irqchip, bool synic, struct log *log)
{
	int kvm = open_kvm();

	*vm = (struct vm){
		.irqfd = -1,
		.resamplefd = -1,
		.how_to_end = END_WITH_EOI,
		.log = log,
	};
	vm->fd = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM",
		      "is virtualisation switched off, or in use by another hypervisor?");
	vm->run_size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE",
			    "a defect in KVM?");
	close(kvm);

	must(ioctl(vm->fd, KVM_SET_TSS_ADDR, UNUSED_TSS_ADDRESS), "KVM_SET_TSS_ADDR",
	     "a defect in KVM?");
	create_irqchip(vm, irqchip);
	create_memory(vm);
	for (int i = 0; i < NR_VCPUS; i++)
		create_vcpu(vm, i, synic);
	vm_run_all(vm);
}

/* KVM destroys the VM, and releases the helper, with the last of these. */
void vm_destroy(struct vm *vm)
{
	for (int i = 0; i < NR_VCPUS; i++) {
		munmap(vm->run[i], vm->run_size);
		close(vm->vcpu_fd[i]);
	}
	if (vm->irqfd >= 0)
		close(vm->irqfd);
	if (vm->resamplefd >= 0)
		close(vm->resamplefd);
	close(vm->fd);
	munmap(vm->memory, GUEST_MEMORY_SIZE);
}

/* Replaces the VM's routing table by one with a single route. */
void vm_set_route(struct vm *vm, const struct kvm_irq_routing_entry *route)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {
		.head.nr = 1,
		.entry = *route,
	};

	must(ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), "KVM_SET_GSI_ROUTING",
	     "the kernel refuses the route: see the kernel log");
}

void vm_raise(struct vm *vm, unsigned int gsi)
{
	struct kvm_irq_level line = { .irq = gsi, .level = 1 };

	must(ioctl(vm->fd, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE", "a defect in KVM?");
}

/* An interrupt that takes no route at all. */
void vm_send_msi(struct vm *vm, const struct kvm_irq_routing_msi *msi)
{
	struct kvm_msi message = {
		.address_lo = msi->address_lo,
		.address_hi = msi->address_hi,
		.data = msi->data,
	};

	must(ioctl(vm->fd, KVM_SIGNAL_MSI, &message), "KVM_SIGNAL_MSI", "a defect in KVM?");
}

/* KVM raises the GSI when irqfd is written, and signals resamplefd when the guest has ended it. */
void vm_add_resample_irqfd(struct vm *vm, unsigned int gsi)
{
	struct kvm_irqfd irqfd = { .gsi = gsi, .flags = KVM_IRQFD_FLAG_RESAMPLE };

	vm->irqfd = must(eventfd(0, EFD_CLOEXEC), "eventfd", "out of memory?");
	vm->resamplefd = must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", "out of memory?");
	irqfd.fd = vm->irqfd;
	irqfd.resamplefd = vm->resamplefd;
	must(ioctl(vm->fd, KVM_IRQFD, &irqfd), "KVM_IRQFD with a resamplefd",
	     "needs the full in-kernel irqchip");
}

void vm_raise_irqfd(struct vm *vm)
{
	must(eventfd_write(vm->irqfd, 1), "write to the irqfd", "a defect in KVM?");
}

static void note(struct vm *vm, enum event_type type, int vcpu, int vector)
{
	if (vm->log->nr == MAX_EVENTS)
		die("more than %d events in one step: an interrupt that does not end?", MAX_EVENTS);
	vm->log->events[vm->log->nr++] = (struct event){ type, vcpu, vector };
}

/* Returns true if it was PORT_IDLE or PORT_RECEIVED, and which. */
static bool handle_io(struct vm *vm, int vcpu, enum run_until *reached)
{
	struct kvm_run *run = vm->run[vcpu];
	unsigned char *data = (unsigned char *)run + run->io.data_offset;

	switch (run->io.port) {
	case PORT_IDLE:
		*reached = UNTIL_IDLE;
		return true;
	case PORT_RECEIVED:
		note(vm, EVENT_RECEIVED, vcpu, *data);
		*reached = UNTIL_RECEIVED;
		return true;
	case PORT_HOW_TO_END:
		*data = vm->how_to_end;
		return false;
	default:
		die("the guest uses I/O port %#x, which does not exist", run->io.port);
	}
}

/* Runs a vCPU until it has received an interrupt, or has nothing left to do at all. */
void vm_run(struct vm *vm, int vcpu, enum run_until until)
{
	struct kvm_run *run = vm->run[vcpu];
	enum run_until reached;
	eventfd_t signals;
	int ret;

	for (int exits = 0; exits < MAX_EXITS; exits++) {
		do
			ret = ioctl(vm->vcpu_fd[vcpu], KVM_RUN, 0);
		while (ret < 0 && errno == EINTR);
		must(ret, "KVM_RUN", "see the kernel log");

		/* First, as it was signalled before the exit, so that the order comes out right. */
		if (vm->resamplefd >= 0 && !eventfd_read(vm->resamplefd, &signals))
			while (signals--)
				note(vm, EVENT_RESAMPLED, vcpu, 0);

		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (handle_io(vm, vcpu, &reached) &&
			    (reached == until || reached == UNTIL_IDLE))
				return;
			break;
		case KVM_EXIT_IOAPIC_EOI:
			/* An I/O APIC would clear Remote IRR here, and look at the pin. */
			note(vm, EVENT_EOI_EXIT, vcpu, run->eoi.vector);
			break;
		case KVM_EXIT_HYPERV:
			/* The guest has switched its SynIC on; KVM lets a VMM know, no more. */
			break;
		default:
			die("vCPU %d: exit reason %u, which this VMM does not handle",
			    vcpu, run->exit_reason);
		}
	}
	die("vCPU %d is still busy after %d exits", vcpu, MAX_EXITS);
}

void vm_run_all(struct vm *vm)
{
	for (int i = 0; i < NR_VCPUS; i++)
		vm_run(vm, i, UNTIL_IDLE);
}

void vm_next_step(struct vm *vm)
{
	vm->log++;
}
