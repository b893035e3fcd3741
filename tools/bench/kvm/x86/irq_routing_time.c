// SPDX-License-Identifier: GPL-2.0
/*
 * How long VMMs wait for KVM because of interrupt routes:
 *
 *	boot	a guest programs the pins of its I/O APIC, and then MSI-X vectors, one
 *		by one; for each, the VMM sets the table anew
 *	restore	many VMMs at once do that, or set a whole table each
 *	busy	a VMM sets tables while its vCPUs run and its irqfds fire
 *	crowd	a level route moves while many vCPUs run, which scan it
 *
 * Each turn has VMs of its own, all on one side.  Of busy and crowd it gives quantiles of
 * as many updates of each kind as --updates says.
 *
 * usage: irq_routing_time [--turns N] [--updates N] [boot | restore | busy | crowd]...
 */
#include <getopt.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "running_vcpus.h"
#include "turns.h"

#define NR_PINS			24
#define NR_FEW_VECTORS		64
#define NR_MANY_VECTORS		2048
#define NR_GSIS			(NR_PINS + NR_FEW_VECTORS + NR_MANY_VECTORS)
#define NR_BOOT_VCPUS		2
#define NR_RESTORED		32

#define VECTOR(_gsi)		(FIRST_IRQ_VECTOR + (_gsi) % 0xc0)
#define WAKEUP_VECTOR		0xf0

static u32 nr_turns = 5, nr_updates = 200;

/*
 * What a VMM has of routes.  A pin or vector that the guest has masked has none: so it is
 * with Cloud Hypervisor.
 */
struct vmm {
	int vm_fd;
	struct kvm_vcpu *vcpu;	/* whose guest programs interrupts, if there is one */
	struct kvm_irq_routing_entry routes[NR_GSIS];
	bool unmasked[NR_GSIS];
	struct kvm_irq_routing *table;
	int irqfds[NR_GSIS];
	u32 nr_irqfds;

	/* Of the phase that is on. */
	u64 start, sum, worst;
};

static struct vmm *vmm_new(int vm_fd, struct kvm_vcpu *vcpu)
{
	struct vmm *vmm = calloc(1, sizeof(*vmm));

	TEST_ASSERT(vmm, "Insufficient memory");
	vmm->vm_fd = vm_fd;
	vmm->vcpu = vcpu;
	vmm->table = table_new(NR_GSIS);
	return vmm;
}

static void vmm_free(struct vmm *vmm)
{
	while (vmm->nr_irqfds)
		close(vmm->irqfds[--vmm->nr_irqfds]);
	free(vmm->table);
	free(vmm);
}

static void vmm_ioctl(struct vmm *vmm, unsigned long request, void *arg)
{
	u64 start = now(), took;
	int ret = ioctl(vmm->vm_fd, request, arg);

	took = now() - start;
	TEST_ASSERT(!ret, "ioctl %#lx: errno %d", request, errno);
	vmm->sum += took;
	vmm->worst = max(vmm->worst, took);
}

static void vmm_set_table(struct vmm *vmm)
{
	u32 gsi;

	vmm->table->nr = 0;
	for (gsi = 0; gsi < NR_GSIS; gsi++)
		if (vmm->unmasked[gsi])
			vmm->table->entries[vmm->table->nr++] = vmm->routes[gsi];
	vmm_ioctl(vmm, KVM_SET_GSI_ROUTING, vmm->table);
}

/* Routes of pins are level-triggered, all others are edge-triggered. */
static struct kvm_irq_routing_entry vmm_route(u32 gsi, u32 dest)
{
	return msi_route(gsi, (struct msi){
		.dest = dest,
		.vector = VECTOR(gsi),
		.level = gsi < NR_PINS,
	});
}

/* The guest has written to the registers of a pin or a vector. */
static void vmm_write(struct vmm *vmm, u32 gsi, u32 dest, bool unmasked)
{
	if (vmm->vcpu)
		vcpu_run(vmm->vcpu);
	vmm->routes[gsi] = vmm_route(gsi, dest);
	vmm->unmasked[gsi] = unmasked;
	vmm_set_table(vmm);
}

static void vmm_assign_irqfd(struct vmm *vmm, u32 gsi)
{
	struct kvm_irqfd irqfd = { .fd = kvm_new_eventfd(), .gsi = gsi };

	vmm->irqfds[vmm->nr_irqfds++] = irqfd.fd;
	vmm_ioctl(vmm, KVM_IRQFD, &irqfd);
}

