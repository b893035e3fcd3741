// SPDX-License-Identifier: GPL-2.0
/*
 * Twin VMs, one whose interrupt routes KVM's C handles and one whose routes
 * kvm_irqroute handles with parity=1, get the same random operations.  After each
 * of them everything that userspace and the guest can see must be the same: what
 * the operation returned, why vCPUs exited, which IRQs the guest took, which GSIs
 * were acknowledged, the state of every local APIC, where IRQs of devices are
 * posted, and what KVM says of that.
 *
 * A sequence of operations follows from its seed.  One on which the twins differ
 * is cut off behind the difference, and then operations are left out one by one
 * as long as it still shows.
 *
 * All vCPUs are driven from one thread, and work that KVM would do later is waited
 * for, so that a seed gives the same result every time.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "irq_producer_device.h"
#include "irq_producer_load.h"
#include "irqroute.h"
#include "synic.h"
#include "twin_tables.h"
#include "twins.h"
#include "vfio_attrs.h"
#include "vfio_file_load.h"
#include "vm_template.h"

#define NR_IRQFDS		4
#define MAX_EXITS		40	/* of one step of a guest */

#define FIXED_SEQUENCES		100

#define IA32_APICBASE_MODE	(MSR_IA32_APICBASE_ENABLE | MSR_IA32_APICBASE_EXTD)

/* What is worth counting beyond operations and their errnos. */
enum event {
	IRQ_TAKEN,
	NMI_TAKEN,
	EOI_EXIT,
	HYPERV_EXIT,
	MMIO_EXIT,
	GUEST_FAULT,
	ACK,
	LINE_DELIVERED,
	LINE_COALESCED,
	LINE_IGNORED,
	MSI_DELIVERED,
	MSI_IGNORED,
	IRQ_POSTED,
	IRQ_DENIED,
	NR_EVENTS,
};

static const char * const event_names[NR_EVENTS] = {
	[IRQ_TAKEN] = "IRQs taken",
	[NMI_TAKEN] = "NMIs taken",
	[EOI_EXIT] = "EOI exits",
	[HYPERV_EXIT] = "SynIC exits",
	[MMIO_EXIT] = "MMIO exits",
	[GUEST_FAULT] = "faults of the guest",
	[ACK] = "acks of GSIs",
	[LINE_DELIVERED] = "lines delivered",
	[LINE_COALESCED] = "lines coalesced",
	[LINE_IGNORED] = "lines ignored",
	[MSI_DELIVERED] = "MSIs delivered",
	[MSI_IGNORED] = "MSIs ignored",
	[IRQ_POSTED] = "IRQs of devices posted",
	[IRQ_DENIED] = "IRQs of devices that userspace keeps from it",
};

static u64 events[NR_EVENTS];

/* Whether this host has IRQs that KVM posts, by a test module. */
static bool host_posts;

/* The guest: what it does must be harmless in whatever state its APIC is. */
struct twin_guest {
	struct guest_cpu cpu;
	u64 fault;		/* the exception of the last step's MSR access */
};

static struct twin_guest *this_twin_guest(void)
{
	return (struct twin_guest *)this_guest_cpu();
}

static void guest_wrmsr_safe(u64 msr, u64 val)
{
	this_twin_guest()->fault = wrmsr_safe(msr, val);
}

static void guest_apic_write_safe(u64 reg, u64 val)
{
	if (this_guest_cpu()->x2apic)
		guest_wrmsr_safe(APIC_BASE_MSR + (reg >> 4), val);
	else
		xapic_write_reg(reg, val);
}

/* Sets the mode and the spurious vector register, by way of a disabled APIC if asked to. */
static void guest_apic_mode(u64 mode, u64 spiv)
{
	u64 base = rdmsr(MSR_IA32_APICBASE) & ~IA32_APICBASE_MODE;
	struct twin_guest *guest = this_twin_guest();

	if (mode & MSR_IA32_APICBASE_EXTD)
		guest_wrmsr_safe(MSR_IA32_APICBASE, base | MSR_IA32_APICBASE_ENABLE);
	else if (mode)
		guest_wrmsr_safe(MSR_IA32_APICBASE, base);
	guest_wrmsr_safe(MSR_IA32_APICBASE, base | mode);

	guest->cpu.x2apic = rdmsr(MSR_IA32_APICBASE) & MSR_IA32_APICBASE_EXTD;
	guest_apic_write_safe(APIC_SPIV, spiv);
}

static void guest_nothing(void)
{
}

static void guest_nmi_handler(struct ex_regs *regs)
{
	struct guest_cpu *cpu = this_guest_cpu();

	if (cpu->taken.nr < ARRAY_SIZE(cpu->taken.v))
		cpu->taken.v[cpu->taken.nr++] = regs->vector;
}

/* Whether an irqfd has an event that KVM has not seen counts, see flush_irqfd(). */
struct twin_irqfd {
	int resamplefd;
	struct device device;	/* sends its IRQ by the eventfd, as long as it is bound */
	bool assigned, unseen;
	u32 gsi, flags;
};

/* A VM of a pair. */
struct twin {
	struct vm_template template;
	struct kvm_vm *vm;
	struct irq_cpu cpus[MAX_CPUS];
	bool dead[MAX_CPUS];	/* left the guest in a way that it cannot go on from */
	struct twin_irqfd irqfds[NR_IRQFDS];
	int vfio;	/* the kvm-vfio device */
	int file;	/* a VFIO file, which may be added to it */
};

static struct twin first, second;

static void twin_make(struct twin *twin)
{
	helper_write_parameter("mode", "c");
	vm_template_make(&twin->template);
	twin->vm = twin->template.vm;
	vm_install_exception_handler(twin->vm, NMI_VECTOR, guest_nmi_handler);
	vm_template_keep(&twin->template);
}

