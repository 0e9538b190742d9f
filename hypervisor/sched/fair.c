/* SPDX-License-Identifier: MIT */
/* The fair policy: CPU time in proportion to weight, by virtual time. */
#include <lib/printf.h>
#include <lib/tree.h>
#include <sched/ops.h>

/*
 * A vCPU that runs for t nanoseconds ages by t * DEFAULT_WEIGHT / weight in virtual time; the youngest one runs. Each queue is ordered by
 * virtual time and has a clock, `vnow`, which follows the youngest of queue and curr and never goes back. Virtual times mean
 * something only in comparison with the clock of one queue; a vCPU that changes queues takes along its distance to the clock (`placed` false).
 *
 * Who comes back from a sleep is not older than it was, but at most CREDIT younger than the clock: enough to preempt at once, not enough to
 * run for long at the others' cost.
 *
 * A turn lasts SLICE. It ends early for a waiting vCPU that is younger by more than MIN_TURN, but not before MIN_TURN
 * (the rate limit, so that two who wake each other do not make the CPU do nothing but switch).
 */

#define DEFAULT_WEIGHT	256
#define SLICE		MILLISECS(10)
#define MIN_TURN	MILLISECS(1)
#define CREDIT		MILLISECS(5)

struct fair_vcpu {
	struct sched_vcpu s;
	struct tree_node node;
	s64 vtime;		/* virtual ns; relative to the queue's clock unless placed */
	bool placed;
};

struct fair_cpu {
	struct sched_cpu c;
	struct tree queue;
	s64 vnow;
};

static struct fair_vcpu *to_vcpu(const struct sched_vcpu *s) { return container_of(s, struct fair_vcpu, s); }
static struct fair_cpu *to_cpu(const struct sched_cpu *c) { return container_of(c, struct fair_cpu, c); }

/* Differences, since the numbers may wrap around. */
static int by_age(const struct tree_node *a, const struct tree_node *b)
{
	s64 diff = tree_entry(a, struct fair_vcpu, node)->vtime - tree_entry(b, struct fair_vcpu, node)->vtime;

	return (diff > 0) - (diff < 0);
}

static struct fair_vcpu *youngest(const struct fair_cpu *f)
{
	struct tree_node *n = tree_first(&f->queue);

	return n ? tree_entry(n, struct fair_vcpu, node) : NULL;
}

static void advance_clock(struct fair_cpu *f, s64 curr_vtime)
{
	const struct fair_vcpu *first = youngest(f);

	if (first && first->vtime - curr_vtime < 0)
		curr_vtime = first->vtime;
	if (curr_vtime - f->vnow > 0)
		f->vnow = curr_vtime;
}

static void limit_credit(const struct fair_cpu *f, struct fair_vcpu *v)
{
	if (v->vtime - (f->vnow - CREDIT) < 0)
		v->vtime = f->vnow - CREDIT;
}

static void fair_enqueue(struct sched_cpu *c, struct sched_vcpu *s, enum sched_reason why)
{
	struct fair_cpu *f = to_cpu(c);
	struct fair_vcpu *v = to_vcpu(s), *first = youngest(f);

	if (!v->placed) {
		v->vtime += f->vnow;
		v->placed = true;
	}
	if (why == SCHED_WOKEN)
		limit_credit(f, v);
	if (s->yielded && first && first->vtime - v->vtime > 0)
		v->vtime = first->vtime;
	tree_insert(&f->queue, &v->node, by_age);
}

static void fair_dequeue(struct sched_cpu *c, struct sched_vcpu *s)
{
	tree_erase(&to_cpu(c)->queue, &to_vcpu(s)->node);
}

static void fair_leave(struct sched_cpu *c, struct sched_vcpu *s)
{
	struct fair_cpu *f = to_cpu(c);
	struct fair_vcpu *v = to_vcpu(s);

	if (!v->placed)
		return;
	limit_credit(f, v);
	v->vtime -= f->vnow;
	v->placed = false;
}

static struct sched_vcpu *fair_first(struct sched_cpu *c)
{
	struct fair_vcpu *v = youngest(to_cpu(c));

	return v ? &v->s : NULL;
}

static struct sched_vcpu *fair_candidate(struct sched_cpu *c, unsigned for_cpu)
{
	for (struct tree_node *n = tree_first(&to_cpu(c)->queue); n; n = tree_next(n)) {
		struct fair_vcpu *v = tree_entry(n, struct fair_vcpu, node);

		if (!v->s.v->running && sched_allowed(v->s.v, for_cpu))
			return &v->s;
	}
	return NULL;
}

static void fair_charge(struct sched_cpu *c, struct sched_vcpu *s, s_time_t ns)
{
	struct fair_vcpu *v = to_vcpu(s);

	if (ns > 0)
		v->vtime += ns * DEFAULT_WEIGHT / s->weight;
	advance_clock(to_cpu(c), v->vtime);
}

static s_time_t fair_deadline(const struct sched_cpu *c, s_time_t now)
{
	const struct fair_vcpu *curr = to_vcpu(c->curr->sched), *first = youngest(to_cpu(c));
	s64 vtime = curr->vtime + (now - c->charged) * DEFAULT_WEIGHT / curr->s.weight;

	if (!first)
		return STIME_MAX;
	return c->turn_start + (vtime - first->vtime > MIN_TURN ? MIN_TURN : SLICE);
}

static void fair_describe(const struct sched_cpu *c, const struct sched_vcpu *s, char *buf, size_t size)
{
	const struct fair_vcpu *v = to_vcpu(s);
	s64 age = v->placed ? v->vtime - to_cpu(c)->vnow : v->vtime;

	snprintf(buf, size, "weight %u, age %ld us", s->weight, age / 1000);
}

const struct sched_ops sched_fair = {
	.name = "fair",
	.cpu_size = sizeof(struct fair_cpu),
	.vcpu_size = sizeof(struct fair_vcpu),
	.enqueue = fair_enqueue,
	.dequeue = fair_dequeue,
	.leave = fair_leave,
	.first = fair_first,
	.candidate = fair_candidate,
	.charge = fair_charge,
	.deadline = fair_deadline,
	.describe = fair_describe,
};
