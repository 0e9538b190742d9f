/* SPDX-License-Identifier: MIT */
/* Soft-IRQs and tasklets. */
#include <core/panic.h>
#include <core/percpu.h>
#include <core/smp.h>
#include <core/softirq.h>
#include <x86/atomic.h>
#include <x86/cr.h>

/* Where each CPU's are. Bits may be set by other CPUs, so every change is a locked operation. */
static struct cpu_info *infos[MAX_CPUS];
static void (*handlers[SOFTIRQ_COUNT])(void);

/* Tasklets scheduled on this CPU, newest first. Touched with interrupts off only. */
static DEFINE_PER_CPU(struct tasklet *, tasklets);

void softirq_register(enum softirq nr, void (*handler)(void))
{
	handlers[nr] = handler;
}

void softirq_raise(enum softirq nr)
{
	atomic_fetch_or(&cpu_info()->softirqs, 1u << nr);
}

bool softirq_mark_cpu(unsigned cpu, enum softirq nr)
{
	u32 bit = 1u << nr;

	return !(atomic_fetch_or(&infos[cpu]->softirqs, bit) & bit) && cpu != smp_processor_id();
}

void softirq_raise_cpu(unsigned cpu, enum softirq nr)
{
	if (softirq_mark_cpu(cpu, nr))
		smp_kick(cpu);
}

bool softirq_pending(void)
{
	return READ_ONCE(cpu_info()->softirqs) != 0;
}

static void run(u32 allowed)
{
	u32 *p = &cpu_info()->softirqs;
	u32 work;

	while ((work = READ_ONCE(*p) & allowed)) {
		unsigned nr = (unsigned)__builtin_ctz(work);

		atomic_fetch_and(p, ~(1u << nr));
		if (handlers[nr])
			handlers[nr]();
	}
}

void softirq_run(void)
{
	run(~0u);
}

void softirq_run_no_schedule(void)
{
	run(~(1u << SOFTIRQ_SCHEDULE));
}

void tasklet_init(struct tasklet *t, void (*fn)(void *), void *data)
{
	*t = (struct tasklet){ .fn = fn, .data = data };
}

void tasklet_schedule(struct tasklet *t)
{
	u64 flags;

	if (atomic_xchg(&t->scheduled, 1))
		return;
	flags = local_irq_save();
	t->next = this_cpu(tasklets);
	this_cpu(tasklets) = t;
	softirq_raise(SOFTIRQ_TASKLET);
	local_irq_restore(flags);
}

static void run_tasklets(void)
{
	struct tasklet *list = NULL, *t;
	u64 flags = local_irq_save();

	/* Oldest first. */
	while ((t = this_cpu(tasklets))) {
		this_cpu(tasklets) = t->next;
		t->next = list;
		list = t;
	}
	local_irq_restore(flags);
	while ((t = list)) {
		list = t->next;
		/* From here on it may be scheduled again, also by its own function. */
		atomic_store(&t->scheduled, 0);
		t->fn(t->data);
	}
}

void softirq_init_cpu(unsigned cpu, struct cpu_info *info)
{
	infos[cpu] = info;
}

void softirq_init(void)
{
	softirq_init_cpu(smp_processor_id(), cpu_info());
	softirq_register(SOFTIRQ_TASKLET, run_tasklets);
}
