/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trace event of an MSI that KVM sends.
 */
#ifndef SELFTEST_KVM_MSI_TRACE_H
#define SELFTEST_KVM_MSI_TRACE_H

#include "event_trace.h"

#define MSI_TRACE		"kvm_msi"
#define MSI_TRACE_EVENT		"kvm_msi_set_irq"

static inline bool msi_trace_is_available(void)
{
	return event_trace_is_available("kvm/" MSI_TRACE_EVENT);
}

static inline void msi_trace_start(void)
{
	event_trace_start(MSI_TRACE, "kvm/" MSI_TRACE_EVENT);
}

/*
 * KVM emits the event between looking up a route and delivering.  That it has to take a
 * stack trace with it keeps an IRQ on its way for longer.
 */
static inline void msi_trace_start_slow(void)
{
	msi_trace_start();
	event_trace_write(MSI_TRACE, "events/kvm/" MSI_TRACE_EVENT "/trigger", "stacktrace");
}

static inline void msi_trace_stop(void)
{
	event_trace_stop(MSI_TRACE);
}

#endif /* SELFTEST_KVM_MSI_TRACE_H */
