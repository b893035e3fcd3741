// SPDX-License-Identifier: GPL-2.0
/*
 * The vgic and its ITS, set up from outside, as by a VMM that restores a VM: see
 * Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic-its.rst in the kernel.
 */
#include <assert.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/const.h>

#include "gic.h"
#include "guest.h"
#include "vm.h"

#define GICD_BASE		0x02000000ULL
#define GICR_BASE		0x02100000ULL

/* Registers, by their names in the GIC architecture specification. */
#define GICD_CTLR		0x0000
#define GICD_IGROUPR(_intid)	(0x0080 + (_intid) / 32 * 4)
#define GICD_ISENABLER(_intid)	(0x0100 + (_intid) / 32 * 4)
#define GICD_ICFGR(_intid)	(0x0c00 + (_intid) / 16 * 4)

#define GICD_CTLR_ENABLE_GRP1	0x2
#define GICD_CTLR_ARE		0x10
#define ICFGR_ALL_EDGE		0xaaaaaaaa		/* two bits for each INTID */
#define ICFGR_EDGE(_intid)	(0x2 << (_intid) % 16 * 2)

#define GICR_CTLR		0x0000
#define GICR_PROPBASER		0x0070
#define GICR_PENDBASER		0x0078

#define GICR_CTLR_ENABLE_LPIS	0x1
#define PROPBASER_ID_BITS	13			/* LPIs 8192..16383: of 14 bits, less 1 */
#define LPI_ENABLED		0x1

#define GITS_CTLR		0x0000
#define GITS_CBASER		0x0080
#define GITS_BASER_DEVICES	0x0100
#define GITS_BASER_COLLECTIONS	0x0108

#define GITS_CTLR_ENABLED	0x1
#define VALID			_BITULL(63)		/* in its registers and its tables */

/* The entries of an ITS' tables in memory, by revision 0 of KVM's ABI for them. */
#define COLLECTION		0
#define EVENT_ID_BITS		4			/* event IDs 0..31: of 5 bits, less 1 */
#define DEVICE_ENTRY		(VALID | TABLE_EVENTS >> 8 << 5 | EVENT_ID_BITS)
#define COLLECTION_ENTRY	(VALID | LPI_VCPU << 16 | COLLECTION)
#define EVENT_ENTRY		((__u64)LPI << 16 | COLLECTION)

/* Where these and others are in guest memory. */
#define TABLE_SIZE		0x10000			/* and alignment */

enum table {
	TABLE_DEVICES		= 0x10000,
	TABLE_COLLECTIONS	= 0x20000,
	TABLE_EVENTS		= 0x30000,		/* of the device */
	TABLE_COMMANDS		= 0x40000,		/* there are none */
	TABLE_LPIS		= 0x50000,		/* a byte for each */
	TABLE_PENDING		= 0x60000,		/* of each vCPU one */
};

static_assert(TABLE_PENDING + NR_VCPUS * TABLE_SIZE == GUEST_MEMORY_SIZE, "see enum table");

struct reg {
	const char *name;
	__u64 offset;
	__u64 value;
};

static void set_attr(int fd, int group, __u64 number, const __u64 *value, const char *what)
{
	struct kvm_device_attr attr = {
		.group = group,
		.attr = number,
		.addr = (uintptr_t)value,
	};

	must(ioctl(fd, KVM_SET_DEVICE_ATTR, &attr), what, "a defect in KVM?");
}

