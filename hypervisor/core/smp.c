/* SPDX-License-Identifier: MIT */
/*
 * Inter-processor interrupts and cross-CPU calls.
 *
 * There is one cross-CPU call at a time, under call_lock. A CPU that waits for the lock, or for others to finish, has interrupts on
 * and so keeps answering other CPUs' calls: two callers cannot block each other.
 */
#include <core/apic.h>
#include <core/irq.h>
#include <core/nmi_watchdog.h>
#include <core/panic.h>
#include <core/smp.h>
#include <core/spinlock.h>
#include <core/time.h>
#include <x86/cr.h>

#define STOP_WAIT_US	20000

static DEFINE_SPINLOCK(call_lock, LOCK_CALL);
static struct {
	void (*fn)(void *);
	void *data;
	cpumask_t todo;		/* CPUs that have not finished */
	u32 left;
} call;

static u32 stopper;		/* CPU + 1 that stops the others; 0: none */
static cpumask_t stopped;

void smp_kick(unsigned cpu)
{
	if (cpu != smp_processor_id())
		apic_send_ipi(cpu, VECTOR_KICK);
}

static void handle_kick(struct cpu_user_regs *regs)
{
	/* The way out of every interrupt looks at pending soft-IRQs and events; being interrupted is all that is needed. */
}

static void stop_this_cpu(void)
{
	local_irq_disable();
	cpumask_set_atomic(smp_processor_id(), &stopped);
	apic_disable_cpu();
	for (;;)
		cpu_halt();
}

static void handle_call(struct cpu_user_regs *regs)
{
	unsigned cpu = smp_processor_id();

	if (READ_ONCE(stopper))
		stop_this_cpu();
	/* A late interrupt of a call that was finished already does nothing. */
	if (!test_and_clear_bit(cpu % 64, &call.todo.bits[cpu / 64]))
		return;
	call.fn(call.data);
	atomic_sub_fetch(&call.left, 1);
}

void smp_call(const cpumask_t *mask, void (*fn)(void *), void *data)
{
	unsigned self = smp_processor_id();
	bool here = cpumask_test(self, mask);
	cpumask_t others;
	u64 flags;

	ASSERT(local_irq_is_enabled());
	cpumask_and(&others, mask, &cpu_online);
	cpumask_clear(self, &others);
	if (!cpumask_empty(&others)) {
		spin_lock(&call_lock);
		call.fn = fn;
		call.data = data;
		atomic_store(&call.left, cpumask_weight(&others));
		barrier();
		call.todo = others;
		apic_send_ipi_mask(&others, VECTOR_CALL);
		while (atomic_load(&call.left))
			cpu_relax();
		spin_unlock(&call_lock);
	}
	if (!here)
		return;
	flags = local_irq_save();
	fn(data);
	local_irq_restore(flags);
}

static bool all_stopped(const cpumask_t *others)
{
	for_each_cpu(cpu, others)
		if (!cpumask_test(cpu, &stopped))
			return false;
	return true;
}

static void wait_stopped(const cpumask_t *others)
{
	for (unsigned us = 0; us < STOP_WAIT_US && !all_stopped(others); us += 10)
		time_udelay(10);
}

void smp_stop_others(void)
{
	cpumask_t others = cpu_online;

	nmi_watchdog_suspend();
	/* When two want to, the second is stopped by the first. */
	if (atomic_cmpxchg(&stopper, 0, smp_processor_id() + 1))
		return;
	cpumask_clear(smp_processor_id(), &others);
	if (cpumask_empty(&others))
		return;
	apic_send_ipi_mask(&others, VECTOR_CALL);
	wait_stopped(&others);
	for_each_cpu(cpu, &others)
		if (!cpumask_test(cpu, &stopped))
			apic_send_nmi(cpu);
	wait_stopped(&others);
}

void smp_nmi(void)
{
	u32 by = READ_ONCE(stopper);

	if (by && by != smp_processor_id() + 1)
		stop_this_cpu();
}

void smp_init(void)
{
	irq_set_vector_handler(VECTOR_KICK, handle_kick);
	irq_set_vector_handler(VECTOR_CALL, handle_call);
}
