// SPDX-License-Identifier: GPL-2.0
/*
 * GSI routes on arm64: where the interrupts of irqfds go, for each table that
 * userspace sets, and who hears of their end.
 *
 * The host drives the vCPU from one thread, from one GUEST_SYNC() to the next.
 */
#include <linux/sizes.h>

#include "kvm_util.h"
#include "gic.h"
#include "gic_v3.h"
#include "helper.h"
#include "irqfd.h"
#include "irqroute_harness.h"
#include "processor.h"
#include "ucall.h"
#include "vgic.h"

/* The library's vGIC has SPIs 32 to 63. */
#define NR_PINS		32
/* The pins and GSIs that an arm64 VM can name. */
#define MAX_PIN		987
#define MAX_GSI		4095

#define DOORBELL	(GITS_BASE_GPA + GITS_TRANSLATER)

static u32 nr_taken[MIN_SPI + NR_PINS];

static void guest_irq_handler(struct ex_regs *regs)
{
	u32 intid = gic_get_and_ack_irq();

	if (intid == IAR_SPURIOUS)
		return;

	GUEST_ASSERT(intid < ARRAY_SIZE(nr_taken));
	nr_taken[intid]++;
	/* KVM sees it active, and then not any more. */
	readl(GICD_BASE_GVA + GICD_TYPER);
	/* A line that nobody lowers is taken no more often than this. */
	if (nr_taken[intid] == 8)
		gic_irq_disable(intid);
	gic_set_eoi(intid);
}

static void guest_code(void)
{
	u32 intid;

	gic_init(GIC_V3, 1);
	for (intid = MIN_SPI; intid < MIN_SPI + NR_PINS; intid++) {
		gic_irq_set_config(intid, false);
		gic_irq_enable(intid);
	}
	local_irq_enable();

	while (true)
		GUEST_SYNC(0);
}

/* A routing table, made of one route after the other. */
struct table {
	struct kvm_irq_routing routing;
	struct kvm_irq_routing_entry entries[MAX_GSI + 1];
};

static struct table *table_create(void)
{
	struct table *table = calloc(1, sizeof(*table));

	TEST_ASSERT(table, "No memory");
	return table;
}

static struct kvm_irq_routing_entry *table_add(struct table *table, u32 gsi, u32 type)
{
	struct kvm_irq_routing_entry *entry = &table->entries[table->routing.nr++];

	*entry = (struct kvm_irq_routing_entry) { .gsi = gsi, .type = type };
	return entry;
}

static void table_add_pin(struct table *table, u32 gsi, u32 pin)
{
	table_add(table, gsi, KVM_IRQ_ROUTING_IRQCHIP)->u.irqchip.pin = pin;
}

static void table_add_msi(struct table *table, u32 gsi, u64 address, u32 flags, u32 devid, u32 data)
{
	struct kvm_irq_routing_entry *entry = table_add(table, gsi, KVM_IRQ_ROUTING_MSI);

	entry->flags = flags;
	entry->u.msi.address_lo = address;
	entry->u.msi.address_hi = address >> 32;
	entry->u.msi.devid = devid;
	entry->u.msi.data = data;
}

/* Sets it and starts another one.  Returns 0, or the errno that it is refused with. */
static int table_errno(struct table *table, struct kvm_vm *vm)
{
	int r = __vm_ioctl(vm, KVM_SET_GSI_ROUTING, &table->routing);

	table->routing.nr = 0;
	return r ? errno : 0;
}

static void table_set(struct table *table, struct kvm_vm *vm)
{
	TEST_ASSERT_EQ(table_errno(table, vm), 0);
}

FIXTURE(routing) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	struct table *table;
};

static void run(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_SYNC:
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
		break;
	default:
		TEST_FAIL("Unexpected ucall %lu", uc.cmd);
	}
}

/* Until the guest has set up its interrupt controller. */
static void guest_start(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	vm_install_exception_handler(vm, VECTOR_IRQ_CURRENT, guest_irq_handler);
	run(vcpu);
}

FIXTURE_SETUP(routing)
{
	self->vm = vm_create_with_one_vcpu(&self->vcpu, guest_code);
	self->table = table_create();
	guest_start(self->vm, self->vcpu);
}

FIXTURE_TEARDOWN(routing)
{
	free(self->table);
	kvm_vm_free(self->vm);
}

