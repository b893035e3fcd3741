// SPDX-License-Identifier: GPL-2.0
/*
 * What the module shows of each VM that it handles, in files of debugfs: the
 * routes, and why interrupts by them are lost.  A VM that it does not handle has
 * no files.
 */
#include "irqroute_harness.h"
#include "kvm_util.h"
#include "irqroute.h"
#include "vm_files.h"

#define NR_IRQS		64
#define DIR_SIZE	256

#define ROUTE_COLUMNS	"gsi type destination event_id device_id remarks\n"
#define REMARK_COLUMNS	"gsi remark loses_interrupts reason\n"

FIXTURE(files)
{
	struct kvm_vm *vm;
	char dir[DIR_SIZE];
};

static void guest_code(void)
{
}

FIXTURE_SETUP(files)
{
	struct kvm_vcpu *vcpu;

	test_disable_default_vgic();
	self->vm = vm_create_with_one_vcpu(&vcpu, guest_code);
	if (!find_vm_dir(self->dir, sizeof(self->dir)))
		SKIP(return, "the module does not handle the VM");
}

FIXTURE_TEARDOWN(files)
{
	kvm_vm_free(self->vm);
}

TEST_F(files, routes_and_remarks)
{
	struct its_msi without_id = ITS_MSI(0, 0, 8);

	without_id.flags = 0;
	SET_ROUTES(self->vm,
		   pin_route(0, 0), pin_route(1, NR_IRQS - MIN_SPI - 1),
		   pin_route(2, NR_IRQS - MIN_SPI), msi_route(40, ITS_MSI(0, 3, 8)),
		   msi_route(41, without_id), msi_route(42, ITS_MSI(0, 0x10000, 8)));
	EXPECT_FILE("remarks", REMARK_COLUMNS
		    "0 no_spi yes the VM has 0 SPIs\n"
		    "1 no_spi yes the VM has 0 SPIs\n"
		    "2 no_spi yes the VM has 0 SPIs\n"
		    "40 no_its yes the VM has no ITS\n"
		    "41 no_its yes the VM has no ITS\n"
		    "42 no_its yes the VM has no ITS\n");

	kvm_device_attr_set(vgic_create(self->vm, 1, NR_IRQS), KVM_DEV_ARM_VGIC_GRP_CTRL,
			    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	vgic_its_setup(self->vm);
	SET_ROUTES(self->vm,
		   pin_route(0, 0), pin_route(1, NR_IRQS - MIN_SPI - 1),
		   pin_route(2, NR_IRQS - MIN_SPI), msi_route(40, ITS_MSI(0, 3, 8)),
		   msi_route(41, without_id), msi_route(42, ITS_MSI(0, 0x10000, 8)));
	EXPECT_FILE("routes", ROUTE_COLUMNS
		    "0 irqchip intid:32 - - -\n"
		    "1 irqchip intid:63 - - -\n"
		    "2 irqchip pin:32 - - no_spi\n"
		    "40 msi address:0x8010040 0x8 0x3 -\n"
		    "41 msi address:0x8010040 0x8 - no_device_id\n"
		    "42 msi address:0x8010040 0x8 0x10000 long_id\n");
	EXPECT_FILE("remarks", REMARK_COLUMNS
		    "2 no_spi yes the VM has 32 SPIs\n"
		    "41 no_device_id yes the MSI has no device ID\n"
		    "42 long_id yes an ID has more than 16 bits\n");
}

TEST_F(files, of_any_size)
{
	struct kvm_irq_routing_entry *routes = calloc(MAX_ROUTES, sizeof(*routes));
	char *text, *at;
	u32 i, lines = 0;

	TEST_ASSERT(routes, "Insufficient memory for a table");
	for (i = 0; i < MAX_ROUTES; i++)
		routes[i] = msi_route(i, ITS_MSI(0, 3, i));
	TEST_ASSERT_EQ(__set_routes(self->vm, routes, MAX_ROUTES, 0), 0);
	text = read_vm_file(self->dir, "routes");
	TEST_ASSERT(text, "Cannot read routes, errno %d", errno);
	for (at = text; (at = strchr(at, '\n')); at++)
		lines++;
	TEST_ASSERT_EQ(lines, 1 + MAX_ROUTES);
	TEST_ASSERT(strstr(text, "\n4095 msi address:0x8010040 0xfff 0x3 no_its\n"),
		    "The last route is not there");
	free(text);

	text = read_vm_file(self->dir, "remarks");
	TEST_ASSERT(text && strstr(text, "\n- table_full no there is no room for another route\n"),
		    "The table is full");
	free(text);
	free(routes);
}

int main(int argc, char *argv[])
{
	return test_harness_run(argc, argv);
}
