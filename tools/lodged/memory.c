/* SPDX-License-Identifier: MIT */
/*
 * Machine memory for new guests. Who is being made has a promise; whoever comes when promises stand in the way waits. What is not
 * free, Domain 0 is asked for: its target is lowered for the sum of all promises, and each waits until it can claim its part.
 *
 * The target to which Domain 0 goes back if none of those that are being made succeeds is in the store from before its target is lowered, in
 * the same transaction: a manager that is killed leaves it to the next.
 */
#include <errno.h>
#include <lodged/dom0.h>
#include <lodged/log.h>
#include <lodged/memory.h>
#include <lodged/record.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PER_GUEST_KIB	256	/* the hypervisor's structures, grant frames, start-up page tables */
#define PER_VCPU_KIB	32
#define PAGE_KIB	4
#define UNCLAIMED_KIB	512	/* the hypervisor lets nobody claim the last of its memory */
#define PATIENCE_S	20	/* without a page more from Domain 0; its kernel tries again after 1, 2, 4 and 8 seconds */
#define LOOK_FIRST_NS	2000000L
#define LOOK_LAST_NS	100000000L
#define BACK_PATH	"/lodge/dom0-target"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* guards what follows, and Domain 0's target */
static pthread_cond_t kept = PTHREAD_COND_INITIALIZER;
static uint64_t promised;	/* open_kib of all promises */
static uint64_t held;		/* as far as that is for guests whose own memory is claimed */
static uint64_t underway;	/* what all those need that are being made, claimed or not */
static uint64_t owed;		/* what Domain 0 has given up for them: at BACK_PATH is its target and that; 0: nothing is */

static unsigned long long mib(uint64_t kib)
{
	return kib >> 10;
}

static unsigned long long mib_up(uint64_t kib)
{
	return (kib + 1023) >> 10;
}

static uint64_t overhead(const struct definition *d)
{
	return PER_GUEST_KIB + (uint64_t)PER_VCPU_KIB * d->maxvcpus;
}

uint64_t memory_needed(const struct definition *d)
{
	return d->memory_kib + overhead(d);
}

static uint64_t needed(const struct memory_promise *p)
{
	return p->claim_kib + p->overhead_kib;
}

static int look_free(struct session *s, struct memory_figures *f, struct err *e)
{
	struct xen_sysctl_physinfo info;
	int rc = hv_physinfo(s->hv, &info);
	uint64_t taken = info.outstanding_pages + UNCLAIMED_KIB / PAGE_KIB;

	if (rc)
		return session_hv_error(e, rc, "free memory");
	f->free_kib = (info.free_pages > taken ? info.free_pages - taken : 0) * PAGE_KIB;
	return 0;
}

/* Domain 0's figures as well, in the order that memory_plan.h wants. */
static int look(struct session *s, struct memory_figures *f, struct err *e)
{
	int rc = dom0_look(s, f, e);

	return rc ? rc : look_free(s, f, e);
}

/* ", and Domain 0 can give … of its … MiB (why not more)" */
static const char *dom0_text(const struct memory_figures *f, char *text, size_t size)
{
	if (f->least_kib == PLAN_KEEPS)
		snprintf(text, size, ", and Domain 0 is not asked for any (dom0_min_memory = off)");
	else if (f->least_kib > dom0_min_kib())
		snprintf(text, size, ", and Domain 0 can give %llu MiB of its %llu MiB (it uses the others; its minimum is %llu MiB)",
			mib(plan_can_give(f)), mib(f->dom0_kib), mib(dom0_min_kib()));
	else
		snprintf(text, size, ", and Domain 0 can give %llu MiB of its %llu MiB (its minimum is %llu MiB: dom0_min_memory)",
			mib(plan_can_give(f)), mib(f->dom0_kib), mib(dom0_min_kib()));
	return text;
}

static int missing(const struct definition *d, const struct memory_figures *f, struct err *e)
{
	uint64_t need = memory_needed(d), have = f->free_kib + plan_can_give(f);
	char dom0[160];

	return err_set(e, ENOMEM, "no-memory", "%s needs %llu MiB of memory: %llu MiB are free%s; %llu MiB are missing (end a guest)",
		d->name, mib_up(need), mib(f->free_kib), dom0_text(f, dom0, sizeof(dom0)), mib_up(need > have ? need - have : 0));
}

