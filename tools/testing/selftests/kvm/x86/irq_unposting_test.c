// SPDX-License-Identifier: GPL-2.0
/*
 * What userspace has to say about IRQs of devices that KVM may post to a vCPU: whether
 * it may, and for how long that counts; and what KVM says of them.  These are attributes
 * of the kvm-vfio device.  The device whose IRQs are posted is that of a test module, and
 * so are the VFIO files that are named.
 *
 * KVM can't tell whether an IRQ belongs to a VFIO file, and here it doesn't.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "helper.h"
#include "irq_producer_device.h"
#include "irq_producer_load.h"
#include "irqroute.h"
#include "irqroute_harness.h"
#include "vfio_attrs.h"
#include "vfio_file_load.h"
#include "vm_files.h"

#define NR_PINS		24
#define NR_VCPUS	3
#define VECTOR_A	0x31
#define VECTOR_B	0x42

#define GSI		40
#define GSI_OTHER	41

/* Whether this host has IRQs that KVM posts, by a test module. */
static bool host_posts;

#define NOTHING_POSTS	"no IRQ can be posted here"

/* What there is without IRQs that are posted, too. */
FIXTURE(attributes) {
	struct kvm_vm *vm;
	int vfio;	/* the kvm-vfio device */
	int file;	/* a VFIO file that was added */
	int other;	/* one that was not */
	int eventfd;	/* of an irqfd with GSI */
};

FIXTURE_SETUP(attributes)
{
	/* A test that failed may have stopped it. */
	TEST_ASSERT(!host_posts || set_posting(true), "Cannot go on posting");
	self->vm = vm_create_split(1, NR_PINS);
	self->vfio = kvm_create_device(self->vm, KVM_DEV_TYPE_VFIO);
	self->file = vfio_file_open(0);
	self->other = vfio_file_open(1);
	TEST_ASSERT_EQ(add_file(self->vfio, self->file), 0);
	self->eventfd = kvm_new_eventfd();
	kvm_assign_irqfd(self->vm, GSI, self->eventfd);
}

FIXTURE_TEARDOWN(attributes)
{
	close(self->eventfd);
	close(self->other);
	close(self->file);
	close(self->vfio);
	kvm_vm_free(self->vm);
}

/* What the last thing to fail is, if all arguments are right. */
static int success(void)
{
	return host_posts ? 0 : EOPNOTSUPP;
}

/* No attributes of KVM_DEV_VFIO_DEVICE. */
static const u64 others[] = { 0, 1, 2, 5, 0xffffffff, 1ull << 32 | POST_IRQ, ~0ull };

TEST_F(attributes, there_are)
{
	static const u32 groups[] = { 0, 3, 0xffffffff };
	u32 i;

	TEST_ASSERT_EQ(has_attr(self->vfio, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD), 0);
	TEST_ASSERT_EQ(has_attr(self->vfio, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL), 0);
	TEST_ASSERT_EQ(has_attr(self->vfio, KVM_DEV_VFIO_FILE, UNPOST_IRQ), ENXIO);
	TEST_ASSERT_EQ(has_attr(self->vfio, KVM_DEV_VFIO_DEVICE, POST_IRQ), 0);
	TEST_ASSERT_EQ(has_attr(self->vfio, KVM_DEV_VFIO_DEVICE, UNPOST_IRQ), 0);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		TEST_ASSERT_EQ(has_attr(self->vfio, KVM_DEV_VFIO_DEVICE, others[i]), ENXIO);
	for (i = 0; i < ARRAY_SIZE(groups); i++)
		TEST_ASSERT_EQ(has_attr(self->vfio, groups[i], POST_IRQ), ENXIO);
}

/* Whatever is not there is refused before anything is read. */
TEST_F(attributes, there_are_not)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE, others[i], NULL), ENXIO);
		TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, others[i], NULL), EPERM);
	}
	TEST_ASSERT_EQ(set_attr(self->vfio, 3, POST_IRQ, NULL), ENXIO);
	TEST_ASSERT_EQ(get_attr(self->vfio, 3, POST_IRQ, NULL), EPERM);
	/* These can only be set. */
	TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, UNPOST_IRQ, NULL), EPERM);
	TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL),
		       EPERM);
}

