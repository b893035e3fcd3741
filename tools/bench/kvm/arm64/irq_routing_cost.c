// SPDX-License-Identifier: GPL-2.0
/*
 * What interrupt routes cost on arm64, in instructions that the host's kernel, this
 * program and, where it runs, the guest execute, with KVM's C and with kvm_irqroute;
 * without the module, with KVM's C alone.
 */
#include <linux/sizes.h>

#include "cost.h"
#include "gic.h"
#include "gic_v3.h"
#include "gic_v3_its.h"
#include "irqfd.h"
#include "processor.h"
#include "ucall.h"
#include "vgic.h"

#define MAX_ROUTES		4096

/* What a guest of ours uses: SPIs of either trigger, and an LPI. */
#define PIN_EDGE		8
#define PIN_LEVEL		9
#define NR_PINS			32
#define LPI			8192
#define DEVICE			0
#define EVENT			0

#define LPI_PROP		(0xa0 | LPI_PROP_GROUP1 | LPI_PROP_ENABLED)
#define DOORBELL		(GITS_BASE_GPA + GITS_TRANSLATER)

/* What the guest has in memory for its ITS, 64K each. */
enum its_memory { DEVICES, COLLECTIONS, COMMANDS, PROPERTIES, PENDING, ITT, NR_ITS_MEMORY };

#define ITS_SLOT		1

static gpa_t its_memory;
/* Whether the guest drops what its ITS has cached, whenever it runs. */
static bool drops_translations;
static u32 nr_taken;

static gpa_t its_gpa(enum its_memory what)
{
	return its_memory + what * SZ_64K;
}

static void guest_exit(void)
{
	readl(GICD_BASE_GVA + GICD_TYPER);
}

static void guest_irq_handler(struct ex_regs *regs)
{
	u32 intid = gic_get_and_ack_irq();

	if (intid == IAR_SPURIOUS)
		return;

	/* KVM without our patches notices the end only of what it has seen active. */
	guest_exit();
	nr_taken++;
	gic_set_eoi(intid);
}

static void guest_setup_its(void)
{
	void *commands = (void *)its_gpa(COMMANDS);

	gic_rdist_enable_lpis(its_gpa(PROPERTIES), SZ_64K, its_gpa(PENDING));
	its_init(its_gpa(COLLECTIONS), SZ_64K, its_gpa(DEVICES), SZ_64K, its_gpa(COMMANDS), SZ_64K);
	its_send_mapc_cmd(commands, 0, 0, true);
	its_send_mapd_cmd(commands, DEVICE, its_gpa(ITT), SZ_64K, true);
	its_send_mapti_cmd(commands, DEVICE, EVENT, 0, LPI);
	its_send_invall_cmd(commands, 0);
	its_send_sync_cmd(commands, 0);
}

/* Translations are cached for as long as the ITS is enabled. */
static void guest_drop_translations(void)
{
	writel(0, GITS_BASE_GVA + GITS_CTLR);
	writel(GITS_CTLR_ENABLE, GITS_BASE_GVA + GITS_CTLR);
}

static void guest_code(void)
{
	static const u32 pins[] = { PIN_EDGE, PIN_LEVEL };
	u32 i;

	gic_init(GIC_V3, 1);
	for (i = 0; i < ARRAY_SIZE(pins); i++) {
		gic_irq_set_config(MIN_SPI + pins[i], pins[i] == PIN_EDGE);
		gic_irq_enable(MIN_SPI + pins[i]);
	}
	guest_setup_its();
	local_irq_enable();

	for (;;) {
		GUEST_SYNC(0);
		if (drops_translations)
			guest_drop_translations();
		/* The same without an interrupt: they compare. */
		if (!READ_ONCE(nr_taken))
			guest_exit();
	}
}

/* A VM and its vCPU, which waits for interrupts outside of the guest. */
struct target {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	int its_fd;
};

/* Until the guest has taken what is pending. */
static void run(struct target *target)
{
	vcpu_run(target->vcpu);
	TEST_ASSERT_EQ(get_ucall(target->vcpu, NULL), UCALL_SYNC);
}

/* How many interrupts the guest has taken since it was last asked. */
static u32 taken(struct target *target)
{
	sync_global_from_guest(target->vm, nr_taken);
	write_guest_global(target->vm, nr_taken, 0);
	return nr_taken;
}

static void its_memory_add(struct kvm_vm *vm)
{
	const u64 size = NR_ITS_MEMORY * SZ_64K;

	its_memory = (vm_compute_max_gfn(vm) + 1) * vm->page_size - size;
	sync_global_to_guest(vm, its_memory);
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, its_memory, ITS_SLOT,
				    size / vm->page_size, 0);
	virt_map(vm, its_gpa(COMMANDS), its_gpa(COMMANDS), SZ_64K / vm->page_size);
	*(u8 *)addr_gpa2hva(vm, its_gpa(PROPERTIES)) = LPI_PROP;
}

static struct target target_create(void)
{
	struct target target;

