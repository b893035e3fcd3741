/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the interrupt routing tests share: MSIs and routing tables, VMs with a
 * split irqchip, and a guest that takes IRQs one step at a time.
 *
 * The host drives every vCPU from one thread: it has the guest call a function,
 * runs the vCPU until that call has returned, and then knows which IRQs were
 * taken and which EOIs were reported in between.  No step depends on time.
 */
#ifndef SELFTEST_KVM_IRQROUTE_H
#define SELFTEST_KVM_IRQROUTE_H

#include <sched.h>
#include <stdint.h>

#include "apic.h"
#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "routes.h"
#include "test_util.h"

#define APIC_LDR		0xD0
#define APIC_DFR		0xE0
#define	APIC_DFR_CLUSTER	0x0FFFFFFFu
#define	APIC_DFR_FLAT		0xFFFFFFFFu
#define	APIC_DFR_RESERVED	0x5FFFFFFFu
#define	APIC_SPIV_DIRECTED_EOI	BIT(12)

#define X2APIC_BROADCAST	0xFFFFFFFFu
#define XAPIC_BROADCAST		0xFFu

/* Lower vectors are exceptions. */
#define FIRST_IRQ_VECTOR	0x20

/* Finds the first CPUs that this thread may run on; returns whether there are as many. */
static inline bool find_cpus(int *cpus, int nr)
{
	cpu_set_t set;
	int cpu;

	TEST_ASSERT(!sched_getaffinity(0, sizeof(set), &set), "sched_getaffinity() failed");
	for (cpu = 0; nr && cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set)) {
			*cpus++ = cpu;
			nr--;
		}
	}
	return !nr;
}

/* Whether KVM uses APICv or AVIC, so that an IRQ may be pending where only the vCPU finds it. */
static inline bool host_posts_irqs(void)
{
	return host_cpu_is_intel ? get_kvm_intel_param_bool("enable_apicv") :
				   get_kvm_amd_param_bool("avic");
}

struct vectors {
	u32 nr;
	u8 v[32];
};

#define VECTORS(...)						\
	((struct vectors){					\
		.nr = sizeof((u8[]){ __VA_ARGS__ }),		\
		.v = { __VA_ARGS__ },				\
	})

#define NO_VECTORS		VECTORS()

static inline void vectors_add(struct vectors *vectors, u8 vector)
{
	TEST_ASSERT(vectors->nr < ARRAY_SIZE(vectors->v),
		    "More than %zu vectors in one step", ARRAY_SIZE(vectors->v));
	vectors->v[vectors->nr++] = vector;
}

static inline const char *vectors_str(const struct vectors *vectors, char *buf)
{
	char *p = buf;
	u32 i;

	for (i = 0; i < vectors->nr; i++)
		p += sprintf(p, " 0x%02x", vectors->v[i]);
	return vectors->nr ? buf : " none";
}

#define VECTORS_STR_LEN		(ARRAY_SIZE(((struct vectors *)0)->v) * sizeof(" 0xff"))

static inline void expect_vectors(const char *what, const struct vectors *got,
				  const struct vectors *want, u32 vcpu_id,
				  const char *file, unsigned int line)
{
	char got_str[VECTORS_STR_LEN], want_str[VECTORS_STR_LEN];

	test_assert(got->nr == want->nr && !memcmp(got->v, want->v, want->nr),
		    what, file, line, "vCPU %u: %s:%s, wanted:%s", vcpu_id, what,
		    vectors_str(got, got_str), vectors_str(want, want_str));
}

/*
 * MSIs.  @dest above 0xff needs KVM_X2APIC_API_USE_32BIT_IDS; below that, both
 * MSI formats encode it alike.
 */
struct msi {
	u32 dest;
	u8 vector;
	bool level;
	bool logical;
	bool redir_hint;
	u32 delivery_mode;	/* APIC_DM_*, fixed by default */
};

