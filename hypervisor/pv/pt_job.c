/* SPDX-License-Identifier: MIT */
/* Validation and release of page-table trees: the preemptible job of a domain. See the theory in pv/pagetable.c. */

/*
 * A stack element is a table whose entries 0..index-1 have their references. Validation moves index up to 512, release
 * down to 0. A validation that fails turns into a release from where it is, so that exactly what was done is undone: the
 * entry it failed at has no references yet, neither has any entry that leads down to it.
 *
 * Level-1 tables, 512 entries without further depth, are done in one go.
 */

#include <core/panic.h>
#include <core/softirq.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/map.h>
#include <memory/tlbflush.h>
#include <memory/xmalloc.h>
#include <pv/pagetable.h>
#include <pv/pt_job.h>
#include <sched/sched.h>

/* Work per time the lock is held: level-1 tables count 32, other entries 1. About a millisecond. */
#define BUDGET		1024

/*
 * --- outcomes
 * ------------------------------------------------------------------------------------------------------------------
 */

/* mfn << 16 | level << 12 | error: with error 0 the slot holds a type reference. */
static u64 outcome(mfn_t m, unsigned level, int rc)
{
	return m.v << 16 | (u64)level << 12 | (u64)-rc;
}

static mfn_t outcome_mfn(u64 o) { return mfn(o >> 16); }
static int outcome_error(u64 o) { return -(int)(o & 0xfff); }

/* Where the outcome for whoever is asking now waits for him. */
static u64 *outcome_slot(struct domain *d)
{
	struct vcpu *v = current;

	return v->domain == d && v->pv ? &v->pv->pt_result : &d->pv->pt_job->other_result;
}

/*
 * --- stack
 * ---------------------------------------------------------------------------------------------------------------------
 */

static void push(struct pt_job *job, mfn_t m, unsigned level, unsigned index)
{
	BUG_ON(job->depth == PT_JOB_DEPTH);
	job->stack[job->depth++] = (struct pt_job_table){ m, (u16)level, (u16)index };
}

static void finish(struct pt_job *job, const struct pt_job_table *root)
{
	if (job->result)
		*job->result = outcome(root->m, root->level, job->error);
	job->mode = PT_JOB_IDLE;
}

static void start(struct pt_job *job, enum pt_job_mode mode, mfn_t m, unsigned level, u64 *result)
{
	BUG_ON(job->mode != PT_JOB_IDLE);
	job->mode = mode;
	job->error = 0;
	job->result = result;
	push(job, m, level, mode == PT_JOB_RELEASE ? PT_ENTRIES : 0);
}

/*
 * --- validation
 * ----------------------------------------------------------------------------------------------------------------
 */

int pt_begin_type(struct domain *d, mfn_t m, unsigned t)
{
	int rc;

	do {
		frame_t f = frame_read(m);
		cpumask_t foreign;

		if (frame_owner(f) != d->id)
			return -EINVAL;
		tlb_flush_since(&d->dirty_cpus, frame_epoch(f));
		/* Rare: once after another domain had frames of this one mapped. */
		if (!cpumask_empty(&d->pv->foreign_cpus)) {
			for (unsigned i = 0; i < ARRAY_SIZE(foreign.bits); i++)
				foreign.bits[i] = atomic_xchg(&d->pv->foreign_cpus.bits[i], 0);
			tlb_flush_mask(&foreign);
		}
		rc = frame_begin_type(m, d->id, t, f);
	} while (rc == -EAGAIN);
	return rc;
}

/* Entry f->index of an upper level. 0: done; 1: its table was pushed, to be validated first; -errno. */
static int validate_upper(struct domain *d, struct pt_job *job, struct pt_job_table *f)
{
	pte_t *e = &pt_table(f->m)[f->index], want = *e;
	unsigned level = f->level - 1u;
	mfn_t target = pte_mfn(want);
	int rc = pt_check_upper(&want, f->level);

	if (rc || !pte_present(want))
		return rc;
	rc = frame_get_type(target, d->id, level, NULL);
	if (rc == -EAGAIN) {
		/* Under the lock that means no type yet, or one of our own stack, which is of another level. */
		rc = pt_begin_type(d, target, level);
		if (!rc) {
			push(job, target, level, 0);
			return 1;
		}
	}
	if (!rc && want.v != e->v)
		WRITE_ONCE(e->v, want.v);
	return rc;
}

/* All entries of a level-1 table. On failure f->index says how many have their references. */
static int validate_l1(struct domain *d, struct pt_job_table *f)
{
	pte_t *table = pt_table(f->m);

	for (; f->index < PT_ENTRIES; f->index++) {
		pte_t e = table[f->index];
		int rc;

		if (!pte_present(e))
			continue;
		rc = pt_get_l1e(d, d, &e);
		if (rc)
			return rc;
		if (e.v != table[f->index].v)
			WRITE_ONCE(table[f->index].v, e.v);
	}
	return 0;
}

static void fill_hyp_slots(struct domain *d, pte_t *l4)
{
	map_fill_hyp_slots(l4);
	l4[HYP_SLOT_PERDOMAIN] = pte_make(virt_to_mfn(d->pv->perdomain_l3), PTE_HYP_TABLE);
}

