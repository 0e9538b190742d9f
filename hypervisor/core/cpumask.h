/* SPDX-License-Identifier: MIT */
/* Sets of processors. A set is a plain value of MAX_CPUS bits. */
#ifndef CORE_CPUMASK_H
#define CORE_CPUMASK_H

#include <lib/types.h>
#include <x86/atomic.h>

#define MAX_CPUS	512

typedef struct { u64 bits[MAX_CPUS / 64]; } cpumask_t;

/* Processors that run the scheduler. Changed at bring-up and by CPU hotplug only. */
extern cpumask_t cpu_online;
/* Number of CPU ids handed out (online or not): ids are 0..nr_cpus-1. */
extern unsigned nr_cpus;

static inline bool cpumask_test(unsigned cpu, const cpumask_t *m) { return m->bits[cpu / 64] >> (cpu % 64) & 1; }
static inline void cpumask_set(unsigned cpu, cpumask_t *m) { m->bits[cpu / 64] |= 1UL << (cpu % 64); }
static inline void cpumask_clear(unsigned cpu, cpumask_t *m) { m->bits[cpu / 64] &= ~(1UL << (cpu % 64)); }
/* The atomic ones are for masks that several CPUs change. */
static inline void cpumask_set_atomic(unsigned cpu, cpumask_t *m) { set_bit(cpu % 64, &m->bits[cpu / 64]); }
static inline void cpumask_clear_atomic(unsigned cpu, cpumask_t *m) { clear_bit(cpu % 64, &m->bits[cpu / 64]); }

static inline bool cpumask_empty(const cpumask_t *m)
{
	u64 all = 0;

	#pragma GCC unroll 8
	for (unsigned i = 0; i < ARRAY_SIZE(m->bits); i++)
		all |= m->bits[i];
	return !all;
}

static inline void cpumask_zero(cpumask_t *m) { *m = (cpumask_t){ { 0 } }; }
static inline void cpumask_fill(cpumask_t *m) { __builtin_memset(m, 0xff, sizeof(*m)); }

static inline unsigned cpumask_weight(const cpumask_t *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(m->bits); i++)
		n += (unsigned)__builtin_popcountl(m->bits[i]);
	return n;
}

static inline void cpumask_and(cpumask_t *d, const cpumask_t *a, const cpumask_t *b)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->bits); i++)
		d->bits[i] = a->bits[i] & b->bits[i];
}

static inline void cpumask_or(cpumask_t *d, const cpumask_t *a, const cpumask_t *b)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->bits); i++)
		d->bits[i] = a->bits[i] | b->bits[i];
}

/* Lowest CPU >= from in the set, or MAX_CPUS. */
static inline unsigned cpumask_next(unsigned from, const cpumask_t *m)
{
	for (unsigned i = from / 64; i < ARRAY_SIZE(m->bits); i++) {
		u64 w = m->bits[i];

		if (i == from / 64)
			w &= ~0UL << (from % 64);
		if (w)
			return i * 64 + (unsigned)__builtin_ctzl(w);
	}
	return MAX_CPUS;
}

#define cpumask_first(m)	cpumask_next(0, m)
#define for_each_cpu(cpu, m) \
	for (unsigned cpu = cpumask_first(m); cpu < MAX_CPUS; cpu = cpumask_next(cpu + 1, m))
#define for_each_online_cpu(cpu)	for_each_cpu(cpu, &cpu_online)

#endif
