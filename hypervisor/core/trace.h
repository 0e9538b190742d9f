/* SPDX-License-Identifier: MIT */
/* A ring of recent events per CPU, for looking at what led to something. Off until the debug key or trace_enable() turns it on. Implemented in debug/trace.c. */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <lib/types.h>

enum trace_event { TRACE_SWITCH = 1, TRACE_WAKE, TRACE_IRQ, TRACE_HYPERCALL, TRACE_TRAP, TRACE_EVENTS };

extern bool trace_on;
void trace_record(enum trace_event event, u64 a, u64 b);

/* Note an event with two values. Any context; one predictable branch when off. */
static __always_inline void trace(enum trace_event event, u64 a, u64 b)
{
	if (unlikely(READ_ONCE(trace_on)))
		trace_record(event, a, b);
}

/* Start with empty rings, or stop. 0 or -ENOMEM. Not in interrupt context. */
int trace_enable(bool on);
/* Print the last events of all CPUs, in order of time. */
void trace_dump(void);

#endif