TEST_F(attributes, bad_addresses)
{
	const size_t page = getpagesize();
	char *end = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct kvm_vfio_irq_posting *posting;
	struct kvm_vfio_irqs *irqs;
	u64 attr;

	TEST_ASSERT(end != MAP_FAILED, "Cannot map memory");
	end += page;
	TEST_ASSERT_EQ(mprotect(end, page, PROT_NONE), 0);

	for (attr = POST_IRQ; attr <= UNPOST_IRQ; attr++) {
		TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE, attr, NULL), EFAULT);
		TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE, attr, (void *)-1ul),
			       EFAULT);
		/* The end of the structure, of the GSIs. */
		irqs = (void *)(end - sizeof(*irqs) + 1);
		TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE, attr, irqs), EFAULT);
		irqs = (void *)(end - sizeof(*irqs) - sizeof(u32));
		*irqs = (struct kvm_vfio_irqs) {
			.argsz = sizeof(*irqs) + 2 * sizeof(u32),
			.fd = self->file,
			.count = 2,
		};
		irqs->gsis[0] = GSI;
		TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE, attr, irqs), EFAULT);
		/* That which is there will do. */
		irqs->argsz = sizeof(*irqs) + sizeof(u32);
		irqs->count = 1;
		TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE, attr, irqs), success());
	}

	TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, POST_IRQ, NULL), EFAULT);
	posting = (void *)(end - sizeof(*posting) + 4);
	TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, POST_IRQ, posting), EFAULT);
	posting = (void *)(end - sizeof(*posting));
	TEST_ASSERT_EQ(get_posting(self->vfio, self->file, GSI, posting), success());
	/* It can be read, but not written. */
	TEST_ASSERT_EQ(mprotect(end - page, page, PROT_READ), 0);
	TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, POST_IRQ, posting),
		       host_posts ? EFAULT : EOPNOTSUPP);
	munmap(end - page, 2 * page);
}

TEST_F(attributes, bad_sizes_flags_and_counts)
{
	const u32 size = sizeof(struct kvm_vfio_irqs) + sizeof(u32);
	const struct {
		u32 argsz, flags, count;
		bool good;
	} sizes[] = {
		{ size, 0, 1, true },
		{ size + 1, 0, 1, true },
		{ ~0u, 0, 1, true },
		{ 0, 0, 1 },
		{ sizeof(struct kvm_vfio_irqs), 0, 1 },
		{ size - 1, 0, 1 },
		{ size, 1, 1 },
		{ size, 1u << 31, 1 },
		{ size, ~0u, 1 },
		{ size, 0, 0 },
		{ sizeof(struct kvm_vfio_irqs), 0, 0 },
		{ size, 0, 2 },
		{ size, 0, MAX_ROUTES },
		{ ~0u, 0, MAX_ROUTES + 1 },
		{ ~0u, 0, ~0u },
		/* What a size of 32 bits would overflow with. */
		{ size, 0, 1u << 30 },
		{ size, 0, (1u << 30) + 1 },
	};
	struct kvm_vfio_irqs *irqs = irqs_new(self->file, MAX_ROUTES + 1);
	struct kvm_vfio_irq_posting posting = { .fd = self->file, .gsi = GSI };
	u32 i;

	for (i = 0; i <= MAX_ROUTES; i++)
		irqs->gsis[i] = GSI;
	for (i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		irqs->argsz = sizes[i / 2].argsz;
		irqs->flags = sizes[i / 2].flags;
		irqs->count = sizes[i / 2].count;
		TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE,
					i % 2 ? POST_IRQ : UNPOST_IRQ, irqs),
			       sizes[i / 2].good ? success() : EINVAL);
	}
	/* As many as there can be. */
	irqs->argsz = sizeof(*irqs) + MAX_ROUTES * sizeof(u32);
	irqs->flags = 0;
	irqs->count = MAX_ROUTES;
	TEST_ASSERT_EQ(set_attr(self->vfio, KVM_DEV_VFIO_DEVICE, UNPOST_IRQ, irqs), success());
	free(irqs);

	for (i = 0; i < sizeof(posting); i++) {
		posting.argsz = i;
		TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, POST_IRQ, &posting),
			       EINVAL);
	}
	posting.argsz = ~0u;
	TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, POST_IRQ, &posting), success());
	for (i = 0; i < 32; i++) {
		posting.flags = 1u << i;
		TEST_ASSERT_EQ(get_attr(self->vfio, KVM_DEV_VFIO_DEVICE, POST_IRQ, &posting),
			       EINVAL);
	}
}

static void expect_errno(int device, int expected, int fd, u32 gsi, const char *file, int line)
{
	int unpost = choose(device, UNPOST_IRQ, fd, gsi);
	int post = choose(device, POST_IRQ, fd, gsi);
	int get = get_errno(device, fd, gsi);

	test_assert(unpost == expected && post == expected && get == expected, "errno",
		    file, line, "File %d, GSI %u: errnos %d, %d and %d, wanted %d", fd, gsi,
		    unpost, post, get, expected);
}

/* All three fail alike. */
#define EXPECT_ERRNO(_errno, _fd, _gsi)	\
	expect_errno(self->vfio, _errno, _fd, _gsi, __FILE__, __LINE__)

