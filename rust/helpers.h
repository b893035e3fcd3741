/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C parts of the module that the crate calls.
 */
#ifndef _IRQROUTE_HELPERS_H
#define _IRQROUTE_HELPERS_H

#include <linux/kvm_irqroute.h>

struct dentry;

/* What the values of parameter mode are called. */
extern const char * const irqroute_mode_names[];

/* Module parameters, as of now.  Any context. */
enum kvm_irqroute_mode irqroute_param_mode(void);
bool irqroute_param_parity(void);

/* Whether one more line about a difference may be logged.  Any context. */
bool irqroute_may_log(void);

/*
 * debugfs.  Process context, may sleep.  Removal waits for readers, takes what
 * is in the directory along, and does nothing for NULL.  A counter must stay
 * valid until its directory is removed.
 */
struct dentry *irqroute_debugfs_dir(struct dentry *parent, const char *name);
void irqroute_debugfs_total(struct dentry *dir, const char *name, u32 which);
void irqroute_debugfs_counter(struct dentry *dir, const char *name, u64 *counter);
void irqroute_debugfs_binding(struct dentry *dir, enum kvm_irqroute_mode mode,
			      bool parity);
void irqroute_debugfs_remove(struct dentry *dir);

/* The crate's: the value of a total file.  Process context, may sleep. */
u64 irqroute_total(u32 which);

#endif /* _IRQROUTE_HELPERS_H */
