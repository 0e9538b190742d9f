/* SPDX-License-Identifier: MIT */
/*
 * Spin locks with a checked order.
 *
 * Every lock has a level. A CPU may take a lock only when its level is greater than that of every lock it
 * holds already (spin_trylock is exempt, as it cannot deadlock). The order is checked in every build; a violation is a
 * panic that names both locks.
 *
 * An interrupt handler does not know what the interrupted code holds, so its locks are compared only among themselves. In return,
 * a lock ever taken in an interrupt handler must always be taken with interrupts off (the _irq variants), and while one is held, no
 * lock may be taken that others hold with interrupts on. This is checked as well.
 */
#ifndef CORE_SPINLOCK_H
#define CORE_SPINLOCK_H

#include <lib/types.h>

/* Lock levels, outermost first. Keep sparse; same-level locks nest only by spin_lock_nested(). */
enum lock_level {
	LOCK_DOMCTL = 10,	/* the tools' administrative operations */
	LOCK_DOMAIN = 20,	/* struct domain: life cycle, vCPU creation */
	LOCK_PT = 30,		/* pv: a domain's page-table type transitions */
	LOCK_PCI = 35,
	LOCK_GRANT = 40,	/* a grant table's size and version */
	LOCK_MAPTRACK = 43,
	LOCK_MSI = 45,
	LOCK_EVTCHN = 50,	/* a domain's event channel table (port allocation); irq-safe */
	LOCK_VIRQ = 51,		/* who gets the global VIRQs; irq-safe */
	LOCK_EVTCHN_PORT = 52,	/* one port; irq-safe */
	LOCK_EVTCHN_FIFO = 53,	/* a vCPU's event queues; irq-safe */
	LOCK_PIRQ = 56,		/* a domain's pirq table; irq-safe */
	LOCK_RANGESET = 60,	/* iomem, ioport, irq permissions */
	LOCK_PAGE_ALLOC = 70,	/* a domain's page accounting */
	LOCK_IOMAP = 75,
	LOCK_HEAP = 80,
	LOCK_IRQ = 90,		/* one irq_desc; irq-safe */
	LOCK_VECTOR = 91,	/* vector allocation; irq-safe */
	LOCK_IOAPIC = 92,	/* irq-safe */
	LOCK_PCI_CONF = 95,	/* the configuration ports; irq-safe */
	LOCK_SCHED = 100,	/* one CPU's run queue; irq-safe */
	LOCK_SCHED_PEER = 101,
	LOCK_SCHED_CAP = 105,	/* a domain's budget; irq-safe */
	LOCK_TIMER = 110,	/* one CPU's timer queue; irq-safe */
	LOCK_TIME = 115,
	LOCK_SMALL = 120,	/* xmalloc; never held across a call out */
	LOCK_CALL = 130,	/* cross-CPU function calls */
	LOCK_CONSOLE = 140,	/* innermost of all: anyone may print; irq-safe */
};

struct spinlock {
	u32 next, owner;	/* ticket lock */
	u16 level;
	u16 reached;		/* while held: the greatest level of it and those below, or more */
	u8 usage;		/* how it has been taken so far; the checks' own */
	const char *name;
	struct spinlock *below;	/* while held: what its holder took before it */
};

/* The locks that a CPU holds. */
struct held_locks {
	struct spinlock *top;	/* the one taken last; at the end of the chain is one that is nobody's */
	u8 usage;			/* the checks' own: that of what is taken now, if it is by an interrupt handler; … */
	u8 strict;			/* … and where a lock's usage must be as that of handlers' locks for nothing more to be asked */
};

#define SPINLOCK_INIT(lvl, nm)	{ .level = (lvl), .name = (nm) }
#define DEFINE_SPINLOCK(var, lvl)	struct spinlock var = SPINLOCK_INIT(lvl, #var)

void spinlock_init(struct spinlock *l, enum lock_level level, const char *name);
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
bool __must_check spin_trylock(struct spinlock *l);
/* As spin_lock(), but locks of the same level may be held: for pairs with an order of their own, such as that of their addresses. */
void spin_lock_nested(struct spinlock *l);
/* Disable interrupts, then lock; returns the flags for spin_unlock_irqrestore(). */
u64 __must_check spin_lock_irqsave(struct spinlock *l);
void spin_unlock_irqrestore(struct spinlock *l, u64 flags);
void spin_lock_irq(struct spinlock *l);
void spin_unlock_irq(struct spinlock *l);
bool spin_is_locked(const struct spinlock *l);
/* Around an interrupt handler, interrupts off: returns what leave_irq wants. */
struct held_locks spinlocks_enter_irq(void);
void spinlocks_leave_irq(struct held_locks before);
/* Stop checking the order and ignore contention: for the panic path only. */
void spinlocks_bust(void);
/* Panic when the calling CPU holds any lock: called before returning to a guest in debug builds. */
void spinlocks_assert_none_held(void);

#endif