/* As Linux does: each pin is masked, and unmasked once it has its vector and destination. */
static void set_up_pins(struct vmm *vmm, u32 nr)
{
	u32 pin;

	for (pin = 0; pin < nr; pin++) {
		vmm_write(vmm, pin, 0, false);
		vmm_write(vmm, pin, 0, true);
	}
}

/* As Linux does when it spreads interrupts: each pin gets another destination. */
static void move_pins(struct vmm *vmm, u32 nr)
{
	u32 pin;

	for (pin = 0; pin < nr; pin++) {
		vmm_write(vmm, pin, 0, false);
		vmm_write(vmm, pin, 1, false);
		vmm_write(vmm, pin, 1, true);
	}
}

static void set_up_vectors(struct vmm *vmm, u32 nr)
{
	const u32 first = NR_PINS + vmm->nr_irqfds;
	u32 gsi;

	for (gsi = first; gsi < first + nr; gsi++) {
		vmm_assign_irqfd(vmm, gsi);
		vmm_write(vmm, gsi, gsi % NR_BOOT_VCPUS, true);
	}
}

static void guest_ignores(struct ex_regs *regs)
{
	x2apic_write_reg(APIC_EOI, 0);
}

static void guest_idles(u32 id)
{
	x2apic_enable();
	for (;;) {
		WRITE_ONCE(guest_runs[id], true);
		while (!READ_ONCE(guest_stop)) {
			safe_halt();
			cli();
		}
		asm volatile("outb %%al, %0" :: "i"(EXIT_PORT));
	}
}

static const struct phase {
	const char *name;
	void (*take)(struct vmm *vmm, u32 nr);
	u32 nr;
} phases[] = {
	{ "pins", set_up_pins, NR_PINS },
	{ "moves", move_pins, NR_PINS },
	{ "vectors", set_up_vectors, NR_FEW_VECTORS },
	{ "vectors", set_up_vectors, NR_MANY_VECTORS },
};

static void note_phase(enum side side, const struct phase *phase, const char *what, u64 ns)
{
	note(side, "boot", PARAMETERS("phase=%s nr=%u time=%s", phase->name, phase->nr, what), "ns",
	     ns);
}

/*
 * One of the guest's vCPUs programs interrupts, and the other one is idle.  What the first one
 * does between the ioctls, scans among it, is in "whole" only.
 */
static void boot(enum side side)
{
	struct running_vcpus idle = {};
	struct kvm_vcpu *vcpu;
	struct vmm *vmm;
	int i;

	idle.vm = CREATE_ON(side, vm_create_split(NR_BOOT_VCPUS, NR_PINS));
	vm_install_exception_handler(idle.vm, WAKEUP_VECTOR, guest_ignores);
	vcpu = exiting_vcpu_add(idle.vm, 1);
	running_vcpus_add(&idle, guest_idles, -1);
	running_vcpus_start(&idle);
	vmm = vmm_new(idle.vm->fd, vcpu);
	for (i = 0; i < ARRAY_SIZE(phases); i++) {
		const struct phase *phase = &phases[i];

		vmm->sum = 0;
		vmm->worst = 0;
		vmm->start = now();
		phase->take(vmm, phase->nr);
		note_phase(side, phase, "whole", now() - vmm->start);
		note_phase(side, phase, "sum", vmm->sum);
		note_phase(side, phase, "worst", vmm->worst);
	}
	set_guest_stop(idle.vm, true);
	signal_msi(idle.vm, EDGE_MSI(0, WAKEUP_VECTOR));
	running_vcpus_stop(&idle);
	vmm_free(vmm);
	kvm_vm_free(idle.vm);
}

/* A VM with a split irqchip and vCPUs that have yet to run. */
static int restored_vm(void)
{
	int kvm_fd = open_kvm_dev_path_or_exit(), vm_fd;
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args[0] = NR_PINS,
	};
	unsigned long id;

	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	TEST_ASSERT(vm_fd >= 0, "KVM_CREATE_VM: errno %d", errno);
	TEST_ASSERT_EQ(ioctl(vm_fd, KVM_ENABLE_CAP, &split), 0);
	for (id = 0; id < NR_BOOT_VCPUS; id++)
		TEST_ASSERT(ioctl(vm_fd, KVM_CREATE_VCPU, id) >= 0, "KVM_CREATE_VCPU: errno %d",
			    errno);
	return vm_fd;
}

static void prepare_nothing(struct vmm *vmm, u32 nr_vectors)
{
}

static void restore_one_by_one(struct vmm *vmm, u32 nr_vectors)
{
	set_up_pins(vmm, NR_PINS);
	set_up_vectors(vmm, nr_vectors);
}