static void twin_open(struct twin *twin)
{
	int i;

	/* Both have none. */
	memset(current_routes, 0, sizeof(current_routes));
	vm_template_open(&twin->template);
	memset(twin->cpus, 0, sizeof(twin->cpus));
	memset(twin->dead, 0, sizeof(twin->dead));
	for (i = 0; i < NR_IRQFDS; i++) {
		struct twin_irqfd *irqfd = &twin->irqfds[i];

		*irqfd = (struct twin_irqfd){
			.resamplefd = eventfd(0, EFD_NONBLOCK),
			.device = host_posts ? device_open() :
				  (struct device){ -1, kvm_new_eventfd() },
		};
	}
	if (!host_posts)
		return;
	twin->vfio = kvm_create_device(twin->vm, KVM_DEV_TYPE_VFIO);
	twin->file = vfio_file_open(twin == &second);
	TEST_ASSERT_EQ(add_file(twin->vfio, twin->file), 0);
}

static void irqfd_ioctl_flags(struct twin *twin, struct outcome *o, struct twin_irqfd *irqfd,
			      u32 flags)
{
	struct kvm_irqfd arg = {
		.fd = irqfd->device.eventfd,
		.gsi = irqfd->gsi,
		.flags = flags,
		.resamplefd = irqfd->resamplefd,
	};

	state_errno(o, "errno of KVM_IRQFD", __vm_ioctl(twin->vm, KVM_IRQFD, &arg));
}

/*
 * KVM injects some events from a workqueue.  De-assigning waits for that, and
 * forgets an event that no irqfd has seen.
 */
static void flush_irqfd(struct twin *twin, struct outcome *o, struct twin_irqfd *irqfd)
{
	irqfd_ioctl_flags(twin, o, irqfd, KVM_IRQFD_FLAG_DEASSIGN);
	irqfd_ioctl_flags(twin, o, irqfd, irqfd->flags);
	irqfd->unseen = false;
}

static void twin_close(struct twin *twin)
{
	struct outcome o = {};
	int i;

	for (i = 0; i < NR_IRQFDS; i++) {
		if (twin->irqfds[i].assigned)
			irqfd_ioctl_flags(twin, &o, &twin->irqfds[i], KVM_IRQFD_FLAG_DEASSIGN);
		device_close(&twin->irqfds[i].device);
		close(twin->irqfds[i].resamplefd);
	}
	if (host_posts) {
		close(twin->vfio);
		close(twin->file);
	}
	kvm_vm_release(twin->vm);
}

/* Runs a vCPU until the guest is done with its step, and states what happened meanwhile. */
static void step(struct twin *twin, struct outcome *o, u32 index, void *fn, u64 arg0, u64 arg1)
{
	struct irq_cpu *cpu = &twin->cpus[index];
	struct twin_guest *guest;
	struct kvm_run *run;
	struct ucall uc;
	u32 i, exits;
	int ret;

	if (!cpu->vcpu || twin->dead[index]) {
		o->skipped = true;
		return;
	}

	guest = (struct twin_guest *)cpu->guest;
	run = cpu->vcpu->run;
	guest->fault = 0;
	irq_cpu_set_step(cpu, fn, arg0, arg1);
	for (exits = 0; ; exits++) {
		ret = _vcpu_run(cpu->vcpu);
		state_errno(o, "errno of KVM_RUN", ret);
		state_fact(o, "exit reason", run->exit_reason);
		twin->dead[index] = ret || exits == MAX_EXITS;
		if (twin->dead[index])
			break;

		switch (run->exit_reason) {
		case KVM_EXIT_IOAPIC_EOI:
			events[EOI_EXIT]++;
			state_fact(o, "EOI exit", run->eoi.vector);
			continue;
		case KVM_EXIT_HYPERV:
			events[HYPERV_EXIT]++;
			state_fact(o, "Hyper-V exit type", run->hyperv.type);
			state_fact(o, "Hyper-V exit MSR", run->hyperv.u.synic.msr);
			state_fact(o, "SCONTROL", run->hyperv.u.synic.control);
			state_fact(o, "SIEFP", run->hyperv.u.synic.evt_page);
			state_fact(o, "SIMP", run->hyperv.u.synic.msg_page);
			continue;
		case KVM_EXIT_MMIO:
			events[MMIO_EXIT]++;
			state_fact(o, "MMIO address", run->mmio.phys_addr);
			state_fact(o, "MMIO write", run->mmio.is_write);
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
			continue;
		case KVM_EXIT_IO:
			state_fact(o, "ucall", get_ucall(cpu->vcpu, &uc));
			twin->dead[index] = uc.cmd != UCALL_DONE;
			break;
		default:
			twin->dead[index] = true;
			break;
		}
		break;
	}

	for (i = 0; i < guest->cpu.taken.nr; i++) {
		state_fact(o, "IRQ taken", guest->cpu.taken.v[i]);
		events[guest->cpu.taken.v[i] == NMI_VECTOR ? NMI_TAKEN : IRQ_TAKEN]++;
	}
	state_fact(o, "fault", guest->fault);
	events[GUEST_FAULT] += !!guest->fault;
}

/* Operations. */
enum op_kind {
	SPLIT_IRQCHIP,
	CREATE_IRQCHIP,
	X2APIC_API,
	CREATE_VCPU,
	CREATE_VCPU_AGAIN,
	SET_ROUTING,
	IRQ_LINE,
	SIGNAL_MSI,
	IRQFD_ASSIGN,
	IRQFD_SIGNAL,
	IRQFD_DEASSIGN,
	PRODUCER,
	CHOICE,
	VFIO_FILE,
	ENABLE_SYNIC,
	HOST_MSR,
	SET_LAPIC,
	APIC_MODE,
	APIC_WRITE,
	GUEST_MSR,
	TAKE,
	HOLD,
	EOI,
	PROBE,
	NR_OPS,
};

/* The first is of a priority class that no APIC delivers. */
static const u8 vectors[] = { 0x05, 0x20, 0x31, 0x32, 0x42, 0x53, 0x80, 0xef, 0xff };

