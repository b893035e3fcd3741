/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests by random operations share on arm64: a VM that is set up once and opened many
 * times, with a GICv3 and ITSes, and a guest that takes interrupts one step at a time.
 *
 * The host drives every vCPU from one thread: it has the guest call a function, runs the
 * vCPU until that call has returned, and then knows which interrupts were taken.  The guest
 * never has IRQs enabled: it asks its CPU interface what is there.  No step depends on time.
 */
#ifndef SELFTEST_KVM_IRQROUTE_H
#define SELFTEST_KVM_IRQROUTE_H

#include <linux/sizes.h>

#include "gic.h"
#include "gic_v3.h"
#include "gic_v3_its.h"
#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "routes.h"
#include "test_util.h"
#include "ucall.h"
#include "vgic.h"

#define MAX_CPUS			2
#define NR_ITSES		2

/* The library's ITS, and one behind the redistributors. */
#define GITS_BASE(_its)		\
	((_its) ? GICR_BASE_GPA + MAX_CPUS * KVM_VGIC_V3_REDIST_SIZE : GITS_BASE_GPA)
#define DOORBELL(_its)		(GITS_BASE(_its) + GITS_TRANSLATER)

/* The guest has all of it mapped one to one. */
#define GIC_GVA(_gpa)		(GITS_BASE_GVA + ((_gpa) - GITS_BASE_GPA))

/* What a VM can have, and what a route can name. */
#define MAX_NR_IRQS		992
#define NR_PINS			KVM_IRQCHIP_NUM_PINS

#define MIN_LPI			8192

/* More are not taken in one step: the line of a level-triggered SPI may stay high. */
#define MAX_TAKEN		12

/* Routes. */
static inline struct kvm_irq_routing_entry pin_route(u32 gsi, u32 pin)
{
	return irqchip_route(gsi, 0, pin);
}

struct its_msi {
	u64 address;
	u32 flags, devid, data;
};

/* An MSI as a device behind an ITS sends it. */
#define ITS_MSI(_its, _devid, _data)		\
	((struct its_msi){			\
		.address = DOORBELL(_its),	\
		.flags = KVM_MSI_VALID_DEVID,	\
		.devid = (_devid),		\
		.data = (_data),		\
	})

static inline struct kvm_irq_routing_entry msi_route(u32 gsi, struct its_msi msi)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = msi.flags,
		.u.msi.address_lo = msi.address,
		.u.msi.address_hi = msi.address >> 32,
		.u.msi.devid = msi.devid,
		.u.msi.data = msi.data,
	};
}

/* What KVM_SIGNAL_MSI returns; errno says why if that is -1. */
static inline int signal_msi(struct kvm_vm *vm, struct its_msi msi)
{
	struct kvm_msi arg = {
		.address_lo = msi.address,
		.address_hi = msi.address >> 32,
		.data = msi.data,
		.flags = msi.flags,
		.devid = msi.devid,
	};

	return __vm_ioctl(vm, KVM_SIGNAL_MSI, &arg);
}

static __maybe_unused void print_route(const struct kvm_irq_routing_entry *e)
{
	switch (e->type) {
	case KVM_IRQ_ROUTING_MSI:
		ksft_print_msg("\tGSI %u to MSI %#x%08x, data %#x, device %#x, flags %#x\n", e->gsi,
			       e->u.msi.address_hi, e->u.msi.address_lo, e->u.msi.data,
			       e->u.msi.devid, e->flags);
		break;
	case KVM_IRQ_ROUTING_IRQCHIP:
		ksft_print_msg("\tGSI %u to pin %u of irqchip %u, flags %#x\n", e->gsi,
			       e->u.irqchip.pin, e->u.irqchip.irqchip, e->flags);
		break;
	default:
		ksft_print_msg("\tGSI %u, type %u\n", e->gsi, e->type);
		break;
	}
}

/* The guest's side of a vCPU.  The host reads and writes it between KVM_RUNs. */
struct guest_cpu {
	void (*fn)(u64 arg0, u64 arg1);
	u64 args[2];
	bool split;		/* EOI and deactivation are two writes */
	u32 nr_taken;
	u32 taken[MAX_TAKEN];	/* INTIDs of this step, in order */
};

