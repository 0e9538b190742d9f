/* SPDX-License-Identifier: MIT */
/* A counter of known frequency that does not depend on the processors: what the TSC is measured with. */
#ifndef CORE_PLATFORM_TIMER_H
#define CORE_PLATFORM_TIMER_H

#include <lib/types.h>

struct platform_timer {
	const char *name;
	u64 hz;
	u64 mask;		/* the counter wraps at mask + 1, a power of two */
	bool brief;		/* stops at its first wrap: good for one measurement after the probe only */
	u64 (*read)(void);	/* any context, but serialised by the caller */
};

/* Choose one (clocksource=, or the best) and set it going; NULL when none works. Boot. */
const struct platform_timer *platform_timer_find(void);
/* Each finds its device, sets it going and returns its description; NULL when there is none that works. Boot. */
const struct platform_timer *hpet_probe(void);
const struct platform_timer *pmtimer_probe(void);
const struct platform_timer *pit_probe(void);
/* Let the PIT raise its interrupt PIT_TICKS times a second, for ever. */
#define PIT_TICKS	18
void pit_tick(void);

#endif
