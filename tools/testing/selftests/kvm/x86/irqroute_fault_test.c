// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of a routing update, and of the creation of VMs, vCPUs and
 * SynICs, fails once.  The ioctl() either fails with ENOMEM, and nothing has
 * changed and nothing is lost, or it survives, and all of it was done.
 */
#include <dirent.h>

#include "fault.h"
#include "helper.h"
#include "irqroute_harness.h"
#include "synic.h"

#define NR_PINS		24

#define LEVEL_GSI	5

#define VECTOR_OTHER	0x51
#define SINT_OTHER	9

/* Where the routes of a table that the test raises go. */
struct variant {
	u8 level_vector, sint_vector;
	u32 sint;
};

static const struct variant old_routes = { 0x31, 0x62, 2 };
static const struct variant new_routes = { 0x42, 0x73, 3 };

struct table {
	u32 nr;
	int sint_gsi;		/* or -1 */
	struct variant variant;
	struct kvm_irq_routing *routing;
};

/*
 * The first NR_PINS GSIs are level routes, one of which the test raises.  With
 * SINTs, the last GSI is a SINT route, and so is half of the others.
 */
static struct table table_new(u32 nr, bool sints, struct variant variant)
{
	struct table table = {
		.nr = nr,
		.sint_gsi = sints ? nr - 1 : -1,
		.variant = variant,
	};
	struct kvm_irq_routing_entry *entries;
	u32 i;

	table.routing = calloc(1, sizeof(*table.routing) + nr * sizeof(*entries));
	TEST_ASSERT(table.routing, "Insufficient memory for %u routes", nr);
	table.routing->nr = nr;
	entries = table.routing->entries;

	for (i = 0; i < nr; i++) {
		if (i < NR_PINS)
			entries[i] = msi_route(i, LEVEL_MSI(0, VECTOR_OTHER));
		else if (sints && i % 2)
			entries[i] = sint_route(i, 0, SINT_OTHER);
		else
			entries[i] = msi_route(i, EDGE_MSI(0, VECTOR_OTHER));
	}

	i = min(nr - 1, (u32)LEVEL_GSI);
	entries[i] = msi_route(LEVEL_GSI, LEVEL_MSI(0, variant.level_vector));
	if (sints)
		entries[nr - 1] = sint_route(nr - 1, 0, variant.sint);
	return table;
}

static int __table_set(struct kvm_vm *vm, const struct table *table)
{
	return __vm_ioctl(vm, KVM_SET_GSI_ROUTING, table->routing);
}

static void table_set(struct kvm_vm *vm, const struct table *table)
{
	vm_ioctl(vm, KVM_SET_GSI_ROUTING, table->routing);
}

/* The routes in force are those of @table, and no others. */
static void expect_table(struct kvm_vm *vm, struct irq_cpu *cpu, const struct table *table)
{
	const struct variant *v = &table->variant;

	TEST_ASSERT_EQ(irq_line_status(vm, LEVEL_GSI, 1), 1);
	EXPECT_TAKE(cpu, VECTORS(v->level_vector), VECTORS(v->level_vector));

	if (table->sint_gsi >= 0) {
		TEST_ASSERT_EQ(irq_line_status(vm, table->sint_gsi, 1), 1);
		EXPECT_TAKE(cpu, VECTORS(v->sint_vector), NO_VECTORS);
	}

	TEST_ASSERT_EQ(signal_msi(vm, LEVEL_MSI(0, old_routes.level_vector ^
						   new_routes.level_vector ^
						   v->level_vector)), 1);
	irq_cpu_call(cpu, guest_take, 0, 0);
	TEST_ASSERT_EQ(cpu->guest->taken.nr, 1);
	TEST_ASSERT_EQ(cpu->eoi_exits.nr, 0);
}

static struct kvm_vm *vm_create_split_synic(struct irq_cpu *cpu)
{
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);

	synic_cpu_add(cpu, vm, 0, 0);
	set_sint(cpu, old_routes.sint, old_routes.sint_vector);
	set_sint(cpu, new_routes.sint, new_routes.sint_vector);
	return vm;
}

/* The first and the last allocations of @total, and some in between. */
static u32 next_nth(u32 nth, u32 total)
{
	const u32 edge = 10, samples = 12;

	if (nth >= edge && nth + edge < total)
		nth += min((total - 2 * edge) / samples, total - edge - nth);
	return nth + 1;
}

