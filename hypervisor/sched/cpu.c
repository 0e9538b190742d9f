/* SPDX-License-Identifier: MIT */
/* CPUs and vCPUs joining and leaving the scheduler, their affinity and weight, and the idle loop. */
#include <core/console.h>
#include <core/debug_key.h>
#include <core/panic.h>
#include <core/softirq.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>
#include <memory/xmalloc.h>
#include <sched/ops.h>
#include <x86/cr.h>

#define WEIGHT_DEFAULT	256
#define WEIGHT_MAX	65535

/* --- life cycle of a vCPU's part ---------------------------------------------------------------------------------------------- */

static int sched_vcpu_create(struct vcpu *v)
{
	struct sched_vcpu *s = xzalloc(sched_policy->vcpu_size);

	if (!s)
		return -ENOMEM;
	s->v = v;
	s->weight = sched_get_weight(v->domain);
	s->timers_cpu = v->processor;
	cpumask_fill(&s->affinity);
	s->normal_affinity = s->preferred = s->affinity;
	v->sched = s;
	return runstate_create(v);
}

static void sched_vcpu_destroy(struct vcpu *v)
{
	runstate_destroy(v);
	if (!v->sched)
		return;
	BUG_ON(v->sched->queued || v->running);
	xfree(v->sched);
	v->sched = NULL;
}

static int sched_domain_create(struct domain *d)
{
	guest_wallclock_update(d);
	return 0;
}

static int sched_domain_relinquish(struct domain *d)
{
	sched_cap_stop(d);
	return 0;
}

DOMAIN_MODULE(sched_module) = {
	.name = "sched",
	.order = MODULE_SCHED,
	.create = sched_domain_create,
	.vcpu_create = sched_vcpu_create,
	.relinquish = sched_domain_relinquish,
	.vcpu_destroy = sched_vcpu_destroy,
	.destroy = sched_cap_destroy,
};

/* --- CPUs --------------------------------------------------------------------------------------------------------------------- */

int sched_init_cpu(unsigned cpu)
{
	struct sched_cpu *c = xzalloc(sched_policy->cpu_size);
	struct vcpu *idle;
	int rc;

	if (!c)
		return -ENOMEM;
	rc = vcpu_create(idle_domain, cpu, cpu, &idle);
	if (rc) {
		xfree(c);
		return rc;
	}
	idle->initialised = true;
	idle->running = true;
	runstate_change(idle, RUNSTATE_running, time_now());
	sched_start_cpu(c, idle);
	sched_cpus[cpu] = c;
	return 0;
}

void sched_offline_cpu(unsigned cpu)
{
	struct sched_cpu *c = sched_cpus[cpu];
	struct sched_vcpu *s;
	u64 flags;

	BUG_ON(cpumask_test(cpu, &cpu_online) || cpu == smp_processor_id());
	cpumask_clear_atomic(cpu, &sched_idle_cpus);
	softirq_raise_cpu(cpu, SOFTIRQ_SCHEDULE);	/* what runs there finds that it may not */
	for (;;) {
		flags = spin_lock_irqsave(&c->lock);
		s = sched_policy->first(c);
		if (!s)
			break;
		sched_dequeue(c, s->v);
		if (s->v->running)
			sched_unlock(c, flags);		/* just leaving: sched_context_saved() finds it a place */
		else
			sched_place(c, s->v, SCHED_MOVED, flags, time_now());
	}
	sched_unlock(c, flags);
}

void idle_loop(void)
{
	for (;;) {
		local_irq_disable();
		if (softirq_pending()) {
			local_irq_enable();
			softirq_run();
		} else {
			sti_halt();
		}
	}
}

/* --- affinity and weight ------------------------------------------------------------------------------------------------------ */

/* The locked vCPU's affinity has changed: move it if it must not stay where it is. Gives up the lock. */
static void apply_affinity(struct sched_cpu *c, struct vcpu *v, u64 flags)
{
	bool kick = false;

	if (!sched_allowed(v, c->cpu)) {
		if (v->sched->queued) {
			sched_dequeue(c, v);
			if (!v->running) {
				sched_place(c, v, SCHED_MOVED, flags, time_now());
				return;
			}
		} else if (c->curr == v) {
			kick = softirq_mark_cpu(c->cpu, SOFTIRQ_SCHEDULE);
		}
	} else if (v->sched->queued) {
		sched_offer(v);
	}
	sched_unlock_kick(c, kick, flags);
}

