/* SPDX-License-Identifier: MIT */
/* The TLB epoch clock and flushes on sets of CPUs. */

/*
 * clock = epoch << 1 | read. Reading the epoch for a frame sets `read`; a flush that finds it set advances the epoch and
 * clears it. So the clock is written once per pair of (something unmapped, something flushed) and not on every CR3 load.
 *
 * Why a later CPU epoch proves a flush: the frame's epoch e is read after the last mapping was removed (a locked
 * instruction). A CPU's epoch t is read before its flush. If t > e, the clock advanced after e was read, hence t was read,
 * and the flush done, after the mapping was gone.
 *
 * A frame keeps only 16 bits of e. CPUs that lag EPOCH_LAG_MAX or more are always taken to need a flush; for the others
 * the difference t - e of the low halves is ambiguous only when e is so old that saying "needs a flush" is merely
 * wasteful.
 */

#include <core/percpu.h>
#include <core/smp.h>
#include <memory/tlbflush.h>
#include <x86/cr.h>
#include <x86/tlb.h>

#define EPOCH_LAG_MAX	0x4000

u64 tlb_clock = 1 << 1;
DEFINE_PER_CPU(u64, tlb_flushed);

u16 tlb_epoch(void)
{
	u64 c = READ_ONCE(tlb_clock);

	if (!(c & 1))
		c = atomic_fetch_or(&tlb_clock, 1);
	return (u16)(c >> 1);
}

void tlb_filter(cpumask_t *mask, u16 epoch)
{
	u64 now = READ_ONCE(tlb_clock) >> 1;

	for_each_cpu(cpu, mask) {
		u64 t = READ_ONCE(per_cpu(tlb_flushed, cpu));

		if (now - t < EPOCH_LAG_MAX && (s16)((u16)t - epoch) > 0)
			cpumask_clear(cpu, mask);
	}
}

void tlb_flush_local(void)
{
	u64 flags = local_irq_save();

	tlb_write_cr3(read_cr3());
	local_irq_restore(flags);
}

void tlb_flush_page_local(u64 va)
{
	/* INVLPG of a non-canonical address does nothing, as wanted. */
	invlpg(va);
}

static void flush_here(void *unused)
{
	tlb_flush_local();
}

static void flush_page_here(void *va)
{
	tlb_flush_page_local((u64)va);
}

/* Run fn on the online CPUs of the set but this one. */
static __noinline void call_others(const cpumask_t *mask, void (*fn)(void *), void *data)
{
	cpumask_t m;

	cpumask_and(&m, mask, &cpu_online);
	cpumask_clear(smp_processor_id(), &m);
	smp_call(&m, fn, data);
}

/* Run fn on the online CPUs of the set; only a set with others in it costs an IPI. */
static __always_inline void flush_mask(const cpumask_t *mask, void (*fn)(void *), void *data)
{
	unsigned self = smp_processor_id();
	u64 others = mask->bits[self / 64] & cpu_online.bits[self / 64] & ~BIT(self % 64);

	for (unsigned i = 0; i < DIV_ROUND_UP(nr_cpus, 64); i++)
		if (i != self / 64)
			others |= mask->bits[i] & cpu_online.bits[i];
	if (cpumask_test(self, mask))
		fn(data);
	if (unlikely(others))
		call_others(mask, fn, data);
}

void tlb_flush_mask(const cpumask_t *mask)
{
	flush_mask(mask, flush_here, NULL);
}

void tlb_flush_page_mask(const cpumask_t *mask, u64 va)
{
	flush_mask(mask, flush_page_here, (void *)va);
}

void tlb_flush_since(const cpumask_t *mask, u16 epoch)
{
	cpumask_t m = *mask;

	tlb_filter(&m, epoch);
	if (!cpumask_empty(&m))
		tlb_flush_mask(&m);
}
