/* SPDX-License-Identifier: MIT */
/*
 * The audit: recount every reference of every frame from scratch, and compare with the frame table. Debug key 'a'
 * (debug/dump.c).
 */

/*
 * References are found from those who hold them: the entries of all valid tables, base tables and pins, descriptor-table
 * frames, tables on the stack of a pending job (whose first `index` entries count) and results that wait, and what other
 * modules report (memory/audit.h). Frame by frame they must equal what the word says.
 *
 * The tallies need 8 bytes per frame; so that this works when memory is short, they cover a window of the machine's frames, and
 * everything is walked once per window.
 */

#include <core/console.h>
#include <core/panic.h>
#include <lib/string.h>
#include <memory/audit.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <memory/xmalloc.h>
#include <pv/pagetable.h>
#include <pv/pt_job.h>

extern const struct audit_source audit_sources_start[], audit_sources_end[];

/* What was found for one frame. */
struct tally {
	u32 count;		/* general references */
	u32 tcount : 20;	/* type references */
	u32 type : 4;
	u32 mixed : 1;		/* references of different types */
};

static struct tally *window;
static u64 window_first, window_frames;
static unsigned errors;

#define MAX_PRINTED	40

static void report(mfn_t m, const char *what, u64 found, u64 recorded)
{
	frame_t f = frame_read(m);

	if (errors++ < MAX_PRINTED)
		log_err("audit: frame %#lx (word %016lx, owner d%u, type %u): %s: found %lu, recorded %lu\n", m.v, f.v, frame_owner(f),
			frame_type(f), what, found, recorded);
}

static struct tally *tally_of(mfn_t m)
{
	return m.v >= window_first && m.v - window_first < window_frames ? &window[m.v - window_first] : NULL;
}

void audit_count(mfn_t m)
{
	struct tally *t = tally_of(m);

	if (t)
		t->count++;
}

void audit_type(mfn_t m, enum frame_type type)
{
	struct tally *t = tally_of(m);

	if (!t)
		return;
	if (t->tcount && t->type != type)
		t->mixed = 1;
	t->type = type & 15;
	t->tcount++;
}

/*
 * --- where references are
 * ------------------------------------------------------------------------------------------------------
 */

static void walk_l1(mfn_t m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pte_t e = pt_table(m)[i];
		frame_t f = frame_read(pte_mfn(e));

		if (!pte_present(e) || !f.v || frame_owner(f) == DOMID_IO)
			continue;
		if (e.v & PTE_RW)
			audit_type(pte_mfn(e), FRAME_WRITABLE);
		else
			audit_count(pte_mfn(e));
	}
}

/* The first n entries of a table have references. */
static void walk_table(mfn_t m, unsigned level, unsigned n)
{
	if (level == 1) {
		walk_l1(m, n);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		pte_t e = pt_table(m)[i];

		if (pte_present(e) && !pt_hyp_slot(level, i))
			audit_type(pte_mfn(e), level - 1);
	}
}

static int walk_frame(struct domain *d, mfn_t m, void *unused)
{
	frame_t f = frame_read(m);

	if (frame_type(f) >= FRAME_L1 && frame_type(f) <= FRAME_L4 && f.v & FRAME_VALID)
		walk_table(m, frame_type(f), PT_ENTRIES);
	if (f.v & FRAME_PINNED)
		audit_type(m, frame_type(f));
	return 0;
}

static void held_table(mfn_t m, unsigned level)
{
	if (!mfn_eq(m, MFN_INVALID))
		audit_type(m, level);
}

/* The outcome of a validation that nobody has fetched yet. */
static void walk_result(u64 result)
{
	if (!mfn_eq(pt_result_mfn(result), MFN_INVALID))
		audit_type(pt_result_mfn(result), result >> 12 & 7);
}

static void walk_job(const struct pt_job *job)
{
	for (unsigned i = 0; job->mode != PT_JOB_IDLE && i < job->depth; i++) {
		const struct pt_job_table *t = &job->stack[i];

		audit_type(t->m, t->level);
		walk_table(t->m, t->level, t->index);
	}
	walk_result(job->other_result);
}

