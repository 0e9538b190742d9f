/* SPDX-License-Identifier: MIT */
/* Event channels: sending, the 2-level ABI, VIRQs, and who waits for events. Locks: see evtchn.c. The hot path starts at evtchn_send(). */
#include <ipc/evtchn_port.h>
#include <lib/errno.h>
#include <sched/sched.h>

void evtchn_mark_pending(struct vcpu *v)
{
	/* The mask does not matter here: a vCPU that polls, or blocks and so unmasks, is to notice as well. */
	if (!atomic_xchg(&v->info->evtchn_upcall_pending, 1))
		vcpu_kick(v);
}

bool vcpu_event_pending(const struct vcpu *v)
{
	const struct vcpu_info *info = v->info;

	return READ_ONCE(info->evtchn_upcall_pending) && !READ_ONCE(info->evtchn_upcall_mask);
}

void evtchn_vcpu_info_moved(struct vcpu *v)
{
	/*
	 * A sender sets the pending bit before it reads v->info. One that still saw the old page has thus set its bit by
	 * now or will set no other: with all selector bits set the guest finds it.
	 */
	smp_mb();
	if (!READ_ONCE(v->domain->evtchn->fifo))
		atomic_store(&v->info->evtchn_pending_sel, ~0UL);
	evtchn_mark_pending(v);
}

/* --- polling ------------------------------------------------------------------------------------------------------------------ */

void evtchn_poll_port(struct vcpu *v, u32 port)
{
	WRITE_ONCE(v->evtchn->poll_port, port);
}

static __noinline void wake_pollers(struct domain *d, u32 port)
{
	for_each_vcpu(d, v) {
		u32 p;

		/* The port was written before the flag was set. */
		if (!(READ_ONCE(v->pause_flags) & VPF_POLL))
			continue;
		p = READ_ONCE(v->evtchn->poll_port);
		if (p == port || p == 0)
			vcpu_clear_pause_flag(v, VPF_POLL);
	}
}

/* --- delivery ----------------------------------------------------------------------------------------------------------------- */

/* Returns whether the port was not pending before. */
static __always_inline bool set_pending_2level(struct domain *d, u32 port, struct vcpu *v)
{
	struct shared_info *s = d->shared_info;

	if (unlikely(port >= EVTCHN_2L_NR_CHANNELS) || test_and_set_bit(port, s->evtchn_pending))
		return false;
	if (v && !test_bit(port, s->evtchn_mask) && !test_and_set_bit(port / 64, &v->info->evtchn_pending_sel))
		evtchn_mark_pending(v);
	return true;
}

static bool is_pending(struct domain *d, const struct evtchn *chn)
{
	struct evtchn_fifo *fifo = READ_ONCE(d->evtchn->fifo);

	if (fifo)
		return evtchn_fifo_is_pending(fifo, chn);
	return chn->port < EVTCHN_2L_NR_CHANNELS && test_bit(chn->port, d->shared_info->evtchn_pending);
}

static __always_inline void deliver(struct domain *d, struct evtchn *chn)
{
	struct evtchn_domain *ed = d->evtchn;
	struct evtchn_fifo *fifo = atomic_load(&ed->fifo);
	bool news;

	/* A domain may have ports before it has vCPUs, but none with the FIFO ABI. */
	if (likely(fifo))
		news = evtchn_fifo_set_pending(d, fifo, chn);
	else
		news = set_pending_2level(d, chn->port, d->vcpus[READ_ONCE(chn->vcpu)]);
	/* The pending bit was set by a locked instruction: whoever begins to poll after this look finds it. */
	if (news && unlikely(READ_ONCE(d->pollers)))
		wake_pollers(d, chn->port);
}

void evtchn_deliver(struct domain *d, struct evtchn *chn) { deliver(d, chn); }

/* Under its lock. */
static __always_inline int send(struct domain *d, struct evtchn *chn)
{
	if (likely(chn->state == EVTCHN_INTERDOMAIN)) {
		d = chn->u.peer.domain;
		chn = chn->u.peer.chn;
	} else if (unlikely(chn->state != EVTCHN_IPI)) {
		return chn->state == EVTCHN_UNBOUND ? 0 : -EINVAL;	/* nobody there yet, or no longer: silence */
	}
	deliver(d, chn);
	return 0;
}

int evtchn_send(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_of(d, port);
	int rc;

	if (unlikely(!chn))
		return -EINVAL;
	spin_lock_irq(&chn->lock);
	rc = send(d, chn);
	spin_unlock_irq(&chn->lock);
	return rc;
}

