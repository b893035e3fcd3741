// SPDX-License-Identifier: GPL-2.0
/*
 * Routes of a GSI to a synthetic interrupt source (SINT) of Hyper-V's SynIC: who
 * gets the IRQ, and which GSI hears of its EOI or EOM.
 *
 * The way back is observed with a resample irqfd, which needs the full irqchip:
 * KVM signals its resamplefd when the GSI is acknowledged.
 *
 * Some acknowledgements are left out, because KVM only ever adds to its map from
 * SINT to GSI, and only on an update: those of a SINT whose route is gone, and
 * those of a SynIC that was activated, or whose VP index changed, after the
 * routes were set.
 */
#include "irqroute_harness.h"
#include "synic.h"

/* In different priority classes, so that a later one interrupts an earlier one. */
#define VECTOR_A	0x31
#define VECTOR_B	0x42

#define GSI_A		40
#define GSI_B		41

/* A vCPU with a SynIC, and a device on GSI_A that hears of EOI and EOM. */
FIXTURE(sint_device)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm;
	struct resample_irqfd irqfd;
};

FIXTURE_SETUP(sint_device)
{
	self->vm = vm_create_synic(&self->cpu, 1);
	self->irqfd = resample_irqfd_new(self->vm, GSI_A);
}

FIXTURE_TEARDOWN(sint_device)
{
	resample_irqfd_free(&self->irqfd);
	kvm_vm_free(self->vm);
}

TEST(delivery_by_irq_line)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);

	set_sint(&cpu, 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));

	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	/* A SINT has no level: lowering it does nothing, raising it again does. */
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 0), -1);
	EXPECT_IDLE(&cpu);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	TEST_ASSERT_EQ(_kvm_irq_line(vm, GSI_A, 1), 0);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(delivery_by_irqfd)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	int i, eventfd = kvm_new_eventfd();

	set_sint(&cpu, 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	kvm_assign_irqfd(vm, GSI_A, eventfd);

	for (i = 0; i < 3; i++) {
		TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	}
	EXPECT_IDLE(&cpu);

	kvm_deassign_irqfd(vm, GSI_A, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	EXPECT_IDLE(&cpu);
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(sint_range)
{
	static const u32 sints[] = { 0, 1, 2, HV_NR_SINTS - 2, HV_NR_SINTS - 1 };
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, GSI_A);
	int i;

	for (i = 0; i < ARRAY_SIZE(sints); i++) {
		ksft_print_msg("SINT %u\n", sints[i]);
		set_sint(&cpu, sints[i], VECTOR_A + i);
		SET_ROUTES(vm, sint_route(GSI_A, 0, sints[i]));
		resample_irqfd_raise(&irqfd);
		EXPECT_TAKE(&cpu, VECTORS(VECTOR_A + i), NO_VECTORS);
		EXPECT_ACKS(&irqfd, 1);
	}
	resample_irqfd_free(&irqfd);
	kvm_vm_free(vm);
}

/* The SINT's register says which vector, not the route. */
TEST_F(sint_device, vector_follows_sint)
{
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 2));
	set_sint(&self->cpu, 2, VECTOR_A);
	resample_irqfd_raise(&self->irqfd);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);

	set_sint(&self->cpu, 2, VECTOR_B);
	resample_irqfd_raise(&self->irqfd);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_B), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);

	/* The old vector is no SINT's any more. */
	TEST_ASSERT_EQ(signal_msi(self->vm, EDGE_MSI(0, VECTOR_A)), 1);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 0);
}

TEST_F(sint_device, eoi_acks_gsi)
{
	set_sint(&self->cpu, 2, VECTOR_A);
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 2));

	resample_irqfd_raise(&self->irqfd);
	EXPECT_ACKS(&self->irqfd, 0);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	EXPECT_ACKS(&self->irqfd, 0);
	EXPECT_EOI(&self->cpu, NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);
	/* Nothing is in service any more. */
	EXPECT_EOI(&self->cpu, NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 0);

	/* Raised by line, it is acknowledged just the same. */
	TEST_ASSERT_EQ(irq_line_status(self->vm, GSI_A, 1), 1);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);
}

TEST_F(sint_device, eoi_by_hyperv_msr_acks_gsi)
{
	set_sint(&self->cpu, 2, VECTOR_A);
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 2));

	resample_irqfd_raise(&self->irqfd);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	irq_cpu_call(&self->cpu, guest_wrmsr, HV_X64_MSR_EOI, 0);
	EXPECT_ACKS(&self->irqfd, 1);
}

