/* SPDX-License-Identifier: MIT */
/* A vCPU's timers: the single-shot and the periodic one raise VIRQ_TIMER, a third ends SCHEDOP_poll. */
#ifndef HYPERCALL_VCPU_TIMER_H
#define HYPERCALL_VCPU_TIMER_H

#include <domain/domain.h>

/* Absolute system time in ns. future: -ETIME when that has passed. */
int __must_check vcpu_singleshot_set(struct vcpu *v, u64 when, bool future);
void vcpu_singleshot_stop(struct vcpu *v);
/* Every period_ns while the vCPU runs; at least a millisecond, else -EINVAL. */
int __must_check vcpu_periodic_set(struct vcpu *v, u64 period_ns);
void vcpu_periodic_stop(struct vcpu *v);
/* The poll timer's function, in sched_op.c. */
void sched_op_poll_timeout(void *v);

#endif
