/* SPDX-License-Identifier: MIT */
/* Hypercalls of the tools: domains and their vCPUs. */
#include <errno.h>
#include <lib/hv.h>
#include <string.h>
#include <xen/event_channel.h>

#define NO_LIMIT_PAGES	UINT32_MAX	/* what hypervisors of this ABI say of a domain without one */

static int simple(struct hv *hv, uint16_t domid, uint32_t cmd)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };

	return hv_domctl(hv, &op);
}

int hv_domain_create(struct hv *hv, const struct hv_create *c, uint16_t *domid)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_createdomain };
	struct xen_domctl_createdomain *d = &op.u.createdomain;
	int rc;

	memcpy(d->handle, c->uuid, sizeof(d->handle));
	d->flags = c->flags;
	d->max_vcpus = c->max_vcpus;
	d->max_evtchn_port = c->max_evtchn_port;
	d->max_grant_frames = (int32_t)c->max_grant_frames;
	d->max_maptrack_frames = (int32_t)c->max_maptrack_frames;
	d->grant_opts = XEN_DOMCTL_GRANT_version(2);
	rc = hv_domctl(hv, &op);
	if (!rc)
		*domid = op.domain;
	return rc;
}

int hv_domain_destroy(struct hv *hv, uint16_t domid)
{
	int rc;

	do
		rc = simple(hv, domid, XEN_DOMCTL_destroydomain);
	while (rc == -EAGAIN || rc == -EINTR);
	return rc;
}

int hv_domain_pause(struct hv *hv, uint16_t domid)
{
	return simple(hv, domid, XEN_DOMCTL_pausedomain);
}

int hv_domain_unpause(struct hv *hv, uint16_t domid)
{
	return simple(hv, domid, XEN_DOMCTL_unpausedomain);
}

int hv_domain_max_mem(struct hv *hv, uint16_t domid, uint64_t kib)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = domid };

	op.u.max_mem.max_memkb = kib;
	return hv_domctl(hv, &op);
}

int hv_domain_claim(struct hv *hv, uint16_t domid, uint64_t kib)
{
	struct xen_memory_reservation r = { .domid = domid, .nr_extents = kib / (HV_PAGE_SIZE >> 10) };

	return hv_memory_op(hv, XENMEM_claim_pages, &r, sizeof(r));
}

int hv_domain_max_vcpus(struct hv *hv, uint16_t domid, uint32_t n)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_max_vcpus, .domain = domid };

	op.u.max_vcpus.max = n;
	return hv_domctl(hv, &op);
}

int hv_domain_set_handle(struct hv *hv, uint16_t domid, const uint8_t uuid[16])
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_setdomainhandle, .domain = domid };

	memcpy(op.u.setdomainhandle.handle, uuid, 16);
	return hv_domctl(hv, &op);
}

int hv_domain_info(struct hv *hv, uint16_t domid, xen_domctl_getdomaininfo_t *info)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = domid };
	int rc = hv_domctl(hv, &op);

	if (rc)
		return rc;
	if (op.u.getdomaininfo.domain != domid)
		return -ESRCH;		/* the operation answers with the next domain there is */
	*info = op.u.getdomaininfo;
	return 0;
}

bool hv_domain_runs(struct hv *hv, int domid, xen_domctl_getdomaininfo_t *info)
{
	return domid >= 0 && !hv_domain_info(hv, (uint16_t)domid, info) && !(info->flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying));
}

uint64_t hv_domain_max_kib(const xen_domctl_getdomaininfo_t *info)
{
	return info->max_pages >= NO_LIMIT_PAGES ? UINT64_MAX : info->max_pages * (HV_PAGE_SIZE >> 10);
}

/* What fits in buf: max of them at most. */
static int list_some(struct hv *hv, uint16_t first, xen_domctl_getdomaininfo_t *buf, size_t max)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_getdomaininfolist };
	struct xen_sysctl_getdomaininfolist *l = &op.u.getdomaininfolist;
	int rc;

	l->first_domain = first;
	l->max_domains = (uint32_t)max;
	set_xen_guest_handle(l->buffer, buf);
	rc = hv_sysctl(hv, &op);
	if (rc)
		return rc;
	return l->num_domains > max ? -EPROTO : (int)l->num_domains;
}

/* By the page: those the library keeps, while a larger buffer is mapped, cleared and unmapped each time, which costs more than a call. */
int hv_domain_list(struct hv *hv, uint16_t first, xen_domctl_getdomaininfo_t *infos, size_t max)
{
	const size_t at_once = HV_PAGE_SIZE / sizeof(*infos);
	xen_domctl_getdomaininfo_t *buf = hv_buffer(hv, HV_PAGE_SIZE);
	size_t n = 0, wanted = 0;
	int got = 0;

	if (!buf)
		return -ENOMEM;
	while (n < max && (size_t)got == wanted) {
		wanted = max - n < at_once ? max - n : at_once;
		got = list_some(hv, first, buf, wanted);
		if (got <= 0)
			break;
		memcpy(infos + n, buf, (size_t)got * sizeof(*infos));
		n += (size_t)got;
		first = (uint16_t)(infos[n - 1].domain + 1);
	}
	hv_buffer_free(hv, buf, HV_PAGE_SIZE);
	return got < 0 ? got : (int)n;
}

