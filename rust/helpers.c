// SPDX-License-Identifier: GPL-2.0
/*
 * Wrappers of what the kernel offers to C only.
 */
#include <linux/ratelimit.h>

#include "helpers.h"

bool irqroute_may_log(void)
{
	static DEFINE_RATELIMIT_STATE(differences, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&differences);
}
