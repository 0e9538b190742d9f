/* SPDX-License-Identifier: MIT */
/* The scheduler's core: choosing who runs next on a CPU, and moving vCPUs between CPUs. */
#include <core/console.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/smp.h>
#include <core/softirq.h>
#include <core/trace.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <sched/ops.h>
#include <sched/runstate.h>
#include <x86/cr.h>

/*
 * Each CPU has a run queue with a lock. v->processor names the queue a vCPU belongs to, and the lock of that CPU protects everything
 * the scheduler keeps about it. v->processor itself changes only under the old CPU's lock and only while the vCPU is not in
 * its queue and not running; so whoever locks a vCPU's queue looks again afterwards (sched_lock_vcpu). Two queues are locked together
 * only by stealing, which takes the second one by trylock.
 *
 * States of a vCPU, from the queue's point of view:
 *
 *   asleep     not queued, not curr, not running. Only vcpu_wake() takes it out of here, if it is runnable.
 *   queued     waiting in the queue of v->processor.
 *   curr       chosen by that CPU; v->running is set under the same lock.
 *   leaving    not curr any more, but `running` until its registers are saved (sched_context_saved). It may be queued already,
 *              but nobody else may load it before.
 *
 * What makes a vCPU (not) runnable - pause flags and counts - changes without the lock, before the change is announced by vcpu_wake()
 * or vcpu_sleep_*(), which take the lock. schedule() looks at it with the lock held. So with any order of the two:
 *
 *   block | wake   If the waker clears the flag before schedule() looks, the vCPU just goes on. If schedule() looked first, it
 *                  has made the vCPU leave `curr` before it gave up the lock, and the waker, who needs the lock, finds it
 *                  asleep and queues it, or finds it leaving, and then sched_context_saved() queues it.
 *   move | wake    A vCPU on its way from one queue to another is asleep in both locks' eyes. Mover and waker both end with
 *                  "if runnable, not queued, not curr, not running: queue it" under the lock of v->processor; the second one has nothing
 *                  to do.
 *   kick           An event is made pending, then the target's `running` is looked at. A CPU sets `running` (with a locked
 *                  instruction in between, the lock's) before it looks for events on the way to the guest. One of the two sees
 *                  the other; an IPI that arrives between that look and the guest's first instruction interrupts the guest.
 *   lock | kick    A CPU that is kicked takes its queue's lock at once. So the IPI is sent when the lock has been given up: were it sent before,
 *                  the CPU would spin until the sender goes on, which under another hypervisor may not be running just then.
 *   idle           A CPU whose curr is its idle vCPU gets SOFTIRQ_SCHEDULE from whoever queues something there. The idle loop looks
 *                  at the soft-IRQs with interrupts off and halts with `sti; hlt`, so the IPI that goes with a raise from outside ends the halt.
 */

struct sched_cpu *sched_cpus[MAX_CPUS];
const struct sched_ops *sched_policy = &sched_fair;
cpumask_t sched_idle_cpus;

#define BALANCE_PERIOD	MILLISECS(10)

static int parse_sched(const char *value) { return strcmp(value, sched_fair.name) == 0 ? 0 : -EINVAL; }
BOOT_PARAM("sched", parse_sched, "fair", "the scheduler");

static bool wants_to_run(const struct vcpu *v)
{
	const struct domain *d = v->domain;

	return !(READ_ONCE(v->pause_flags) | READ_ONCE(v->pause_count) | READ_ONCE(d->pause_count)) && !READ_ONCE(d->is_shut_down) &&
	       !READ_ONCE(d->is_dying);
}

bool vcpu_runnable(const struct vcpu *v)
{
	return wants_to_run(v) && !READ_ONCE(v->domain->cap_parked);
}

struct sched_cpu *sched_lock_vcpu(const struct vcpu *v, u64 *flags)
{
	for (;;) {
		struct sched_cpu *c = sched_cpus[READ_ONCE(v->processor)];

		*flags = spin_lock_irqsave(&c->lock);
		if (c->cpu == READ_ONCE(v->processor))
			return c;
		spin_unlock_irqrestore(&c->lock, *flags);
	}
}

void sched_unlock(struct sched_cpu *c, u64 flags)
{
	spin_unlock_irqrestore(&c->lock, flags);
}

