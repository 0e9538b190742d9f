/* SPDX-License-Identifier: MIT */
/* Frames of domains: allocation and accounting, sharing, change of owner, and giving everything back at the end. */

/*
 * Invariants: d->tot_pages is the number of frames whose word names d as owner and that are not FRAME_SHARED; d->regions
 * counts the same frames by region; both change under d->page_lock. A domain with frames holds a reference to itself for
 * them, so the owner of a frame exists as long as the frame is his.
 *
 * A frame leaves its owner when its last reference goes (owner_lost_frame), or by domain_steal_frame().
 */

#include <core/panic.h>
#include <core/softirq.h>
#include <domain/domain.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <memory/region_map.h>
#include <memory/tlbflush.h>

bool get_frame(mfn_t m, const struct domain *d)
{
	return frame_get(m, d->id);
}

int frame_get_writable(mfn_t m, const struct domain *d)
{
	return frame_get_type(m, d->id, FRAME_WRITABLE, &d->dirty_cpus);
}

bool frame_get_granted(mfn_t m, const struct domain *d, bool write, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (write ? frame_get_writable(m, d) != 0 : !get_frame(m, d)) {
			if (i)
				frame_put_granted(m, write, i);
			return false;
		}
	/* What is the hypervisor's stays so as long as its owner lives, and the caller sees to that. */
	if (likely(!(frame_read(m).v & FRAME_SHARED)))
		return true;
	frame_put_granted(m, write, n);
	return false;
}

void frame_put_granted_slow(mfn_t m, bool write, unsigned n)
{
	while (n--) {
		if (write)
			frame_put_writable(m);
		else
			put_frame(m);
	}
}

static u64 owned_word(const struct domain *d)
{
	return (u64)d->id << FRAME_OWNER_SHIFT | FRAME_ALLOCATED | 1;
}

/*
 * Enter n frames from m, which nobody refers to yet, into d's account, and make them its own. Both under the lock: who finds d dying sees
 * all frames that it will ever have.
 */
static int account(struct domain *d, mfn_t m, u64 n, bool check_limit)
{
	bool first;
	int rc;

	spin_lock(&d->page_lock);
	if (d->is_dying)
		rc = -EINVAL;
	else if (check_limit && (d->tot_pages > d->max_pages || n > d->max_pages - d->tot_pages))
		rc = -ENOMEM;
	else
		rc = region_map_add(d->regions, m, n);
	first = !rc && d->tot_pages == 0;
	if (!rc) {
		d->tot_pages += n;
		for (u64 i = 0; i < n; i++)
			atomic_store(&frame_of(mfn_add(m, i))->v, owned_word(d));
	}
	spin_unlock(&d->page_lock);
	if (first)
		domain_ref(d);
	return rc;
}

/* Take n frames of one region out. May drop the last reference to d. */
static void unaccount(struct domain *d, mfn_t m, u64 n)
{
	bool last;

	spin_lock(&d->page_lock);
	region_map_remove(d->regions, m, n);
	d->tot_pages -= n;
	last = d->tot_pages == 0;
	spin_unlock(&d->page_lock);
	if (last)
		domain_put(d);
}

mfn_t domain_alloc_frames(struct domain *d, unsigned order, unsigned addr_bits, unsigned flags)
{
	u64 n = 1UL << order;
	bool check = !(flags & MEMF_NO_ACCOUNT);
	mfn_t m;

	/* Looked at again by account(); here only to fail cheaply. */
	if (order > HEAP_MAX_ORDER || (check && READ_ONCE(d->tot_pages) + n > READ_ONCE(d->max_pages)))
		return MFN_INVALID;
	m = heap_alloc_claimed(order, addr_bits, HEAP_HYP_WORD, &d->claimed);
	if (mfn_eq(m, MFN_INVALID))
		return m;
	if (!(flags & MEMF_NO_ZERO))
		memset(mfn_to_virt(m), 0, n << PAGE_SHIFT);
	if (account(d, m, n, check)) {
		heap_free(m, order);
		return MFN_INVALID;
	}
	return m;
}

int domain_claim(struct domain *d, u64 pages)
{
	int rc;

	spin_lock(&d->page_lock);
	if (!pages)
		rc = heap_claim(&d->claimed, 0);
	else if (d->is_dying || pages > d->max_pages)
		rc = -EINVAL;
	else
		rc = heap_claim(&d->claimed, pages > d->tot_pages ? pages - d->tot_pages : 0);
	spin_unlock(&d->page_lock);
	return rc;
}

