// SPDX-License-Identifier: GPL-2.0
/*
 * Directories and files in debugfs.  They are made in C because a file that is
 * open must not outlive the code behind it: either that is the kernel's own, or
 * the file names the module as its owner.  The kernel crate does neither.
 */
#include <linux/debugfs.h>
#include <linux/module.h>

#include "helpers.h"

static int get_total(void *which, u64 *value)
{
	*value = irqroute_total((unsigned long)which);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(total_ops, get_total, NULL, "%llu\n");

void irqroute_debugfs_total(struct dentry *dir, const char *name, u32 which)
{
	debugfs_create_file_unsafe(name, 0444, dir, (void *)(unsigned long)which,
				   &total_ops);
}

void irqroute_debugfs_counter(struct dentry *dir, const char *name, u64 *counter)
{
	debugfs_create_u64(name, 0444, dir, counter);
}

void irqroute_debugfs_binding(struct dentry *dir, enum kvm_irqroute_mode mode,
			      bool parity)
{
	static u32 parities[] = { 0, 1 };

	debugfs_create_str("mode", 0444, dir, (char **)&irqroute_mode_names[mode]);
	debugfs_create_u32("parity", 0444, dir, &parities[parity]);
}

struct dentry *irqroute_debugfs_dir(struct dentry *parent, const char *name)
{
	return debugfs_create_dir(name, parent);
}

void irqroute_debugfs_remove(struct dentry *dir)
{
	debugfs_remove(dir);
}