/* The CPUs it may run on: those of its affinity that are online, or, when there are none, all. */
static void allowed_cpus(const struct vcpu *v, cpumask_t *out)
{
	cpumask_and(out, &v->sched->affinity, &cpu_online);
	if (cpumask_empty(out))
		*out = cpu_online;
}

bool sched_allowed(const struct vcpu *v, unsigned cpu)
{
	cpumask_t mask;

	if (!cpumask_test(cpu, &cpu_online))
		return false;
	if (cpumask_test(cpu, &v->sched->affinity))
		return true;
	allowed_cpus(v, &mask);
	return cpumask_test(cpu, &mask);
}

void sched_enqueue(struct sched_cpu *c, struct vcpu *v, enum sched_reason why)
{
	sched_policy->enqueue(c, v->sched, why);
	v->sched->queued = true;
	c->nr_queued++;
	c->load += v->sched->weight;
}

void sched_dequeue(struct sched_cpu *c, struct vcpu *v)
{
	sched_policy->dequeue(c, v->sched);
	v->sched->queued = false;
	c->nr_queued--;
	c->load -= v->sched->weight;
}

/* --- where to queue ----------------------------------------------------------------------------------------------------------- */

static unsigned least_loaded(const cpumask_t *mask)
{
	unsigned best = cpumask_first(mask);

	for_each_cpu(cpu, mask)
		if (READ_ONCE(sched_cpus[cpu]->load) < READ_ONCE(sched_cpus[best]->load))
			best = cpu;
	return best;
}

/* Its own CPU if that is idle, else an idle one, else its own, else the one with the least to do; those that it prefers first. */
static unsigned select_cpu(const struct vcpu *v)
{
	unsigned own = v->processor, cpu;
	cpumask_t allowed, idle, preferred;

	/* Mostly the answer is plain: the first rule, or nobody is idle. */
	if (cpumask_test(own, &cpu_online) && cpumask_test(own, &v->sched->affinity) &&
	    ((cpumask_test(own, &sched_idle_cpus) && cpumask_test(own, &v->sched->preferred)) || cpumask_empty(&sched_idle_cpus)))
		return own;
	allowed_cpus(v, &allowed);
	if (cpumask_empty(&allowed))
		return own;
	cpumask_and(&idle, &allowed, &sched_idle_cpus);
	cpumask_and(&preferred, &idle, &v->sched->preferred);
	if (!cpumask_empty(&preferred))
		idle = preferred;
	cpu = cpumask_next(own, &idle);
	if (cpu == MAX_CPUS)
		cpu = cpumask_first(&idle);
	if (cpu != MAX_CPUS)
		return cpu;
	return cpumask_test(own, &allowed) ? own : least_loaded(&allowed);
}

static void reschedule(struct sched_cpu *c)
{
	cpumask_clear_atomic(c->cpu, &sched_idle_cpus);
	softirq_raise_cpu(c->cpu, SOFTIRQ_SCHEDULE);
}

void sched_offer(const struct vcpu *v)
{
	cpumask_t idle;
	unsigned cpu;

	if (cpumask_empty(&sched_idle_cpus))
		return;
	allowed_cpus(v, &idle);
	cpumask_and(&idle, &idle, &sched_idle_cpus);
	cpu = cpumask_first(&idle);
	if (cpu != MAX_CPUS)
		reschedule(sched_cpus[cpu]);
}

/* When curr, not the idle vCPU, has to make room, or to pause; STIME_MAX: never. */
static s_time_t turn_end(const struct sched_cpu *c, s_time_t now)
{
	s_time_t when = sched_policy->deadline(c, now), left;

	if (likely(!c->curr->domain->cap))
		return when;
	left = sched_cap_left(c->curr->domain);
	return left == STIME_MAX ? when : min(when, now + left);
}

/* Bill curr, not the idle vCPU, for what it has run. From another CPU, whose clock may be a little behind, too. */
static void bill(struct sched_cpu *c, s_time_t now)
{
	s_time_t ran = now - c->charged;

	if (ran <= 0)
		return;
	sched_policy->charge(c, c->curr->sched, ran);
	if (unlikely(c->curr->domain->cap))
		sched_cap_charge(c->curr->domain, ran, now);
	c->charged = now;
}

