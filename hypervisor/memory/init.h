/* SPDX-License-Identifier: MIT */
/* Bringing memory management up: called by boot/start.c, once, in this order, on the boot CPU. */
#ifndef MEMORY_INIT_H
#define MEMORY_INIT_H

#include <lib/types.h>

/* RAM that nothing occupies (not the image, not a boot module, not the first MiB). Page-aligned, sorted. */
struct ram_range { paddr_t start, end; };

/*
 * 1. Take boot memory from the ranges (they shrink) for the direct map beyond what the boot page tables map (all of 0..4
 * GiB is mapped
 *    by large pages on entry), the frame table and both aliases of the M2P; hyp_l4 is the live table. max_paddr: end of the highest RAM.
 * 2. Every remaining page goes to the heap.
 * Panics when memory is too small for that.
 */
void memory_init(struct ram_range *ranges, unsigned n, paddr_t max_paddr);
/*
 * More RAM for the heap later: boot modules after use, .init sections. Page-aligned, was not in the ranges before; gets
 * frame words now.
 */
void memory_add(paddr_t start, paddr_t end);

#endif