static struct guest_cpu guest_cpus[MAX_CPUS];

static struct guest_cpu *this_guest_cpu(void)
{
	return &guest_cpus[guest_get_vcpuid()];
}

static __maybe_unused void guest_nop(void)
{
}

static __maybe_unused void guest_start(u64 nr_cpus, u64 split)
{
	this_guest_cpu()->split = split;
	gic_init(GIC_V3, nr_cpus);
	gic_set_eoi_split(split);
}

static __maybe_unused void guest_write32(u64 addr, u64 val)
{
	writel(val, GIC_GVA(addr));
}

static __maybe_unused void guest_write64(u64 addr, u64 val)
{
	writeq(val, GIC_GVA(addr));
}

/*
 * Writes the bit of an SPI to a register that ignores zeros.  (The library reads such a
 * register first: it disables all SPIs of a word with one of them.)
 */
static __maybe_unused void guest_write_spi(u64 reg, u64 intid)
{
	writel(BIT(intid % 32), GICD_BASE_GVA + reg + intid / 32 * 4);
}

/* KVM looks at the list registers. */
static void guest_exit(void)
{
	readl(GICD_BASE_GVA + GICD_TYPER);
}

/* Returns whether there was one. */
static bool guest_ack(u32 *intid)
{
	struct guest_cpu *cpu = this_guest_cpu();

	*intid = gic_get_and_ack_irq();
	if (*intid == IAR_SPURIOUS)
		return false;
	cpu->taken[cpu->nr_taken++] = *intid;
	return true;
}

/* Ends what was the last to be taken; with EOIs that are split, deactivates it or not. */
static void guest_end(u64 intid, u64 deactivate)
{
	gic_set_eoi(intid);
	if (this_guest_cpu()->split && deactivate && INTID_IS_SPI(intid))
		gic_set_dir(intid);
}

static __maybe_unused void guest_deactivate(u64 intid)
{
	gic_set_dir(intid);
}

/* Takes all that it can, with an exit in between acknowledge and EOI or without. */
static __maybe_unused void guest_take(u64 with_exit)
{
	u32 intid, i;

	for (i = 0; i < MAX_TAKEN && guest_ack(&intid); i++) {
		if (with_exit)
			guest_exit();
		guest_end(intid, true);
		/* What has become pending by that is in a list register then. */
		guest_exit();
	}
}

/* Takes one, and leaves it active. */
static __maybe_unused void guest_hold(void)
{
	u32 intid;

	guest_ack(&intid);
}

static void guest_main(void)
{
	struct guest_cpu *cpu = this_guest_cpu();

	for (;;) {
		cpu->fn(cpu->args[0], cpu->args[1]);
		GUEST_DONE();
	}
}

/* The host's side of a vCPU. */
struct irq_cpu {
	struct kvm_vcpu *vcpu;
	struct guest_cpu *guest;
};

/* Has the guest call @fn, a function of the guest, and waits until it returns. */
static inline void irq_cpu_call(struct irq_cpu *cpu, void *fn, u64 arg0, u64 arg1)
{
	struct ucall uc;

	cpu->guest->fn = fn;
	cpu->guest->args[0] = arg0;
	cpu->guest->args[1] = arg1;
	cpu->guest->nr_taken = 0;
	vcpu_run(cpu->vcpu);

	switch (get_ucall(cpu->vcpu, &uc)) {
	case UCALL_DONE:
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
		break;
	default:
		TEST_FAIL("vCPU %u left the guest with exit reason %u", cpu->vcpu->id,
			  cpu->vcpu->run->exit_reason);
	}
}

/* What the guest has in memory for its GIC, 64K each.  Device n has the n-th part of the ITTs. */
enum gic_table {
	TABLE_PROPERTIES,
	TABLE_PENDING,
	TABLE_DEVICES = TABLE_PENDING + MAX_CPUS,
	TABLE_COLLECTIONS = TABLE_DEVICES + NR_ITSES,
	TABLE_COMMANDS = TABLE_COLLECTIONS + NR_ITSES,
	TABLE_ITTS = TABLE_COMMANDS + NR_ITSES,
	NR_TABLES = TABLE_ITTS + NR_ITSES,
};

