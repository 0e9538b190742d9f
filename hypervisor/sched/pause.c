/* SPDX-License-Identifier: MIT */
/* Why a vCPU does not run: pause flags and counts, blocking, and what ends them. The theory is in sched.c. */
#include <core/panic.h>
#include <core/smp.h>
#include <core/softirq.h>
#include <sched/ops.h>
#include <x86/atomic.h>
#include <x86/cr.h>

void vcpu_set_pause_flag(struct vcpu *v, u32 flag)
{
	atomic_fetch_or(&v->pause_flags, flag);
	vcpu_sleep_nosync(v);
}

/* Which of the flags were set. Each end of a poll is seen by exactly one caller. */
static u32 clear_flags(struct vcpu *v, u32 flags)
{
	u32 were_set = atomic_fetch_and(&v->pause_flags, ~flags) & flags;

	if (were_set & VPF_POLL)
		atomic_sub_fetch(&v->domain->pollers, 1);
	return were_set;
}

void vcpu_clear_pause_flag(struct vcpu *v, u32 flag)
{
	if (clear_flags(v, flag))
		vcpu_wake(v);
}

void vcpu_kick(struct vcpu *v)
{
	/* Whoever goes to sleep sets his flag before he looks whether there is something that wakes him; callers have made that visible before. */
	if (READ_ONCE(v->pause_flags) & (VPF_BLOCKED | VPF_POLL) && clear_flags(v, VPF_BLOCKED | VPF_POLL))
		vcpu_wake(v);
	else if (v != current && v->running)
		smp_kick(v->processor);
}

void vcpu_pause_nosync(struct vcpu *v)
{
	atomic_fetch_add(&v->pause_count, 1);
	vcpu_sleep_nosync(v);
}

void vcpu_pause(struct vcpu *v)
{
	atomic_fetch_add(&v->pause_count, 1);
	vcpu_sleep_sync(v);
}

void vcpu_unpause(struct vcpu *v)
{
	u32 old = atomic_fetch_add(&v->pause_count, ~0u);

	BUG_ON(old == 0);
	if (old == 1)
		vcpu_wake(v);
}

void domain_pause_nosync(struct domain *d)
{
	atomic_fetch_add(&d->pause_count, 1);
	for_each_vcpu(d, v)
		vcpu_sleep_nosync(v);
}

void domain_pause(struct domain *d)
{
	domain_pause_nosync(d);
	for_each_vcpu(d, v)
		vcpu_sleep_sync(v);
}

void domain_unpause(struct domain *d)
{
	u32 old = atomic_fetch_add(&d->pause_count, ~0u);

	BUG_ON(old == 0);
	if (old == 1)
		for_each_vcpu(d, v)
			vcpu_wake(v);
}

void sched_block(void)
{
	struct vcpu *v = current;

	WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
	atomic_fetch_or(&v->pause_flags, VPF_BLOCKED);
	/* Whoever makes an event pending from here on sees the flag (the operation is a barrier) and clears it. */
	if (READ_ONCE(v->info->evtchn_upcall_pending))
		atomic_fetch_and(&v->pause_flags, ~(u32)VPF_BLOCKED);
	else
		softirq_raise(SOFTIRQ_SCHEDULE);
}

void sched_poll_begin(void)
{
	atomic_fetch_add(&current->domain->pollers, 1);
	atomic_fetch_or(&current->pause_flags, VPF_POLL);
}

void sched_poll_cancel(void)
{
	clear_flags(current, VPF_POLL);
}

void sched_yield(void)
{
	u64 flags;
	struct sched_cpu *c = sched_lock_vcpu(current, &flags);

	current->sched->yielded = true;
	sched_unlock(c, flags);
	softirq_raise(SOFTIRQ_SCHEDULE);
}
