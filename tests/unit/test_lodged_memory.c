/* SPDX-License-Identifier: MIT */
/* Unit tests: memory for new guests, against a machine whose Domain 0 gives up as much as it is asked for, or less. */
/* sources: tools/lodged/memory.c tools/lodged/memory_plan.c tools/lib/err.c lib/number.c */
/* libs: -pthread -Wl,--wrap=nanosleep,--wrap=clock_gettime */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <errno.h>
#include <lodged/dom0.h>
#include <lodged/log.h>
#include <lodged/memory.h>
#include <lodged/record.h>
#include <pthread.h>
#include <stdarg.h>
#include <time.h>

#define MIB		1024UL
#define OVERHEAD	(256 + 32)	/* of a guest with one vCPU */
#define UNCLAIMED	512
#define BACK		"/lodge/dom0-target"

/* KiB. */
static struct {
	pthread_mutex_t lock;
	uint64_t free, claimed, dom0, target, back;	/* the last two: in the store; 0: not there */
	uint64_t min, used;		/* what Domain 0 says */
	uint64_t stuck;			/* its kernel gives nothing below that */
	uint64_t step;			/* it gives so much each time that somebody waits */
	uint64_t looks_per_step, looks;
	uint64_t now_ns;
	int store_error;
	unsigned int commits;
	bool running;			/* the record of the last guest says so */
} m = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* 100 MiB are free, Domain 0 has 512. */
static void machine(void)
{
	m.free = 100 * MIB + UNCLAIMED;
	m.claimed = 0;
	m.dom0 = 512 * MIB;
	m.target = m.back = 0;
	m.min = 256 * MIB;
	m.used = 100 * MIB;
	m.stuck = 0;
	m.step = 10 * MIB;
	m.looks_per_step = 1;
	m.looks = m.commits = 0;
	m.running = false;
	m.store_error = 0;
}

/* --- what the manager sees of it --- */

int hv_physinfo(struct hv *hv, struct xen_sysctl_physinfo *info)
{
	pthread_mutex_lock(&m.lock);
	*info = (struct xen_sysctl_physinfo){ .free_pages = m.free / 4, .outstanding_pages = m.claimed / 4 };
	pthread_mutex_unlock(&m.lock);
	return 0;
}

int hv_domain_claim(struct hv *hv, uint16_t domid, uint64_t kib)
{
	int rc = 0;

	pthread_mutex_lock(&m.lock);
	if (m.free - m.claimed < kib + UNCLAIMED)
		rc = -ENOMEM;
	else
		m.claimed += kib;
	pthread_mutex_unlock(&m.lock);
	return rc;
}

int dom0_look(struct session *s, struct memory_figures *f, struct err *e)
{
	pthread_mutex_lock(&m.lock);
	f->dom0_kib = m.dom0;
	f->target_kib = m.target ? m.target : m.dom0;
	f->least_kib = m.min == PLAN_KEEPS ? PLAN_KEEPS : plan_least(m.dom0, m.dom0 - m.used, m.min);
	pthread_mutex_unlock(&m.lock);
	return 0;
}

uint64_t dom0_min_kib(void)
{
	return m.min;
}

struct change { uint64_t target, back; bool removed, running; };
static _Thread_local struct change change;

void dom0_put_target(struct store_batch *b, uint64_t kib)
{
	change.target = kib;
}

void store_batch_write_u64(struct store_batch *b, uint64_t value, const char *fmt, ...)
{
	CHECK_STR(fmt, BACK);
	change.back = value;
}

void store_batch_remove(struct store_batch *b, const char *fmt, ...)
{
	CHECK_STR(fmt, BACK);
	change.removed = true;
}

int store_batch_commit(struct store_batch *b, struct store *s)
{
	int rc;

	pthread_mutex_lock(&m.lock);
	rc = m.store_error;
	if (!rc && change.target)
		m.target = change.target;
	if (!rc && (change.removed || change.back))
		m.back = change.back;
	if (!rc && change.running)
		m.running = true;
	m.commits++;
	pthread_mutex_unlock(&m.lock);
	change = (struct change){ 0 };
	return rc;
}

void record_put_state(struct store_batch *b, const char *uuid, enum record_state state)
{
	CHECK_EQ(state, RECORD_RUNNING);
	change.running = true;
}

int record_set_state(struct store *s, const char *uuid, enum record_state state)
{
	CHECK_EQ(state, RECORD_RUNNING);
	m.running = true;
	return m.store_error;
}

