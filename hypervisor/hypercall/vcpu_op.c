/* SPDX-License-Identifier: MIT */
/* VCPUOP_*: vCPUs as their own domain manages them (ABI: <xen/vcpu.h>). */
#include <core/acpi.h>
#include <core/apic.h>
#include <hypercall/dispatch.h>
#include <hypercall/vcpu_timer.h>
#include <ipc/evtchn.h>
#include <memory/heap.h>
#include <memory/xmalloc.h>
#include <sched/sched.h>
#include <x86/cr.h>

/*
 * Every operation may name any vCPU of the caller's domain. Areas that the scheduler writes later are guest virtual addresses: a bad one
 * costs the guest its information and nothing else, because each write is checked when it is made.
 */

static bool va_is_guests(u64 va, size_t size)
{
	return is_canonical(va) && is_canonical(va + size - 1) && (va + size <= HYP_VIRT_START || va >= HYP_VIRT_END) && va + size > va;
}

/* --- life --------------------------------------------------------------------------------------------------------------------- */

static long initialise(struct vcpu *v, const void *arg)
{
	struct vcpu_guest_context *ctx;
	long rc = -EFAULT;

	if (READ_ONCE(v->initialised))
		return -EEXIST;
	ctx = xmalloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	if (copy_from_guest(ctx, arg, sizeof(*ctx)) == 0) {
		spin_lock(&v->domain->lock);
		rc = v->initialised ? -EEXIST : v->domain->ops->set_context(v, ctx);
		spin_unlock(&v->domain->lock);
	}
	xfree(ctx);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_vcpu_op, 3, (u64)VCPUOP_initialise, (u64)v->id, (u64)arg);
	return rc;
}

static long up(struct vcpu *v, const void *arg)
{
	if (!READ_ONCE(v->initialised))
		return -EINVAL;
	vcpu_clear_pause_flag(v, VPF_DOWN);
	return 0;
}

/* The last one that is up takes the domain along. */
static long down(struct vcpu *v, const void *arg)
{
	bool others = false;

	for_each_vcpu(v->domain, w)
		others |= w != v && !(READ_ONCE(w->pause_flags) & VPF_DOWN);
	if (others)
		vcpu_set_pause_flag(v, VPF_DOWN);
	else
		domain_shutdown(v->domain, SHUTDOWN_poweroff);
	return 0;
}

static long is_up(struct vcpu *v, const void *arg)
{
	return !(READ_ONCE(v->pause_flags) & VPF_DOWN);
}

/* --- run state and time ------------------------------------------------------------------------------------------------------- */

static long get_runstate(struct vcpu *v, const void *arg)
{
	struct vcpu_runstate_info info;

	runstate_get(v, &info);
	return copy_to_guest((void *)arg, &info, sizeof(info));
}

static long register_runstate_area(struct vcpu *v, const void *arg)
{
	struct vcpu_register_runstate_memory_area op;
	struct vcpu_runstate_info info;

	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.addr.p && !va_is_guests(op.addr.p, sizeof(info)))
		return -EFAULT;
	/* It must be good now, for the caller; whether it is at each switch is the guest's business. */
	runstate_get(v, &info);
	if (op.addr.p && copy_to_guest(op.addr.v, &info, sizeof(info)))
		return -EFAULT;
	runstate_set_area(v, op.addr.p);
	return 0;
}

static long register_time_area(struct vcpu *v, const void *arg)
{
	struct vcpu_register_time_memory_area op;

	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.addr.p && !va_is_guests(op.addr.p, sizeof(struct vcpu_time_info)))
		return -EFAULT;
	guest_time_set_area(v, op.addr.p);
	return 0;
}

/* --- timers ------------------------------------------------------------------------------------------------------------------- */

static long set_periodic(struct vcpu *v, const void *arg)
{
	struct vcpu_set_periodic_timer op;

	return copy_from_guest(&op, arg, sizeof(op)) ? -EFAULT : vcpu_periodic_set(v, op.period_ns);
}

static long stop_periodic(struct vcpu *v, const void *arg)
{
	vcpu_periodic_stop(v);
	return 0;
}

static long set_singleshot(struct vcpu *v, const void *arg)
{
	struct vcpu_set_singleshot_timer op;

	if (v != current)
		return -EINVAL;
	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	return vcpu_singleshot_set(v, op.timeout_abs_ns, op.flags & VCPU_SSHOTTMR_future);
}

static long stop_singleshot(struct vcpu *v, const void *arg)
{
	if (v != current)
		return -EINVAL;
	vcpu_singleshot_stop(v);
	return 0;
}

