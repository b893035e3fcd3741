// SPDX-License-Identifier: GPL-2.0
/*
 * What KVM_CAP_SPLIT_IRQCHIP accepts and when, and which routing tables a VM
 * with a split irqchip accepts.
 */
#include <errno.h>

#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24

static int enable_split(struct kvm_vm *vm, u64 nr_reserved_pins)
{
	return __vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, nr_reserved_pins) ? errno : 0;
}

static struct kvm_vm *vm_create_barebones_split(void)
{
	struct kvm_vm *vm = vm_create_barebones();

	TEST_ASSERT_EQ(enable_split(vm, NR_PINS), 0);
	return vm;
}

static int set_one_route(struct kvm_vm *vm, struct kvm_irq_routing_entry route)
{
	return __set_routes(vm, &route, 1, 0);
}

TEST(reserved_pins_range)
{
	static const struct {
		u64 nr_reserved_pins;
		int err;
	} cases[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ 24, 0 },
		{ 255, 0 },
		{ KVM_MAX_IRQ_ROUTES - 1, 0 },
		{ KVM_MAX_IRQ_ROUTES, 0 },
		{ KVM_MAX_IRQ_ROUTES + 1, EINVAL },
		{ BIT_ULL(32), EINVAL },
		{ ~0ull, EINVAL },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_vm *vm = vm_create_barebones();
		int err = enable_split(vm, cases[i].nr_reserved_pins);

		TEST_ASSERT(err == cases[i].err, "%lu reserved pins: errno %d, wanted %d",
			    cases[i].nr_reserved_pins, err, cases[i].err);
		kvm_vm_free(vm);
	}
}

TEST(refused_value_leaves_no_irqchip)
{
	struct kvm_vm *vm = vm_create_barebones();

	TEST_ASSERT_EQ(enable_split(vm, KVM_MAX_IRQ_ROUTES + 1), EINVAL);
	TEST_ASSERT_EQ(__set_routes(vm, NULL, 0, 0), EINVAL);
	TEST_ASSERT_EQ(enable_split(vm, KVM_MAX_IRQ_ROUTES), 0);
	TEST_ASSERT_EQ(__set_routes(vm, NULL, 0, 0), 0);
	kvm_vm_free(vm);
}

TEST(cap_flags_refused)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.flags = 1,
		.args = { NR_PINS },
	};
	struct kvm_vm *vm = vm_create_barebones();

	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_ENABLE_CAP, &cap), -1);
	TEST_ASSERT_EQ(errno, EINVAL);

	cap.flags = 0;
	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_ENABLE_CAP, &cap), 0);
	kvm_vm_free(vm);
}

TEST(twice_refused)
{
	struct kvm_vm *vm = vm_create_barebones_split();

	TEST_ASSERT_EQ(enable_split(vm, NR_PINS), EEXIST);
	kvm_vm_free(vm);
}

TEST(after_create_irqchip_refused)
{
	struct kvm_vm *vm = vm_create_barebones();

	vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	TEST_ASSERT_EQ(enable_split(vm, NR_PINS), EEXIST);

	/* The full irqchip is still there: it alone takes IRQCHIP routes. */
	TEST_ASSERT_EQ(set_one_route(vm, irqchip_route(0, KVM_IRQCHIP_IOAPIC, 0)), 0);
	kvm_vm_free(vm);
}

TEST(create_irqchip_after_split_refused)
{
	struct kvm_vm *vm = vm_create_barebones_split();

	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL), -1);
	TEST_ASSERT_EQ(errno, EEXIST);
	TEST_ASSERT_EQ(set_one_route(vm, irqchip_route(0, KVM_IRQCHIP_IOAPIC, 0)), EINVAL);
	kvm_vm_free(vm);
}

TEST(after_vcpu_refused)
{
	struct kvm_vm *vm = vm_create_barebones();

	__vm_vcpu_add(vm, 0);
	TEST_ASSERT_EQ(enable_split(vm, NR_PINS), EEXIST);
	kvm_vm_free(vm);
}

/* The range is checked before the state of the VM. */
TEST(bad_value_wins_over_existing_irqchip)
{
	struct kvm_vm *vm = vm_create_barebones_split();

	TEST_ASSERT_EQ(enable_split(vm, KVM_MAX_IRQ_ROUTES + 1), EINVAL);
	kvm_vm_free(vm);
}