static void fail_updates(u32 nr, bool sints)
{
	struct table old = table_new(nr, sints, old_routes);
	struct table new = table_new(nr, sints, new_routes);
	struct faults faults = faults_new();
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_split_synic(&cpu);
	char what[64];
	u32 total, nth;
	bool injected;
	int ret;

	snprintf(what, sizeof(what), "update of %u routes", nr);
	table_set(vm, &old);
	expect_table(vm, &cpu, &old);
	total = COUNT_ALLOCATIONS(&faults, __table_set(vm, &old));

	for (nth = 1, injected = true; injected; nth = next_nth(nth, total)) {
		fault_begin(&faults, nth);
		ret = __table_set(vm, &new);
		injected = fault_check(&faults, what, nth, ret, errno);

		if (ret) {
			expect_table(vm, &cpu, &old);
			table_set(vm, &new);
		}
		expect_table(vm, &cpu, &new);
		table_set(vm, &old);
	}

	faults_report(&faults, what);
	faults_free(&faults);
	kvm_vm_free(vm);
	free(old.routing);
	free(new.routing);
}

TEST(update_of_1_route)
{
	fail_updates(1, false);
}

TEST(update_of_24_level_routes)
{
	fail_updates(NR_PINS, false);
}

TEST(update_of_256_routes_with_sints)
{
	fail_updates(256, true);
}

TEST(update_of_4096_routes_with_sints)
{
	fail_updates(MAX_ROUTES, true);
}

/* The GSI that an EOI is reported to is part of what an update must not change. */
TEST(acks_after_failed_update)
{
	const u32 gsi = 40, other_gsi = 41;
	struct faults faults = faults_new();
	struct resample_irqfd irqfd, other_irqfd;
	struct kvm_irq_routing *routing;
	struct irq_cpu cpu;
	struct kvm_vm *vm = vm_create_synic(&cpu, 1);
	bool injected;
	u32 nth;
	int ret;

	set_sint(&cpu, old_routes.sint, old_routes.sint_vector);
	irqfd = resample_irqfd_new(vm, gsi);
	other_irqfd = resample_irqfd_new(vm, other_gsi);
	routing = calloc(1, sizeof(*routing) + sizeof(routing->entries[0]));
	TEST_ASSERT(routing, "Insufficient memory for a route");
	routing->nr = 1;
	routing->entries[0] = sint_route(other_gsi, 0, old_routes.sint);

	for (nth = 1, injected = true; injected; nth++) {
		SET_ROUTES(vm, sint_route(gsi, 0, old_routes.sint));
		EXPECT_ACKS(&irqfd, 0);

		fault_begin(&faults, nth);
		ret = __vm_ioctl(vm, KVM_SET_GSI_ROUTING, routing);
		injected = fault_check(&faults, "update of a SINT", nth, ret, errno);

		resample_irqfd_raise(ret ? &irqfd : &other_irqfd);
		EXPECT_TAKE(&cpu, VECTORS(old_routes.sint_vector), NO_VECTORS);
		EXPECT_ACKS(&irqfd, ret ? 1 : 0);
		EXPECT_ACKS(&other_irqfd, ret ? 0 : 1);
	}

	faults_report(&faults, "update of a SINT");
	faults_free(&faults);
	resample_irqfd_free(&irqfd);
	resample_irqfd_free(&other_irqfd);
	free(routing);
	kvm_vm_free(vm);
}

/* What a VM that was not created must leave as it was.  Without the module, -1s. */
struct bound {
	long vms, refs, kvm_refs, listed;
};

#define HELPER_DEBUGFS	"/sys/kernel/debug/kvm_irqroute"
#define HELPER_MODULE	"/sys/module/kvm_irqroute"

