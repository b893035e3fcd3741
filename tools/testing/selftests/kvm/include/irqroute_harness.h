/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The harness of the KVM selftests, without its limit of 30 seconds a test: how
 * long one takes says something about the CPU, the emulator and the sanitizers
 * only.  Whoever runs a test sets a limit.
 */
#ifndef SELFTEST_KVM_IRQROUTE_HARNESS_H
#define SELFTEST_KVM_IRQROUTE_HARNESS_H

#include "kvm_test_harness.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	(-1)

#endif /* SELFTEST_KVM_IRQROUTE_HARNESS_H */