static const u32 gsis[] = { 0, 1, 2, 5, 7, 23, 24, 40 };
static const u32 far_gsis[] = { 255, 256, 4095 };
static const u32 dests[] = {
	0, 1, 2, 3, 4, 8, 18, 19, 0x0f, 0x11, 0x12, 0x21, 0x80, 0x100, 260,
	0x10001, 0x10004, 0x100010, 0x1ffff, XAPIC_BROADCAST, X2APIC_BROADCAST,
};

static const u32 logical_ids[] = { 0, 1, 2, 3, 4, 8, 0x0f, 0x11, 0x12, 0x21, 0x80, 0xff };

/* Destinations that reach somebody more often than not. */
static const u32 near_dests[2][3] = { { 0, 1, XAPIC_BROADCAST }, { 1, 2, 3 } };

static u32 random_dest(struct rng *rng, bool logical)
{
	return rng_percent(rng, 70) ? rng_pick(rng, near_dests[logical]) : rng_pick(rng, dests);
}

static u32 random_logical_id(struct rng *rng)
{
	return rng_percent(rng, 60) ? rng_pick(rng, near_dests[1]) : rng_pick(rng, logical_ids);
}

static u32 random_cpu(struct rng *rng)
{
	return rng_below(rng, rng_percent(rng, 75) ? 2 : MAX_CPUS);
}

/* INIT and SMI leave nothing of a guest that could take IRQs; nobody must get one. */
static const u32 odd_delivery_modes[] = {
	APIC_DM_LOWEST, APIC_DM_LOWEST, APIC_DM_NMI, APIC_DM_REMRD, APIC_DM_STARTUP,
	APIC_DM_EXTINT, APIC_DM_SMI, APIC_DM_INIT,
};

static bool is_deadly(u32 data)
{
	return (data & 0x700) == APIC_DM_SMI || (data & 0x700) == APIC_DM_INIT;
}

static struct msi random_msi(struct rng *rng)
{
	bool logical = rng_percent(rng, 40);

	return MSI(.dest = random_dest(rng, logical), .vector = rng_pick(rng, vectors),
		   .level = rng_percent(rng, 70), .logical = logical,
		   .redir_hint = rng_percent(rng, 20),
		   .delivery_mode = rng_percent(rng, 75) ? APIC_DM_FIXED :
				    rng_pick(rng, odd_delivery_modes));
}

static u64 random_sint(struct rng *rng)
{
	return rng_pick(rng, vectors) |
	       (rng_percent(rng, 10) ? HV_SINT_MASKED : 0) |
	       (rng_percent(rng, 20) ? HV_SINT_AUTO_EOI : 0);
}

/* Capabilities of the VM. */
static void enable_cap(struct twin *twin, struct outcome *o, u32 cap, u64 arg, u32 flags)
{
	struct kvm_enable_cap enable = { .cap = cap, .args[0] = arg, .flags = flags };

	state_errno(o, "errno", __vm_ioctl(twin->vm, KVM_ENABLE_CAP, &enable));
}

static void split_irqchip_make(struct rng *rng, struct op *op)
{
	static const u64 pins[] = {
		0, 1, 8, 24, 41, 255, 256, 300, 4096, 4097, 1ull << 32, 1ull << 32 | 24,
	};

	op->a = rng_percent(rng, 50) ? 24 : rng_pick(rng, pins);
	op->b = rng_percent(rng, 3);
}

static void split_irqchip_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	enable_cap(twin, o, KVM_CAP_SPLIT_IRQCHIP, op->a, op->b);
}

static void create_irqchip_make(struct rng *rng, struct op *op)
{
}

static void create_irqchip_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct kvm_irqchip pic = {};
	u32 chip;

	state_errno(o, "errno", __vm_ioctl(twin->vm, KVM_CREATE_IRQCHIP, NULL));
	if (o->err)
		return;

	/* The PIC comes up unmasked, with vectors of exceptions. */
	for (chip = KVM_IRQCHIP_PIC_MASTER; chip <= KVM_IRQCHIP_PIC_SLAVE; chip++) {
		pic.chip_id = chip;
		vm_ioctl(twin->vm, KVM_GET_IRQCHIP, &pic);
		pic.chip.pic.imr = 0xff;
		vm_ioctl(twin->vm, KVM_SET_IRQCHIP, &pic);
	}
}

static void x2apic_api_make(struct rng *rng, struct op *op)
{
	op->a = rng_percent(rng, 60) ? rng_below(rng, 4) : rng_below(rng, 1 << 5);
}

static void x2apic_api_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	enable_cap(twin, o, KVM_CAP_X2APIC_API, op->a, 0);
}

/* vCPUs. */
static void create_vcpu_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_percent(rng, 75);
}

static void create_vcpu_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct irq_cpu *cpu = &twin->cpus[op->a];
	struct kvm_lapic_state state;

	if (cpu->vcpu) {
		o->skipped = true;
		return;
	}

	vm_template_add_cpu(&twin->template, cpu, op->a, op->b);
	/* As VMMs do.  KVM's map of local APICs does not have this one before. */
	if (!__vcpu_ioctl(cpu->vcpu, KVM_GET_LAPIC, &state))
		vcpu_ioctl(cpu->vcpu, KVM_SET_LAPIC, &state);
	state_errno(o, "errno", 0);
	step(twin, o, op->a, guest_nothing, 0, 0);
}

static void create_vcpu_again_make(struct rng *rng, struct op *op)
{
	static const u32 bad_ids[] = { 0, 1, 18, 260, 4096, 0x7fffffff, 0x80000000 };

	op->a = rng_pick(rng, bad_ids);
}

static void create_vcpu_again_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	int i;

	for (i = 0; i < MAX_CPUS; i++)
		if (cpu_ids[i] == op->a && !twin->cpus[i].vcpu)
			o->skipped = true;
	if (!o->skipped)
		state_errno(o, "errno", __vm_ioctl(twin->vm, KVM_CREATE_VCPU, (void *)op->a));
}

/* Routing tables. */
enum table_fault {
	NO_FAULT,
	BAD_GSI,
	BAD_FLAGS,
	BAD_ENTRY_FLAGS,
	BAD_TYPE,
	BAD_PIN,
	BAD_IRQCHIP,
	ADDRESS_HI_LOW_BITS,
	DUPLICATE_GSI,
	TOO_MANY,
	UNREADABLE,
	NR_TABLE_FAULTS,
};

