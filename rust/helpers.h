/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C parts of the module that the crate calls.
 */
#ifndef _IRQROUTE_HELPERS_H
#define _IRQROUTE_HELPERS_H

#include <linux/kvm_irqroute.h>

struct dentry;
struct irqroute_opened;	/* the crate's: a file that is open */
struct irqroute_shown;	/* the crate's: what the files of a VM show */
struct seq_file;

/* What the values of parameter mode are called. */
extern const char * const irqroute_mode_names[];

/* Module parameters, as of now.  Any context. */
enum kvm_irqroute_mode irqroute_param_mode(void);
bool irqroute_param_parity(void);

/* Whether one more line about a difference may be logged.  Any context. */
bool irqroute_may_log(void);

/*
 * Copies the routes of the current table if there is @room for all, and returns
 * how many there are.  -EINTR if the caller is killed meanwhile, -ENODEV if KVM
 * was built from other headers.  Process context, may sleep; takes update_lock.
 * Not before the first update of the VM has begun, nor after release.
 */
int irqroute_copy_routes(struct kvm *kvm, struct kvm_irq_routing_entry *routes, u32 room);

/* The same, for a hook that is called with update_lock held. */
int irqroute_copy_routes_locked(struct kvm *kvm, struct kvm_irq_routing_entry *routes, u32 room);

/*
 * What decides how the routes of a VM are read, as of now, and on x86 whether its
 * irqchip is split, on arm64 whether it has an ITS.  Any context; as above.
 */
bool irqroute_view_vm(struct kvm *kvm, struct kvm_irqroute_vm_view *view);

/*
 * x86: how many irqfds have a producer, by enum kvm_irqroute_posting.  -ENODEV if KVM
 * was built from other headers.  Any context.  Not after release.
 */
int irqroute_count_postings(struct kvm *kvm, u32 *nr);

/*
 * x86: what becomes of the IRQ of an irqfd with this GSI, as enum kvm_irqroute_posting, of
 * one that has a producer if there are several.  Process context; takes irqfds.lock.  As
 * irqroute_copy_routes(), and KVM was built from the same headers.
 */
u32 irqroute_find_posting(struct kvm *kvm, u32 gsi);

/* An EOI of a vCPU, and the pins whose level-triggered routes have its vector. */
struct irqroute_eoi {
	u32 vcpu_id;
	u32 nr_pins;	/* also those without room */
	u32 pins[16];
};

/*
 * x86: what is known of the EOI of a vector by the current table.  Returns whether KVM was
 * built from the same headers.  Any context; the thread that has the vCPU's mutex.
 */
bool irqroute_view_eoi(struct kvm_vcpu *vcpu, u8 vector, struct irqroute_eoi *eoi);

/* x86: VP indexes are lower. */
u32 irqroute_max_vcpus(void);

/* Lets others run.  Process context. */
void irqroute_cond_resched(void);

/*
 * debugfs.  Process context, may sleep.  Removal waits for readers, takes what
 * is in the directory along, and does nothing for NULL.  A counter must stay
 * valid until its directory is removed, and so must what a file shows.
 */
struct dentry *irqroute_debugfs_dir(struct dentry *parent, const char *name);
void irqroute_debugfs_total(struct dentry *dir, const char *name, u32 which);
void irqroute_debugfs_counter(struct dentry *dir, const char *name, u64 *counter);
void irqroute_debugfs_binding(struct dentry *dir, enum kvm_irqroute_mode mode,
			      bool parity);
void irqroute_debugfs_file(struct dentry *dir, const char *name, u32 which,
			   struct irqroute_shown *shown);
void irqroute_debugfs_remove(struct dentry *dir);

/* The crate's: the value of a total file.  Process context, may sleep. */
u64 irqroute_total(u32 which);

/*
 * The crate's: a file of a VM, from a look at the VM when it is opened.  It has
 * records, the first of which names the columns.  Process context, may
 * sleep.
 */
int irqroute_file_open(const struct irqroute_shown *shown, u32 which,
		       struct irqroute_opened **opened);
u64 irqroute_file_records(const struct irqroute_opened *opened);
void irqroute_file_show(const struct irqroute_opened *opened, u64 record,
			struct seq_file *seq);
void irqroute_file_close(struct irqroute_opened *opened);

#endif /* _IRQROUTE_HELPERS_H */
