/* SPDX-License-Identifier: MIT */
/* Run-state accounting, and the copy that the guest sees (ABI: <xen/vcpu.h>, VCPUOP_register_runstate_memory_area). */
#include <domain/guest_copy.h>
#include <lib/errno.h>
#include <memory/xmalloc.h>
#include <sched/runstate.h>

int runstate_create(struct vcpu *v)
{
	v->runstate = xnew(struct runstate_state);
	if (!v->runstate)
		return -ENOMEM;
	v->runstate->info.state = RUNSTATE_offline;
	v->runstate->info.state_entry_time = (u64)time_now();
	v->runstate->clock_stale = true;
	return 0;
}

void runstate_destroy(struct vcpu *v)
{
	xfree(v->runstate);
	v->runstate = NULL;
}

int runstate_state(const struct vcpu *v)
{
	return v->runstate->info.state;
}

static void account(struct vcpu_runstate_info *info, s_time_t now)
{
	if ((u64)now > info->state_entry_time) {
		info->time[info->state] += (u64)now - info->state_entry_time;
		info->state_entry_time = (u64)now;
	}
}

void runstate_change(struct vcpu *v, int state, s_time_t now)
{
	struct vcpu_runstate_info *info = &v->runstate->info;

	if (info->state == state)
		return;
	account(info, now);
	info->state = state;
}

void runstate_get(const struct vcpu *v, struct vcpu_runstate_info *out)
{
	u64 flags;
	struct sched_cpu *c = sched_lock_vcpu(v, &flags);
	u64 entered = v->runstate->info.state_entry_time;

	*out = v->runstate->info;
	account(out, time_now());
	out->state_entry_time = entered;
	sched_unlock(c, flags);
}

/* --- the guest's copy --------------------------------------------------------------------------------------------------------- */

/*
 * With VMASST_TYPE_runstate_update_flag, state_entry_time carries XEN_RUNSTATE_UPDATE while the rest is being written, so that other vCPUs
 * of the guest can tell a consistent copy.
 */
static int write_area(const struct vcpu *v, struct vcpu_runstate_info *area, const struct vcpu_runstate_info *info)
{
	bool flag = READ_ONCE(v->domain->vm_assist) & BIT(VMASST_TYPE_runstate_update_flag);

	if (!guest_range_ok((u64)area, sizeof(*area)))
		return -EFAULT;
	if (flag)
		guest_put(&area->state_entry_time, info->state_entry_time | XEN_RUNSTATE_UPDATE, fault);
	guest_put(area, (u32)info->state, fault);	/* and the padding */
	if (guest_put_words(area->time, info->time, ARRAY_SIZE(info->time)))
		goto fault;
	guest_put(&area->state_entry_time, info->state_entry_time, fault);
	return 0;
fault:
	return -EFAULT;
}

void runstate_write_area(struct vcpu *v, const struct vcpu_runstate_info *info)
{
	u64 va = READ_ONCE(v->runstate->area);

	sched_area_written(v, AREA_RUNSTATE, likely(!va) || !write_area(v, (struct vcpu_runstate_info *)va, info));
}

void runstate_set_area(struct vcpu *v, u64 va)
{
	WRITE_ONCE(v->runstate->area, va);
	if (v == current) {
		u64 flags = local_irq_save();

		runstate_write_area(v, &v->runstate->info);
		local_irq_restore(flags);
	}
}
