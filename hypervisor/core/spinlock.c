/* SPDX-License-Identifier: MIT */
/* Ticket locks and the check of their order. */
#include <core/panic.h>
#include <core/percpu.h>
#include <core/spinlock.h>
#include <x86/atomic.h>
#include <x86/cr.h>

#define MAX_HELD 12

/* How a lock is used: must never be both. */
#define USED_IRQS_ON	1	/* held with interrupts on */
#define USED_IN_IRQ	2	/* taken by an interrupt handler */

/* The locks this CPU holds, in the order taken; those from `base` on were taken by the interrupt handler that runs, if in_irq. */
struct held_locks { const struct spinlock *lock[MAX_HELD]; unsigned n, base; bool in_irq; };
static DEFINE_PER_CPU(struct held_locks, held_locks);
static bool busted;

void spinlock_init(struct spinlock *l, enum lock_level level, const char *name)
{
	*l = (struct spinlock)SPINLOCK_INIT((u16)level, name);
}

/*
 * A place counts before it is filled: an interrupt handler that comes between the two looks only at those above. The other way round, its
 * own lock would take the place.
 */
static __always_inline void note_held(struct spinlock *l, struct held_locks *h)
{
	unsigned n = h->n;

	if (unlikely(n == MAX_HELD))
		panic("more than %d locks held taking %s", MAX_HELD, l->name);
	WRITE_ONCE(h->n, n + 1);
	barrier();
	WRITE_ONCE(h->lock[n], l);
	l->cpu = (u16)(smp_processor_id() + 1);
}

/* It is not the one that was taken last. */
static void note_released_below(struct spinlock *l, struct held_locks *h)
{
	unsigned i = h->n;

	while (i && h->lock[i - 1] != l)
		i--;
	if (unlikely(!i))
		panic("lock %s released but not held", l->name);
	l->cpu = 0;
	for (; i < h->n; i++)
		h->lock[i - 1] = h->lock[i];
	h->n--;
}

static __always_inline u8 usage_of(const struct held_locks *h, bool irqs_on)
{
	return h->in_irq ? USED_IN_IRQ : irqs_on ? USED_IRQS_ON : 0;
}

static __always_inline void check_usage(struct spinlock *l, const struct held_locks *h, bool irqs_on)
{
	u8 usage = usage_of(h, irqs_on);

	/* Changed only once or twice in a lock's life; a lost update costs no more than a check. */
	if (unlikely(usage & ~READ_ONCE(l->usage)))
		WRITE_ONCE(l->usage, l->usage | usage);
	if (unlikely(READ_ONCE(l->usage) == (USED_IN_IRQ | USED_IRQS_ON)))
		panic("lock %s is taken by an interrupt handler, and elsewhere with interrupts on", l->name);
}

/* nested: a lock of the same level may be held. */
static __noinline void check_order(const struct spinlock *l, const struct held_locks *h, bool nested)
{
	for (unsigned i = h->base; i < h->n; i++) {
		if (unlikely(h->lock[i]->level >= l->level + nested))
			panic("lock order: %s (level %u) taken while %s (level %u) is held", l->name, l->level,
			      h->lock[i]->name, h->lock[i]->level);
		if (unlikely(l->usage & USED_IRQS_ON && h->lock[i]->usage & USED_IN_IRQ))
			panic("lock order: %s, held elsewhere with interrupts on, taken while %s of interrupt handlers is held",
			      l->name, h->lock[i]->name);
	}
}

u32 spinlocks_enter_irq(void)
{
	struct held_locks *h = &this_cpu(held_locks);
	u32 before = h->base << 1 | h->in_irq;

	h->base = h->n;
	h->in_irq = true;
	return before;
}

void spinlocks_leave_irq(u32 before)
{
	struct held_locks *h = &this_cpu(held_locks);

	h->base = before >> 1;
	h->in_irq = before & 1;
}

/* False: no longer worth waiting for. */
static __noinline bool wait_turn(const struct spinlock *l, u32 ticket)
{
	while (atomic_load(&l->owner) != ticket) {
		if (unlikely(busted))
			return false;
		cpu_relax();
	}
	return true;
}