TEST_F(attributes, bad_files)
{
	static const int none[] = { -1, INT_MIN, INT_MAX, 1000 };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(none); i++)
		EXPECT_ERRNO(EBADF, none[i], GSI);
	/* Those that were not added: no VFIO file, and one. */
	EXPECT_ERRNO(ENOENT, self->eventfd, GSI);
	EXPECT_ERRNO(ENOENT, self->vfio, GSI);
	EXPECT_ERRNO(ENOENT, self->other, GSI);
	TEST_ASSERT_EQ(add_file(self->vfio, self->other), 0);
	EXPECT_ERRNO(success(), self->other, GSI);
	TEST_ASSERT_EQ(del_file(self->vfio, self->other), 0);
	EXPECT_ERRNO(ENOENT, self->other, GSI);
	EXPECT_ERRNO(success(), self->file, GSI);
}

TEST_F(attributes, host_cannot_post)
{
	if (host_posts)
		TEST_ASSERT(set_posting(false), "Cannot stop posting");
	EXPECT_ERRNO(EOPNOTSUPP, self->file, GSI);
	/* As well as what else is wrong. */
	EXPECT_ERRNO(EOPNOTSUPP, self->file, GSI_OTHER);
	EXPECT_ERRNO(ENOENT, self->other, GSI);
	EXPECT_ERRNO(EBADF, -1, GSI);
	TEST_ASSERT_EQ(has_attr(self->vfio, KVM_DEV_VFIO_DEVICE, UNPOST_IRQ), 0);
	if (host_posts)
		TEST_ASSERT(set_posting(true), "Cannot go on posting");
	EXPECT_ERRNO(success(), self->file, GSI);
}

TEST_F(attributes, bad_gsis)
{
	static const u32 none[] = { 0, GSI_OTHER, MAX_ROUTES - 1, MAX_ROUTES, 1u << 31, ~0u };
	int eventfd = kvm_new_eventfd();
	u32 i;

	if (!host_posts)
		SKIP(return, NOTHING_POSTS);
	for (i = 0; i < ARRAY_SIZE(none); i++)
		EXPECT_ERRNO(ENOENT, self->file, none[i]);
	/* It takes an irqfd, and does not last longer. */
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		kvm_assign_irqfd(self->vm, none[i], eventfd);
		/* No route can have one from MAX_ROUTES on. */
		EXPECT_ERRNO(none[i] < MAX_ROUTES ? 0 : ENOENT, self->file, none[i]);
		kvm_deassign_irqfd(self->vm, none[i], eventfd);
		EXPECT_ERRNO(ENOENT, self->file, none[i]);
	}
	close(eventfd);
}

FIXTURE(unposting) {
	struct kvm_vm *vm;
	struct irq_cpu cpus[NR_VCPUS];
	struct device dev;
	int vfio;	/* the kvm-vfio device */
	int file;	/* a VFIO file that was added */
	int other;	/* another one that was added */
	u32 nr_calls;
};

static void expect_is_posted(int device, int fd, struct device *dev, u32 vcpu_idx, u32 vector,
			     const char *file, int line)
{
	expect_state(device, fd, GSI, true, true, KVM_VFIO_IRQ_POSTED, vcpu_idx, vector, file,
		     line);
	expect_posted(dev, vcpu_idx, vector, file, line);
}

static void expect_not_posted(int device, int fd, struct device *dev, bool allowed, u32 reason,
			      const char *file, int line)
{
	expect_state(device, fd, GSI, allowed, false, reason, 0, 0, file, line);
	expect_posted(dev, REMAPPED, 0, file, line);
}

/* KVM says so of the IRQ, and has programmed it so. */
#define EXPECT_IS_POSTED(_vcpu_idx, _vector)				\
	expect_is_posted(self->vfio, self->file, &self->dev, _vcpu_idx,	\
			 _vector, __FILE__, __LINE__)
#define EXPECT_NOT_POSTED(_allowed, _reason)				\
	expect_not_posted(self->vfio, self->file, &self->dev, _allowed,	\
			  _reason, __FILE__, __LINE__)
#define EXPECT_DENIED()		EXPECT_NOT_POSTED(false, KVM_VFIO_IRQ_DENIED)
/* It is not to be posted, but still is. */
#define EXPECT_STUCK(_vcpu_idx, _vector)					\
do {										\
	EXPECT_POSTED(&self->dev, _vcpu_idx, _vector);				\
	expect_state(self->vfio, self->file, GSI, false, true,			\
		     KVM_VFIO_IRQ_FAILED, 0, 0, __FILE__, __LINE__);		\
} while (0)

