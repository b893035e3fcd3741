// SPDX-License-Identifier: GPL-2.0
#include <assert.h>
#include <stdio.h>

#include "helper.h"
#include "text.h"

static_assert(RESERVED_PINS == 24, "text.intro names the pins");

const struct text text = {
	.purpose =
"Makes small VMs, sends them interrupts, and shows what the guest got and what exited to\n"
"userspace, when KVM's own C decides and when the helper (kvm_irqroute) decides in Rust.",
	.intro =
"a split irqchip: GSIs 0..23 are reserved for the pins of an\n"
"I/O APIC in userspace, which has to hear of EOIs. One VM for each scenario and column.",
	.seen = "what exited",
	.legend =
"guest got:   vCPU and vector of each interrupt that the guest handled\n"
"what exited: EOI = KVM_EXIT_IOAPIC_EOI with that vector, on the vCPU that wrote the EOI;\n"
"             resamplefd = KVM signalled it, so the guest's EOM reached the route's GSI",
	.no_kvm = "load kvm-amd or kvm-intel, be root or in group kvm, or use tools/testing/vm/run",
	.run = "tools/testing/vm/run",
	.demo = "tools/testing/vm/run --kernel stock",
	.make = "make demo",
	.check = "make check",
	.name_width = 31,
	.got_width = 10,
	.seen_width = 14,
	.mark_width = 4,
	.counter_width = 14,
};

const struct counter_info counter_infos[NR_COUNTERS] = {
	[COUNTER_VMS_TOTAL]	  = { "vms_total", "VMs bound to the helper", MAY_GROW },
	[COUNTER_UPDATES]	  = { "updates", "routing tables set", GROWS },
	[COUNTER_SCANS]		  = { "scans", "scans of the routes: which EOIs of a vCPU exit?",
				      GROWS },
	[COUNTER_SCAN_REQUESTS]	  = { "scan_requests", "vCPUs asked to scan", MAY_GROW },
	[COUNTER_SINT_DELIVERIES] = { "sint_deliveries", "interrupts sent by a SINT route", GROWS },
	[COUNTER_SINT_ACKS]	  = { "sint_acks", "EOIs and EOMs passed back to a GSI",
				      GROWS_ON_RUST },
	[COUNTER_DIFFERENCES]	  = { "differences", "results unlike C's, with mode=verify",
				      MAY_GROW },
};

const char *event_text(const struct event *event, char buf[TEXT_SIZE])
{
	switch (event->type) {
	case EVENT_RECEIVED:
		snprintf(buf, TEXT_SIZE, "vCPU%d 0x%02x", event->vcpu, event->number);
		return buf;
	case EVENT_EOI_EXIT:
		snprintf(buf, TEXT_SIZE, "vCPU%d EOI 0x%02x", event->vcpu, event->number);
		return buf;
	case EVENT_RESAMPLED:
		return "resamplefd";
	default:
		return "-";
	}
}
