/* SPDX-License-Identifier: MIT */
/* Core dumps: which pages a guest has. */
#include <errno.h>
#include <lib/core_parts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define M2P_ENTRIES	512UL			/* of a page */
#define CHUNK_PAGES	512UL			/* frames of the M2P that the hypervisor gives in a row: 2 MiB, of 1 GiB of memory */
#define CHUNKS_MAX	16384UL			/* 16 TiB of memory */
#define INFO_MAX	1024UL			/* frames in one getpageframeinfo3 */
#define INVALID		(~0ULL)

struct finder {
	struct hv *hv;
	uint16_t domid;
	struct core_pages *p;
	size_t room;				/* for pages */
	xen_pfn_t *ask;				/* a hypercall buffer: in, frames; out, what they are */
	struct core_page seen[INFO_MAX];	/* the same frames, with names */
	size_t nseen;
};

static int add(struct finder *f, const struct core_page *page)
{
	struct core_pages *p = f->p;

	if (p->n == f->room) {
		size_t room = f->room ? f->room * 2 : 4096;
		struct core_page *grown = realloc(p->page, room * sizeof(*grown));

		if (!grown || room > UINT32_MAX)
			return -ENOMEM;
		p->page = grown;
		f->room = room;
	}
	p->page[p->n++] = *page;
	return 0;
}

/* Which of those seen belong to the domain? */
static int sort_out(struct finder *f)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getpageframeinfo3, .domain = f->domid };
	int rc;

	if (!f->nseen)
		return 0;
	for (size_t i = 0; i < f->nseen; i++)
		f->ask[i] = f->seen[i].gmfn;
	op.u.getpageframeinfo3.num = f->nseen;
	set_xen_guest_handle(op.u.getpageframeinfo3.array, f->ask);
	rc = hv_domctl(f->hv, &op);
	for (size_t i = 0; i < f->nseen && !rc; i++)
		if ((f->ask[i] & XEN_DOMCTL_PFINFO_LTAB_MASK) != XEN_DOMCTL_PFINFO_XTAB)
			rc = add(f, &f->seen[i]);
	f->nseen = 0;
	return rc;
}

/* A GiB of the machine's memory: CHUNK_PAGES pages of the table, the first of which is machine frame `at`. */
static int look_through(struct finder *f, uint64_t chunk, xen_pfn_t at)
{
	xen_pfn_t frames[CHUNK_PAGES];
	const uint64_t *m2p;
	int rc = 0;

	for (size_t i = 0; i < CHUNK_PAGES; i++)
		frames[i] = at + i;
	m2p = xenforeignmemory_map(f->hv->fmem, DOMID_XEN, PROT_READ, CHUNK_PAGES, frames, NULL);
	if (!m2p)
		return -errno;
	for (size_t i = 0; i < CHUNK_PAGES * M2P_ENTRIES && !rc; i++) {
		if (m2p[i] == INVALID)
			continue;
		f->seen[f->nseen++] = (struct core_page){ m2p[i], chunk * CHUNK_PAGES * M2P_ENTRIES + i };
		if (f->nseen == INFO_MAX)
			rc = sort_out(f);
	}
	xenforeignmemory_unmap(f->hv->fmem, (void *)m2p, CHUNK_PAGES);
	return rc;
}

static int look_through_all(struct finder *f)
{
	struct xen_machphys_mfn_list list = { .max_extents = CHUNKS_MAX };
	xen_pfn_t *chunks = hv_buffer(f->hv, CHUNKS_MAX * sizeof(*chunks));
	int rc;

	if (!chunks)
		return -ENOMEM;
	set_xen_guest_handle(list.extent_start, chunks);
	rc = hv_memory_op(f->hv, XENMEM_machphys_mfn_list, &list, sizeof(list));
	for (uint32_t i = 0; !rc && i < list.nr_extents && i < CHUNKS_MAX; i++)
		if (chunks[i])
			rc = look_through(f, i, chunks[i]);
	hv_buffer_free(f->hv, chunks, CHUNKS_MAX * sizeof(*chunks));
	return rc ? rc : sort_out(f);
}

static int compare_pfn(const void *a, const void *b)
{
	const struct core_page *x = a, *y = b;

	return x->pfn == y->pfn ? (x->gmfn > y->gmfn) - (x->gmfn < y->gmfn) : x->pfn < y->pfn ? -1 : 1;
}

static int compare_mfn(const void *a, const void *b, void *pages)
{
	const struct core_page *page = pages;
	uint64_t x = page[*(const uint32_t *)a].gmfn, y = page[*(const uint32_t *)b].gmfn;

	return (x > y) - (x < y);
}

static int sort(struct core_pages *p)
{
	size_t n = 0;

	if (p->n)
		qsort(p->page, p->n, sizeof(*p->page), compare_pfn);
	for (size_t i = 0; i < p->n; i++)
		if (!n || p->page[i].pfn != p->page[n - 1].pfn)
			p->page[n++] = p->page[i];
	p->n = n;
	p->by_mfn = malloc((n + 1) * sizeof(*p->by_mfn));
	if (!p->by_mfn)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		p->by_mfn[i] = (uint32_t)i;
	if (n)
		qsort_r(p->by_mfn, n, sizeof(*p->by_mfn), compare_mfn, p->page);
	return 0;
}

int core_pages_find(struct hv *hv, uint16_t domid, struct core_pages *p)
{
	struct finder *f = calloc(1, sizeof(*f));
	int rc = -ENOMEM;

	*p = (struct core_pages){ 0 };
	if (!f)
		return rc;
	*f = (struct finder){ .hv = hv, .domid = domid, .p = p, .ask = hv_buffer(hv, INFO_MAX * sizeof(*f->ask)) };
	if (f->ask)
		rc = look_through_all(f);
	hv_buffer_free(hv, f->ask, INFO_MAX * sizeof(*f->ask));
	free(f);
	return rc ? rc : sort(p);
}

void core_pages_free(struct core_pages *p)
{
	free(p->page);
	free(p->by_mfn);
	*p = (struct core_pages){ 0 };
}

long core_pages_index(const struct core_pages *p, uint64_t mfn)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		uint64_t at = p->page[p->by_mfn[mid]].gmfn;

		if (at == mfn)
			return p->by_mfn[mid];
		if (at < mfn)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}
