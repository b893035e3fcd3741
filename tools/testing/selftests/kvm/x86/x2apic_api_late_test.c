// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_CAP_X2APIC_API after routes were set and vCPUs have looked at them: from
 * then on the EOIs that are reported are those of the new reading of the routes.
 */
#include "irqroute.h"
#include "irqroute_harness.h"

#define NR_PINS		24
#define VECTOR_A	0x31

/* Bits 7:0 of the APIC ID are those of vCPU 0. */
#define HIGH_ID		0x100

/* vCPU 0 in x2APIC mode, with a level route to @dest, which it has looked at. */
static struct kvm_vm *vm_create_with_route(struct irq_cpu *cpu, u32 dest)
{
	struct kvm_vm *vm = vm_create_split_with_cpus(cpu, 1, NR_PINS, guest_x2apic);

	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(dest, VECTOR_A)));
	EXPECT_IDLE(cpu);
	return vm;
}

/*
 * An IRQ that only its EOI tells from one by the route.  The vCPU runs before, as
 * it takes what is pending when it looks at the routes for an IRQ by older ones.
 */
static void expect_eoi_exits(struct kvm_vm *vm, struct irq_cpu *cpu, struct vectors eoi_exits)
{
	EXPECT_IDLE(cpu);
	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(cpu->vcpu->id, VECTOR_A)), 1);
	EXPECT_TAKE(cpu, VECTORS(VECTOR_A), eoi_exits);
}

TEST(without_the_cap)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_with_route(&cpu, HIGH_ID);

	expect_eoi_exits(vm, &cpu, VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

TEST(flags_0_change_nothing)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_with_route(&cpu, HIGH_ID);

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, 0);
	expect_eoi_exits(vm, &cpu, VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

TEST(ids_of_32_bits_take_the_route_away)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_with_route(&cpu, HIGH_ID);

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	expect_eoi_exits(vm, &cpu, NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(ids_of_32_bits_give_the_route)
{
	struct kvm_vm *vm = vm_create_split(2, NR_PINS);
	struct irq_cpu low, high;

	irq_cpu_add(&low, vm, 0, guest_x2apic);
	irq_cpu_add(&high, vm, HIGH_ID, guest_x2apic);
	SET_ROUTES(vm, msi_route(5, LEVEL_MSI(HIGH_ID, VECTOR_A)));
	expect_eoi_exits(vm, &low, VECTORS(VECTOR_A));
	EXPECT_IDLE(&high);

	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	expect_eoi_exits(vm, &high, VECTORS(VECTOR_A));
	expect_eoi_exits(vm, &low, NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(no_quirk_takes_the_broadcast_away)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_with_route(&cpu, XAPIC_BROADCAST);

	expect_eoi_exits(vm, &cpu, VECTORS(VECTOR_A));
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	expect_eoi_exits(vm, &cpu, NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(both_flags)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_with_route(&cpu, X2APIC_BROADCAST);

	/* 0xff until its higher bits count, which make it a broadcast again. */
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	expect_eoi_exits(vm, &cpu, NO_VECTORS);
	vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	expect_eoi_exits(vm, &cpu, VECTORS(VECTOR_A));
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X2APIC_API));

	return test_harness_run(argc, argv);
}