int hv_vcpu_info(struct hv *hv, uint16_t domid, uint32_t vcpu, struct xen_domctl_getvcpuinfo *info)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };
	int rc;

	op.u.getvcpuinfo.vcpu = vcpu;
	rc = hv_domctl(hv, &op);
	if (!rc)
		*info = op.u.getvcpuinfo;
	return rc;
}

/* One buffer for both bitmaps; either may be absent. */
static int affinity(struct hv *hv, uint32_t cmd, uint16_t domid, uint32_t vcpu, uint8_t *hard, uint8_t *soft, size_t nbits)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };
	struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;
	size_t bytes = (nbits + 7) / 8;
	uint8_t *buf = hv_buffer(hv, 2 * bytes);
	int rc;

	if (!buf)
		return -ENOMEM;
	memset(buf, 0, 2 * bytes);
	a->vcpu = vcpu;
	if (hard) {
		a->flags |= XEN_VCPUAFFINITY_HARD;
		memcpy(buf, hard, bytes);
		set_xen_guest_handle(a->cpumap_hard.bitmap, buf);
		a->cpumap_hard.nr_bits = (uint32_t)nbits;
	}
	if (soft) {
		a->flags |= XEN_VCPUAFFINITY_SOFT;
		memcpy(buf + bytes, soft, bytes);
		set_xen_guest_handle(a->cpumap_soft.bitmap, buf + bytes);
		a->cpumap_soft.nr_bits = (uint32_t)nbits;
	}
	rc = hv_domctl(hv, &op);
	if (!rc && cmd == XEN_DOMCTL_getvcpuaffinity) {
		if (hard)
			memcpy(hard, buf, bytes);
		if (soft)
			memcpy(soft, buf + bytes, bytes);
	}
	hv_buffer_free(hv, buf, 2 * bytes);
	return rc;
}

int hv_vcpu_set_affinity(struct hv *hv, uint16_t domid, uint32_t vcpu, const uint8_t *hard, const uint8_t *soft, size_t nbits)
{
	return affinity(hv, XEN_DOMCTL_setvcpuaffinity, domid, vcpu, (uint8_t *)hard, (uint8_t *)soft, nbits);
}

int hv_vcpu_get_affinity(struct hv *hv, uint16_t domid, uint32_t vcpu, uint8_t *hard, uint8_t *soft, size_t nbits)
{
	return affinity(hv, XEN_DOMCTL_getvcpuaffinity, domid, vcpu, hard, soft, nbits);
}

/* Registers in or out. */
static int context(struct hv *hv, uint32_t cmd, uint16_t domid, uint32_t vcpu, vcpu_guest_context_t *ctx)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };
	vcpu_guest_context_t *buf = hv_buffer(hv, sizeof(*buf));
	int rc;

	if (!buf)
		return -ENOMEM;
	*buf = *ctx;
	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, buf);
	rc = hv_domctl(hv, &op);
	*ctx = *buf;
	hv_buffer_free(hv, buf, sizeof(*buf));
	return rc;
}

int hv_vcpu_set_context(struct hv *hv, uint16_t domid, uint32_t vcpu, const vcpu_guest_context_t *ctx)
{
	vcpu_guest_context_t copy = *ctx;

	return context(hv, XEN_DOMCTL_setvcpucontext, domid, vcpu, &copy);
}

int hv_vcpu_get_context(struct hv *hv, uint16_t domid, uint32_t vcpu, vcpu_guest_context_t *ctx)
{
	return context(hv, XEN_DOMCTL_getvcpucontext, domid, vcpu, ctx);
}

int hv_domain_set_sched(struct hv *hv, uint16_t domid, uint16_t weight, uint16_t cap)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };
	struct xen_domctl_scheduler_op *s = &op.u.scheduler_op;
	int rc = hv_sched_id(hv, &s->sched_id);

	if (rc)
		return rc;
	s->cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	switch (s->sched_id) {
	case XEN_SCHEDULER_CREDIT:
		s->u.credit = (struct xen_domctl_sched_credit){ weight, cap };
		break;
	case XEN_SCHEDULER_CREDIT2:
		s->u.credit2 = (struct xen_domctl_sched_credit2){ weight, cap };
		break;
	default:
		return -EOPNOTSUPP;
	}
	return hv_domctl(hv, &op);
}

int hv_evtchn_alloc_unbound(struct hv *hv, uint16_t domid, uint16_t remote_domid, uint32_t *port)
{
	struct evtchn_alloc_unbound op = { .dom = domid, .remote_dom = remote_domid };
	int rc = hv_call_with(hv, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &op, sizeof(op));

	if (!rc)
		*port = op.port;
	return rc;
}