	target.vm = vm_create_with_one_vcpu(&target.vcpu, guest_code);
	vgic_v3_setup(target.vm, 1, MIN_SPI + NR_PINS);
	target.its_fd = vgic_its_setup(target.vm);
	its_memory_add(target.vm);

	vm_init_descriptor_tables(target.vm);
	vcpu_init_descriptor_tables(target.vcpu);
	vm_install_exception_handler(target.vm, VECTOR_IRQ_CURRENT, guest_irq_handler);
	run(&target);
	return target;
}

static void target_free(struct target *target)
{
	close(target->its_fd);
	kvm_vm_free(target->vm);
}

/* A route to a pin, or if it is none of the first pins, to the ITS. */
static struct kvm_irq_routing_entry route(u32 gsi, u32 nr_pins, u32 version)
{
	struct kvm_irq_routing_entry entry = { .gsi = gsi };

	if (gsi < nr_pins) {
		entry.type = KVM_IRQ_ROUTING_IRQCHIP;
		entry.u.irqchip.pin = (gsi + version) % nr_pins;
	} else {
		entry.type = KVM_IRQ_ROUTING_MSI;
		entry.flags = KVM_MSI_VALID_DEVID;
		entry.u.msi.address_lo = DOORBELL;
		entry.u.msi.address_hi = DOORBELL >> 32;
		entry.u.msi.devid = gsi / 32;
		entry.u.msi.data = gsi % 32 + version;
	}
	return entry;
}

enum change { UNCHANGED, MSI, PIN, ALL };

static const char *const change_names[] = {
	[UNCHANGED] = "none",
	[MSI] = "msi",
	[PIN] = "pin",
	[ALL] = "all",
};

/* The first routes are those of pins, the others are MSIs. */
static struct pair pair_new(u32 nr, u32 nr_pins, enum change change)
{
	struct pair pair;
	u32 gsi, version;

	for (version = 0; version < 2; version++) {
		pair.tables[version] = table_new(nr);
		for (gsi = 0; gsi < nr; gsi++) {
			bool changes = change == ALL || (change == PIN && gsi == 0) ||
				       (change == MSI && gsi == nr - 1);

			pair.tables[version]->entries[gsi] =
				route(gsi, nr_pins, changes && version);
		}
	}
	return pair;
}

/* Those of SPIs alone are the default tables with the fewest and the most SPIs. */
static const struct size {
	u32 routes, pins;
} sizes[] = {
	{ 24, 16 },
	{ 224, 224 },
	{ 256, 24 },
	{ 960, 960 },
	{ MAX_ROUTES, 24 },
};

static void measure_updates(void)
{
	struct target targets[NR_SIDES];
	enum change change;
	enum side side;
	int i;

	for (side = first_side; side <= last_side; side++)
		targets[side] = CREATE_ON(side, target_create());
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (change = UNCHANGED; change <= ALL; change++) {
			struct pair pair;

			if (change == MSI && sizes[i].routes == sizes[i].pins)
				continue;
			pair = pair_new(sizes[i].routes, sizes[i].pins, change);
			COMPARE_COST("update", PARAMETERS("routes=%u pins=%u changed=%s",
							  sizes[i].routes, sizes[i].pins,
							  change_names[change]),
				     table_set(targets[s].vm, pair.tables[round % 2]));
			pair_free(&pair);
		}
	}
	for (side = first_side; side <= last_side; side++)
		target_free(&targets[side]);
}

static void measure_memory(void)
{
	struct target targets[NR_SIDES];
	enum side side;
	int i;

	for (side = first_side; side <= last_side; side++)
		targets[side] = CREATE_ON(side, target_create());
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pair pair = pair_new(sizes[i].routes, sizes[i].pins, UNCHANGED);

		COMPARE("table-memory",
			PARAMETERS("routes=%u pins=%u", sizes[i].routes, sizes[i].pins), "bytes",
			table_bytes(targets[s].vm, pair.tables[0]));
		pair_free(&pair);
	}
	for (side = first_side; side <= last_side; side++)
		target_free(&targets[side]);
}

/* Initializing the vGIC of a new VM, which makes the default routes. */
static u64 vgic_init_cost(enum side side, u32 nr_spis)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = CREATE_ON(side, vm_create_with_one_vcpu(&vcpu, guest_code));
	int gic_fd = __vgic_v3_setup(vm, 1, MIN_SPI + nr_spis);
	u64 cost;

	settle();
	cost = COST_OF(__vgic_v3_init(gic_fd));
	close(gic_fd);
	kvm_vm_free(vm);
	return cost;
}

static void measure_vgic_init(void)
{
	static const u32 spis[] = { 224, 960 };
	int i;

	for (i = 0; i < ARRAY_SIZE(spis); i++)
		COMPARE("vgic-init", PARAMETERS("spis=%u", spis[i]), "instructions",
			vgic_init_cost(s, spis[i]));
}

static u64 irqfd_cost(struct target *target, struct irqfd *irqfd)
{
	u64 cost = COST_OF(irqfd_signal(irqfd));

	/* The first MSI is in no cache, and left to a work item. */
	settle();
	run(target);
	TEST_ASSERT_EQ(taken(target), 1);
	return cost;
}