static void owner_lost_frame(mfn_t m, u16 owner)
{
	struct domain *d = domain_of_owner(owner);

	BUG_ON(!d || frame_read(m).v & FRAME_SHARED);
	m2p_set(m, M2P_INVALID);
	/* Out of the account first: the frame is still marked d's, but nobody can get a reference to it. */
	unaccount(d, m, 1);
	heap_free(m, 0);
}

int domain_steal_frame(struct domain *d, mfn_t m)
{
	frame_t x = frame_read(m);
	u64 new;

	do {
		if (frame_owner(x) != d->id || !frame_count(x))
			return -EINVAL;
		new = (u64)DOMID_XEN << FRAME_OWNER_SHIFT | (x.v & (FRAME_EPOCH_MASK | FRAME_WAS_TABLE)) | 1;
		if (frame_count(x) != 2 || frame_type(x) != FRAME_NONE || !(x.v & FRAME_ALLOCATED) || x.v & (FRAME_SHARED | FRAME_PINNED))
			return -EBUSY;
	} while (!atomic_try_cmpxchg(&frame_of(m)->v, &x.v, new));
	m2p_set(m, M2P_INVALID);
	unaccount(d, m, 1);
	return 0;
}

static int assign(struct domain *d, mfn_t m, bool check_limit)
{
	frame_t x = frame_read(m);

	BUG_ON(frame_owner(x) != DOMID_XEN || frame_count(x) != 1);
	/* It may have been written through translations that are still in TLBs, and the type that remembers them ends here. */
	tlb_flush_since(&cpu_online, frame_epoch(x));
	return account(d, m, 1, check_limit);
}

int domain_assign_frame(struct domain *d, mfn_t m)
{
	/* A translation that only read left no trace in the epoch, and the old owner may still have one. */
	tlb_flush_since(&cpu_online, tlb_epoch());
	return assign(d, m, true);
}

int domain_replace_frame(struct domain *d, mfn_t m)
{
	return assign(d, m, false);
}

bool domain_set_pfn(const struct domain *d, mfn_t m, u64 pfn)
{
	if (!get_frame(m, d))
		return false;
	m2p_set(m, pfn);
	put_frame(m);
	return true;
}

void share_page_with_domain(void *va, struct domain *d, bool writable)
{
	mfn_t m = virt_to_mfn(va);
	u64 word = owned_word(d) | FRAME_SHARED;

	if (writable)
		word += 1 | (u64)FRAME_WRITABLE << FRAME_TYPE_SHIFT | BIT(FRAME_TCOUNT_SHIFT);
	BUG_ON(frame_read(m).v >> FRAME_OWNER_SHIFT != DOMID_XEN);
	m2p_set(m, M2P_INVALID);
	atomic_store(&frame_of(m)->v, word);
}

int unshare_page(void *va)
{
	mfn_t m = virt_to_mfn(va);
	frame_t x = frame_read(m);

	do {
		if (frame_type(x) == FRAME_NONE ? frame_count(x) != 1 : frame_tcount(x) != 1 || frame_count(x) != 2)
			return -EBUSY;
		BUG_ON(!(x.v & FRAME_SHARED));
	} while (!atomic_try_cmpxchg(&frame_of(m)->v, &x.v, HEAP_HYP_WORD));
	/* From now on the hypervisor trusts what is in it. */
	tlb_flush_since(&cpu_online, tlb_epoch());
	return 0;
}

void unshare_free_page(void *va)
{
	mfn_t m = virt_to_mfn(va);
	frame_t x = frame_read(m);
	u64 owner = (u64)DOMID_XEN << FRAME_OWNER_SHIFT, new;
	bool writable = frame_type(x) == FRAME_WRITABLE;

	if (!(x.v & FRAME_SHARED)) {
		free_page(va);
		return;
	}
	/* It becomes an ordinary frame of the hypervisor with a reference that is dropped at once: the last reference frees it. */
	do {
		new = (x.v & (BIT(FRAME_OWNER_SHIFT) - 1) & ~(FRAME_SHARED | FRAME_ALLOCATED)) | owner;
	} while (!atomic_try_cmpxchg(&frame_of(m)->v, &x.v, new));
	if (writable)
		frame_put_writable(m);
	put_frame(m);
}

