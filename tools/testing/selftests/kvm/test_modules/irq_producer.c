// SPDX-License-Identifier: GPL-2.0
/*
 * An IRQ that KVM can post to a vCPU, without a device and an IOMMU: it remembers
 * what KVM programs.  For kvm-amd, in a kernel with CONFIG_KVM_AMD_TEST_POSTING.
 */
#include <linux/cpufeature.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqbypass.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/irq_remapping.h>
#include <asm/svm.h>

#include "../include/x86/irq_producer.h"

struct irq_source {
	struct mutex lock;		/* of ioctls */
	int irq;
	struct eventfd_ctx *eventfd;
	struct irq_bypass_producer producer;
	/* Written with the lock of the IRQ's descriptor, by KVM. */
	raw_spinlock_t state_lock;
	struct irq_producer_state state;
	u32 nr_to_fail;
	u32 nr_unposts_to_fail;
};

static int irq_source_set_vcpu_affinity(struct irq_data *data, void *vcpu_info)
{
	struct irq_source *source = irq_data_get_irq_chip_data(data);
	struct amd_iommu_pi_data *pi_data = vcpu_info;
	u32 *to_fail;

	guard(raw_spinlock_irqsave)(&source->state_lock);

	source->state.nr_calls++;
	to_fail = pi_data ? &source->nr_to_fail : &source->nr_unposts_to_fail;
	if (*to_fail) {
		(*to_fail)--;
		return -EIO;
	}

	source->state.posted = !!pi_data;
	if (pi_data) {
		/* The lower bits of the tag are the index of the vCPU. */
		source->state.vcpu_idx = pi_data->ga_tag & AVIC_PHYSICAL_MAX_INDEX_MASK;
		source->state.vector = pi_data->vector;
		/* KVM wants some, and doesn't look into it without AVIC. */
		pi_data->ir_data = source;
	}
	return 0;
}

/* There is nothing to mask. */
static void irq_source_noop(struct irq_data *data)
{
}

static struct irq_chip irq_source_chip = {
	.name = IRQ_PRODUCER_DEVICE,
	.irq_mask = irq_source_noop,
	.irq_unmask = irq_source_noop,
	.irq_set_vcpu_affinity = irq_source_set_vcpu_affinity,
};

static irqreturn_t irq_source_handler(int irq, void *data)
{
	struct irq_source *source = data;

	eventfd_signal(source->eventfd);
	return IRQ_HANDLED;
}

static void irq_source_unbind(struct irq_source *source)
{
	if (!source->eventfd)
		return;

	irq_bypass_unregister_producer(&source->producer);
	free_irq(source->irq, source);
	eventfd_ctx_put(source->eventfd);
	source->eventfd = NULL;
}

/* As VFIO does: the handler first, and without a producer if there can be none. */
static int irq_source_bind(struct irq_source *source, int fd)
{
	struct eventfd_ctx *eventfd;
	int r;

	irq_source_unbind(source);
	if (fd < 0)
		return 0;

	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);

	source->eventfd = eventfd;
	r = request_irq(source->irq, irq_source_handler, 0, IRQ_PRODUCER_DEVICE, source);
	if (r)
		goto put;

	r = irq_bypass_register_producer(&source->producer, eventfd, source->irq);
	if (r)
		goto free;
	return 0;

free:
	free_irq(source->irq, source);
put:
	eventfd_ctx_put(eventfd);
	source->eventfd = NULL;
	return r;
}

static struct irq_producer_state irq_source_state(struct irq_source *source)
{
	guard(raw_spinlock_irqsave)(&source->state_lock);
	return source->state;
}

static long irq_source_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct irq_source *source = file->private_data;
	void __user *user = (void __user *)arg;
	struct irq_producer_state state;
	u32 nr;
	s32 fd;

	guard(mutex)(&source->lock);

	switch (cmd) {
	case IRQ_PRODUCER_BIND:
		if (copy_from_user(&fd, user, sizeof(fd)))
			return -EFAULT;
		return irq_source_bind(source, fd);
	case IRQ_PRODUCER_RAISE:
		return source->eventfd ? generic_handle_irq_safe(source->irq) : -ENXIO;
	case IRQ_PRODUCER_GET:
		state = irq_source_state(source);
		return copy_to_user(user, &state, sizeof(state)) ? -EFAULT : 0;
	case IRQ_PRODUCER_FAIL_NEXT:
		if (copy_from_user(&nr, user, sizeof(nr)))
			return -EFAULT;
		scoped_guard(raw_spinlock_irqsave, &source->state_lock)
			source->nr_to_fail = nr;
		return 0;
	case IRQ_PRODUCER_FAIL_NEXT_UNPOST:
		if (copy_from_user(&nr, user, sizeof(nr)))
			return -EFAULT;
		scoped_guard(raw_spinlock_irqsave, &source->state_lock)
			source->nr_unposts_to_fail = nr;
		return 0;
	default:
		return -ENOTTY;
	}
}

static int irq_source_open(struct inode *inode, struct file *file)
{
	struct irq_source *source = kzalloc(sizeof(*source), GFP_KERNEL_ACCOUNT);

	if (!source)
		return -ENOMEM;

	mutex_init(&source->lock);
	raw_spin_lock_init(&source->state_lock);
	source->irq = irq_alloc_descs(-1, 0, 1, NUMA_NO_NODE);
	if (source->irq < 0) {
		int r = source->irq;

		kfree(source);
		return r;
	}
	irq_set_chip_and_handler(source->irq, &irq_source_chip, handle_simple_irq);
	irq_set_chip_data(source->irq, source);
	irq_modify_status(source->irq, IRQ_NOREQUEST | IRQ_NOAUTOEN, 0);
	file->private_data = source;
	return 0;
}

static int irq_source_release(struct inode *inode, struct file *file)
{
	struct irq_source *source = file->private_data;

	irq_source_unbind(source);
	irq_free_descs(source->irq, 1);
	kfree(source);
	return 0;
}

static const struct file_operations irq_source_fops = {
	.owner = THIS_MODULE,
	.open = irq_source_open,
	.release = irq_source_release,
	.unlocked_ioctl = irq_source_ioctl,
};

static struct miscdevice irq_producer_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = IRQ_PRODUCER_DEVICE,
	.fops = &irq_source_fops,
};

static int __init irq_producer_init(void)
{
	/* On others, KVM passes something else to the IRQ's chip. */
	if (!boot_cpu_has(X86_FEATURE_SVM))
		return -ENODEV;
	return misc_register(&irq_producer_device);
}

static void __exit irq_producer_exit(void)
{
	misc_deregister(&irq_producer_device);
}

module_init(irq_producer_init);
module_exit(irq_producer_exit);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kvm_irqroute authors");
MODULE_DESCRIPTION("IRQs that KVM can post, for tests");
