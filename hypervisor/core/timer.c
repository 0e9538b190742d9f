/* SPDX-License-Identifier: MIT */
/*
 * Timers: one queue per CPU, whose first entry is programmed into that CPU's APIC timer.
 *
 * A queue is changed under its lock from any CPU; its timer hardware only by its own CPU: whoever changes the first entry of
 * another CPU's queue raises SOFTIRQ_TIMER there. Functions run in that soft-IRQ without the lock. `running` names the timer whose
 * function is being executed, for timer_kill() to wait.
 *
 * timer.cpu changes only under the lock of the queue it names, so locking is: read it, lock, check that it has not changed.
 */
#include <core/apic.h>
#include <core/console.h>
#include <core/irq.h>
#include <core/panic.h>
#include <core/percpu.h>
#include <core/softirq.h>
#include <core/spinlock.h>
#include <core/timer.h>
#include <x86/atomic.h>
#include <x86/cr.h>

enum { TIMER_IDLE, TIMER_QUEUED, TIMER_MOVING /* between two queues, armed */, TIMER_KILLED };

#define NOT_PROGRAMMED	STIME_MAX

struct timer_queue {
	struct spinlock lock;
	struct pqueue timers;
	struct timer *running;
	s_time_t programmed;	/* what the hardware is set to; own CPU only */
};
static DEFINE_PER_CPU(struct timer_queue, timer_queue) = {
	.lock = SPINLOCK_INIT(LOCK_TIMER, "timer_queue"), .programmed = NOT_PROGRAMMED};

static struct timer_queue *lock_queue(struct timer *t, u64 *flags)
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);
		struct timer_queue *q = &per_cpu(timer_queue, cpu);

		*flags = spin_lock_irqsave(&q->lock);
		if (READ_ONCE(t->cpu) == cpu)
			return q;
		spin_unlock_irqrestore(&q->lock, *flags);
	}
}

/* Set the hardware to the first entry. Own queue, interrupts off. */
static void program(struct timer_queue *q)
{
	const struct pq_node *first = pq_first(&q->timers);
	s_time_t when = first ? first->key : NOT_PROGRAMMED;
	s_time_t now;

	if (when == q->programmed)
		return;
	q->programmed = when;
	if (!first) {
		apic_timer_stop();
		return;
	}
	now = time_now();
	if (when <= now)
		softirq_raise(SOFTIRQ_TIMER);
	else
		apic_timer_arm((u64)(when - now), apic_timer_is_deadline() ? time_to_tsc(when) : 0);
}

/* The first entry of the queue may have changed. Lock held. */
static void first_changed(struct timer_queue *q, unsigned cpu)
{
	if (cpu == smp_processor_id())
		program(q);
	else
		softirq_raise_cpu(cpu, SOFTIRQ_TIMER);
}

static void insert(struct timer_queue *q, struct timer *t)
{
	t->state = TIMER_QUEUED;
	if (pq_insert(&q->timers, &t->node))
		first_changed(q, t->cpu);
}

/* Take it off the queue if it is there. A hardware timer that then fires too early finds nothing to do. */
static void dequeue(struct timer_queue *q, struct timer *t)
{
	if (t->state == TIMER_QUEUED)
		pq_remove(&q->timers, &t->node);
	if (t->state != TIMER_KILLED)
		t->state = TIMER_IDLE;
}

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu)
{
	*t = (struct timer){ .fn = fn, .data = data, .cpu = (u16)cpu, .state = TIMER_IDLE };
}

void timer_set(struct timer *t, s_time_t expires)
{
	u64 flags;
	struct timer_queue *q = lock_queue(t, &flags);

	if (t->state != TIMER_KILLED && !(t->state == TIMER_QUEUED && pq_postpone(&t->node, expires))) {
		dequeue(q, t);
		t->node.key = expires;
		insert(q, t);
	}
	spin_unlock_irqrestore(&q->lock, flags);
}

bool timer_is_set(const struct timer *t)
{
	u8 state = READ_ONCE(t->state);

	return state == TIMER_QUEUED || state == TIMER_MOVING;
}

void timer_stop(struct timer *t)
{
	struct timer_queue *q;
	u64 flags;

	if (!timer_is_set(t))
		return;
	q = lock_queue(t, &flags);
	dequeue(q, t);
	spin_unlock_irqrestore(&q->lock, flags);
}

void timer_migrate(struct timer *t, unsigned cpu)
{
	u64 flags;
	struct timer_queue *q = lock_queue(t, &flags);
	bool armed = t->state == TIMER_QUEUED || t->state == TIMER_MOVING;

	if (t->cpu == cpu) {
		spin_unlock_irqrestore(&q->lock, flags);
		return;
	}
	dequeue(q, t);
	if (armed)
		t->state = TIMER_MOVING;
	WRITE_ONCE(t->cpu, (u16)cpu);
	spin_unlock_irqrestore(&q->lock, flags);
	if (!armed)
		return;
	/* Meanwhile it may have been set, stopped, killed or moved on by others; then nothing is left to do. */
	q = lock_queue(t, &flags);
	if (t->state == TIMER_MOVING)
		insert(q, t);
	spin_unlock_irqrestore(&q->lock, flags);
}

void timer_kill(struct timer *t)
{
	u64 flags;
	struct timer_queue *q = lock_queue(t, &flags);
	unsigned cpu = t->cpu;

	dequeue(q, t);
	t->state = TIMER_KILLED;
	spin_unlock_irqrestore(&q->lock, flags);
	/* It may be running on a CPU that it was moved away from. */
	for_each_online_cpu(c)
		while (atomic_load(&per_cpu(timer_queue, c).running) == t && c != smp_processor_id())
			cpu_relax();
	ASSERT(this_cpu(timer_queue).running != t || cpu != smp_processor_id());
}

/* SOFTIRQ_TIMER: run what is due, then set the hardware to what comes next. */
static void run_timers(void)
{
	struct timer_queue *q = &this_cpu(timer_queue);
	s_time_t now = time_now();
	struct pq_node *first;

	spin_lock_irq(&q->lock);
	while ((first = pq_first(&q->timers))) {
		struct timer *t = pq_entry(first, struct timer, node);
		void (*fn)(void *) = t->fn;
		void *data = t->data;

		if (first->key > now)
			break;
		dequeue(q, t);
		atomic_store(&q->running, t);
		spin_unlock_irq(&q->lock);
		fn(data);
		spin_lock_irq(&q->lock);
		atomic_store(&q->running, NULL);
	}
	q->programmed = 0;
	program(q);
	spin_unlock_irq(&q->lock);
}

static void timer_interrupt(struct cpu_user_regs *regs)
{
	softirq_raise(SOFTIRQ_TIMER);
}

void timers_init(void)
{
	irq_set_vector_handler(VECTOR_TIMER, timer_interrupt);
	softirq_register(SOFTIRQ_TIMER, run_timers);
}

void timer_dump(void)
{
	time_dump();
	for_each_online_cpu(cpu) {
		struct timer_queue *q = &per_cpu(timer_queue, cpu);
		u64 flags = spin_lock_irqsave(&q->lock);
		s_time_t now = time_now();

		log_info("CPU%u timers:\n", cpu);
		for (struct pq_node *n = pq_first(&q->timers); n; n = pq_walk(n)) {
			struct timer *t = pq_entry(n, struct timer, node);

			log_info("  in %8ld us: fn %p data %p\n", (n->key - now) / 1000, (void *)t->fn, t->data);
		}
		spin_unlock_irqrestore(&q->lock, flags);
	}
}