static void prepare_irqfds(struct vmm *vmm, u32 nr_vectors)
{
	u32 gsi;

	for (gsi = 0; gsi < NR_PINS + nr_vectors; gsi++) {
		vmm->routes[gsi] = vmm_route(gsi, gsi % NR_BOOT_VCPUS);
		vmm->unmasked[gsi] = true;
		if (gsi >= NR_PINS)
			vmm_assign_irqfd(vmm, gsi);
	}
}

static void restore_at_once(struct vmm *vmm, u32 nr_vectors)
{
	vmm_set_table(vmm);
}

static const struct restore {
	const char *name;
	void (*prepare)(struct vmm *vmm, u32 nr_vectors);	/* takes no time */
	void (*take)(struct vmm *vmm, u32 nr_vectors);
	u32 nr_vectors;
} restores[] = {
	{ "one-by-one", prepare_nothing, restore_one_by_one, NR_FEW_VECTORS },
	{ "at-once", prepare_irqfds, restore_at_once, NR_FEW_VECTORS },
	{ "at-once", prepare_irqfds, restore_at_once, NR_MANY_VECTORS },
};

/* Pipes between processes that are restored at once and the one that has them restored. */
struct gate {
	int reached[2];		/* a byte from each process that has got there */
	int opened[2];		/* nobody can write to it any more */
};

static void gate_init(struct gate *gate)
{
	TEST_ASSERT(!pipe(gate->reached) && !pipe(gate->opened), "pipe: errno %d", errno);
}

static void gate_wait(struct gate *gate)
{
	char c = 0;

	TEST_ASSERT_EQ(write(gate->reached[1], &c, 1), 1);
	TEST_ASSERT_EQ(read(gate->opened[0], &c, 1), 0);
}

/* Waits until all are at the gate. */
static void gate_gather(struct gate *gate)
{
	char c;
	int i;

	close(gate->reached[1]);
	close(gate->opened[0]);
	for (i = 0; i < NR_RESTORED; i++)
		TEST_ASSERT(read(gate->reached[0], &c, 1) == 1, "A process failed");
	close(gate->reached[0]);
}

static void restore_in_child(const struct restore *restore, struct gate *start, struct gate *end,
			     u64 *ended)
{
	struct vmm *vmm;

	close(start->opened[1]);
	close(end->opened[1]);
	vmm = vmm_new(restored_vm(), NULL);
	restore->prepare(vmm, restore->nr_vectors);
	gate_wait(start);
	restore->take(vmm, restore->nr_vectors);
	*ended = now();
	/* To end a VM takes time, which others would lose. */
	gate_wait(end);
	_exit(0);
}

/* From when all begin until the last one is done. */
static u64 restore_all(enum side side, const struct restore *restore, u64 *ends)
{
	const u64 bound = helper_nr_bound();
	pid_t children[NR_RESTORED];
	struct gate start, end;
	u64 begin, last = 0;
	int i, status;

	take_side(side);
	gate_init(&start);
	gate_init(&end);
	for (i = 0; i < NR_RESTORED; i++) {
		children[i] = fork();
		TEST_ASSERT(children[i] >= 0, "fork: errno %d", errno);
		if (!children[i])
			restore_in_child(restore, &start, &end, &ends[i]);
	}
	gate_gather(&start);
	TEST_ASSERT_EQ(helper_nr_bound() - bound, (u64)(side == RUST) * NR_RESTORED);

	begin = now();
	close(start.opened[1]);
	gate_gather(&end);
	close(end.opened[1]);
	for (i = 0; i < NR_RESTORED; i++) {
		TEST_ASSERT_EQ(waitpid(children[i], &status, 0), children[i]);
		TEST_ASSERT(!status, "A process ended with status %#x", status);
		last = max(last, ends[i]);
	}
	return last - begin;
}