#define TABLES_GPA		0x10000000ull
#define TABLES_SLOT		1
#define TABLE_GPA(_table)	(TABLES_GPA + (_table) * SZ_64K)

#define ITT_EVENT_BITS		4
#define ITT_GPA(_its, _device)	(TABLE_GPA(TABLE_ITTS + (_its)) + ((_device) & 0xff) * SZ_256)

/* A VM that is set up once: what takes long is its memory. */
struct vm_template {
	struct kvm_vm *vm;
	void *memory;		/* what it is before the first step */
	u64 stacks[MAX_CPUS];
};

static inline size_t vm_template_size(struct vm_template *t)
{
	return memslot2region(t->vm, 0)->region.memory_size;
}

static inline void vm_template_make(struct vm_template *t)
{
	struct kvm_vcpu *vcpu;
	u32 i;

	test_disable_default_vgic();
	t->vm = vm_create(MAX_CPUS);
	vm_init_descriptor_tables(t->vm);
	for (i = 0; i < MAX_CPUS; i++) {
		vcpu = vm_vcpu_add(t->vm, i, guest_main);
		t->stacks[i] = vcpu_get_reg(vcpu, ctxt_reg_alias(vcpu, SYS_SP_EL1));
	}

	/* From the first ITS to the end of the second one, all of the GIC. */
	virt_map(t->vm, GITS_BASE(0), GITS_BASE(0),
		 (GITS_BASE(1) + KVM_VGIC_V3_ITS_SIZE - GITS_BASE(0)) / t->vm->page_size);
	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, TABLES_GPA, TABLES_SLOT,
				    NR_TABLES * SZ_64K / t->vm->page_size, 0);

	kvm_vm_release(t->vm);
	t->memory = malloc(vm_template_size(t));
	TEST_ASSERT(t->memory, "Insufficient memory");
	memcpy(t->memory, addr_gpa2hva(t->vm, 0), vm_template_size(t));
}

static inline void *gic_table(struct kvm_vm *vm, enum gic_table table)
{
	return addr_gpa2hva(vm, TABLE_GPA(table));
}

/* Opens the VM anew, with vCPUs that have yet to be started, and without a vgic. */
static inline void vm_template_open(struct vm_template *t, struct irq_cpu *cpus, u32 nr_cpus)
{
	extern char vectors;
	u32 i;

	kvm_vm_restart(t->vm);
	memcpy(addr_gpa2hva(t->vm, 0), t->memory, vm_template_size(t));
	memset(gic_table(t->vm, 0), 0, NR_TABLES * SZ_64K);

	for (i = 0; i < nr_cpus; i++) {
		struct kvm_vcpu *vcpu = __vm_vcpu_add(t->vm, i);

		aarch64_vcpu_setup(vcpu, NULL);
		vcpu_set_reg(vcpu, ctxt_reg_alias(vcpu, SYS_SP_EL1), t->stacks[i]);
		vcpu_set_reg(vcpu, ctxt_reg_alias(vcpu, SYS_VBAR_EL1), (u64)&vectors);
		vcpu_arch_set_entry_point(vcpu, guest_main);
		cpus[i].vcpu = vcpu;
		cpus[i].guest = addr_gva2hva(t->vm, (gva_t)&guest_cpus[i]);
	}
}

/* Creates a vgic, which has yet to be initialized.  Returns its file. */
static inline int vgic_create(struct kvm_vm *vm, u32 nr_cpus, u32 nr_irqs)
{
	u64 dist = GICD_BASE_GPA, rdist = REDIST_REGION_ATTR_ADDR(nr_cpus, GICR_BASE_GPA, 0, 0);
	int fd = kvm_create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);

	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs);
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
			    &rdist);
	return fd;
}

static inline u32 gicd_read(int gic_fd, u32 reg)
{
	u32 val;

	kvm_device_attr_get(gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, reg, &val);
	return val;
}

