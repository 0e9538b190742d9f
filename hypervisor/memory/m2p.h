/* SPDX-License-Identifier: MIT */
/* The machine-to-phys table: for each machine frame what its PV owner calls it. Readable by all PV guests (ABI). */
#ifndef MEMORY_M2P_H
#define MEMORY_M2P_H

#include <memory/frame.h>

#define M2P_INVALID	(~0UL)

static inline void m2p_set(mfn_t m, u64 pfn) { ((volatile u64 *)M2P_START)[m.v] = pfn; }
static inline u64 m2p_get(mfn_t m) { return ((volatile u64 *)M2P_START)[m.v]; }

/* First of the 512 frames that hold the M2P of the chunk-th gigabyte of machine addresses; mfn 0 when there is no RAM in it. */
mfn_t m2p_chunk(u64 chunk);

#endif