/* The table on top is complete. */
static void validated(struct domain *d, struct pt_job *job)
{
	struct pt_job_table f = job->stack[--job->depth];

	if (f.level == 4)
		fill_hyp_slots(d, pt_table(f.m));
	frame_set_valid(f.m);
	if (!job->depth) {
		finish(job, &f);
		return;
	}
	/* The reference that validation came with is the one of the entry above, which can now be stored in its proper form. */
	struct pt_job_table *up = &job->stack[job->depth - 1];
	pte_t *e = &pt_table(up->m)[up->index];

	WRITE_ONCE(e->v, e->v | PTE_US);
	up->index++;
}

/* Entry i of an upper level needs no work: absent, or not the guest's. */
static bool skip(const struct pt_job_table *f, unsigned i)
{
	return !pte_present(pt_table(f->m)[i]) || pt_hyp_slot(f->level, i);
}

static unsigned validate_step(struct domain *d, struct pt_job *job)
{
	struct pt_job_table *f = &job->stack[job->depth - 1];
	unsigned cost = 1;
	int rc = 0;

	while (f->level > 1 && f->index < PT_ENTRIES && skip(f, f->index))
		f->index++;
	if (f->level == 1) {
		rc = validate_l1(d, f);
		cost = 32;
	} else if (f->index < PT_ENTRIES) {
		rc = validate_upper(d, job, f);
		if (rc == 0)
			f->index++;
	}
	if (rc < 0) {
		job->error = rc == -EBUSY || rc == -EPERM ? -EINVAL : rc;
		job->mode = PT_JOB_RELEASE;
	} else if (job->stack[job->depth - 1].index == PT_ENTRIES) {
		validated(d, job);
	}
	return cost;
}

/*
 * --- release
 * -------------------------------------------------------------------------------------------------------------------
 */

static void release_l1(struct domain *d, mfn_t m, unsigned n)
{
	while (n--)
		if (pte_present(pt_table(m)[n]))
			pt_put_l1e(d, pt_table(m)[n]);
}

/* The table on top has no references left. */
static void released(struct pt_job *job)
{
	struct pt_job_table f = job->stack[--job->depth];

	if (f.level == 4)
		memset(&pt_table(f.m)[HYP_SLOT_FIRST], 0, (HYP_SLOT_LAST - HYP_SLOT_FIRST + 1) * sizeof(pte_t));
	frame_end_type(f.m);
	if (!job->depth)
		finish(job, &f);
}

static unsigned release_step(struct domain *d, struct pt_job *job)
{
	struct pt_job_table *f = &job->stack[job->depth - 1];
	pte_t e;

	if (f->level == 1) {
		release_l1(d, f->m, f->index);
		f->index = 0;
	}
	while (f->index && skip(f, f->index - 1u))
		f->index--;
	if (f->index == 0) {
		unsigned level = f->level;

		released(job);
		return level == 1 ? 32 : 1;
	}
	f->index--;
	e = pt_table(f->m)[f->index];
	if (!frame_put_type(pte_mfn(e)) && frame_begin_release(pte_mfn(e)))
		push(job, pte_mfn(e), f->level - 1u, PT_ENTRIES);
	return 1;
}

/*
 * --- running
 * -------------------------------------------------------------------------------------------------------------------
 */

static __noinline int work(struct domain *d, struct pt_job *job, bool preemptible)
{
	unsigned spent = 0;

	while (job->mode != PT_JOB_IDLE) {
		if (preemptible && (spent > BUDGET || (spent && softirq_pending())))
			return -ERESTART;
		spent += job->mode == PT_JOB_VALIDATE ? validate_step(d, job) : release_step(d, job);
	}
	return 0;
}

/* Work on what is pending: 0 when there is nothing left, -ERESTART when time is up. Lock held. */
static inline int run(struct domain *d, bool preemptible)
{
	struct pt_job *job = d->pv->pt_job;

	return likely(job->mode == PT_JOB_IDLE) ? 0 : work(d, job, preemptible);
}

int pt_lock(struct domain *d)
{
	int rc;

	if (!d->pv || !d->pv->pt_job)
		return -EINVAL;
	spin_lock(&d->pv->pt_lock);
	rc = d->is_dying ? -EINVAL : run(d, true);
	if (rc)
		spin_unlock(&d->pv->pt_lock);
	return rc;
}

void pt_unlock(struct domain *d)
{
	spin_unlock(&d->pv->pt_lock);
}

int pt_finish(struct domain *d)
{
	int rc;

	/* Without the lock: what matters to the caller is what he left himself. */
	if (!d->pv || !d->pv->pt_job || READ_ONCE(d->pv->pt_job->mode) == PT_JOB_IDLE)
		return 0;
	rc = pt_lock(d);
	if (!rc)
		pt_unlock(d);
	return rc == -ERESTART ? rc : 0;
}

void pt_put_table(struct domain *d, mfn_t m)
{
	if (frame_put_type(m) || !frame_begin_release(m))
		return;
	start(d->pv->pt_job, PT_JOB_RELEASE, m, frame_type(frame_read(m)), NULL);
	(void)!run(d, true);
}

