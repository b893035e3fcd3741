// SPDX-License-Identifier: GPL-2.0
/*
 * The symbol that KVM looks for.  It is in abi.rs.
 */
#include <linux/export.h>
#include <linux/kvm_irqroute.h>

EXPORT_SYMBOL_GPL(kvm_irqroute_hooks);
