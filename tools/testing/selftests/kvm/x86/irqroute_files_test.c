// SPDX-License-Identifier: GPL-2.0
/*
 * What the module shows of each VM that it handles, in files of debugfs: the
 * routes, whom they reach, which EOIs vCPUs report, and what is odd about a route.
 * A VM that it does not handle has no files.
 */
#include <pthread.h>

#include "irqroute_harness.h"
#include "synic.h"
#include "vm_files.h"

#define NR_PINS		24
#define DIR_SIZE	256

#define ROUTE_COLUMNS	\
	"gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks\n"
#define REMARK_COLUMNS	"gsi remark loses_interrupts reason\n"

FIXTURE(files)
{
	struct kvm_vm *vm;
	char dir[DIR_SIZE];
};

FIXTURE_SETUP(files)
{
}

FIXTURE_TEARDOWN(files)
{
	if (self->vm)
		kvm_vm_free(self->vm);
}

#define NO_FILES	"the module does not handle the VM"

/* Remembers the VM, which is the last one made.  Returns whether it has files. */
static bool has_files(struct kvm_vm *vm, struct kvm_vm **remembered, char *dir)
{
	*remembered = vm;
	return find_vm_dir(dir, DIR_SIZE);
}

static void expect_line(const char *dir, const char *name, const char *wanted, bool is_there,
			const char *file, unsigned int line)
{
	char *text = read_vm_file(dir, name), *at;
	size_t len = strlen(wanted);
	bool found = false;

	TEST_ASSERT(text, "Cannot read %s, errno %d", name, errno);
	for (at = text; !found && (at = strstr(at, wanted)); at++)
		found = (at == text || at[-1] == '\n') && at[len] == '\n';
	test_assert(found == is_there, name, file, line, "%s %s a line '%s':\n%.4000s", name,
		    found ? "has" : "lacks", wanted, text);
	free(text);
}

/* A file has this line, or does not have it. */
#define EXPECT_LINE(_name, _line)	\
	expect_line(self->dir, _name, _line, true, __FILE__, __LINE__)
#define EXPECT_NO_LINE(_name, _line)	\
	expect_line(self->dir, _name, _line, false, __FILE__, __LINE__)

/* Whose VMs the module handles is said by its parameter. */
TEST_F(files, vms_that_have_them)
{
	static const char * const names[] = { "routes", "vcpus", "posting", "remarks" };
	char dir[256], mode[16] = "c\n";
	FILE *file = fopen(HELPER_PARAMETERS "mode", "r");
	struct kvm_vm *vm;
	bool is_bound;
	int i, fd;

	if (file) {
		TEST_ASSERT(fgets(mode, sizeof(mode), file), "Cannot read the mode");
		fclose(file);
	}
	TEST_ASSERT(!find_vm_dir(dir, sizeof(dir)), "%s is left", dir);
	vm = vm_create_split(1, NR_PINS);
	is_bound = find_vm_dir(dir, sizeof(dir));
	ksft_print_msg("mode %.*s: %s\n", (int)strlen(mode) - 1, mode,
		       is_bound ? "files" : "no files");
	TEST_ASSERT_EQ(is_bound, strcmp(mode, "c\n") != 0);
	if (is_bound) {
		for (i = 0; i < ARRAY_SIZE(names); i++) {
			fd = open_vm_file(dir, names[i]);
			TEST_ASSERT(fd >= 0, "Cannot open %s", names[i]);
			close(fd);
		}
	}
	kvm_vm_free(vm);
	TEST_ASSERT(!find_vm_dir(dir, sizeof(dir)), "%s is left", dir);
}

TEST_F(files, of_a_new_vm)
{
	if (!has_files(vm_create_split(1, NR_PINS), &self->vm, self->dir))
		SKIP(return, NO_FILES);
	EXPECT_FILE("routes", ROUTE_COLUMNS);
	EXPECT_FILE("remarks", REMARK_COLUMNS);
	EXPECT_FILE("vcpus", "vcpu what value\n");
}