#define MSI(...)		((struct msi){ __VA_ARGS__ })
#define LEVEL_MSI(_dest, _vector, ...)	\
	MSI(.dest = (_dest), .vector = (_vector), .level = true, ##__VA_ARGS__)
#define EDGE_MSI(_dest, _vector, ...)	\
	MSI(.dest = (_dest), .vector = (_vector), ##__VA_ARGS__)

static inline u32 msi_address_lo(struct msi msi)
{
	return APIC_DEFAULT_GPA | (msi.dest & 0xff) << 12 |
	       msi.redir_hint << 3 | msi.logical << 2;
}

static inline u32 msi_address_hi(struct msi msi)
{
	return msi.dest & ~0xffu;
}

static inline u32 msi_data(struct msi msi)
{
	return msi.vector | msi.delivery_mode | (msi.level ? APIC_INT_LEVELTRIG : 0);
}

/* Sends @msi past the routing table.  Returns how many vCPUs accepted it. */
static inline int signal_msi(struct kvm_vm *vm, struct msi msi)
{
	struct kvm_msi kvm_msi = {
		.address_lo = msi_address_lo(msi),
		.address_hi = msi_address_hi(msi),
		.data = msi_data(msi),
	};
	int ret = __vm_ioctl(vm, KVM_SIGNAL_MSI, &kvm_msi);

	TEST_ASSERT_VM_VCPU_IOCTL(ret >= 0, KVM_SIGNAL_MSI, ret, vm);
	return ret;
}

/* Routes. */
static inline struct kvm_irq_routing_entry msi_route(u32 gsi, struct msi msi)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi.address_lo = msi_address_lo(msi),
		.u.msi.address_hi = msi_address_hi(msi),
		.u.msi.data = msi_data(msi),
	};
}

static inline struct kvm_irq_routing_entry sint_route(u32 gsi, u32 vp_index, u32 sint)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_HV_SINT,
		.u.hv_sint.vcpu = vp_index,
		.u.hv_sint.sint = sint,
	};
}

static __maybe_unused void print_route(const struct kvm_irq_routing_entry *e)
{
	switch (e->type) {
	case KVM_IRQ_ROUTING_MSI:
		ksft_print_msg("\tGSI %u to MSI %#x %#x %#x flags %#x: %s %s dest %#x vector %#x\n",
			       e->gsi, e->u.msi.address_lo, e->u.msi.address_hi, e->u.msi.data,
			       e->flags, e->u.msi.data & APIC_INT_LEVELTRIG ? "level" : "edge",
			       e->u.msi.address_lo & 4 ? "logical" : "physical",
			       (e->u.msi.address_lo >> 12 & 0xff) | (e->u.msi.address_hi & ~0xff),
			       e->u.msi.data & 0xff);
		break;
	case KVM_IRQ_ROUTING_HV_SINT:
		ksft_print_msg("\tGSI %u to SINT %#x of VP %#x flags %#x\n", e->gsi,
			       e->u.hv_sint.sint, e->u.hv_sint.vcpu, e->flags);
		break;
	case KVM_IRQ_ROUTING_IRQCHIP:
		ksft_print_msg("\tGSI %u to pin %u of irqchip %u flags %#x\n", e->gsi,
			       e->u.irqchip.pin, e->u.irqchip.irqchip, e->flags);
		break;
	default:
		ksft_print_msg("\tGSI %u, type %u\n", e->gsi, e->type);
		break;
	}
}

/*
 * Sets the level of @gsi.  Returns how many vCPUs accepted the IRQ, 0 if it was
 * coalesced, -1 if it was not delivered.
 */
static inline int irq_line_status(struct kvm_vm *vm, u32 gsi, int level)
{
	struct kvm_irq_level irq_level = { .irq = gsi, .level = level };

	vm_ioctl(vm, KVM_IRQ_LINE_STATUS, &irq_level);
	return irq_level.status;
}

/* One edge, or one assertion of a level IRQ: a route to an MSI has no line to lower. */
static inline void raise_gsi(struct kvm_vm *vm, u32 gsi)
{
	kvm_irq_line(vm, gsi, 1);
}

/*
 * VMs.  The library gives every VM that it creates a full irqchip, so open the
 * VM a second time, without one, around the memory that the library has set up.
 */
static inline struct kvm_vm *vm_create_without_irqchip(u32 nr_vcpus)
{
	struct kvm_vm *vm = vm_create(nr_vcpus);

	kvm_vm_release(vm);
	vm->has_irqchip = false;
	kvm_vm_restart(vm);
	return vm;
}

static inline struct kvm_vm *vm_create_split(u32 nr_vcpus, u64 nr_reserved_pins)
{
	struct kvm_vm *vm = vm_create_without_irqchip(nr_vcpus);

	vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, nr_reserved_pins);
	return vm;
}

