/* SPDX-License-Identifier: MIT */
/*
 * The frame table: who owns each machine frame, how often it is referenced, and what type it has.
 *
 * One u64 per frame holds everything, so that every state change is one compare-and-exchange:
 *
 *   bits  0..24  count   general references. One of them belongs to FRAME_ALLOCATED while it is set, and one to
 *                        all type references together while tcount > 0.
 *   bits 25..41  tcount  type references. While the type is FRAME_NONE these bits hold instead, in 25..40, the TLB epoch
 *                        at which the frame last lost a type (see memory/tlbflush.h), and in 41 whether that type
 *                        was a page or descriptor table
 *   bits 42..44  type    enum frame_type
 *   bit  45      valid   the type's contents have been checked (page tables, descriptor tables)
 *   bit  46      pinned  the guest holds a type reference by MMUEXT_PIN_*
 *   bit  47      allocated  the owner has not given the frame up
 *   bit  48      shared  hypervisor memory shown to the owner (shared_info, grant table …): never freed by put_frame
 *   bits 49..63  owner   domain id, or DOMID_XEN / DOMID_IO / DOMID_INVALID (free)
 *
 * A frame that is not RAM reads as 0. A free frame has owner DOMID_INVALID and type FRAME_NONE with its epoch; the first
 * frame of a free block has the block's buddy order + 1 in place of the count, all others 0 (memory/heap.c). The
 * hypervisor's own frames belong to DOMID_XEN.
 *
 * A frame of type NONE has no type references; one of another type has at least one. A page table whose contents are being
 * checked or released has its type, tcount 1, and is not valid (pv/pagetable.c): nobody else can take a type reference then.
 *
 * Everything here is lock-free; the only rule is that a transition NONE -> table and table -> NONE is made by the holder
 * of the owner's page-table lock.
 */
#ifndef MEMORY_FRAME_H
#define MEMORY_FRAME_H

#include <core/cpumask.h>
#include <x86/atomic.h>
#include <x86/cr.h>
#include <x86/layout.h>

struct domain;

enum frame_type {
	FRAME_NONE,
	FRAME_L1, FRAME_L2, FRAME_L3, FRAME_L4,	/* page tables, numbered by level */
	FRAME_SEGDESC,				/* GDT or LDT page */
	FRAME_WRITABLE,				/* mapped writable somewhere, or may be */
};

typedef struct { u64 v; } frame_t;

#define FRAME_COUNT_BITS	25
#define FRAME_COUNT_MAX		(BIT(FRAME_COUNT_BITS) - 1)
#define FRAME_TCOUNT_SHIFT	25
#define FRAME_TCOUNT_BITS	17
#define FRAME_TCOUNT_MAX	(BIT(FRAME_TCOUNT_BITS) - 1)
#define FRAME_TCOUNT_MASK	(FRAME_TCOUNT_MAX << FRAME_TCOUNT_SHIFT)
#define FRAME_EPOCH_MASK	(0xffffUL << FRAME_TCOUNT_SHIFT)
#define FRAME_WAS_TABLE		BIT(41)
#define FRAME_TYPE_SHIFT	42
#define FRAME_TYPE_MASK		(7UL << FRAME_TYPE_SHIFT)
#define FRAME_VALID		BIT(45)
#define FRAME_PINNED		BIT(46)
#define FRAME_ALLOCATED		BIT(47)
#define FRAME_SHARED		BIT(48)
#define FRAME_OWNER_SHIFT	49
#define FRAME_OWNER_MASK	(~0UL << FRAME_OWNER_SHIFT)

/* First frame number past the table. */
extern u64 frame_table_end;

static inline frame_t *frame_of(mfn_t m) { return (frame_t *)FRAMETABLE_START + m.v; }
static inline bool mfn_valid(mfn_t m) { return m.v < frame_table_end && frame_of(m)->v != 0; }

