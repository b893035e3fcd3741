// SPDX-License-Identifier: GPL-2.0
/*
 * A VM on x86: its irqchip, its vCPUs, and what exits mean.
 */
#include <sys/ioctl.h>

#include "guest.h"
#include "vm.h"

/* Only Intel without unrestricted guest mode uses it, and then it must not be guest memory. */
#define UNUSED_TSS_ADDRESS	0xfffbd000

#define CPUID_1_ECX_X2APIC	0x200000
#define CPUID_1_EDX_MSR		0x20
#define CPUID_1_EDX_APIC	0x200
#define CPUID_HV_INTERFACE	0x40000001
#define CPUID_HV_SIGNATURE	0x31237648	/* "Hv#1" */

void arch_create_irqchip(struct vm *vm, const struct machine *machine)
{
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { RESERVED_PINS },
	};

	must(ioctl(vm->fd, KVM_SET_TSS_ADDR, UNUSED_TSS_ADDRESS), "KVM_SET_TSS_ADDR",
	     "a defect in KVM?");
	if (machine->irqchip == IRQCHIP_SPLIT)
		must(ioctl(vm->fd, KVM_ENABLE_CAP, &split),
		     "KVM_ENABLE_CAP(KVM_CAP_SPLIT_IRQCHIP)", "needs Linux 4.5 or later, x86");
	else
		must(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0),
		     "KVM_CREATE_IRQCHIP", "needs CONFIG_KVM_IOAPIC=y");
	vm->arch.how_to_end = END_WITH_EOI;
}

/* Just what the guest uses: MSRs, an x2APIC, and on request the Hyper-V MSRs. */
static void set_cpuid(int fd, bool synic)
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

	must(ioctl(fd, KVM_SET_CPUID2, &cpuid),
	     "KVM_SET_CPUID2", "this KVM cannot offer an x2APIC");
}

void arch_setup_vcpu(struct vm *vm, int vcpu, const struct machine *machine)
{
	struct kvm_enable_cap synic_cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = {
		.rip = guest_entry - guest_image,
		.rsp = GUEST_STACK_TOP(vcpu),
		.rbx = machine->synic ? BOOT_WITH_SYNIC : 0,
		.rflags = 2,	/* bit 1 is always set */
	};
	int fd = vm->vcpu_fd[vcpu];
	struct kvm_sregs sregs;

	set_cpuid(fd, machine->synic);
	if (machine->synic)
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

/* There is nothing left to do. */
void arch_init_irqchip(struct vm *vm, const struct machine *machine)
{
}

static enum progress handle_io(struct vm *vm, int vcpu)
{
	struct kvm_run *run = vm->run[vcpu];
	unsigned char *data = (unsigned char *)run + run->io.data_offset;

	switch (run->io.port) {
	case PORT_IDLE:
		return PROGRESS_IDLE;
	case PORT_RECEIVED:
		vm_note(vm, EVENT_RECEIVED, vcpu, *data);
		return PROGRESS_RECEIVED;
	case PORT_HOW_TO_END:
		*data = vm->arch.how_to_end;
		return PROGRESS_NONE;
	default:
		die("the guest uses I/O port %#x, which does not exist", run->io.port);
	}
}

enum progress arch_handle_exit(struct vm *vm, int vcpu)
{
	struct kvm_run *run = vm->run[vcpu];

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return handle_io(vm, vcpu);
	case KVM_EXIT_IOAPIC_EOI:
		/* An I/O APIC would clear Remote IRR here, and look at the pin. */
		vm_note(vm, EVENT_EOI_EXIT, vcpu, run->eoi.vector);
		return PROGRESS_NONE;
	case KVM_EXIT_HYPERV:
		/* The guest has switched its SynIC on; KVM lets a VMM know, no more. */
		return PROGRESS_NONE;
	default:
		die("vCPU %d: exit reason %u, which this VMM does not handle",
		    vcpu, run->exit_reason);
	}
}

void raise_line(struct vm *vm, unsigned int gsi)
{
	struct kvm_irq_level line = { .irq = gsi, .level = 1 };

	must(ioctl(vm->fd, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE", "a defect in KVM?");
}

void send_msi(struct vm *vm, const struct kvm_irq_routing_msi *msi)
{
	struct kvm_msi message = {
		.address_lo = msi->address_lo,
		.address_hi = msi->address_hi,
		.data = msi->data,
	};

	must(ioctl(vm->fd, KVM_SIGNAL_MSI, &message), "KVM_SIGNAL_MSI", "a defect in KVM?");
}