TEST_F(files, routes)
{
	struct irq_cpu cpus[3];

	if (!has_files(vm_create_split(8, NR_PINS), &self->vm, self->dir))
		SKIP(return, NO_FILES);
	irq_cpu_add(&cpus[0], self->vm, 0, guest_x2apic);
	irq_cpu_add(&cpus[1], self->vm, 1, guest_x2apic);
	irq_cpu_add(&cpus[2], self->vm, 5, guest_xapic);
	irq_cpu_apic_write(&cpus[2], APIC_LDR, 0x80 << 24);
	irq_cpu_apic_write(&cpus[2], APIC_ID, 7 << 24);

	SET_ROUTES(self->vm,
		   msi_route(5, LEVEL_MSI(1, 0x31)),
		   msi_route(6, EDGE_MSI(XAPIC_BROADCAST, 0x32)),
		   msi_route(NR_PINS, EDGE_MSI(0x83, 0x33, .logical = true,
					       .delivery_mode = APIC_DM_LOWEST)),
		   msi_route(NR_PINS + 1, EDGE_MSI(7, 0x34)),
		   msi_route(4095, EDGE_MSI(5, 0x35)),
		   msi_route(7, LEVEL_MSI(0, 0x36)));
	EXPECT_FILE("routes", ROUTE_COLUMNS
		    "5 msi yes 0x31 level fixed physical:0x1 1 1 - -\n"
		    "6 msi yes 0x32 edge fixed physical:0xff 0-1,7 0-1,5 - -\n"
		    "24 msi no 0x33 edge lowest logical:0x83 0-1,7 0-1,5 - -\n"
		    "25 msi no 0x34 edge fixed physical:0x7 7 5 - -\n"
		    "4095 msi no 0x35 edge fixed physical:0x5 - - - reaches_nobody\n"
		    "7 msi yes 0x36 level fixed physical:0x0 0 0 - -\n");

	/* A table that only adds routes need not wait for anybody, and shows at once. */
	SET_ROUTES(self->vm, msi_route(5, LEVEL_MSI(1, 0x31)));
	SET_ROUTES(self->vm, msi_route(5, LEVEL_MSI(1, 0x31)), msi_route(30, EDGE_MSI(0, 0x41)));
	EXPECT_FILE("routes", ROUTE_COLUMNS
		    "5 msi yes 0x31 level fixed physical:0x1 1 1 - -\n"
		    "30 msi no 0x41 edge fixed physical:0x0 0 0 - -\n");

	/* One that is refused does not. */
	TEST_ASSERT_EQ(__set_routes(self->vm, (struct kvm_irq_routing_entry[]){ { .gsi = 4096 } },
				    1, 0), EINVAL);
	EXPECT_LINE("routes", "30 msi no 0x41 edge fixed physical:0x0 0 0 - -");

	SET_ROUTES(self->vm);
	EXPECT_FILE("routes", ROUTE_COLUMNS);
}

/* Where the high half of the address counts from now on, it changes the destination. */
TEST_F(files, format_of_destinations)
{
	struct kvm_irq_routing_entry invalid = msi_route(6, EDGE_MSI(0, 0x32));
	struct irq_cpu cpu;

	if (!has_files(vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic),
		       &self->vm, self->dir))
		SKIP(return, NO_FILES);
	invalid.u.msi.address_hi |= 1;
	SET_ROUTES(self->vm, msi_route(5, LEVEL_MSI(0x100, 0x31)), invalid);
	EXPECT_LINE("routes", "5 msi yes 0x31 level fixed physical:0x0 0 0 - -");
	EXPECT_LINE("routes", "6 msi yes 0x32 edge fixed physical:0x0 0 0 - -");
	vm_enable_cap(self->vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
	EXPECT_LINE("routes", "5 msi yes 0x31 level fixed physical:0x100 - - - reaches_nobody");
	TEST_ASSERT(irq_line_status(self->vm, 6, 1) < 0, "KVM takes the address");
	EXPECT_LINE("routes", "6 msi yes 0x32 edge fixed invalid - - - reaches_nobody");
}

