/* SPDX-License-Identifier: MIT */
/*
 * One-shot timers in system time. A timer belongs to one CPU; its function runs there as a soft-IRQ, interrupts on, no lock held.
 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include <core/time.h>
#include <lib/pqueue.h>

struct timer {
	struct pq_node node;	/* key: when it expires, valid while it is set */
	void (*fn)(void *);
	void *data;
	u16 cpu;		/* whose queue it belongs to */
	u8 state;		/* private */
};

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu);
/* (Re)arm for an absolute time; the past means at once. Any context. Does nothing once killed. */
void timer_set(struct timer *t, s_time_t expires);
/* Disarm. The function may still be running elsewhere. Any context. */
void timer_stop(struct timer *t);
bool timer_is_set(const struct timer *t);
/* When, if it is set: to be asked by who alone sets it. */
static inline s_time_t timer_expires(const struct timer *t) { return t->node.key; }
/* Move to another CPU, armed or not. */
void timer_migrate(struct timer *t, unsigned cpu);
/* Disarm for good and wait until the function is not running. Not from the function itself, no lock of level >= LOCK_SCHED held. */
void timer_kill(struct timer *t);

/* Boot: the interrupt and soft-IRQ (called by time_init()). */
void timers_init(void);
/* Print all timers: debug key 't'. */
void timer_dump(void);

#endif
