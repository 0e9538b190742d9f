/* SPDX-License-Identifier: MIT */
/*
 * Event channels: the FIFO ABI. Source: <xen/event_channel.h>.
 *
 * The guest gives pages of 32-bit event words, one per port, and one control block per vCPU with the heads of sixteen queues. A
 * pending unmasked event is LINKED into the queue of its vCPU and priority: the head, or the last event's word, names its port. The guest
 * takes events off the head; the hypervisor adds at the tail, which only it knows.
 *
 * Everything in those pages can change at any time to anything. Hence no value read there is used other than as bits of a word; the tail is a port
 * number of ours, looked up in our array; and the one loop that waits for the guest to leave a word alone gives up. A guest
 * that scribbles loses its own events.
 *
 * A queue is guarded by the fifo_lock of its vCPU; at most one such lock is held at a time. What makes the tail right:
 *
 *   (1) If tail == P for a queue Q, then P->last_queue == Q. last_queue changes only under the lock of the queue it names, and
 *       then the tail of that queue is cleared if it was P.
 *   (2) LINKED of P is set under the lock of P->last_queue. So who holds the lock of Q and finds that the word of tail(Q) is LINKED
 *       knows that the tail is in Q's queue and the guest has not taken it off: it can be linked to. Else the queue is empty, and the
 *       new event becomes the head.
 *   (3) Who sets LINKED also enqueues the port; for everybody else there is nothing to do.
 */
#include <ipc/evtchn_port.h>
#include <lib/errno.h>
#include <memory/audit.h>
#include <memory/heap.h>
#include <memory/xmalloc.h>

#define PENDING		(1u << EVTCHN_FIFO_PENDING)
#define MASKED		(1u << EVTCHN_FIFO_MASKED)
#define LINKED		(1u << EVTCHN_FIFO_LINKED)
#define BUSY		(1u << EVTCHN_FIFO_BUSY)
#define LINK_MASK	((1u << EVTCHN_FIFO_LINK_BITS) - 1)

#define BUSY_AFTER	4	/* failed attempts before the guest is asked to wait */
#define APPEND_TRIES	64	/* attempts in all */
#define MOVE_TRIES	8	/* other CPUs may move the port to other queues that often */

/* The port's event word; NULL while the guest's array does not reach it. */
static event_word_t *word_of(struct evtchn_fifo *fifo, u32 port)
{
	u32 page = port / FIFO_WORDS_PER_PAGE;

	if (unlikely(page >= atomic_load(&fifo->pages)))
		return NULL;
	return fifo->page[index_nospec(page, FIFO_MAX_PAGES)] + port % FIFO_WORDS_PER_PAGE;
}

/* --- queues ------------------------------------------------------------------------------------------------------------------- */

/* Make the last event's word name the port. False when the guest has taken that event off the queue, or does not let us. */
static bool append(event_word_t *tail, u32 port)
{
	event_word_t w = READ_ONCE(*tail);
	bool busy = false;

	for (unsigned i = 0; (w & LINKED) && i < APPEND_TRIES; i++) {
		if (i == BUSY_AFTER) {
			w = atomic_fetch_or(tail, BUSY) | BUSY;
			busy = true;
		} else if (atomic_try_cmpxchg(tail, &w, (w & ~(LINK_MASK | BUSY)) | port)) {
			return true;
		}
	}
	if (busy)
		atomic_fetch_and(tail, ~BUSY);
	return false;
}

/* Put a port, whose LINKED we have set, at the end of the queue. The queue's lock is held. */
static void enqueue(struct evtchn_fifo *fifo, struct vcpu *v, u32 priority, u32 port)
{
	struct evtchn_vcpu *ev = v->evtchn;
	u32 tail = ev->tail[priority];
	event_word_t *word = tail && tail != port ? word_of(fifo, tail) : NULL;	/* our own word is LINKED, but not by being queued */

	ev->tail[priority] = port;
	if (word && append(word, port))
		return;
	WRITE_ONCE(ev->control->head[priority], port);
	if (!(atomic_fetch_or(&ev->control->ready, 1u << priority) & 1u << priority))
		evtchn_mark_pending(v);
}