FIXTURE_SETUP(unposting)
{
	if (!host_posts)
		SKIP(return, NOTHING_POSTS);
	TEST_ASSERT(set_posting(true), "Cannot go on posting");
	self->vm = vm_create_split_with_cpus(self->cpus, NR_VCPUS, NR_PINS, guest_xapic);
	self->vfio = kvm_create_device(self->vm, KVM_DEV_TYPE_VFIO);
	self->file = vfio_file_open(0);
	self->other = vfio_file_open(1);
	TEST_ASSERT_EQ(add_file(self->vfio, self->file), 0);
	TEST_ASSERT_EQ(add_file(self->vfio, self->other), 0);
	self->dev = device_open();
	kvm_assign_irqfd(self->vm, GSI, self->dev.eventfd);
	TEST_ASSERT_EQ(device_bind(&self->dev), 0);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)));
	EXPECT_IS_POSTED(1, VECTOR_A);
	self->nr_calls = device_state(&self->dev).nr_calls;
}

FIXTURE_TEARDOWN(unposting)
{
	if (!self->vm)
		return;
	device_close(&self->dev);
	close(self->other);
	close(self->file);
	close(self->vfio);
	kvm_vm_free(self->vm);
}

/* How often KVM has programmed the IRQ since it was asked before. */
static u32 new_calls(struct device *dev, u32 *nr_calls)
{
	u32 before = *nr_calls;

	*nr_calls = device_state(dev).nr_calls;
	return *nr_calls - before;
}

#define EXPECT_CALLS(_nr)	TEST_ASSERT_EQ(new_calls(&self->dev, &self->nr_calls), _nr)

#define UNPOST(_file)	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, _file, GSI), 0)
#define POST(_file)	TEST_ASSERT_EQ(choose(self->vfio, POST_IRQ, _file, GSI), 0)

/* Whether it is posted or not, the same vCPU takes the same vector. */
TEST_F(unposting, unpost_and_post)
{
	UNPOST(self->file);
	EXPECT_DENIED();
	EXPECT_CALLS(1);
	device_raise(&self->dev);
	EXPECT_TAKE(&self->cpus[1], VECTORS(VECTOR_A), NO_VECTORS);
	EXPECT_IDLE(&self->cpus[0]);
	/* Once more, which changes nothing. */
	UNPOST(self->file);
	EXPECT_CALLS(0);
	POST(self->file);
	EXPECT_IS_POSTED(1, VECTOR_A);
	EXPECT_CALLS(1);
	POST(self->file);
	EXPECT_CALLS(0);
}

TEST_F(unposting, holds_for_routes_to_come)
{
	UNPOST(self->file);
	EXPECT_CALLS(1);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(2, VECTOR_B)));
	EXPECT_DENIED();
	device_raise(&self->dev);
	EXPECT_TAKE(&self->cpus[2], VECTORS(VECTOR_B), NO_VECTORS);
	SET_ROUTES(self->vm);
	EXPECT_NOT_POSTED(false, KVM_VFIO_IRQ_NOT_MSI);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	EXPECT_DENIED();
	EXPECT_CALLS(0);
	POST(self->file);
	EXPECT_IS_POSTED(0, VECTOR_B);
	EXPECT_CALLS(1);
}

TEST_F(unposting, holds_when_local_apics_change)
{
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(9, VECTOR_A)));
	UNPOST(self->file);
	self->nr_calls = device_state(&self->dev).nr_calls;
	irq_cpu_apic_write(&self->cpus[1], APIC_ID, SET_APIC_DEST_FIELD(9));
	EXPECT_DENIED();
	EXPECT_CALLS(0);
	POST(self->file);
	EXPECT_IS_POSTED(1, VECTOR_A);
}

/* What cannot be posted may be posted all the same. */
TEST_F(unposting, reasons)
{
	const struct {
		struct msi msi;
		u32 reason;
	} cases[] = {
		{ EDGE_MSI(NR_VCPUS, VECTOR_A), KVM_VFIO_IRQ_NO_TARGET },
		{ EDGE_MSI(XAPIC_BROADCAST, VECTOR_A), KVM_VFIO_IRQ_SEVERAL },
		{ EDGE_MSI(1, VECTOR_A, .delivery_mode = APIC_DM_NMI),
		  KVM_VFIO_IRQ_DELIVERY_MODE },
		/* KVM's C posts it. */
		{ LEVEL_MSI(1, VECTOR_A), KVM_VFIO_IRQ_LEVEL },
	};
	u32 i, nr = ARRAY_SIZE(cases) - !helper_decides();

	for (i = 0; i < nr; i++) {
		SET_ROUTES(self->vm, msi_route(GSI, cases[i].msi));
		EXPECT_NOT_POSTED(true, cases[i].reason);
		UNPOST(self->file);
		EXPECT_DENIED();
		POST(self->file);
		EXPECT_NOT_POSTED(true, cases[i].reason);
	}
	SET_ROUTES(self->vm);
	EXPECT_NOT_POSTED(true, KVM_VFIO_IRQ_NOT_MSI);
	device_unbind(&self->dev);
	EXPECT_NOT_POSTED(true, KVM_VFIO_IRQ_NO_PRODUCER);
}