static void restore(enum side side)
{
	static u64 *ends;
	int i;

	if (!ends) {
		ends = mmap(NULL, NR_RESTORED * sizeof(*ends), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		TEST_ASSERT(ends != MAP_FAILED, "mmap: errno %d", errno);
	}
	for (i = 0; i < ARRAY_SIZE(restores); i++)
		note(side, "restore",
		     PARAMETERS("vmms=%u tables=%s vectors=%u", NR_RESTORED, restores[i].name,
				restores[i].nr_vectors),
		     "ns", restore_all(side, &restores[i], ends));
}

/* Between two updates, so that what goes on meanwhile has time to. */
#define UPDATE_PAUSE_US		1000

/* What is noted of a turn's updates, besides the time that they took. */
struct span {
	u64 start, exits, runs, interrupts;
};

static struct span span_now(struct running_vcpus *vcpus, const u64 *taken)
{
	struct span span = {
		.start = now(),
		.exits = running_vcpus_exits(vcpus),
		.runs = running_vcpus_runs(vcpus),
	};
	u32 i;

	for (i = 0; taken && i < 256; i++)
		span.interrupts += READ_ONCE(taken[i]);
	return span;
}

static void note_quantiles(enum side side, const char *name, const char *update, u64 *times)
{
	int i;

	sort_u64(times, nr_updates);
	/* The least of them tells little. */
	for (i = 1; i < ARRAY_SIZE(quantiles); i++)
		note(side, name, PARAMETERS("update=%s time=%s", update, quantiles[i].name), "ns",
		     quantile(times, nr_updates, i));
}

static void note_rate(enum side side, const char *name, const char *update, const char *unit,
		      u64 nr, u64 ns)
{
	note(side, name, PARAMETERS("update=%s", update), unit, nr * NSEC_PER_SEC / ns);
}

/* Tables of this many routes, those of pins first. */
#define NR_BUSY_ROUTES		(NR_PINS + NR_FEW_VECTORS)
#define NR_BUSY_VCPUS		2
#define FIRST_BUSY_IRQFD	NR_PINS
#define NR_BUSY_IRQFDS		8
/* What changes, none of which an irqfd has. */
#define CHANGING_PIN		5
#define CHANGING_GSI		(NR_BUSY_ROUTES - 1)
#define CHANGED_VECTOR		0xf0
#define FIRE_PAUSE_US		100

/* By vector. */
static u64 guest_taken[256];

static void guest_counts(struct ex_regs *regs)
{
	guest_taken[regs->vector]++;
	x2apic_write_reg(APIC_EOI, 0);
}

struct device {
	int irqfds[NR_BUSY_IRQFDS];
	bool stop;
};

static void *device_thread(void *arg)
{
	struct device *device = arg;
	u32 i = 0;

	while (!READ_ONCE(device->stop)) {
		TEST_ASSERT_EQ(eventfd_write(device->irqfds[i++ % NR_BUSY_IRQFDS], 1), 0);
		usleep(FIRE_PAUSE_US);
	}
	return NULL;
}

/* How one table differs from the one before. */
static const struct kind {
	const char *name;
	bool shrinks;		/* before, which takes no time */
	int changes;		/* this GSI, to and fro */
} kinds[] = {
	{ "same", false, -1 },
	{ "adds", true, -1 },
	{ "changes-edge", false, CHANGING_GSI },
	{ "changes-level", false, CHANGING_PIN },
};

static struct kvm_irq_routing *busy_table(int changed)
{
	struct kvm_irq_routing *table = table_new(NR_BUSY_ROUTES);
	u32 gsi;

	for (gsi = 0; gsi < NR_BUSY_ROUTES; gsi++)
		table->entries[gsi] = msi_route(gsi, (struct msi){
			.dest = gsi % NR_BUSY_VCPUS,
			.vector = gsi == changed ? CHANGED_VECTOR : VECTOR(gsi),
			.level = gsi < NR_PINS,
		});
	return table;
}

static void take_updates(enum side side, struct running_vcpus *vcpus, const struct kind *kind,
			 const u64 *taken)
{
	struct kvm_irq_routing *tables[2] = { busy_table(-1), busy_table(kind->changes) };
	u64 *times = calloc(nr_updates, sizeof(*times)), start, ns;
	struct span before, after;
	u32 i;

	TEST_ASSERT(times, "Insufficient memory");
	table_set(vcpus->vm, tables[1]);
	before = span_now(vcpus, taken);
	for (i = 0; i < nr_updates; i++) {
		struct kvm_irq_routing *table = tables[i % 2];

		if (kind->shrinks) {
			table->nr--;
			table_set(vcpus->vm, table);
			table->nr++;
		}
		start = now();
		table_set(vcpus->vm, table);
		times[i] = now() - start;
		usleep(UPDATE_PAUSE_US);
	}
	after = span_now(vcpus, taken);
	ns = after.start - before.start;
	note_quantiles(side, "busy", kind->name, times);
	note_rate(side, "busy-exits", kind->name, "exits/s", after.exits - before.exits, ns);
	note_rate(side, "busy-interrupts", kind->name, "interrupts/s",
		  after.interrupts - before.interrupts, ns);
	free(times);
	free(tables[0]);
	free(tables[1]);
}

static void busy(enum side side)
{
	struct running_vcpus vcpus = {};
	struct kvm_irq_routing *table;
	struct device device = {};
	pthread_t thread;
	const u64 *taken;
	u32 i, vector;

	vcpus.vm = CREATE_ON(side, vm_create_split(NR_BUSY_VCPUS, NR_PINS));
	for (vector = FIRST_IRQ_VECTOR; vector < 256; vector++)
		vm_install_exception_handler(vcpus.vm, vector, guest_counts);
	for (i = 0; i < NR_BUSY_VCPUS; i++)
		running_vcpus_add(&vcpus, guest_stays, -1);
	taken = addr_gva2hva(vcpus.vm, (gva_t)guest_taken);
	table = busy_table(-1);
	table_set(vcpus.vm, table);
	free(table);
	for (i = 0; i < NR_BUSY_IRQFDS; i++) {
		device.irqfds[i] = kvm_new_eventfd();
		kvm_assign_irqfd(vcpus.vm, FIRST_BUSY_IRQFD + i, device.irqfds[i]);
	}

	running_vcpus_start(&vcpus);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, device_thread, &device), 0);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		take_updates(side, &vcpus, &kinds[i], taken);
	WRITE_ONCE(device.stop, true);
	TEST_ASSERT_EQ(pthread_join(thread, NULL), 0);
	running_vcpus_stop(&vcpus);

	for (i = 0; i < NR_BUSY_IRQFDS; i++) {
		TEST_ASSERT(taken[VECTOR(FIRST_BUSY_IRQFD + i)], "Irqfd %u raised nothing", i);
		close(device.irqfds[i]);
	}
	kvm_vm_free(vcpus.vm);
}