/*
 * The CPU is to look again at `when` at the latest. A timer that is set to an earlier time stays: setting it anew at each change would cost more than
 * a look too many.
 */
static void look_by(struct sched_cpu *c, s_time_t when)
{
	if (when != STIME_MAX && !(timer_is_set(&c->timer) && timer_expires(&c->timer) <= when))
		timer_set(&c->timer, when);
}

/* Something has been queued: let the CPU look at it now, or at the right time. True: kick it, once it is unlocked. */
static bool notice(struct sched_cpu *c, s_time_t now)
{
	s_time_t when = is_idle_vcpu(c->curr) ? now : turn_end(c, now);

	if (when <= now) {
		cpumask_clear_atomic(c->cpu, &sched_idle_cpus);
		return softirq_mark_cpu(c->cpu, SOFTIRQ_SCHEDULE);
	}
	look_by(c, when);
	return false;
}

void sched_unlock_kick(struct sched_cpu *c, bool kick, u64 flags)
{
	spin_unlock(&c->lock);
	if (kick)
		smp_kick(c->cpu);
	local_irq_restore(flags);
}

void sched_place(struct sched_cpu *c, struct vcpu *v, enum sched_reason why, u64 flags, s_time_t now)
{
	for (;;) {
		unsigned cpu = select_cpu(v);

		if (cpu == c->cpu)
			break;
		sched_policy->leave(c, v->sched);
		v->processor = (u16)cpu;
		sched_unlock(c, flags);
		c = sched_lock_vcpu(v, &flags);
		if (v->sched->queued || c->curr == v || v->running || !vcpu_runnable(v)) {
			sched_unlock(c, flags);
			return;
		}
		now = time_now();
	}
	/* Alone it may have run for long without being billed; the policy's clock stands still meanwhile. */
	if (!is_idle_vcpu(c->curr))
		bill(c, now);
	sched_enqueue(c, v, why);
	sched_unlock_kick(c, notice(c, now), flags);
}

/* --- taking from other CPUs --------------------------------------------------------------------------------------------------- */

/*
 * Move the best waiting vCPU of `from` to the locked queue c. False when it has none that may run here; *missed when that
 * could not be found out.
 */
static bool steal_from(struct sched_cpu *c, struct sched_cpu *from, bool *missed)
{
	struct sched_vcpu *s;

	if (!spin_trylock(&from->lock)) {
		*missed = true;
		return false;
	}
	s = sched_policy->candidate(from, c->cpu);
	if (s) {
		sched_dequeue(from, s->v);
		sched_policy->leave(from, s);
		s->v->processor = (u16)c->cpu;
		sched_enqueue(c, s->v, SCHED_MOVED);
		c->steals++;
	}
	spin_unlock(&from->lock);
	return s != NULL;
}

/* Nothing to do here: take work from anybody who has some waiting. */
static void steal_any(struct sched_cpu *c)
{
	bool missed = false;

	for (unsigned i = 1; i < nr_cpus; i++) {
		unsigned cpu = (c->cpu + i) % nr_cpus;

		/* One that is about to wake up for it needs no help. */
		if (!cpumask_test(cpu, &cpu_online) ||
		    READ_ONCE(sched_cpus[cpu]->nr_queued) <= is_idle_vcpu(READ_ONCE(sched_cpus[cpu]->curr)))
			continue;
		if (steal_from(c, sched_cpus[cpu], &missed))
			return;
	}
	if (missed)
		softirq_raise(SOFTIRQ_SCHEDULE);
}

/* Some must wait here: wake as many idle CPUs that could run one. */
static void share_out(struct sched_cpu *c)
{
	unsigned left = c->nr_queued;

	if (!left || cpumask_empty(&sched_idle_cpus))
		return;
	for_each_online_cpu(cpu)
		if (left && cpumask_test(cpu, &sched_idle_cpus) && sched_policy->candidate(c, cpu)) {
			reschedule(sched_cpus[cpu]);
			left--;
		}
}

/*
 * From time to time, on a busy CPU: take one waiting vCPU from the CPU with the greatest load if that is greater than ours, and make a CPU with less
 * to do than we have do the same. With three vCPUs on two CPUs this lets the waiting place go round.
 */