TEST(no_irqchip_means_no_routing)
{
	struct kvm_vm *vm = vm_create_barebones();
	struct kvm_irq_level irq_level = { .irq = 0, .level = 1 };
	struct kvm_msi msi = { .address_lo = APIC_DEFAULT_GPA };

	TEST_ASSERT_EQ(set_one_route(vm, msi_route(0, EDGE_MSI(0, 0x31))), EINVAL);
	TEST_ASSERT_EQ(__set_routes(vm, NULL, 0, 0), EINVAL);

	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_SIGNAL_MSI, &msi), -1);
	TEST_ASSERT_EQ(errno, EINVAL);

	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_IRQ_LINE_STATUS, &irq_level), -1);
	TEST_ASSERT_EQ(errno, ENXIO);
	kvm_vm_free(vm);
}

TEST(irqchip_state_absent)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_vm *vm = vm_create_barebones_split();

	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_GET_IRQCHIP, &chip), -1);
	TEST_ASSERT_EQ(errno, ENXIO);
	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_SET_IRQCHIP, &chip), -1);
	TEST_ASSERT_EQ(errno, ENXIO);
	kvm_vm_free(vm);
}

TEST(irqchip_routes_refused)
{
	static const u32 irqchips[] = {
		KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC,
	};
	struct kvm_vm *vm = vm_create_barebones_split();
	int i, err;

	/* The reserved window makes no difference. */
	for (i = 0; i < ARRAY_SIZE(irqchips); i++) {
		err = set_one_route(vm, irqchip_route(0, irqchips[i], 0));
		TEST_ASSERT(err == EINVAL, "irqchip %u: errno %d", irqchips[i], err);

		err = set_one_route(vm, irqchip_route(NR_PINS, irqchips[i], 0));
		TEST_ASSERT(err == EINVAL, "irqchip %u: errno %d", irqchips[i], err);
	}
	kvm_vm_free(vm);
}

TEST(gsi_range)
{
	struct kvm_vm *vm = vm_create_barebones_split();
	static const struct {
		u32 gsi;
		int err;
	} cases[] = {
		{ 0, 0 },
		{ NR_PINS - 1, 0 },
		{ NR_PINS, 0 },
		{ KVM_MAX_IRQ_ROUTES - 1, 0 },
		{ KVM_MAX_IRQ_ROUTES, EINVAL },
		{ ~0u, EINVAL },
	};
	int i, err;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		err = set_one_route(vm, msi_route(cases[i].gsi, LEVEL_MSI(0, 0x31)));
		TEST_ASSERT(err == cases[i].err, "GSI %u: errno %d, wanted %d",
			    cases[i].gsi, err, cases[i].err);
	}
	kvm_vm_free(vm);
}

TEST(table_size)
{
	struct kvm_irq_routing_entry *routes;
	struct kvm_vm *vm = vm_create_barebones_split();
	u32 gsi;

	routes = calloc(KVM_MAX_IRQ_ROUTES, sizeof(*routes));
	TEST_ASSERT(routes, "Insufficient memory");
	for (gsi = 0; gsi < KVM_MAX_IRQ_ROUTES; gsi++)
		routes[gsi] = msi_route(gsi, EDGE_MSI(0, 0x31));

	TEST_ASSERT_EQ(__set_routes(vm, routes, 0, 0), 0);
	TEST_ASSERT_EQ(__set_routes(vm, routes, 1, 0), 0);
	TEST_ASSERT_EQ(__set_routes(vm, routes, KVM_MAX_IRQ_ROUTES - 1, 0), 0);
	TEST_ASSERT_EQ(__set_routes(vm, routes, KVM_MAX_IRQ_ROUTES, 0), 0);

	free(routes);
	kvm_vm_free(vm);
}

/*
 * Every GSI has a route in a table of the maximum size, so only one in which two
 * irqchips share a GSI can show that a larger one is refused for its size.
 */
TEST(table_size_limit)
{
	struct kvm_irq_routing_entry *routes;
	struct kvm_vm *vm = vm_create_barebones();
	u32 gsi;

	vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);

	routes = calloc(KVM_MAX_IRQ_ROUTES + 1, sizeof(*routes));
	TEST_ASSERT(routes, "Insufficient memory");
	routes[0] = irqchip_route(0, KVM_IRQCHIP_PIC_MASTER, 0);
	for (gsi = 0; gsi < KVM_MAX_IRQ_ROUTES; gsi++)
		routes[gsi + 1] = irqchip_route(gsi, KVM_IRQCHIP_IOAPIC, 0);

	TEST_ASSERT_EQ(__set_routes(vm, routes, KVM_MAX_IRQ_ROUTES, 0), 0);
	TEST_ASSERT_EQ(__set_routes(vm, routes, KVM_MAX_IRQ_ROUTES + 1, 0), EINVAL);
	TEST_ASSERT_EQ(__set_routes(vm, routes + 1, KVM_MAX_IRQ_ROUTES, 0), 0);

	free(routes);
	kvm_vm_free(vm);
}

