/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the crate sees of C besides the kernel crate: the hook ABI and our own
 * helpers.
 */
#include <linux/kvm_irqroute.h>

#include "../helpers.h"