int store_read_u64(struct store *s, uint64_t *value, const char *fmt, ...)
{
	CHECK_STR(fmt, BACK);
	*value = m.back;
	return m.back ? 0 : -ENOENT;
}

int session_store_error(struct err *e, int rc, const char *what)
{
	return err_set(e, -rc, "store", "%s", what);
}

int session_hv_error(struct err *e, int rc, const char *what)
{
	return err_set(e, -rc, "hypervisor", "%s", what);
}

void log_line(const char *fmt, ...)
{
}

void log_err(const char *what, const struct err *e)
{
}

/* Domain 0's kernel at work, one step nearer to its target. */
static void step(void)
{
	uint64_t to = m.target ? m.target : m.dom0, by;

	if (to < m.stuck && m.dom0 >= m.stuck)
		to = m.stuck;
	if (to < m.dom0) {
		by = m.dom0 - to < m.step ? m.dom0 - to : m.step;
		m.dom0 -= by;
		m.free += by;
	} else {
		by = to - m.dom0 < m.free - m.claimed ? to - m.dom0 : m.free - m.claimed;
		m.dom0 += by;
		m.free -= by;
	}
}

int __wrap_nanosleep(const struct timespec *t, struct timespec *rest)
{
	CHECK(t->tv_sec == 0 && t->tv_nsec > 0);
	pthread_mutex_lock(&m.lock);
	m.now_ns += (uint64_t)t->tv_nsec;
	if (++m.looks % m.looks_per_step == 0)
		step();
	pthread_mutex_unlock(&m.lock);
	return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	pthread_mutex_lock(&m.lock);
	*t = (struct timespec){ .tv_sec = 1 + (time_t)(m.now_ns / 1000000000), .tv_nsec = (long)(m.now_ns % 1000000000) };
	pthread_mutex_unlock(&m.lock);
	return 0;
}

/* --- guests --- */

static struct definition guest(uint64_t mib)
{
	return (struct definition){ .name = (char *)"g", .memory_kib = mib * MIB, .vcpus = 1, .maxvcpus = 1 };
}

static struct session s;

static int begin(const struct definition *d, struct memory_promise *p, struct err *e)
{
	int rc;

	*e = (struct err){ 0 };
	rc = memory_reserve(&s, d, p, e);
	return rc ? rc : memory_claim(&s, 7, p, e);
}

/* The hypervisor has given it to the domain, and the claim ends. */
static void built(const struct memory_promise *p)
{
	m.claimed -= p->claim_kib;
	m.free -= p->claim_kib + p->overhead_kib;
}

static void runs(struct memory_promise *p)
{
	built(p);
	CHECK_EQ(memory_keep(&s, p, "uuid"), 0);
	CHECK(m.running);
	memory_release(&s, p);
}

/* What has been made of it is gone: its claim too. */
static void fails(struct memory_promise *p)
{
	if (p->claimed)
		m.claimed -= p->claim_kib;
	memory_release(&s, p);
}

TEST(enough_is_free)
{
	struct definition d = guest(100 - 1);
	struct memory_promise p;
	struct err e;

	machine();
	CHECK_EQ(begin(&d, &p, &e), 0);
	CHECK_EQ(m.claimed, d.memory_kib);
	CHECK(!m.target && !m.back && !p.gave_kib && !m.commits);
	runs(&p);
	CHECK(!m.target && !m.back);
}

TEST(domain0_gives_what_lacks)
{
	struct definition d = guest(200);
	struct memory_promise p;
	struct err e;

	machine();
	CHECK_EQ(begin(&d, &p, &e), 0);
	CHECK_EQ(m.target, 412 * MIB - OVERHEAD);
	CHECK_EQ(m.dom0, m.target);
	CHECK_EQ(m.back, 512 * MIB);		/* while it may still fail */
	CHECK_EQ(p.gave_kib, 100 * MIB + OVERHEAD);
	CHECK_EQ(p.dom0_kib, m.target);
	runs(&p);
	CHECK_EQ(m.target, 412 * MIB - OVERHEAD);
	CHECK_EQ(m.back, 0);
}

TEST(it_gets_it_back_when_that_fails)
{
	struct definition d = guest(200);
	struct memory_promise p;
	struct err e;

	machine();
	CHECK_EQ(begin(&d, &p, &e), 0);
	fails(&p);
	CHECK_EQ(m.target, 512 * MIB);
	CHECK_EQ(m.back, 0);
	CHECK_EQ(begin(&d, &p, &e), 0);		/* and can be asked again */
	runs(&p);
	CHECK_EQ(m.back, 0);
}

