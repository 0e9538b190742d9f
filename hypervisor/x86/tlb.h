/* SPDX-License-Identifier: MIT */
/* The processor's TLB instructions. Flushing other CPUs is memory/tlbflush.h. */
#ifndef X86_TLB_H
#define X86_TLB_H

#include <x86/cr.h>

static inline void invlpg(u64 va) { __asm__ volatile("invlpg (%0)" :: "r"(va) : "memory"); }

#endif