/* --- vcpu_info ---------------------------------------------------------------------------------------------------------------- */

/* Once per vCPU, for itself or for one that is down. The frame stays writable, and so no page table, until the domain dies. */
static long set_info(struct vcpu *v, mfn_t m, u32 offset)
{
	struct vcpu_info *info;
	int rc;

	if (!mfn_eq(v->info_mfn, MFN_INVALID) || (v != current && !(READ_ONCE(v->pause_flags) & VPF_DOWN)) || v->domain->is_dying)
		return -EINVAL;
	rc = frame_get_writable(m, v->domain);
	if (rc)
		return rc;
	/* commit: nothing below may fail */
	info = (struct vcpu_info *)((char *)mfn_to_virt(m) + offset);
	*info = *v->info;
	v->info_mfn = m;
	atomic_store(&v->info, info);
	evtchn_vcpu_info_moved(v);
	guest_time_refresh(v);
	return 0;
}

static long register_info(struct vcpu *v, const void *arg)
{
	struct vcpu_register_vcpu_info op;
	long rc;

	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.offset > PAGE_SIZE - sizeof(struct vcpu_info) || op.offset % __alignof__(struct vcpu_info))
		return -EINVAL;
	spin_lock(&v->domain->lock);
	rc = set_info(v, mfn(op.mfn), op.offset);
	spin_unlock(&v->domain->lock);
	return rc;
}

/* What v->info of a dying vCPU points at. The event channels have been closed; timers and others that are late write here. */
static struct vcpu_info dead_info;

static int info_relinquish(struct domain *d)
{
	for_each_vcpu(d, v) {
		mfn_t m = v->info_mfn;

		if (mfn_eq(m, MFN_INVALID))
			continue;
		atomic_store(&v->info, &dead_info);
		v->info_mfn = MFN_INVALID;
		frame_put_writable(m);
	}
	return 0;
}

DOMAIN_MODULE(vcpu_info_module) = {
	.name = "vcpu_info",
	.order = MODULE_VCPU_INFO,
	.relinquish = info_relinquish,
};

/* --- others ------------------------------------------------------------------------------------------------------------------- */

static long send_nmi(struct vcpu *v, const void *arg)
{
	if (!v->domain->ops->send_nmi)
		return -EOPNOTSUPP;
	v->domain->ops->send_nmi(v);
	return 0;
}

/* Only for a vCPU of the hardware domain that stays on one CPU. */
static long get_physid(struct vcpu *v, const void *arg)
{
	struct vcpu_get_physid op;
	const struct acpi_cpu *cpus;
	unsigned n = acpi_cpus(&cpus), i;
	cpumask_t where;
	u32 apic;

	sched_get_affinity(v, &where, NULL);
	if (!v->domain->hardware || cpumask_weight(&where) != 1)
		return -EINVAL;
	apic = cpu_apic_id[cpumask_first(&where)];
	for (i = 0; i < n && cpus[i].apic_id != apic; i++)
		;
	op.phys_id = apic | (u64)(i < n ? cpus[i].acpi_id : 0xff) << 32;
	return copy_to_guest((void *)arg, &op, sizeof(op));
}

/* --- the table ---------------------------------------------------------------------------------------------------------------- */

static long (*const handlers[])(struct vcpu *v, const void *arg) = {
	[VCPUOP_initialise] = initialise,
	[VCPUOP_up] = up,
	[VCPUOP_down] = down,
	[VCPUOP_is_up] = is_up,
	[VCPUOP_get_runstate_info] = get_runstate,
	[VCPUOP_register_runstate_memory_area] = register_runstate_area,
	[VCPUOP_set_periodic_timer] = set_periodic,
	[VCPUOP_stop_periodic_timer] = stop_periodic,
	[VCPUOP_set_singleshot_timer] = set_singleshot,
	[VCPUOP_stop_singleshot_timer] = stop_singleshot,
	[VCPUOP_register_vcpu_info] = register_info,
	[VCPUOP_send_nmi] = send_nmi,
	[VCPUOP_get_physid] = get_physid,
	[VCPUOP_register_vcpu_time_memory_area] = register_time_area,
};

HYPERCALL(do_vcpu_op)
{
	u32 cmd = (u32)a1;
	struct vcpu *v = domain_vcpu(current->domain, (u32)a2);

	if (!v)
		return -ENOENT;
	if (cmd >= ARRAY_SIZE(handlers))
		return -ENOSYS;
	return handlers[index_nospec(cmd, ARRAY_SIZE(handlers))](v, (const void *)a3);
}