static const char * const table_fault_names[NR_TABLE_FAULTS] = {
	[NO_FAULT] = "no fault",
	[BAD_GSI] = "GSI out of range",
	[BAD_FLAGS] = "bad flags",
	[BAD_ENTRY_FLAGS] = "bad flags of an entry",
	[BAD_TYPE] = "bad type",
	[BAD_PIN] = "pin out of range",
	[BAD_IRQCHIP] = "no such irqchip",
	[ADDRESS_HI_LOW_BITS] = "low bits of address_hi",
	[DUPLICATE_GSI] = "duplicate GSI",
	[TOO_MANY] = "too many",
	[UNREADABLE] = "unreadable",
};

static struct kvm_irq_routing_entry random_route(struct rng *rng, u32 gsi)
{
	static const u32 vp_indexes[] = { 0, 1, 2, 3, 7, 18, 1023, 1024, 0x80000000 };
	static const u32 sints[] = { 0, 1, 14, 15, 16, 0x102, 0x80000002 };
	u32 kind = rng_below(rng, 1000);

	if (kind < 600)
		return msi_route(gsi, random_msi(rng));
	if (kind < 980)
		return sint_route(gsi, rng_percent(rng, 75) ? rng_below(rng, 2) :
				  rng_pick(rng, vp_indexes),
				  rng_percent(rng, 80) ? 2 + rng_below(rng, 2) :
				  rng_pick(rng, sints));
	return irqchip_route(gsi, KVM_IRQCHIP_IOAPIC, rng_below(rng, KVM_IOAPIC_NUM_PINS));
}

static void break_table(struct rng *rng, struct table *table, enum table_fault fault)
{
	struct kvm_irq_routing_entry *e;

	if (fault == NO_FAULT)
		return;

	e = &table->entries[rng_below(rng, table->head.nr)];
	switch (fault) {
	case BAD_GSI:
		e->gsi = rng_percent(rng, 50) ? MAX_ROUTES : 0x80000000;
		break;
	case BAD_FLAGS:
		table->head.flags = 1;
		break;
	case BAD_ENTRY_FLAGS:
		e->flags = 2;
		break;
	case BAD_TYPE:
		e->type = 99;
		break;
	case BAD_PIN:
		*e = irqchip_route(e->gsi, KVM_IRQCHIP_IOAPIC, KVM_IOAPIC_NUM_PINS);
		break;
	case BAD_IRQCHIP:
		*e = irqchip_route(e->gsi, 3, 0);
		break;
	case ADDRESS_HI_LOW_BITS:
		*e = msi_route(e->gsi, random_msi(rng));
		e->u.msi.address_hi |= 1 << rng_below(rng, 8);
		break;
	case DUPLICATE_GSI:
		table->entries[table->head.nr] = *e;
		table->head.nr++;
		break;
	case TOO_MANY:
		table->head.nr = MAX_ROUTES + 1;
		break;
	default:
		break;
	}
}

static void make_table(const struct op *op, struct table *table)
{
	struct rng rng = { .state = op->a };
	u32 i, first = rng_below(&rng, ARRAY_SIZE(gsis));

	memset(&table->head, 0, sizeof(table->head));
	table->head.nr = op->b;
	/* A small table has GSIs that other operations use, in a large one there are all. */
	for (i = 0; i < table->head.nr; i++)
		table->entries[i] = random_route(&rng, op->b <= ARRAY_SIZE(gsis) ?
						 gsis[(first + i) % ARRAY_SIZE(gsis)] : i);
	if (op->b && op->b < 5)
		table->entries[0].gsi = rng_pick(&rng, far_gsis);
	break_table(&rng, table, op->c);
}

static void set_routing_make(struct rng *rng, struct op *op)
{
	static const u32 large[] = { 24, 41, 256, 300 };

	op->a = rng_next(rng);
	op->c = rng_percent(rng, 20) ? rng_below(rng, NR_TABLE_FAULTS) : NO_FAULT;
	op->b = rng_percent(rng, 6) ? rng_pick(rng, large) :
		rng_percent(rng, 30) ? rng_below(rng, ARRAY_SIZE(gsis)) : ARRAY_SIZE(gsis);
	if (op->c != NO_FAULT && !op->b)
		op->b = 1;
}

static void set_routing_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct table *table = table_memory();

	make_table(op, table);
	set_table(twin->vm, table, op->c == UNREADABLE, o);
}

static void set_routing_print(const struct op *op)
{
	static struct table table;

	make_table(op, &table);
	print_table(&table, table_fault_names[op->c]);
}

/* Lines, MSIs and irqfds. */
static bool gsi_is_deadly(u32 gsi)
{
	return gsi < MAX_ROUTES && current_routes[gsi].type == KVM_IRQ_ROUTING_MSI &&
	       is_deadly(current_routes[gsi].u.msi.data);
}

static void irq_line_make(struct rng *rng, struct op *op)
{
	op->a = rng_percent(rng, 3) ? MAX_ROUTES + rng_below(rng, 2) :
		rng_percent(rng, 3) ? rng_pick(rng, far_gsis) : rng_pick(rng, gsis);
	op->b = rng_percent(rng, 92);
}

static void irq_line_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct kvm_irq_level arg = { .irq = op->a, .level = op->b };

	if (gsi_is_deadly(op->a))
		arg.level = 0;
	state_errno(o, "errno", __vm_ioctl(twin->vm, KVM_IRQ_LINE_STATUS, &arg));
	if (o->err)
		return;
	state_fact(o, "line status", (u32)arg.status);
	events[(int)arg.status > 0 ? LINE_DELIVERED :
	       (int)arg.status < 0 ? LINE_IGNORED : LINE_COALESCED]++;
}

