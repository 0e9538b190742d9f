/* SPDX-License-Identifier: MIT */
/* memory_op: one function per group of sub-operations; each in its own file hypercall/memory_*.c. ABI: <xen/memory.h>. */
#ifndef HYPERCALL_MEMORY_H
#define HYPERCALL_MEMORY_H

#include <hypercall/dispatch.h>
#include <xen/memory.h>

/* The start extent of a continued operation is kept above the command. */
#define MEMOP_CMD_BITS		6
#define MEMOP_CMD_MASK		((1UL << MEMOP_CMD_BITS) - 1)

/* The target of an operation: DOMID_SELF, the caller, or, for a privileged caller, anyone. Referenced. -ESRCH, -EPERM. */
int __must_check memop_domain(u16 id, struct domain **out);
/* Largest extent that the caller may ask for in one piece. */
unsigned memop_max_order(void);

/* increase_reservation, decrease_reservation, populate_physmap: number of extents done so far in all, or -ERESTART. */
long memop_reservation(unsigned op, u64 start, u64 arg);
long memop_exchange(u64 arg);
long memop_acquire_resource(u64 arg);
long memop_claim_pages(u64 arg);
/* memory_map, set_memory_map, machine_memory_map. */
long memop_memory_map(u64 arg);
long memop_set_memory_map(u64 arg);
long memop_machine_memory_map(u64 arg);

#endif