int evtchn_send_anywhere(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_of(d, port);
	u64 flags;
	int rc;

	if (unlikely(!chn))
		return -EINVAL;
	flags = spin_lock_irqsave(&chn->lock);
	rc = send(d, chn);
	spin_unlock_irqrestore(&chn->lock, flags);
	return rc;
}

int evtchn_unmask(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_of(d, port);
	struct evtchn_fifo *fifo;
	u64 flags;

	if (!chn)
		return -EINVAL;
	flags = spin_lock_irqsave(&chn->lock);
	if (evtchn_usable(chn)) {
		struct vcpu *v = d->vcpus[chn->vcpu];

		fifo = atomic_load(&d->evtchn->fifo);
		if (fifo)
			evtchn_fifo_unmask(d, fifo, chn);
		else if (v && port < EVTCHN_2L_NR_CHANNELS && test_and_clear_bit(port, d->shared_info->evtchn_mask) &&
			 test_bit(port, d->shared_info->evtchn_pending) &&
			 !test_and_set_bit(port / 64, &v->info->evtchn_pending_sel))
			evtchn_mark_pending(v);
	}
	spin_unlock_irqrestore(&chn->lock, flags);
	return 0;
}

int evtchn_port_is_pending(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_of(d, port);
	u64 flags;
	int rc;

	if (!chn)
		return -EINVAL;
	flags = spin_lock_irqsave(&chn->lock);
	rc = evtchn_usable(chn) && is_pending(d, chn);
	spin_unlock_irqrestore(&chn->lock, flags);
	return rc;
}

/* --- from the hypervisor ------------------------------------------------------------------------------------------------------ */

void virq_send_vcpu(struct vcpu *v, u32 virq)
{
	struct domain *d = v->domain;
	struct evtchn *chn = evtchn_of(d, atomic_load(&v->evtchn->virq_port[virq]));
	u64 flags;

	if (!chn)
		return;
	flags = spin_lock_irqsave(&chn->lock);
	/* The port may have been closed, and bound to something else, since the look. */
	if (chn->state == EVTCHN_VIRQ && chn->u.virq == virq && (virq_is_global(virq) || chn->vcpu == v->id))
		evtchn_deliver(d, chn);
	spin_unlock_irqrestore(&chn->lock, flags);
}

/* NULL: the hardware domain. An entry holds a reference. */
static struct domain *virq_handlers[NR_VIRQS];
static DEFINE_SPINLOCK(virq_lock, LOCK_VIRQ);

void virq_send_global(u32 virq)
{
	u64 flags = spin_lock_irqsave(&virq_lock);
	struct domain *d = virq_handlers[virq] ?: hardware_domain;
	struct vcpu *v = d ? domain_vcpu(d, 0) : NULL;

	if (v)
		virq_send_vcpu(v, virq);
	spin_unlock_irqrestore(&virq_lock, flags);
}

static int change_handler(u32 virq, struct domain *from, struct domain *to)
{
	u64 flags = spin_lock_irqsave(&virq_lock);
	struct domain *old = virq_handlers[virq];
	int rc = (from && old != from) || (to && to->is_dying) ? -EINVAL : 0;

	if (!rc) {
		if (to)
			domain_ref(to);
		virq_handlers[virq] = to;
	}
	spin_unlock_irqrestore(&virq_lock, flags);
	if (!rc && old)
		domain_put(old);
	return rc;
}

int virq_set_handler(struct domain *d, u32 virq)
{
	if (virq >= NR_VIRQS || !virq_is_global(virq))
		return -EINVAL;
	return change_handler((u32)index_nospec(virq, NR_VIRQS), NULL, d);
}

void virq_forget_handler(struct domain *d)
{
	for (u32 virq = 0; virq < NR_VIRQS; virq++)
		(void)!change_handler(virq, d, NULL);
}

void evtchn_send_pirq(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_of(d, port);
	u64 flags;

	if (!chn)
		return;
	flags = spin_lock_irqsave(&chn->lock);
	/* RESERVED: evtchn_bind_pirq() has not finished. A stale port number can find it so too: a spurious event at worst. */
	if (chn->state == EVTCHN_PIRQ || chn->state == EVTCHN_RESERVED)
		evtchn_deliver(d, chn);
	spin_unlock_irqrestore(&chn->lock, flags);
}
