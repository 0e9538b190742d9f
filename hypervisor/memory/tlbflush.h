/* SPDX-License-Identifier: MIT */
/*
 * TLB flushing across CPUs, and the epoch clock that tells which flushes can be left out.
 *
 * The epoch counts global flushes. Each CPU remembers the epoch of its last full flush; a frame remembers (16 bits) the epoch at which
 * it last stopped being mapped in some way. A CPU whose last flush is later than the frame's epoch holds no stale translation of it.
 */
#ifndef MEMORY_TLBFLUSH_H
#define MEMORY_TLBFLUSH_H

#include <core/cpumask.h>

/* Current epoch, to be stored in a frame. */
u16 tlb_epoch(void);
/* Remove from the set the CPUs that have flushed since the epoch. */
void tlb_filter(cpumask_t *mask, u16 epoch);
/* Load CR3 (full flush of non-global entries) and note the epoch. Interrupts off. */
void tlb_write_cr3(u64 cr3);
/* Flush everything, global entries included, on this CPU / the CPUs of the set, and wait. */
void tlb_flush_local(void);
void tlb_flush_mask(const cpumask_t *mask);
/* One page. */
void tlb_flush_page_mask(const cpumask_t *mask, u64 va);
void tlb_flush_page_local(u64 va);

#endif