TEST(too_much_is_refused_at_once)
{
	struct definition d = guest(400), most = guest(355);	/* 100 free, 256 above the minimum */
	struct memory_figures f;
	struct memory_promise p;
	struct err e;

	machine();
	CHECK_EQ(begin(&d, &p, &e), -ENOMEM);
	CHECK_STR(e.code, "no-memory");
	CHECK_STR(e.text, "g needs 401 MiB of memory: 100 MiB are free, and Domain 0 can give 256 MiB of its 512 MiB (its minimum is 256 MiB: "
		"dom0_min_memory); 45 MiB are missing (end a guest)");
	memory_release(&s, &p);
	CHECK(!m.target && !m.back && !m.commits && !m.looks);
	CHECK_EQ(memory_check(&s, &d, &f, &e), -ENOMEM);
	CHECK_EQ(memory_check(&s, &most, &f, &e), 0);
	CHECK_EQ(plan_target(&f, memory_needed(&most)), 257 * MIB - OVERHEAD);
	m.used = 400 * MIB;			/* it has programs that need it, and 64 MiB for more */
	CHECK_EQ(begin(&d, &p, &e), -ENOMEM);
	CHECK_STR(e.text, "g needs 401 MiB of memory: 100 MiB are free, and Domain 0 can give 48 MiB of its 512 MiB (it uses the others; its minimum is "
		"256 MiB); 253 MiB are missing (end a guest)");
	m.min = PLAN_KEEPS;
	CHECK_EQ(begin(&d, &p, &e), -ENOMEM);
	CHECK_STR(e.text, "g needs 401 MiB of memory: 100 MiB are free, and Domain 0 is not asked for any (dom0_min_memory = off); 301 MiB are missing "
		"(end a guest)");
	CHECK(!m.target && !m.commits);
}

TEST(it_stops_short)
{
	struct definition d = guest(200);
	struct memory_promise p;
	struct err e;
	uint64_t begun;

	machine();
	m.stuck = 450 * MIB;
	begun = m.now_ns;
	CHECK_EQ(begin(&d, &p, &e), -ENOMEM);
	CHECK(m.now_ns - begun >= 20000000000UL && m.now_ns - begun < 25000000000UL);
	CHECK_STR(e.text, "g needs 201 MiB of memory: 162 MiB are free, and Domain 0, which was to go down to 411 MiB, has stopped at 450 MiB for 20 "
		"seconds: its kernel cannot give more (end a guest, or programs there)");
	fails(&p);
	CHECK_EQ(m.target, 512 * MIB);
	CHECK_EQ(m.back, 0);
	CHECK_EQ(m.claimed, 0);
}

/* An hour, but always some. */
TEST(it_may_take_its_time)
{
	struct definition d = guest(150);
	struct memory_promise p;
	struct err e;
	uint64_t begun;

	machine();
	m.step = 64;
	m.looks_per_step = 100;
	begun = m.now_ns;
	CHECK_EQ(begin(&d, &p, &e), 0);
	CHECK(m.now_ns - begun > 3600000000000UL);
	runs(&p);
}

/* Somebody else takes what was free before it is claimed: more is asked for. */
TEST(taken_in_between)
{
	struct definition d = guest(99);
	struct memory_promise p;
	struct err e = { 0 };

	machine();
	CHECK_EQ(memory_reserve(&s, &d, &p, &e), 0);
	m.free -= 50 * MIB;
	CHECK_EQ(memory_claim(&s, 7, &p, &e), 0);
	CHECK_EQ(m.dom0, 512 * MIB - 49 * MIB - OVERHEAD);
	fails(&p);
	CHECK_EQ(m.target, 512 * MIB);
}

struct making {
	struct definition d;
	struct memory_promise p;
	struct err e;
	int rc;
};

static void *make(void *arg)
{
	struct making *g = arg;

	g->rc = begin(&g->d, &g->p, &g->e);
	return NULL;
}