/* Then KVM takes back what it has posted, and the vCPU knows of nothing that is gone. */
TEST_F(unposting, host_stops_posting)
{
	TEST_ASSERT(set_posting(false), "Cannot stop posting");
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	EXPECT_CALLS(0);
	kvm_deassign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_REMAPPED(&self->dev);
	EXPECT_CALLS(1);
	TEST_ASSERT(set_posting(true), "Cannot go on posting");
	kvm_assign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_IS_POSTED(1, VECTOR_A);
	EXPECT_CALLS(1);
}

/* A VMM that masks an IRQ takes its irqfd away. */
TEST_F(unposting, irqfd_and_producer_come_and_go)
{
	struct device other = device_open();

	UNPOST(self->file);
	kvm_deassign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_REMAPPED(&self->dev);
	TEST_ASSERT_EQ(get_errno(self->vfio, self->file, GSI), ENOENT);
	TEST_ASSERT_EQ(choose(self->vfio, POST_IRQ, self->file, GSI), ENOENT);
	kvm_assign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_DENIED();
	device_unbind(&self->dev);
	EXPECT_NOT_POSTED(false, KVM_VFIO_IRQ_NO_PRODUCER);
	TEST_ASSERT_EQ(device_bind(&self->dev), 0);
	EXPECT_DENIED();
	/* Only when it was unposted. */
	EXPECT_CALLS(1);

	/* Another one with the same GSI, of which both are meant. */
	kvm_assign_irqfd(self->vm, GSI, other.eventfd);
	TEST_ASSERT_EQ(device_bind(&other), 0);
	EXPECT_DENIED();
	EXPECT_REMAPPED(&other);
	POST(self->file);
	EXPECT_IS_POSTED(1, VECTOR_A);
	EXPECT_POSTED(&other, 1, VECTOR_A);
	UNPOST(self->file);
	EXPECT_REMAPPED(&other);
	EXPECT_DENIED();
	/* The one that has a producer is looked at. */
	device_unbind(&other);
	EXPECT_DENIED();
	device_close(&other);
}

TEST_F(unposting, file_is_removed)
{
	UNPOST(self->file);
	TEST_ASSERT_EQ(del_file(self->vfio, self->file), 0);
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	TEST_ASSERT_EQ(get_errno(self->vfio, self->file, GSI), ENOENT);
	expect_state(self->vfio, self->other, GSI, true, true, KVM_VFIO_IRQ_POSTED, 1, VECTOR_A,
		     __FILE__, __LINE__);
	/* And is a new one when it is added again. */
	TEST_ASSERT_EQ(add_file(self->vfio, self->file), 0);
	EXPECT_IS_POSTED(1, VECTOR_A);
	EXPECT_CALLS(2);
}

/* Who has closed it can't name it any more, but KVM has it. */
TEST_F(unposting, file_is_closed)
{
	UNPOST(self->file);
	close(self->file);
	TEST_ASSERT_EQ(choose(self->vfio, POST_IRQ, self->file, GSI), EBADF);
	self->file = self->other;
	EXPECT_DENIED();
	self->file = open("/dev/null", O_RDONLY);
}

TEST_F(unposting, file_goes_without_an_irqfd)
{
	UNPOST(self->file);
	kvm_deassign_irqfd(self->vm, GSI, self->dev.eventfd);
	TEST_ASSERT_EQ(del_file(self->vfio, self->file), 0);
	TEST_ASSERT_EQ(add_file(self->vfio, self->file), 0);
	kvm_assign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_IS_POSTED(1, VECTOR_A);
}

/* The last choice counts, and goes with its file. */
TEST_F(unposting, two_files)
{
	UNPOST(self->file);
	POST(self->other);
	EXPECT_IS_POSTED(1, VECTOR_A);
	TEST_ASSERT_EQ(del_file(self->vfio, self->other), 0);
	EXPECT_IS_POSTED(1, VECTOR_A);
	TEST_ASSERT_EQ(add_file(self->vfio, self->other), 0);

	UNPOST(self->file);
	UNPOST(self->other);
	TEST_ASSERT_EQ(del_file(self->vfio, self->file), 0);
	EXPECT_REMAPPED(&self->dev);
	TEST_ASSERT_EQ(add_file(self->vfio, self->file), 0);
	EXPECT_DENIED();
	TEST_ASSERT_EQ(del_file(self->vfio, self->other), 0);
	EXPECT_IS_POSTED(1, VECTOR_A);
}