/* Whatever there is to do. Returns flags, so that a caller who returns them has nothing to keep. */
static __noinline u64 take_slow(struct spinlock *l, bool nested, bool irqs_on, u64 flags)
{
	struct held_locks *h = &this_cpu(held_locks);
	u32 ticket;

	if (unlikely(busted))
		return flags;
	check_usage(l, h, irqs_on);
	if (h->n != h->base)
		check_order(l, h, nested);
	ticket = atomic_fetch_add(&l->next, 1);
	if (likely(atomic_load(&l->owner) == ticket) || wait_turn(l, ticket))
		note_held(l, h);
	return flags;
}

/* Is the order with the locks that are held plainly right? At most one is looked at. */
static __always_inline bool in_order(const struct spinlock *l, u8 used, const struct held_locks *h)
{
	unsigned n = h->n, others = n - h->base;
	const struct spinlock *top;

	if (likely(!others))
		return true;
	top = h->lock[n - 1];
	return others == 1 && top->level < l->level && !(used & USED_IRQS_ON && top->usage & USED_IN_IRQ);
}

/* It is free, known to be used in this way, and in order. Calls nothing. */
static __always_inline bool take_fast(struct spinlock *l, bool irqs_on)
{
	struct held_locks *h = &this_cpu(held_locks);
	u8 used = READ_ONCE(l->usage);
	u32 owner;

	if (unlikely(busted || usage_of(h, irqs_on) & ~used || used == (USED_IN_IRQ | USED_IRQS_ON) || !in_order(l, used, h)))
		return false;
	owner = atomic_load(&l->owner);
	if (unlikely(!atomic_try_cmpxchg(&l->next, &owner, owner + 1)))
		return false;
	note_held(l, h);
	return true;
}

void spin_lock(struct spinlock *l)
{
	bool irqs_on = local_irq_is_enabled();

	if (unlikely(!take_fast(l, irqs_on)))
		take_slow(l, false, irqs_on, 0);
}

void spin_lock_nested(struct spinlock *l) { take_slow(l, true, local_irq_is_enabled(), 0); }

bool spin_trylock(struct spinlock *l)
{
	u32 owner = atomic_load(&l->owner);
	u32 expected = owner;

	if (unlikely(busted))
		return true;
	if (!atomic_try_cmpxchg(&l->next, &expected, owner + 1))
		return false;
	note_held(l, &this_cpu(held_locks));
	return true;
}

static __noinline void give_slow(struct spinlock *l, u64 flags)
{
	if (likely(!busted)) {
		note_released_below(l, &this_cpu(held_locks));
		atomic_store(&l->owner, l->owner + 1);
	}
	local_irq_restore(flags);
}

/* flags: what to do with interrupts afterwards. */
static __always_inline void give(struct spinlock *l, u64 flags)
{
	struct held_locks *h = &this_cpu(held_locks);
	u32 n = h->n;

	if (unlikely(busted || !n || h->lock[n - 1] != l)) {
		give_slow(l, flags);
		return;
	}
	l->cpu = 0;
	WRITE_ONCE(h->n, n - 1);
	atomic_store(&l->owner, l->owner + 1);
	local_irq_restore(flags);
}

void spin_unlock(struct spinlock *l) { give(l, 0); }

u64 spin_lock_irqsave(struct spinlock *l)
{
	u64 flags = local_irq_save();

	return likely(take_fast(l, false)) ? flags : take_slow(l, false, false, flags);
}

void spin_unlock_irqrestore(struct spinlock *l, u64 flags) { give(l, flags); }

void spin_lock_irq(struct spinlock *l)
{
	local_irq_disable();
	if (unlikely(!take_fast(l, false)))
		take_slow(l, false, false, 0);
}

void spin_unlock_irq(struct spinlock *l) { give(l, RFLAGS_IF); }

bool spin_is_locked(const struct spinlock *l)
{
	return READ_ONCE(l->owner) != READ_ONCE(l->next);
}

void spinlocks_bust(void)
{
	busted = true;
}

void spinlocks_assert_none_held(void)
{
	const struct held_locks *h = &this_cpu(held_locks);

	if (unlikely(h->n && !busted))
		panic("lock %s still held on the way to a guest", h->lock[0]->name);
}
