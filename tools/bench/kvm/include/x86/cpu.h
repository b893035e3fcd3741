/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks ask of an x86 CPU: its name, and the TSC.
 */
#ifndef SELFTEST_KVM_CPU_H
#define SELFTEST_KVM_CPU_H

#include <stdio.h>
#include <string.h>

#include "test_util.h"

static inline const char *cpu_name(void)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	static char line[256];

	TEST_ASSERT(file, "Cannot read /proc/cpuinfo");
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "model name", strlen("model name")))
			break;
	}
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return strchr(line, ':') + 2;
}

static inline u64 count(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) :: "memory");
	return (u64)high << 32 | low;
}

/* Two instructions a round. */
static inline void spin(u64 rounds)
{
	asm volatile("1: dec %0; jnz 1b" : "+r"(rounds));
}

#endif /* SELFTEST_KVM_CPU_H */