TEST_F(unposting, kvm_vfio_device_goes)
{
	UNPOST(self->file);
	EXPECT_DENIED();
	close(self->vfio);
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	/* Without one, routes go on to be decided. */
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(2, VECTOR_B)));
	EXPECT_POSTED(&self->dev, 2, VECTOR_B);
	self->vfio = kvm_create_device(self->vm, KVM_DEV_TYPE_VFIO);
	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->file, GSI), ENOENT);
	TEST_ASSERT_EQ(add_file(self->vfio, self->file), 0);
	EXPECT_IS_POSTED(2, VECTOR_B);
}

/* The same GSI of another VM, to which the same file was added, is none of this one's business. */
TEST_F(unposting, another_vm)
{
	struct irq_cpu cpus[NR_VCPUS];
	struct kvm_vm *vm = vm_create_split_with_cpus(cpus, NR_VCPUS, NR_PINS, guest_xapic);
	int vfio = kvm_create_device(vm, KVM_DEV_TYPE_VFIO);
	struct device dev = device_open();

	TEST_ASSERT_EQ(add_file(vfio, self->file), 0);
	kvm_assign_irqfd(vm, GSI, dev.eventfd);
	TEST_ASSERT_EQ(device_bind(&dev), 0);
	SET_ROUTES(vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	EXPECT_POSTED(&dev, 0, VECTOR_B);

	UNPOST(self->file);
	EXPECT_DENIED();
	EXPECT_POSTED(&dev, 0, VECTOR_B);
	TEST_ASSERT_EQ(choose(vfio, UNPOST_IRQ, self->file, GSI), 0);
	EXPECT_REMAPPED(&dev);
	POST(self->file);
	EXPECT_IS_POSTED(1, VECTOR_A);
	EXPECT_REMAPPED(&dev);

	/* Nor is it when the file or the VM goes. */
	UNPOST(self->file);
	TEST_ASSERT_EQ(del_file(vfio, self->file), 0);
	EXPECT_POSTED(&dev, 0, VECTOR_B);
	EXPECT_DENIED();
	close(vfio);
	device_close(&dev);
	kvm_vm_free(vm);
	EXPECT_DENIED();
}

/* The VM goes first or last, and the next one knows nothing of it. */
TEST_F(unposting, vm_goes)
{
	UNPOST(self->file);
	close(self->vfio);
	kvm_vm_free(self->vm);
	EXPECT_REMAPPED(&self->dev);

	self->vm = vm_create_split_with_cpus(self->cpus, NR_VCPUS, NR_PINS, guest_xapic);
	self->vfio = kvm_create_device(self->vm, KVM_DEV_TYPE_VFIO);
	TEST_ASSERT_EQ(add_file(self->vfio, self->file), 0);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_B)));
	kvm_assign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_IS_POSTED(0, VECTOR_B);

	UNPOST(self->file);
	kvm_vm_free(self->vm);
	EXPECT_REMAPPED(&self->dev);
	/* What is left of it has the file, and no irqfd. */
	TEST_ASSERT_EQ(choose(self->vfio, POST_IRQ, self->file, GSI), ENOENT);
	TEST_ASSERT_EQ(del_file(self->vfio, self->file), 0);
	close(self->vfio);

	self->vm = vm_create_split_with_cpus(self->cpus, NR_VCPUS, NR_PINS, guest_xapic);
	self->vfio = kvm_create_device(self->vm, KVM_DEV_TYPE_VFIO);
}

/* A module that handles the VM stays, and one that does not has no part in it. */
TEST_F(unposting, module_is_to_go)
{
	char dir[256];

	if (!find_vm_dir(dir, sizeof(dir)))
		SKIP(return, "The module does not handle the VM");
	UNPOST(self->file);
	TEST_ASSERT(syscall(SYS_delete_module, "kvm_irqroute", O_NONBLOCK) &&
		    errno == EWOULDBLOCK, "The module has gone with the VM in it");
	EXPECT_DENIED();
	POST(self->file);
	EXPECT_IS_POSTED(1, VECTOR_A);
}

