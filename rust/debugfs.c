// SPDX-License-Identifier: GPL-2.0
/*
 * Directories and files in debugfs.  They are made in C because a file that is
 * open must not outlive the code behind it: either that is the kernel's own, or
 * the file names the module as its owner.  The kernel crate does neither.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

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

/* Records are numbered; what they say is known since the file was opened. */
static void *record_at(struct seq_file *seq, loff_t number)
{
	return number < irqroute_file_records(seq->private) ? (void *)(long)(number + 1) : NULL;
}

static void *start_records(struct seq_file *seq, loff_t *number)
{
	return record_at(seq, *number);
}

static void *next_record(struct seq_file *seq, void *record, loff_t *number)
{
	return record_at(seq, ++*number);
}

static void stop_records(struct seq_file *seq, void *record)
{
}

static int show_record(struct seq_file *seq, void *record)
{
	irqroute_file_show(seq->private, (unsigned long)record - 1, seq);
	return 0;
}

static const struct seq_operations record_ops = {
	.start = start_records,
	.next = next_record,
	.stop = stop_records,
	.show = show_record,
};

static int open_file(struct inode *inode, struct file *file)
{
	struct irqroute_opened *opened;
	int r;

	r = irqroute_file_open(inode->i_private, debugfs_get_aux_num(file), &opened);
	if (r)
		return r;

	r = seq_open(file, &record_ops);
	if (r)
		irqroute_file_close(opened);
	else
		((struct seq_file *)file->private_data)->private = opened;
	return r;
}

static int release_file(struct inode *inode, struct file *file)
{
	irqroute_file_close(((struct seq_file *)file->private_data)->private);
	return seq_release(inode, file);
}

static const struct file_operations file_ops = {
	.owner = THIS_MODULE,
	.open = open_file,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = release_file,
};

void irqroute_debugfs_file(struct dentry *dir, const char *name, u32 which,
			   struct irqroute_shown *shown)
{
	debugfs_create_file_aux_num(name, 0444, dir, shown, which, &file_ops);
}

struct dentry *irqroute_debugfs_dir(struct dentry *parent, const char *name)
{
	return debugfs_create_dir(name, parent);
}

void irqroute_debugfs_remove(struct dentry *dir)
{
	debugfs_remove(dir);
}
