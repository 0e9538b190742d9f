/* SPDX-License-Identifier: MIT */
/* What the scheduler shows to a vCPU's guest: run state and time parameters. Private to sched/. */
#ifndef SCHED_RUNSTATE_H
#define SCHED_RUNSTATE_H

#include <sched/ops.h>
#include <x86/cr.h>

/*
 * `info` is protected by the lock of the vCPU's run queue; while the vCPU is its CPU's curr only that CPU changes it. The areas' addresses are set by a hypercall (of any vCPU of the domain); the rest is
 * used only by the CPU that the vCPU is loaded on.
 */
struct runstate_state {
	struct vcpu_runstate_info info;
	u64 area;		/* guest virtual address of the run-state copy, 0: none */
	u64 time_area;		/* … of the second copy of the time parameters */

	bool clock_stale;	/* v->info->time must be written whatever the next three say */
	u16 clock_cpu;		/* it holds the parameters of this CPU … */
	u32 clock_generation;	/* … at this generation */
	u32 clock_version;	/* last version number given out; even */
};

static inline void sched_area_written(struct vcpu *v, u8 area, bool done)
{
	v->areas_due = (u8)(done ? v->areas_due & ~area : v->areas_due | area);
}

#endif
