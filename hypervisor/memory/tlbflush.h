/* SPDX-License-Identifier: MIT */
/*
 * TLB flushing across CPUs, and the epoch clock that tells which flushes can be left out.
 *
 * The clock advances when a CPU flushes and somebody has read the clock since it last advanced. Each CPU remembers the
 * epoch at which its last full flush began; a frame remembers (16 bits) the epoch at which it last stopped being mapped in
 * some way. A CPU whose flush epoch is later than the frame's holds no stale translation of it.
 *
 * "Full" means all but global entries: the hypervisor makes global only what it never unmaps, guests cannot.
 */
#ifndef MEMORY_TLBFLUSH_H
#define MEMORY_TLBFLUSH_H

#include <core/cpumask.h>
#include <core/percpu.h>
#include <x86/cr.h>

/* Current epoch, to be stored in a frame; to be read after the last mapping is gone. Any context. */
u16 tlb_epoch(void);
/* Remove from the set the CPUs that have flushed since the epoch. Errs on the side of leaving them in. Any context. */
void tlb_filter(cpumask_t *mask, u16 epoch);
/*
 * Load CR3 (full flush of non-global entries) and note the epoch. Any context: who comes between makes the note older than it could be,
 * which costs a flush and no more.
 */
static inline void tlb_write_cr3(u64 cr3);
/* Flush everything but global entries on this CPU (any context) / the online CPUs of the set, and wait (as smp_call()). */
void tlb_flush_local(void);
void tlb_flush_mask(const cpumask_t *mask);
/* One page. */
void tlb_flush_page_mask(const cpumask_t *mask, u64 va);
void tlb_flush_page_local(u64 va);
/*
 * tlb_filter(), then tlb_flush_mask() if anything is left: before something that stopped being mapped at the epoch is used
 * otherwise.
 */
void tlb_flush_since(const cpumask_t *mask, u16 epoch);

/* --- for every change of address space --- */

extern u64 tlb_clock;
DECLARE_PER_CPU(u64, tlb_flushed);	/* epoch of the CPU's last full flush */

static inline void tlb_write_cr3(u64 cr3)
{
	u64 c = READ_ONCE(tlb_clock);

	/* Advance it; who finds that another CPU does at this moment has that epoch. */
	if (unlikely(c & 1) && atomic_try_cmpxchg(&tlb_clock, &c, c + 1))
		c++;
	write_cr3(cr3);
	this_cpu(tlb_flushed) = c >> 1;
}

#endif
