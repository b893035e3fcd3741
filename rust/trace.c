// SPDX-License-Identifier: GPL-2.0
/*
 * Trace events, and the functions by which the crate emits them.
 */
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace.h"
