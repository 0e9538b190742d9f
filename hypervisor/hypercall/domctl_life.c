/* SPDX-License-Identifier: MIT */
/* domctl: the life of domains: creation, destruction, pausing, and what the tools see of it. */
#include <core/console.h>
#include <hypercall/domctl.h>
#include <ipc/evtchn.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <pv/pv.h>
#include <sched/sched.h>

#define PAUSES_MAX	255	/* by the tools, nested */

/* --- creation ----------------------------------------------------------------------------------------------------------------- */

#define CREATE_FLAGS	XEN_DOMCTL_CDF_xs_domain

static int limit_of(s32 wanted, u32 *out)
{
	if (wanted < -1)
		return -EINVAL;
	*out = wanted < 0 ? 0 : (u32)wanted;
	return 0;
}

/* -1 and 0 both are the default. */
static int read_config(const struct xen_domctl_createdomain *c, struct domain_config *cfg)
{
	*cfg = (struct domain_config){
		.max_vcpus = c->max_vcpus, .ops = &pv_ops, .paused = true, .is_store = c->flags & XEN_DOMCTL_CDF_xs_domain,
		.max_evtchn_port = c->max_evtchn_port,
	};
	memcpy(cfg->handle, c->handle, sizeof(cfg->handle));
	if (c->flags & (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)) {
		guest_info("domain creation refused: HVM and PVH guests are not supported\n");
		return -EOPNOTSUPP;
	}
	if (c->flags & ~CREATE_FLAGS || c->iommu_opts || c->vmtrace_size || c->cpupool_id)
		return -EOPNOTSUPP;
	/* Security labels mean nothing here: there is one policy. */
	if (c->arch.emulation_flags || c->arch.misc_flags & ~XEN_X86_MSR_RELAXED)
		return -EINVAL;
	switch (XEN_DOMCTL_GRANT_version(c->grant_opts)) {
	case 1 ... 2:
		cfg->max_grant_version = (u8)XEN_DOMCTL_GRANT_version(c->grant_opts);
		break;
	default:
		return -EINVAL;
	}
	return limit_of(c->max_grant_frames, &cfg->max_grant_frames) ?: limit_of(c->max_maptrack_frames, &cfg->max_maptrack_frames);
}

/* With an id that nobody has. They are given out in turn, so that an old one is not soon somebody else's. */
static int create_anywhere(struct domain_config *cfg, struct domain **out)
{
	static u32 last;

	for (u32 tries = 0; tries < DOMID_FIRST_RESERVED; tries++) {
		u32 id = READ_ONCE(last) + 1;
		int rc;

		if (id >= DOMID_FIRST_RESERVED)
			id = 1;
		WRITE_ONCE(last, id);
		if (domain_exists((u16)id))
			continue;
		cfg->id = (u16)id;
		rc = domain_create(cfg, out);
		if (rc != -EEXIST)
			return rc;
	}
	return -ENOSPC;
}

int domctl_createdomain(struct domain *unused, struct xen_domctl *op)
{
	struct domain_config cfg;
	struct domain *d;
	int rc = read_config(&op->u.createdomain, &cfg);

	if (rc)
		return rc;
	if (op->domain > 0 && op->domain < DOMID_FIRST_RESERVED) {
		cfg.id = op->domain;
		rc = domain_create(&cfg, &d);
	} else {
		rc = create_anywhere(&cfg, &d);
	}
	/* The reference stays, until the domain is killed. */
	if (!rc)
		op->domain = cfg.id;
	return rc;
}

/* --- stopping and going on ---------------------------------------------------------------------------------------------------- */

int domctl_destroydomain(struct domain *d, struct xen_domctl *op)
{
	/* Nobody else can drive the devices: as things are it dies with the machine. */
	if (d->hardware)
		return -EPERM;
	return domain_kill(d);
}