static void balance(struct sched_cpu *c, s_time_t now)
{
	struct sched_cpu *most = c, *least = c;
	bool missed;

	if (now - c->balanced < BALANCE_PERIOD || !cpumask_test(c->cpu, &cpu_online))
		return;
	c->balanced = now;
	for_each_online_cpu(cpu) {
		struct sched_cpu *other = sched_cpus[cpu];

		if (READ_ONCE(other->nr_queued) && READ_ONCE(other->load) > most->load)
			most = other;
		if (READ_ONCE(other->load) < least->load)
			least = other;
	}
	if (most != c)
		steal_from(c, most, &missed);
	else if (least != c && sched_policy->candidate(c, least->cpu))
		reschedule(least);
}

/* --- the decision ------------------------------------------------------------------------------------------------------------- */

static int asleep_state(const struct vcpu *v)
{
	if (wants_to_run(v))
		return RUNSTATE_runnable;	/* its domain's cap keeps it */
	return READ_ONCE(v->pause_flags) & (VPF_BLOCKED | VPF_POLL) ? RUNSTATE_blocked : RUNSTATE_offline;
}

/* Who is next. A queue can hold some whose domain has used up what its cap allows: they fall asleep now. */
static struct sched_vcpu *first_runnable(struct sched_cpu *c, s_time_t now)
{
	struct sched_vcpu *s;

	while ((s = sched_policy->first(c)) && READ_ONCE(s->v->domain->cap_parked)) {
		sched_dequeue(c, s->v);
		runstate_change(s->v, asleep_state(s->v), now);
	}
	return s;
}

/* Bill curr for what it has run, and choose its successor, which may be itself. */
static struct vcpu *choose(struct sched_cpu *c, s_time_t now)
{
	struct vcpu *prev = c->curr;
	struct sched_vcpu *s = prev->sched;
	bool stays = false;

	if (!is_idle_vcpu(prev)) {
		bill(c, now);
		stays = vcpu_runnable(prev) && sched_allowed(prev, c->cpu);
		balance(c, now);
		if (stays && !s->yielded && sched_policy->deadline(c, now) > now)
			return prev;
		c->load -= s->weight;
		if (stays)
			sched_enqueue(c, prev, SCHED_REQUEUED);
		s->yielded = false;
	}
	if (!c->nr_queued && cpumask_test(c->cpu, &cpu_online))
		steal_any(c);
	s = first_runnable(c, now);
	if (!s || !cpumask_test(c->cpu, &cpu_online))
		s = c->idle->sched;
	c->turn_start = now;
	if (!is_idle_vcpu(s->v)) {
		sched_dequeue(c, s->v);
		c->load += s->weight;
	}
	return s->v;
}

static void set_turn_end(struct sched_cpu *c, s_time_t now)
{
	if (is_idle_vcpu(c->curr))
		timer_stop(&c->timer);
	else
		look_by(c, turn_end(c, now));
}

/* Its timers come along, and the periodic one goes on: at once when a tick is overdue. */
static void start_timers(struct vcpu *v, unsigned cpu)
{
	if (v->sched->timers_cpu != cpu) {
		v->sched->timers_cpu = (u16)cpu;
		timer_migrate(&v->singleshot_timer, cpu);
		timer_migrate(&v->periodic_timer, cpu);
		timer_migrate(&v->poll_timer, cpu);
	}
	if (v->periodic_period_ns)
		timer_set(&v->periodic_timer, (s_time_t)v->periodic_due_ns);
}

/* SOFTIRQ_SCHEDULE: interrupts on, no lock held. */
static void schedule(void)
{
	struct sched_cpu *c = sched_cpus[smp_processor_id()];
	struct vcpu_runstate_info left;
	struct vcpu *prev, *next;
	s_time_t now;

	spin_lock_irq(&c->lock);
	now = time_now();
	prev = c->curr;
	next = choose(c, now);
	c->curr = next;
	c->charged = now;
	if (is_idle_vcpu(next))
		cpumask_set_atomic(c->cpu, &sched_idle_cpus);
	else
		cpumask_clear_atomic(c->cpu, &sched_idle_cpus);
	set_turn_end(c, now);
	share_out(c);
	if (next == prev) {
		spin_unlock_irq(&c->lock);
		return;
	}
	next->running = true;
	runstate_change(prev, prev->sched->queued || is_idle_vcpu(prev) || vcpu_runnable(prev) ? RUNSTATE_runnable : asleep_state(prev), now);
	runstate_change(next, RUNSTATE_running, now);
	/* As soon as the lock is given up others can change it. */
	left = prev->runstate->info;
	c->switches++;
	trace(TRACE_SWITCH, (u64)prev->domain->id << 32 | prev->id, (u64)next->domain->id << 32 | next->id);
	spin_unlock(&c->lock);

	if (!is_idle_vcpu(prev)) {
		runstate_write_area(prev, &left);
		if (prev->periodic_period_ns)
			timer_stop(&prev->periodic_timer);
	}
	if (!is_idle_vcpu(next))
		start_timers(next, c->cpu);
	context_switch(prev, next);
}

