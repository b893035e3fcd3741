/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the crate sees of C besides the kernel crate: the hook ABI, our own
 * helpers and trace events.
 */
#include <linux/kvm_irqroute.h>

#include "../helpers.h"

/* What the crate needs of an event: the kernel's headers would need the compiler's flags. */
#define TP_PROTO(args...) args
#ifdef CONFIG_TRACEPOINTS
#define TRACE_EVENT(name, proto, ...)			\
	extern struct tracepoint __tracepoint_##name;	\
	void rust_do_trace_##name(proto)
#else
#define TRACE_EVENT(...)
#endif

#include "../trace.h"
