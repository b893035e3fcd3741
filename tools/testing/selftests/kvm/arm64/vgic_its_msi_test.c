// SPDX-License-Identifier: GPL-2.0
/*
 * What KVM_SIGNAL_MSI returns and whether the guest gets the LPI: the same whether
 * or not KVM has cached the translation of the MSI.
 *
 * A translation is cached by the first MSI that is delivered.
 */
#include <linux/sizes.h>
#include <sys/eventfd.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "gic.h"
#include "gic_v3.h"
#include "gic_v3_its.h"
#include "processor.h"
#include "ucall.h"
#include "vgic.h"

#define NR_VCPUS		2

/* Each device has NR_EVENTS events, and a collection, which starts on vCPU 0. */
#define NR_DEVICES	2
#define NR_EVENTS	2
#define NR_LPIS		(NR_DEVICES * NR_EVENTS)

#define MIN_LPI		8192
#define LPI(_device, _event)	(MIN_LPI + (_device) * NR_EVENTS + (_event))

#define LPI_PROP	(0xa0 | LPI_PROP_GROUP1 | LPI_PROP_ENABLED)

#define DOORBELL	(GITS_BASE_GPA + GITS_TRANSLATER)

#define GSI_A		40

/* What the guest has in memory for its GIC, 64K each. */
enum table {
	TABLE_DEVICES,
	TABLE_COLLECTIONS,
	TABLE_COMMANDS,
	TABLE_PROPERTIES,
	TABLE_PENDING,
	TABLE_ITT = TABLE_PENDING + NR_VCPUS,
	NR_TABLES = TABLE_ITT + NR_DEVICES,
};

#define TABLES_SLOT	1

enum op {
	OP_NONE,
	OP_ENABLE_LPIS,		/* on this vCPU */
	OP_DISABLE_LPIS,
	OP_ENABLE_ITS,
	OP_DISABLE_ITS,
	OP_MAPC,		/* of a collection to a vCPU */
	OP_UNMAPC,
};

/* What a vCPU does next, set by the host. */
static struct request {
	enum op op;
	u32 arg;
	u32 vcpu;
} request;

static gpa_t tables;
static u32 nr_taken[NR_VCPUS][NR_LPIS];

static gpa_t table(enum table t)
{
	return tables + t * SZ_64K;
}

static void *commands(void)
{
	return (void *)table(TABLE_COMMANDS);
}

static void guest_irq_handler(struct ex_regs *regs)
{
	u32 intid = gic_get_and_ack_irq();

	if (intid == IAR_SPURIOUS)
		return;

	GUEST_ASSERT(intid >= MIN_LPI && intid < MIN_LPI + NR_LPIS);
	nr_taken[guest_get_vcpuid()][intid - MIN_LPI]++;
	gic_set_eoi(intid);
}

static void guest_write_rdist_ctlr(u32 val)
{
	writel(val, GICR_BASE_GVA + guest_get_vcpuid() * GIC_V3_REDIST_SIZE + GICR_CTLR);
}

static void guest_write_its_ctlr(u32 val)
{
	writel(val, GITS_BASE_GVA + GITS_CTLR);
}

static void guest_enable_lpis(void)
{
	gic_rdist_enable_lpis(table(TABLE_PROPERTIES), SZ_64K,
			      table(TABLE_PENDING) + guest_get_vcpuid() * SZ_64K);
}

static void guest_setup_its(void)
{
	u32 device, event;

	its_init(table(TABLE_COLLECTIONS), SZ_64K, table(TABLE_DEVICES), SZ_64K,
		 table(TABLE_COMMANDS), SZ_64K);

	for (device = 0; device < NR_DEVICES; device++) {
		its_send_mapc_cmd(commands(), 0, device, true);
		its_send_mapd_cmd(commands(), device, table(TABLE_ITT) + device * SZ_64K,
				  SZ_64K, true);
		for (event = 0; event < NR_EVENTS; event++)
			its_send_mapti_cmd(commands(), device, event, device,
					   LPI(device, event));
		its_send_invall_cmd(commands(), device);
	}
	its_send_sync_cmd(commands(), 0);
}