void sched_context_saved(struct vcpu *prev)
{
	struct sched_cpu *c;
	u64 flags;

	if (is_idle_vcpu(prev)) {
		prev->running = false;
		return;
	}
	c = sched_lock_vcpu(prev, &flags);
	atomic_store(&prev->running, false);
	if (!prev->sched->queued) {
		if (vcpu_runnable(prev) && c->curr != prev)
			sched_place(c, prev, SCHED_WOKEN, flags, time_now());
		else
			sched_unlock(c, flags);
		return;
	}
	/* Now others may have it; while it was running they could not. */
	sched_offer(prev);
	sched_unlock(c, flags);
}

void sched_switched_in(struct vcpu *next)
{
	if (is_idle_vcpu(next))
		return;
	guest_time_update(next, false);
	runstate_write_area(next, &next->runstate->info);
}

/* --- waking and sleeping ------------------------------------------------------------------------------------------------------ */

void vcpu_wake(struct vcpu *v)
{
	u64 flags;
	struct sched_cpu *c = sched_lock_vcpu(v, &flags);
	int state = runstate_state(v);
	s_time_t now = time_now();

	trace(TRACE_WAKE, (u64)v->domain->id << 32 | v->id, (u64)state);
	if (!vcpu_runnable(v)) {
		if (state == RUNSTATE_blocked)
			runstate_change(v, asleep_state(v), now);
	} else {
		if (state == RUNSTATE_blocked || state == RUNSTATE_offline)
			runstate_change(v, RUNSTATE_runnable, now);
		if (!v->sched->queued && c->curr != v && !v->running) {
			sched_place(c, v, SCHED_WOKEN, flags, now);
			return;
		}
	}
	sched_unlock(c, flags);
}

void vcpu_sleep_nosync(struct vcpu *v)
{
	u64 flags;
	struct sched_cpu *c = sched_lock_vcpu(v, &flags);
	bool kick = false;

	if (!vcpu_runnable(v)) {
		if (c->curr == v) {
			kick = softirq_mark_cpu(c->cpu, SOFTIRQ_SCHEDULE);
		} else {
			if (v->sched->queued)
				sched_dequeue(c, v);
			runstate_change(v, asleep_state(v), time_now());
		}
	}
	sched_unlock_kick(c, kick, flags);
}

void vcpu_sleep_sync(struct vcpu *v)
{
	BUG_ON(v == current);
	vcpu_sleep_nosync(v);
	while (v->running)
		cpu_relax();
	vcpu_sync_state(v);
}

/* --- start-up ----------------------------------------------------------------------------------------------------------------- */

static void turn_over(void *data)
{
	softirq_raise(SOFTIRQ_SCHEDULE);
}

/* domain/ has decided that the domain must not run any more. */
static void stop_domain(struct domain *d)
{
	for_each_vcpu(d, v)
		vcpu_sleep_nosync(v);
}

void sched_init(void)
{
	softirq_register(SOFTIRQ_SCHEDULE, schedule);
	domain_stop_hook = stop_domain;
	guest_time_init();
	log_info("scheduler: %s\n", sched_policy->name);
}

void sched_start_cpu(struct sched_cpu *c, struct vcpu *idle)
{
	spinlock_init(&c->lock, LOCK_SCHED, "run queue");
	c->cpu = idle->processor;
	c->idle = c->curr = idle;
	timer_init(&c->timer, turn_over, NULL, c->cpu);
	cpumask_set_atomic(c->cpu, &sched_idle_cpus);
}
