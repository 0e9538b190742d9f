/* SPDX-License-Identifier: MIT */
/*
 * The time parameters that a guest computes system time from (ABI: <xen/xen.h>, struct vcpu_time_info): in vcpu_info, and in a second
 * place of the guest's choice; and the wall clock in shared_info.
 */
#include <domain/guest_copy.h>
#include <lib/string.h>
#include <sched/runstate.h>

/*
 * The parameters belong to a CPU and change rarely; they are written again when the vCPU comes to another CPU or the CPU's have changed. The version
 * is odd while they are being written. It counts from our own variable: what the guest writes there has no effect on us.
 */

#define BODY	offsetof(struct vcpu_time_info, tsc_timestamp)

/* Readers may be on other CPUs (the guest's own other vCPUs): the processor keeps the order of stores. */
static void write_info(struct vcpu_time_info *to, const struct vcpu_time_info *t, u32 version)
{
	WRITE_ONCE(to->version, version - 1);
	smp_wmb();
	memcpy((char *)to + BODY, (const char *)t + BODY, sizeof(*t) - BODY);
	smp_wmb();
	WRITE_ONCE(to->version, version);
}

static int write_area(u64 va, const struct vcpu_time_info *t, u32 version)
{
	struct vcpu_time_info *to = (struct vcpu_time_info *)va;
	u32 odd = version - 1;

	if (copy_to_guest(&to->version, &odd, sizeof(odd)))
		return -EFAULT;
	smp_wmb();
	if (copy_to_guest((char *)to + BODY, (const char *)t + BODY, sizeof(*t) - BODY))
		return -EFAULT;
	smp_wmb();
	return copy_to_guest(&to->version, &version, sizeof(version));
}

void guest_time_update(struct vcpu *v, bool force)
{
	struct runstate_state *r = v->runstate;
	u32 generation = time_pvclock_generation();
	struct vcpu_time_info t = { 0 };
	u64 va;

	if (!force && !r->clock_stale && r->clock_cpu == smp_processor_id() && r->clock_generation == generation)
		return;
	r->clock_stale = false;
	r->clock_cpu = (u16)smp_processor_id();
	r->clock_generation = generation;
	r->clock_version += 2;
	time_fill_pvclock(&t);
	write_info(&v->info->time, &t, r->clock_version);
	va = READ_ONCE(r->time_area);
	sched_area_written(v, AREA_TIME, !va || !write_area(va, &t, r->clock_version));
}

void guest_time_refresh(struct vcpu *v)
{
	u64 flags = local_irq_save();

	if (v == current && !is_idle_vcpu(v))
		guest_time_update(v, true);
	else
		v->runstate->clock_stale = true;
	local_irq_restore(flags);
}

void guest_time_set_area(struct vcpu *v, u64 va)
{
	WRITE_ONCE(v->runstate->time_area, va);
	guest_time_refresh(v);
}

void guest_areas_write(struct vcpu *v)
{
	u64 flags = local_irq_save();

	if (v->areas_due & AREA_RUNSTATE)
		runstate_write_area(v, &v->runstate->info);
	if (v->areas_due & AREA_TIME)
		guest_time_update(v, true);
	/* One try: if the guest has unmapped it, so be it until the next switch. */
	v->areas_due = 0;
	local_irq_restore(flags);
}

/* --- the wall clock: at which UTC second system time was 0 ---------------------------------------------------------------------- */

static DEFINE_SPINLOCK(wallclock_lock, LOCK_TIME);
static u32 wallclock_version;	/* even; of all domains, so that each one's only grows */

static void write_wallclock(struct domain *d, u32 version)
{
	struct shared_info *si = d->shared_info;
	u64 base = wallclock_base(), sec = base / NS_PER_SEC + (u64)d->time_offset_seconds;

	WRITE_ONCE(si->wc_version, version - 1);
	smp_wmb();
	si->wc_sec = (u32)sec;
	si->wc_sec_hi = (u32)(sec >> 32);
	si->wc_nsec = (u32)(base % NS_PER_SEC);
	smp_wmb();
	WRITE_ONCE(si->wc_version, version);
}

void guest_wallclock_update(struct domain *d)
{
	u64 flags = spin_lock_irqsave(&wallclock_lock);

	write_wallclock(d, wallclock_version += 2);
	spin_unlock_irqrestore(&wallclock_lock, flags);
}

static void update_all_wallclocks(void)
{
	struct domain *d;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d))
		guest_wallclock_update(d);
}

/* --- hooks -------------------------------------------------------------------------------------------------------------------- */

static void parameters_changed(void)
{
	guest_time_refresh(current);
}

void guest_time_init(void)
{
	time_pvclock_changed = parameters_changed;
	wallclock_changed = update_all_wallclocks;
}