static inline u64 frame_count(frame_t f) { return f.v & FRAME_COUNT_MAX; }
static inline enum frame_type frame_type(frame_t f) { return (enum frame_type)(f.v >> FRAME_TYPE_SHIFT & 7); }
static inline u64 frame_tcount(frame_t f) { return frame_type(f) == FRAME_NONE ? 0 : f.v >> FRAME_TCOUNT_SHIFT & FRAME_TCOUNT_MAX; }
static inline u16 frame_epoch(frame_t f) { return (u16)(f.v >> FRAME_TCOUNT_SHIFT); }
static inline u16 frame_owner(frame_t f) { return (u16)(f.v >> FRAME_OWNER_SHIFT); }
/* One consistent look at a frame's word; 0 past the table. m may come from a guest. */
static inline frame_t frame_read(mfn_t m)
{
	if (m.v >= frame_table_end)
		return (frame_t){ 0 };
	return (frame_t){ READ_ONCE(frame_of(mfn(index_nospec(m.v, frame_table_end)))->v) };
}

/* --- memory/frame.c: by owner id --- */
/* Take a general reference: see get_frame(). */
bool __must_check frame_get(mfn_t m, u16 owner);
/*
 * Take a type reference on a frame that may have no other reference of ours. Where it becomes FRAME_WRITABLE after having been
 * a table, the CPUs of `dirty` that may still use it as one are flushed first (interrupts on, no lock of level >= LOCK_CALL).
 * 0; -EINVAL not the owner's; -EBUSY it has another type, or too many references, or its type is fixed (FRAME_SHARED);
 * -EAGAIN it has no type and t is a table: it must be validated first, or is being validated or released right now.
 */
static inline int frame_get_type(mfn_t m, u16 owner, enum frame_type t, const cpumask_t *dirty);
/*
 * Drop a type reference. False: it is the last one of a valid page table (FRAME_L1..L4); nothing was done, and the
 * caller must release the contents first: frame_begin_release().
 */
static inline bool frame_put_type(mfn_t m);
/*
 * Table lock held: NONE -> t, tcount 1, not valid. 0, -EINVAL, -EBUSY as above; -EAGAIN: lost a race, look again. The
 * caller has flushed.
 */
int __must_check frame_begin_type(mfn_t m, u16 owner, enum frame_type t, frame_t expected);
void frame_set_valid(mfn_t m);
/*
 * Table lock held: true: the last reference, the frame is not valid any more, release it and call frame_end_type(). False:
 * others remain, ours is dropped.
 */
bool __must_check frame_begin_release(mfn_t m);
/* Table lock held: drop the type of a frame that is not valid. */
void frame_end_type(mfn_t m);
/* Set / clear FRAME_PINNED on a frame that the caller has a reference to. False when it was so already. */
bool __must_check frame_set_pinned(mfn_t m, bool pinned);
/* Called by put_frame() when the last reference of a frame is gone; owner is a domain's id. Set by domain/frames.c. */
extern void (*frame_free_hook)(mfn_t m, u16 owner);

/* --- domain/frames.c: by domain --- */
/*
 * Take a general reference to a frame owned by d. False when the frame is not RAM, is owned by somebody else, is being
 * freed, or has too many references. The reference keeps owner and contents until put_frame(). Any context.
 */
bool __must_check get_frame(mfn_t m, const struct domain *d);
/* Drop a general reference; the last one returns the frame to the heap (or, when FRAME_SHARED, only forgets it). */
void put_frame(mfn_t m);
/*
 * Take a FRAME_WRITABLE type reference and with it a general one: for frames that the hypervisor writes on a guest's behalf
 * (event arrays, vcpu_info, grant mappings). 0; -EINVAL not d's; -EBUSY in use as a page or descriptor table. Any context.
 */
int __must_check frame_get_writable(mfn_t m, const struct domain *d);
void frame_put_writable(mfn_t m);	/* memory/frame.c */
/*
 * n references at once, FRAME_WRITABLE type references if `write`, general ones otherwise: all or none. Refused (false) also for pages that are
 * FRAME_SHARED, as a reference to those does not keep their owner. Interrupts on.
 */
bool __must_check frame_get_granted(mfn_t m, const struct domain *d, bool write, unsigned n);
static inline void frame_put_granted(mfn_t m, bool write, unsigned n);
/*
 * The owner gives the frame up: clears FRAME_ALLOCATED and drops its reference. False when it was clear already
 * (two callers race, or a guest frees twice), or the page is FRAME_SHARED. The caller holds a reference of its own.
 */
