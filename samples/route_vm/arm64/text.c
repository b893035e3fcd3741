// SPDX-License-Identifier: GPL-2.0
#include <assert.h>
#include <stdio.h>

#include "gic.h"
#include "helper.h"
#include "text.h"

#define DEAD	"dead_"

static_assert(GSI == 20 && EDGE_PIN == 8 && LEVEL_PIN == 9, "text.intro names them");

const struct text text = {
	.purpose =
"Makes small VMs, sends them interrupts by irqfds, and shows what the guest got and what the VMM\n"
"heard of it, when KVM's own C decides and when the helper (kvm_irqroute) decides in Rust.",
	.intro =
"a GICv3, whose pin n is SPI 32 + n. GSI 20 is routed to pin 8 (edge), to\n"
"pin 9 (level) or to an ITS, and raised by an irqfd. One VM for each scenario and column.",
	.seen = "VMM heard",
	.legend =
"guest got: vCPU and INTID of each interrupt that the guest handled\n"
"VMM heard: resamplefd = KVM signalled that of the GSI: the guest has ended the interrupt;\n"
"           no_its and the like = it was dropped, and the helper counted why: dead_no_its",
	.defects = {
		{ "A6", "default routes, GSI n to pin n, replace those set before the vgic is" },
		{ "A7", "the end of an irqfd's interrupt lowers a line that KVM_IRQ_LINE holds" },
		{ "A8", "of several GSIs on a pin, the last in the table alone hears of the end" },
		{ "A9", "what comes by a dead route is dropped without a sign" },
	},
	.no_kvm = "boot the host at EL2, be root or in group kvm, or use tools/testing/vm/run",
	.run = "tools/testing/vm/run --arch arm64",
	.demo = "tools/testing/vm/run --arch arm64",
	.make = "make demo ARCH=arm64",
	.check = "make check-arm64",
	.name_width = 25,
	.got_width = 14,
	.seen_width = 13,
	.mark_width = 8,
	.counter_width = 17,
};

const struct counter_info counter_infos[NR_COUNTERS] = {
	[COUNTER_VMS_TOTAL]	    = { "vms_total", "VMs bound to the helper", MAY_GROW },
	[COUNTER_UPDATES]	    = { "updates", "routing tables set", GROWS },
	[COUNTER_SPI_CHANGES]	    = { "spi_changes", "lines of SPIs raised or lowered", GROWS },
	[COUNTER_SPI_ACKS]	    = { "spi_acks", "ends of SPIs passed back to a GSI", GROWS },
	[COUNTER_DEAD_NO_SPI]	    = { DEAD "no_spi", "the VM has no SPI for the pin",
					GROWS_ON_RUST },
	[COUNTER_DEAD_NO_ITS]	    = { DEAD "no_its", "the VM has no ITS for the MSI",
					GROWS_ON_RUST },
	[COUNTER_DEAD_NO_DEVICE_ID] = { DEAD "no_device_id", "the MSI has no device ID",
					GROWS_ON_RUST },
	[COUNTER_DEAD_NO_DOORBELL]  = { DEAD "no_doorbell", "no ITS is at the MSI's address",
					GROWS_ON_RUST },
	[COUNTER_DEAD_LONG_ID]	    = { DEAD "long_id", "an ID of the MSI has more than 16 bits",
					GROWS_ON_RUST },
	[COUNTER_DIFFERENCES]	    = { "differences", "results unlike C's, with mode=verify",
					MAY_GROW },
};

const char *event_text(const struct event *event, char buf[TEXT_SIZE])
{
	switch (event->type) {
	case EVENT_RECEIVED:
		snprintf(buf, TEXT_SIZE, "vCPU%d %s %d", event->vcpu,
			 event->number < FIRST_LPI ? "SPI" : "LPI", event->number);
		return buf;
	case EVENT_RESAMPLED:
		snprintf(buf, TEXT_SIZE, "resamplefd %d", event->number);
		return buf;
	case EVENT_DEAD:
		return counter_infos[event->number].name + sizeof(DEAD) - 1;
	default:
		return "-";
	}
}