static void guest_code(void)
{
	gic_init(GIC_V3, NR_VCPUS);
	if (guest_get_vcpuid() == 0) {
		guest_enable_lpis();
		guest_setup_its();
	}
	local_irq_enable();

	while (true) {
		GUEST_SYNC(0);

		switch (request.op) {
		case OP_ENABLE_LPIS:
			guest_enable_lpis();
			break;
		case OP_DISABLE_LPIS:
			guest_write_rdist_ctlr(0);
			break;
		case OP_ENABLE_ITS:
			guest_write_its_ctlr(GITS_CTLR_ENABLE);
			break;
		case OP_DISABLE_ITS:
			guest_write_its_ctlr(0);
			break;
		case OP_MAPC:
		case OP_UNMAPC:
			its_send_mapc_cmd(commands(), request.vcpu, request.arg,
					  request.op == OP_MAPC);
			its_send_sync_cmd(commands(), request.vcpu);
			break;
		case OP_NONE:
			break;
		}
	}
}

struct test {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[NR_VCPUS];
	int its_fd;
};

/* Until the guest has nothing to do. */
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

static void run_request(struct kvm_vcpu *vcpu, struct request r)
{
	request = r;
	sync_global_to_guest(vcpu->vm, request);
	run(vcpu);
	write_guest_global(vcpu->vm, request.op, OP_NONE);
}

#define RUN_REQUEST(_vcpu, ...)	run_request(_vcpu, (struct request) { __VA_ARGS__ })

static struct test test_create(void)
{
	const u64 size = NR_TABLES * SZ_64K;
	struct test t;
	u32 i;

	t.vm = vm_create_with_vcpus(NR_VCPUS, guest_code, t.vcpus);
	vm_init_descriptor_tables(t.vm);
	vm_install_exception_handler(t.vm, VECTOR_IRQ_CURRENT, guest_irq_handler);
	t.its_fd = vgic_its_setup(t.vm);

	tables = (vm_compute_max_gfn(t.vm) + 1) * t.vm->page_size - size;
	sync_global_to_guest(t.vm, tables);
	vm_userspace_mem_region_add(t.vm, VM_MEM_SRC_ANONYMOUS, tables, TABLES_SLOT,
				    size / t.vm->page_size, 0);
	virt_map(t.vm, table(TABLE_COMMANDS), table(TABLE_COMMANDS),
		 SZ_64K / t.vm->page_size);
	memset(addr_gpa2hva(t.vm, table(TABLE_PROPERTIES)), LPI_PROP, NR_LPIS);

	for (i = 0; i < NR_VCPUS; i++) {
		vcpu_init_descriptor_tables(t.vcpus[i]);
		run(t.vcpus[i]);
	}

	return t;
}

static void test_free(struct test *t)
{
	close(t->its_fd);
	kvm_vm_free(t->vm);
}

static struct kvm_msi msi(u32 device, u32 event)
{
	return (struct kvm_msi) {
		.address_lo = DOORBELL,
		.address_hi = DOORBELL >> 32,
		.data = event,
		.flags = KVM_MSI_VALID_DEVID,
		.devid = device,
	};
}

/* What KVM_SIGNAL_MSI returns, or the error, negative. */
static int signal_msi(struct test *t, struct kvm_msi m)
{
	int ret = __vm_ioctl(t->vm, KVM_SIGNAL_MSI, &m);

	return ret < 0 ? -errno : ret;
}

/* Have an irqfd raise the MSI, and be done with it. */
static void signal_msi_by_irqfd(struct test *t, struct kvm_msi m)
{
	struct kvm_irq_routing *routing;
	int fd = kvm_new_eventfd();

	routing = calloc(1, sizeof(*routing) + sizeof(routing->entries[0]));
	TEST_ASSERT(routing, "calloc() failed");
	routing->nr = 1;
	routing->entries[0] = (struct kvm_irq_routing_entry) {
		.gsi = GSI_A,
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = m.flags,
		.u.msi = {
			.address_lo = m.address_lo,
			.address_hi = m.address_hi,
			.data = m.data,
			.devid = m.devid,
		},
	};
	vm_ioctl(t->vm, KVM_SET_GSI_ROUTING, routing);
	free(routing);

	kvm_assign_irqfd(t->vm, GSI_A, fd);
	TEST_ASSERT_EQ(eventfd_write(fd, 1), 0);
	/* De-assigning completes what has not been injected yet. */
	kvm_deassign_irqfd(t->vm, GSI_A, fd);
	close(fd);
}

/* How often a vCPU has taken an LPI, after it has had the chance to. */
static u32 taken(struct test *t, u32 vcpu, u32 lpi)
{
	run(t->vcpus[vcpu]);
	sync_global_from_guest(t->vm, nr_taken);
	return nr_taken[vcpu][lpi - MIN_LPI];
}

/* An MSI without device ID is an error, not one from device 0. */

