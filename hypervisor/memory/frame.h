/* SPDX-License-Identifier: MIT */
/*
 * The frame table: who owns each machine frame, how often it is referenced, and what type it has.
 *
 * One u64 per frame holds everything, so that every state change is one compare-and-exchange:
 *
 *   bits  0..24  count   general references. One of them belongs to FRAME_ALLOCATED while it is set, and one to
 *                        all type references together while tcount > 0.
 *   bits 25..41  tcount  type references; while it is 0 and the frame is owned, the low 16 bits hold
 *                        the TLB epoch at which the frame last lost a type (see memory/tlbflush.h)
 *   bits 42..44  type    enum frame_type
 *   bit  45      valid   the type's contents have been checked (page tables, descriptor tables)
 *   bit  46      pinned  the guest holds a type reference by MMUEXT_PIN_*
 *   bit  47      allocated  the owner has not given the frame up
 *   bit  48      shared  hypervisor memory shown to the owner (shared_info, grant table …): never freed by put_frame
 *   bits 49..63  owner   domain id, or DOMID_XEN / DOMID_IO / DOMID_INVALID (free)
 *
 * A frame that is not RAM reads as 0. A free frame has owner DOMID_INVALID, count 0, and its buddy order and
 * TLB epoch in the low bits (memory/heap.c).
 */
#ifndef MEMORY_FRAME_H
#define MEMORY_FRAME_H

#include <lib/types.h>
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
#define FRAME_TYPE_SHIFT	42
#define FRAME_TYPE_MASK		(7UL << FRAME_TYPE_SHIFT)
#define FRAME_VALID		BIT(45)
#define FRAME_PINNED		BIT(46)
#define FRAME_ALLOCATED		BIT(47)
#define FRAME_SHARED		BIT(48)
#define FRAME_OWNER_SHIFT	49

/* First frame number past the table. */
extern u64 frame_table_end;

static inline frame_t *frame_of(mfn_t m) { return (frame_t *)FRAMETABLE_START + m.v; }
static inline bool mfn_valid(mfn_t m) { return m.v < frame_table_end && frame_of(m)->v != 0; }

static inline u64 frame_count(frame_t f) { return f.v & FRAME_COUNT_MAX; }
static inline u64 frame_tcount(frame_t f) { return f.v >> FRAME_TCOUNT_SHIFT & FRAME_TCOUNT_MAX; }
static inline enum frame_type frame_type(frame_t f) { return (enum frame_type)(f.v >> FRAME_TYPE_SHIFT & 7); }
static inline u16 frame_owner(frame_t f) { return (u16)(f.v >> FRAME_OWNER_SHIFT); }
/* One consistent look at a frame's word. */
static inline frame_t frame_read(mfn_t m) { return (frame_t){ READ_ONCE(frame_of(m)->v) }; }

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
void frame_put_writable(mfn_t m);
/*
 * The owner gives the frame up: clears FRAME_ALLOCATED and drops its reference. False when it was clear already
 * (two callers race, or a guest frees twice). The caller holds a reference of its own.
 */
bool frame_release(mfn_t m);

#endif