/* Drop what waits in a slot. 0, or -ERESTART while the release of it is pending. */
static int drop_outcome(struct domain *d, u64 *slot)
{
	u64 o = *slot;

	*slot = 0;
	if (o && !outcome_error(o))
		pt_put_table(d, outcome_mfn(o));
	return d->pv->pt_job->mode == PT_JOB_IDLE ? 0 : -ERESTART;
}

int pt_settle(struct domain *d, mfn_t m, unsigned level)
{
	u64 *slot = outcome_slot(d);

	return (*slot & ~0xfffUL) == outcome(m, level, 0) ? 0 : drop_outcome(d, slot);
}

int pt_get_table(struct domain *d, mfn_t m, unsigned level)
{
	struct pt_job *job = d->pv->pt_job;
	u64 *slot = outcome_slot(d), o = *slot;
	int rc;

	if (unlikely(o)) {
		rc = pt_settle(d, m, level);
		if (rc)
			return rc;
		o = *slot;
	}
	if (unlikely(o)) {
		*slot = 0;
		return outcome_error(o);
	}
	rc = frame_get_type(m, d->id, level, NULL);
	if (rc == -EAGAIN)
		rc = pt_begin_type(d, m, level);
	else
		return rc == -EBUSY ? -EINVAL : rc;
	if (rc)
		return -EINVAL;

	start(job, PT_JOB_VALIDATE, m, level, slot);
	rc = run(d, true);
	if (rc)
		return rc;
	o = *slot;
	*slot = 0;
	return outcome_error(o);
}

void pt_release_l1_table(struct domain *d, mfn_t m)
{
	if (frame_put_type(m))
		return;
	/* Short enough to be done in spite of a pending job, whose tables it does not concern: those are not valid, this is. */
	spin_lock(&d->pv->pt_lock);
	if (frame_begin_release(m)) {
		release_l1(d, m, PT_ENTRIES);
		frame_end_type(m);
	}
	spin_unlock(&d->pv->pt_lock);
}

/*
 * --- life cycle
 * ----------------------------------------------------------------------------------------------------------------
 */

static int pagetables_create(struct domain *d)
{
	if (!d->pv)
		return 0;
	d->pv->pt_job = xnew(struct pt_job);
	return d->pv->pt_job ? 0 : -ENOMEM;
}

static void pagetables_destroy(struct domain *d)
{
	if (d->pv) {
		xfree(d->pv->pt_job);
		d->pv->pt_job = NULL;
	}
}

static int pagetables_vcpu_create(struct vcpu *v)
{
	if (v->pv)
		v->pv->kernel_l4 = v->pv->user_l4 = MFN_INVALID;
	return 0;
}

static int unpin_one(struct domain *d, mfn_t m, void *visited)
{
	/* At least some frames per call, so that the end comes. */
	if ((*(u64 *)visited)++ >= 256 && softirq_pending())
		return -ERESTART;
	if (!(frame_read(m).v & FRAME_PINNED))
		return 0;
	if (frame_set_pinned(m, false))
		pt_put_table(d, m);
	return d->pv->pt_job->mode == PT_JOB_IDLE ? 0 : -ERESTART;
}

/* Drop a base table. */
static int drop_base(struct domain *d, mfn_t *base)
{
	mfn_t m = *base;

	*base = MFN_INVALID;
	if (!mfn_eq(m, MFN_INVALID))
		pt_put_table(d, m);
	return d->pv->pt_job->mode == PT_JOB_IDLE ? 0 : -ERESTART;
}

static int drop_vcpu_tables(struct domain *d)
{
	for_each_vcpu(d, v) {
		int rc;

		if (!v->pv)
			continue;
		rc = drop_base(d, &v->pv->kernel_l4);
		if (!rc)
			rc = drop_base(d, &v->pv->user_l4);
		if (!rc)
			rc = drop_outcome(d, &v->pv->pt_result);
		if (rc)
			return rc;
	}
	return drop_outcome(d, &d->pv->pt_job->other_result);
}

/* Nothing new can come: pt_lock() refuses a dying domain. */
static int pagetables_relinquish(struct domain *d)
{
	u64 visited = 0;
	int rc;

	if (!d->pv || !d->pv->pt_job)
		return 0;
	/* No CPU may still have one of the tables in CR3, lazily. */
	for_each_vcpu(d, v)
		vcpu_sync_state(v);
	spin_lock(&d->pv->pt_lock);
	rc = run(d, true);
	if (!rc)
		rc = drop_vcpu_tables(d);
	if (!rc)
		rc = domain_for_each_frame(d, FRAME_PINNED, &d->relinquish_cursor, unpin_one, &visited);
	if (!rc)
		rc = run(d, true);
	spin_unlock(&d->pv->pt_lock);
	return rc;
}

DOMAIN_MODULE(pagetables_module) = {
	.name = "page tables", .order = MODULE_PV + 1, .create = pagetables_create, .vcpu_create = pagetables_vcpu_create,
	.relinquish = pagetables_relinquish, .destroy = pagetables_destroy,
};