int memory_check(struct session *s, const struct definition *d, struct memory_figures *f, struct err *e)
{
	int rc;

	*f = (struct memory_figures){ 0 };
	rc = look(s, f, e);
	return rc ? rc : memory_needed(d) > plan_room(f) ? missing(d, f, e) : 0;
}

int memory_check_more(struct session *s, const char *name, uint64_t more_kib, struct err *e)
{
	struct memory_figures f = { 0 };
	int rc = look_free(s, &f, e);

	if (rc || f.free_kib >= more_kib)
		return rc;
	return err_set(e, ENOMEM, "no-memory", "%s needs %llu MiB more, %llu MiB are free (end a guest, or lower another's with `lodge mem-set`)",
		name, mib_up(more_kib), mib(f.free_kib));
}

int memory_reserve(struct session *s, const struct definition *d, struct memory_promise *p, struct err *e)
{
	uint64_t need = memory_needed(d);
	struct memory_figures f = { 0 };
	int rc;

	*p = (struct memory_promise){ .name = d->name };
	pthread_mutex_lock(&lock);
	/* Domain 0 is only looked at when that matters. */
	while (!(rc = look_free(s, &f, e)) && f.free_kib < promised + need) {
		f.promised_kib = promised;
		rc = look(s, &f, e);
		if (rc || need <= plan_room(&f))
			break;
		if (!promised || need > f.free_kib + plan_can_give(&f)) {
			rc = missing(d, &f, e);
			break;
		}
		pthread_cond_wait(&kept, &lock);
	}
	if (!rc) {
		p->open_kib = need;
		p->claim_kib = d->memory_kib;
		p->overhead_kib = overhead(d);
		promised += need;
		underway += need;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

/*
 * Domain 0 is to have `target`, and gets `more` again if none of those that are being made succeeds. Both in one transaction, with
 * what is in the batch.
 */
static int set_target(struct session *s, struct store_batch *b, uint64_t target, uint64_t more)
{
	int rc;

	dom0_put_target(b, target);
	if (more)
		store_batch_write_u64(b, target + more, BACK_PATH);
	else
		store_batch_remove(b, BACK_PATH);
	rc = store_batch_commit(b, s->store);
	if (!rc)
		owed = more;
	return rc;
}

/* Ask Domain 0 for what all promises together lack. */
static int lower(struct session *s, struct memory_promise *p, const struct memory_figures *f, struct err *e)
{
	uint64_t target = plan_target(f, 0), more = f->target_kib - target;
	uint64_t gives = plan_gives(f, target);
	struct store_batch b = { 0 };
	char text[128];
	int rc;

	if (!more)
		return 0;
	rc = set_target(s, &b, target, owed + more);
	if (rc)
		return session_store_error(e, rc, "Domain 0's memory");
	p->gave_kib += gives;
	p->dom0_kib = target;
	snprintf(text, sizeof(text), "Domain 0 is to give up %llu MiB of memory (%llu to %llu MiB)", mib_up(gives), mib_up(target + gives),
		mib(target));
	log_line("%s: %s", p->name, text);
	if (s->progress)
		s->progress(text, s->ctx);
	return 0;
}

/* 1: not all of it is there yet; *f says what is. */
static int try_claim(struct session *s, uint16_t domid, struct memory_promise *p, struct memory_figures *f, struct err *e)
{
	int rc = look_free(s, f, e);

	if (rc)
		return rc;
	if (f->free_kib >= held + p->open_kib) {
		rc = hv_domain_claim(s->hv, domid, p->claim_kib);
		if (rc && rc != -ENOMEM)
			return session_hv_error(e, rc, "claiming memory");
		if (!rc) {
			promised -= p->claim_kib;
			p->open_kib = p->overhead_kib;
			held += p->overhead_kib;
			p->claimed = true;
			return 0;
		}
	}
	f->promised_kib = promised;
	rc = look(s, f, e);
	if (!rc)
		rc = lower(s, p, f, e);
	return rc ? rc : 1;
}

/* Until when to wait: each time that more is free, or Domain 0 has less or is asked for something else, it begins anew. */
struct patience {
	uint64_t free_kib, dom0_kib, target_kib;
	time_t since;
	long pause_ns;
};

static bool wait_more(struct patience *w, const struct memory_figures *f)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!w->since || f->free_kib > w->free_kib || f->dom0_kib < w->dom0_kib || f->target_kib != w->target_kib) {
		w->free_kib = f->free_kib;
		w->dom0_kib = f->dom0_kib;
		w->target_kib = f->target_kib;
		w->since = now.tv_sec;
	}
	if (now.tv_sec - w->since >= PATIENCE_S)
		return false;
	w->pause_ns = !w->pause_ns ? LOOK_FIRST_NS : w->pause_ns * 2 > LOOK_LAST_NS ? LOOK_LAST_NS : w->pause_ns * 2;
	nanosleep(&(struct timespec){ .tv_nsec = w->pause_ns }, NULL);
	return true;
}

