/* SPDX-License-Identifier: MIT */
/* Comparing the TSCs of two CPUs. */
#ifndef CORE_TSC_SYNC_H
#define CORE_TSC_SYNC_H

#include <lib/types.h>

/*
 * Both CPUs call it at the same time, interrupts off; the source is the boot CPU. On the other one *offset becomes what to add to
 * its TSC to get the source's, 0 when no disagreement shows. False when the partner did not come within a second (offset 0).
 */
bool tsc_sync_source(unsigned cpu);
bool tsc_sync_target(unsigned cpu, s64 *offset);

#endif
