/* SPDX-License-Identifier: MIT */
/* Several hypercalls in one (ABI: multicall_entry_t in <xen/xen.h>). */
#ifndef HYPERCALL_MULTICALL_H
#define HYPERCALL_MULTICALL_H

#include <lib/types.h>
#include <xen/xen.h>

/* The entry that this CPU is executing, NULL outside a multicall: continuations are written there. */
struct multicall_entry *multicall_current(void);

#endif