/* All of them or none. */
TEST_F(unposting, several_gsis)
{
	struct device others[3];
	u32 gsis[4] = { GSI, GSI_OTHER, GSI_OTHER + 1, GSI_OTHER + 2 }, i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		others[i] = device_open();
		TEST_ASSERT_EQ(device_bind(&others[i]), 0);
	}
	for (i = 0; i < 2; i++)
		kvm_assign_irqfd(self->vm, GSI_OTHER + i, others[i].eventfd);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)),
		   msi_route(GSI_OTHER, EDGE_MSI(0, VECTOR_A)),
		   msi_route(GSI_OTHER + 1, EDGE_MSI(1, VECTOR_B)),
		   msi_route(GSI_OTHER + 2, EDGE_MSI(2, VECTOR_B)));

	TEST_ASSERT_EQ(choose_all(self->vfio, UNPOST_IRQ, self->file, gsis, 4), ENOENT);
	EXPECT_IS_POSTED(1, VECTOR_A);
	EXPECT_CALLS(0);
	/* That which comes later was not among them. */
	kvm_assign_irqfd(self->vm, GSI_OTHER + 2, others[2].eventfd);
	EXPECT_POSTED(&others[2], 2, VECTOR_B);

	TEST_ASSERT_EQ(choose_all(self->vfio, UNPOST_IRQ, self->file, gsis, 3), 0);
	EXPECT_DENIED();
	EXPECT_CALLS(1);
	EXPECT_REMAPPED(&others[0]);
	EXPECT_REMAPPED(&others[1]);
	EXPECT_POSTED(&others[2], 2, VECTOR_B);
	TEST_ASSERT_EQ(choose_all(self->vfio, POST_IRQ, self->file, gsis + 1, 3), 0);
	EXPECT_DENIED();
	EXPECT_POSTED(&others[0], 0, VECTOR_A);
	EXPECT_POSTED(&others[1], 1, VECTOR_B);
	/* A removed file takes all of its choices along. */
	TEST_ASSERT_EQ(choose_all(self->vfio, UNPOST_IRQ, self->file, gsis, 4), 0);
	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->other, GSI_OTHER), 0);
	TEST_ASSERT_EQ(del_file(self->vfio, self->file), 0);
	EXPECT_POSTED(&self->dev, 1, VECTOR_A);
	EXPECT_REMAPPED(&others[0]);
	EXPECT_POSTED(&others[1], 1, VECTOR_B);
	EXPECT_POSTED(&others[2], 2, VECTOR_B);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		device_close(&others[i]);
}

/* Only what is unposted in vain is told at once, and holds. */
TEST_F(unposting, host_fails)
{
	device_fail_next_unpost(&self->dev, 1);
	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->file, GSI), EIO);
	EXPECT_STUCK(1, VECTOR_A);
	UNPOST(self->file);
	EXPECT_DENIED();

	/* An update of another route tries again, too. */
	POST(self->file);
	device_fail_next_unpost(&self->dev, 1);
	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->file, GSI), EIO);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)),
		   msi_route(GSI_OTHER, EDGE_MSI(0, VECTOR_B)));
	EXPECT_DENIED();

	/* Or it is posted again, wherever it is to go by now. */
	POST(self->file);
	device_fail_next_unpost(&self->dev, 2);
	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->file, GSI), EIO);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(2, VECTOR_A)));
	EXPECT_STUCK(1, VECTOR_A);
	POST(self->file);
	EXPECT_IS_POSTED(2, VECTOR_A);

	/* What goes to the host as posting it has failed need not be had to. */
	device_fail_next(&self->dev, 1);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(0, VECTOR_A)));
	EXPECT_NOT_POSTED(true, KVM_VFIO_IRQ_FAILED);
	device_fail_next_unpost(&self->dev, 1);
	UNPOST(self->file);
	EXPECT_DENIED();
	device_fail_next_unpost(&self->dev, 0);

	/* POST is a permission. */
	device_fail_next(&self->dev, 1);
	POST(self->file);
	EXPECT_NOT_POSTED(true, KVM_VFIO_IRQ_FAILED);
	POST(self->file);
	EXPECT_IS_POSTED(0, VECTOR_A);
}

/* Whoever has the IRQ then must not find it posted. */
TEST_F(unposting, host_fails_until_the_irqfd_goes)
{
	device_fail_next_unpost(&self->dev, 2);
	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->file, GSI), EIO);
	SET_ROUTES(self->vm);
	EXPECT_STUCK(1, VECTOR_A);
	kvm_deassign_irqfd(self->vm, GSI, self->dev.eventfd);
	EXPECT_REMAPPED(&self->dev);
}

/* All are tried, whichever fails. */
TEST_F(unposting, host_fails_one_of_several)
{
	u32 gsis[2] = { GSI, GSI_OTHER };
	struct device other = device_open();

	TEST_ASSERT_EQ(device_bind(&other), 0);
	kvm_assign_irqfd(self->vm, GSI_OTHER, other.eventfd);
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(2, VECTOR_A)),
		   msi_route(GSI_OTHER, EDGE_MSI(0, VECTOR_B)));
	EXPECT_POSTED(&other, 0, VECTOR_B);
	device_fail_next_unpost(&self->dev, 1);
	TEST_ASSERT_EQ(choose_all(self->vfio, UNPOST_IRQ, self->file, gsis, 2), EIO);
	EXPECT_STUCK(2, VECTOR_A);
	EXPECT_REMAPPED(&other);
	expect_state(self->vfio, self->file, GSI_OTHER, false, false, KVM_VFIO_IRQ_DENIED, 0, 0,
		     __FILE__, __LINE__);
	UNPOST(self->file);
	device_close(&other);
}

