/* SPDX-License-Identifier: MIT */
/* Debug keys that look at all CPUs or stop all guests: registers, and the audit of page references. */
#include <core/console.h>
#include <core/smp.h>
#include <debug/backtrace.h>
#include <debug/dump.h>
#include <domain/domain.h>
#include <lib/bitmap.h>
#include <pv/pv.h>
#include <sched/sched.h>

static void dump_this_cpu(void *unused)
{
	log_info("CPU%u:\n", smp_processor_id());
	backtrace_guest();
	if (!is_idle_vcpu(current))
		backtrace_regs(guest_regs());
	backtrace_from((u64)__builtin_frame_address(0));
}

/* One CPU at a time, so that their lines do not mix. */
void registers_dump(void)
{
	for_each_online_cpu(cpu) {
		cpumask_t one;

		cpumask_zero(&one);
		cpumask_set(cpu, &one);
		smp_call(&one, dump_this_cpu, NULL);
	}
}

/* Call fn for each domain there is. */
static void for_each_domain(void (*fn)(struct domain *))
{
	struct domain *d;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d))
		fn(d);
}

/* Those that stop() has stopped: others may be created before the last one that could do so is stopped. */
static DECLARE_BITMAP(stopped, DOMID_FIRST_RESERVED);

/* The vCPU that this CPU was executing is stopped by our being here. */
static void stop(struct domain *d)
{
	bitmap_set(stopped, d->id);
	domain_pause_nosync(d);
	for_each_vcpu(d, v)
		if (v != current)
			vcpu_sleep_sync(v);
}

static void let_go(struct domain *d)
{
	if (bitmap_test_and_clear(stopped, d->id))
		domain_unpause(d);
}

void audit_run(void)
{
	unsigned n;

	for_each_domain(stop);
	n = pv_audit();
	for_each_domain(let_go);
	if (n)
		log_info("audit: %u differences\n", n);
	else
		log_info("audit: clean\n");
}
