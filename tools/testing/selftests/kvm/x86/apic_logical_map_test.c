// SPDX-License-Identifier: GPL-2.0
/*
 * Logical destinations for which KVM's map of local APICs has too much: exactly those
 * APICs get an IRQ that accept its destination, and report its EOI.
 */
#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24
#define GSI		5
#define VECTOR_A	0x31

/* Sends an IRQ to logical destination @dest and sees which vCPUs take it, and report its EOI. */
static void check_dest(struct kvm_vm *vm, struct irq_cpu cpus[2], u32 dest, bool to_cpu0,
		       bool to_cpu1)
{
	const struct vectors a = VECTORS(VECTOR_A), none = NO_VECTORS;
	struct vectors by_cpu0 = to_cpu0 ? a : none, by_cpu1 = to_cpu1 ? a : none;
	int nr = to_cpu0 + to_cpu1;

	SET_ROUTES(vm, msi_route(GSI, LEVEL_MSI(dest, VECTOR_A, .logical = true)));
	/* That nobody accepts it is 0 with the map and -1 without. */
	TEST_ASSERT_EQ(max(irq_line_status(vm, GSI, 1), 0), nr);
	EXPECT_TAKE(&cpus[0], by_cpu0, by_cpu0);
	EXPECT_TAKE(&cpus[1], by_cpu1, by_cpu1);
}

FIXTURE(mixed_modes) {
	struct kvm_vm *vm;
	struct irq_cpu cpus[2];
};

/* One in x2APIC mode, and one in xAPIC mode that has no logical ID yet. */
FIXTURE_SETUP(mixed_modes)
{
	self->vm = vm_create_split(2, NR_PINS);
	irq_cpu_add(&self->cpus[0], self->vm, 0, guest_x2apic);
	irq_cpu_add(&self->cpus[1], self->vm, 1, guest_xapic);
}

FIXTURE_TEARDOWN(mixed_modes)
{
	kvm_vm_free(self->vm);
}

TEST_F(mixed_modes, xapic_without_logical_id)
{
	check_dest(self->vm, self->cpus, 0x1, true, false);
	check_dest(self->vm, self->cpus, 0x2, false, false);
	check_dest(self->vm, self->cpus, 0x3, true, false);
}

TEST_F(mixed_modes, xapic_without_logical_id_in_cluster_model)
{
	irq_cpu_apic_write(&self->cpus[1], APIC_DFR, APIC_DFR_CLUSTER);
	check_dest(self->vm, self->cpus, 0x1, true, false);
	check_dest(self->vm, self->cpus, 0x2, false, false);
	check_dest(self->vm, self->cpus, 0x3, true, false);
}

TEST_F(mixed_modes, xapic_with_logical_id)
{
	irq_cpu_apic_write(&self->cpus[1], APIC_LDR, SET_APIC_DEST_FIELD(0x4));
	check_dest(self->vm, self->cpus, 0x1, true, false);
	check_dest(self->vm, self->cpus, 0x2, false, false);
	check_dest(self->vm, self->cpus, 0x4, false, true);
	check_dest(self->vm, self->cpus, 0x5, true, true);
}

TEST_F(mixed_modes, xapic_disabled_by_software)
{
	irq_cpu_apic_write(&self->cpus[1], APIC_SPIV, 0xff);
	check_dest(self->vm, self->cpus, 0x1, true, false);
	check_dest(self->vm, self->cpus, 0x2, false, false);
	check_dest(self->vm, self->cpus, 0x3, true, false);
}

/* One of those that accept the destination gets it, whatever vector decides which one. */
TEST_F(mixed_modes, lowest_priority)
{
	u8 vector;

	irq_cpu_apic_write(&self->cpus[1], APIC_SPIV, 0xff);
	for (vector = VECTOR_A; vector < VECTOR_A + 4; vector++) {
		struct msi msi = EDGE_MSI(0x3, vector, .logical = true,
					  .delivery_mode = APIC_DM_LOWEST);

		TEST_ASSERT_EQ(signal_msi(self->vm, msi), 1);
		EXPECT_TAKE(&self->cpus[0], VECTORS(vector), NO_VECTORS);
		EXPECT_IDLE(&self->cpus[1]);
	}
}

/* Without the quirk, it is one for xAPICs only. */
TEST_F(mixed_modes, broadcast_without_quirk)
{
	vm_enable_cap(self->vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	check_dest(self->vm, self->cpus, XAPIC_BROADCAST, true, true);
	irq_cpu_start(&self->cpus[1], guest_x2apic);
	check_dest(self->vm, self->cpus, XAPIC_BROADCAST, true, true);
}

TEST_F(mixed_modes, broadcast)
{
	check_dest(self->vm, self->cpus, XAPIC_BROADCAST, true, true);
}

TEST_F(mixed_modes, both_in_x2apic_mode)
{
	irq_cpu_start(&self->cpus[1], guest_x2apic);
	check_dest(self->vm, self->cpus, 0x1, true, false);
	check_dest(self->vm, self->cpus, 0x2, false, true);
	check_dest(self->vm, self->cpus, 0x3, true, true);
}

/* Two xAPICs with DFRs of @dfrs and logical IDs 1 and 2. */
static struct kvm_vm *vm_create_xapics(struct irq_cpu cpus[2], const u32 dfrs[2])
{
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_xapic);
	u32 i;

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	for (i = 0; i < 2; i++) {
		irq_cpu_apic_write(&cpus[i], APIC_DFR, dfrs[i]);
		irq_cpu_apic_write(&cpus[i], APIC_LDR, SET_APIC_DEST_FIELD(1 << i));
	}
	return vm;
}

TEST(reserved_model)
{
	const u32 dfrs[] = { APIC_DFR_CLUSTER, APIC_DFR_RESERVED };
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_xapics(cpus, dfrs);

	check_dest(vm, cpus, 0x1, true, false);
	check_dest(vm, cpus, 0x2, false, false);
	check_dest(vm, cpus, 0x3, true, false);
	kvm_vm_free(vm);
}

TEST(high_bits_in_cluster_model)
{
	const u32 dfrs[] = { APIC_DFR_CLUSTER, APIC_DFR_CLUSTER };
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_xapics(cpus, dfrs);

	check_dest(vm, cpus, 0x3, true, true);
	check_dest(vm, cpus, 0x103, false, false);
	check_dest(vm, cpus, 0x80000003, false, false);
	kvm_vm_free(vm);
}

/* This model ignores them. */
TEST(high_bits_in_flat_model)
{
	const u32 dfrs[] = { APIC_DFR_FLAT, APIC_DFR_FLAT };
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_xapics(cpus, dfrs);

	check_dest(vm, cpus, 0x102, false, true);
	check_dest(vm, cpus, 0x80000001, true, false);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));

	return test_harness_run(argc, argv);
}