static inline void gicd_write(int gic_fd, u32 reg, u32 val)
{
	kvm_device_attr_set(gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, reg, &val);
}

/* The lines of the 32 INTIDs from @first on. */
#define LINE_LEVELS(_first)	\
	(VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT | (_first))

static inline u32 gic_read_lines(int gic_fd, u32 first)
{
	u32 levels;

	kvm_device_attr_get(gic_fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, LINE_LEVELS(first), &levels);
	return levels;
}

static inline void gic_write_lines(int gic_fd, u32 first, u32 levels)
{
	kvm_device_attr_set(gic_fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, LINE_LEVELS(first), &levels);
}

/* Creates an ITS and returns its file. */
static inline int its_create(struct kvm_vm *vm, u32 its)
{
	int fd = kvm_create_device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS);
	u64 address = GITS_BASE(its);

	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &address);
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return fd;
}

/* The host writes commands into memory, and the guest tells the ITS of them. */
struct its_command {
	u64 raw[4];
};

static inline struct its_command its_command(u8 nr, u32 device, u32 event)
{
	return (struct its_command){ { nr | (u64)device << 32, event } };
}

static inline struct its_command its_mapd(u32 device, u64 itt, bool valid)
{
	struct its_command c = its_command(GITS_CMD_MAPD, device, ITT_EVENT_BITS - 1);

	c.raw[2] = itt | (u64)valid << 63;
	return c;
}

static inline struct its_command its_mapc(u16 collection, u32 cpu, bool valid)
{
	struct its_command c = its_command(GITS_CMD_MAPC, 0, 0);

	c.raw[2] = collection | (u64)cpu << 16 | (u64)valid << 63;
	return c;
}

static inline struct its_command its_mapti(u32 device, u32 event, u32 lpi, u16 collection)
{
	struct its_command c = its_command(GITS_CMD_MAPTI, device, event);

	c.raw[1] |= (u64)lpi << 32;
	c.raw[2] = collection;
	return c;
}

static inline struct its_command its_of_collection(u8 nr, u32 device, u32 event, u16 collection)
{
	struct its_command c = its_command(nr, device, event);

	c.raw[2] = collection;
	return c;
}

/* Returns where the ITS finds the next one. */
static inline u32 its_write_command(struct kvm_vm *vm, u32 its, u32 cwriter, struct its_command c)
{
	memcpy(gic_table(vm, TABLE_COMMANDS + its) + cwriter, &c, sizeof(c));
	return (cwriter + sizeof(c)) % SZ_64K;
}

/* The values of its registers, with the tables that it has in memory. */
static inline u64 its_baser(enum gic_table table)
{
	return TABLE_GPA(table) | GITS_BASER_PAGE_SIZE_64K | GITS_BASER_InnerShareable |
	       GITS_BASER_RaWaWb | GITS_BASER_VALID;
}

static inline u64 its_cbaser(u32 its)
{
	return TABLE_GPA(TABLE_COMMANDS + its) | (SZ_64K / SZ_4K - 1) | GITS_CBASER_InnerShareable |
	       GITS_CBASER_RaWaWb | GITS_CBASER_VALID;
}

/* KVM's ITS has its devices in the first table, and its collections in the second one. */
static __maybe_unused void guest_its_tables(u64 its)
{
	guest_write64(GITS_BASE(its) + GITS_BASER, its_baser(TABLE_DEVICES + its));
	guest_write64(GITS_BASE(its) + GITS_BASER + 8, its_baser(TABLE_COLLECTIONS + its));
	guest_write64(GITS_BASE(its) + GITS_CBASER, its_cbaser(its));
}

static __maybe_unused void guest_enable_lpis(void)
{
	gic_rdist_enable_lpis(TABLE_GPA(TABLE_PROPERTIES), SZ_64K,
			      TABLE_GPA(TABLE_PENDING + guest_get_vcpuid()));
}

static __maybe_unused void guest_disable_lpis(void)
{
	writel(0, GICR_BASE_GVA + guest_get_vcpuid() * GIC_V3_REDIST_SIZE + GICR_CTLR);
}

#endif /* SELFTEST_KVM_IRQROUTE_H */