static void walk_vcpu(const struct vcpu *v)
{
	const struct pv_vcpu *pv = v->pv;
	pte_t *w;

	if (!mfn_eq(v->info_mfn, MFN_INVALID))
		audit_type(v->info_mfn, FRAME_WRITABLE);
	if (!pv)
		return;
	held_table(pv->kernel_l4, FRAME_L4);
	held_table(pv->user_l4, FRAME_L4);
	walk_result(pv->pt_result);
	for (unsigned i = 0; i < DIV_ROUND_UP(pv->gdt_ents, PAGE_SIZE / 8); i++)
		audit_type(pv->gdt_frames[i], FRAME_SEGDESC);
	w = pv_window(v);
	for (unsigned i = 16; i < PV_WINDOW_PAGES; i++)
		if (pte_present(w[i]))
			audit_type(pte_mfn(w[i]), FRAME_SEGDESC);
}

static void walk_domain(struct domain *d)
{
	u64 cursor = 0;

	if (d->pv && d->pv->pt_job)
		walk_job(d->pv->pt_job);
	for_each_vcpu(d, v)
		walk_vcpu(v);
	(void)!domain_for_each_frame(d, 0, &cursor, walk_frame, NULL);
}

/*
 * --- comparison
 * ----------------------------------------------------------------------------------------------------------------
 */

static void check_frame(mfn_t m, const struct tally *t)
{
	frame_t f = frame_read(m);
	u64 tcount = t->tcount, count = t->count;

	/*
	 * The hypervisor's own frames and free ones have no references that anybody could find, except what tools map, and
	 * pages that were taken out of sharing while somebody had them mapped (unshare_free_page).
	 */
	if (frame_owner(f) >= DOMID_FIRST_RESERVED && !(f.v & FRAME_SHARED) && (frame_owner(f) != DOMID_XEN || f.v & FRAME_ALLOCATED)) {
		if (count || tcount)
			report(m, "references to a frame of no domain", count + tcount, 0);
		return;
	}
	if (f.v & FRAME_SHARED && frame_type(f) == FRAME_WRITABLE)
		tcount++;
	if (f.v & FRAME_ALLOCATED)
		count++;
	if (tcount)
		count++;
	if (tcount != frame_tcount(f))
		report(m, "type references", tcount, frame_tcount(f));
	if (count != frame_count(f))
		report(m, "references", count, frame_count(f));
	if (t->tcount && (t->mixed || t->type != frame_type(f)))
		report(m, t->mixed ? "references of several types, one is" : "type", t->type, frame_type(f));
}

static void audit_window(void)
{
	struct domain *d;

	memset(window, 0, window_frames * sizeof(*window));
	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d))
		walk_domain(d);
	for (const struct audit_source *s = audit_sources_start; s < audit_sources_end; s++)
		s->fn();
	for (u64 i = 0; i < window_frames && window_first + i < frame_table_end; i++) {
		if (frame_read(mfn(window_first + i)).v)
			check_frame(mfn(window_first + i), &window[i]);
		else if (window[i].count || window[i].tcount)
			report(mfn(window_first + i), "references to what is no RAM", window[i].count + window[i].tcount, 0);
	}
}

static int count_frame(struct domain *d, mfn_t m, void *n)
{
	++*(u64 *)n;
	return 0;
}

/* The accounts of each domain against the frame table. */
static void audit_accounts(void)
{
	struct domain *d;
	u64 owned = 0, accounted = 0;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d)) {
		u64 n = 0, cursor = 0;

		if (d->regions)
			(void)!domain_for_each_frame(d, 0, &cursor, count_frame, &n);
		if (n != d->tot_pages && errors++ < MAX_PRINTED)
			log_err("audit: d%u: %lu frames found, %lu accounted\n", d->id, n, d->tot_pages);
		accounted += d->tot_pages;
	}
	/* A frame that names a domain but is in nobody's account would be lost. */
	for (u64 m = 0; m < frame_table_end; m++) {
		frame_t f = frame_read(mfn(m));

		if (f.v && frame_owner(f) < DOMID_FIRST_RESERVED && !(f.v & FRAME_SHARED))
			owned++;
	}
	if (owned != accounted && errors++ < MAX_PRINTED)
		log_err("audit: %lu frames belong to domains, %lu are accounted\n", owned, accounted);
}

unsigned pv_audit(void)
{
	unsigned order = 10;

	errors = 0;
	do
		window = alloc_pages(order);
	while (!window && order--);
	if (!window) {
		log_err("audit: no memory\n");
		return 1;
	}
	window_frames = (PAGE_SIZE << order) / sizeof(*window);
	for (window_first = 0; window_first < frame_table_end; window_first += window_frames)
		audit_window();
	free_pages(window, order);
	window = NULL;
	audit_accounts();
	return errors;
}
