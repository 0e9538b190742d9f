/* SPDX-License-Identifier: MIT */
/* Unit tests: the scheduler's core on simulated CPUs: nothing is lost, nobody idles while others wait, shares are fair. */
/* sources: sched/sched.c sched/pause.c sched/cpu.c sched/fair.c sched/cap.c sched/runstate.c lib/tree.c */
/* cflags: -include fake_cpu.h -Wno-unused-parameter -Dsched_yield=lodge_sched_yield */
#include "test.h"

/* test.h takes it away, and fake_cpu.h has had lib/compiler.h included already. */
#define __always_inline	inline __attribute__((always_inline))

#include "fake_panic.h"

#include <setjmp.h>

#include <core/console.h>
#include <core/smp.h>
#include <core/softirq.h>
#include <domain/guest_copy.h>
#include <memory/xmalloc.h>
#include <sched/runstate.h>

/*
 * The machine: CPUs with a soft-IRQ flag and a timer, in simulated time, executed in turn by one thread. What CPUs do at the same time is imitated by
 * disturb(): in the middle of a context switch, with the switching CPU's lock released, other CPUs wake, block, pause and
 * move vCPUs. Locks only check that they are not taken twice; a trylock sometimes fails for no reason.
 */

#define CPUS	5
#define VCPUS	16
#define TURN	MILLISECS(10)

unsigned fake_cpu;
struct vcpu *fake_current[MAX_CPUS];
cpumask_t cpu_online;
unsigned nr_cpus = CPUS;
struct domain *idle_domain, *hardware_domain;
void (*domain_stop_hook)(struct domain *d);

static struct domain domain, idles;
static struct vcpu *vcpus[VCPUS];
static s_time_t now;
static void (*schedule)(void);
static bool raised[CPUS];
static jmp_buf switched;
static unsigned kicks;

/* What the guest in a vCPU does. */
static struct guest {
	s_time_t burst;		/* it computes so long */
	s_time_t sleep;		/* … and then sleeps; 0: never */
	s_time_t left;		/* of the burst */
	s_time_t wake_at;	/* 0: awake */
	s_time_t ran;
	bool paused;
} guests[VCPUS];

static bool chaos;

/* --- what the sources call ---------------------------------------------------------------------------------------------------- */

void printk(enum log_level level, const char *fmt, ...) { (void)level; (void)fmt; }
size_t strlcpy(char *dst, const char *src, size_t size) { snprintf(dst, size, "%s", src); return strlen(src); }
void *xzalloc(size_t n) { return calloc(1, n); }
void xfree(void *p) { free(p); }
s_time_t time_now(void) { return now; }
int copy_to_guest(void *dst, const void *src, size_t n) { (void)dst; (void)src; (void)n; return 0; }
struct domain *domain_next(u16 from) { (void)from; return NULL; }
void domain_put(struct domain *d) { (void)d; }
void guest_time_update(struct vcpu *v, bool force) { (void)v; (void)force; }
void guest_time_init(void) {}
void guest_wallclock_update(struct domain *d) { (void)d; }
void vcpu_sync_state(struct vcpu *v) { CHECK(!v->running); }
bool trace_on;
void trace_record(unsigned event, u64 a, u64 b) { (void)event; (void)a; (void)b; }

void spinlock_init(struct spinlock *l, enum lock_level level, const char *name) { (void)level; (void)name; l->next = 0; }
void spin_lock(struct spinlock *l) { CHECK_EQ(l->next++, 0); }
void spin_unlock(struct spinlock *l) { CHECK_EQ(--l->next, 0); }
u64 spin_lock_irqsave(struct spinlock *l) { spin_lock(l); return 0; }
void spin_unlock_irqrestore(struct spinlock *l, u64 flags) { (void)flags; spin_unlock(l); }
void spin_lock_irq(struct spinlock *l) { spin_lock(l); }
void spin_unlock_irq(struct spinlock *l) { spin_unlock(l); }