#define SET_ADDRESS(_fd, _type, _address)	\
	set_attr(_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, _type, &(__u64){ _address }, #_type)
#define CONTROL(_fd, _command)			\
	set_attr(_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, _command, NULL, #_command)

/* Registers that KVM takes as 32 bits are the lower half of the value. */
static void set_regs(int fd, int group, __u64 which, const struct reg *regs, int nr)
{
	for (int i = 0; i < nr; i++)
		set_attr(fd, group, which | regs[i].offset, &regs[i].value, regs[i].name);
}

static int create_device(struct vm *vm, int type, const char *what)
{
	struct kvm_create_device device = { .type = type };

	must(ioctl(vm->fd, KVM_CREATE_DEVICE, &device), what, "needs a GICv3 in the host");
	return device.fd;
}

void arch_create_irqchip(struct vm *vm, const struct machine *machine)
{
	int fd = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3, "KVM_CREATE_DEVICE for a vgic");

	set_attr(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &(__u64){ FIRST_SPI + NR_SPIS },
		 "KVM_DEV_ARM_VGIC_GRP_NR_IRQS");
	SET_ADDRESS(fd, KVM_VGIC_V3_ADDR_TYPE_DIST, GICD_BASE);
	SET_ADDRESS(fd, KVM_VGIC_V3_ADDR_TYPE_REDIST, GICR_BASE);
	vm->arch.gic_fd = fd;
}

static void setup_distributor(int fd)
{
	static const int level = SPI(LEVEL_PIN), first = FIRST_SPI;
	const struct reg regs[] = {
		{ "GICD_CTLR", GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_ENABLE_GRP1 },
		{ "GICD_IGROUPR", GICD_IGROUPR(first), 0xffffffff },
		{ "GICD_ICFGR", GICD_ICFGR(first), ICFGR_ALL_EDGE },
		{ "GICD_ICFGR", GICD_ICFGR(first + 16), ICFGR_ALL_EDGE },
		{ "GICD_ICFGR", GICD_ICFGR(level), ICFGR_ALL_EDGE & ~ICFGR_EDGE(level) },
		{ "GICD_ISENABLER", GICD_ISENABLER(first), 0xffffffff },
	};

	set_regs(fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, regs, ARRAY_SIZE(regs));
}

static void setup_redistributors(int fd)
{
	for (int i = 0; i < NR_VCPUS; i++) {
		const __u64 pending = TABLE_PENDING + TABLE_SIZE * i;
		const struct reg regs[] = {
			{ "GICR_PROPBASER", GICR_PROPBASER, TABLE_LPIS | PROPBASER_ID_BITS },
			{ "GICR_PENDBASER", GICR_PENDBASER, pending },
			{ "GICR_CTLR", GICR_CTLR, GICR_CTLR_ENABLE_LPIS },
		};

		/* The affinity in the MPIDR of the first vCPUs is their index. */
		set_regs(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
			 (__u64)i << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT, regs, ARRAY_SIZE(regs));
	}
}

static void *table(struct vm *vm, enum table table)
{
	return (char *)vm->memory + table;
}

/* Without a single command: in memory is what the ITS would have made of those of a guest. */
static void setup_its(struct vm *vm)
{
	static const struct reg bases[] = {
		{ "GITS_CBASER", GITS_CBASER, VALID | TABLE_COMMANDS },
		{ "GITS_BASER0", GITS_BASER_DEVICES, VALID | TABLE_DEVICES },
		{ "GITS_BASER1", GITS_BASER_COLLECTIONS, VALID | TABLE_COLLECTIONS },
	};
	static const struct reg enable[] = {
		{ "GITS_CTLR", GITS_CTLR, GITS_CTLR_ENABLED },
	};
	int fd = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, "KVM_CREATE_DEVICE for an ITS");

	((__u64 *)table(vm, TABLE_DEVICES))[DEVICE_ID] = DEVICE_ENTRY;
	/* A list, while the others are indexed. */
	((__u64 *)table(vm, TABLE_COLLECTIONS))[0] = COLLECTION_ENTRY;
	((__u64 *)table(vm, TABLE_EVENTS))[EVENT_ID] = EVENT_ENTRY;
	((__u8 *)table(vm, TABLE_LPIS))[LPI - FIRST_LPI] = LPI_ENABLED;

	setup_redistributors(vm->arch.gic_fd);
	SET_ADDRESS(fd, KVM_VGIC_ITS_ADDR_TYPE, ITS_BASE);
	CONTROL(fd, KVM_DEV_ARM_VGIC_CTRL_INIT);
	set_regs(fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0, bases, ARRAY_SIZE(bases));
	CONTROL(fd, KVM_DEV_ARM_ITS_RESTORE_TABLES);
	set_regs(fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0, enable, ARRAY_SIZE(enable));
	close(fd);
}

void arch_init_irqchip(struct vm *vm, const struct machine *machine)
{
	CONTROL(vm->arch.gic_fd, KVM_DEV_ARM_VGIC_CTRL_INIT);
	setup_distributor(vm->arch.gic_fd);
	if (machine->its)
		setup_its(vm);
	/* They go on to exist, as long as the VM does. */
	close(vm->arch.gic_fd);
}

void set_line(struct vm *vm, int spi, bool high)
{
	struct kvm_irq_level line = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | spi,
		.level = high,
	};

	must(ioctl(vm->fd, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE", "a defect in KVM?");
}