/* Link the port into the queue that it belongs to now, unless it is linked. */
static void link_port(struct domain *d, struct evtchn_fifo *fifo, struct evtchn *chn, event_word_t *word)
{
	struct vcpu *v = d->vcpus[READ_ONCE(chn->vcpu)], *old;
	u32 priority = READ_ONCE(chn->priority), queue = v->id << 4 | priority, last;

	if (unlikely(!atomic_load(&v->evtchn->control)))
		return;		/* the guest has not set this vCPU up: the event stays pending, unseen */
	for (unsigned i = 0; i < MOVE_TRIES; i++) {
		last = READ_ONCE(chn->last_queue);
		old = d->vcpus[last >> 4];
		spin_lock(&old->evtchn->fifo_lock);
		if (likely(chn->last_queue == last))
			goto locked;
		spin_unlock(&old->evtchn->fifo_lock);
	}
	return;
locked:
	if (atomic_fetch_or(word, LINKED) & LINKED) {
		spin_unlock(&old->evtchn->fifo_lock);
		return;
	}
	if (unlikely(queue != last)) {
		if (old->evtchn->tail[last & 15] == chn->port)
			old->evtchn->tail[last & 15] = 0;
		WRITE_ONCE(chn->last_queue, queue);
	}
	if (unlikely(old != v)) {
		spin_unlock(&old->evtchn->fifo_lock);
		spin_lock(&v->evtchn->fifo_lock);
	}
	enqueue(fifo, v, priority, chn->port);
	spin_unlock(&v->evtchn->fifo_lock);
}

/* --- operations --------------------------------------------------------------------------------------------------------------- */

bool evtchn_fifo_set_pending(struct domain *d, struct evtchn_fifo *fifo, struct evtchn *chn)
{
	event_word_t *word = word_of(fifo, chn->port), was;

	if (unlikely(!word)) {
		/* Remember it. expand_array adds its page first and looks at `early` then, so one of us sees the other. */
		if (atomic_xchg(&chn->early, true))
			return false;
		word = word_of(fifo, chn->port);
		if (!word || !atomic_xchg(&chn->early, false))
			return !word;
	}
	was = atomic_fetch_or(word, PENDING);
	if (!(was & (MASKED | LINKED)))
		link_port(d, fifo, chn, word);
	return !(was & PENDING);
}

void evtchn_fifo_unmask(struct domain *d, struct evtchn_fifo *fifo, struct evtchn *chn)
{
	event_word_t *word = word_of(fifo, chn->port);

	if (word && (atomic_fetch_and(word, ~MASKED) & (PENDING | LINKED)) == PENDING)
		link_port(d, fifo, chn, word);
}

bool evtchn_fifo_is_pending(struct evtchn_fifo *fifo, const struct evtchn *chn)
{
	event_word_t *word = word_of(fifo, chn->port);

	return word ? READ_ONCE(*word) & PENDING : READ_ONCE(chn->early);
}

void evtchn_fifo_clear_pending(struct evtchn_fifo *fifo, const struct evtchn *chn)
{
	event_word_t *word = word_of(fifo, chn->port);

	if (word)
		atomic_fetch_and(word, ~PENDING);
}

bool evtchn_fifo_is_linked(struct evtchn_fifo *fifo, const struct evtchn *chn)
{
	event_word_t *word = word_of(fifo, chn->port);

	return word && READ_ONCE(*word) & LINKED;
}

/* --- set-up ------------------------------------------------------------------------------------------------------------------- */

/* Switch over: what is pending in the old bitmap arrives as soon as the array reaches it. */
static void switch_to_fifo(struct domain *d, struct evtchn_fifo *fifo)
{
	struct evtchn_domain *ed = d->evtchn;

	for (u32 port = 1; port < ed->valid && port < EVTCHN_2L_NR_CHANNELS; port++) {
		struct evtchn *chn = evtchn_of(d, port);

		if (chn->state != EVTCHN_FREE && test_bit(port, d->shared_info->evtchn_pending))
			atomic_store(&chn->early, true);
	}
	atomic_store(&ed->fifo, fifo);
}

int evtchn_fifo_init_control(struct domain *d, u32 vcpu, u64 gfn, u32 offset)
{
	struct vcpu *v = domain_vcpu(d, vcpu);
	struct evtchn_domain *ed = d->evtchn;
	struct evtchn_fifo_control_block *control;
	struct evtchn_fifo *fifo;
	u64 flags;
	int rc;

	if (!v)
		return -ENOENT;
	if (offset > PAGE_SIZE - sizeof(*control) || offset % 8)
		return -EINVAL;
	fifo = xnew(struct evtchn_fifo);
	if (!fifo)
		return -ENOMEM;
	rc = frame_get_writable(mfn(gfn), d);
	if (rc) {
		xfree(fifo);
		return rc;
	}
	control = (void *)((u8 *)mfn_to_virt(mfn(gfn)) + offset);

	flags = spin_lock_irqsave(&ed->lock);
	if (v->evtchn->control || d->is_dying) {
		rc = -EINVAL;
	} else {
		*control = (struct evtchn_fifo_control_block){ 0 };
		if (!ed->fifo) {
			switch_to_fifo(d, fifo);
			fifo = NULL;
		}
		atomic_store(&v->evtchn->control, control);
	}
	spin_unlock_irqrestore(&ed->lock, flags);

	xfree(fifo);
	if (rc)
		frame_put_writable(mfn(gfn));
	return rc;
}