bool spin_trylock(struct spinlock *l)
{
	if (l->next || (chaos && test_below(8) == 0))
		return false;
	spin_lock(l);
	return true;
}

void softirq_register(enum softirq nr, void (*fn)(void)) { CHECK_EQ(nr, SOFTIRQ_SCHEDULE); schedule = fn; }
void softirq_raise(enum softirq nr) { (void)nr; raised[fake_cpu] = true; }
void softirq_raise_cpu(unsigned cpu, enum softirq nr) { (void)nr; raised[cpu] = true; }

/* Marked, but not kicked yet. */
static bool to_be_kicked[MAX_CPUS];

bool softirq_mark_cpu(unsigned cpu, enum softirq nr)
{
	bool kick = !raised[cpu] && cpu != fake_cpu;

	(void)nr;
	to_be_kicked[cpu] |= kick;
	raised[cpu] = true;
	return kick;
}

bool softirq_pending(void) { return false; }
void softirq_run(void) {}

/* Whoever is kicked takes his queue's lock at once: it has been given up. */
void smp_kick(unsigned cpu)
{
	CHECK(!sched_cpus[cpu]->lock.next);
	to_be_kicked[cpu] = false;
	kicks++;
}

/* state: armed. */
static unsigned timers_set;
static struct timer *cap_timer;	/* the only one with a domain as its data */

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu)
{
	*t = (struct timer){ .fn = fn, .data = data, .cpu = (u16)cpu };
	if (data == &domain)
		cap_timer = t;
}

void timer_kill(struct timer *t) { t->state = 0; }
void timer_set(struct timer *t, s_time_t when) { t->node.key = when; t->state = 1; timers_set++; }
void timer_stop(struct timer *t) { t->state = 0; }
bool timer_is_set(const struct timer *t) { return t->state; }
void timer_migrate(struct timer *t, unsigned cpu) { t->cpu = (u16)cpu; }

/* The only DOMAIN_MODULE row of the sources lies directly before this place. */
extern const struct domain_module modules_end[];
__asm__(".pushsection .domain_modules, \"aw\"\n.balign 8\n.globl modules_end\nmodules_end:\n.popsection\n");

int vcpu_create(struct domain *d, u32 id, unsigned cpu, struct vcpu **out)
{
	struct vcpu *v = calloc(1, sizeof(*v));

	v->id = id;
	v->domain = d;
	v->processor = (u16)cpu;
	v->is_idle = d == &idles;
	d->vcpus[id] = *out = v;
	return modules_end[-1].vcpu_create(v);
}

static void disturb(void);

void context_switch(struct vcpu *prev, struct vcpu *next)
{
	CHECK(current == prev);
	disturb();
	fake_current[fake_cpu] = next;
	sched_context_saved(prev);
	disturb();
	sched_switched_in(next);
	longjmp(switched, 1);
}

/* --- the simulation ----------------------------------------------------------------------------------------------------------- */

static void block(struct vcpu *v)
{
	struct guest *g = &guests[v->id];

	__atomic_fetch_or(&v->pause_flags, VPF_BLOCKED, __ATOMIC_SEQ_CST);
	g->wake_at = now + g->sleep;
	g->left = g->burst;
	raised[fake_cpu] = true;
}

static void wake(unsigned i)
{
	guests[i].wake_at = 0;
	vcpu_kick(vcpus[i]);
}

static void random_affinity(struct vcpu *v)
{
	cpumask_t m = { { 0 } };

	do
		m.bits[0] = test_below(1 << CPUS);
	while (!(m.bits[0] & cpu_online.bits[0]));
	CHECK_EQ(sched_set_affinity(v, &m, NULL), 0);
}