TEST_F(sint_device, eom_acks_gsi)
{
	set_sint(&self->cpu, 2, VECTOR_A);
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 2));

	resample_irqfd_raise(&self->irqfd);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	irq_cpu_call(&self->cpu, guest_eom, 0, 0);
	EXPECT_ACKS(&self->irqfd, 1);

	/* EOM ends no interrupt: the EOI comes on top. */
	EXPECT_EOI(&self->cpu, NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);
}

/* An auto-EOI SINT is never in service, so EOM is what acknowledges it. */
TEST_F(sint_device, auto_eoi_acks_at_eom)
{
	int i;

	set_sint(&self->cpu, 2, VECTOR_A | HV_SINT_AUTO_EOI);
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 2));

	/* The next one is taken without an EOI of the last one. */
	for (i = 0; i < 3; i++) {
		resample_irqfd_raise(&self->irqfd);
		EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	}
	EXPECT_EOI(&self->cpu, NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 0);
	irq_cpu_call(&self->cpu, guest_eom, 0, 0);
	EXPECT_ACKS(&self->irqfd, 1);

	/* Without auto-EOI, the next one waits. */
	set_sint(&self->cpu, 2, VECTOR_A);
	resample_irqfd_raise(&self->irqfd);
	EXPECT_HOLD(&self->cpu, VECTORS(VECTOR_A));
	resample_irqfd_raise(&self->irqfd);
	EXPECT_IDLE(&self->cpu);
	EXPECT_EOI(&self->cpu, NO_VECTORS);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 2);
}

/* EOI acknowledges the SINTs of the vector, EOM those of the vCPU. */
TEST(ack_reaches_right_gsis)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_synic(cpus, 2);
	struct resample_irqfd irqfd[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(irqfd); i++)
		irqfd[i] = resample_irqfd_new(vm, GSI_A + i);
	set_sint(&cpus[0], 2, VECTOR_A);
	set_sint(&cpus[0], 3, VECTOR_A);
	set_sint(&cpus[0], 4, VECTOR_B);
	set_sint(&cpus[1], 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2),
		   sint_route(GSI_A + 1, 0, 3),
		   sint_route(GSI_A + 2, 0, 4),
		   sint_route(GSI_A + 3, 1, 2));

	resample_irqfd_raise(&irqfd[2]);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_B), NO_VECTORS);
	EXPECT_ACKS(&irqfd[0], 0);
	EXPECT_ACKS(&irqfd[1], 0);
	EXPECT_ACKS(&irqfd[2], 1);
	EXPECT_ACKS(&irqfd[3], 0);

	/* Two SINTs with one vector cannot be told apart by EOI. */
	resample_irqfd_raise(&irqfd[0]);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&irqfd[0], 1);
	EXPECT_ACKS(&irqfd[1], 1);
	EXPECT_ACKS(&irqfd[2], 0);
	EXPECT_ACKS(&irqfd[3], 0);

	irq_cpu_call(&cpus[0], guest_eom, 0, 0);
	EXPECT_ACKS(&irqfd[0], 1);
	EXPECT_ACKS(&irqfd[1], 1);
	EXPECT_ACKS(&irqfd[2], 1);
	EXPECT_ACKS(&irqfd[3], 0);

	irq_cpu_call(&cpus[1], guest_eom, 0, 0);
	EXPECT_ACKS(&irqfd[0], 0);
	EXPECT_ACKS(&irqfd[1], 0);
	EXPECT_ACKS(&irqfd[2], 0);
	EXPECT_ACKS(&irqfd[3], 1);

	for (i = 0; i < ARRAY_SIZE(irqfd); i++)
		resample_irqfd_free(&irqfd[i]);
	kvm_vm_free(vm);
}

TEST_F(sint_device, no_ack_after_deassign)
{
	set_sint(&self->cpu, 2, VECTOR_A);
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 2));

	resample_irqfd_ioctl(&self->irqfd, KVM_IRQFD_FLAG_DEASSIGN);
	TEST_ASSERT_EQ(irq_line_status(self->vm, GSI_A, 1), 1);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), NO_VECTORS);
	irq_cpu_call(&self->cpu, guest_eom, 0, 0);
	EXPECT_ACKS(&self->irqfd, 0);
}

