/* SPDX-License-Identifier: MIT */
/* XENMEM_exchange: give frames back and get others, contiguous or low ones, in their place. ABI: <xen/memory.h>. */

/*
 * Done chunk by chunk, a chunk being the smallest number of whole extents on either side. Of each chunk first the new
 * frames are taken from the heap, then the old ones are taken away from the domain; only when all of them could be had
 * (nobody maps them any more) is anything changed for good. Else they are given back, contents and M2P entry as they were.
 */

#include <core/panic.h>
#include <hypercall/memory.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <memory/xmalloc.h>

struct old_frame { mfn_t m; u64 pfn; };

struct exchange {
	xen_memory_exchange_t x;
	struct domain *d;
	unsigned chunk_order;		/* frames per chunk */
	u64 in_extents, out_extents;	/* per chunk */
	struct old_frame *old;		/* 1 << chunk_order */
};

static int steal(struct domain *d, mfn_t m, struct old_frame *out)
{
	int rc;

	if (!get_frame(m, d))
		return -EINVAL;
	*out = (struct old_frame){ m, m2p_get(m) };
	rc = domain_steal_frame(d, m);
	if (rc)
		put_frame(m);
	return rc;
}

static void give_back(struct exchange *s, u64 n)
{
	while (n--) {
		const struct old_frame *o = &s->old[n];

		if (domain_replace_frame(s->d, o->m))
			put_frame(o->m);	/* the domain is dying */
		else
			(void)domain_set_pfn(s->d, o->m, o->pfn);
	}
}

/* Take all old frames of a chunk away. */
static int steal_chunk(struct exchange *s, u64 chunk)
{
	u64 n = 0;

	for (u64 i = 0; i < s->in_extents; i++) {
		xen_pfn_t m;
		int rc = copy_from_guest_idx(&m, s->x.in.extent_start.p, chunk * s->in_extents + i, sizeof(m));

		for (u64 k = 0; !rc && k < 1UL << s->x.in.extent_order; k++) {
			rc = steal(s->d, mfn(m + k), &s->old[n]);
			if (!rc)
				n++;
		}
		if (rc) {
			give_back(s, n);
			return rc;
		}
	}
	return 0;
}

/* Extent i of the result: frames m… at the pfns that the guest asks for. */
static int place_extent(struct exchange *s, u64 i, mfn_t m)
{
	u64 n = 1UL << s->x.out.extent_order;
	xen_pfn_t pfn;
	int rc = copy_from_guest_idx(&pfn, s->x.out.extent_start.p, i, sizeof(pfn));

	for (u64 k = 0; k < n; k++) {
		if (domain_replace_frame(s->d, mfn_add(m, k))) {
			put_frame(mfn_add(m, k));
			rc = -EINVAL;		/* dying, or no memory for the accounts */
		} else if (!rc) {
			(void)domain_set_pfn(s->d, mfn_add(m, k), pfn + k);
		}
	}
	return rc ? rc : copy_to_guest_idx(s->x.out.extent_start.p, i, &m.v, sizeof(m.v));
}

static int exchange_chunk(struct exchange *s, u64 chunk)
{
	unsigned order = s->x.out.extent_order, bits = XENMEMF_get_address_bits(s->x.out.mem_flags);
	mfn_t *new = xcalloc(s->out_extents, sizeof(*new));
	u64 got = 0;
	int rc = new ? 0 : -ENOMEM, err;

	for (; !rc && got < s->out_extents; got++) {
		new[got] = heap_alloc(order, bits, HEAP_HYP_WORD);
		if (mfn_eq(new[got], MFN_INVALID)) {
			rc = -ENOMEM;
			break;
		}
		memset(mfn_to_virt(new[got]), 0, PAGE_SIZE << order);
	}
	if (!rc)
		rc = steal_chunk(s, chunk);
	if (rc) {
		while (got--)
			heap_free(new[got], order);
		xfree(new);
		return rc;
	}

	/* Commit: the old frames go, the new ones come. A bad result array is reported, but changes nothing about that. */
	for (u64 i = 0; i < 1UL << s->chunk_order; i++)
		put_frame(s->old[i].m);
	for (u64 i = 0; i < s->out_extents; i++) {
		err = place_extent(s, chunk * s->out_extents + i, new[i]);
		if (err)
			rc = err;
	}
	xfree(new);
	return rc;
}

static int check(struct exchange *s)
{
	const xen_memory_reservation_t *in = &s->x.in, *out = &s->x.out;
	unsigned max = memop_max_order();

	if (in->extent_order > max || out->extent_order > max)
		return -EPERM;
	if (in->domid != out->domid || in->nr_extents > ~0UL >> HEAP_MAX_ORDER || out->nr_extents > ~0UL >> HEAP_MAX_ORDER ||
	    in->nr_extents << in->extent_order != out->nr_extents << out->extent_order || s->x.nr_exchanged > in->nr_extents)
		return -EINVAL;
	s->chunk_order = max(in->extent_order, out->extent_order);
	s->in_extents = 1UL << (s->chunk_order - in->extent_order);
	s->out_extents = 1UL << (s->chunk_order - out->extent_order);
	if (in->nr_extents % s->in_extents || s->x.nr_exchanged % s->in_extents)
		return -EINVAL;
	return 0;
}

static long run(struct exchange *s)
{
	u64 first = s->x.nr_exchanged / s->in_extents, chunks = s->x.in.nr_extents / s->in_extents;
	long rc = 0;

	for (u64 chunk = first; chunk < chunks && !rc; chunk++) {
		if (chunk != first && hypercall_preempt_check())
			return -ERESTART;
		rc = exchange_chunk(s, chunk);
		if (!rc)
			s->x.nr_exchanged += s->in_extents;
	}
	return rc;
}

long memop_exchange(u64 arg)
{
	xen_memory_exchange_t *guest = (void *)arg;
	struct exchange s;
	long rc;

	if (copy_from_guest(&s.x, guest, sizeof(s.x)))
		return -EFAULT;
	rc = check(&s);
	if (rc)
		return rc;
	rc = memop_domain(s.x.in.domid, &s.d);
	if (rc)
		return rc;
	s.old = xcalloc(1UL << s.chunk_order, sizeof(*s.old));
	rc = !s.old ? -ENOMEM : run(&s);
	xfree(s.old);
	domain_put(s.d);
	if (copy_to_guest(&guest->nr_exchanged, &s.x.nr_exchanged, sizeof(s.x.nr_exchanged)))
		return -EFAULT;
	return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_memory_op, 2, (u64)XENMEM_exchange, arg) : rc;
}
