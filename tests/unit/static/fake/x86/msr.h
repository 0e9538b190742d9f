/* SPDX-License-Identifier: MIT */
/* Stands in for the FS base register in a Linux process: arch_prctl(2). */
#ifndef X86_MSR_H
#define X86_MSR_H

#include <lib/types.h>

#define MSR_FS_BASE	0xc0000100

long linux_call(long number, long a, long b, long c);

static inline u64 rdmsr(u32 msr) { (void)msr; return 0; }
static inline void wrmsr(u32 msr, u64 value) { (void)msr; linux_call(158, 0x1002, (long)value, 0); }
static inline u64 rdtsc(void) { return __builtin_ia32_rdtsc(); }

#endif