int domain_for_each_frame(struct domain *d, u64 with, u64 *cursor, int (*fn)(struct domain *d, mfn_t m, void *arg), void *arg)
{
	for (mfn_t m = mfn(*cursor);;) {
		bool more;

		spin_lock(&d->page_lock);
		more = region_map_next(d->regions, &m);
		spin_unlock(&d->page_lock);
		if (!more)
			break;
		do {
			frame_t x = frame_read(m);

			if (frame_owner(x) == d->id && (x.v & with) == with && !(x.v & FRAME_SHARED) && frame_get(m, d->id)) {
				int rc = fn(d, m, arg);

				put_frame(m);
				*cursor = m.v;
				if (rc)
					return rc;
			}
			m.v++;
		} while (m.v % REGION_FRAMES);
		*cursor = m.v;
		if (with && softirq_pending())
			return -ERESTART;
	}
	return 0;
}

/*
 * --- life cycle
 * -----------------------------------------------------------------------------------------------------------------
 */

static int memory_create(struct domain *d)
{
	frame_free_hook = owner_lost_frame;
	d->regions = region_map_create();
	return d->regions ? 0 : -ENOMEM;
}

/*
 * Giving everything back, region by region. Nearly all frames have no reference left but the owner's: those are taken away from him at once,
 * and go to the heap in blocks as large as they come. The others are released, and go when their last reference does.
 */
struct release { DECLARE_BITMAP(taken, REGION_FRAMES); u64 n; u16 epoch; };

static bool take_frame(struct domain *d, mfn_t m, struct release *r)
{
	frame_t x = frame_read(m);
	u64 new = (u64)DOMID_XEN << FRAME_OWNER_SHIFT | (x.v & FRAME_EPOCH_MASK) | 1;
	u16 now;

	if ((x.v & ~(FRAME_EPOCH_MASK | FRAME_WAS_TABLE)) != owned_word(d) || !atomic_try_cmpxchg(&frame_of(m)->v, &x.v, new))
		return false;
	m2p_set(m, M2P_INVALID);
	bitmap_set(r->taken, m.v % REGION_FRAMES);
	r->n++;
	/* The clock goes on meanwhile, and others drop references: the latest of the epochs, as seen from now. */
	now = tlb_epoch();
	if ((u16)(now - frame_epoch(x)) < (u16)(now - r->epoch))
		r->epoch = frame_epoch(x);
	return true;
}

static void release_frame(struct domain *d, mfn_t m)
{
	frame_t x = frame_read(m);

	if (frame_owner(x) != d->id || x.v & FRAME_SHARED || !frame_get(m, d->id))
		return;
	frame_release(m);
	put_frame(m);
}

static void free_taken(mfn_t region, const struct release *r)
{
	for (u64 i = 0; (i = bitmap_find_next(r->taken, REGION_FRAMES, i)) < REGION_FRAMES;) {
		u64 n = bitmap_find_next_zero(r->taken, REGION_FRAMES, i) - i;
		unsigned order = i ? (unsigned)__builtin_ctzl(i) : REGION_SHIFT;

		while (1UL << order > n)
			order--;
		heap_free(mfn_add(region, i), order);
		i += 1UL << order;
	}
}

static void release_region(struct domain *d, mfn_t region)
{
	struct release r = { .epoch = (u16)(tlb_epoch() + 1) };	/* as seen from now, the oldest */

	for (u64 i = 0; i < REGION_FRAMES && region.v + i < frame_table_end; i++)
		if (!take_frame(d, mfn_add(region, i), &r))
			release_frame(d, mfn_add(region, i));
	if (!r.n)
		return;
	/* As for a single frame: nobody may write there any more. */
	tlb_flush_since(&cpu_online, r.epoch);
	unaccount(d, region, r.n);
	free_taken(region, &r);
}

static int memory_relinquish(struct domain *d)
{
	if (heap_claim(&d->claimed, 0))
		BUG();
	for (;;) {
		mfn_t m = mfn(d->relinquish_cursor);
		bool more;

		spin_lock(&d->page_lock);
		more = region_map_next(d->regions, &m);
		spin_unlock(&d->page_lock);
		if (!more)
			return 0;
		m = mfn(ALIGN_DOWN(m.v, REGION_FRAMES));
		release_region(d, m);
		d->relinquish_cursor = m.v + REGION_FRAMES;
		if (softirq_pending())
			return -ERESTART;
	}
}

static void memory_destroy(struct domain *d)
{
	region_map_destroy(d->regions);
	d->regions = NULL;
}

DOMAIN_MODULE(memory_module) = {
	.name = "memory", .order = MODULE_MEMORY, .create = memory_create, .relinquish = memory_relinquish, .destroy = memory_destroy,
};
