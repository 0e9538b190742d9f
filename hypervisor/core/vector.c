/* SPDX-License-Identifier: MIT */
/* Allocation of interrupt vectors, per CPU. */
#include <core/apic.h>
#include <core/irq.h>
#include <core/percpu.h>
#include <core/spinlock.h>
#include <core/vector.h>
#include <lib/bitmap.h>
#include <lib/errno.h>

#define VECTOR_INT80	0x80	/* a gate that guests may use by themselves */

/* irq + 1 of each vector, 0: free. Written under vector_lock, read by the CPU itself. */
static DEFINE_PER_CPU(u32[256], vector_irq);
static DEFINE_PER_CPU(u32, vectors_used);
static DEFINE_SPINLOCK(vector_lock, LOCK_VECTOR);

static bool range_free(unsigned cpu, unsigned first, unsigned n)
{
	for (unsigned v = first; v < first + n; v++)
		if (v == VECTOR_INT80 || per_cpu(vector_irq, cpu)[v])
			return false;
	return true;
}

static unsigned find_range(unsigned cpu, unsigned n)
{
	for (unsigned v = ALIGN_UP((unsigned)VECTOR_FIRST_DEVICE, n); v + n - 1 <= VECTOR_LAST_DEVICE; v += n)
		if (range_free(cpu, v, n))
			return v;
	return 0;
}

/* A message-signalled or IO-APIC interrupt reaches only 8-bit APIC ids (no interrupt remapping). */
static bool cpu_usable(unsigned cpu)
{
	return cpumask_test(cpu, &cpu_online) && cpu_apic_id[cpu] < 0xff;
}

/* The usable CPU of the set with the fewest vectors in use that has room; MAX_CPUS when there is none. */
static unsigned choose_cpu(const cpumask_t *mask, unsigned n)
{
	unsigned best = MAX_CPUS;

	for_each_cpu(cpu, mask) {
		if (!cpu_usable(cpu) || (best != MAX_CPUS && per_cpu(vectors_used, cpu) >= per_cpu(vectors_used, best)))
			continue;
		if (find_range(cpu, n))
			best = cpu;
	}
	return best;
}

int vector_alloc(const cpumask_t *mask, unsigned n, unsigned irq, unsigned *cpu, u8 *vector)
{
	u64 flags = spin_lock_irqsave(&vector_lock);
	unsigned c = choose_cpu(mask, n), v;

	if (c == MAX_CPUS)
		c = choose_cpu(&cpu_online, n);
	if (c == MAX_CPUS) {
		spin_unlock_irqrestore(&vector_lock, flags);
		return -ENOSPC;
	}
	v = *vector && IS_ALIGNED(*vector, n) && range_free(c, *vector, n) ? *vector : find_range(c, n);
	for (unsigned i = 0; i < n; i++)
		per_cpu(vector_irq, c)[v + i] = irq + i + 1;
	per_cpu(vectors_used, c) += n;
	spin_unlock_irqrestore(&vector_lock, flags);
	*cpu = c;
	*vector = (u8)v;
	return 0;
}

void vector_free(unsigned cpu, u8 vector, unsigned n)
{
	u64 flags = spin_lock_irqsave(&vector_lock);

	for (unsigned i = 0; i < n; i++)
		per_cpu(vector_irq, cpu)[vector + i] = 0;
	per_cpu(vectors_used, cpu) -= n;
	spin_unlock_irqrestore(&vector_lock, flags);
}

unsigned vector_to_irq(u8 vector)
{
	return READ_ONCE(this_cpu(vector_irq)[vector]) - 1;
}

unsigned vector_count(unsigned cpu)
{
	return per_cpu(vectors_used, cpu);
}