static void signal_msi_make(struct rng *rng, struct op *op)
{
	struct msi msi = random_msi(rng);

	op->a = msi_address_lo(msi) | (u64)msi_address_hi(msi) << 32;
	op->b = msi_data(msi);
	op->c = rng_percent(rng, 4) ? 2 : 0;
	if (rng_percent(rng, 4))
		op->a |= 1ull << 32;
}

static void signal_msi_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct kvm_msi arg = {
		.address_lo = op->a,
		.address_hi = op->a >> 32,
		.data = op->b,
		.flags = op->c,
	};
	int ret;

	if (is_deadly(op->b)) {
		o->skipped = true;
		return;
	}
	ret = __vm_ioctl(twin->vm, KVM_SIGNAL_MSI, &arg);
	state_errno(o, "errno", ret);
	state_fact(o, "vCPUs", ret);
	events[ret > 0 ? MSI_DELIVERED : MSI_IGNORED]++;
}

static void irqfd_assign_make(struct rng *rng, struct op *op)
{
	static const u32 flags[] = {
		0, 0, 0, KVM_IRQFD_FLAG_RESAMPLE, KVM_IRQFD_FLAG_RESAMPLE, 1 << 7,
	};

	op->a = rng_percent(rng, 8) ? NR_IRQFDS : rng_below(rng, NR_IRQFDS);
	op->b = rng_pick(rng, gsis);
	op->c = rng_pick(rng, flags);
}

static void irqfd_assign_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct twin_irqfd bad = { .device.eventfd = -1, .resamplefd = -1, .gsi = op->b };
	struct twin_irqfd *irqfd;

	if (op->a == NR_IRQFDS) {
		/* No file, or one that is not an eventfd. */
		bad.device.eventfd = op->b & 1 ? -1 : twin->vm->fd;
		irqfd_ioctl_flags(twin, o, &bad, op->c);
		return;
	}

	irqfd = &twin->irqfds[op->a];
	if (irqfd->assigned) {
		bad = *irqfd;
		bad.gsi = op->b;
		irqfd_ioctl_flags(twin, o, &bad, op->c);
		return;
	}
	/* An event that came before goes by the route of this GSI. */
	if (irqfd->unseen && gsi_is_deadly(op->b)) {
		o->skipped = true;
		return;
	}
	irqfd->gsi = op->b;
	irqfd->flags = op->c;
	irqfd_ioctl_flags(twin, o, irqfd, op->c);
	irqfd->assigned = !o->err;
	if (irqfd->assigned && irqfd->unseen)
		flush_irqfd(twin, o, irqfd);
}

static void irqfd_signal_make(struct rng *rng, struct op *op)
{
	op->a = rng_below(rng, NR_IRQFDS);
}

static void irqfd_signal_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct twin_irqfd *irqfd = &twin->irqfds[op->a];

	if (irqfd->assigned && gsi_is_deadly(irqfd->gsi)) {
		o->skipped = true;
		return;
	}
	TEST_ASSERT_EQ(eventfd_write(irqfd->device.eventfd, 1), 0);
	state_errno(o, "errno", 0);
	irqfd->unseen = !irqfd->assigned;
	/* KVM raises a SINT at once, and may put off everything else. */
	if (irqfd->assigned && current_routes[irqfd->gsi].type != KVM_IRQ_ROUTING_HV_SINT)
		flush_irqfd(twin, o, irqfd);
}

static void irqfd_deassign_make(struct rng *rng, struct op *op)
{
	op->a = rng_percent(rng, 25) ? NR_IRQFDS : rng_below(rng, NR_IRQFDS);
	op->b = rng_percent(rng, 10);
	op->c = rng_below(rng, 2);
}

static void irqfd_deassign_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct twin_irqfd other = { .device.eventfd = op->c ? -1 : twin->vm->fd };
	struct twin_irqfd *irqfd = &twin->irqfds[op->a];

	if (op->a == NR_IRQFDS) {
		irqfd_ioctl_flags(twin, o, &other, KVM_IRQFD_FLAG_DEASSIGN);
		return;
	}
	if (op->b) {
		/* Nothing is assigned to that GSI. */
		other.device.eventfd = irqfd->device.eventfd;
		other.gsi = MAX_ROUTES - 2;
		irqfd_ioctl_flags(twin, o, &other, KVM_IRQFD_FLAG_DEASSIGN);
		return;
	}
	irqfd_ioctl_flags(twin, o, irqfd, KVM_IRQFD_FLAG_DEASSIGN);
	irqfd->assigned = false;
}

/* A device that is bound to the eventfd of an irqfd, which may come later, or go. */
static void producer_make(struct rng *rng, struct op *op)
{
	op->a = rng_below(rng, NR_IRQFDS);
	op->b = rng_percent(rng, 70);
}

static void producer_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct device *device = &twin->irqfds[op->a].device;

	if (!host_posts)
		return;
	if (op->b)
		state_fact(o, "errno of binding", device_bind(device));
	else
		device_unbind(device);
}

/* Whether IRQs of devices may be posted, as far as userspace is concerned. */
static void choice_make(struct rng *rng, struct op *op)
{
	op->a = rng_percent(rng, 70) ? UNPOST_IRQ : POST_IRQ;
	op->b = rng_pick(rng, gsis);
	op->c = rng_percent(rng, 70) ? op->b : rng_pick(rng, gsis);
}

static void choice_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	u32 chosen[] = { op->b, op->c };

	if (host_posts)
		state_fact(o, "errno of the choice",
			   choose_all(twin->vfio, op->a, twin->file, chosen,
				      1 + (op->b != op->c)));
}

static void vfio_file_make(struct rng *rng, struct op *op)
{
	op->a = rng_percent(rng, 70);
}

static void vfio_file_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	if (host_posts)
		state_fact(o, "errno of KVM_DEV_VFIO_FILE",
			   op->a ? add_file(twin->vfio, twin->file) :
				   del_file(twin->vfio, twin->file));
}

/* The SynIC and local APICs as seen from the host. */
static void enable_synic_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_percent(rng, 70) ? KVM_CAP_HYPERV_SYNIC2 : KVM_CAP_HYPERV_SYNIC;
	op->c = rng_percent(rng, 10);
}

