/* SPDX-License-Identifier: MIT */
/* In place of x86/msr.h, for test_tsc_sync.c: the time stamp counter that the test gives each of its threads. */
#ifndef X86_MSR_H
#define X86_MSR_H

__UINT64_TYPE__ fake_tsc(void);
static inline __UINT64_TYPE__ rdtsc_ordered(void) { return fake_tsc(); }

#endif
