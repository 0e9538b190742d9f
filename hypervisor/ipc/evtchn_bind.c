/* SPDX-License-Identifier: MIT */
/* Event channels: binding ports to peers, VIRQs, IPIs and pirqs, and asking what they are. Locks: see evtchn.c. */
#include <core/console.h>
#include <ipc/evtchn_port.h>
#include <ipc/pirq.h>
#include <lib/errno.h>

int evtchn_alloc_unbound(struct domain *d, u16 remote, u32 *port)
{
	struct evtchn *chn;
	int rc = evtchn_port_alloc(d, &chn);
	u64 flags;

	if (rc)
		return rc;
	flags = spin_lock_irqsave(&chn->lock);
	chn->u.remote_domid = remote;
	chn->state = EVTCHN_UNBOUND;
	spin_unlock_irqrestore(&chn->lock, flags);
	*port = chn->port;
	return 0;
}

/* Connect lchn (RESERVED) with rchn, if that waits for ld. */
static int connect_ports(struct domain *ld, struct evtchn *lchn, struct domain *rd, struct evtchn *rchn)
{
	u64 flags = evtchn_lock_pair(lchn, rchn);
	int rc = -EINVAL;

	if (rchn->state == EVTCHN_UNBOUND && rchn->u.remote_domid == ld->id) {
		domain_ref(ld);
		domain_ref(rd);
		rchn->u.peer.domain = ld;
		rchn->u.peer.chn = lchn;
		rchn->state = EVTCHN_INTERDOMAIN;
		lchn->u.peer.domain = rd;
		lchn->u.peer.chn = rchn;
		lchn->state = EVTCHN_INTERDOMAIN;
		/* The peer may have sent before there was a connection (ABI). */
		evtchn_deliver(ld, lchn);
		rc = 0;
	}
	evtchn_unlock_pair(lchn, rchn, flags);
	return rc;
}

int evtchn_bind_interdomain(struct domain *ld, struct domain *rd, u32 rport, u32 *port)
{
	struct evtchn *lchn, *rchn = evtchn_of(rd, rport);
	int rc;

	if (!rchn)
		return -EINVAL;
	rc = evtchn_port_alloc(ld, &lchn);
	if (rc)
		return rc;
	/* rport may have been free, and be the port we just got. */
	rc = rchn == lchn ? -EINVAL : connect_ports(ld, lchn, rd, rchn);
	if (rc)
		evtchn_port_free(ld, lchn);
	else
		*port = lchn->port;
	return rc;
}

int evtchn_bind_virq(struct domain *d, u32 virq, u32 vcpu, u32 *port)
{
	struct vcpu *v = domain_vcpu(d, vcpu);
	struct evtchn *chn;
	u64 flags;
	int rc;

	if (virq >= NR_VIRQS || (virq_is_global(virq) && vcpu))
		return -EINVAL;
	if (!v)
		return -ENOENT;
	virq = (u32)index_nospec(virq, NR_VIRQS);
	rc = evtchn_port_alloc(d, &chn);
	if (rc)
		return rc;
	flags = spin_lock_irqsave(&chn->lock);
	if (atomic_cmpxchg(&v->evtchn->virq_port[virq], 0, chn->port)) {
		rc = -EEXIST;
	} else {
		chn->u.virq = virq;
		chn->vcpu = (u16)vcpu;
		chn->state = EVTCHN_VIRQ;
	}
	spin_unlock_irqrestore(&chn->lock, flags);
	if (rc)
		evtchn_port_free(d, chn);
	else
		*port = chn->port;
	return rc;
}

int evtchn_bind_ipi(struct domain *d, u32 vcpu, u32 *port)
{
	struct evtchn *chn;
	u64 flags;
	int rc;

	if (!domain_vcpu(d, vcpu))
		return -ENOENT;
	rc = evtchn_port_alloc(d, &chn);
	if (rc)
		return rc;
	flags = spin_lock_irqsave(&chn->lock);
	chn->vcpu = (u16)vcpu;
	chn->state = EVTCHN_IPI;
	spin_unlock_irqrestore(&chn->lock, flags);
	*port = chn->port;
	return 0;
}

int evtchn_bind_pirq(struct domain *d, u32 pirq, bool will_share, u32 *port)
{
	struct vcpu *v = domain_vcpu(d, 0);
	struct evtchn *chn;
	u64 flags;
	int rc;

	if (!v)
		return -ENOENT;
	rc = evtchn_port_alloc(d, &chn);
	if (rc)
		return rc;
	/* From here on interrupts arrive at the port; RESERVED keeps the guest from closing it meanwhile. */
	rc = pirq_bind(v, pirq, chn->port, will_share);
	if (rc) {
		evtchn_port_free(d, chn);
		return rc;
	}
	flags = spin_lock_irqsave(&chn->lock);
	chn->u.pirq = pirq;
	chn->state = EVTCHN_PIRQ;
	spin_unlock_irqrestore(&chn->lock, flags);
	*port = chn->port;
	return 0;
}

