/* SPDX-License-Identifier: MIT */
/*
 * Soft-IRQs: work raised in interrupt context and done, on the same CPU with interrupts on and no lock held,
 * before the CPU returns to a guest or idles. SCHEDULE comes last because it may not return.
 */
#ifndef CORE_SOFTIRQ_H
#define CORE_SOFTIRQ_H

#include <lib/types.h>
#include <x86/regs.h>

enum softirq { SOFTIRQ_NMI, SOFTIRQ_TIMER, SOFTIRQ_RCU, SOFTIRQ_TASKLET, SOFTIRQ_SCHEDULE, SOFTIRQ_COUNT };

/* Boot, before the first softirq_raise(). */
void softirq_init(void);
/* Bring-up of another CPU, before something is raised there; info is zeroed. */
void softirq_init_cpu(unsigned cpu, struct cpu_info *info);
void softirq_register(enum softirq nr, void (*handler)(void));
/* Raise on the calling CPU. Any context. */
void softirq_raise(enum softirq nr);
/* Raise on a CPU and make it notice (IPI unless it is this one). Any context. */
void softirq_raise_cpu(unsigned cpu, enum softirq nr);
/*
 * The same in two steps, for who holds a lock that the CPU will want: raise it without making the CPU notice. True: smp_kick() it once the lock
 * is given up. Interrupts off in between.
 */
bool __must_check softirq_mark_cpu(unsigned cpu, enum softirq nr);
/* Anything raised on this CPU? Also the test by which long operations decide to yield. */
bool softirq_pending(void);
/* Run what is raised on this CPU. Interrupts on, no lock held. */
void softirq_run(void);
/* The same without SCHEDULE: for long loops at boot and inside hypercalls. */
void softirq_run_no_schedule(void);

/*
 * A tasklet runs fn(data) once per tasklet_schedule(), on the CPU that scheduled it, as a softirq.
 */
struct tasklet { struct tasklet *next; void (*fn)(void *); void *data; u32 scheduled; };
void tasklet_init(struct tasklet *t, void (*fn)(void *), void *data);
void tasklet_schedule(struct tasklet *t);

#endif
