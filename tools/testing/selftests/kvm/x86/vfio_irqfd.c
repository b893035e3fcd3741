// SPDX-License-Identifier: GPL-2.0
/*
 * The MSI of a real device, all the way: the guest writes to a register of QEMU's "edu" device,
 * which raises its MSI, for which vfio-pci signals an eventfd, whose irqfd has a route to a vCPU.
 *
 * There is no IOMMU, so that no host could post the MSI.  KVM tries it if it is told to, and says
 * that it has failed.
 */
#include <dirent.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "helper.h"
#include "irq_producer_load.h"
#include "irqroute.h"
#include "irqroute_harness.h"
#include "vfio_attrs.h"
#include "vfio_file_load.h"

#define NR_PINS		24
#define NR_VCPUS	2
#define VECTOR_A	0x31
#define VECTOR_B	0x42

/* A pin, such that the EOI of a level-triggered IRQ is reported. */
#define GSI		5

#define PCI_DEVICES	"/sys/bus/pci/devices/"
#define VFIO_PCI	"/sys/bus/pci/drivers/vfio-pci/"
#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8

/* Registers of BAR 0. */
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_RAISE	0x60
#define EDU_IRQ_ACK	0x64

/* Where the guest has them, and in which slot. */
#define BAR_GPA		0xd0000000ull
#define BAR_SLOT	10

/* Whether this host tries to post IRQs, for tests. */
static bool host_tries;

struct edu {
	char bdf[16];
	int container;
	int group;
	int fd;
	int eventfd;
	void *bar;
	u64 bar_size;
};

static bool write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	return file && fputs(text, file) >= 0 && !fclose(file);
}

/* Finds the device; returns whether there is one. */
static bool find_edu(char *bdf, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(PCI_DEVICES);
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), PCI_DEVICES "%s/vendor", entry->d_name);
		if (read_number(path, "%lx") != EDU_VENDOR)
			continue;
		snprintf(path, sizeof(path), PCI_DEVICES "%s/device", entry->d_name);
		found = read_number(path, "%lx") == EDU_DEVICE;
		if (found)
			snprintf(bdf, size, "%.15s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Has vfio-pci bind to the device, which is to do without an IOMMU. */
static bool bind_edu(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), VFIO_PCI "%s", bdf);
	if (!access(path, F_OK))
		return true;
	if (!write_text("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y"))
		return false;
	snprintf(path, sizeof(path), PCI_DEVICES "%s/driver_override", bdf);
	if (!write_text(path, "vfio-pci"))
		return false;
	return write_text("/sys/bus/pci/drivers_probe", bdf);
}

static struct vfio_region_info edu_region(struct edu *edu, u32 index)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };

	TEST_ASSERT_EQ(ioctl(edu->fd, VFIO_DEVICE_GET_REGION_INFO, &region), 0);
	return region;
}

static u32 edu_read(struct edu *edu, u32 offset)
{
	return READ_ONCE(*(u32 *)(edu->bar + offset));
}

static void edu_write(struct edu *edu, u32 offset, u32 value)
{
	WRITE_ONCE(*(u32 *)(edu->bar + offset), value);
}

static struct edu edu_open(const char *bdf)
{
	const u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	char device[PATH_MAX];
	struct vfio_region_info config, bar;
	struct edu edu = {};

	snprintf(edu.bdf, sizeof(edu.bdf), "%s", bdf);
	edu.container = open("/dev/vfio/vfio", O_RDWR);
	TEST_ASSERT(edu.container >= 0, "Cannot open a container");
	snprintf(device, sizeof(device), PCI_DEVICES "%s", bdf);
	edu.group = vfio_group_open(device, "noiommu-");
	TEST_ASSERT_EQ(ioctl(edu.group, VFIO_GROUP_SET_CONTAINER, &edu.container), 0);
	TEST_ASSERT_EQ(ioctl(edu.container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), 0);
	edu.fd = ioctl(edu.group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	TEST_ASSERT(edu.fd >= 0, "Cannot open %s", bdf);

	config = edu_region(&edu, VFIO_PCI_CONFIG_REGION_INDEX);
	TEST_ASSERT_EQ(pwrite(edu.fd, &command, sizeof(command), config.offset + PCI_COMMAND),
		       sizeof(command));
	bar = edu_region(&edu, VFIO_PCI_BAR0_REGION_INDEX);
	edu.bar_size = bar.size;
	edu.bar = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, edu.fd, bar.offset);
	TEST_ASSERT(edu.bar != MAP_FAILED, "Cannot map the registers");
	/* Whoever had it before may have left it like that. */
	edu_write(&edu, EDU_IRQ_ACK, ~0u);
	edu.eventfd = kvm_new_eventfd();
	return edu;
}