TEST(sint_moved_to_gsi)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd irqfd_a = resample_irqfd_new(vm, GSI_A);
	struct resample_irqfd irqfd_b = resample_irqfd_new(vm, GSI_B);

	set_sint(&cpu, 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	resample_irqfd_raise(&irqfd_a);
	EXPECT_HOLD(&cpu, VECTORS(VECTOR_A));

	/* The EOI goes where the SINT's route is now. */
	SET_ROUTES(vm, sint_route(GSI_B, 0, 2));
	EXPECT_EOI(&cpu, NO_VECTORS);
	EXPECT_ACKS(&irqfd_a, 0);
	EXPECT_ACKS(&irqfd_b, 1);

	resample_irqfd_raise(&irqfd_a);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), -1);
	EXPECT_IDLE(&cpu);
	resample_irqfd_raise(&irqfd_b);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	irq_cpu_call(&cpu, guest_eom, 0, 0);
	EXPECT_ACKS(&irqfd_a, 0);
	EXPECT_ACKS(&irqfd_b, 2);
	resample_irqfd_free(&irqfd_a);
	resample_irqfd_free(&irqfd_b);
	kvm_vm_free(vm);
}

TEST_F(sint_device, gsi_moved_to_sint)
{
	set_sint(&self->cpu, 2, VECTOR_A);
	set_sint(&self->cpu, 3, VECTOR_B);
	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 2));
	resample_irqfd_raise(&self->irqfd);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);

	SET_ROUTES(self->vm, sint_route(GSI_A, 0, 3));
	resample_irqfd_raise(&self->irqfd);
	EXPECT_TAKE(&self->cpu, VECTORS(VECTOR_B), NO_VECTORS);
	EXPECT_ACKS(&self->irqfd, 1);
}

TEST(gsi_moved_to_vcpu)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create_synic(cpus, 2);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, GSI_A);
	int i;

	set_sint(&cpus[0], 2, VECTOR_A);
	set_sint(&cpus[1], 2, VECTOR_B);

	for (i = 0; i < 4; i++) {
		SET_ROUTES(vm, sint_route(GSI_A, i & 1, 2));
		resample_irqfd_raise(&irqfd);
		EXPECT_IDLE(&cpus[!(i & 1)]);
		EXPECT_TAKE(&cpus[i & 1], VECTORS(i & 1 ? VECTOR_B : VECTOR_A), NO_VECTORS);
		EXPECT_ACKS(&irqfd, 1);
	}
	resample_irqfd_free(&irqfd);
	kvm_vm_free(vm);
}

TEST(gsi_moved_to_msi)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	int eventfd = kvm_new_eventfd();

	set_sint(&cpu, 2, VECTOR_A);
	kvm_assign_irqfd(vm, GSI_A, eventfd);

	SET_ROUTES(vm, msi_route(GSI_A, EDGE_MSI(0, VECTOR_B)));
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);

	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	SET_ROUTES(vm, msi_route(GSI_A, EDGE_MSI(0, VECTOR_B)));
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), NO_VECTORS);
	close(eventfd);
	kvm_vm_free(vm);
}

TEST(removed)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, GSI_A);

	set_sint(&cpu, 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	SET_ROUTES(vm, sint_route(GSI_B, 0, 3));

	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), -1);
	resample_irqfd_raise(&irqfd);
	/* De-assigning completes what has not been injected yet. */
	resample_irqfd_free(&irqfd);
	EXPECT_IDLE(&cpu);

	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

/* A route names the VP index, which need not be the number of the vCPU. */
static void check_vp_indexes(u32 vp_index_0, u32 vp_index_1)
{
	const u32 vp_indexes[2] = { vp_index_0, vp_index_1 };
	struct resample_irqfd irqfd[2];
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create(2);
	int i;

	ksft_print_msg("VP indexes %u and %u\n", vp_index_0, vp_index_1);

	for (i = 0; i < 2; i++) {
		synic_cpu_add(&cpus[i], vm, i, vp_indexes[i]);
		set_sint(&cpus[i], 2, VECTOR_A);
		irqfd[i] = resample_irqfd_new(vm, GSI_A + i);
	}
	SET_ROUTES(vm, sint_route(GSI_A, vp_indexes[0], 2),
		   sint_route(GSI_A + 1, vp_indexes[1], 2));

	for (i = 0; i < 2; i++) {
		resample_irqfd_raise(&irqfd[i]);
		EXPECT_IDLE(&cpus[!i]);
		EXPECT_TAKE(&cpus[i], VECTORS(VECTOR_A), NO_VECTORS);
		EXPECT_ACKS(&irqfd[i], 1);
		EXPECT_ACKS(&irqfd[!i], 0);
		irq_cpu_call(&cpus[i], guest_eom, 0, 0);
		EXPECT_ACKS(&irqfd[i], 1);
		EXPECT_ACKS(&irqfd[!i], 0);
	}

	for (i = 0; i < 2; i++)
		resample_irqfd_free(&irqfd[i]);
	kvm_vm_free(vm);
}