/* Something that another CPU might do at this moment. */
static void disturb(void)
{
	unsigned i = (unsigned)test_below(VCPUS), me = fake_cpu;
	struct guest *g = &guests[i];

	if (!chaos || test_below(2))
		return;
	fake_cpu = (unsigned)(me + 1 + test_below(CPUS - 1)) % CPUS;
	switch (test_below(6)) {
	case 0:
	case 1:
	case 2:
		if (g->wake_at)
			wake(i);
		break;
	case 3:
		if (!g->paused)
			vcpu_pause_nosync(vcpus[i]);
		else
			vcpu_unpause(vcpus[i]);
		g->paused = !g->paused;
		break;
	case 4:
		random_affinity(vcpus[i]);
		break;
	default:
		vcpu_wake(vcpus[i]);	/* needless */
		break;
	}
	fake_cpu = me;
}

/* schedule() on a CPU: it returns, or switches and comes back by longjmp(). */
static void run_schedule(unsigned cpu)
{
	raised[cpu] = false;
	fake_cpu = cpu;
	if (!setjmp(switched))
		schedule();
}

/* Run soft-IRQs everywhere, in any order, until none is raised. */
static void settle(void)
{
	for (unsigned rounds = 0;; rounds++) {
		unsigned cpu = (unsigned)test_below(CPUS), tries = 0;
		bool restore = chaos;

		while (!raised[cpu] && tries++ < CPUS)
			cpu = (cpu + 1) % CPUS;
		if (!raised[cpu])
			return;
		if (rounds > 10000) {
			TEST_FAIL("never at rest");
			return;
		}
		/* The disturbances must end for the machine to come to rest. */
		chaos = chaos && rounds < 50;
		run_schedule(cpu);
		chaos = restore;
	}
}

/*
 * Nobody waits while a CPU idles that could run it. With disturbances, an idle CPU that is told of it may find other work on the way; then the next
 * turn's end sees to it.
 */
static void check_waiting(const struct vcpu *v)
{
	static s_time_t since[VCPUS];
	bool idle = false;

	for_each_online_cpu(cpu)
		idle |= is_idle_vcpu(sched_cpus[cpu]->curr) && sched_allowed(v, cpu);
	if (!v->sched->queued || !idle || !vcpu_runnable(v))
		since[v->id] = 0;
	else if (!since[v->id])
		since[v->id] = now;
	if (since[v->id] && now - since[v->id] > (chaos ? MILLISECS(10) : 0))
		TEST_FAIL("vCPU %u has been waiting at CPU%u for %ld us while a CPU idles", v->id, v->processor, (now - since[v->id]) / 1000);
}

/* Somebody who waits does so until the end of the turn, at most. An idle CPU is left alone. */
static void check_timer(const struct sched_cpu *c)
{
	if (is_idle_vcpu(c->curr))
		CHECK(!c->timer.state);
	else if (c->nr_queued)
		CHECK(c->timer.state && timer_expires(&c->timer) <= c->turn_start + TURN);
}

static void check_machine(void)
{
	unsigned queued[CPUS] = { 0 };
	u64 load[CPUS] = { 0 };

	for (int i = 0; i < VCPUS; i++) {
		struct vcpu *v = vcpus[i];
		struct sched_cpu *c = v ? sched_cpus[v->processor] : NULL;
		u64 sum = 0;

		if (!v)
			continue;
		if (!vcpu_runnable(v)) {
			/* When a cap is used up, those in queues stay there until it is their turn. */
			CHECK((!v->sched->queued || domain.cap_parked) && c->curr != v && !v->running);
			CHECK(v->runstate->info.state >= (domain.cap_parked ? RUNSTATE_runnable : RUNSTATE_blocked));
			queued[c->cpu] += v->sched->queued;
			load[c->cpu] += v->sched->queued ? v->sched->weight : 0;
		} else {
			CHECK(v->sched->queued == (c->curr != v));
			CHECK(v->running == (c->curr == v));
			CHECK_EQ(v->runstate->info.state, v->running ? RUNSTATE_running : RUNSTATE_runnable);
			CHECK(sched_allowed(v, v->processor));
			queued[c->cpu] += v->sched->queued;
			load[c->cpu] += v->sched->weight;
		}
		check_waiting(v);
		for (int s = 0; s < 4; s++)
			sum += v->runstate->info.time[s];
		CHECK_EQ(sum, v->runstate->info.state_entry_time);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		CHECK_EQ(sched_cpus[cpu]->nr_queued, queued[cpu]);
		CHECK_EQ(sched_cpus[cpu]->load, load[cpu]);
		CHECK(fake_current[cpu] == sched_cpus[cpu]->curr);
		CHECK(!to_be_kicked[cpu]);
		check_timer(sched_cpus[cpu]);
		CHECK(is_idle_vcpu(sched_cpus[cpu]->curr) == (cpumask_test(cpu, &sched_idle_cpus) || !cpumask_test(cpu, &cpu_online)) ||
		      !is_idle_vcpu(sched_cpus[cpu]->curr));
	}
}