static void edu_close(struct edu *edu)
{
	munmap(edu->bar, edu->bar_size);
	close(edu->fd);
	close(edu->group);
	close(edu->container);
	close(edu->eventfd);
}

/* Connects the MSI to @eventfd, or with -1 to none; then it is not enabled. */
static void edu_set_irq(struct edu *edu, int eventfd)
{
	struct {
		struct vfio_irq_set set;
		s32 eventfd;
	} irq = {
		.set.argsz = sizeof(irq),
		.set.index = VFIO_PCI_MSI_IRQ_INDEX,
		.set.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD,
		.set.count = 1,
		.eventfd = eventfd,
	};

	if (eventfd < 0) {
		irq.set.argsz = sizeof(irq.set);
		irq.set.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE;
		irq.set.count = 0;
	}
	TEST_ASSERT_EQ(ioctl(edu->fd, VFIO_DEVICE_SET_IRQS, &irq), 0);
}

/* How often the host has taken the MSI, since it was connected. */
static u64 edu_nr_irqs(struct edu *edu)
{
	char line[4096], *p, *end;
	u64 nr = 0, count;
	FILE *file = fopen("/proc/interrupts", "r");

	TEST_ASSERT(file, "Cannot open /proc/interrupts");
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, "vfio-msi") || !strstr(line, edu->bdf))
			continue;
		p = strchr(line, ':') + 1;
		while (count = strtoull(p, &end, 10), end != p && *end == ' ') {
			nr += count;
			p = end;
		}
	}
	fclose(file);
	return nr;
}

/* The guest's. */
static void guest_raise(u64 value, u64 unused)
{
	WRITE_ONCE(*(u32 *)(BAR_GPA + EDU_IRQ_RAISE), value);
}

static void guest_ack(u64 value, u64 unused)
{
	WRITE_ONCE(*(u32 *)(BAR_GPA + EDU_IRQ_ACK), value);
}

/* Has the guest raise the MSI, and waits until the host has begun to handle it. */
static void raise_irq(struct irq_cpu *cpu, struct edu *edu)
{
	u64 before = edu_nr_irqs(edu);

	irq_cpu_call(cpu, guest_raise, 1, 0);
	while (edu_nr_irqs(edu) == before)
		sched_yield();
}

static void expect_irq(struct irq_cpu *cpu, u8 vector, struct vectors eoi_exits,
		       const char *file, int line)
{
	struct vectors taken = VECTORS(vector);

	do {
		irq_cpu_call(cpu, guest_take, 0, 0);
	} while (!cpu->guest->taken.nr);
	expect_vectors("IRQs taken", &cpu->guest->taken, &taken, cpu->vcpu->id, file, line);
	expect_vectors("EOI exits", &cpu->eoi_exits, &eoi_exits, cpu->vcpu->id, file, line);
}

/* The guest takes an IRQ as soon as it is there, and these of its EOIs are reported. */
#define EXPECT_IRQ(_cpu, _vector, _exits)	\
	expect_irq(_cpu, _vector, _exits, __FILE__, __LINE__)

FIXTURE(vfio_irqfd) {
	struct kvm_vm *vm;
	struct irq_cpu cpus[NR_VCPUS];
	struct edu edu;
	int vfio;	/* the kvm-vfio device */
};

