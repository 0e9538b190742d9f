/* SPDX-License-Identifier: MIT */
/* Inter-processor interrupts and cross-CPU calls. */
#ifndef CORE_SMP_H
#define CORE_SMP_H

#include <core/cpumask.h>

/* Make the CPU run its pending soft-IRQs: an IPI, or nothing when it is this CPU. Any context. */
void smp_kick(unsigned cpu);
/*
 * Run fn(data) on each CPU of the set (including this one if a member), interrupts off there, and wait until
 * all have finished. Interrupts must be on, no lock of level >= LOCK_CALL held.
 */
void smp_call(const cpumask_t *mask, void (*fn)(void *), void *data);
/* Stop all other CPUs for good: panic, reboot. Does not wait long for one that does not answer. */
void smp_stop_others(void);
/* First thing an NMI handler does: when smp_stop_others() is why it came, this CPU stops here and does not return. */
void smp_nmi(void);
/* Boot: the IPI vectors. After irq_init(). */
void smp_init(void);

#endif