/* VMMs route pins like this that the guest has not set up, of which none is odd. */
TEST_F(files, pins_that_are_not_set)
{
	struct kvm_irq_routing_entry unset[2] = {};
	struct irq_cpu cpu;
	int i;

	if (!has_files(vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic),
		       &self->vm, self->dir))
		SKIP(return, NO_FILES);
	for (i = 0; i < ARRAY_SIZE(unset); i++) {
		unset[i].gsi = 5 + i;
		unset[i].type = KVM_IRQ_ROUTING_MSI;
	}
	SET_ROUTES(self->vm, unset[0], unset[1], msi_route(7, EDGE_MSI(0, 0)));
	EXPECT_FILE("routes", ROUTE_COLUMNS
		    "5 msi yes - - - unset - - - -\n"
		    "6 msi yes - - - unset - - - -\n"
		    "7 msi yes 0x00 edge fixed physical:0x0 0 0 - vector_below_16\n");
	EXPECT_FILE("remarks", REMARK_COLUMNS
		    "7 vector_below_16 yes vector 0x0 is never delivered\n");
}

/* The default routes of KVM's own interrupt controllers, to a pin of one or of two. */
TEST_F(files, irqchip_routes)
{
	struct irq_cpu cpu;
	char *text, *at;
	u32 lines = 0;

	if (!has_files(vm_create(1), &self->vm, self->dir))
		SKIP(return, NO_FILES);
	irq_cpu_add(&cpu, self->vm, 0, guest_x2apic);
	EXPECT_LINE("routes", "0 irqchip no - - - ioapic:0 - - - -");
	EXPECT_LINE("routes", "0 irqchip no - - - pic_master:0 - - - -");
	EXPECT_LINE("routes", "15 irqchip no - - - pic_slave:7 - - - -");
	EXPECT_LINE("routes", "23 irqchip no - - - ioapic:23 - - - -");
	EXPECT_FILE("remarks", REMARK_COLUMNS);
	text = read_vm_file(self->dir, "routes");
	for (at = text; (at = strchr(at, '\n')); at++)
		lines++;
	TEST_ASSERT_EQ(lines, 1 + 24 + 16);
	free(text);

	/* KVM hears of the EOIs of its own I/O APIC without an exit. */
	irq_cpu_call(&cpu, guest_nop, 0, 0);
	text = read_vm_file(self->dir, "vcpus");
	TEST_ASSERT(strstr(text, "0 enabled yes\n") && !strstr(text, "eoi_exit"),
		    "An EOI exits, or the vCPU lacks:\n%s", text);
	free(text);
}

static void expect_pending(const char *dir, const char *what, const char *vectors,
			   const char *file, unsigned int line)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s %s", what, host_posts_irqs() ? "unknown" : vectors);
	expect_line(dir, "vcpus", wanted, true, file, line);
}

/* What is pending on a vCPU, which is not known where hardware posts IRQs. */
#define EXPECT_PENDING(_what, _vectors)	\
	expect_pending(self->dir, _what, _vectors, __FILE__, __LINE__)

