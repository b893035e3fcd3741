// SPDX-License-Identifier: GPL-2.0
/*
 * The symbols that KVM looks for.  The functions are in abi.rs.
 */
#include <linux/export.h>
#include <linux/kvm_irqroute.h>

const struct kvm_irqroute_abi kvm_irqroute_abi = KVM_IRQROUTE_ABI_INIT;
EXPORT_SYMBOL_GPL(kvm_irqroute_abi);

EXPORT_SYMBOL_GPL(kvm_irqroute_bind);
EXPORT_SYMBOL_GPL(kvm_irqroute_release);
EXPORT_SYMBOL_GPL(kvm_irqroute_index_build);
EXPORT_SYMBOL_GPL(kvm_irqroute_index_free);
EXPORT_SYMBOL_GPL(kvm_irqroute_prepare);
EXPORT_SYMBOL_GPL(kvm_irqroute_update);
EXPORT_SYMBOL_GPL(kvm_irqroute_settled);
EXPORT_SYMBOL_GPL(kvm_irqroute_reading_changed);
EXPORT_SYMBOL_GPL(kvm_irqroute_scan);
EXPORT_SYMBOL_GPL(kvm_irqroute_verify_scan);
EXPORT_SYMBOL_GPL(kvm_irqroute_sint_setup);
EXPORT_SYMBOL_GPL(kvm_irqroute_sint_decide);
EXPORT_SYMBOL_GPL(kvm_irqroute_sint_deliver);
EXPORT_SYMBOL_GPL(kvm_irqroute_verify_sint);
EXPORT_SYMBOL_GPL(kvm_irqroute_sint_acked);
