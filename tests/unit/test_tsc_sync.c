/* SPDX-License-Identifier: MIT */
/* Unit tests: comparing the TSCs of two CPUs, which are two threads here. */
/* sources: core/tsc_sync.c */
/* cflags: -include fake_tsc.h -pthread */
#include "test.h"

#include <core/tsc_sync.h>
#include <pthread.h>
#include <time.h>

#define SOURCE_CPU	0
#define TARGET_CPU	5

static _Thread_local s64 skew;

/* Nanoseconds, from a start that leaves room below. */
u64 fake_tsc(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (1UL << 40) + (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec + (u64)skew;
}

static void *source(void *unused __unused)
{
	return (void *)(u64)tsc_sync_source(TARGET_CPU);
}

static s64 measured(s64 target_skew)
{
	pthread_t thread;
	void *came;
	s64 offset = 0;

	pthread_create(&thread, NULL, source, NULL);
	skew = target_skew;
	CHECK(tsc_sync_target(TARGET_CPU, &offset));
	pthread_join(thread, &came);
	CHECK(came);
	return offset;
}

TEST(equal_counters_need_no_offset)
{
	for (int i = 0; i < 20; i++)
		CHECK_EQ(measured(0), 0);
}

/* The offset is right to within half a round trip between threads, which on a loaded machine may be long: allow much, expect little. */
TEST(offsets_are_found)
{
	static const s64 skews[] = { 1000000000, -1000000000, 5000000000000, -5000000000000, 300000000, -300000000 };

	for (size_t i = 0; i < ARRAY_SIZE(skews); i++) {
		s64 error = measured(skews[i]) + skews[i];

		CHECK(error > -20000000 && error < 20000000);
	}
}