TEST_F(files, vcpus)
{
	struct irq_cpu cpus[2];

	if (!has_files(vm_create_split_with_cpus(cpus, 2, NR_PINS, guest_x2apic),
		       &self->vm, self->dir))
		SKIP(return, NO_FILES);
	SET_ROUTES(self->vm,
		   msi_route(5, LEVEL_MSI(0, 0x31)), msi_route(6, LEVEL_MSI(0, 0x31)),
		   msi_route(8, LEVEL_MSI(0, 0x31)), msi_route(9, LEVEL_MSI(1, 0x42)),
		   msi_route(10, EDGE_MSI(0, 0x53)));
	EXPECT_IDLE(&cpus[0]);
	EXPECT_IDLE(&cpus[1]);
	if (!host_posts_irqs())
		EXPECT_FILE("vcpus", "vcpu what value\n"
			    "0 apic_id 0\n"
			    "0 mode x2apic\n"
			    "0 logical_id 0x1\n"
			    "0 enabled yes\n"
			    "0 eoi_exit 0x31 gsis 5-6,8\n"
			    "0 requested -\n"
			    "0 in_service -\n"
			    "0 vp_index 0\n"
			    "0 synic off\n"
			    "1 apic_id 1\n"
			    "1 mode x2apic\n"
			    "1 logical_id 0x2\n"
			    "1 enabled yes\n"
			    "1 eoi_exit 0x42 gsis 9\n"
			    "1 requested -\n"
			    "1 in_service -\n"
			    "1 vp_index 1\n"
			    "1 synic off\n");

	raise_gsi(self->vm, 5);
	EXPECT_PENDING("0 requested", "0x31");
	EXPECT_PENDING("0 in_service", "-");
	EXPECT_HOLD(&cpus[0], VECTORS(0x31));
	raise_gsi(self->vm, 10);
	EXPECT_PENDING("0 requested", "0x53");
	EXPECT_PENDING("0 in_service", "0x31");
	EXPECT_PENDING("1 requested", "-");

	/* The pin moves, and its EOI is still to be reported: by a route that is no more. */
	SET_ROUTES(self->vm, msi_route(5, LEVEL_MSI(1, 0x31)));
	irq_cpu_call(&cpus[0], guest_nop, 0, 0);
	EXPECT_IDLE(&cpus[1]);
	EXPECT_LINE("vcpus", "0 eoi_exit 0x31 gsis - stale");
	EXPECT_LINE("vcpus", "1 eoi_exit 0x31 gsis 5");
	EXPECT_NO_LINE("vcpus", "1 eoi_exit 0x42 gsis 9");

	EXPECT_EOI(&cpus[0], VECTORS(0x31));
	EXPECT_TAKE(&cpus[0], VECTORS(0x53), NO_VECTORS);
	EXPECT_NO_LINE("vcpus", "0 eoi_exit 0x31 gsis - stale");
	EXPECT_PENDING("0 in_service", "-");
}

TEST_F(files, modes_of_an_apic)
{
	struct irq_cpu cpu;

	if (!has_files(vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic),
		       &self->vm, self->dir))
		SKIP(return, NO_FILES);
	irq_cpu_apic_write(&cpu, APIC_LDR, 0x21 << 24);
	EXPECT_LINE("vcpus", "0 mode xapic_flat");
	EXPECT_LINE("vcpus", "0 logical_id 0x21");
	irq_cpu_apic_write(&cpu, APIC_DFR, APIC_DFR_CLUSTER);
	EXPECT_LINE("vcpus", "0 mode xapic_cluster");
	irq_cpu_apic_write(&cpu, APIC_DFR, APIC_DFR_RESERVED);
	EXPECT_LINE("vcpus", "0 mode xapic_reserved");
	irq_cpu_apic_write(&cpu, APIC_ID, 7 << 24);
	EXPECT_LINE("vcpus", "0 apic_id 7");
	irq_cpu_call(&cpu, guest_x2apic, 0, 0);
	EXPECT_LINE("vcpus", "0 mode x2apic");
	EXPECT_LINE("vcpus", "0 apic_id 0");
}

