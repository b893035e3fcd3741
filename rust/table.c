// SPDX-License-Identifier: GPL-2.0
/*
 * What files in debugfs and trace events read of struct kvm: the current routing table,
 * and what decides how its routes are read.  Hooks decide without: they get all that
 * they need.
 */
#include <linux/hashtable.h>
#include <linux/kvm_host.h>
#include <linux/kvm_irqfd.h>
#include <linux/msi.h>
#include <linux/sched.h>
#include <linux/srcu.h>

#include "helpers.h"

static void copy_route(struct kvm_irq_routing_entry *to,
		       const struct kvm_kernel_irq_routing_entry *from)
{
	*to = (struct kvm_irq_routing_entry) {
		.gsi = from->gsi,
		.type = from->type,
	};

	switch (from->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		to->u.irqchip.irqchip = from->irqchip.irqchip;
		to->u.irqchip.pin = from->irqchip.pin;
#ifdef CONFIG_X86
		/* KVM goes on counting where the first PIC ends. */
		if (from->irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
			to->u.irqchip.pin -= 8;
#endif
		break;
	case KVM_IRQ_ROUTING_MSI:
		to->flags = from->msi.flags;
		to->u.msi.address_lo = from->msi.address_lo;
		to->u.msi.address_hi = from->msi.address_hi;
		to->u.msi.data = from->msi.data;
		to->u.msi.devid = from->msi.devid;
		break;
	case KVM_IRQ_ROUTING_HV_SINT:
		to->u.hv_sint.vcpu = from->hv_sint.vcpu;
		to->u.hv_sint.sint = from->hv_sint.sint;
		break;
	case KVM_IRQ_ROUTING_XEN_EVTCHN:
		to->u.xen_evtchn.port = from->xen_evtchn.port;
		to->u.xen_evtchn.vcpu = from->xen_evtchn.vcpu_id;
		to->u.xen_evtchn.priority = from->xen_evtchn.priority;
		break;
	}
}

/* Whether KVM has the layout of the headers that this was built with. */
static bool is_known(struct kvm *kvm)
{
	return kvm->irqroute.hooks == &kvm_irqroute_hooks;
}

int irqroute_copy_routes_locked(struct kvm *kvm, struct kvm_irq_routing_entry *routes, u32 room)
{
	struct kvm_irq_routing_table *table;
	u32 i;

	if (!is_known(kvm))
		return -ENODEV;

	table = rcu_dereference_protected(kvm->irq_routing,
					  lockdep_is_held(&kvm->irqroute.update_lock));
	if (table->nr <= room)
		for (i = 0; i < table->nr; i++)
			copy_route(&routes[i], &table->entries[i]);
	return table->nr;
}

int irqroute_copy_routes(struct kvm *kvm, struct kvm_irq_routing_entry *routes, u32 room)
{
	struct mutex *lock = &kvm->irqroute.update_lock;
	int r;

	if (!is_known(kvm))
		return -ENODEV;

	/*
	 * A read-side critical section of irq_srcu would not do: a VM that goes away
	 * frees tables that were replaced without waiting for their readers.  But it
	 * frees the current one only when the files are gone.
	 */
	r = mutex_lock_killable(lock);
	if (r)
		return r;

	r = irqroute_copy_routes_locked(kvm, routes, room);
	mutex_unlock(lock);
	return r;
}

#ifdef CONFIG_X86
bool irqroute_view_vm(struct kvm *kvm, struct kvm_irqroute_vm_view *view)
{
	bool split = READ_ONCE(kvm->arch.irqchip_mode) == KVM_IRQCHIP_SPLIT;

	*view = (struct kvm_irqroute_vm_view) {
		.nr_reserved_pins = split ? READ_ONCE(kvm->arch.nr_reserved_ioapic_pins) : 0,
		.x2apic_format = READ_ONCE(kvm->arch.x2apic_format),
		.broadcast_quirk = !READ_ONCE(kvm->arch.x2apic_broadcast_quirk_disabled),
	};
	return split;
}

int irqroute_count_postings(struct kvm *kvm, u32 *nr)
{
	const struct kvm_irqroute_hooks *hooks = READ_ONCE(kvm->irqroute.hooks);
	int i;

	/* The files of a VM are there before KVM takes note of the hooks. */
	if (hooks && hooks != &kvm_irqroute_hooks)
		return -ENODEV;

	for (i = 0; i < KVM_IRQROUTE_NR_POSTINGS; i++)
		nr[i] = READ_ONCE(kvm->irqroute.nr_irqfds[i]);
	return 0;
}

u32 irqroute_find_posting(struct kvm *kvm, u32 gsi)
{
	u32 posting = KVM_IRQROUTE_NO_PRODUCER;
	struct kvm_kernel_irqfd *irqfd;

	/* Who delivers an IRQ reads the route of its irqfd without the lock. */
	spin_lock_irq(&kvm->irqfds.lock);
	hash_for_each_possible(kvm->irqfds.by_gsi, irqfd, gsi_link, gsi) {
		if (irqfd->gsi == gsi && irqfd->irq_bypass_posting != KVM_IRQROUTE_NO_PRODUCER)
			posting = irqfd->irq_bypass_posting;
	}
	spin_unlock_irq(&kvm->irqfds.lock);
	return posting;
}

/* Whether an I/O APIC with this route at a pin takes an EOI of the vector for that of the pin. */
static bool ends_with(const struct kvm_kernel_irq_routing_entry *e, u8 vector)
{
	struct msi_msg msg = { .data = e->msi.data };

	return e->type == KVM_IRQ_ROUTING_MSI && msg.arch_data.is_level &&
	       msg.arch_data.delivery_mode <= APIC_DELIVERY_MODE_LOWESTPRIO &&
	       msg.arch_data.vector == vector;
}

bool irqroute_view_eoi(struct kvm_vcpu *vcpu, u8 vector, struct irqroute_eoi *eoi)
{
	struct kvm_irq_routing_table *table;
	struct kvm *kvm = vcpu->kvm;
	int idx;
	u32 i;

	if (!is_known(kvm))
		return false;

	eoi->vcpu_id = vcpu->vcpu_id;
	eoi->nr_pins = 0;
	/* The vCPU keeps the VM, and so no table goes without a grace period. */
	idx = srcu_read_lock(&kvm->irq_srcu);
	table = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	for (i = 0; i < table->nr; i++) {
		const struct kvm_kernel_irq_routing_entry *e = &table->entries[i];

		if (e->gsi >= kvm->arch.nr_reserved_ioapic_pins || !ends_with(e, vector))
			continue;
		if (eoi->nr_pins < ARRAY_SIZE(eoi->pins))
			eoi->pins[eoi->nr_pins] = e->gsi;
		eoi->nr_pins++;
	}
	srcu_read_unlock(&kvm->irq_srcu, idx);
	return true;
}

u32 irqroute_max_vcpus(void)
{
	return KVM_MAX_VCPUS;
}
#else
bool irqroute_view_vm(struct kvm *kvm, struct kvm_irqroute_vm_view *view)
{
	view->nr_spis = READ_ONCE(kvm->arch.vgic.nr_spis);
	return READ_ONCE(kvm->arch.vgic.has_its);
}
#endif

void irqroute_cond_resched(void)
{
	cond_resched();
}