static s_time_t next_event(s_time_t end)
{
	s_time_t t = end;

	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		struct sched_cpu *c = sched_cpus[cpu];

		if (c->timer.state && timer_expires(&c->timer) < t)
			t = timer_expires(&c->timer);
		if (!is_idle_vcpu(c->curr) && guests[c->curr->id].sleep && now + guests[c->curr->id].left < t)
			t = now + guests[c->curr->id].left;
	}
	for (int i = 0; i < VCPUS; i++)
		if (vcpus[i] && guests[i].wake_at && guests[i].wake_at < t)
			t = guests[i].wake_at;
	if (cap_timer && cap_timer->state && timer_expires(cap_timer) < t)
		t = timer_expires(cap_timer);
	return t > now ? t : now;
}

static void simulate(s_time_t ns)
{
	s_time_t end = now + ns;

	while (now < end) {
		s_time_t t = next_event(end);

		for (unsigned cpu = 0; cpu < CPUS; cpu++) {
			struct sched_cpu *c = sched_cpus[cpu];

			if (is_idle_vcpu(c->curr))
				continue;
			guests[c->curr->id].ran += t - now;
			guests[c->curr->id].left -= t - now;
		}
		now = t;
		for (fake_cpu = 0; fake_cpu < CPUS; fake_cpu++) {
			struct sched_cpu *c = sched_cpus[fake_cpu];
			struct vcpu *v = c->curr;

			if (!is_idle_vcpu(v) && guests[v->id].sleep && guests[v->id].left <= 0)
				block(v);
			if (c->timer.state && timer_expires(&c->timer) <= now) {
				c->timer.state = 0;
				c->timer.fn(c->timer.data);
			}
		}
		fake_cpu = (unsigned)test_below(CPUS);
		if (cap_timer && cap_timer->state && timer_expires(cap_timer) <= now) {
			cap_timer->state = 0;
			cap_timer->fn(cap_timer->data);
		}
		for (unsigned i = 0; i < VCPUS; i++)
			if (vcpus[i] && guests[i].wake_at && guests[i].wake_at <= now)
				wake(i);
		disturb();
		settle();
		check_machine();
	}
}

static void start(unsigned online, unsigned n)
{
	domain.vcpus = calloc(VCPUS, sizeof(struct vcpu *));
	domain.max_vcpus = VCPUS;
	idles.vcpus = calloc(CPUS, sizeof(struct vcpu *));
	idles.max_vcpus = CPUS;
	idle_domain = &idles;
	sched_init();
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		CHECK_EQ(sched_init_cpu(cpu), 0);
		fake_current[cpu] = idles.vcpus[cpu];
		if (cpu < online)
			cpumask_set(cpu, &cpu_online);
	}
	for (u32 i = 0; i < n; i++) {
		CHECK_EQ(vcpu_create(&domain, i, i % online, &vcpus[i]), 0);
		guests[i].burst = guests[i].left = NS_PER_SEC;
	}
}

