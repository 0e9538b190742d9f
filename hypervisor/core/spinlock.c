/* SPDX-License-Identifier: MIT */
/*
 * Ticket locks and the check of their order.
 *
 * What a CPU holds is a chain through the locks themselves, from the one taken last. Each says how great the levels get from it downwards, so
 * that one comparison checks the order, however many are held; where it fails, the whole chain is looked at. An interrupt handler begins a chain of its own.
 */
#include <core/panic.h>
#include <core/percpu.h>
#include <core/spinlock.h>
#include <x86/atomic.h>
#include <x86/cr.h>

/* How a lock is used: must never be both. */
#define USED_IRQS_ON	1	/* held with interrupts on */
#define USED_IN_IRQ	2	/* taken by an interrupt handler */

/* Ends every chain, below all levels. */
static struct spinlock nothing = { .name = "nothing" };
static DEFINE_PER_CPU(struct held_locks, held_locks) = { .top = &nothing, .strict = USED_IRQS_ON };
static bool busted;

void spinlock_init(struct spinlock *l, enum lock_level level, const char *name)
{
	*l = (struct spinlock)SPINLOCK_INIT((u16)level, name);
}

/* An interrupt handler may come at any moment; it leaves the chain as it finds it. */
static __always_inline void note_held(struct spinlock *l, struct held_locks *h, struct spinlock *top, u16 reached)
{
	l->below = top;
	l->reached = reached;
	barrier();
	h->top = l;
}

/* It is not the one that was taken last. What those above have reached stays: too much only means that the next one is taken the slow way. */
static void note_released_below(const struct spinlock *l, const struct held_locks *h)
{
	struct spinlock *above = h->top;

	while (above != &nothing && above->below != l)
		above = above->below;
	if (unlikely(above == &nothing))
		panic("lock %s released but not held", l->name);
	above->below = l->below;
}

static __always_inline u8 usage_of(const struct held_locks *h, bool irqs_on)
{
	return h->usage | (irqs_on && !h->usage ? USED_IRQS_ON : 0);
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
	for (const struct spinlock *held = h->top; held != &nothing; held = held->below) {
		if (unlikely(held->level >= l->level + nested))
			panic("lock order: %s (level %u) taken while %s (level %u) is held", l->name, l->level, held->name, held->level);
		if (unlikely(l->usage & USED_IRQS_ON && held->usage & USED_IN_IRQ))
			panic("lock order: %s, held elsewhere with interrupts on, taken while %s of interrupt handlers is held", l->name, held->name);
	}
}

struct held_locks spinlocks_enter_irq(void)
{
	struct held_locks *h = &this_cpu(held_locks), before = *h;

	*h = (struct held_locks){ .top = &nothing, .usage = USED_IN_IRQ, .strict = USED_IN_IRQ | USED_IRQS_ON };
	return before;
}

void spinlocks_leave_irq(struct held_locks before)
{
	this_cpu(held_locks) = before;
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
	check_order(l, h, nested);
	ticket = atomic_fetch_add(&l->next, 1);
	if (likely(atomic_load(&l->owner) == ticket) || wait_turn(l, ticket))
		note_held(l, h, h->top, max(l->level, h->top->reached));
	return flags;
}

/* Is it known to be used in this way, and not one that those who are held forbid? Of these only one is looked at. */
static __always_inline bool usage_ok(const struct spinlock *l, const struct held_locks *h, bool irqs_on)
{
	u8 used = READ_ONCE(l->usage);

	if (!irqs_on && likely(!((used ^ USED_IN_IRQ) & h->strict)))
		return true;
	if (usage_of(h, irqs_on) & ~used)
		return false;
	return !(used & USED_IRQS_ON) || h->top == &nothing || (h->top->below == &nothing && !(h->top->usage & USED_IN_IRQ));
}

/* It is free, and plainly in order. Calls nothing. */
static __always_inline bool take_fast(struct spinlock *l, bool irqs_on)
{
	struct held_locks *h = &this_cpu(held_locks);
	struct spinlock *top = h->top;
	u32 owner;

	if (unlikely(top->reached >= l->level || !usage_ok(l, h, irqs_on)))
		return false;
	owner = atomic_load(&l->owner);
	if (unlikely(!atomic_try_cmpxchg(&l->next, &owner, owner + 1)))
		return false;
	note_held(l, h, top, l->level);
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
	struct held_locks *h = &this_cpu(held_locks);
	u32 owner = atomic_load(&l->owner);

	if (unlikely(busted))
		return true;
	if (!atomic_try_cmpxchg(&l->next, &owner, owner + 1))
		return false;
	note_held(l, h, h->top, max(l->level, h->top->reached));
	return true;
}

/* The next one's turn. Nobody else writes it, so that it need not be one access. */
static __always_inline void pass_on(struct spinlock *l)
{
	barrier();
	l->owner++;
	barrier();
}

static __noinline void give_slow(struct spinlock *l, u64 flags)
{
	if (likely(!busted)) {
		note_released_below(l, &this_cpu(held_locks));
		pass_on(l);
	}
	local_irq_restore(flags);
}

/* flags: what to do with interrupts afterwards. */
static __always_inline void give(struct spinlock *l, u64 flags)
{
	struct held_locks *h = &this_cpu(held_locks);

	if (unlikely(h->top != l)) {
		give_slow(l, flags);
		return;
	}
	h->top = l->below;
	pass_on(l);
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
	const struct spinlock *top = this_cpu(held_locks).top;

	if (unlikely(top != &nothing && !busted))
		panic("lock %s still held on the way to a guest", top->name);
}
