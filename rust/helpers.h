/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C parts of the module that the crate calls.
 */
#ifndef _IRQROUTE_HELPERS_H
#define _IRQROUTE_HELPERS_H

#include <linux/kvm_irqroute.h>

/* Module parameters, as of now.  Any context. */
enum kvm_irqroute_mode irqroute_param_mode(void);
bool irqroute_param_parity(void);

/* Whether one more line about a difference may be logged.  Any context. */
bool irqroute_may_log(void);

#endif /* _IRQROUTE_HELPERS_H */