int sched_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft)
{
	struct sched_cpu *c;
	cpumask_t online;
	u64 flags;

	if (hard)
		cpumask_and(&online, hard, &cpu_online);
	if (hard && cpumask_empty(&online))
		return -EINVAL;
	c = sched_lock_vcpu(v, &flags);
	if (soft)
		v->sched->preferred = *soft;
	if (hard)
		v->sched->normal_affinity = *hard;
	if (hard && !v->sched->overridden)
		v->sched->affinity = *hard;
	apply_affinity(c, v, flags);
	return 0;
}

void sched_get_affinity(const struct vcpu *v, cpumask_t *hard, cpumask_t *soft)
{
	u64 flags;
	struct sched_cpu *c = sched_lock_vcpu(v, &flags);

	*hard = v->sched->affinity;
	if (soft)
		*soft = v->sched->preferred;
	sched_unlock(c, flags);
}

int sched_pin_override(struct vcpu *v, int cpu)
{
	struct sched_cpu *c;
	u64 flags;

	if (cpu >= 0 && (cpu >= MAX_CPUS || !cpumask_test((unsigned)cpu, &cpu_online)))
		return -EINVAL;
	c = sched_lock_vcpu(v, &flags);
	if (v->sched->overridden == (cpu >= 0)) {
		sched_unlock(c, flags);
		return cpu >= 0 ? -EBUSY : -EINVAL;
	}
	v->sched->overridden = cpu >= 0;
	if (cpu >= 0) {
		cpumask_zero(&v->sched->affinity);
		cpumask_set((unsigned)cpu, &v->sched->affinity);
	} else {
		v->sched->affinity = v->sched->normal_affinity;
	}
	apply_affinity(c, v, flags);
	return 0;
}

u32 sched_get_weight(const struct domain *d)
{
	return d->sched_weight ? d->sched_weight : WEIGHT_DEFAULT;
}

int sched_set_weight(struct domain *d, u32 weight)
{
	if (weight < 1 || weight > WEIGHT_MAX)
		return -EINVAL;
	d->sched_weight = weight;
	for_each_vcpu(d, v) {
		u64 flags;
		struct sched_cpu *c = sched_lock_vcpu(v, &flags);

		if (v->sched->queued || c->curr == v)
			c->load += (u64)weight - v->sched->weight;
		v->sched->weight = weight;
		sched_unlock(c, flags);
	}
	return 0;
}

/* --- debug key ---------------------------------------------------------------------------------------------------------------- */

static void dump_vcpu(const struct vcpu *v)
{
	char what[64];
	bool queued, curr;
	u64 flags;
	struct sched_cpu *c = sched_lock_vcpu(v, &flags);
	unsigned cpu = c->cpu;

	sched_policy->describe(c, v->sched, what, sizeof(what));
	queued = v->sched->queued;
	curr = c->curr == v;
	sched_unlock(c, flags);
	log_info("  d%uv%u: CPU%u %s%s, %s\n", v->domain->id, v->id, cpu, curr ? "running" : queued ? "queued" : "asleep",
		 v->sched->overridden ? " pinned" : "", what);
}

void sched_dump(void)
{
	struct domain *d;

	log_info("scheduler: %s, time %ld us\n", sched_policy->name, time_now() / 1000);
	for_each_online_cpu(cpu) {
		const struct sched_cpu *c = sched_cpus[cpu];
		const struct vcpu *v = READ_ONCE(c->curr);
		struct vcpu_runstate_info idle;
		char name[24];

		runstate_get(c->idle, &idle);
		if (is_idle_vcpu(v))
			strlcpy(name, "idle", sizeof(name));
		else
			snprintf(name, sizeof(name), "d%uv%u", v->domain->id, v->id);
		log_info("  CPU%u: runs %s, %u queued, load %lu, %lu switches, %lu stolen, idle %lu ms\n", cpu, name, c->nr_queued, c->load,
			 c->switches, c->steals, idle.time[RUNSTATE_running] / 1000000);
	}
	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d))
		for_each_vcpu(d, v)
			dump_vcpu(v);
}