int domctl_pausedomain(struct domain *d, struct xen_domctl *op)
{
	int rc;

	if (d->ctl_pauses >= PAUSES_MAX)
		return -EBUSY;
	rc = domctl_stop(d);
	if (!rc)
		d->ctl_pauses++;
	return rc;
}

int domctl_unpausedomain(struct domain *d, struct xen_domctl *op)
{
	if (!d->ctl_pauses)
		return -EINVAL;
	d->ctl_pauses--;
	domain_unpause(d);
	return 0;
}

int domctl_resumedomain(struct domain *d, struct xen_domctl *op)
{
	int rc = domctl_stop(d);

	if (rc)
		return rc;
	d->shutdown_code = 0;
	atomic_store(&d->is_shut_down, false);
	domctl_resume(d);
	return 0;
}

int domctl_sendtrigger(struct domain *d, struct xen_domctl *op)
{
	struct vcpu *v = domain_vcpu(d, op->u.sendtrigger.vcpu);

	if (op->u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI || !d->ops->send_nmi)
		return -EOPNOTSUPP;
	if (!v)
		return -ESRCH;
	d->ops->send_nmi(v);
	return 0;
}

int domctl_subscribe(struct domain *d, struct xen_domctl *op)
{
	WRITE_ONCE(d->suspend_port, op->u.subscribe.port);
	return 0;
}

int domctl_set_virq_handler(struct domain *d, struct xen_domctl *op)
{
	return virq_set_handler(d, op->u.set_virq_handler.virq);
}

/* --- what it is --------------------------------------------------------------------------------------------------------------- */

static u32 info_flags(const struct domain *d, bool running, bool blocked)
{
	return (d->is_dead ? XEN_DOMINF_dying : 0) | (d->is_shut_down ? XEN_DOMINF_shutdown : 0) |
	       (d->ctl_pauses ? XEN_DOMINF_paused : 0) | (running ? XEN_DOMINF_running : 0) | (blocked ? XEN_DOMINF_blocked : 0) |
	       (d->is_store ? XEN_DOMINF_xs_domain : 0) |
	       (u32)(d->is_shut_down ? d->shutdown_reason : 0) << XEN_DOMINF_shutdownshift;
}

void domctl_fill_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	bool running = false, blocked = true;	/* no vCPU that could run: so the tools expect it */

	memset(info, 0, sizeof(*info));
	info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
	for_each_vcpu(d, v) {
		struct vcpu_runstate_info run;

		info->max_vcpu_id = v->id;
		runstate_get(v, &run);
		info->cpu_time += run.time[RUNSTATE_running];
		if (READ_ONCE(v->pause_flags) & VPF_DOWN)
			continue;
		info->nr_online_vcpus++;
		blocked &= !!(READ_ONCE(v->pause_flags) & (VPF_BLOCKED | VPF_POLL));
		running |= v->running;
	}
	info->domain = d->id;
	info->flags = info_flags(d, running, blocked);
	info->tot_pages = READ_ONCE(d->tot_pages);
	info->max_pages = READ_ONCE(d->max_pages);
	info->outstanding_pages = READ_ONCE(d->claimed);
	info->shared_info_frame = virt_to_mfn(d->shared_info).v;
	memcpy(info->handle, d->handle, sizeof(info->handle));
}

/* The domain, or, for who walks through all of them, the next one. */
int domctl_getdomaininfo(struct domain *unused, struct xen_domctl *op)
{
	struct domain *d = domain_next(op->domain);

	if (!d)
		return -ESRCH;
	domctl_fill_info(d, &op->u.getdomaininfo);
	op->domain = d->id;
	domain_put(d);
	return 0;
}

int domctl_setdomainhandle(struct domain *d, struct xen_domctl *op)
{
	memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
	return 0;
}

int domctl_settimeoffset(struct domain *d, struct xen_domctl *op)
{
	d->time_offset_seconds = op->u.settimeoffset.time_offset_seconds;
	guest_wallclock_update(d);
	return 0;
}