/* How often the guest has taken the SPI of a pin since it was last asked. */
static u32 taken(struct kvm_vm *vm, u32 pin)
{
	u32 nr;

	sync_global_from_guest(vm, nr_taken);
	nr = nr_taken[MIN_SPI + pin];
	nr_taken[MIN_SPI + pin] = 0;
	sync_global_to_guest(vm, nr_taken);
	return nr;
}

/* The lines of all pins are in one word. */
#define LINE_LEVELS	(VGIC_LEVEL_INFO_LINE_LEVEL <<			\
			 KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT | MIN_SPI)

/* The pins whose line is high, as bits. */
static u32 high_lines(struct kvm_vm *vm)
{
	u32 levels;

	kvm_device_attr_get(vm->arch.gic_fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, LINE_LEVELS, &levels);
	return levels;
}

static void restore_lines(struct kvm_vm *vm, u32 levels)
{
	kvm_device_attr_set(vm->arch.gic_fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, LINE_LEVELS, &levels);
}

static void line_lower(struct kvm_vm *vm, u32 pin)
{
	kvm_arm_irq_line(vm, MIN_SPI + pin, 0);
}

/* Makes and assigns an irqfd. */
static struct irqfd irqfd_new(struct kvm_vm *vm, u32 gsi, bool resample)
{
	struct irqfd irqfd = irqfd_create(gsi);

	if (resample)
		irqfd_assign_resample(vm, &irqfd);
	else
		irqfd_assign(vm, &irqfd);
	return irqfd;
}

/* The default routes: GSI n is pin n, and pin n is SPI 32 + n. */
TEST_F(routing, default_routes)
{
	u32 pin;

	for (pin = 0; pin < NR_PINS; pin++) {
		struct irqfd irqfd = irqfd_new(self->vm, pin, false);

		irqfd_signal(&irqfd);
		TEST_ASSERT_EQ(high_lines(self->vm), BIT(pin));
		line_lower(self->vm, pin);
		irqfd_free(self->vm, &irqfd);
	}
}

/* An irqfd goes by the table that was set last, for any GSI. */
TEST_F(routing, pin_of_a_gsi)
{
	static const u32 gsis[] = { 0, 1, 31, 32, 988, MAX_GSI };
	u32 i, pin;

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		struct irqfd irqfd = irqfd_new(self->vm, gsis[i], false);

		for (pin = 0; pin < NR_PINS; pin += 7) {
			table_add_pin(self->table, gsis[i], pin);
			table_set(self->table, self->vm);
			irqfd_signal(&irqfd);
			TEST_ASSERT_EQ(high_lines(self->vm), BIT(pin));
			line_lower(self->vm, pin);
		}

		table_set(self->table, self->vm);
		irqfd_signal(&irqfd);
		TEST_ASSERT_EQ(high_lines(self->vm), 0);
		irqfd_free(self->vm, &irqfd);
	}
}

/* The guest takes the SPI that the route leads to. */
TEST_F(routing, spi_of_a_pin)
{
	struct irqfd irqfd = irqfd_new(self->vm, 5, true);

	table_add_pin(self->table, 5, 8);
	table_set(self->table, self->vm);
	irqfd_signal(&irqfd);
	run(self->vcpu);
	TEST_ASSERT_EQ(taken(self->vm, 8), 1);
	TEST_ASSERT_EQ(taken(self->vm, 5), 0);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
	TEST_ASSERT_EQ(high_lines(self->vm), 0);
	irqfd_free(self->vm, &irqfd);
}

/* What KVM cannot have is refused, and the routes before stay. */
TEST_F(routing, refused)
{
	struct irqfd irqfd = irqfd_new(self->vm, 3, false);
	struct kvm_irq_routing_entry *entry;

	table_add_pin(self->table, 3, 4);
	table_set(self->table, self->vm);

	table_add_pin(self->table, 3, MAX_PIN + 1);
	TEST_ASSERT_EQ(table_errno(self->table, self->vm), EINVAL);
	table_add_pin(self->table, MAX_GSI + 1, 0);
	TEST_ASSERT_EQ(table_errno(self->table, self->vm), EINVAL);
	table_add_pin(self->table, 3, UINT32_MAX);
	TEST_ASSERT_EQ(table_errno(self->table, self->vm), EINVAL);
	entry = table_add(self->table, 3, KVM_IRQ_ROUTING_IRQCHIP);
	entry->u.irqchip.irqchip = 1;
	TEST_ASSERT_EQ(table_errno(self->table, self->vm), EINVAL);
	entry = table_add(self->table, 3, KVM_IRQ_ROUTING_IRQCHIP);
	entry->flags = KVM_MSI_VALID_DEVID;
	TEST_ASSERT_EQ(table_errno(self->table, self->vm), EINVAL);
	table_add_msi(self->table, 3, DOORBELL, 1 << 1, 0, 0);
	TEST_ASSERT_EQ(table_errno(self->table, self->vm), EINVAL);
	table_add(self->table, 3, KVM_IRQ_ROUTING_HV_SINT);
	TEST_ASSERT_EQ(table_errno(self->table, self->vm), EINVAL);

	irqfd_signal(&irqfd);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(4));
	line_lower(self->vm, 4);
	irqfd_free(self->vm, &irqfd);
}