/* Both wait at the same time, and each gets its part. */
TEST(two_share)
{
	struct making a = { .d = guest(150) }, b = { .d = guest(150) };
	pthread_t t;

	machine();
	CHECK_EQ(pthread_create(&t, NULL, make, &a), 0);
	make(&b);
	pthread_join(t, NULL);
	CHECK(!a.rc && !b.rc);
	CHECK_EQ(m.target, 312 * MIB - 2 * OVERHEAD);
	CHECK_EQ(m.back, 512 * MIB);
	CHECK_EQ(a.p.gave_kib + b.p.gave_kib, 200 * MIB + 2 * OVERHEAD);
	runs(&a.p);
	CHECK_EQ(m.target, 312 * MIB - 2 * OVERHEAD);
	CHECK_EQ(m.back, m.target + 150 * MIB + OVERHEAD);	/* whoever has asked for it: b's memory is there then */
	fails(&b.p);
	CHECK_EQ(m.target, 462 * MIB - OVERHEAD);
	CHECK_EQ(m.back, 0);
}

/* The first one fails: Domain 0 gets back its part, and not the other's. */
TEST(one_of_two_fails)
{
	struct definition d = guest(150);
	struct memory_promise a, b;
	struct err e;

	machine();
	CHECK_EQ(begin(&d, &a, &e), 0);
	CHECK_EQ(begin(&d, &b, &e), 0);
	CHECK_EQ(a.gave_kib, 50 * MIB + OVERHEAD);
	CHECK_EQ(b.gave_kib, 150 * MIB + OVERHEAD);
	fails(&a);
	CHECK_EQ(m.target, 462 * MIB - OVERHEAD);	/* what b needs */
	CHECK_EQ(m.back, 512 * MIB);
	fails(&b);
	CHECK_EQ(m.target, 512 * MIB);
	CHECK_EQ(m.back, 0);

	machine();
	CHECK_EQ(begin(&d, &a, &e), 0);
	CHECK_EQ(begin(&d, &b, &e), 0);
	runs(&b);
	CHECK_EQ(m.back, 462 * MIB - OVERHEAD);		/* if the manager is killed now, a is undone, b goes on */
	fails(&a);
	CHECK_EQ(m.target, 462 * MIB - OVERHEAD);
	CHECK_EQ(m.back, 0);
}

/* Not enough for both: the second waits for the first, and is refused when that has got it. */
TEST(only_for_one)
{
	struct making a = { .d = guest(300) }, b = { .d = guest(300) };
	pthread_t t;

	machine();
	CHECK_EQ(memory_reserve(&s, &a.d, &a.p, &a.e), 0);
	CHECK_EQ(pthread_create(&t, NULL, make, &b), 0);
	CHECK_EQ(memory_claim(&s, 7, &a.p, &a.e), 0);
	runs(&a.p);
	pthread_join(t, NULL);
	CHECK_EQ(b.rc, -ENOMEM);
	CHECK_STR(b.e.code, "no-memory");
	fails(&b.p);
	CHECK_EQ(m.target, 312 * MIB - OVERHEAD);
	CHECK_EQ(m.back, 0);
	CHECK_EQ(m.claimed, 0);
}

TEST(a_killed_manager)
{
	machine();
	m.target = 300 * MIB;
	memory_recover(&s);
	CHECK_EQ(m.target, 300 * MIB);
	m.back = 500 * MIB;
	memory_recover(&s);
	CHECK_EQ(m.target, 500 * MIB);
	CHECK_EQ(m.back, 0);
}

/* Somebody says what Domain 0 is to have while a guest is made: that stays, whatever becomes of the guest. */
TEST(set_meanwhile)
{
	struct definition d = guest(200);
	struct store_batch batch = { 0 };
	struct memory_promise p;
	struct err e;

	machine();
	CHECK_EQ(begin(&d, &p, &e), 0);
	dom0_put_target(&batch, 333 * MIB);
	CHECK_EQ(memory_set_dom0(&s, &batch), 0);
	CHECK_EQ(m.back, 0);
	fails(&p);
	CHECK_EQ(m.target, 333 * MIB);
	CHECK_EQ(m.back, 0);
}

TEST(the_store_refuses)
{
	struct definition d = guest(200);
	struct memory_promise p;
	struct err e;

	machine();
	m.store_error = -EIO;
	CHECK_EQ(begin(&d, &p, &e), -EIO);
	CHECK_STR(e.code, "store");
	CHECK(!p.gave_kib && !m.target);
	fails(&p);
	m.store_error = 0;
	CHECK_EQ(begin(&d, &p, &e), 0);
	fails(&p);
}

/* --- the arithmetic --- */