/* Who takes no interrupts is not reached. */
TEST_F(files, apics_that_are_not_enabled)
{
	struct irq_cpu cpu;
	u64 base;

	if (!has_files(vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_xapic),
		       &self->vm, self->dir))
		SKIP(return, NO_FILES);
	SET_ROUTES(self->vm, msi_route(5, LEVEL_MSI(0, 0x31)),
		   msi_route(6, EDGE_MSI(0, 0, .delivery_mode = APIC_DM_NMI)));
	EXPECT_LINE("vcpus", "0 enabled yes");
	EXPECT_LINE("routes", "5 msi yes 0x31 level fixed physical:0x0 0 0 - -");

	irq_cpu_apic_write(&cpu, APIC_SPIV, 0xff);
	EXPECT_LINE("vcpus", "0 enabled no:spiv");
	EXPECT_LINE("routes", "5 msi yes 0x31 level fixed physical:0x0 - - - reaches_nobody");
	EXPECT_LINE("routes", "6 msi yes 0x00 edge nmi physical:0x0 0 0 - no_vector");
	TEST_ASSERT(irq_line_status(self->vm, 5, 1) <= 0, "KVM delivers it");

	base = vcpu_get_msr(cpu.vcpu, MSR_IA32_APICBASE);
	vcpu_set_msr(cpu.vcpu, MSR_IA32_APICBASE, base & ~(u64)MSR_IA32_APICBASE_ENABLE);
	EXPECT_LINE("vcpus", "0 enabled no:apic_base");
	EXPECT_LINE("routes", "5 msi yes 0x31 level fixed physical:0x0 - - - reaches_nobody");
	EXPECT_LINE("routes",
		    "6 msi yes 0x00 edge nmi physical:0x0 - - - no_vector,reaches_nobody");
	TEST_ASSERT(irq_line_status(self->vm, 6, 1) <= 0, "KVM delivers it");
}

TEST_F(files, sints)
{
	struct irq_cpu cpus[2];

	if (!has_files(vm_create_split(2, NR_PINS), &self->vm, self->dir))
		SKIP(return, NO_FILES);
	synic_cpu_add(&cpus[0], self->vm, 0, 3);
	synic_cpu_add(&cpus[1], self->vm, 1, 0);
	set_sint(&cpus[0], 2, 0x60);
	set_sint(&cpus[0], 4, 0x61 | HV_SINT_AUTO_EOI);
	SET_ROUTES(self->vm, sint_route(40, 3, 2), sint_route(41, 3, 3), sint_route(42, 3, 2),
		   sint_route(43, 0, 2));

	EXPECT_LINE("vcpus", "0 vp_index 3");
	EXPECT_LINE("vcpus", "0 synic on");
	EXPECT_LINE("vcpus", "0 sint 2 vector 0x60 gsis 40,42");
	EXPECT_LINE("vcpus", "0 sint 3 masked gsis 41");
	EXPECT_LINE("vcpus", "0 sint 4 vector 0x61 gsis -");
	EXPECT_LINE("vcpus", "1 vp_index 0");
	EXPECT_LINE("vcpus", "1 sint 2 masked gsis 43");
	EXPECT_FILE("routes", ROUTE_COLUMNS
		    "40 sint no 0x60 edge fixed vp:3,sint:2 0 0 - -\n"
		    "41 sint no - edge fixed vp:3,sint:3 - - - sint_masked\n"
		    "42 sint no 0x60 edge fixed vp:3,sint:2 0 0 - -\n"
		    "43 sint no - edge fixed vp:0,sint:2 - - - sint_masked\n");

	/* The file says what the guest has made of it since. */
	set_sint(&cpus[0], 3, 0x62);
	EXPECT_LINE("routes", "41 sint no 0x62 edge fixed vp:3,sint:3 0 0 - -");
	set_sint(&cpus[0], 3, HV_SINT_MASKED | 0x62);
	EXPECT_LINE("routes", "41 sint no - edge fixed vp:3,sint:3 - - - sint_masked");
}

/* For whoever wants to see what files look like. */
static void print_file(const char *dir, const char *name)
{
	char *line, *text = read_vm_file(dir, name);

	TEST_ASSERT(text, "Cannot read %s, errno %d", name, errno);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		ksft_print_msg("%s: %s\n", name, line);
	free(text);
}