bool frame_release(mfn_t m);

/* --- what happens all the time: one more or less of many references of the same type --- */

int __must_check frame_get_type_slow(mfn_t m, u16 owner, enum frame_type t, const cpumask_t *dirty);
bool __must_check frame_put_type_slow(mfn_t m);
void frame_put_granted_slow(mfn_t m, bool write, unsigned n);

static inline bool frame_is_table(enum frame_type t) { return t != FRAME_NONE && t != FRAME_WRITABLE; }

/* As frame_get_type(), for a frame that has the type t, not NONE, already. False: perhaps not; nothing was done. */
static inline bool __must_check frame_get_type_again(mfn_t m, u16 owner, enum frame_type t)
{
	u64 want = (u64)owner << FRAME_OWNER_SHIFT | (u64)t << FRAME_TYPE_SHIFT | (frame_is_table(t) ? FRAME_VALID : 0);
	frame_t x = frame_read(m);

	return !((x.v ^ want) & (FRAME_OWNER_MASK | FRAME_TYPE_MASK | FRAME_VALID)) && ~x.v & FRAME_TCOUNT_MASK &&
	       atomic_try_cmpxchg(&frame_of(m)->v, &x.v, x.v + BIT(FRAME_TCOUNT_SHIFT));
}

static inline int __must_check frame_get_type(mfn_t m, u16 owner, enum frame_type t, const cpumask_t *dirty)
{
	return likely(frame_get_type_again(m, owner, t)) ? 0 : frame_get_type_slow(m, owner, t, dirty);
}

/* As frame_get(). False: perhaps not possible; nothing was done. */
static inline bool __must_check frame_get_again(mfn_t m, u16 owner)
{
	frame_t x = frame_read(m);

	return frame_owner(x) == owner && frame_count(x) && frame_count(x) != FRAME_COUNT_MAX &&
	       atomic_try_cmpxchg(&frame_of(m)->v, &x.v, x.v + 1);
}

/* As frame_get_granted(), for a frame that has the type already. False: perhaps not; nothing was done. */
static inline bool __must_check frame_get_granted_again(mfn_t m, u16 owner, bool write, unsigned n)
{
	u64 same = (u64)owner << FRAME_OWNER_SHIFT | (write ? (u64)FRAME_WRITABLE << FRAME_TYPE_SHIFT : 0);
	u64 looked_at = FRAME_OWNER_MASK | FRAME_SHARED | (write ? FRAME_TYPE_MASK : 0);
	u64 counter = write ? FRAME_TCOUNT_MASK : FRAME_COUNT_MAX, more = write ? (u64)n << FRAME_TCOUNT_SHIFT : n;
	frame_t x = frame_read(m);

	return !((x.v ^ same) & looked_at) && frame_count(x) && (~x.v & counter) >= more &&
	       atomic_try_cmpxchg(&frame_of(m)->v, &x.v, x.v + more);
}

static inline void frame_put_granted(mfn_t m, bool write, unsigned n)
{
	u64 counter = write ? FRAME_TCOUNT_MASK : FRAME_COUNT_MAX, less = write ? (u64)n << FRAME_TCOUNT_SHIFT : n;
	frame_t x = { READ_ONCE(frame_of(m)->v) };

	/* Not the last ones. */
	if (unlikely((x.v & counter) <= less || !atomic_try_cmpxchg(&frame_of(m)->v, &x.v, x.v - less)))
		frame_put_granted_slow(m, write, n);
}

/* As frame_put_type(), for one of several references. False: perhaps the last one; nothing was done. */
static inline bool __must_check frame_put_type_again(mfn_t m)
{
	frame_t x = { READ_ONCE(frame_of(m)->v) };

	return likely(x.v & FRAME_TYPE_MASK && (x.v & FRAME_TCOUNT_MASK) > BIT(FRAME_TCOUNT_SHIFT) &&
		      atomic_try_cmpxchg(&frame_of(m)->v, &x.v, x.v - BIT(FRAME_TCOUNT_SHIFT)));
}

static inline bool __must_check frame_put_type(mfn_t m)
{
	return frame_put_type_again(m) || frame_put_type_slow(m);
}

#endif