static void expect_text(const char *dir, const char *name, const char *expected, int line)
{
	char *text = read_vm_file(dir, name);

	test_assert(text && strstr(text, expected), name, __FILE__, line, "No %s in\n%s",
		    expected, text ?: strerror(errno));
	free(text);
}

#define EXPECT_TEXT(_name, _text)	expect_text(dir, _name, _text, __LINE__)

/* The files of the module say the same. */
TEST_F(unposting, files)
{
	char dir[256];

	if (!find_vm_dir(dir, sizeof(dir)))
		SKIP(return, "The module does not handle the VM");
	SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(1, VECTOR_A)),
		   msi_route(GSI_OTHER, EDGE_MSI(1, VECTOR_B)));
	EXPECT_TEXT("routes", "\n40 msi no 0x31 edge fixed physical:0x1 1 1 yes -\n");
	EXPECT_TEXT("routes", "\n41 msi no 0x42 edge fixed physical:0x1 1 1 - -\n");
	EXPECT_TEXT("posting", "\nposted - 1\n");
	EXPECT_TEXT("posting", "\nremapped denied 0\n");
	UNPOST(self->file);
	EXPECT_TEXT("routes", "\n40 msi no 0x31 edge fixed physical:0x1 1 1 no:denied -\n");
	EXPECT_TEXT("posting", "\nposted - 0\n");
	EXPECT_TEXT("posting", "\nremapped denied 1\n");
	device_unbind(&self->dev);
	EXPECT_TEXT("routes", "\n40 msi no 0x31 edge fixed physical:0x1 1 1 - -\n");
	EXPECT_TEXT("posting", "\nremapped denied 0\n");
}

struct busy {
	struct kvm_vm *vm;
	struct device *dev;
	int vfio;
	int other;
	bool stop;
};

static void *come_and_go(void *data)
{
	struct busy *busy = data;

	while (!READ_ONCE(busy->stop)) {
		kvm_deassign_irqfd(busy->vm, GSI_OTHER, busy->dev->eventfd);
		kvm_assign_irqfd(busy->vm, GSI_OTHER, busy->dev->eventfd);
		device_unbind(busy->dev);
		TEST_ASSERT_EQ(device_bind(busy->dev), 0);
	}
	return NULL;
}

static void *add_and_del(void *data)
{
	struct busy *busy = data;
	int r;

	while (!READ_ONCE(busy->stop)) {
		TEST_ASSERT_EQ(del_file(busy->vfio, busy->other), 0);
		TEST_ASSERT_EQ(add_file(busy->vfio, busy->other), 0);
		r = choose(busy->vfio, UNPOST_IRQ, busy->other, GSI_OTHER);
		TEST_ASSERT(!r || r == ENOENT, "Unposted: errno %d", r);
	}
	return NULL;
}

/* Routes, irqfds, producers and files come and go meanwhile, and the last choice counts. */
TEST_F(unposting, while_all_else_changes)
{
	struct device dev = device_open();
	struct busy busy = {
		.vm = self->vm,
		.dev = &dev,
		.vfio = self->vfio,
		.other = self->other,
	};
	pthread_t threads[2];
	u32 i;

	kvm_assign_irqfd(self->vm, GSI_OTHER, dev.eventfd);
	pthread_create(&threads[0], NULL, come_and_go, &busy);
	pthread_create(&threads[1], NULL, add_and_del, &busy);
	for (i = 0; i < 200; i++) {
		UNPOST(self->file);
		EXPECT_DENIED();
		SET_ROUTES(self->vm, msi_route(GSI, EDGE_MSI(i % NR_VCPUS, VECTOR_A)),
			   msi_route(GSI_OTHER, EDGE_MSI(0, 0x50 + i % 64)));
		EXPECT_DENIED();
		POST(self->file);
		EXPECT_IS_POSTED(i % NR_VCPUS, VECTOR_A);
	}
	WRITE_ONCE(busy.stop, true);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);

	TEST_ASSERT_EQ(choose(self->vfio, UNPOST_IRQ, self->file, GSI_OTHER), 0);
	EXPECT_REMAPPED(&dev);
	TEST_ASSERT_EQ(choose(self->vfio, POST_IRQ, self->file, GSI_OTHER), 0);
	EXPECT_POSTED(&dev, 0, 0x50 + 199 % 64);
	device_close(&dev);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(load_vfio_files("/proc/self/exe"));
	TEST_REQUIRE(has_posting_attrs());
	host_posts = enable_posting() && load_device("/proc/self/exe");

	return test_harness_run(argc, argv);
}