TEST(vp_index_is_vcpu_index)
{
	check_vp_indexes(0, 1);
}

TEST(vp_indexes_swapped)
{
	check_vp_indexes(1, 0);
}

TEST(vp_indexes_far_from_vcpu_index)
{
	check_vp_indexes(5, kvm_check_cap(KVM_CAP_MAX_VCPUS) - 1);
}

/* Nobody has VP index 0 any more. */
TEST(vp_index_left_behind)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create(1);

	synic_cpu_add(&cpu, vm, 0, 1);
	set_sint(&cpu, 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2), sint_route(GSI_B, 1, 2));

	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), -1);
	EXPECT_IDLE(&cpu);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_B, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	/* The VP index counts when the IRQ is sent. */
	vcpu_set_msr(cpu.vcpu, HV_X64_MSR_VP_INDEX, 0);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_B, 1), -1);
	EXPECT_IDLE(&cpu);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

/*
 * Routes that cannot deliver.  KVM accepts each of them, KVM_IRQ_LINE succeeds
 * and delivers nothing, and the other routes of the table work.
 */
static void check_undeliverable(struct kvm_vm *vm, struct irq_cpu *cpu, const char *name,
				struct kvm_irq_routing_entry bad, u32 good_vp_index)
{
	int status, eventfd = kvm_new_eventfd();

	ksft_print_msg("%s\n", name);
	set_sint(cpu, 2, VECTOR_A);
	SET_ROUTES(vm, bad, sint_route(GSI_B, good_vp_index, 2));

	TEST_ASSERT_EQ(_kvm_irq_line(vm, bad.gsi, 1), 0);
	status = irq_line_status(vm, bad.gsi, 1);
	TEST_ASSERT(status == -1, "%s: status %d", name, status);
	kvm_assign_irqfd(vm, bad.gsi, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	kvm_deassign_irqfd(vm, bad.gsi, eventfd);
	close(eventfd);
	EXPECT_IDLE(cpu);

	TEST_ASSERT_EQ(irq_line_status(vm, GSI_B, 1), 1);
	EXPECT_TAKE(cpu, VECTORS(VECTOR_A), NO_VECTORS);
}

TEST(undeliverable_sint)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);

	check_undeliverable(vm, &cpu, "masked from the start", sint_route(GSI_A, 0, 3), 0);
	check_undeliverable(vm, &cpu, "first SINT too high",
			    sint_route(GSI_A, 0, HV_NR_SINTS), 0);
	check_undeliverable(vm, &cpu, "second SINT too high",
			    sint_route(GSI_A, 0, HV_NR_SINTS + 1), 0);
	check_undeliverable(vm, &cpu, "SINT 2 + 2^8", sint_route(GSI_A, 0, 0x102), 0);
	check_undeliverable(vm, &cpu, "SINT 2 + 2^31", sint_route(GSI_A, 0, 0x80000002), 0);
	check_undeliverable(vm, &cpu, "last SINT", sint_route(GSI_A, 0, ~0u), 0);
	kvm_vm_free(vm);
}

TEST(masking)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);

	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	set_sint(&cpu, 2, VECTOR_A);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	set_sint(&cpu, 2, VECTOR_A | HV_SINT_MASKED);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), -1);
	EXPECT_IDLE(&cpu);

	/* It is not kept for later. */
	set_sint(&cpu, 2, VECTOR_A);
	EXPECT_IDLE(&cpu);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_vm_free(vm);
}

TEST(undeliverable_vp_index)
{
	const u32 max_vcpus = kvm_check_cap(KVM_CAP_MAX_VCPUS);
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);

	check_undeliverable(vm, &cpu, "first unknown", sint_route(GSI_A, 1, 2), 0);
	check_undeliverable(vm, &cpu, "last in range", sint_route(GSI_A, max_vcpus - 1, 2), 0);
	check_undeliverable(vm, &cpu, "first out of range", sint_route(GSI_A, max_vcpus, 2), 0);
	check_undeliverable(vm, &cpu, "0 + 2^16", sint_route(GSI_A, 0x10000, 2), 0);
	check_undeliverable(vm, &cpu, "last", sint_route(GSI_A, ~0u, 2), 0);
	kvm_vm_free(vm);
}