/* A pin that no SPI of the VM is has no line, and does no harm. */
TEST_F(routing, pin_without_an_spi)
{
	static const u32 pins[] = { NR_PINS, MAX_PIN };
	struct irqfd irqfd = irqfd_new(self->vm, 3, false);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pins); i++) {
		table_add_pin(self->table, 3, pins[i]);
		table_set(self->table, self->vm);
		irqfd_signal(&irqfd);
		TEST_ASSERT_EQ(high_lines(self->vm), 0);
	}

	table_add_pin(self->table, 3, NR_PINS - 1);
	table_set(self->table, self->vm);
	irqfd_signal(&irqfd);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(NR_PINS - 1));
	line_lower(self->vm, NR_PINS - 1);
	irqfd_free(self->vm, &irqfd);
}

/* All GSIs of a pin hear of the end of its interrupt. */
TEST_F(routing, two_gsis_share_a_pin)
{
	struct irqfd irqfds[2];
	u32 i, order;

	for (order = 0; order < 2; order++) {
		table_add_pin(self->table, 10 + order, 8);
		table_add_pin(self->table, 11 - order, 8);
		table_add_pin(self->table, 12, 9);
		table_set(self->table, self->vm);

		irqfds[0] = irqfd_new(self->vm, 10, true);
		irqfds[1] = irqfd_new(self->vm, 11, true);
		for (i = 0; i < 2; i++) {
			irqfd_signal(&irqfds[i]);
			run(self->vcpu);
			TEST_ASSERT_EQ(taken(self->vm, 8), 1);
			TEST_ASSERT_EQ(irqfd_resampled(&irqfds[0]), 1);
			TEST_ASSERT_EQ(irqfd_resampled(&irqfds[1]), 1);
			TEST_ASSERT_EQ(high_lines(self->vm), 0);
		}
		irqfd_free(self->vm, &irqfds[0]);
		irqfd_free(self->vm, &irqfds[1]);
	}
}

/* Tables that begin alike are not the same. */
TEST_F(routing, gsi_leaves_a_pin_and_comes_back)
{
	struct irqfd stays = irqfd_new(self->vm, 10, true);
	struct irqfd leaves = irqfd_new(self->vm, 11, true);
	u32 i;

	for (i = 0; i < 4; i++) {
		bool has_left = i % 2;

		table_add_pin(self->table, 10, 8);
		if (!has_left)
			table_add_pin(self->table, 11, 8);
		table_set(self->table, self->vm);

		irqfd_signal(has_left ? &stays : &leaves);
		run(self->vcpu);
		TEST_ASSERT_EQ(taken(self->vm, 8), 1);
		TEST_ASSERT_EQ(irqfd_resampled(&leaves), !has_left);
		irqfd_resampled(&stays);
		TEST_ASSERT_EQ(high_lines(self->vm), 0);
	}
	irqfd_free(self->vm, &stays);
	irqfd_free(self->vm, &leaves);
}

/* Who has raised the line hears of the end, and so does who is routed to the pin by then. */
TEST_F(routing, pin_moves_while_its_interrupt_is_pending)
{
	struct irqfd moved = irqfd_new(self->vm, 10, true);
	struct irqfd other = irqfd_new(self->vm, 11, true);

	table_add_pin(self->table, 10, 8);
	table_set(self->table, self->vm);
	irqfd_signal(&moved);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(8));

	table_add_pin(self->table, 10, 9);
	table_add_pin(self->table, 11, 8);
	table_set(self->table, self->vm);
	run(self->vcpu);
	TEST_ASSERT_EQ(irqfd_resampled(&moved), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&other), 1);
	TEST_ASSERT_EQ(taken(self->vm, 8), 1);
	TEST_ASSERT_EQ(high_lines(self->vm), 0);

	irqfd_free(self->vm, &moved);
	irqfd_free(self->vm, &other);
}

