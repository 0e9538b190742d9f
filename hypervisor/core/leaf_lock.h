/* SPDX-License-Identifier: MIT */
/*
 * A lock in 4 bytes, for one of very many objects: held for a few accesses to the object, in which nothing is called that takes a spin lock, waits, or
 * gives the CPU away. So it has no level and no check: it can be taken whatever is held, but not in interrupt handlers. Two of them
 * only in an order of their own. First come, first served, like spin locks. All zero is free.
 */
#ifndef CORE_LEAF_LOCK_H
#define CORE_LEAF_LOCK_H

#include <x86/atomic.h>
#include <x86/cr.h>

struct leaf_lock { u16 next, owner; };

static inline void leaf_lock(struct leaf_lock *l)
{
	u16 ticket = atomic_fetch_add(&l->next, (u16)1);

	while (unlikely(atomic_load(&l->owner) != ticket))
		cpu_relax();
}

static inline void leaf_unlock(struct leaf_lock *l)
{
	atomic_store(&l->owner, (u16)(l->owner + 1));
}

#endif