static void enable_synic_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct kvm_enable_cap enable = { .cap = op->b, .args[0] = op->c };
	struct kvm_vcpu *vcpu = twin->cpus[op->a].vcpu;

	if (!vcpu) {
		o->skipped = true;
		return;
	}
	state_errno(o, "errno", __vcpu_ioctl(vcpu, KVM_ENABLE_CAP, &enable));
}

static void random_synic_msr(struct rng *rng, struct op *op)
{
	static const u32 sints[] = { 0, 1, 14, 15 };
	u32 kind = rng_below(rng, 100);

	op->a = random_cpu(rng);
	if (kind < 60) {
		op->b = HV_X64_MSR_SINT0 + (rng_percent(rng, 85) ? 2 + rng_below(rng, 2) :
					    rng_pick(rng, sints));
		op->c = random_sint(rng);
	} else if (kind < 85) {
		op->b = HV_X64_MSR_EOM;
	} else if (kind < 90) {
		op->b = HV_X64_MSR_SCONTROL;
		op->c = rng_below(rng, 2);
	} else if (kind < 94) {
		op->b = HV_X64_MSR_SVERSION;
		op->c = 1;
	} else {
		op->b = HV_X64_MSR_SIMP;
	}
}

static void host_msr_make(struct rng *rng, struct op *op)
{
	static const u32 vp_indexes[] = { 0, 1, 2, 3, 7, 18, 1023, 1024 };

	random_synic_msr(rng, op);
	if (rng_percent(rng, 8)) {
		op->b = HV_X64_MSR_VP_INDEX;
		op->c = rng_pick(rng, vp_indexes);
	}
}

static void host_msr_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct kvm_vcpu *vcpu = twin->cpus[op->a].vcpu;

	if (!vcpu) {
		o->skipped = true;
		return;
	}
	state_errno(o, "errno", 0);
	state_fact(o, "MSRs set", _vcpu_set_msr(vcpu, op->b, op->c));
}

static void random_apic_register(struct rng *rng, struct op *op)
{
	static const u32 registers[] = {
		APIC_LDR, APIC_LDR, APIC_LDR, APIC_LDR, APIC_LDR, APIC_LDR,
		APIC_DFR, APIC_DFR, APIC_ID, APIC_SPIV,
	};
	static const u32 ids[] = { 0, 1, 2, 3, 18, 0xff };

	op->b = rng_pick(rng, registers);
	switch (op->b) {
	case APIC_LDR:
		op->c = SET_APIC_DEST_FIELD(random_logical_id(rng));
		break;
	case APIC_DFR:
		op->c = rng_percent(rng, 50) ? APIC_DFR_FLAT :
			rng_percent(rng, 80) ? APIC_DFR_CLUSTER : APIC_DFR_RESERVED;
		break;
	case APIC_ID:
		op->c = SET_APIC_DEST_FIELD(rng_pick(rng, ids));
		break;
	case APIC_SPIV:
		op->c = 0xff | (rng_percent(rng, 70) ? APIC_SPIV_APIC_ENABLED : 0) |
			(rng_percent(rng, 20) ? APIC_SPIV_DIRECTED_EOI : 0);
		break;
	}
	op->c = (u32)op->c;
}

static void set_lapic_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	random_apic_register(rng, op);
	/* Or make a vector pending that nobody sent. */
	if (rng_percent(rng, 40)) {
		u8 vector = rng_pick(rng, vectors);

		op->b = APIC_IRR + APIC_VECTOR_TO_REG_OFFSET(vector);
		op->c = BIT(APIC_VECTOR_TO_BIT_NUMBER(vector));
	}
}

static void set_lapic_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct kvm_vcpu *vcpu = twin->cpus[op->a].vcpu;
	struct kvm_lapic_state state = {};
	u32 *reg;

	if (!vcpu) {
		o->skipped = true;
		return;
	}
	if (!__vcpu_ioctl(vcpu, KVM_GET_LAPIC, &state)) {
		reg = (u32 *)(state.regs + op->b);
		*reg = op->b >= APIC_IRR ? *reg | op->c : op->c;
	}
	state_errno(o, "errno", __vcpu_ioctl(vcpu, KVM_SET_LAPIC, &state));
}

/* What guests do. */
static void apic_mode_make(struct rng *rng, struct op *op)
{
	static const u32 modes[] = {
		MSR_IA32_APICBASE_ENABLE, MSR_IA32_APICBASE_ENABLE, MSR_IA32_APICBASE_ENABLE,
		MSR_IA32_APICBASE_ENABLE, MSR_IA32_APICBASE_ENABLE, MSR_IA32_APICBASE_ENABLE,
		IA32_APICBASE_MODE, IA32_APICBASE_MODE, IA32_APICBASE_MODE,
		IA32_APICBASE_MODE, IA32_APICBASE_MODE, IA32_APICBASE_MODE, 0,
	};

	op->a = random_cpu(rng);
	op->b = rng_pick(rng, modes);
	op->c = 0xff | (rng_percent(rng, 97) ? APIC_SPIV_APIC_ENABLED : 0);
}

static void apic_mode_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_apic_mode, op->b, op->c);
}

static void apic_write_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	random_apic_register(rng, op);
}

static void apic_write_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_apic_write_safe, op->b, op->c);
}

static void guest_msr_make(struct rng *rng, struct op *op)
{
	random_synic_msr(rng, op);
	if (rng_percent(rng, 10)) {
		op->b = HV_X64_MSR_EOI;
		op->c = 0;
	} else if (rng_percent(rng, 4)) {
		op->b = HV_X64_MSR_VP_INDEX;
	}
}

static void guest_msr_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_wrmsr_safe, op->b, op->c);
}

static void cpu_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
}

static void take_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_take, 0, 0);
}

static void hold_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_hold, 0, 0);
}

static void eoi_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	step(twin, o, op->a, guest_apic_write_safe, APIC_EOI, 0);
}

/*
 * Has a vCPU take every vector there is, after it has scanned the routes with none of
 * them pending, which shows the whole result of the scan.
 */
