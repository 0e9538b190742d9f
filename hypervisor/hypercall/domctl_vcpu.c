/* SPDX-License-Identifier: MIT */
/* domctl: vCPUs: making them, and their state as a builder sets it or a saver reads it. */
#include <hypercall/domctl.h>
#include <lib/string.h>
#include <memory/xmalloc.h>
#include <pv/pv.h>
#include <sched/sched.h>
#include <x86/cr.h>

/* --- life --------------------------------------------------------------------------------------------------------------------- */

/* Where it starts; the scheduler moves it as it sees fit. Domains of one vCPU do not all start on the same CPU. */
static unsigned first_cpu(const struct domain *d, u32 id)
{
	unsigned cpu = cpumask_next((d->id + id) % nr_cpus, &cpu_online);

	return cpu == MAX_CPUS ? cpumask_first(&cpu_online) : cpu;
}

int domctl_max_vcpus(struct domain *d, struct xen_domctl *op)
{
	int rc = 0;

	if (op->u.max_vcpus.max != d->max_vcpus)
		return -EINVAL;
	for (u32 id = 0; id < d->max_vcpus && !rc; id++) {
		struct vcpu *v;

		if (d->vcpus[id])
			continue;
		rc = hypercall_preempt_check() && id ? -ERESTART : vcpu_create(d, id, first_cpu(d, id), &v);
	}
	return rc;
}

int domctl_getvcpuinfo(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_getvcpuinfo *info = &op->u.getvcpuinfo;
	struct vcpu *v = domain_vcpu(d, info->vcpu);
	struct vcpu_runstate_info run;

	if (!v)
		return -ESRCH;
	runstate_get(v, &run);
	info->online = !(READ_ONCE(v->pause_flags) & VPF_DOWN);
	info->blocked = !!(READ_ONCE(v->pause_flags) & (VPF_BLOCKED | VPF_POLL));
	info->running = v->running;
	info->cpu_time = run.time[RUNSTATE_running];
	info->cpu = v->processor;
	return 0;
}

/* --- registers ---------------------------------------------------------------------------------------------------------------- */

/* Undo what a context does, so that the vCPU has to be given one before it runs. */
static int forget_context(struct vcpu *v)
{
	v->initialised = false;
	vcpu_set_pause_flag(v, VPF_DOWN);
	return 0;
}

static int set_context(struct vcpu *v, const struct vcpu_guest_context *ctx)
{
	int rc;

	spin_lock(&v->domain->lock);
	rc = v->domain->ops->set_context(v, ctx);
	spin_unlock(&v->domain->lock);
	if (rc)
		return rc;
	/* Builders begin with an empty shared_info. */
	if (!v->id)
		guest_wallclock_update(v->domain);
	guest_time_refresh(v);
	if (ctx->flags & VGCF_online)
		vcpu_clear_pause_flag(v, VPF_DOWN);
	else
		vcpu_set_pause_flag(v, VPF_DOWN);
	return 0;
}

int domctl_setvcpucontext(struct domain *d, struct xen_domctl *op)
{
	const void *guest = op->u.vcpucontext.ctxt.p;
	struct vcpu *v = domain_vcpu(d, op->u.vcpucontext.vcpu);
	struct vcpu_guest_context *ctx;
	int rc = 0;

	if (!v)
		return -ESRCH;
	ctx = xmalloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	if (guest)
		rc = copy_from_guest(ctx, guest, sizeof(*ctx));
	if (!rc)
		rc = domctl_stop(d);
	if (!rc) {
		rc = guest ? set_context(v, ctx) : forget_context(v);
		domctl_resume(d);
	}
	xfree(ctx);
	return rc;
}

int domctl_getvcpucontext(struct domain *d, struct xen_domctl *op)
{
	struct vcpu *v = domain_vcpu(d, op->u.vcpucontext.vcpu);
	struct vcpu_guest_context *ctx;
	int rc;

	if (!v)
		return -ESRCH;
	if (!v->initialised)
		return -ENODATA;
	ctx = xmalloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	rc = domctl_stop(d);
	if (!rc) {
		d->ops->get_context(v, ctx);
		domctl_resume(d);
		rc = copy_to_guest(op->u.vcpucontext.ctxt.p, ctx, sizeof(*ctx));
	}
	xfree(ctx);
	return rc;
}

/* --- what the context has no room for ----------------------------------------------------------------------------------------- */

#define EXT_SIZE	sizeof(struct xen_domctl_ext_vcpucontext)

int domctl_get_ext_vcpucontext(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_ext_vcpucontext *ext = &op->u.ext_vcpucontext;
	struct vcpu *v = domain_vcpu(d, ext->vcpu);

	if (!v)
		return -ESRCH;
	if (!v->pv)
		return -EOPNOTSUPP;
	*ext = (struct xen_domctl_ext_vcpucontext){
		.vcpu = v->id, .size = EXT_SIZE,
		.sysenter_callback_eip = v->pv->cb[PV_CB_SYSENTER].eip,
		.sysenter_disables_events = v->pv->cb[PV_CB_SYSENTER].masks_events,
		.syscall32_callback_eip = v->pv->cb[PV_CB_SYSCALL32].eip,
		.syscall32_disables_events = v->pv->cb[PV_CB_SYSCALL32].masks_events,
	};
	return 0;
}

