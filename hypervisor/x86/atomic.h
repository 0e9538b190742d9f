/* SPDX-License-Identifier: MIT */
/* Atomic operations and single-instruction bit operations, thin names over the compiler's builtins. */
#ifndef X86_ATOMIC_H
#define X86_ATOMIC_H

#include <lib/types.h>

#define atomic_load(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define atomic_store(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define atomic_xchg(p, v)	__atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
/* All return the value before / after the operation, as the name says. */
#define atomic_fetch_add(p, v)	__atomic_fetch_add(p, v, __ATOMIC_SEQ_CST)
#define atomic_add_fetch(p, v)	__atomic_add_fetch(p, v, __ATOMIC_SEQ_CST)
#define atomic_sub_fetch(p, v)	__atomic_sub_fetch(p, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(p, v)	__atomic_fetch_or(p, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_and(p, v)	__atomic_fetch_and(p, v, __ATOMIC_SEQ_CST)

/* If *p equals old, store new. Returns the value found (== old on success). */
#define atomic_cmpxchg(p, old, new) ({								\
	__typeof__(*(p)) _old = (old);								\
	__atomic_compare_exchange_n(p, &_old, (new), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
	_old; })

/* If *p equals *oldp, store new and return true; else *oldp receives the value found. A variable of its own can stay in a register. */
#define atomic_try_cmpxchg(p, oldp, new) ({							\
	__typeof__(oldp) _oldp = (oldp);							\
	__typeof__(*_oldp) _old = *_oldp;							\
	bool _done = __atomic_compare_exchange_n(p, &_old, (new), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
	*_oldp = _old;										\
	_done; })

/* Locked bit operations on memory of any length; work on memory shared with a guest. */
static inline bool test_and_set_bit(u64 nr, volatile void *addr)
{
	bool old;

	__asm__ volatile("lock btsq %2, %1" : "=@ccc"(old), "+m"(*(volatile u64 *)addr) : "Jr"(nr) : "memory");
	return old;
}

static inline bool test_and_clear_bit(u64 nr, volatile void *addr)
{
	bool old;

	__asm__ volatile("lock btrq %2, %1" : "=@ccc"(old), "+m"(*(volatile u64 *)addr) : "Jr"(nr) : "memory");
	return old;
}

static inline void set_bit(u64 nr, volatile void *addr)
{
	__asm__ volatile("lock btsq %1, %0" : "+m"(*(volatile u64 *)addr) : "Jr"(nr) : "memory", "cc");
}

static inline void clear_bit(u64 nr, volatile void *addr)
{
	__asm__ volatile("lock btrq %1, %0" : "+m"(*(volatile u64 *)addr) : "Jr"(nr) : "memory", "cc");
}

static inline bool test_bit(u64 nr, const volatile void *addr)
{
	return ((const volatile u64 *)addr)[nr / 64] >> nr % 64 & 1;
}

#endif