FIXTURE_SETUP(vfio_irqfd)
{
	char bdf[16];

	TEST_ASSERT(find_edu(bdf, sizeof(bdf)), "The device has gone");
	self->edu = edu_open(bdf);
	self->vm = vm_create_split_with_cpus(self->cpus, NR_VCPUS, NR_PINS, guest_xapic);
	vm_set_user_memory_region(self->vm, BAR_SLOT, 0, BAR_GPA, self->edu.bar_size,
				  self->edu.bar);
	virt_map(self->vm, BAR_GPA, BAR_GPA, 1);
	self->vfio = kvm_create_device(self->vm, KVM_DEV_TYPE_VFIO);
	TEST_ASSERT_EQ(add_file(self->vfio, self->edu.group), 0);
	kvm_assign_irqfd(self->vm, GSI, self->edu.eventfd);
	edu_set_irq(&self->edu, self->edu.eventfd);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
}

FIXTURE_TEARDOWN(vfio_irqfd)
{
	edu_close(&self->edu);
	if (!self->vm)
		return;
	close(self->vfio);
	kvm_vm_free(self->vm);
}

static void expect_idle(struct irq_cpu *cpus)
{
	u32 i;

	for (i = 0; i < NR_VCPUS; i++)
		EXPECT_IDLE(&cpus[i]);
}

TEST_F(vfio_irqfd, guest_raises)
{
	u32 i;

	expect_idle(self->cpus);
	TEST_ASSERT_EQ(edu_read(&self->edu, EDU_IRQ_STATUS), 0);
	for (i = 0; i < 3; i++) {
		raise_irq(&self->cpus[0], &self->edu);
		TEST_ASSERT_EQ(edu_read(&self->edu, EDU_IRQ_STATUS), 1);
		EXPECT_IRQ(&self->cpus[1], VECTOR_A, NO_VECTORS);
		irq_cpu_call(&self->cpus[1], guest_ack, 1, 0);
		TEST_ASSERT_EQ(edu_read(&self->edu, EDU_IRQ_STATUS), 0);
	}
	expect_idle(self->cpus);
}

TEST_F(vfio_irqfd, follows_its_route)
{
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[0], VECTOR_A, NO_VECTORS);

	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_B)));
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[1], VECTOR_B, NO_VECTORS);

	SET_ROUTES(self->vm, msi_route(GSI, LEVEL_MSI(1, VECTOR_A)));
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[1], VECTOR_A, VECTORS(VECTOR_A));

	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(XAPIC_BROADCAST, VECTOR_B)));
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[0], VECTOR_B, NO_VECTORS);
	EXPECT_IRQ(&self->cpus[1], VECTOR_B, NO_VECTORS);
	expect_idle(self->cpus);
}

TEST_F(vfio_irqfd, goes_nowhere)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		if (i)
			SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(NR_VCPUS, VECTOR_A)));
		else
			SET_ROUTES(self->vm);
		raise_irq(&self->cpus[0], &self->edu);
		/* This waits for the handler, and the other for what is to be injected. */
		edu_set_irq(&self->edu, -1);
		kvm_deassign_irqfd(self->vm, GSI, self->edu.eventfd);
		kvm_assign_irqfd(self->vm, GSI, self->edu.eventfd);
		edu_set_irq(&self->edu, self->edu.eventfd);
		SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
		expect_idle(self->cpus);
		raise_irq(&self->cpus[0], &self->edu);
		EXPECT_IRQ(&self->cpus[1], VECTOR_A, NO_VECTORS);
	}
	expect_idle(self->cpus);
}

/* A VMM that masks an IRQ takes its irqfd away, and the eventfd remembers. */
TEST_F(vfio_irqfd, is_masked)
{
	kvm_deassign_irqfd(self->vm, GSI, self->edu.eventfd);
	raise_irq(&self->cpus[0], &self->edu);
	raise_irq(&self->cpus[0], &self->edu);
	expect_idle(self->cpus);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	/* Until the handlers have returned. */
	edu_set_irq(&self->edu, -1);
	kvm_assign_irqfd(self->vm, GSI, self->edu.eventfd);
	EXPECT_IRQ(&self->cpus[0], VECTOR_B, NO_VECTORS);
	expect_idle(self->cpus);

	edu_set_irq(&self->edu, self->edu.eventfd);
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[0], VECTOR_B, NO_VECTORS);
	expect_idle(self->cpus);
}

struct rerouter {
	struct kvm_vm *vm;
	bool stop;
};

