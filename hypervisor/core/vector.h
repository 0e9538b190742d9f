/* SPDX-License-Identifier: MIT */
/* Interrupt vectors: which are taken on which CPU, and by which irq. */
#ifndef CORE_VECTOR_H
#define CORE_VECTOR_H

#include <core/cpumask.h>

#define VECTOR_NO_IRQ	(~0u)

/*
 * Take n consecutive vectors (a power of two up to 32, aligned to n, for multi-message MSI) on one CPU of the set, for irqs irq,
 * irq + 1, …. An empty intersection with the online CPUs is read as "all". Prefers the CPU with most vectors free, and there
 * *vector as it is on entry (0: no wish). 0 or -ENOSPC. Any context.
 */
int __must_check vector_alloc(const cpumask_t *mask, unsigned n, unsigned irq, unsigned *cpu, u8 *vector);
void vector_free(unsigned cpu, u8 vector, unsigned n);
/* The irq of a vector of the calling CPU, or VECTOR_NO_IRQ. */
unsigned vector_to_irq(u8 vector);
/* Vectors in use on a CPU. */
unsigned vector_count(unsigned cpu);

#endif