static long count_entries(const char *path)
{
	DIR *dir = opendir(path);
	long nr = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static struct bound read_bound(void)
{
	return (struct bound) {
		.vms = read_number(HELPER_DEBUGFS "/vms_bound", "%ld"),
		.refs = read_number(HELPER_MODULE "/refcnt", "%ld"),
		.kvm_refs = read_number("/sys/module/kvm/refcnt", "%ld"),
		.listed = count_entries(HELPER_DEBUGFS "/vms"),
	};
}

static void expect_bound(const struct bound *want)
{
	struct bound got = read_bound();

	TEST_ASSERT_EQ(got.vms, want->vms);
	TEST_ASSERT_EQ(got.refs, want->refs);
	TEST_ASSERT_EQ(got.kvm_refs, want->kvm_refs);
	TEST_ASSERT_EQ(got.listed, want->listed);
}

TEST(vm_creation)
{
	int vm_fd, kvm_fd = open_kvm_dev_path_or_exit();
	struct faults faults = faults_new();
	struct bound before = read_bound();
	bool injected;
	u32 nth;

	for (nth = 1, injected = true; injected; nth++) {
		fault_begin(&faults, nth);
		vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
		injected = fault_check(&faults, "KVM_CREATE_VM", nth, vm_fd, errno);
		if (vm_fd >= 0)
			close(vm_fd);
		expect_bound(&before);
	}

	faults_report(&faults, "KVM_CREATE_VM");
	faults_free(&faults);
	close(kvm_fd);
}

TEST(vcpu_and_synic_creation)
{
	struct faults creating = faults_new(), activating = faults_new();
	struct kvm_vm *vm = vm_create_split(1, NR_PINS);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	bool injected[2] = { true, true };
	u32 id = 0, nth;
	int fd, ret;

	SET_ROUTES(vm, sint_route(40, 0, old_routes.sint), msi_route(5, LEVEL_MSI(0, 0x31)));

	for (nth = 1; injected[0] || injected[1]; nth++) {
		fault_begin(&creating, nth);
		fd = __vm_ioctl(vm, KVM_CREATE_VCPU, (void *)(unsigned long)id);
		injected[0] = fault_check(&creating, "KVM_CREATE_VCPU", nth, fd, errno);
		if (fd < 0)
			fd = __vm_ioctl(vm, KVM_CREATE_VCPU, (void *)(unsigned long)id);
		TEST_ASSERT(fd >= 0, "vCPU %u is lost, errno %d", id, errno);

		fault_begin(&activating, nth);
		ret = ioctl(fd, KVM_ENABLE_CAP, &cap);
		injected[1] = fault_check(&activating, "KVM_CAP_HYPERV_SYNIC2", nth, ret, errno);
		if (ret)
			ret = ioctl(fd, KVM_ENABLE_CAP, &cap);
		TEST_ASSERT(!ret, "The SynIC of vCPU %u is lost, errno %d", id, errno);
		close(fd);
		id++;
	}

	faults_report(&creating, "KVM_CREATE_VCPU");
	faults_report(&activating, "KVM_CAP_HYPERV_SYNIC2");
	faults_free(&creating);
	faults_free(&activating);
	kvm_vm_free(vm);
}

/*
 * Memory that the kernel cannot give back.  Small caches and per-CPU batches move
 * it a bit, so ask only after leaks would have added up.
 */
static long unreclaimable_kb(void)
{
	return read_number("/proc/meminfo", "SUnreclaim: %ld") +
	       read_number("/proc/meminfo", "VmallocUsed: %ld");
}

/*
 * Updates of 4096 level routes of reserved pins fail where nearly all memory for
 * them is there already, so often that a few bytes for each route add up.
 */
TEST(failed_updates_leak_nothing)
{
	const u32 nr_updates = 400;
	const long limit_kb = (long)nr_updates * MAX_ROUTES * 2 / 1024;
	struct table old = table_new(MAX_ROUTES, false, old_routes);
	struct table new = table_new(MAX_ROUTES, false, new_routes);
	struct kvm_vm *vm = vm_create_split(1, MAX_ROUTES);
	struct faults faults = faults_new();
	long before, lost_kb;
	u32 nth, i;
	int ret;

	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "KASAN keeps memory that was freed, and kmemleak looks for leaks");

	for (i = NR_PINS; i < MAX_ROUTES; i++) {
		old.routing->entries[i] = msi_route(i, LEVEL_MSI(0, VECTOR_OTHER));
		new.routing->entries[i] = msi_route(i, LEVEL_MSI(0, VECTOR_OTHER));
	}
	table_set(vm, &old);
	nth = COUNT_ALLOCATIONS(&faults, __table_set(vm, &new));
	table_set(vm, &old);

	before = unreclaimable_kb();
	for (i = 0; i < nr_updates; i++) {
		fault_begin(&faults, nth);
		ret = __table_set(vm, &new);
		fault_check(&faults, "update", nth, ret, errno);
		/*
		 * Follow the last allocation without which the update fails.  The allocator
		 * refills its caches at times, and can do without some of what it asks for.
		 */
		nth += ret ? 1 : -1;
		if (!ret)
			table_set(vm, &old);
	}
	lost_kb = unreclaimable_kb() - before;

	faults_report(&faults, "repeated update of 4096 routes");
	ksft_print_msg("memory in use grew by %ld kB, limit %ld kB\n", lost_kb, limit_kb);
	TEST_ASSERT(lost_kb < limit_kb, "%u updates lose %ld kB", nr_updates, lost_kb);

	faults_free(&faults);
	free(old.routing);
	free(new.routing);
	kvm_vm_free(vm);
}

