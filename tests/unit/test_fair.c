/* SPDX-License-Identifier: MIT */
/* Unit tests: the fair policy's queue, against a sorted array and against arithmetic. */
/* sources: sched/fair.c lib/tree.c */
#include "test.h"

#include <sched/ops.h>

bool sched_allowed(const struct vcpu *v, unsigned cpu)
{
	return v->id % 2 == cpu % 2;
}

#define N	24

static struct vcpu vcpus[N];
static struct sched_vcpu *s[N];
static const struct sched_ops *ops = &sched_fair;

static struct sched_cpu *make(void)
{
	struct sched_cpu *c = calloc(1, ops->cpu_size);

	for (int i = 0; i < N; i++) {
		free(s[i]);
		s[i] = calloc(1, ops->vcpu_size);
		s[i]->v = &vcpus[i];
		s[i]->weight = 256;
		vcpus[i] = (struct vcpu){ .id = (u32)i, .sched = s[i] };
	}
	return c;
}

static void done(struct sched_cpu *c)
{
	free(c);
	for (int i = 0; i < N; i++) {
		free(s[i]);
		s[i] = NULL;
	}
}

/* Run whoever is first for up to ns, as the core would; returns who it was. */
static struct sched_vcpu *turn(struct sched_cpu *c, s_time_t *now, s_time_t ns)
{
	struct sched_vcpu *x = ops->first(c);
	s_time_t end;

	ops->dequeue(c, x);
	c->curr = x->v;
	c->turn_start = c->charged = *now;
	end = ops->deadline(c, *now);
	*now = end - *now > ns ? *now + ns : end;
	ops->charge(c, x, *now - c->charged);
	c->charged = *now;
	return x;
}

TEST(shares_follow_weights)
{
	struct sched_cpu *c = make();
	s_time_t now = 0, ran[4] = { 0 };

	for (u32 i = 0; i < 4; i++) {
		s[i]->weight = 64u << (2 * i);		/* 64, 256, 1024, 4096 */
		ops->enqueue(c, s[i], SCHED_WOKEN);
	}
	while (now < 100 * NS_PER_SEC) {
		s_time_t before = now;
		struct sched_vcpu *x = turn(c, &now, STIME_MAX);

		CHECK(now - before <= MILLISECS(10));
		ran[x->v->id] += now - before;
		ops->enqueue(c, x, SCHED_REQUEUED);
	}
	for (int i = 1; i < 4; i++) {
		s_time_t ratio = ran[i] * 1000 / ran[i - 1];

		CHECK(ratio > 3900 && ratio < 4100);
	}
	done(c);
}

/* The order of the queue is that of virtual time, which the test keeps for itself; equals are first come, first served. */
TEST(random_against_sorted_array)
{
	struct sched_cpu *c = make();
	static s64 age[N];
	static bool queued[N];
	static u64 stamp[N], stamps;
	s_time_t now = 0;
	int curr = -1;

	/* All begin at the clock's zero, like the model. */
	for (int i = 0; i < N; i++) {
		s[i]->weight = 128u << test_below(3);
		ops->enqueue(c, s[i], SCHED_REQUEUED);
		queued[i] = true;
		stamp[i] = stamps++;
	}
	for (int step = 0; step < 50000; step++) {
		int i = (int)test_below(N), best = -1;

		if (!queued[i] && i != curr) {
			/* SCHED_REQUEUED gives no credit, so the model needs none. */
			ops->enqueue(c, s[i], SCHED_REQUEUED);
			queued[i] = true;
			stamp[i] = stamps++;
		} else if (queued[i] && test_below(4) == 0) {
			ops->dequeue(c, s[i]);
			queued[i] = false;
		}
		for (int k = 0; k < N; k++)
			if (queued[k] && (best < 0 || age[k] < age[best] || (age[k] == age[best] && stamp[k] < stamp[best])))
				best = k;
		CHECK(ops->first(c) == (best < 0 ? NULL : s[best]));
		if (best < 0 || test_below(3))
			continue;

		s_time_t before = now;
		struct sched_vcpu *x = turn(c, &now, (s_time_t)(1 + test_below(20)) * 500000);

		CHECK(x == s[best]);
		age[best] += (now - before) * 256 / x->weight;
		queued[best] = false;
		curr = best;
		if (test_below(2)) {
			ops->enqueue(c, x, SCHED_REQUEUED);
			queued[best] = true;
			stamp[best] = stamps++;
		}
		curr = -1;
	}
	done(c);
}