/* The guest's side of a vCPU.  The host reads and writes it between KVM_RUNs. */
struct guest_cpu {
	void (*fn)(u64 arg0, u64 arg1);
	u64 args[2];
	bool x2apic;
	bool hold_irqs;
	bool stop;
	u64 nr_irqs;		/* completed, i.e. after EOI unless held */
	struct vectors taken;	/* the first ones of this step, in order */
	u64 nr_repeated;	/* see guest_irq_is_repeated() */
};

static inline struct guest_cpu *this_guest_cpu(void)
{
	return (void *)rdmsr(MSR_KERNEL_GS_BASE);
}

static __maybe_unused void guest_xapic(void)
{
	this_guest_cpu()->x2apic = false;
	xapic_enable();
}

static __maybe_unused void guest_x2apic(void)
{
	this_guest_cpu()->x2apic = true;
	x2apic_enable();
}

static __maybe_unused void guest_apic_write(u64 reg, u64 val)
{
	if (this_guest_cpu()->x2apic)
		x2apic_write_reg(reg, val);
	else
		xapic_write_reg(reg, val);
}

static __maybe_unused void guest_eoi(void)
{
	guest_apic_write(APIC_EOI, 0);
}

static __maybe_unused void guest_wrmsr(u64 msr, u64 val)
{
	wrmsr(msr, val);
}

/* Enters and leaves the guest, without taking IRQs. */
static __maybe_unused void guest_nop(void)
{
}

/* Takes all deliverable IRQs, each with its EOI. */
static __maybe_unused void guest_take(void)
{
	sti_nop_cli();
}

/* Takes all deliverable IRQs and leaves them in service. */
static __maybe_unused void guest_hold(void)
{
	struct guest_cpu *cpu = this_guest_cpu();

	WRITE_ONCE(cpu->hold_irqs, true);
	sti_nop_cli();
	WRITE_ONCE(cpu->hold_irqs, false);
}

/*
 * Whether an IRQ was delivered once more: to a guest that has IRQs disabled, or while one of the
 * same priority class is @in_service (0: none is, or that isn't known).  No CPU does that.  QEMU's
 * TCG may do it: VMRUN leaves the vector that it injects among what is to be delivered, where it is
 * found if the CPU's thread is kicked for another reason than an interrupt before the next VM exit.
 * The APIC knows nothing of it, so that there is nothing to end.
 */
static inline bool guest_irq_is_repeated(const struct ex_regs *regs, u8 in_service)
{
	if (regs->rflags & X86_EFLAGS_IF && regs->vector >> 4 > in_service >> 4)
		return false;
	this_guest_cpu()->nr_repeated++;
	return true;
}

static void guest_irq_handler(struct ex_regs *regs)
{
	struct guest_cpu *cpu = this_guest_cpu();

	if (guest_irq_is_repeated(regs, 0))
		return;
	if (cpu->taken.nr < ARRAY_SIZE(cpu->taken.v))
		cpu->taken.v[cpu->taken.nr++] = regs->vector;

	if (!cpu->hold_irqs)
		guest_eoi();

	WRITE_ONCE(cpu->nr_irqs, cpu->nr_irqs + 1);
}

static void guest_main(struct guest_cpu *cpu)
{
	wrmsr(MSR_KERNEL_GS_BASE, (u64)cpu);

	for (;;) {
		cpu->fn(cpu->args[0], cpu->args[1]);
		GUEST_DONE();
	}
}

/* The host's side of a vCPU. */
struct irq_cpu {
	struct kvm_vcpu *vcpu;
	struct guest_cpu *guest;
	struct vectors eoi_exits;	/* of the last step, in order */
};

/* Runs @cpu until the guest is done with its step or an EOI is reported. */
static inline bool irq_cpu_run(struct irq_cpu *cpu)
{
	struct kvm_run *run = cpu->vcpu->run;
	struct ucall uc;

	vcpu_run(cpu->vcpu);

	if (run->exit_reason == KVM_EXIT_IOAPIC_EOI)
		return false;

	TEST_ASSERT_KVM_EXIT_REASON(cpu->vcpu, KVM_EXIT_IO);
	switch (get_ucall(cpu->vcpu, &uc)) {
	case UCALL_DONE:
		if (cpu->guest->nr_repeated)
			ksft_print_msg("emulator: IRQs that vCPU %u got twice: %lu\n",
				       cpu->vcpu->id, cpu->guest->nr_repeated);
		cpu->guest->nr_repeated = 0;
		return true;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
	default:
		TEST_FAIL("Unknown ucall %lu", uc.cmd);
	}
}