#define MODE		HELPER_MODULE "/parameters/mode"

static char initial_mode[16];

static void set_mode(const char *mode)
{
	TEST_ASSERT(fault_write(MODE, mode), "Cannot set the mode '%s'", mode);
}

static void restore_mode(void)
{
	fault_write(MODE, initial_mode);
}

struct allocations {
	u32 create, update, update_with_same_routes;
};

/* Of a VM in @mode: the fewest of some, as the allocator refills its caches at times. */
static struct allocations count_allocations(const char *mode)
{
	struct allocations fewest = { NEVER, NEVER, NEVER };
	struct table table = table_new(256, true, old_routes);
	int vm_fd, kvm_fd = open_kvm_dev_path_or_exit();
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { NR_PINS } };
	struct faults faults = faults_new();
	u32 create, update, again;
	int i;

	set_mode(mode);
	for (i = 0; i < 10; i++) {
		create = COUNT_ALLOCATIONS(&faults, vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0));
		TEST_ASSERT(!ioctl(vm_fd, KVM_ENABLE_CAP, &cap), "No split irqchip");
		update = COUNT_ALLOCATIONS(&faults,
					   ioctl(vm_fd, KVM_SET_GSI_ROUTING, table.routing));
		again = COUNT_ALLOCATIONS(&faults,
					  ioctl(vm_fd, KVM_SET_GSI_ROUTING, table.routing));
		fewest.create = min(fewest.create, create);
		fewest.update = min(fewest.update, update);
		fewest.update_with_same_routes = min(fewest.update_with_same_routes, again);
		close(vm_fd);
	}
	restore_mode();

	faults_free(&faults);
	close(kvm_fd);
	free(table.routing);
	return fewest;
}

/* By how many allocations two equal updates may differ: some memory may come from a cache. */
#define SLACK		2

/* The module's own allocations are among those that fail above. */
TEST(module_allocates)
{
	struct allocations c, bound;
	FILE *file = fopen(MODE, "r");

	if (!file)
		SKIP(return, "kvm_irqroute is not loaded");
	TEST_ASSERT_EQ(fscanf(file, "%15s", initial_mode), 1);
	fclose(file);
	if (!strcmp(initial_mode, "c"))
		SKIP(return, "kvm_irqroute is told to bind no VM");

	atexit(restore_mode);
	bound = count_allocations(initial_mode);
	c = count_allocations("c");

	ksft_print_msg("allocations of KVM_CREATE_VM: %u in mode c, %u in mode %s\n",
		       c.create, bound.create, initial_mode);
	ksft_print_msg("allocations of KVM_SET_GSI_ROUTING: %u in mode c, %u in mode %s\n",
		       c.update, bound.update, initial_mode);
	ksft_print_msg("and with the same routes once more: %u in mode c, %u in mode %s\n",
		       c.update_with_same_routes, bound.update_with_same_routes, initial_mode);
	TEST_ASSERT(bound.create > c.create, "A new VM does not allocate for the module");
	TEST_ASSERT(bound.update > c.update + SLACK, "An update does not allocate for the module");
	/* An index is for all tables with the same routes. */
	TEST_ASSERT(bound.update_with_same_routes <= c.update_with_same_routes + SLACK,
		    "An update with the same routes allocates for the module");
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	TEST_REQUIRE(fault_setup());

	return test_harness_run(argc, argv);
}
