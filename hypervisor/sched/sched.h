/* SPDX-License-Identifier: MIT */
/*
 * The scheduler core: which vCPU runs where, blocking, waking, pausing.
 *
 * There is one hypervisor stack per CPU, not per vCPU: a vCPU that stops running keeps nothing on it. Hence nothing in the
 * hypervisor sleeps; long operations return to the guest with a continuation.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include <domain/domain.h>

/*
 * May it run? No pause flag of its own, no pause count of its own or its domain's, and the domain neither shut down nor dying. Whoever
 * changes one of these must tell the scheduler afterwards: vcpu_wake() or vcpu_sleep_*(); the functions below do.
 */
bool vcpu_runnable(const struct vcpu *v);
/* Make a vCPU that has become runnable run (clears nothing itself). Any context. */
void vcpu_wake(struct vcpu *v);
/* An event arrived: clear VPF_BLOCKED and VPF_POLL and wake, or kick the CPU it runs on so that it notices. Any context. */
void vcpu_kick(struct vcpu *v);
/* Stop it running, when it is no longer runnable; nosync does not wait until it is off its CPU. sync: interrupts on, not on current. */
void vcpu_sleep_nosync(struct vcpu *v);
void vcpu_sleep_sync(struct vcpu *v);
/* Nested pause from outside. Not on current, except nosync. */
void vcpu_pause(struct vcpu *v);
void vcpu_pause_nosync(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_pause_nosync(struct domain *d);
void domain_unpause(struct domain *d);
/* Set / clear VPF_* bits of a vCPU and let the scheduler see it. Any context. */
void vcpu_set_pause_flag(struct vcpu *v, u32 flag);
void vcpu_clear_pause_flag(struct vcpu *v, u32 flag);

/* SCHEDOP_block for current: enable upcalls; sleep unless an event is pending already. */
void sched_block(void);
/*
 * SCHEDOP_poll for current: set VPF_POLL, and take it back when there is a reason not to sleep; d->pollers counts those who have it, so that a
 * sender need not look for them. Whoever makes an event pending after sched_poll_begin() sees it.
 */
void sched_poll_begin(void);
void sched_poll_cancel(void);
void sched_yield(void);

/*
 * hard: where it may run; soft: where of these it should, if it can. NULL: no change, or not asked for. 0; -EINVAL when no CPU of the
 * hard set is online.
 */
int __must_check sched_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft);
void sched_get_affinity(const struct vcpu *v, cpumask_t *hard, cpumask_t *soft);
/* Run v on this CPU only, until cpu < 0 gives it back its affinity. 0; -EINVAL no such CPU online; -EBUSY overridden already. */
int __must_check sched_pin_override(struct vcpu *v, int cpu);
/* A domain's share of CPU time relative to others': 1..65535, default 256. 0 or -EINVAL. */
int __must_check sched_set_weight(struct domain *d, u32 weight);
u32 sched_get_weight(const struct domain *d);
/* How much it may use at most, in percent of one CPU; 0: no limit. 0; -EINVAL more than it has vCPUs for; -ENOMEM. Not from two CPUs at once. */
int __must_check sched_set_cap(struct domain *d, u32 percent);
u32 sched_get_cap(const struct domain *d);

/* Time spent per RUNSTATE_* so far. */
void runstate_get(const struct vcpu *v, struct vcpu_runstate_info *out);
/*
 * Where the guest wants to see its run state and a second copy of its time parameters: guest virtual addresses in its kernel's address
 * space, 0: nowhere. They are written at each switch and now when v is current.
 */
void runstate_set_area(struct vcpu *v, u64 va);
void guest_time_set_area(struct vcpu *v, u64 va);
/* Write what could not be written (v->areas_due), now that the kernel's address space of v, which is current, is loaded. */
void guest_areas_write(struct vcpu *v);
/* Refresh v->info->time: the pvclock parameters of this CPU have changed, or v->info has moved. For current, any context. */
void guest_time_refresh(struct vcpu *v);
/* Write the wall clock into the domain's shared_info: it, or d->time_offset_seconds, has changed. */
void guest_wallclock_update(struct domain *d);

/* SCHEDOP_watchdog for the current domain: the watchdog's id (for id 0), 0, -EINVAL, -ENOSPC. seconds 0: stop. */
long watchdog_op(struct domain *d, u32 id, u32 seconds);

/*
 * Leave prev and enter next on this CPU. Called by schedule(), interrupts off; implemented by domain/switch.c; returns only on the way into next's
 * guest (it resets the stack). On its way it calls sched_context_saved(prev) when nothing of prev's state is in use on this CPU
 * (what is left lazily in registers is found through vcpu_sync_state()), and then, with next's address space loaded
 * and current set, sched_switched_in(next); both with interrupts off.
 */
void context_switch(struct vcpu *prev, struct vcpu *next) __noreturn;
void sched_context_saved(struct vcpu *prev);
void sched_switched_in(struct vcpu *next);
/* pv/entry.S. Drop what is on this CPU's stack and enter current's guest; or call fn, which does not return. Interrupts off. */
void enter_guest(void) __noreturn;
void jump_with_fresh_stack(void (*fn)(void)) __noreturn;
/* Make sure the state of v (FPU, segments …) is in memory and not on some CPU; v is not running. */
void vcpu_sync_state(struct vcpu *v);

/* Boot: choose the scheduler, make the idle vCPU of each CPU. */
void sched_init(void);
int __must_check sched_init_cpu(unsigned cpu);
/* The CPU has left cpu_online: send its vCPUs elsewhere. On any other CPU. The CPU itself ends up in its idle vCPU. */
void sched_offline_cpu(unsigned cpu);
/* The idle loop of a CPU; never returns. */
void idle_loop(void) __noreturn;
void sched_dump(void);

#endif