static void probe_make(struct rng *rng, struct op *op)
{
	op->a = random_cpu(rng);
	op->b = rng_percent(rng, 30) ? APIC_INT_LEVELTRIG : 0;
}

static void probe_do(struct twin *twin, const struct op *op, struct outcome *o)
{
	struct msi msi = MSI(.dest = cpu_ids[op->a], .level = op->b);
	struct kvm_msi arg = {
		.address_lo = msi_address_lo(msi),
		.address_hi = msi_address_hi(msi),
	};
	int i;

	step(twin, o, op->a, guest_take, 0, 0);
	if (o->skipped)
		return;
	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		msi.vector = vectors[i];
		arg.data = msi_data(msi);
		state_fact(o, "vCPUs", __vm_ioctl(twin->vm, KVM_SIGNAL_MSI, &arg));
	}
	step(twin, o, op->a, guest_take, 0, 0);
}

static const struct op_type types[NR_OPS] = {
	[SPLIT_IRQCHIP] = {
		"KVM_CAP_SPLIT_IRQCHIP", 1, split_irqchip_make, split_irqchip_do,
		.args = { "pins", "flags" }, .errnos = { 0, EINVAL, EEXIST },
	},
	[CREATE_IRQCHIP] = {
		"KVM_CREATE_IRQCHIP", 1, create_irqchip_make, create_irqchip_do,
		.errnos = { 0, EEXIST, EINVAL },
	},
	[X2APIC_API] = {
		"KVM_CAP_X2APIC_API", 2, x2apic_api_make, x2apic_api_do,
		.args = { "flags" }, .errnos = { 0, EINVAL },
	},
	[CREATE_VCPU] = {
		"KVM_CREATE_VCPU", 5, create_vcpu_make, create_vcpu_do,
		.args = { "vCPU", "Hyper-V" }, .errnos = { 0 },
	},
	[CREATE_VCPU_AGAIN] = {
		"KVM_CREATE_VCPU, bad", 1, create_vcpu_again_make, create_vcpu_again_do,
		.args = { "id" }, .errnos = { EEXIST, EINVAL },
	},
	[SET_ROUTING] = {
		"KVM_SET_GSI_ROUTING", 9, set_routing_make, set_routing_do, set_routing_print,
		.args = { "seed", "routes", "fault" }, .errnos = { 0, EINVAL, EFAULT },
	},
	[IRQ_LINE] = {
		"KVM_IRQ_LINE_STATUS", 30, irq_line_make, irq_line_do,
		.args = { "GSI", "level" }, .errnos = { 0, ENXIO },
	},
	[SIGNAL_MSI] = {
		"KVM_SIGNAL_MSI", 6, signal_msi_make, signal_msi_do,
		.args = { "address", "data", "flags" }, .errnos = { 0, EINVAL, EPERM },
	},
	[IRQFD_ASSIGN] = {
		"KVM_IRQFD, assign", 6, irqfd_assign_make, irqfd_assign_do,
		.args = { "irqfd", "GSI", "flags" },
		.errnos = { 0, EINVAL, EBADF, EBUSY },
	},
	[IRQFD_SIGNAL] = {
		"signal an irqfd", 8, irqfd_signal_make, irqfd_signal_do,
		.args = { "irqfd" }, .errnos = { 0 },
	},
	[IRQFD_DEASSIGN] = {
		"KVM_IRQFD, de-assign", 4, irqfd_deassign_make, irqfd_deassign_do,
		.args = { "irqfd", "other GSI", "other file" }, .errnos = { 0, EINVAL, EBADF },
	},
	[PRODUCER] = {
		"device of an irqfd", 5, producer_make, producer_do,
		.args = { "irqfd", "bound" }, .errnos = { 0 },
	},
	[CHOICE] = {
		"KVM_DEV_VFIO_DEVICE", 4, choice_make, choice_do,
		.args = { "attribute", "GSI", "GSI" }, .errnos = { 0 },
	},
	[VFIO_FILE] = {
		"KVM_DEV_VFIO_FILE", 1, vfio_file_make, vfio_file_do,
		.args = { "add" }, .errnos = { 0 },
	},
	[ENABLE_SYNIC] = {
		"KVM_CAP_HYPERV_SYNIC", 4, enable_synic_make, enable_synic_do,
		.args = { "vCPU", "capability", "arg" }, .errnos = { 0, EINVAL },
	},
	[HOST_MSR] = {
		"KVM_SET_MSRS", 8, host_msr_make, host_msr_do,
		.args = { "vCPU", "MSR", "value" }, .errnos = { 0 },
	},
	[SET_LAPIC] = {
		"KVM_SET_LAPIC", 2, set_lapic_make, set_lapic_do,
		.args = { "vCPU", "register", "value" }, .errnos = { 0, EINVAL },
	},
	[APIC_MODE] = {
		"guest sets APIC mode", 2, apic_mode_make, apic_mode_do,
		.args = { "vCPU", "mode", "SPIV" }, .errnos = { 0 },
	},
	[APIC_WRITE] = {
		"guest writes APIC", 6, apic_write_make, apic_write_do,
		.args = { "vCPU", "register", "value" }, .errnos = { 0 },
	},
	[GUEST_MSR] = {
		"guest writes MSR", 6, guest_msr_make, guest_msr_do,
		.args = { "vCPU", "MSR", "value" }, .errnos = { 0 },
	},
	[TAKE] = {
		"guest takes IRQs", 24, cpu_make, take_do, .args = { "vCPU" }, .errnos = { 0 },
	},
	[HOLD] = {
		"guest holds IRQs", 10, cpu_make, hold_do, .args = { "vCPU" }, .errnos = { 0 },
	},
	[EOI] = {
		"guest writes EOI", 8, cpu_make, eoi_do, .args = { "vCPU" }, .errnos = { 0 },
	},
	[PROBE] = {
		"guest takes all vectors", 12, probe_make, probe_do,
		.args = { "vCPU", "level" }, .errnos = { 0 },
	},
};