TEST(plans)
{
	static const struct {
		struct memory_figures f;
		uint64_t more, room, target;
	} cases[] = {
		{ { 1000, 0, 5000, 5000, 3000 }, 500, 3000, 5000 },
		{ { 1000, 0, 5000, 5000, 3000 }, 1004, 3000, 4996 },
		{ { 1000, 0, 5000, 5000, 3000 }, 1001, 3000, 4996 },		/* whole pages */
		{ { 1000, 0, 5000, 5000, 3000 }, 9000, 3000, 3000 },		/* no further than that */
		{ { 1000, 2000, 5000, 5000, 3000 }, 0, 1000, 4000 },		/* what is promised counts */
		{ { 1000, 2000, 5000, 4000, 3000 }, 0, 1000, 4000 },		/* and is on the way already */
		{ { 1000, 2000, 5000, 4400, 3000 }, 0, 1000, 4000 },		/* in part */
		{ { 1000, 0, 5000, 9000, 3000 }, 0, 3000, 9000 },		/* it is growing: nobody minds */
		{ { 1000, 0, 5000, 9000, 3000 }, 1400, 3000, 4600 },		/* now somebody does */
		{ { 1000, 0, 5000, 2000, 3000 }, 1400, 3000, 2000 },		/* somebody wants it below what we would ask for */
		{ { 1000, 0, 2000, 2000, 3000 }, 1400, 1000, 2000 },		/* it is there already */
		{ { 1000, 5000, 5000, 5000, 3000 }, 0, 0, 3000 },
		{ { 1000, 0, 5000, 5000, PLAN_KEEPS }, 9000, 1000, 5000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_EQ(plan_room(&cases[i].f), cases[i].room);
		CHECK_EQ(plan_target(&cases[i].f, cases[i].more), cases[i].target);
	}
	CHECK_EQ(plan_gives(&cases[1].f, 4996), 4);
	CHECK_EQ(plan_gives(&cases[6].f, 4000), 400);
	CHECK_EQ(plan_gives(&cases[8].f, 4600), 400);	/* of what it has, not of what it was to get */
	CHECK_EQ(plan_gives(&cases[9].f, 2000), 0);
}

TEST(least)
{
	CHECK_EQ(plan_least(512 * MIB, 400 * MIB, 256 * MIB), 256 * MIB);
	CHECK_EQ(plan_least(512 * MIB, 200 * MIB, 256 * MIB), 376 * MIB);	/* 312 are used, 64 to spare */
	CHECK_EQ(plan_least(512 * MIB, 30 * MIB, 256 * MIB), 512 * MIB);
	CHECK_EQ(plan_least(512 * MIB, 0, 256 * MIB), 512 * MIB);
	CHECK_EQ(plan_least(512 * MIB, 4096 * MIB, 256 * MIB), 256 * MIB);	/* nonsense: the minimum holds */
}

TEST(command_line)
{
	static const struct { const char *line; uint64_t kib; } cases[] = {
		{ "", 0 },
		{ "dom0_mem=1G", 0 },
		{ "dom0_mem=min:300M", 300 * MIB },
		{ "console=com1 dom0_mem=1G,min:307200,max:2G sync", 300 * MIB },
		{ "dom0_mem=max:2G,min:1g", 1024 * MIB },
		{ "dom0_mem=min:1G dom0_mem=min:2G", 2048 * MIB },
		{ "dom0_mem=min:1G dom0_mem=512M", 1024 * MIB },
		{ "dom0_mem=min:-1G", 3072 * MIB },
		{ "dom0_mem=min:-5G", 0 },
		{ "no_dom0_mem=min:1G", 0 },
		{ "dom0_mem=min:", 0 },
		{ "dom0_mem=min:many", 0 },
		{ "dom0_mem=min:1Gx", 0 },
		{ "dom0_mem=", 0 },
		{ "dom0_mem=512M,", 0 },
		{ "dom0_mem=512M,,min:1G", 0 },
		{ "dom0_mem=min:99999999999999999999", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_EQ(plan_min_of(cases[i].line, 4096 * MIB), cases[i].kib);
}

TEST(meminfo)
{
	CHECK_EQ(plan_available("MemTotal:         500000 kB\nMemFree:           1000 kB\nMemAvailable:     300000 kB\n"), 300000);
	CHECK_EQ(plan_available("MemTotal:         500000 kB\n"), 0);
	CHECK_EQ(plan_available(""), 0);
}
