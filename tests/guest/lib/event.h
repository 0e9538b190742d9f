/* SPDX-License-Identifier: MIT */
/* Event channels: short forms of the operations, and the two-level bitmaps. */
#ifndef GUEST_EVENT_H
#define GUEST_EVENT_H

#include "lib/hypercall.h"
#include "lib/memory.h"
#include "lib/types.h"

#include <xen/event_channel.h>

/* Each returns the port, or -errno. */
long event_alloc_unbound(u32 dom, u32 remote);
long event_bind_interdomain(u32 remote, u32 remote_port);
long event_bind_virq(u32 virq, u32 vcpu);
long event_bind_ipi(u32 vcpu);
/* Each returns 0 or -errno. */
long event_close(u32 port);
long event_send(u32 port);
long event_unmask(u32 port);
long event_bind_vcpu(u32 port, u32 vcpu);
/* The EVTCHNSTAT_* of a port of ours, or -errno; st may be NULL. */
long event_status(u32 port, struct evtchn_status *st);

/* Two-level state in shared_info. */
static inline bool event_pending(u32 port)
{
	return READ_ONCE(shared_info->evtchn_pending[port / 64]) >> (port % 64) & 1;
}

static inline void event_clear(u32 port)
{
	asm volatile("lock btrq %1, %0" : "+m"(shared_info->evtchn_pending[port / 64]) : "r"((u64)port % 64) : "cc");
}

static inline void event_mask(u32 port, bool masked)
{
	u64 *word = &shared_info->evtchn_mask[port / 64];

	if (masked)
		asm volatile("lock btsq %1, %0" : "+m"(*word) : "r"((u64)port % 64) : "cc");
	else
		asm volatile("lock btrq %1, %0" : "+m"(*word) : "r"((u64)port % 64) : "cc");
}

#endif
