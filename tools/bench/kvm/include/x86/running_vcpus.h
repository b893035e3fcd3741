/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vCPUs that run, a thread for each, while another thread does something to their VM.
 */
#ifndef SELFTEST_KVM_RUNNING_VCPUS_H
#define SELFTEST_KVM_RUNNING_VCPUS_H

#include <pthread.h>

#include "exiting_vcpu.h"

#define MAX_RUNNING_VCPUS	16

static bool guest_stop;
static bool guest_runs[MAX_RUNNING_VCPUS];

/* A guest that takes interrupts, and does not leave on its own until it is told to. */
static __maybe_unused void guest_stays(u32 id)
{
	x2apic_enable();
	sti();
	for (;;) {
		WRITE_ONCE(guest_runs[id], true);
		/* PAUSE could exit. */
		while (!READ_ONCE(guest_stop))
			asm volatile("nop");
		asm volatile("outb %%al, %0" :: "i"(EXIT_PORT));
	}
}

struct running_vcpus {
	struct kvm_vm *vm;
	u32 nr;
	struct running_vcpu {
		struct running_vcpus *all;
		struct kvm_vcpu *vcpu;
		pthread_t thread;
		int pcpu;		/* where it runs, or -1 */
		u64 runs;		/* exits to userspace since the start */
	} vcpu[MAX_RUNNING_VCPUS];
	bool stop;
};

static inline void running_vcpus_add(struct running_vcpus *all, void *guest, int pcpu)
{
	u32 id = all->nr++;

	TEST_ASSERT(id < MAX_RUNNING_VCPUS, "At most %u vCPUs", MAX_RUNNING_VCPUS);
	all->vcpu[id] = (struct running_vcpu){
		.all = all,
		.vcpu = vm_vcpu_add(all->vm, id, guest),
		.pcpu = pcpu,
	};
	vcpu_args_set(all->vcpu[id].vcpu, 1, id);
}

static inline void *running_vcpu_thread(void *arg)
{
	struct running_vcpu *running = arg;

	if (running->pcpu >= 0)
		pin_self_to_cpu(running->pcpu);
	do {
		vcpu_run(running->vcpu);
		TEST_ASSERT_KVM_EXIT_REASON(running->vcpu, KVM_EXIT_IO);
		WRITE_ONCE(running->runs, running->runs + 1);
	} while (!READ_ONCE(running->all->stop));
	return NULL;
}

static inline void set_guest_stop(struct kvm_vm *vm, bool stop)
{
	guest_stop = stop;
	sync_global_to_guest(vm, guest_stop);
}

/* Returns when all of them have been in their guest. */
static inline void running_vcpus_start(struct running_vcpus *all)
{
	u32 id;

	memset(guest_runs, 0, sizeof(guest_runs));
	sync_global_to_guest(all->vm, guest_runs);
	set_guest_stop(all->vm, false);
	WRITE_ONCE(all->stop, false);
	for (id = 0; id < all->nr; id++) {
		all->vcpu[id].runs = 0;
		TEST_ASSERT_EQ(pthread_create(&all->vcpu[id].thread, NULL, running_vcpu_thread,
					      &all->vcpu[id]), 0);
	}
	for (id = 0; id < all->nr; id++) {
		do {
			sync_global_from_guest(all->vm, guest_runs);
		} while (!guest_runs[id] && !READ_ONCE(all->vcpu[id].runs));
	}
}

static inline void running_vcpus_stop(struct running_vcpus *all)
{
	u32 id;

	WRITE_ONCE(all->stop, true);
	set_guest_stop(all->vm, true);
	for (id = 0; id < all->nr; id++)
		TEST_ASSERT_EQ(pthread_join(all->vcpu[id].thread, NULL), 0);
}

/* All exits so far, those that KVM handles itself among them. */
static inline u64 running_vcpus_exits(struct running_vcpus *all)
{
	u64 sum = 0;
	u32 id;

	for (id = 0; id < all->nr; id++)
		sum += vcpu_get_stat(all->vcpu[id].vcpu, exits);
	return sum;
}

static inline u64 running_vcpus_runs(struct running_vcpus *all)
{
	u64 sum = 0;
	u32 id;

	for (id = 0; id < all->nr; id++)
		sum += READ_ONCE(all->vcpu[id].runs);
	return sum;
}

#endif /* SELFTEST_KVM_RUNNING_VCPUS_H */