int domctl_set_ext_vcpucontext(struct domain *d, struct xen_domctl *op)
{
	const struct xen_domctl_ext_vcpucontext *ext = &op->u.ext_vcpucontext;
	struct vcpu *v = domain_vcpu(d, ext->vcpu);
	int rc;

	if (!v)
		return -ESRCH;
	if (!v->pv)
		return -EOPNOTSUPP;
	/* Older savers know less of the structure. */
	if (ext->size < offsetof(struct xen_domctl_ext_vcpucontext, sysenter_disables_events) + 1)
		return -EINVAL;
	if (!is_canonical(ext->sysenter_callback_eip) || !is_canonical(ext->syscall32_callback_eip))
		return -EINVAL;
	rc = domctl_stop(d);
	if (rc)
		return rc;
	v->pv->cb[PV_CB_SYSENTER].eip = ext->sysenter_callback_eip;
	v->pv->cb[PV_CB_SYSENTER].masks_events = ext->sysenter_disables_events;
	v->pv->cb[PV_CB_SYSCALL32].eip = ext->syscall32_callback_eip;
	v->pv->cb[PV_CB_SYSCALL32].masks_events = ext->syscall32_disables_events;
	domctl_resume(d);
	return 0;
}

/*
 * Extended state as the ABI carries it: the feature masks "enabled now" and "ever enabled", then an XSAVE area.
 */
#define XSTATE_MASKS	(2 * sizeof(u64))

int domctl_getvcpuextstate(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuextstate *e = &op->u.vcpuextstate;
	struct vcpu *v = domain_vcpu(d, e->vcpu);
	u32 size = xstate_features ? XSTATE_MASKS + xstate_size_for(xstate_features, false) : 0;
	u64 *buf;
	int rc;

	if (!v)
		return -ESRCH;
	if (!v->pv || !v->initialised)
		return -EOPNOTSUPP;
	/* First it is asked how much there is. */
	if (!e->xfeature_mask && !e->size) {
		e->xfeature_mask = xstate_features;
		e->size = size;
		return 0;
	}
	if (e->size != size || e->xfeature_mask != xstate_features || !size)
		return -EINVAL;
	buf = xzalloc(size);
	if (!buf)
		return -ENOMEM;
	rc = domctl_stop(d);
	if (!rc) {
		buf[0] = xstate_get_xcr0(v->pv->xstate);
		buf[1] = xstate_features;
		xstate_export(v->pv->xstate, buf + 2);
		domctl_resume(d);
		rc = copy_to_guest(e->buffer.p, buf, size);
	}
	xfree(buf);
	return rc;
}

int domctl_setvcpuextstate(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuextstate *e = &op->u.vcpuextstate;
	struct vcpu *v = domain_vcpu(d, e->vcpu);
	u64 *buf;
	int rc;

	if (!v)
		return -ESRCH;
	if (!v->pv)
		return -EOPNOTSUPP;
	if (e->size < XSTATE_MASKS || e->size > XSTATE_MASKS + xstate_size_for(xstate_features, false))
		return -EINVAL;
	/* Nothing but the masks: the saver had no such state. */
	if (e->size == XSTATE_MASKS)
		return 0;
	buf = xzalloc(XSTATE_MASKS + xstate_size_for(xstate_features, false));
	if (!buf)
		return -ENOMEM;
	rc = copy_from_guest(buf, e->buffer.p, e->size);
	if (!rc)
		rc = domctl_stop(d);
	if (!rc) {
		rc = xstate_import(v->pv->xstate, buf[0], buf + 2, e->size - XSTATE_MASKS);
		domctl_resume(d);
	}
	xfree(buf);
	return rc;
}

/* A guest has no MSRs that outlive the rest of its context but this one. */
#define SAVED_MSR	0xc0000103U	/* TSC_AUX */

int domctl_get_vcpu_msrs(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
	struct vcpu *v = domain_vcpu(d, m->vcpu);
	struct xen_domctl_vcpu_msr one = { .index = SAVED_MSR };

	if (!v)
		return -ESRCH;
	if (!v->pv)
		return -EOPNOTSUPP;
	if (!m->msrs.p) {
		m->msr_count = 1;
		return 0;
	}
	one.value = v->pv->tsc_aux;
	if (!one.value) {
		m->msr_count = 0;
		return 0;
	}
	if (!m->msr_count)
		return -ENOBUFS;
	m->msr_count = 1;
	return copy_to_guest(m->msrs.p, &one, sizeof(one));
}

int domctl_set_vcpu_msrs(struct domain *d, struct xen_domctl *op)
{
	const struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
	struct vcpu *v = domain_vcpu(d, m->vcpu);
	int rc = 0;

	if (!v)
		return -ESRCH;
	if (!v->pv)
		return -EOPNOTSUPP;
	for (u32 i = 0; i < m->msr_count && !rc; i++) {
		struct xen_domctl_vcpu_msr one;

		rc = copy_from_guest_idx(&one, m->msrs.p, i, sizeof(one));
		if (!rc && (one.index != SAVED_MSR || one.reserved || one.value >> 32))
			rc = -EINVAL;
		if (!rc)
			v->pv->tsc_aux = (u32)one.value;
	}
	return rc;
}
