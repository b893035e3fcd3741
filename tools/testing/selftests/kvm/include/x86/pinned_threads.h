/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that stay on a CPU, so that one can be stopped by another at any point: by one of a
 * real-time class that waits for a timer.
 */
#ifndef SELFTEST_KVM_PINNED_THREADS_H
#define SELFTEST_KVM_PINNED_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <sys/timerfd.h>
#include <time.h>

#include "processor.h"
#include "test_util.h"

static inline void thread_run_on(pthread_t thread, int cpu, int policy)
{
	struct sched_param param = { .sched_priority = policy == SCHED_FIFO };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	TEST_ASSERT(!pthread_setaffinity_np(thread, sizeof(set), &set), "No CPU %d", cpu);
	TEST_ASSERT(!pthread_setschedparam(thread, policy, &param), "No policy %d", policy);
}

static inline pthread_t thread_start(void *(*fn)(void *), void *arg, int cpu, int policy)
{
	pthread_t thread;

	TEST_ASSERT(!pthread_create(&thread, NULL, fn, arg), "No thread");
	thread_run_on(thread, cpu, policy);
	return thread;
}

/* Has the timer expire in so many nanoseconds, or not at all. */
static inline void timer_set(int timer_fd, long ns)
{
	struct itimerspec timer = { .it_value.tv_nsec = ns };

	TEST_ASSERT(!timerfd_settime(timer_fd, 0, &timer, NULL), "timerfd_settime() failed");
}

static inline long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (long)NSEC_PER_SEC + now.tv_nsec;
}

#endif /* SELFTEST_KVM_PINNED_THREADS_H */