TEST(no_hyperv_context)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create(2);

	irq_cpu_add(&cpus[0], vm, 0, guest_x2apic);
	synic_cpu_add(&cpus[1], vm, 1, 1);
	check_undeliverable(vm, &cpus[1], "vCPU without Hyper-V", sint_route(GSI_A, 0, 2), 1);
	EXPECT_IDLE(&cpus[0]);
	kvm_vm_free(vm);
}

TEST(no_hyperv_context_at_all)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create(1);

	/* Nor any vCPU. */
	SET_ROUTES(vm, sint_route(GSI_A, 0, 2));
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), -1);

	irq_cpu_add(&cpu, vm, 0, guest_x2apic);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), -1);
	EXPECT_IDLE(&cpu);
	kvm_vm_free(vm);
}

TEST(inactive_synic)
{
	struct irq_cpu cpus[2];
	struct kvm_vm *vm = vm_create(2);

	irq_cpu_create(&cpus[0], vm, 0);
	vcpu_set_hv_cpuid(cpus[0].vcpu);
	irq_cpu_start(&cpus[0], guest_x2apic);
	synic_cpu_add(&cpus[1], vm, 1, 1);
	/* All that the host may write to an inactive SynIC is 0, which unmasks. */
	set_sint(&cpus[0], 3, 0);
	check_undeliverable(vm, &cpus[1], "not active, unmasked", sint_route(GSI_A, 0, 3), 1);
	check_undeliverable(vm, &cpus[1], "not active, masked", sint_route(GSI_A, 0, 2), 1);
	EXPECT_IDLE(&cpus[0]);

	/* Once active, the same route delivers. */
	vcpu_enable_cap(cpus[0].vcpu, KVM_CAP_HYPERV_SYNIC2, 0);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), -1);
	set_sint(&cpus[0], 2, VECTOR_B);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_A, 1), 1);
	EXPECT_TAKE(&cpus[0], VECTORS(VECTOR_B), NO_VECTORS);
	kvm_vm_free(vm);
}

/* Routes of all kinds in one table. */
TEST(mixed_table)
{
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	struct resample_irqfd irqfd = resample_irqfd_new(vm, 10);

	set_sint(&cpu, 2, VECTOR_A);
	SET_ROUTES(vm, irqchip_route(4, KVM_IRQCHIP_IOAPIC, 4),
		   sint_route(10, 0, 2),
		   irqchip_route(11, KVM_IRQCHIP_PIC_SLAVE, 3),
		   irqchip_route(11, KVM_IRQCHIP_IOAPIC, 11),
		   msi_route(GSI_B, EDGE_MSI(0, VECTOR_B)));

	resample_irqfd_raise(&irqfd);
	TEST_ASSERT_EQ(irq_line_status(vm, GSI_B, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B, VECTOR_A), NO_VECTORS);
	EXPECT_ACKS(&irqfd, 1);
	resample_irqfd_free(&irqfd);
	kvm_vm_free(vm);
}

/* A SINT in the reserved window is no pin of an IOAPIC, so its EOI is not reported. */
TEST(split_irqchip)
{
	struct kvm_vm *vm = vm_create_split(1, 24);
	int eventfd = kvm_new_eventfd();
	struct irq_cpu cpu;

	synic_cpu_add(&cpu, vm, 0, 0);
	set_sint(&cpu, 2, VECTOR_A);
	SET_ROUTES(vm, sint_route(5, 0, 2), msi_route(6, LEVEL_MSI(0, VECTOR_B)));

	TEST_ASSERT_EQ(irq_line_status(vm, 5, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);
	kvm_assign_irqfd(vm, 5, eventfd);
	TEST_ASSERT_EQ(eventfd_write(eventfd, 1), 0);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_A), NO_VECTORS);

	TEST_ASSERT_EQ(irq_line_status(vm, 6, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), VECTORS(VECTOR_B));

	/* A vector may be a SINT's and a pin's: its EOI is for both. */
	set_sint(&cpu, 3, VECTOR_B);
	TEST_ASSERT_EQ(irq_line_status(vm, 6, 1), 1);
	EXPECT_TAKE(&cpu, VECTORS(VECTOR_B), VECTORS(VECTOR_B));
	close(eventfd);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_VP_INDEX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SYS_HYPERV_CPUID));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD_RESAMPLE));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SIGNAL_MSI));

	return test_harness_run(argc, argv);
}
