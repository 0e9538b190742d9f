/* SPDX-License-Identifier: MIT */
/* vCPUs: creation and look-up. They are freed with their domain (domain.c). */
#include <core/console.h>
#include <core/panic.h>
#include <domain/domain.h>
#include <lib/errno.h>
#include <memory/xmalloc.h>
#include <x86/cr.h>

/* Stands in for the vcpu_info of a vCPU beyond the legacy array until it registers one. Never read by anybody else. */
static struct vcpu_info dummy_info;

extern const struct domain_module domain_modules_start[], domain_modules_end[];

static int create_in_modules(struct vcpu *v)
{
	u32 last = 0;

	for (;;) {
		const struct domain_module *best = NULL;
		int rc;

		for (const struct domain_module *m = domain_modules_start; m < domain_modules_end; m++)
			if (m->order > last && (!best || m->order < best->order))
				best = m;
		if (!best)
			return 0;
		/* An idle vCPU is only ever scheduled. */
		rc = best->vcpu_create && (!v->is_idle || best->order == MODULE_SCHED) ? best->vcpu_create(v) : 0;
		if (rc)
			return rc;
		last = best->order;
	}
}

int vcpu_create(struct domain *d, u32 id, unsigned cpu, struct vcpu **out)
{
	struct vcpu *v;
	int rc;

	if (id >= d->max_vcpus)
		return -EINVAL;
	if (d->vcpus[id])
		return -EEXIST;
	v = xnew(struct vcpu);
	if (!v)
		return -ENOMEM;
	v->magic = VCPU_MAGIC;
	v->id = id;
	v->domain = d;
	v->processor = (u16)cpu;
	v->is_idle = d == idle_domain;
	v->pause_flags = v->is_idle ? 0 : VPF_DOWN;
	v->info_mfn = MFN_INVALID;
	v->info = d->shared_info && id < XEN_LEGACY_MAX_VCPUS ? &d->shared_info->vcpu_info[id] : &dummy_info;
	rc = create_in_modules(v);
	if (rc) {
		vcpu_discard(v);
		return rc;
	}
	/* Whoever finds it finds it complete. */
	atomic_store(&d->vcpus[id], v);
	*out = v;
	return 0;
}

struct vcpu *domain_vcpu(const struct domain *d, u32 id)
{
	return id < d->max_vcpus ? READ_ONCE(d->vcpus[index_nospec(id, d->max_vcpus)]) : NULL;
}

void vcpu_dump(const struct vcpu *v)
{
	log_info("  vCPU %u: CPU %u%s pause %#x/%u, upcall pending %u mask %u\n", v->id, v->processor, v->running ? " running" : "",
		 v->pause_flags, v->pause_count, v->info->evtchn_upcall_pending, v->info->evtchn_upcall_mask);
	if (v->domain->ops && v->domain->ops->dump_vcpu && v->initialised)
		v->domain->ops->dump_vcpu(v);
}