TEST_F(files, remarks)
{
	struct irq_cpu cpus[2];

	if (!has_files(vm_create_split(2, NR_PINS), &self->vm, self->dir))
		SKIP(return, NO_FILES);
	synic_cpu_add(&cpus[0], self->vm, 0, 0);
	irq_cpu_add(&cpus[1], self->vm, 1, guest_x2apic);
	set_sint(&cpus[0], 2, 0x60);

	SET_ROUTES(self->vm,
		   msi_route(1, LEVEL_MSI(0, 0x0f)),
		   msi_route(2, LEVEL_MSI(9, 0x36)),
		   msi_route(3, LEVEL_MSI(0, 0, .delivery_mode = APIC_DM_NMI)),
		   msi_route(4, LEVEL_MSI(0, 0x37)), msi_route(5, EDGE_MSI(0, 0x37)),
		   msi_route(23, LEVEL_MSI(1, 0x37)),
		   msi_route(24, LEVEL_MSI(0, 0x35)),
		   msi_route(25, EDGE_MSI(0, 0x35)),
		   msi_route(26, LEVEL_MSI(7, 0x02)),
		   sint_route(40, 0, HV_NR_SINTS), sint_route(41, 77, 2), sint_route(42, 1, 2),
		   sint_route(43, 0, 3), sint_route(44, 0, 2));
	EXPECT_FILE("remarks", REMARK_COLUMNS
		    "1 vector_below_16 yes vector 0xf is never delivered\n"
		    "2 reaches_nobody yes no vCPU accepts the destination\n"
		    "3 no_vector no delivery mode nmi has no vector, and no EOI\n"
		    "4 shared_vector no GSI 5 sends a vCPU the same vector: the EOI of one is that of both\n"
		    "5 shared_vector no GSI 4 sends a vCPU the same vector: the EOI of one is that of both\n"
		    "24 level_outside_pins yes level-triggered, but the 24 pins end below: its EOI is not reported\n"
		    "26 vector_below_16 yes vector 0x2 is never delivered\n"
		    "26 level_outside_pins yes level-triggered, but the 24 pins end below: its EOI is not reported\n"
		    "26 reaches_nobody yes no vCPU accepts the destination\n"
		    "40 no_such_sint yes there is no SINT 16\n"
		    "41 no_such_vp yes no vCPU has VP index 77\n"
		    "42 synic_off yes the SynIC of VP 1 is not active\n"
		    "43 sint_masked yes SINT 3 is masked\n");

	/* What a remark says is so: nothing arrives, and the EOI does not exit. */
	raise_gsi(self->vm, 1);
	EXPECT_IDLE(&cpus[0]);
	TEST_ASSERT(irq_line_status(self->vm, 2, 1) <= 0, "GSI 2 was delivered");
	raise_gsi(self->vm, 24);
	EXPECT_TAKE(&cpus[0], VECTORS(0x35), NO_VECTORS);
	TEST_ASSERT(irq_line_status(self->vm, 42, 1) < 0, "GSI 42 was delivered");
	print_file(self->dir, "routes");
	print_file(self->dir, "vcpus");
	print_file(self->dir, "remarks");

	/* One after the other they are gone. */
	set_sint(&cpus[0], 3, 0x61);
	EXPECT_NO_LINE("remarks", "43 sint_masked yes SINT 3 is masked");
	SET_ROUTES(self->vm, msi_route(4, LEVEL_MSI(0, 0x37)), msi_route(5, EDGE_MSI(1, 0x37)),
		   msi_route(24, EDGE_MSI(0, 0x35)), sint_route(43, 0, 3), sint_route(44, 0, 2));
	EXPECT_FILE("remarks", REMARK_COLUMNS);
}