/* Deliver what came for the ports of a page before the page did. */
static void deliver_early(struct domain *d, u32 page)
{
	u32 first = page * FIFO_WORDS_PER_PAGE;

	for (u32 port = first; port < first + FIFO_WORDS_PER_PAGE; port++) {
		struct evtchn *chn = evtchn_of(d, port);
		u64 flags;

		if (!chn || !READ_ONCE(chn->early))
			continue;
		flags = spin_lock_irqsave(&chn->lock);
		if (evtchn_usable(chn) && atomic_xchg(&chn->early, false))
			evtchn_deliver(d, chn);
		spin_unlock_irqrestore(&chn->lock, flags);
	}
}

int evtchn_fifo_expand_array(struct domain *d, u64 gfn)
{
	struct evtchn_domain *ed = d->evtchn;
	struct evtchn_fifo *fifo;
	u32 page = 0;
	u64 flags;
	int rc = frame_get_writable(mfn(gfn), d);

	if (rc)
		return rc;
	flags = spin_lock_irqsave(&ed->lock);
	fifo = ed->fifo;
	if (!fifo) {
		rc = -EOPNOTSUPP;
	} else if (fifo->pages == FIFO_MAX_PAGES) {
		rc = -ENOSPC;
	} else if (d->is_dying) {
		rc = -EINVAL;
	} else {
		page = fifo->pages;
		fifo->page[page] = mfn_to_virt(mfn(gfn));
		atomic_store(&fifo->pages, page + 1);
	}
	spin_unlock_irqrestore(&ed->lock, flags);
	if (rc) {
		frame_put_writable(mfn(gfn));
		return rc;
	}
	smp_mb();
	deliver_early(d, page);
	return 0;
}

int evtchn_set_priority(struct domain *d, u32 port, u32 priority)
{
	struct evtchn *chn = evtchn_of(d, port);
	int rc = 0;
	u64 flags;

	if (!chn)
		return -EINVAL;
	if (!READ_ONCE(d->evtchn->fifo))
		return -ENOSYS;
	if (priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -EINVAL;
	flags = spin_lock_irqsave(&chn->lock);
	if (evtchn_usable(chn))
		chn->priority = (u8)priority;
	else
		rc = -EACCES;
	spin_unlock_irqrestore(&chn->lock, flags);
	return rc;
}

struct evtchn_fifo *evtchn_fifo_detach(struct domain *d)
{
	struct evtchn_fifo *fifo = d->evtchn->fifo;

	for_each_vcpu(d, v)
		if (atomic_load(&v->evtchn->old_control))
			return NULL;
	if (!fifo)
		return NULL;
	atomic_store(&d->evtchn->fifo, NULL);
	for_each_vcpu(d, v) {
		struct evtchn_vcpu *ev = v->evtchn;

		atomic_store(&ev->old_control, ev->control);
		ev->control = NULL;
		for (unsigned i = 0; i < EVTCHN_FIFO_MAX_QUEUES; i++)
			ev->tail[i] = 0;
	}
	return fifo;
}

void evtchn_fifo_release(struct domain *d, struct evtchn_fifo *fifo)
{
	for_each_vcpu(d, v) {
		struct evtchn_fifo_control_block *control = v->evtchn->old_control;

		if (!control)
			continue;
		frame_put_writable(virt_to_mfn(control));
		atomic_store(&v->evtchn->old_control, NULL);
	}
	for (u32 i = 0; i < fifo->pages; i++)
		frame_put_writable(virt_to_mfn(fifo->page[i]));
	xfree(fifo);
}

static void report_references(void)
{
	struct domain *d;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d)) {
		struct evtchn_fifo *fifo = d->evtchn ? d->evtchn->fifo : NULL;

		for (u32 i = 0; fifo && i < fifo->pages; i++)
			audit_type(virt_to_mfn(fifo->page[i]), FRAME_WRITABLE);
		for_each_vcpu(d, v)
			if (v->evtchn && v->evtchn->control)
				audit_type(virt_to_mfn(v->evtchn->control), FRAME_WRITABLE);
	}
}

AUDIT_SOURCE(fifo_audit, "event queues", report_references);