static void *reroute(void *data)
{
	struct rerouter *rerouter = data;
	u32 i;

	for (i = 0; !READ_ONCE(rerouter->stop); i++)
		SET_ROUTES(rerouter->vm, msi_route(GSI, EDGE_MSI(i % NR_VCPUS, VECTOR_A)));
	return NULL;
}

/* Each is taken once, by the old route or by the new one. */
TEST_F(vfio_irqfd, while_its_route_changes)
{
	struct rerouter rerouter = { .vm = self->vm };
	u64 taken, nr[NR_VCPUS] = {};
	pthread_t thread;
	u32 i, cpu;

	pthread_create(&thread, NULL, reroute, &rerouter);
	for (i = 0; i < 200; i++) {
		irq_cpu_call(&self->cpus[i % NR_VCPUS], guest_raise, 1, 0);
		for (taken = 0; !taken; ) {
			for (cpu = 0; cpu < NR_VCPUS; cpu++) {
				irq_cpu_call(&self->cpus[cpu], guest_take, 0, 0);
				taken += self->cpus[cpu].guest->taken.nr;
				nr[cpu] += self->cpus[cpu].guest->taken.nr;
			}
		}
		TEST_ASSERT_EQ(taken, 1);
	}
	WRITE_ONCE(rerouter.stop, true);
	pthread_join(thread, NULL);
	expect_idle(self->cpus);
	ksft_print_msg("taken by vCPU 0: %lu, by vCPU 1: %lu\n", nr[0], nr[1]);
	TEST_ASSERT_EQ(nr[0] + nr[1], 200);
}

/* KVM and the guest go, and the device goes on. */
TEST_F(vfio_irqfd, vm_goes)
{
	eventfd_t nr;

	close(self->vfio);
	kvm_vm_free(self->vm);
	self->vm = NULL;
	edu_write(&self->edu, EDU_IRQ_RAISE, 1);
	TEST_ASSERT_EQ(eventfd_read(self->edu.eventfd, &nr), 0);
	TEST_ASSERT_EQ(nr, 1);
}

#define EXPECT_REASON(_allowed, _reason)					\
	expect_state(self->vfio, self->edu.group, GSI, _allowed, false,	\
		     _reason, 0, 0, __FILE__, __LINE__)

/* Whatever KVM tried, the guest gets it by way of the host. */
TEST_F(vfio_irqfd, is_not_posted)
{
	if (!host_tries)
		SKIP(return, "KVM posts nothing here");

	EXPECT_REASON(true, KVM_VFIO_IRQ_FAILED);
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[1], VECTOR_A, NO_VECTORS);

	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->edu.group, GSI), 0);
	EXPECT_REASON(false, KVM_VFIO_IRQ_DENIED);
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[1], VECTOR_A, NO_VECTORS);

	TEST_ASSERT_EQ(choose(self->vfio, POST_IRQ, self->edu.group, GSI), 0);
	EXPECT_REASON(true, KVM_VFIO_IRQ_FAILED);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(NR_VCPUS, VECTOR_A)));
	EXPECT_REASON(true, KVM_VFIO_IRQ_NO_TARGET);
	SET_ROUTES(self->vm);
	EXPECT_REASON(true, KVM_VFIO_IRQ_NOT_MSI);
	edu_set_irq(&self->edu, -1);
	EXPECT_REASON(true, KVM_VFIO_IRQ_NO_PRODUCER);

	edu_set_irq(&self->edu, self->edu.eventfd);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	EXPECT_REASON(true, KVM_VFIO_IRQ_FAILED);
	raise_irq(&self->cpus[0], &self->edu);
	EXPECT_IRQ(&self->cpus[0], VECTOR_B, NO_VECTORS);
	expect_idle(self->cpus);
}

int main(int argc, char *argv[])
{
	char bdf[16];

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(!access(VFIO_PCI, F_OK) || !system("modprobe vfio-pci 2>/dev/null"));
	TEST_REQUIRE(find_edu(bdf, sizeof(bdf)));
	TEST_REQUIRE(bind_edu(bdf));
	host_tries = enable_posting() && has_posting_attrs();

	return test_harness_run(argc, argv);
}