static void make_big_table(struct kvm_irq_routing_entry *routes, u8 vector)
{
	u32 i;

	/* Backwards, so that the file has the order of the table. */
	for (i = 0; i < MAX_ROUTES; i++)
		routes[i] = msi_route(MAX_ROUTES - 1 - i, EDGE_MSI(9, vector));
}

/* Expects the file of the table that make_big_table() has made with one of two vectors. */
static u8 expect_big_file(const char *text, u8 a, u8 b)
{
	u32 i, gsi, vector = 0, other;
	char line[128];

	TEST_ASSERT(text, "Cannot read the file, errno %d", errno);
	TEST_ASSERT(!strncmp(text, ROUTE_COLUMNS, strlen(ROUTE_COLUMNS)),
		    "no columns: %.80s", text);
	text += strlen(ROUTE_COLUMNS);
	for (i = 0; i < MAX_ROUTES; i++) {
		gsi = MAX_ROUTES - 1 - i;
		if (!i)
			TEST_ASSERT(sscanf(text, "%u msi no 0x%x", &other, &vector) == 2 &&
				    (vector == a || vector == b), "the first line is %.80s", text);
		snprintf(line, sizeof(line),
			 "%u msi %s 0x%02x edge fixed physical:0x9 - - - reaches_nobody\n", gsi,
			 gsi < NR_PINS ? "yes" : "no", vector);
		TEST_ASSERT(!strncmp(text, line, strlen(line)), "line %u is '%.80s', not '%s'",
			    i, text, line);
		text += strlen(line);
	}
	TEST_ASSERT(!*text, "more than %u lines: %.80s", MAX_ROUTES, text);
	return vector;
}

/* The file is much larger than a page, and the same however it is read. */
TEST_F(files, of_any_size)
{
	static const size_t steps[] = { 61, 4096, 1 << 20 };
	struct kvm_irq_routing_entry *routes = calloc(MAX_ROUTES, sizeof(*routes));
	char *text, *all = NULL;
	int i, fd;

	TEST_ASSERT(routes, "Insufficient memory for a table");
	if (!has_files(vm_create_split(1, NR_PINS), &self->vm, self->dir))
		SKIP(return, NO_FILES);
	make_big_table(routes, 0x31);
	TEST_ASSERT_EQ(__set_routes(self->vm, routes, MAX_ROUTES - 1, 0), 0);
	EXPECT_NO_LINE("remarks", "- table_full no there is no room for another route");
	TEST_ASSERT_EQ(__set_routes(self->vm, routes, MAX_ROUTES, 0), 0);
	EXPECT_LINE("remarks", "- table_full no there is no room for another route");

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		fd = open_vm_file(self->dir, "routes");
		text = read_all(fd, steps[i]);
		expect_big_file(text, 0x31, 0x31);
		close(fd);
		if (all)
			TEST_ASSERT(!strcmp(all, text), "%zu bytes at a time differ", steps[i]);
		free(all);
		all = text;
	}
	ksft_print_msg("%zu bytes\n", strlen(all));

	/* From any place. */
	fd = open_vm_file(self->dir, "routes");
	TEST_ASSERT_EQ(lseek(fd, 100000, SEEK_SET), 100000);
	text = read_all(fd, 4096);
	TEST_ASSERT(text && !strcmp(all + 100000, text), "another text from 100000 on");
	close(fd);
	free(text);
	free(all);
	free(routes);
}

struct changer {
	struct kvm_vm *vm;
	struct kvm_irq_routing_entry *tables[2];
	u64 nr_updates;
	bool stop;
};

static void *change_tables(void *arg)
{
	struct changer *changer = arg;

	while (!READ_ONCE(changer->stop)) {
		TEST_ASSERT_EQ(__set_routes(changer->vm,
					    changer->tables[changer->nr_updates % 2],
					    MAX_ROUTES, 0), 0);
		WRITE_ONCE(changer->nr_updates, changer->nr_updates + 1);
	}
	return NULL;
}