static inline void irq_cpu_set_step(struct irq_cpu *cpu, void *fn, u64 arg0, u64 arg1)
{
	struct guest_cpu *guest = cpu->guest;

	guest->fn = fn;
	guest->args[0] = arg0;
	guest->args[1] = arg1;
	guest->taken.nr = 0;
	cpu->eoi_exits.nr = 0;
}

/* Has the guest call @fn, a function of the guest, and waits until it returns. */
static inline void irq_cpu_call(struct irq_cpu *cpu, void *fn, u64 arg0, u64 arg1)
{
	irq_cpu_set_step(cpu, fn, arg0, arg1);

	while (!irq_cpu_run(cpu))
		vectors_add(&cpu->eoi_exits, cpu->vcpu->run->eoi.vector);
}

static inline void irq_cpu_apic_write(struct irq_cpu *cpu, u32 reg, u32 val)
{
	irq_cpu_call(cpu, guest_apic_write, reg, val);
}

/* Adds a vCPU to @vm, which has yet to be started. */
static inline void irq_cpu_create(struct irq_cpu *cpu, struct kvm_vm *vm, u32 id)
{
	gva_t gva = vm_alloc_page(vm);
	u32 vector;

	/* All vCPUs of a VM use the APIC page and the handlers of the first one. */
	if (list_empty(&vm->vcpus)) {
		virt_pg_map(vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA);
		for (vector = FIRST_IRQ_VECTOR; vector <= 0xff; vector++)
			vm_install_exception_handler(vm, vector, guest_irq_handler);
	}

	cpu->vcpu = vm_vcpu_add(vm, id, guest_main);
	cpu->guest = addr_gva2hva(vm, gva);
	vcpu_args_set(cpu->vcpu, 1, gva);
}

/*
 * Has the guest call @apic_mode, i.e. guest_xapic() or guest_x2apic().  It then
 * waits for its next step with IRQs disabled.
 */
static inline void irq_cpu_start(struct irq_cpu *cpu, void (*apic_mode)(void))
{
	irq_cpu_call(cpu, apic_mode, 0, 0);
}

static inline void irq_cpu_add(struct irq_cpu *cpu, struct kvm_vm *vm, u32 id,
			       void (*apic_mode)(void))
{
	irq_cpu_create(cpu, vm, id);
	irq_cpu_start(cpu, apic_mode);
}

static inline struct kvm_vm *vm_create_split_with_cpus(struct irq_cpu *cpus, u32 nr_cpus,
						       u64 nr_reserved_pins,
						       void (*apic_mode)(void))
{
	struct kvm_vm *vm = vm_create_split(nr_cpus, nr_reserved_pins);
	u32 i;

	for (i = 0; i < nr_cpus; i++)
		irq_cpu_add(&cpus[i], vm, i, apic_mode);
	return vm;
}

static inline void expect_step(struct irq_cpu *cpu, void *fn, struct vectors taken,
			       struct vectors eoi_exits, const char *file, unsigned int line)
{
	u32 id = cpu->vcpu->id;

	irq_cpu_call(cpu, fn, 0, 0);
	expect_vectors("IRQs taken", &cpu->guest->taken, &taken, id, file, line);
	expect_vectors("EOI exits", &cpu->eoi_exits, &eoi_exits, id, file, line);
}

/* The guest takes exactly these IRQs, and exactly these of their EOIs are reported. */
#define EXPECT_TAKE(_cpu, _taken, _exits)	\
	expect_step(_cpu, guest_take, _taken, _exits, __FILE__, __LINE__)

/* The guest takes exactly these IRQs and leaves them in service. */
#define EXPECT_HOLD(_cpu, _taken)		\
	expect_step(_cpu, guest_hold, _taken, NO_VECTORS, __FILE__, __LINE__)

/* The EOI of the highest IRQ in service is reported exactly like this. */
#define EXPECT_EOI(_cpu, _exits)		\
	expect_step(_cpu, guest_eoi, NO_VECTORS, _exits, __FILE__, __LINE__)

/* Nothing is pending on the vCPU. */
#define EXPECT_IDLE(_cpu)			EXPECT_TAKE(_cpu, NO_VECTORS, NO_VECTORS)

#endif /* SELFTEST_KVM_IRQROUTE_H */