static void wake_all(void)
{
	for (int i = 0; i < VCPUS; i++)
		if (vcpus[i])
			vcpu_wake(vcpus[i]);
	settle();
	check_machine();
}

/* --- tests -------------------------------------------------------------------------------------------------------------------- */

static void check_share(unsigned i, s_time_t total, double expected, double tolerance)
{
	double share = (double)guests[i].ran / (double)total;

	if (share < expected - tolerance || share > expected + tolerance)
		TEST_FAIL("vCPU %u got %.3f, expected %.3f", i, share, expected);
}

TEST(hogs_share_two_cpus)
{
	start(2, 3);
	wake_all();
	simulate(20 * NS_PER_SEC);
	for (unsigned i = 0; i < 3; i++)
		check_share(i, 20 * NS_PER_SEC, 2.0 / 3, 0.05);
}

TEST(hogs_share_five_cpus)
{
	start(5, 13);
	wake_all();
	simulate(20 * NS_PER_SEC);
	for (unsigned i = 0; i < 13; i++)
		check_share(i, 20 * NS_PER_SEC, 5.0 / 13, 0.08);
}

TEST(weights_on_one_cpu)
{
	start(1, 3);
	vcpus[0]->sched->weight = 512;
	wake_all();
	simulate(20 * NS_PER_SEC);
	check_share(0, 20 * NS_PER_SEC, 0.5, 0.02);
	check_share(1, 20 * NS_PER_SEC, 0.25, 0.02);
	check_share(2, 20 * NS_PER_SEC, 0.25, 0.02);
}

/* Soft affinity: there while there is room, elsewhere rather than wait. */
TEST(preferred_cpus)
{
	cpumask_t third = { { 4 } };

	start(4, 2);
	CHECK_EQ(sched_set_affinity(vcpus[0], NULL, &third), 0);
	guests[0].burst = guests[0].left = MILLISECS(1);
	guests[0].sleep = MILLISECS(1);
	wake_all();
	simulate(MILLISECS(20));
	CHECK_EQ(vcpus[0]->processor, 2);
	CHECK_EQ(sched_set_affinity(vcpus[1], &third, &third), 0);
	simulate(MILLISECS(20));
	CHECK_EQ(vcpus[1]->processor, 2);
	guests[0].ran = 0;
	simulate(NS_PER_SEC);
	check_share(0, NS_PER_SEC, 0.5, 0.02);
}

/* However idle the machine: a capped domain gets no more, and, when it wants it, no less. */
TEST(caps)
{
	static const u32 percent[] = { 1, 10, 50, 100, 150 };

	start(3, 2);
	wake_all();
	CHECK_EQ(sched_set_cap(&domain, 100 * VCPUS + 1), -EINVAL);
	for (unsigned i = 0; i < ARRAY_SIZE(percent); i++) {
		CHECK_EQ(sched_set_cap(&domain, percent[i]), 0);
		CHECK_EQ(sched_get_cap(&domain), percent[i]);
		settle();
		guests[0].ran = guests[1].ran = 0;
		simulate(20 * NS_PER_SEC);
		check_share(0, 20 * NS_PER_SEC, percent[i] / 200.0, percent[i] / 200.0 * 0.05);
		check_share(1, 20 * NS_PER_SEC, percent[i] / 200.0, percent[i] / 200.0 * 0.05);
	}
	CHECK_EQ(sched_set_cap(&domain, 0), 0);
	settle();
	guests[0].ran = 0;
	simulate(NS_PER_SEC);
	check_share(0, NS_PER_SEC, 1, 0.01);
	sched_cap_destroy(&domain);
}