/* While tables are replaced, a file has the routes of one table, never of two. */
TEST_F(files, while_tables_change)
{
	struct changer changer = {};
	pthread_t thread;
	u32 seen[2] = {}, reads;
	char *text;
	u64 before;
	int i, fd;

	for (i = 0; i < 2; i++) {
		changer.tables[i] = calloc(MAX_ROUTES, sizeof(*changer.tables[i]));
		TEST_ASSERT(changer.tables[i], "Insufficient memory for a table");
		make_big_table(changer.tables[i], 0x41 + i);
	}
	if (!has_files(vm_create_split(1, NR_PINS), &self->vm, self->dir))
		SKIP(return, NO_FILES);
	changer.vm = self->vm;
	TEST_ASSERT_EQ(__set_routes(self->vm, changer.tables[1], MAX_ROUTES, 0), 0);
	TEST_ASSERT(!pthread_create(&thread, NULL, change_tables, &changer), "No thread");

	/* Until both were seen, and tables were replaced while a file was open. */
	for (reads = 0; reads < 10000 && (reads < 50 || !seen[0] || !seen[1]); reads++) {
		fd = open_vm_file(self->dir, "routes");
		before = READ_ONCE(changer.nr_updates);
		while (reads % 8 == 0 && READ_ONCE(changer.nr_updates) < before + 2)
			sched_yield();
		text = read_all(fd, 4096);
		seen[expect_big_file(text, 0x41, 0x42) - 0x41]++;
		free(text);
		close(fd);
	}
	WRITE_ONCE(changer.stop, true);
	pthread_join(thread, NULL);
	ksft_print_msg("%u files read during %lu updates: %u and %u of either table\n", reads,
		       changer.nr_updates, seen[0], seen[1]);
	TEST_ASSERT(seen[0] && seen[1], "One table was never seen");
}

/* An open file ends with the VM, and does not keep that from ending. */
TEST_F(files, when_the_vm_ends)
{
	struct irq_cpu cpu;
	char buf[8];
	int i, fds[3];

	if (!has_files(vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic),
		       &self->vm, self->dir))
		SKIP(return, NO_FILES);
	SET_ROUTES(self->vm, msi_route(5, LEVEL_MSI(0, 0x31)));
	fds[0] = open_vm_file(self->dir, "routes");
	fds[1] = open_vm_file(self->dir, "vcpus");
	fds[2] = open_vm_file(self->dir, "remarks");
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		TEST_ASSERT_EQ(read(fds[i], buf, sizeof(buf)), sizeof(buf));

	kvm_vm_free(self->vm);
	self->vm = NULL;
	TEST_ASSERT(access(self->dir, F_OK), "%s is left", self->dir);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		TEST_ASSERT(read(fds[i], buf, sizeof(buf)) < 0 && errno == EIO,
			    "A file can be read, errno %d", errno);
		close(fds[i]);
	}
}

/* Reading asks no vCPU for anything. */
TEST_F(files, reading_disturbs_nobody)
{
	struct irq_cpu cpu;
	u64 scans, requests;
	char *text;
	int i;

	if (!has_files(vm_create_split_with_cpus(&cpu, 1, NR_PINS, guest_x2apic),
		       &self->vm, self->dir))
		SKIP(return, NO_FILES);
	SET_ROUTES(self->vm, msi_route(5, LEVEL_MSI(0, 0x31)));
	EXPECT_IDLE(&cpu);
	scans = helper_read_counter("scans");
	requests = helper_read_counter("scan_requests");
	for (i = 0; i < 10; i++) {
		text = read_vm_file(self->dir, "vcpus");
		TEST_ASSERT(text, "Cannot read vcpus, errno %d", errno);
		free(text);
		EXPECT_IDLE(&cpu);
	}
	TEST_ASSERT_EQ(helper_read_counter("scans"), scans);
	TEST_ASSERT_EQ(helper_read_counter("scan_requests"), requests);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));

	return test_harness_run(argc, argv);
}
