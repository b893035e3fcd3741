/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events.  The crate emits them, if anyone wants to know: see kvm/trace.rs.
 *
 * A VM is called by the number of its directory in debugfs.  What is text here is so
 * for filters, which know no sets of vectors.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm_irqroute

#if !defined(_IRQROUTE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _IRQROUTE_TRACE_H

/* The crate has no use for all this, see bindings_helper.h. */
#ifndef __BINDGEN__
#include <linux/tracepoint.h>
#endif

/* A routing table is about to be published, or has the routes of the current one. */
TRACE_EVENT(irqroute_update,
	TP_PROTO(u64 vm, const char *kind, u32 routes, int gsis, int asked, bool waits),
	TP_ARGS(vm, kind, routes, gsis, asked, waits),
	TP_STRUCT__entry(
		__field(u64, vm)
		__string(kind, kind)
		__field(u32, routes)
		__field(int, gsis)
		__field(int, asked)
		__field(bool, waits)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__assign_str(kind);
		__entry->routes = routes;
		__entry->gsis = gsis;
		__entry->asked = asked;
		__entry->waits = waits;
	),
	TP_printk("vm=%llu kind=%s routes=%u gsis=%d asked=%d waits=%d",
		  __entry->vm, __get_str(kind), __entry->routes, __entry->gsis, __entry->asked,
		  __entry->waits)
);

/* Nobody uses a table before the current one any more. */
TRACE_EVENT(irqroute_update_end,
	TP_PROTO(u64 vm, int asked),
	TP_ARGS(vm, asked),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(int, asked)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->asked = asked;
	),
	TP_printk("vm=%llu asked=%d", __entry->vm, __entry->asked)
);

/* A route was set that loses interrupts, or an interrupt was, of a GSI that is not known (-1). */
TRACE_EVENT(irqroute_remark,
	TP_PROTO(u64 vm, int gsi, const char *remark, const char *reason),
	TP_ARGS(vm, gsi, remark, reason),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(int, gsi)
		__string(remark, remark)
		__string(reason, reason)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->gsi = gsi;
		__assign_str(remark);
		__assign_str(reason);
	),
	TP_printk("vm=%llu gsi=%d remark=%s reason=\"%s\"",
		  __entry->vm, __entry->gsi, __get_str(remark), __get_str(reason))
);

#ifdef CONFIG_X86
/* A vCPU has found out which EOIs it reports. */
TRACE_EVENT(irqroute_scan,
	TP_PROTO(u64 vm, u32 vcpu, u32 apic_id, const char *reported, const char *added,
		 const char *dropped, const char *stale),
	TP_ARGS(vm, vcpu, apic_id, reported, added, dropped, stale),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, vcpu)
		__field(u32, apic_id)
		__string(reported, reported)
		__string(added, added)
		__string(dropped, dropped)
		__string(stale, stale)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->apic_id = apic_id;
		__assign_str(reported);
		__assign_str(added);
		__assign_str(dropped);
		__assign_str(stale);
	),
	TP_printk("vm=%llu vcpu=%u apic_id=%u reported=%s added=%s dropped=%s stale=%s",
		  __entry->vm, __entry->vcpu, __entry->apic_id, __get_str(reported),
		  __get_str(added), __get_str(dropped), __get_str(stale))
);

/* The guest has ended an interrupt whose EOI is reported, unless the guest suppresses that. */
TRACE_EVENT(irqroute_eoi,
	TP_PROTO(u64 vm, u32 vcpu, u32 vector, const char *pins, bool reported),
	TP_ARGS(vm, vcpu, vector, pins, reported),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, vcpu)
		__field(u32, vector)
		__string(pins, pins)
		__field(bool, reported)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->vector = vector;
		__assign_str(pins);
		__entry->reported = reported;
	),
	TP_printk("vm=%llu vcpu=%u vector=0x%02x pins=%s reported=%d",
		  __entry->vm, __entry->vcpu, __entry->vector, __get_str(pins),
		  __entry->reported)
);

/* An interrupt was sent to a SINT, or refused. */
TRACE_EVENT(irqroute_sint,
	TP_PROTO(u64 vm, u32 vp_index, u32 sint, const char *vector, const char *outcome),
	TP_ARGS(vm, vp_index, sint, vector, outcome),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, vp_index)
		__field(u32, sint)
		__string(vector, vector)
		__string(outcome, outcome)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vp_index = vp_index;
		__entry->sint = sint;
		__assign_str(vector);
		__assign_str(outcome);
	),
	TP_printk("vm=%llu vp_index=%u sint=%u vector=%s outcome=%s",
		  __entry->vm, __entry->vp_index, __entry->sint, __get_str(vector),
		  __get_str(outcome))
);

/* A GSI has heard of the EOI or EOM of a SINT. */
TRACE_EVENT(irqroute_sint_ack,
	TP_PROTO(u64 vm, u32 vp_index, u32 sint, u32 gsi),
	TP_ARGS(vm, vp_index, sint, gsi),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, vp_index)
		__field(u32, sint)
		__field(u32, gsi)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vp_index = vp_index;
		__entry->sint = sint;
		__entry->gsi = gsi;
	),
	TP_printk("vm=%llu vp_index=%u sint=%u gsi=%u",
		  __entry->vm, __entry->vp_index, __entry->sint, __entry->gsi)
);

/* It was decided whether the interrupt of a device is posted; vcpu is an index then. */
TRACE_EVENT(irqroute_post,
	TP_PROTO(u64 vm, u32 gsi, u32 vector, int vcpu, const char *outcome),
	TP_ARGS(vm, gsi, vector, vcpu, outcome),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, gsi)
		__field(u32, vector)
		__field(int, vcpu)
		__string(outcome, outcome)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->gsi = gsi;
		__entry->vector = vector;
		__entry->vcpu = vcpu;
		__assign_str(outcome);
	),
	TP_printk("vm=%llu gsi=%u vector=0x%02x vcpu=%d outcome=%s",
		  __entry->vm, __entry->gsi, __entry->vector, __entry->vcpu, __get_str(outcome))
);
#endif /* CONFIG_X86 */

#ifdef CONFIG_ARM64
/* The line of the SPI of a pin was raised or lowered by one of its sources. */
TRACE_EVENT(irqroute_spi,
	TP_PROTO(u64 vm, u32 pin, int gsi, const char *source, int level, int result),
	TP_ARGS(vm, pin, gsi, source, level, result),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, pin)
		__field(int, gsi)
		__string(source, source)
		__field(int, level)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->pin = pin;
		__entry->gsi = gsi;
		__assign_str(source);
		__entry->level = level;
		__entry->result = result;
	),
	TP_printk("vm=%llu pin=%u gsi=%d source=%s level=%d result=%d",
		  __entry->vm, __entry->pin, __entry->gsi, __get_str(source), __entry->level,
		  __entry->result)
);

/* So many GSIs are to hear of the end of the SPI of a pin. */
TRACE_EVENT(irqroute_spi_ack,
	TP_PROTO(u64 vm, u32 pin, u32 gsis),
	TP_ARGS(vm, pin, gsis),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, pin)
		__field(u32, gsis)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->pin = pin;
		__entry->gsis = gsis;
	),
	TP_printk("vm=%llu pin=%u gsis=%u", __entry->vm, __entry->pin, __entry->gsis)
);
#endif /* CONFIG_ARM64 */

#endif /* _IRQROUTE_TRACE_H */

#ifndef __BINDGEN__
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
#endif