int evtchn_bind_vcpu(struct domain *d, u32 port, u32 vcpu)
{
	struct evtchn *chn = evtchn_of(d, port);
	struct vcpu *v = domain_vcpu(d, vcpu);
	int rc = 0;
	s64 pirq = -1;
	u64 flags;

	if (!v)
		return -ENOENT;
	if (!chn)
		return -EINVAL;
	flags = spin_lock_irqsave(&chn->lock);
	switch (chn->state) {
	case EVTCHN_VIRQ:
		if (!virq_is_global(chn->u.virq)) {
			rc = -EINVAL;
			break;
		}
		chn->vcpu = (u16)vcpu;
		break;
	case EVTCHN_PIRQ:
		pirq = chn->u.pirq;
		chn->vcpu = (u16)vcpu;
		break;
	case EVTCHN_UNBOUND:
	case EVTCHN_INTERDOMAIN:
		chn->vcpu = (u16)vcpu;
		break;
	default:
		rc = -EINVAL;
	}
	spin_unlock_irqrestore(&chn->lock, flags);
	if (pirq >= 0)
		pirq_set_vcpu(d, (u32)pirq, v);
	return rc;
}

int evtchn_status(struct domain *d, struct evtchn_status *status)
{
	struct evtchn *chn = evtchn_of(d, status->port);
	u64 flags;

	if (!chn)
		return -EINVAL;
	status->u = (__typeof__(status->u)){ 0 };
	flags = spin_lock_irqsave(&chn->lock);
	status->vcpu = chn->vcpu;
	switch (chn->state) {
	case EVTCHN_UNBOUND:
		status->status = EVTCHNSTAT_unbound;
		status->u.unbound.dom = chn->u.remote_domid;
		break;
	case EVTCHN_INTERDOMAIN:
		status->status = EVTCHNSTAT_interdomain;
		status->u.interdomain.dom = chn->u.peer.domain->id;
		status->u.interdomain.port = chn->u.peer.chn->port;
		break;
	case EVTCHN_PIRQ:
		status->status = EVTCHNSTAT_pirq;
		status->u.pirq = chn->u.pirq;
		break;
	case EVTCHN_VIRQ:
		status->status = EVTCHNSTAT_virq;
		status->u.virq = chn->u.virq;
		break;
	case EVTCHN_IPI:
		status->status = EVTCHNSTAT_ipi;
		break;
	default:
		status->status = EVTCHNSTAT_closed;
		status->vcpu = 0;
	}
	spin_unlock_irqrestore(&chn->lock, flags);
	return 0;
}

#define DUMP_MAX	200	/* ports printed per domain: a guest decides how many it has */

/* --- debug key ---------------------------------------------------------------------------------------------------------------- */

/* True when the port is in use. */
static bool dump_port(struct domain *d, u32 port, bool print)
{
	struct evtchn_status st = { .port = port };
	int pending = evtchn_port_is_pending(d, port);

	if (evtchn_status(d, &st) || st.status == EVTCHNSTAT_closed)
		return false;
	if (!print)
		return true;
	switch (st.status) {
	case EVTCHNSTAT_unbound:
		log_info("  %5u vCPU %u pending %d: waits for domain %u\n", port, st.vcpu, pending, st.u.unbound.dom);
		break;
	case EVTCHNSTAT_interdomain:
		log_info("  %5u vCPU %u pending %d: domain %u port %u\n", port, st.vcpu, pending, st.u.interdomain.dom,
			 st.u.interdomain.port);
		break;
	case EVTCHNSTAT_pirq:
		log_info("  %5u vCPU %u pending %d: pirq %u\n", port, st.vcpu, pending, st.u.pirq);
		break;
	case EVTCHNSTAT_virq:
		log_info("  %5u vCPU %u pending %d: VIRQ %u\n", port, st.vcpu, pending, st.u.virq);
		break;
	case EVTCHNSTAT_ipi:
		log_info("  %5u vCPU %u pending %d: IPI\n", port, st.vcpu, pending);
		break;
	}
	return true;
}

static void dump_domain(struct domain *d)
{
	u32 valid = READ_ONCE(d->evtchn->valid), n = 0;

	log_info("domain %u: %u of %u ports in use, %s, %u polling\n", d->id, d->evtchn->active, d->evtchn->limit,
		 d->evtchn->fifo ? "FIFO" : "2-level", d->pollers);
	for (u32 port = 1; port < valid; port++)
		n += dump_port(d, port, n < DUMP_MAX);
	if (n > DUMP_MAX)
		log_info("  … and %u more\n", n - DUMP_MAX);
}

void evtchn_dump(void)
{
	struct domain *d;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d))
		dump_domain(d);
}
