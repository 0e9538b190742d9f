/* SPDX-License-Identifier: MIT */
/*
 * Comparing the TSCs of two CPUs.
 *
 * First both take turns, under a lock, at reading the TSC and comparing it with the last value either has seen: one that went back
 * shows an offset, even of a few ticks. Then the source answers the target with its TSC, several times: an answer that does not lie
 * between the target's readings before and after shows an offset too, also when the CPUs did not really run side by side in the
 * first part (virtual ones need not). If there is an offset, the shortest of many such round trips gives it. One pair of CPUs at a
 * time.
 */
#include <core/tsc_sync.h>
#include <x86/atomic.h>
#include <x86/cr.h>
#include <x86/msr.h>

#define WARP_ROUNDS	2000
#define TRIPS_LEAST	10
#define TRIPS		200
#define SPINS_MAX	200000000UL	/* about a second */

static struct {
	u32 here;		/* CPU + 1 of a target that waits */
	u32 step;		/* advanced in turn: 1 and other odd ones by the source, even ones by the target */
	u32 lock;
	u64 last, warp;
	u64 stamp;
} sync;

static bool wait_for(const u32 *word, u32 value)
{
	for (u64 i = 0; i < SPINS_MAX; i++) {
		if (atomic_load(word) == value)
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
	u32 step = 2;

	if (!wait_for(&sync.here, cpu + 1))
		return false;
	sync.last = sync.warp = 0;
	atomic_store(&sync.step, 1);
	warp_rounds();
	/* Answer every even step with the next odd one, until the target has enough. */
	for (u64 spins = 0; atomic_load(&sync.here) == cpu + 1; spins++) {
		if (spins > SPINS_MAX)
			return false;
		if (atomic_load(&sync.step) != step) {
			cpu_relax();
			continue;
		}
		sync.stamp = rdtsc_ordered();
		atomic_store(&sync.step, step + 1);
		step += 2;
		spins = 0;
	}
	return true;
}

/* The round trips; both CPUs' rounds are over with the source's first answer, so then `warp` is final. */
static s64 measure_offset(void)
{
	u64 best = ~0UL;
	s64 offset = 0;
	bool differs = false;

	for (u32 i = 0; i < TRIPS; i++) {
		u64 before = rdtsc_ordered(), after;

		atomic_store(&sync.step, 2 + 2 * i);
		if (!wait_for(&sync.step, 3 + 2 * i))
			break;
		after = rdtsc_ordered();
		differs |= sync.warp || sync.stamp < before || sync.stamp > after;
		if (after - before < best) {
			best = after - before;
			offset = (s64)(sync.stamp - (before + best / 2));
		}
		if (!differs && i >= TRIPS_LEAST)
			break;
	}
	return differs ? offset : 0;
}

bool tsc_sync_target(unsigned cpu, s64 *offset)
{
	bool came;

	*offset = 0;
	atomic_store(&sync.step, 0);
	atomic_store(&sync.here, cpu + 1);
	came = wait_for(&sync.step, 1);
	if (came) {
		warp_rounds();
		*offset = measure_offset();
	}
	atomic_store(&sync.here, 0);
	return came;
}
