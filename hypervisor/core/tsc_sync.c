/* SPDX-License-Identifier: MIT */
/*
 * Comparing the TSCs of two CPUs.
 *
 * First both take turns, under a lock, at reading the TSC and comparing with the last value either has seen: one that went back
 * shows an offset. Only then the offset is measured, by the shortest of many round trips. One pair of CPUs at a time.
 */
#include <core/tsc_sync.h>
#include <x86/atomic.h>
#include <x86/cr.h>
#include <x86/msr.h>

#define WARP_ROUNDS	2000
#define TRIPS		200
#define SPINS_MAX	200000000UL	/* about a second */

static struct {
	u32 here;		/* CPU + 1 of a target that waits */
	u32 step;		/* advanced by both in turn */
	u32 lock;
	u64 last, warp;
	u64 stamp;
} sync;

/* Advance in turn: even steps are the target's, odd ones the source's. */
static bool wait_step(u32 step)
{
	for (u64 i = 0; i < SPINS_MAX; i++) {
		if (atomic_load(&sync.step) == step)
			return true;
		cpu_relax();
	}
	return false;
}

static void warp_rounds(void)
{
	for (unsigned i = 0; i < WARP_ROUNDS; i++) {
		u64 now;

		while (atomic_xchg(&sync.lock, 1))
			cpu_relax();
		now = rdtsc_ordered();
		if (now < sync.last)
			sync.warp = max(sync.warp, sync.last - now);
		sync.last = now;
		atomic_store(&sync.lock, 0);
	}
}

bool tsc_sync_source(unsigned cpu)
{
	u32 step = 1;
	u64 spins = 0;

	while (atomic_load(&sync.here) != cpu + 1) {
		if (++spins > SPINS_MAX)
			return false;
		cpu_relax();
	}
	sync.last = sync.warp = 0;
	atomic_store(&sync.step, step);
	warp_rounds();
	/* The target answers with step 2 when it is through too, and goes on to the round trips only if there was a warp. */
	if (!wait_step(2))
		return false;
	if (sync.warp) {
		for (unsigned i = 0; i < TRIPS; i++) {
			if (!wait_step(2 + 2 * i))
				return false;
			sync.stamp = rdtsc_ordered();
			atomic_store(&sync.step, 3 + 2 * i);
		}
	} else {
		atomic_store(&sync.step, 3);
	}
	while (atomic_load(&sync.here) == cpu + 1)
		cpu_relax();
	return true;
}

bool tsc_sync_target(unsigned cpu, s64 *offset)
{
	u64 best = ~0UL;

	*offset = 0;
	atomic_store(&sync.step, 0);
	atomic_store(&sync.here, cpu + 1);
	if (!wait_step(1)) {
		atomic_store(&sync.here, 0);
		return false;
	}
	warp_rounds();
	for (unsigned i = 0; i < TRIPS; i++) {
		u64 before = rdtsc_ordered(), after;

		atomic_store(&sync.step, 2 + 2 * i);
		if (!wait_step(3 + 2 * i))
			break;
		after = rdtsc_ordered();
		/* The source has seen all of both CPUs' rounds by its answer, so `warp` is final. */
		if (!sync.warp)
			break;
		if (after - before < best) {
			best = after - before;
			*offset = (s64)(sync.stamp - (before + best / 2));
		}
	}
	atomic_store(&sync.here, 0);
	return true;
}
