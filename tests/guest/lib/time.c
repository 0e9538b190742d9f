/* SPDX-License-Identifier: MIT */
/* System time as the ABI defines it (struct vcpu_time_info in <xen/xen.h>). */
#include "lib/time.h"
#include "lib/cpu.h"
#include "lib/hypercall.h"

#include <xen/sched.h>

u64 now_from(const struct vcpu_time_info *t)
{
	u64 delta, base;
	u32 version, mul;
	int shift;

	do {
		version = READ_ONCE(t->version);
		barrier();
		delta = rdtsc() - t->tsc_timestamp;
		base = t->system_time;
		mul = t->tsc_to_system_mul;
		shift = t->tsc_shift;
		barrier();
	} while ((version & 1) || version != READ_ONCE(t->version));
	delta = shift >= 0 ? delta << shift : delta >> -shift;
	return base + (u64)(((unsigned __int128)delta * mul) >> 32);
}

u64 now(void)
{
	return now_from(&this_cpu()->info->time);
}

void pause_for(u64 ns)
{
	u64 end = now() + ns;

	while (now() < end)
		cpu_relax();
}

long block_until(u64 ns)
{
	struct sched_poll poll = { .nr_ports = 0, .timeout = ns };

	return HCALL(sched_op, SCHEDOP_poll, &poll);
}
