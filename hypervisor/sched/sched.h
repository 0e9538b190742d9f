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

/* Make a vCPU that has become runnable run (clears nothing itself). Any context. */
void vcpu_wake(struct vcpu *v);
/* An event arrived: clear VPF_BLOCKED (and VPF_POLL where it polls for it) and wake, or kick the CPU it runs on so that it notices. Any context. */
void vcpu_kick(struct vcpu *v);
/* Stop it running; nosync does not wait until it is off its CPU. */
void vcpu_sleep_nosync(struct vcpu *v);
void vcpu_sleep_sync(struct vcpu *v);
/* Nested pause from outside. Not on current, except nosync. */
void vcpu_pause(struct vcpu *v);
void vcpu_pause_nosync(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_pause_nosync(struct domain *d);
void domain_unpause(struct domain *d);
/* Set / clear VPF_* bits of a vCPU and let the scheduler see it. */
void vcpu_set_pause_flag(struct vcpu *v, u32 flag);
void vcpu_clear_pause_flag(struct vcpu *v, u32 flag);

/* SCHEDOP_block for current: enable upcalls; sleep unless an event is pending already. */
void sched_block(void);
void sched_yield(void);

/* 0; -EINVAL when no CPU of the set is online. */
int __must_check sched_set_affinity(struct vcpu *v, const cpumask_t *hard);

/* Time spent per RUNSTATE_* so far. */
void runstate_get(const struct vcpu *v, struct vcpu_runstate_info *out);

/*
 * Leave prev and enter next on this CPU. Called by schedule(), interrupts off; implemented by domain/switch.c; returns only on the way into next's
 * guest (it resets the stack).
 */
void context_switch(struct vcpu *prev, struct vcpu *next) __noreturn;
/* Make sure the state of v (FPU, segments …) is in memory and not on some CPU; v is not running. */
void vcpu_sync_state(struct vcpu *v);

/* Boot: choose the scheduler, make the idle vCPU of each CPU. */
void sched_init(void);
int __must_check sched_init_cpu(unsigned cpu);
/* The idle loop of a CPU; never returns. */
void idle_loop(void) __noreturn;
void sched_dump(void);

#endif