#define NR_CROWD_VCPUS		8

/* One level route, which goes to one vCPU after the other, or to all with another vector. */
static void take_crowded_updates(enum side side, struct running_vcpus *vcpus, bool to_all)
{
	const char *name = to_all ? "level-broadcast" : "level-moves";
	u64 *times = calloc(nr_updates, sizeof(*times)), start;
	struct kvm_irq_routing *table = busy_table(-1);
	struct span before, after;
	u32 i;

	TEST_ASSERT(times, "Insufficient memory");
	table_set(vcpus->vm, table);
	before = span_now(vcpus, NULL);
	for (i = 0; i < nr_updates; i++) {
		table->entries[CHANGING_PIN] = msi_route(CHANGING_PIN, (struct msi){
			.dest = to_all ? XAPIC_BROADCAST : i % NR_CROWD_VCPUS,
			.vector = CHANGED_VECTOR + (to_all && i % 2),
			.level = true,
		});
		start = now();
		table_set(vcpus->vm, table);
		times[i] = now() - start;
		usleep(UPDATE_PAUSE_US);
	}
	after = span_now(vcpus, NULL);
	note_quantiles(side, "crowd", name, times);
	note_rate(side, "crowd-runs", name, "runs/s", after.runs - before.runs,
		  after.start - before.start);
	free(times);
	free(table);
}

static void crowd(enum side side)
{
	struct running_vcpus vcpus = {};
	u32 i;

	vcpus.vm = CREATE_ON(side, vm_create_split(NR_CROWD_VCPUS, NR_PINS));
	for (i = 0; i < NR_CROWD_VCPUS; i++)
		running_vcpus_add(&vcpus, guest_exits, -1);
	running_vcpus_start(&vcpus);
	take_crowded_updates(side, &vcpus, false);
	take_crowded_updates(side, &vcpus, true);
	running_vcpus_stop(&vcpus);
	kvm_vm_free(vcpus.vm);
}

static const struct {
	const char *name;
	void (*take_turn)(enum side side);
} groups[] = {
	{ "boot", boot },
	{ "restore", restore },
	{ "busy", busy },
	{ "crowd", crowd },
};

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "turns", required_argument, NULL, 't' },
		{ "updates", required_argument, NULL, 'u' },
		{ }
	};
	struct rlimit limit = { .rlim_cur = 2 * NR_GSIS, .rlim_max = 2 * NR_GSIS };
	int opt, i, j;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 't':
			nr_turns = atoi_positive("--turns", optarg);
			TEST_ASSERT(nr_turns <= MAX_TURNS, "At most %u turns", MAX_TURNS);
			break;
		case 'u':
			nr_updates = atoi_positive("--updates", optarg);
			break;
		default:
			fprintf(stderr, "usage: %s [--turns N] [--updates N] [GROUP]...\n",
				argv[0]);
			return KSFT_FAIL;
		}
	}

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_BINARY_STATS_FD));
	TEST_ASSERT(!setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE: errno %d", errno);

	find_sides();
	print_kernel_and_cpu();
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		bool wanted = optind == argc;

		for (j = optind; j < argc; j++)
			wanted |= !strcmp(argv[j], groups[i].name);
		if (wanted)
			take_turns(nr_turns, groups[i].name, groups[i].take_turn);
	}
	return 0;
}