TEST(table_flags_refused)
{
	struct kvm_irq_routing_entry route = msi_route(0, EDGE_MSI(0, 0x31));
	struct kvm_vm *vm = vm_create_barebones_split();
	int bit, err;

	for (bit = 0; bit < 32; bit++) {
		err = __set_routes(vm, &route, 1, BIT(bit));
		TEST_ASSERT(err == EINVAL, "table flag %d: errno %d", bit, err);
	}
	TEST_ASSERT_EQ(__set_routes(vm, &route, 1, 0), 0);
	kvm_vm_free(vm);
}

TEST(msi_route_flags)
{
	struct kvm_irq_routing_entry route = msi_route(0, EDGE_MSI(0, 0x31));
	struct kvm_vm *vm = vm_create_barebones_split();
	int bit, err, want;

	for (bit = 0; bit < 32; bit++) {
		route.flags = BIT(bit);
		want = route.flags == KVM_MSI_VALID_DEVID ? 0 : EINVAL;

		err = set_one_route(vm, route);
		TEST_ASSERT(err == want, "MSI route flag %d: errno %d, wanted %d",
			    bit, err, want);
	}
	route.flags = KVM_MSI_VALID_DEVID | BIT(1);
	TEST_ASSERT_EQ(set_one_route(vm, route), EINVAL);
	kvm_vm_free(vm);
}

TEST(sint_route_flags_refused)
{
	struct kvm_irq_routing_entry route = sint_route(0, 0, 2);
	struct kvm_vm *vm;
	int bit, err;

	if (!kvm_has_cap(KVM_CAP_HYPERV_SYNIC))
		SKIP(return, "KVM without Hyper-V emulation");

	vm = vm_create_barebones_split();
	for (bit = 0; bit < 32; bit++) {
		route.flags = BIT(bit);
		err = set_one_route(vm, route);
		TEST_ASSERT(err == EINVAL, "SINT route flag %d: errno %d", bit, err);
	}
	route.flags = 0;
	TEST_ASSERT_EQ(set_one_route(vm, route), 0);
	kvm_vm_free(vm);
}

/* x86 has no use for a device ID, and it is neither checked nor does it change the route. */
TEST(devid_accepted_and_ignored)
{
	struct kvm_irq_routing_entry route = msi_route(0, EDGE_MSI(0, 0x31));
	struct kvm_msi kvm_msi = {
		.address_lo = msi_address_lo(EDGE_MSI(0, 0x32)),
		.data = msi_data(EDGE_MSI(0, 0x32)),
		.flags = KVM_MSI_VALID_DEVID,
		.devid = 0xdeadbeef,
	};
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic);

	route.flags = KVM_MSI_VALID_DEVID;
	route.u.msi.devid = 0xdeadbeef;
	TEST_ASSERT_EQ(set_one_route(vm, route), 0);

	TEST_ASSERT_EQ(irq_line_status(vm, 0, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(0x31), NO_VECTORS);

	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_SIGNAL_MSI, &kvm_msi), 1);
	EXPECT_TAKE(&cpu, VECTORS(0x32), NO_VECTORS);

	kvm_msi.flags = KVM_MSI_VALID_DEVID << 1;
	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_SIGNAL_MSI, &kvm_msi), -1);
	TEST_ASSERT_EQ(errno, EINVAL);
	EXPECT_IDLE(&cpu);
	kvm_vm_free(vm);
}

/* In the compatibility format the high half of the address means nothing. */
TEST(msi_address_hi_reserved_bits)
{
	static const u32 bits[] = { 0, 1, 7, 8, 31 };
	struct kvm_irq_routing_entry route = msi_route(0, EDGE_MSI(0, 0x31));
	int i, err, want;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		struct kvm_vm *vm = vm_create_barebones_split();

		route.u.msi.address_hi = BIT(bits[i]);
		TEST_ASSERT_EQ(set_one_route(vm, route), 0);

		vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
		want = bits[i] < 8 ? EINVAL : 0;
		err = set_one_route(vm, route);
		TEST_ASSERT(err == want, "address_hi bit %u: errno %d, wanted %d",
			    bits[i], err, want);
		kvm_vm_free(vm);
	}
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQ_ROUTING));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));

	return test_harness_run(argc, argv);
}