/*
 * A work item injects what is in no cache.  De-assigning the irqfd waits for it: how
 * much longer than for none.
 */
static u64 uncached_irqfd_cost(struct target *target, struct irqfd *irqfd)
{
	u64 with, without;

	with = COST_OF(irqfd_signal(irqfd); kvm_deassign_irqfd(target->vm, irqfd->gsi, irqfd->fd));
	irqfd_assign(target->vm, irqfd);
	run(target);
	TEST_ASSERT_EQ(taken(target), 1);

	settle();
	without = COST_OF(kvm_deassign_irqfd(target->vm, irqfd->gsi, irqfd->fd));
	irqfd_assign(target->vm, irqfd);
	return with - without;
}

static void measure_irqfds(void)
{
	static const struct {
		const char *name;
		struct kvm_irq_routing_entry route;
		bool resample, uncached;
	} kinds[] = {
		{
			.name = "spi",
			.route = { .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = PIN_EDGE },
		},
		{
			.name = "spi-resample",
			.route = { .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = PIN_LEVEL },
			.resample = true,
		},
		{
			.name = "msi-cached",
			.route = { .type = KVM_IRQ_ROUTING_MSI },
		},
		{
			.name = "msi-uncached",
			.route = { .type = KVM_IRQ_ROUTING_MSI },
			.uncached = true,
		},
	};
	struct target targets[NR_SIDES];
	struct irqfd irqfds[NR_SIDES];
	enum side side;
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct kvm_irq_routing *table = table_new(1);

		table->entries[0] = kinds[i].route.type == KVM_IRQ_ROUTING_MSI ?
				    route(DEVICE * 32 + EVENT, 0, 0) : kinds[i].route;
		for (side = first_side; side <= last_side; side++) {
			struct target *target = &targets[side];

			*target = CREATE_ON(side, target_create());
			table_set(target->vm, table);
			irqfds[side] = irqfd_create(0);
			if (kinds[i].resample)
				irqfd_assign_resample(target->vm, &irqfds[side]);
			else
				irqfd_assign(target->vm, &irqfds[side]);
			drops_translations = kinds[i].uncached;
			sync_global_to_guest(target->vm, drops_translations);
		}
		COMPARE("irqfd", PARAMETERS("route=%s", kinds[i].name), "instructions",
			(kinds[i].uncached ? uncached_irqfd_cost : irqfd_cost)(&targets[s],
									       &irqfds[s]));
		for (side = first_side; side <= last_side; side++) {
			irqfd_free(targets[side].vm, &irqfds[side]);
			target_free(&targets[side]);
		}
		free(table);
	}
}

/* How much longer the guest runs for an interrupt that it takes, and whose end is waited for. */
static u64 ack_cost(struct target *target, struct irqfd *last)
{
	u64 with, without;

	irqfd_signal(last);
	with = COST_OF(vcpu_run(target->vcpu));
	TEST_ASSERT_EQ(taken(target), 1);
	TEST_ASSERT_EQ(irqfd_resampled(last), 1);
	without = COST_OF(vcpu_run(target->vcpu));
	return with - without;
}

#define MAX_GSIS		2

/* GSIs that share a pin. */
static void measure_acks(void)
{
	struct irqfd irqfds[NR_SIDES][MAX_GSIS];
	struct target targets[NR_SIDES];
	enum side side;
	u32 nr, gsi;

	for (nr = 1; nr <= MAX_GSIS; nr++) {
		struct kvm_irq_routing *table = table_new(nr);

		for (gsi = 0; gsi < nr; gsi++)
			table->entries[gsi] = (struct kvm_irq_routing_entry) {
				.gsi = gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip.pin = PIN_LEVEL,
			};
		for (side = first_side; side <= last_side; side++) {
			targets[side] = CREATE_ON(side, target_create());
			table_set(targets[side].vm, table);
			for (gsi = 0; gsi < nr; gsi++) {
				irqfds[side][gsi] = irqfd_create(gsi);
				irqfd_assign_resample(targets[side].vm, &irqfds[side][gsi]);
			}
		}
		/* C tells the last one only. */
		COMPARE("ack", PARAMETERS("gsis=%u", nr), "instructions",
			ack_cost(&targets[s], &irqfds[s][nr - 1]));
		for (side = first_side; side <= last_side; side++) {
			for (gsi = 0; gsi < nr; gsi++)
				irqfd_free(targets[side].vm, &irqfds[side][gsi]);
			target_free(&targets[side]);
		}
		free(table);
	}
}

static const struct group groups[] = {
	{ "memory", measure_memory },
	{ "vgic-init", measure_vgic_init },
	{ "update", measure_updates },
	{ "irqfd", measure_irqfds },
	{ "ack", measure_acks },
};

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_supports_vgic_v3());

	/* Each VM has as many SPIs as it is to have. */
	test_disable_default_vgic();
	measure_groups(groups, ARRAY_SIZE(groups), argc, argv);
	return 0;
}
