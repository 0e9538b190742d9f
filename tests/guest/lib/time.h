/* SPDX-License-Identifier: MIT */
/* System time, and waiting for a condition without hanging. */
#ifndef GUEST_TIME_H
#define GUEST_TIME_H

#include "lib/types.h"

#define MSEC 1000000ul
#define SEC 1000000000ul
/* Longer than anything here takes on a loaded machine under emulation: who waits this long has found a hang. */
#define PATIENCE (30 * SEC)

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) :: "memory");
	return ((u64)hi << 32) | lo;
}

/* System time in nanoseconds on the vCPU that runs, from its vcpu_time_info and the TSC. */
u64 now(void);
u64 now_from(const struct vcpu_time_info *t);

/* Spins for ns nanoseconds, without a hypercall. */
void pause_for(u64 ns);
/* Gives the processor up until the system time ns (SCHEDOP_poll without ports); returns what the hypercall returned. */
long block_until(u64 ns);

/* Waits until cond is true or timeout nanoseconds have passed; the value is cond at the end. */
#define WAIT_FOR(cond, timeout) ({						\
	u64 end_ = now() + (timeout);						\
	bool met_;								\
	while (!(met_ = (cond)) && now() < end_)				\
		asm volatile("pause" ::: "memory");				\
	met_; })

#endif