/* A line is high as long as one of its sources raises it. */
TEST_F(routing, line_with_two_sources)
{
	struct irqfd irqfd = irqfd_new(self->vm, 8, true);

	kvm_arm_irq_line(self->vm, MIN_SPI + 8, 1);
	irqfd_signal(&irqfd);
	run(self->vcpu);
	/* The guest takes it until it disables it; each end lowers what the irqfd raised. */
	TEST_ASSERT_EQ(taken(self->vm, 8), 8);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(8));
	line_lower(self->vm, 8);
	TEST_ASSERT_EQ(high_lines(self->vm), 0);

	/* And the other way around. */
	irqfd_signal(&irqfd);
	kvm_arm_irq_line(self->vm, MIN_SPI + 8, 1);
	line_lower(self->vm, 8);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(8));
	irqfd_free(self->vm, &irqfd);
}

/* Who is removed lowers what it has raised, and nothing else. */
TEST_F(routing, removed_while_another_has_raised_the_line)
{
	struct irqfd removed, stays;

	table_add_pin(self->table, 10, 8);
	table_add_pin(self->table, 11, 8);
	table_set(self->table, self->vm);
	removed = irqfd_new(self->vm, 10, true);
	stays = irqfd_new(self->vm, 11, true);

	irqfd_signal(&stays);
	irqfd_free(self->vm, &removed);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(8));
	run(self->vcpu);
	TEST_ASSERT_EQ(taken(self->vm, 8), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&stays), 1);
	TEST_ASSERT_EQ(high_lines(self->vm), 0);

	irqfd_signal(&stays);
	irqfd_free(self->vm, &stays);
	TEST_ASSERT_EQ(high_lines(self->vm), 0);
}

/* An irqfd without resamplefd leaves the line high, but does not hold it. */
TEST_F(routing, line_that_was_left_high)
{
	struct irqfd irqfd = irqfd_new(self->vm, 8, false);

	irqfd_signal(&irqfd);
	irqfd_free(self->vm, &irqfd);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(8));

	irqfd = irqfd_new(self->vm, 8, true);
	irqfd_signal(&irqfd);
	run(self->vcpu);
	TEST_ASSERT_EQ(taken(self->vm, 8), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
	TEST_ASSERT_EQ(high_lines(self->vm), 0);
	irqfd_free(self->vm, &irqfd);
}

/* Nobody is known to hold a line that userspace has restored. */
TEST_F(routing, line_that_is_restored)
{
	struct irqfd irqfd = irqfd_new(self->vm, 8, true);
	u32 levels;

	for (levels = 0; levels <= BIT(8); levels += BIT(8)) {
		kvm_arm_irq_line(self->vm, MIN_SPI + 8, 1);
		restore_lines(self->vm, levels);
		TEST_ASSERT_EQ(high_lines(self->vm), levels);

		if (!levels)
			irqfd_signal(&irqfd);
		run(self->vcpu);
		TEST_ASSERT_EQ(taken(self->vm, 8), 1);
		TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
		TEST_ASSERT_EQ(high_lines(self->vm), 0);
	}
	irqfd_free(self->vm, &irqfd);
}