static int stopped_short(const struct memory_promise *p, const struct memory_figures *f, struct err *e)
{
	return err_set(e, ENOMEM, "no-memory",
		"%s needs %llu MiB of memory: %llu MiB are free, and Domain 0, which was to go down to %llu MiB, has stopped at %llu MiB "
		"for %d seconds: its kernel cannot give more (end a guest, or programs there)",
		p->name, mib_up(p->open_kib), mib(f->free_kib), mib(f->target_kib), mib_up(f->dom0_kib), PATIENCE_S);
}

int memory_claim(struct session *s, uint16_t domid, struct memory_promise *p, struct err *e)
{
	struct memory_figures f = { 0 };
	struct patience w = { 0 };
	int rc;

	do {
		pthread_mutex_lock(&lock);
		rc = try_claim(s, domid, p, &f, e);
		pthread_mutex_unlock(&lock);
	} while (rc > 0 && wait_more(&w, &f));
	return rc > 0 ? stopped_short(p, &f, e) : rc;
}

/* It runs, and Domain 0 gets no more than `more` back. */
static int keep_all_but(struct session *s, const char *uuid, uint64_t more)
{
	struct store_batch b = { 0 };
	struct memory_figures f;
	struct err e;
	int rc = dom0_look(s, &f, &e);

	if (rc)
		return rc;
	record_put_state(&b, uuid, RECORD_RUNNING);
	return set_target(s, &b, f.target_kib, more);
}

int memory_keep(struct session *s, struct memory_promise *p, const char *uuid)
{
	uint64_t others;
	int rc;

	pthread_mutex_lock(&lock);
	others = underway - needed(p);
	/* If the others fail, their memory is there for Domain 0. */
	rc = owed <= others ? record_set_state(s->store, uuid, RECORD_RUNNING) : keep_all_but(s, uuid, others);
	if (!rc) {
		p->kept = true;
		underway = others;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

/* What p would have had, or with the last of those that are being made all of it. */
static void give_back(struct session *s, const struct memory_promise *p)
{
	uint64_t more = owed <= needed(p) || !underway ? owed : needed(p);
	struct store_batch b = { 0 };
	struct memory_figures f;
	struct err e;
	int rc;

	if (!more)
		return;
	if (dom0_look(s, &f, &e))
		return log_err("Domain 0 does not get its memory back", &e);
	rc = set_target(s, &b, f.target_kib + more, owed - more);
	if (rc)
		log_line("Domain 0 does not get its memory back: the store answers: %s", strerror(-rc));
	else
		log_line("%s: Domain 0 is to have %llu MiB of memory again", p->name, mib(f.target_kib + more));
}

void memory_release(struct session *s, struct memory_promise *p)
{
	if (!p->claim_kib)
		return;
	pthread_mutex_lock(&lock);
	if (!p->kept) {
		underway -= needed(p);
		give_back(s, p);
	}
	promised -= p->open_kib;
	if (p->claimed)
		held -= p->open_kib;
	pthread_cond_broadcast(&kept);
	pthread_mutex_unlock(&lock);
	p->claim_kib = 0;
}

void memory_recover(struct session *s)
{
	struct store_batch b = { 0 };
	uint64_t target;

	if (store_read_u64(s->store, &target, BACK_PATH))
		return;
	log_line("Domain 0 is to have %llu MiB of memory again: it gave up some for a guest that has not come to be", mib(target));
	if (set_target(s, &b, target, 0))
		log_line("the store does not take note of that");
}

int memory_set_dom0(struct session *s, struct store_batch *b)
{
	int rc;

	pthread_mutex_lock(&lock);
	store_batch_remove(b, BACK_PATH);
	rc = store_batch_commit(b, s->store);
	if (!rc)
		owed = 0;
	pthread_mutex_unlock(&lock);
	return rc;
}
