/* SPDX-License-Identifier: MIT */
/* The trace ring: the last events of each CPU. */
#include <core/console.h>
#include <core/cpumask.h>
#include <core/time.h>
#include <core/trace.h>
#include <lib/errno.h>
#include <memory/heap.h>
#include <x86/cr.h>
#include <x86/msr.h>
#include <x86/regs.h>

/*
 * Each CPU writes only its own ring, with interrupts off, so there is no lock. A dump reads the rings of CPUs that go on writing: it turns recording
 * off first, and an event that was being written then may be garbled, which is worth the simplicity.
 */

struct entry { u64 tsc; u64 event, a, b; };

#define ENTRIES		(PAGE_SIZE * 4 / sizeof(struct entry))
#define RING_ORDER	2
#define DUMP_PER_CPU	64

struct trace_ring { struct entry *entries; u64 count; };

bool trace_on;
static struct trace_ring rings[MAX_CPUS];

static const char *const names[TRACE_EVENTS] = {
	[TRACE_SWITCH] = "switch", [TRACE_WAKE] = "wake", [TRACE_IRQ] = "irq", [TRACE_HYPERCALL] = "hypercall", [TRACE_TRAP] = "trap",
};

void trace_record(enum trace_event event, u64 a, u64 b)
{
	u64 flags = local_irq_save();
	struct trace_ring *r = &rings[smp_processor_id()];

	if (r->entries)
		r->entries[r->count++ % ENTRIES] = (struct entry){ rdtsc(), event, a, b };
	local_irq_restore(flags);
}

int trace_enable(bool on)
{
	trace_on = false;
	if (!on)
		return 0;
	for_each_online_cpu(cpu) {
		if (!rings[cpu].entries)
			rings[cpu].entries = alloc_pages(RING_ORDER);
		if (!rings[cpu].entries)
			return -ENOMEM;
		rings[cpu].count = 0;
	}
	trace_on = true;
	return 0;
}

/* The oldest event not printed yet, over all CPUs; its CPU, or MAX_CPUS. */
static unsigned oldest(const u64 *next)
{
	unsigned best = MAX_CPUS;
	u64 best_tsc = ~0UL;

	for_each_online_cpu(cpu)
		if (rings[cpu].entries && next[cpu] < rings[cpu].count && rings[cpu].entries[next[cpu] % ENTRIES].tsc < best_tsc) {
			best = cpu;
			best_tsc = rings[cpu].entries[next[cpu] % ENTRIES].tsc;
		}
	return best;
}

void trace_dump(void)
{
	static u64 next[MAX_CPUS];
	unsigned cpu;

	trace_on = false;
	for_each_online_cpu(c)
		next[c] = rings[c].count > DUMP_PER_CPU ? rings[c].count - DUMP_PER_CPU : 0;
	while ((cpu = oldest(next)) != MAX_CPUS) {
		const struct entry *e = &rings[cpu].entries[next[cpu]++ % ENTRIES];

		log_info("  %ld ns CPU%u %s %#lx %#lx\n", time_from_tsc(e->tsc), cpu, e->event < TRACE_EVENTS ? names[e->event] : "?", e->a, e->b);
	}
	trace_on = true;
}