TEST(no_device_id)
{
	struct test t = test_create();
	struct kvm_msi no_devid = msi(0, 0);

	no_devid.flags = 0;

	TEST_ASSERT_EQ(signal_msi(&t, no_devid), -EINVAL);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 0);

	/* Now with a translation in the cache. */
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);
	TEST_ASSERT_EQ(signal_msi(&t, no_devid), -EINVAL);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);

	/* That of another device is no better. */
	no_devid.devid = 1;
	TEST_ASSERT_EQ(signal_msi(&t, msi(1, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(1, 0)), 1);
	TEST_ASSERT_EQ(signal_msi(&t, no_devid), -EINVAL);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(1, 0)), 1);
	test_free(&t);
}

TEST(no_device_id_irqfd)
{
	struct test t = test_create();
	struct kvm_msi no_devid = msi(0, 0);

	no_devid.flags = 0;

	signal_msi_by_irqfd(&t, no_devid);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 0);

	signal_msi_by_irqfd(&t, msi(0, 0));
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);
	signal_msi_by_irqfd(&t, no_devid);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);
	signal_msi_by_irqfd(&t, msi(0, 0));
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 2);
	test_free(&t);
}

TEST(wrong_doorbell)
{
	struct test t = test_create();
	struct kvm_msi m = msi(0, 0);

	m.address_lo = GICD_BASE_GPA;

	TEST_ASSERT_EQ(signal_msi(&t, m), -EINVAL);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(signal_msi(&t, m), -EINVAL);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);
	test_free(&t);
}

/* vCPU 1 has not enabled LPIs, and a collection is moved to it. */

TEST(mapc_to_vcpu_without_lpis)
{
	struct test t = test_create();

	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);

	RUN_REQUEST(t.vcpus[0], .op = OP_MAPC, .arg = 0, .vcpu = 1);

	/* Only the first one is cached. */
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 1)), -EBUSY);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), -EBUSY);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 1, LPI(0, 0)), 0);
	TEST_ASSERT_EQ(taken(&t, 1, LPI(0, 1)), 0);

	/* The other collection has stayed where it was. */
	TEST_ASSERT_EQ(signal_msi(&t, msi(1, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(1, 0)), 1);

	RUN_REQUEST(t.vcpus[0], .op = OP_MAPC, .arg = 0, .vcpu = 0);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 2);
	test_free(&t);
}

TEST(mapc_to_vcpu_without_lpis_irqfd)
{
	struct test t = test_create();

	signal_msi_by_irqfd(&t, msi(0, 0));
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);

	RUN_REQUEST(t.vcpus[0], .op = OP_MAPC, .arg = 0, .vcpu = 1);
	signal_msi_by_irqfd(&t, msi(0, 0));
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 1, LPI(0, 0)), 0);
	test_free(&t);
}

TEST(mapc_to_vcpu_with_lpis)
{
	struct test t = test_create();

	RUN_REQUEST(t.vcpus[1], .op = OP_ENABLE_LPIS);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);

	RUN_REQUEST(t.vcpus[0], .op = OP_MAPC, .arg = 0, .vcpu = 1);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 1)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 1, LPI(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 1, LPI(0, 1)), 1);
	test_free(&t);
}

/* What is switched off refuses MSIs, cached or not. */

TEST(lpis_disabled)
{
	struct test t = test_create();

	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);

	RUN_REQUEST(t.vcpus[0], .op = OP_DISABLE_LPIS);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), -EBUSY);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 1)), -EBUSY);

	RUN_REQUEST(t.vcpus[0], .op = OP_ENABLE_LPIS);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 2);
	test_free(&t);
}

TEST(its_disabled)
{
	struct test t = test_create();

	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 1);

	RUN_REQUEST(t.vcpus[0], .op = OP_DISABLE_ITS);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), -EBUSY);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 1)), -EBUSY);

	RUN_REQUEST(t.vcpus[0], .op = OP_ENABLE_ITS);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(taken(&t, 0, LPI(0, 0)), 2);
	test_free(&t);
}

/* What is not mapped is blocked, which is no error. */
TEST(not_mapped)
{
	struct test t = test_create();

	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 1);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, NR_EVENTS)), 0);
	TEST_ASSERT_EQ(signal_msi(&t, msi(NR_DEVICES, 0)), 0);

	RUN_REQUEST(t.vcpus[0], .op = OP_UNMAPC, .arg = 0, .vcpu = 0);
	TEST_ASSERT_EQ(signal_msi(&t, msi(0, 0)), 0);
	TEST_ASSERT_EQ(signal_msi(&t, msi(1, 0)), 1);
	test_free(&t);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_supports_vgic_v3());
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SIGNAL_MSI));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_IRQFD));

	return test_harness_run(argc, argv);
}
