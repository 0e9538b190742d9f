/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU variables. A variable defined with DEFINE_PER_CPU lives once in the image as the initial value; each CPU
 * has a copy made when it is brought up. The name is the plain C name: grep finds it.
 */
#ifndef CORE_PERCPU_H
#define CORE_PERCPU_H

#include <core/cpumask.h>
#include <x86/regs.h>

#define DEFINE_PER_CPU(type, name)	__section(".data.percpu") __typeof__(type) name
#define DECLARE_PER_CPU(type, name)	extern __typeof__(type) name

/* Offset of each CPU's copy from the initial one; 0 for a CPU never brought up. */
extern u64 percpu_offset[MAX_CPUS];

#define per_cpu(var, cpu)	(*(__typeof__(&(var)))((u64)&(var) + percpu_offset[cpu]))
#define this_cpu(var)		(*(__typeof__(&(var)))((u64)&(var) + cpu_info()->percpu_offset))

/* Bytes of one copy. */
size_t percpu_size(void);
/* Keep the initial values: first thing on the boot CPU, before any of them changes. */
void percpu_init_boot(void);
/* Give a CPU its copy, in memory of percpu_size() bytes that stays its own. */
void percpu_init_cpu(unsigned cpu, void *copy);

#endif