/* A vCPU that slept for long gets the CPU at once, but no more than a little ahead. */
TEST(sleep_earns_little)
{
	struct sched_cpu *c = make();
	s_time_t now = 0, sleeper = 0, hog = 0;

	ops->enqueue(c, s[0], SCHED_WOKEN);
	ops->enqueue(c, s[1], SCHED_WOKEN);
	ops->enqueue(c, s[2], SCHED_WOKEN);
	ops->dequeue(c, s[2]);
	while (now < 10 * NS_PER_SEC)
		ops->enqueue(c, turn(c, &now, STIME_MAX), SCHED_REQUEUED);
	ops->enqueue(c, s[2], SCHED_WOKEN);
	CHECK(ops->first(c) == s[2]);
	for (s_time_t end = now + NS_PER_SEC; now < end;) {
		s_time_t before = now;
		struct sched_vcpu *x = turn(c, &now, STIME_MAX);

		if (x == s[2])
			sleeper += now - before;
		else
			hog += now - before;
		ops->enqueue(c, x, SCHED_REQUEUED);
	}
	CHECK(sleeper > hog / 2 - MILLISECS(10));
	CHECK(sleeper < hog / 2 + MILLISECS(30));
	done(c);
}

TEST(turns_end)
{
	struct sched_cpu *c = make();
	s_time_t now = NS_PER_SEC;

	/* Alone: no end. */
	ops->enqueue(c, s[0], SCHED_WOKEN);
	ops->dequeue(c, ops->first(c));
	c->curr = s[0]->v;
	c->turn_start = c->charged = now;
	CHECK_EQ(ops->deadline(c, now), STIME_MAX);
	/* An equal waits: a slice. */
	ops->enqueue(c, s[1], SCHED_REQUEUED);
	CHECK_EQ(ops->deadline(c, now), now + MILLISECS(10));
	/* Half-way through, a sleeper comes: at once. In the first millisecond: when that is over. */
	ops->charge(c, s[0], MILLISECS(5));
	c->charged += MILLISECS(5);
	ops->enqueue(c, s[2], SCHED_WOKEN);
	CHECK_EQ(ops->deadline(c, now + MILLISECS(5)), now + MILLISECS(1));
	done(c);
}

TEST(yield_goes_behind)
{
	struct sched_cpu *c = make();
	s_time_t now = 0;

	ops->enqueue(c, s[0], SCHED_WOKEN);
	ops->enqueue(c, s[1], SCHED_WOKEN);
	for (int i = 0; i < 100; i++) {
		struct sched_vcpu *x = turn(c, &now, 1000);

		x->yielded = true;
		ops->enqueue(c, x, SCHED_REQUEUED);
		x->yielded = false;
		CHECK(ops->first(c) != x);
	}
	done(c);
}

/* The distance to the clock goes along to another CPU, however far the clocks are apart. */
TEST(moving_keeps_the_distance)
{
	struct sched_cpu *a = make(), *b = calloc(1, ops->cpu_size);
	s_time_t now = 0;

	ops->enqueue(a, s[0], SCHED_WOKEN);
	ops->enqueue(a, s[1], SCHED_WOKEN);
	while (now < 3600 * NS_PER_SEC)
		ops->enqueue(a, turn(a, &now, STIME_MAX), SCHED_REQUEUED);
	ops->enqueue(b, s[2], SCHED_WOKEN);
	ops->dequeue(a, s[0]);
	ops->leave(a, s[0]);
	ops->leave(a, s[0]);
	ops->enqueue(b, s[0], SCHED_MOVED);
	now = 0;
	s_time_t ran[3] = { 0 };

	while (now < NS_PER_SEC) {
		s_time_t before = now;
		struct sched_vcpu *x = turn(b, &now, STIME_MAX);

		ran[x->v->id] += now - before;
		ops->enqueue(b, x, SCHED_REQUEUED);
	}
	CHECK(ran[0] > MILLISECS(480) && ran[0] < MILLISECS(520));
	free(b);
	done(a);
}

TEST(candidate_is_allowed_and_not_running)
{
	struct sched_cpu *c = make();

	for (int i = 0; i < 4; i++)
		ops->enqueue(c, s[i], SCHED_WOKEN);
	CHECK(ops->candidate(c, 1) == s[1]);
	CHECK(ops->candidate(c, 2) == s[0]);
	vcpus[1].running = true;
	CHECK(ops->candidate(c, 1) == s[3]);
	vcpus[3].running = true;
	CHECK(ops->candidate(c, 1) == NULL);
	done(c);
}
