/* SPDX-License-Identifier: MIT */
/* References and types of frames: single compare-and-exchange steps on the frame's word. */

#include <core/panic.h>
#include <lib/errno.h>
#include <memory/frame.h>
#include <memory/heap.h>
#include <memory/tlbflush.h>
#include <xen/xen.h>

#define TCOUNT_1	BIT(FRAME_TCOUNT_SHIFT)
#define TYPE(t)		((u64)(t) << FRAME_TYPE_SHIFT)

u64 frame_table_end;
void (*frame_free_hook)(mfn_t m, u16 owner);

/* The word of a frame number that may come from a guest, or NULL. */
static frame_t *lookup(mfn_t m)
{
	if (m.v >= frame_table_end)
		return NULL;
	return frame_of(mfn(index_nospec(m.v, frame_table_end)));
}

bool frame_get(mfn_t m, u16 owner)
{
	frame_t *f = lookup(m);
	frame_t x;

	if (!f)
		return false;
	x.v = READ_ONCE(f->v);
	do {
		/* A word of 0 is no RAM; owner 0 does not match it since its count is 0. */
		if (frame_owner(x) != owner || !frame_count(x) || frame_count(x) == FRAME_COUNT_MAX)
			return false;
	} while (!atomic_try_cmpxchg(&f->v, &x.v, x.v + 1));
	return true;
}

static void free_frame(mfn_t m, u16 owner)
{
	/* The heap keeps its lists in free frames: no CPU may be able to write there by a translation that it still has. */
	tlb_flush_since(&cpu_online, frame_epoch(frame_read(m)));
	if (owner == DOMID_XEN)
		free_pages(mfn_to_virt(m), 0);
	else
		frame_free_hook(m, owner);
}

void put_frame(mfn_t m)
{
	frame_t x = { atomic_fetch_add(&frame_of(m)->v, -1UL) };

	BUG_ON(frame_count(x) == 0);
	if (frame_count(x) == 1)
		free_frame(m, frame_owner(x));
}

int frame_get_type_slow(mfn_t m, u16 owner, enum frame_type t, const cpumask_t *dirty)
{
	frame_t *f = lookup(m);
	frame_t x;
	u64 new;

	if (!f)
		return -EINVAL;
	x.v = READ_ONCE(f->v);
	do {
		if (frame_owner(x) != owner || !frame_count(x))
			return -EINVAL;
		if (frame_type(x) == t) {
			if (frame_is_table(t) && !(x.v & FRAME_VALID))
				return -EAGAIN;
			if (frame_tcount(x) == FRAME_TCOUNT_MAX)
				return -EBUSY;
			new = x.v + TCOUNT_1;
			continue;
		}
		if (frame_type(x) != FRAME_NONE || x.v & FRAME_SHARED || frame_count(x) == FRAME_COUNT_MAX)
			return -EBUSY;
		if (frame_is_table(t))
			return -EAGAIN;
		/* An entry still cached for the old table would make it writable through itself. */
		if (x.v & FRAME_WAS_TABLE)
			tlb_flush_since(dirty, frame_epoch(x));
		new = (x.v & ~FRAME_TCOUNT_MASK) + 1;
		new |= TYPE(t) | TCOUNT_1;
	} while (!atomic_try_cmpxchg(&f->v, &x.v, new));
	return 0;
}

/* What remains of a word when the type goes: the epoch, and the reference that all type references shared. */
static u64 without_type(frame_t x)
{
	u64 was_table = frame_is_table(frame_type(x)) ? FRAME_WAS_TABLE : 0;

	x.v &= ~(FRAME_TYPE_MASK | FRAME_TCOUNT_MASK | FRAME_VALID);
	return (x.v | was_table | (u64)tlb_epoch() << FRAME_TCOUNT_SHIFT) - 1;
}

bool frame_put_type_slow(mfn_t m)
{
	frame_t *f = frame_of(m);
	frame_t x = { READ_ONCE(f->v) };
	u64 new;

	do {
		BUG_ON(frame_tcount(x) == 0);
		if (frame_tcount(x) > 1) {
			new = x.v - TCOUNT_1;
		} else {
			if (frame_type(x) <= FRAME_L4)
				return false;
			new = without_type(x);
		}
	} while (!atomic_try_cmpxchg(&f->v, &x.v, new));
	if (frame_count((frame_t){ new }) == 0)
		free_frame(m, frame_owner(x));
	return true;
}

void frame_put_writable(mfn_t m)
{
	BUG_ON(!frame_put_type(m));
}

int frame_begin_type(mfn_t m, u16 owner, enum frame_type t, frame_t x)
{
	u64 new = ((x.v & ~(FRAME_TCOUNT_MASK | FRAME_VALID)) | TYPE(t) | TCOUNT_1) + 1;

	if (frame_owner(x) != owner || !frame_count(x))
		return -EINVAL;
	if (frame_type(x) != FRAME_NONE || x.v & FRAME_SHARED || frame_count(x) == FRAME_COUNT_MAX)
		return -EBUSY;
	return atomic_try_cmpxchg(&frame_of(m)->v, &x.v, new) ? 0 : -EAGAIN;
}

void frame_set_valid(mfn_t m)
{
	atomic_fetch_or(&frame_of(m)->v, FRAME_VALID);
}

bool frame_begin_release(mfn_t m)
{
	frame_t *f = frame_of(m);
	frame_t x = { READ_ONCE(f->v) };
	u64 new;

	do {
		BUG_ON(frame_tcount(x) == 0 || !(x.v & FRAME_VALID));
		new = frame_tcount(x) > 1 ? x.v - TCOUNT_1 : x.v & ~FRAME_VALID;
	} while (!atomic_try_cmpxchg(&f->v, &x.v, new));
	return frame_tcount(x) == 1;
}

void frame_end_type(mfn_t m)
{
	frame_t *f = frame_of(m);
	frame_t x = { READ_ONCE(f->v) };
	u64 new;

	do {
		BUG_ON(frame_tcount(x) != 1 || x.v & FRAME_VALID);
		new = without_type(x);
	} while (!atomic_try_cmpxchg(&f->v, &x.v, new));
	if (frame_count((frame_t){ new }) == 0)
		free_frame(m, frame_owner(x));
}

bool frame_set_pinned(mfn_t m, bool pinned)
{
	frame_t *f = frame_of(m);
	u64 old = pinned ? atomic_fetch_or(&f->v, FRAME_PINNED) : atomic_fetch_and(&f->v, ~FRAME_PINNED);

	return !!(old & FRAME_PINNED) != pinned;
}

bool frame_release(mfn_t m)
{
	frame_t *f = frame_of(m);
	frame_t x = { READ_ONCE(f->v) };

	do {
		/* A shared page is the hypervisor's to give up. */
		if (!(x.v & FRAME_ALLOCATED) || x.v & FRAME_SHARED)
			return false;
		BUG_ON(frame_count(x) < 2);
	} while (!atomic_try_cmpxchg(&f->v, &x.v, (x.v & ~FRAME_ALLOCATED) - 1));
	return true;
}
