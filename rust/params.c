// SPDX-License-Identifier: GPL-2.0
/*
 * Module parameters.  The module! macro has neither strings nor parameters that
 * can be written through sysfs.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "helpers.h"

const char * const irqroute_mode_names[] = {
	[KVM_IRQROUTE_C] = "c",
	[KVM_IRQROUTE_RUST] = "rust",
	[KVM_IRQROUTE_VERIFY] = "verify",
	[KVM_IRQROUTE_PARITY] = "rust",	/* with parameter parity */
};

static int mode = KVM_IRQROUTE_RUST;
static bool parity;

static int set_mode(const char *value, const struct kernel_param *param)
{
	int match = sysfs_match_string(irqroute_mode_names, value);

	if (match < 0)
		return match;

	WRITE_ONCE(mode, match);
	return 0;
}

static int get_mode(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", irqroute_mode_names[READ_ONCE(mode)]);
}

static const struct kernel_param_ops mode_ops = {
	.set = set_mode,
	.get = get_mode,
};

module_param_cb(mode, &mode_ops, NULL, 0644);
__MODULE_PARM_TYPE(mode, "string");
MODULE_PARM_DESC(mode, "Who handles the interrupt routes of new VMs: rust (default), c, or verify (KVM's C does, Rust checks it)");

static int get_parity(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", READ_ONCE(parity));
}

static const struct kernel_param_ops parity_ops = {
	.set = param_set_bool,
	.get = get_parity,
};

module_param_cb(parity, &parity_ops, &parity, 0644);
__MODULE_PARM_TYPE(parity, "bool");
MODULE_PARM_DESC(parity, "Whether new VMs keep the defects of KVM's C: 0 (default) or 1");

MODULE_VERSION("0.1");

enum kvm_irqroute_mode irqroute_param_mode(void)
{
	return READ_ONCE(mode);
}

bool irqroute_param_parity(void)
{
	return READ_ONCE(parity);
}
