/* SPDX-License-Identifier: MIT */
/*
 * Changing the vCPU that a CPU executes. Its registers are in guest_regs at the top of the CPU's stack while it is loaded and in v->regs
 * otherwise; the rest of its state is its guest kind's business (guest_ops). The hypervisor's stack is dropped each time.
 */
#include <core/segments.h>
#include <memory/heap.h>
#include <memory/map.h>
#include <memory/tlbflush.h>
#include <sched/sched.h>

/* An idle CPU must not stand on tables that a guest can give up. */
static void leave_guest_tables(void)
{
	segments_load_boot_gdt();
	segments_load_ldt(0, 0);
	tlb_write_cr3(virt_to_paddr(hyp_l4).v);
}

static void enter_idle(void)
{
	idle_loop();
}

void context_switch(struct vcpu *prev, struct vcpu *next)
{
	unsigned cpu = smp_processor_id();

	if (!prev->is_idle) {
		prev->regs = *guest_regs();
		prev->domain->ops->switch_from(prev);
		cpumask_clear_atomic(cpu, &prev->dirty_cpus);
	}
	cpu_info()->vcpu = next;
	if (next->is_idle) {
		leave_guest_tables();
	} else {
		cpumask_set_atomic(cpu, &next->dirty_cpus);
		if (!cpumask_test(cpu, &next->domain->dirty_cpus))
			cpumask_set_atomic(cpu, &next->domain->dirty_cpus);
		*guest_regs() = next->regs;
		next->domain->ops->switch_to(next);
	}
	/* CR3 has been loaded: nothing of the other domain is left in the TLB, whose entries are never global. */
	if (!prev->is_idle && prev->domain != next->domain)
		cpumask_clear_atomic(cpu, &prev->domain->dirty_cpus);
	sched_context_saved(prev);
	sched_switched_in(next);
	if (next->is_idle)
		jump_with_fresh_stack(enter_idle);
	enter_guest();
}

void vcpu_sync_state(struct vcpu *v)
{
	/* switch_from() leaves nothing behind on the CPU. */
}