/* Sleepers save up some, but not without limit; with disturbances nothing is lost. */
TEST(cap_and_chaos)
{
	start(CPUS, VCPUS);
	for (unsigned i = 0; i < VCPUS; i += 2) {
		guests[i].burst = guests[i].left = MICROSECS(300 + 100 * i);
		guests[i].sleep = MICROSECS(500);
	}
	wake_all();
	CHECK_EQ(sched_set_cap(&domain, 220), 0);
	chaos = true;
	for (unsigned i = 0; i < 20; i++) {
		s_time_t ran = 0;

		simulate(NS_PER_SEC / 4);
		for (unsigned k = 0; k < VCPUS; k++) {
			ran += guests[k].ran;
			guests[k].ran = 0;
		}
		CHECK(ran <= 2.4 * NS_PER_SEC / 4);
	}
	chaos = false;
	sched_cap_destroy(&domain);
}

/* Nobody has billed who has run alone for long: the clock by which the newcomer is judged must be right all the same. */
TEST(newcomer_to_a_long_turn)
{
	s_time_t before;

	start(1, 2);
	vcpu_pause_nosync(vcpus[1]);
	wake_all();
	simulate(NS_PER_SEC);
	before = guests[0].ran;
	vcpu_unpause(vcpus[1]);
	settle();
	simulate(MILLISECS(60));
	CHECK(guests[0].ran - before >= MILLISECS(20));
	CHECK(guests[1].ran >= MILLISECS(20));
}

/* Two who wake each other all the time: the timer of the CPU is left alone, but for once in a turn. */
TEST(timer_stays)
{
	unsigned before;

	start(1, 2);
	for (unsigned i = 0; i < 2; i++) {
		guests[i].burst = guests[i].left = MICROSECS(20);
		guests[i].sleep = MICROSECS(10);
	}
	wake_all();
	before = timers_set;
	simulate(NS_PER_SEC);
	CHECK(sched_cpus[0]->switches > 20000);
	CHECK(timers_set - before < 2000);
}

/* A vCPU that computes for a short while now and then does not wait behind those that always compute. */
TEST(sleepers_are_served_soon)
{
	start(1, 3);
	guests[2].burst = guests[2].left = MICROSECS(200);
	guests[2].sleep = MILLISECS(7);
	wake_all();
	simulate(10 * NS_PER_SEC);

	const struct vcpu_runstate_info *r = &vcpus[2]->runstate->info;
	u64 turns = (u64)guests[2].ran / MICROSECS(200);

	CHECK(turns > 1200);
	CHECK(r->time[RUNSTATE_runnable] / turns < (u64)MILLISECS(1));
}

TEST(idle_cpus_are_used)
{
	start(4, 4);
	for (int i = 0; i < 4; i++)
		vcpus[i]->processor = 0;
	wake_all();
	simulate(NS_PER_SEC);
	for (unsigned i = 0; i < 4; i++)
		check_share(i, NS_PER_SEC, 1, 0.001);
}

TEST(pinned_vcpus_stay)
{
	cpumask_t second = { { 2 } };

	start(2, 3);
	CHECK_EQ(sched_set_affinity(vcpus[0], &second, NULL), 0);
	CHECK_EQ(sched_set_affinity(vcpus[1], &second, NULL), 0);
	wake_all();
	simulate(5 * NS_PER_SEC);
	check_share(0, 5 * NS_PER_SEC, 0.5, 0.05);
	check_share(1, 5 * NS_PER_SEC, 0.5, 0.05);
	check_share(2, 5 * NS_PER_SEC, 1, 0.05);
}

TEST(override_and_back)
{
	start(2, 1);
	wake_all();
	CHECK_EQ(sched_pin_override(vcpus[0], 1), 0);
	settle();
	CHECK_EQ(vcpus[0]->processor, 1);
	CHECK_EQ(sched_pin_override(vcpus[0], 0), -16);
	CHECK_EQ(sched_pin_override(vcpus[0], 2), -22);
	CHECK_EQ(sched_pin_override(vcpus[0], -1), 0);
	CHECK_EQ(sched_pin_override(vcpus[0], -1), -22);
	settle();
	check_machine();
}

