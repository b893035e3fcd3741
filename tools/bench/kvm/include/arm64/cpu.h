/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks ask of an arm64 CPU: its name, and the virtual counter.
 */
#ifndef SELFTEST_KVM_CPU_H
#define SELFTEST_KVM_CPU_H

#include <stdio.h>

#include "test_util.h"

/* Cores have no names but the numbers that their makers give them. */
static inline const char *cpu_name(void)
{
	static char name[32];
	u64 midr;

	/* The kernel emulates it. */
	asm("mrs %0, midr_el1" : "=r"(midr));
	snprintf(name, sizeof(name), "MIDR_EL1 %#lx", midr);
	return name;
}

static inline u64 count(void)
{
	u64 value;

	asm volatile("isb; mrs %0, cntvct_el0; isb" : "=r"(value) :: "memory");
	return value;
}

/* Two instructions a round. */
static inline void spin(u64 rounds)
{
	asm volatile("1: subs %0, %0, #1; b.ne 1b" : "+r"(rounds) :: "cc");
}

#endif /* SELFTEST_KVM_CPU_H */
