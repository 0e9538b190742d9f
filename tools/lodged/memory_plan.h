/* SPDX-License-Identifier: MIT */
/* Arithmetic of the machine's memory: what there is for new guests, and what Domain 0 has to give up for that. Pure. */
#ifndef LODGED_MEMORY_PLAN_H
#define LODGED_MEMORY_PLAN_H

#include <stdint.h>

/* All in KiB. Domain 0's figures are looked at before free_kib is, so that what it gives in between is not asked for twice. */
struct memory_figures {
	uint64_t free_kib;	/* nobody has or has claimed it */
	uint64_t promised_kib;	/* for guests that are being made, beyond what is claimed for them */
	uint64_t dom0_kib;	/* Domain 0 has it */
	uint64_t target_kib;	/* … is to have it */
	uint64_t least_kib;	/* … cannot go below it; PLAN_KEEPS: it gives nothing */
};

#define PLAN_KEEPS	UINT64_MAX

/* What Domain 0 could give up. */
uint64_t plan_can_give(const struct memory_figures *f);
/* What a further guest can be promised. */
uint64_t plan_room(const struct memory_figures *f);
/* Domain 0's target, so that there is all that is promised, and more_kib besides; never above the one it has. Whole pages. */
uint64_t plan_target(const struct memory_figures *f, uint64_t more_kib);
/* With that target it gives up so much of what it has, beyond what it is about to give anyway. */
uint64_t plan_gives(const struct memory_figures *f, uint64_t target_kib);
/*
 * What it cannot go below: its configured minimum, and no further than to where it would have less than a few dozen MiB for whatever
 * comes. available_kib: what it can do without, as its kernel says.
 */
uint64_t plan_least(uint64_t dom0_kib, uint64_t available_kib, uint64_t min_kib);

/* The minimum (dom0_mem=min:) on the hypervisor's command line, KiB; 0: none. machine_kib: for "all but". */
uint64_t plan_min_of(const char *command_line, uint64_t machine_kib);
/* MemAvailable of /proc/meminfo; 0: not there. */
uint64_t plan_available(const char *meminfo);

#endif