TEST(cpu_goes_offline)
{
	start(3, 7);
	wake_all();
	simulate(NS_PER_SEC);
	cpumask_clear(1, &cpu_online);
	fake_cpu = 0;
	sched_offline_cpu(1);
	settle();
	check_machine();
	CHECK(is_idle_vcpu(sched_cpus[1]->curr));
	simulate(NS_PER_SEC);
	cpumask_set(1, &cpu_online);
	simulate(NS_PER_SEC);
}

TEST(pauses_nest)
{
	start(1, 1);
	wake_all();
	domain_pause_nosync(&domain);
	vcpu_pause_nosync(vcpus[0]);
	settle();
	check_machine();
	CHECK(is_idle_vcpu(sched_cpus[0]->curr));
	domain_unpause(&domain);
	settle();
	CHECK(is_idle_vcpu(sched_cpus[0]->curr));
	vcpu_unpause(vcpus[0]);
	settle();
	check_machine();
	CHECK(sched_cpus[0]->curr == vcpus[0]);
}

/* An event for a vCPU that runs elsewhere is an IPI; for one that blocks it is a wake-up, also before it has left its CPU. */
TEST(kick)
{
	start(2, 2);
	wake_all();
	kicks = 0;
	fake_cpu = vcpus[0]->processor;
	vcpu_kick(vcpus[0]);
	CHECK_EQ(kicks, 0);
	fake_cpu = vcpus[1]->processor;
	vcpu_kick(vcpus[0]);
	CHECK_EQ(kicks, 1);
	guests[0].sleep = NS_PER_SEC;
	fake_cpu = vcpus[0]->processor;
	block(vcpus[0]);
	fake_cpu = vcpus[1]->processor;
	wake(0);
	settle();
	check_machine();
	CHECK(vcpus[0]->running);
}

/* However a poll ends, and however often, it is counted once: a sender that finds the count 0 tells nobody. */
TEST(polls_are_counted)
{
	start(2, 2);
	wake_all();
	for (unsigned how = 0; how < 4; how++) {
		fake_cpu = vcpus[0]->processor;
		settle();
		sched_poll_begin();
		CHECK_EQ(domain.pollers, 1);
		if (how == 0)
			sched_poll_cancel();
		if (how == 1)
			vcpu_kick(vcpus[0]);
		if (how == 2)
			vcpu_clear_pause_flag(vcpus[0], VPF_POLL);
		if (how == 3)
			settle();
		vcpu_kick(vcpus[0]);
		vcpu_clear_pause_flag(vcpus[0], VPF_POLL);
		CHECK_EQ(domain.pollers, 0);
		settle();
		check_machine();
		CHECK(vcpus[0]->running);
	}
}

TEST(random_life)
{
	for (unsigned round = 0; round < 3; round++) {
		if (round == 0)
			start(CPUS, VCPUS);
		for (int i = 0; i < VCPUS; i++) {
			guests[i].burst = guests[i].left = (s_time_t)test_below((u64)MILLISECS(round == 0 ? 2 : 30)) + 1;
			guests[i].sleep = test_below(4) == 0 ? 0 : (s_time_t)test_below((u64)MILLISECS(20)) + 1;
		}
		chaos = true;
		wake_all();
		simulate(20 * NS_PER_SEC);
		chaos = false;
		/* Everybody who is let run does. */
		for (unsigned i = 0; i < VCPUS; i++) {
			cpumask_t all;

			cpumask_fill(&all);
			if (guests[i].paused)
				vcpu_unpause(vcpus[i]);
			guests[i].paused = false;
			guests[i].ran = 0;
			CHECK_EQ(sched_set_affinity(vcpus[i], &all, NULL), 0);
		}
		settle();
		simulate(NS_PER_SEC);
		for (unsigned i = 0; i < VCPUS; i++)
			CHECK(guests[i].ran > 0);
	}
}