/*
 * Most VMs have an irqchip, two vCPUs and some routes before anything else happens to
 * them, or little would happen at all.
 */
static const struct {
	enum op_kind kind;
	u32 percent;
} prelude[] = {
	{ SPLIT_IRQCHIP, 60 }, { CREATE_IRQCHIP, 85 }, { X2APIC_API, 40 },
	{ CREATE_VCPU, 90 }, { CREATE_VCPU, 85 }, { APIC_MODE, 80 }, { APIC_MODE, 80 },
	{ APIC_WRITE, 50 }, { APIC_WRITE, 50 },
	{ ENABLE_SYNIC, 75 }, { ENABLE_SYNIC, 75 }, { HOST_MSR, 70 }, { HOST_MSR, 70 },
	{ HOST_MSR, 70 }, { HOST_MSR, 70 }, { IRQFD_ASSIGN, 70 }, { IRQFD_ASSIGN, 70 },
	{ PRODUCER, 70 }, { SET_ROUTING, 90 },
};

static void make_op(u64 seed, u32 index, struct op *op)
{
	struct rng rng = rng_of_op(seed, index);
	u32 percent = rng_below(&rng, 100);

	memset(op, 0, sizeof(*op));
	if (index < ARRAY_SIZE(prelude) && percent < prelude[index].percent)
		op->kind = prelude[index].kind;
	else
		op->kind = rng_weighted(&rng, &types[0].weight, sizeof(types[0]), NR_OPS);
	types[op->kind].make(&rng, op);
	if (index < ARRAY_SIZE(prelude) && op->kind == prelude[index].kind &&
	    types[op->kind].args[0] && !strcmp(types[op->kind].args[0], "vCPU"))
		op->a = index % 2;
}

/* What KVM says of where the IRQ of an irqfd goes. */
static void observe_posting(struct twin *twin, struct outcome *o, u32 gsi)
{
	struct kvm_vfio_irq_posting posting;
	int err = get_posting(twin->vfio, twin->file, gsi, &posting);

	state_fact(o, "errno of the posting", err);
	if (err)
		return;

	state_fact(o, "posting allowed", posting.allowed);
	state_fact(o, "posting", posting.posted);
	state_fact(o, "reason", reason_in_c(posting.reason));
	state_fact(o, "vCPU of the posting", posting.vcpu_idx);
	state_fact(o, "vector of the posting", posting.vector);
	events[IRQ_DENIED] += posting.reason == KVM_VFIO_IRQ_DENIED;
}

/* What can be seen of a twin at any time. */
static void observe(struct twin *twin, struct outcome *o)
{
	struct irq_producer_state irq;
	eventfd_t acks;
	u32 i;

	for (i = 0; i < NR_IRQFDS && host_posts; i++) {
		if (twin->irqfds[i].assigned)
			observe_posting(twin, o, twin->irqfds[i].gsi);
		irq = device_state(&twin->irqfds[i].device);
		state_fact(o, "posted", irq.posted);
		if (!irq.posted)
			continue;
		state_fact(o, "posted to vCPU", irq.vcpu_idx);
		state_fact(o, "posted vector", irq.vector);
		events[IRQ_POSTED]++;
	}
	for (i = 0; i < NR_IRQFDS; i++) {
		acks = 0;
		if (eventfd_read(twin->irqfds[i].resamplefd, &acks))
			TEST_ASSERT_EQ(errno, EAGAIN);
		if (!acks)
			continue;
		state_fact(o, "resamplefd", i);
		state_fact(o, "acks", acks);
		events[ACK] += acks;
	}
}

static bool apic_differs(u32 index, char *text)
{
	struct kvm_vcpu *vcpus[2] = { first.cpus[index].vcpu, second.cpus[index].vcpu };
	struct kvm_lapic_state state[2] = {};
	int i, ret[2];

	if (!vcpus[0] || !vcpus[1])
		return false;

	for (i = 0; i < 2; i++)
		ret[i] = __vcpu_ioctl(vcpus[i], KVM_GET_LAPIC, &state[i]);
	if (ret[0] != ret[1]) {
		sprintf(text, "KVM_GET_LAPIC of vCPU %u: %d against %d", index, ret[0], ret[1]);
		return true;
	}
	for (i = 0; i < KVM_APIC_REG_SIZE; i++) {
		if (state[0].regs[i] == state[1].regs[i])
			continue;
		sprintf(text, "APIC of vCPU %u, register %#x: %#x against %#x", index, i & ~3,
			*(u32 *)&state[0].regs[i & ~3], *(u32 *)&state[1].regs[i & ~3]);
		return true;
	}
	return false;
}

static bool apics_differ(char *text)
{
	u32 i;

	for (i = 0; i < MAX_CPUS; i++)
		if (apic_differs(i, text))
			return true;
	return false;
}

/* C with Rust, or each fourth time what verifies it. */
static const char *default_pair(u64 seed)
{
	return seed % 4 == 3 ? "verify,rust" : "c,rust";
}

static const struct twins twins = {
	.twin = { &first, &second },
	.types = types,
	.nr_types = NR_OPS,
	.make_op = make_op,
	.open = twin_open,
	.close = twin_close,
	.observe = observe,
	.states_differ = apics_differ,
	.event_names = event_names,
	.events = events,
	.nr_events = NR_EVENTS,
	.default_pair = default_pair,
};

int main(int argc, char *argv[])
{
	struct counted counters[] = { { "scans" }, { "sint_deliveries" } };
	int i;

	TEST_REQUIRE(helper_is_loaded());
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));

	host_posts = load_device("/proc/self/exe") && enable_posting() &&
		     load_vfio_files("/proc/self/exe");
	if (!host_posts) {
		ksft_print_msg("no IRQ can be posted here\n");
		events[IRQ_POSTED]++;
		events[IRQ_DENIED]++;
	}
	for (i = 0; i < 2; i++)
		twin_make(twins.twin[i]);
	return run_twins(argc, argv, FIXED_SEQUENCES, counters, ARRAY_SIZE(counters));
}