/* Who has raised the line is routed elsewhere when the interrupt ends. */
TEST_F(routing, pin_without_a_route_when_its_interrupt_ends)
{
	struct irqfd irqfd = irqfd_new(self->vm, 10, true);

	table_add_pin(self->table, 10, 8);
	table_set(self->table, self->vm);
	irqfd_signal(&irqfd);
	TEST_ASSERT_EQ(high_lines(self->vm), BIT(8));

	table_add_pin(self->table, 10, 9);
	table_set(self->table, self->vm);
	run(self->vcpu);
	TEST_ASSERT_EQ(taken(self->vm, 8), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
	TEST_ASSERT_EQ(high_lines(self->vm), 0);

	/* And so is the pin that it is routed to now. */
	irqfd_signal(&irqfd);
	run(self->vcpu);
	TEST_ASSERT_EQ(taken(self->vm, 9), 1);
	TEST_ASSERT_EQ(irqfd_resampled(&irqfd), 1);
	irqfd_free(self->vm, &irqfd);
}

/* A VM whose vGIC is not initialized yet: userspace can set routes by then. */
TEST(routes_before_the_vgic_is_initialized)
{
	struct table *table = table_create();
	struct kvm_vcpu *vcpu;
	struct irqfd irqfd;
	struct kvm_vm *vm;

	test_disable_default_vgic();
	vm = vm_create_with_one_vcpu(&vcpu, guest_code);
	vm->arch.gic_fd = __vgic_v3_setup(vm, 1, MIN_SPI + NR_PINS);
	table_add_pin(table, 0, 8);
	table_set(table, vm);
	__vgic_v3_init(vm->arch.gic_fd);
	guest_start(vm, vcpu);

	irqfd = irqfd_new(vm, 0, false);
	irqfd_signal(&irqfd);
	TEST_ASSERT_EQ(high_lines(vm), BIT(8));
	line_lower(vm, 8);

	/* They are replaced by others, and by none. */
	table_add_pin(table, 0, 9);
	table_set(table, vm);
	irqfd_signal(&irqfd);
	TEST_ASSERT_EQ(high_lines(vm), BIT(9));
	line_lower(vm, 9);
	table_set(table, vm);
	irqfd_signal(&irqfd);
	TEST_ASSERT_EQ(high_lines(vm), 0);

	irqfd_free(vm, &irqfd);
	kvm_vm_free(vm);
	free(table);
}

/* Signals an irqfd.  Its work is done by the time it is gone. */
static void signal_once(struct kvm_vm *vm, u32 gsi)
{
	struct irqfd irqfd = irqfd_new(vm, gsi, false);

	irqfd_signal(&irqfd);
	irqfd_free(vm, &irqfd);
}

/* What goes nowhere is counted by the reason, if there is someone who counts. */
TEST_F(routing, dead_routes_are_counted)
{
	static const struct {
		const char *counter;
		u64 address;
		u32 flags, devid, data;
	} msis[] = {
		{ "dead_no_device_id", DOORBELL, 0, 0, 0 },
		{ "dead_no_doorbell", DOORBELL + SZ_1M, KVM_MSI_VALID_DEVID, 0, 0 },
		{ "dead_no_doorbell", 0, KVM_MSI_VALID_DEVID, UINT32_MAX, UINT32_MAX },
		{ "dead_long_id", DOORBELL, KVM_MSI_VALID_DEVID, 1 << 16, 0 },
		{ "dead_long_id", DOORBELL, KVM_MSI_VALID_DEVID, 0, 1 << 16 },
		{ "dead_long_id", DOORBELL, KVM_MSI_VALID_DEVID, UINT32_MAX, UINT32_MAX },
	};
	u64 before;
	u32 i;

	if (!helper_decides())
		SKIP(return, "the helper does not decide");

	before = helper_read_counter("dead_no_spi");
	table_add_pin(self->table, 3, NR_PINS);
	table_set(self->table, self->vm);
	signal_once(self->vm, 3);
	TEST_ASSERT_EQ(helper_read_counter("dead_no_spi"), before + 1);

	before = helper_read_counter("dead_no_its");
	table_add_msi(self->table, 3, DOORBELL, KVM_MSI_VALID_DEVID, 0, 0);
	table_set(self->table, self->vm);
	signal_once(self->vm, 3);
	TEST_ASSERT_EQ(helper_read_counter("dead_no_its"), before + 1);

	vgic_its_setup(self->vm);
	for (i = 0; i < ARRAY_SIZE(msis); i++) {
		before = helper_read_counter(msis[i].counter);
		table_add_msi(self->table, 3, msis[i].address, msis[i].flags, msis[i].devid,
			      msis[i].data);
		table_set(self->table, self->vm);
		signal_once(self->vm, 3);
		TEST_ASSERT(helper_read_counter(msis[i].counter) == before + 1, "MSI %u: %s", i,
			    msis[i].counter);
	}
}

/* What KVM_SIGNAL_MSI returns for them is what KVM returns. */
TEST_F(routing, errno_of_dead_msis)
{
	struct kvm_msi msi = { .address_lo = DOORBELL };

	TEST_ASSERT(__vm_ioctl(self->vm, KVM_SIGNAL_MSI, &msi) == -1 && errno == ENODEV, "no ITS");
	vgic_its_setup(self->vm);
	TEST_ASSERT(__vm_ioctl(self->vm, KVM_SIGNAL_MSI, &msi) == -1 && errno == EINVAL,
		    "no device ID");
	msi.flags = KVM_MSI_VALID_DEVID;
	TEST_ASSERT(__vm_ioctl(self->vm, KVM_SIGNAL_MSI, &msi) == -1 && errno == EBUSY,
		    "the ITS is off");
	msi.address_lo += SZ_1M;
	TEST_ASSERT(__vm_ioctl(self->vm, KVM_SIGNAL_MSI, &msi) == -1 && errno == EINVAL,
		    "no doorbell");
}

TEST_HARNESS_MAIN
