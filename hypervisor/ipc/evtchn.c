/* SPDX-License-Identifier: MIT */
/*
 * Event channels: the port table, closing, and the theory.
 *
 * A domain's ports are structs in pages that are added on demand and freed with the domain only, so a pointer to a port stays valid as
 * long as the domain does. There are two kinds of lock, both taken with interrupts off:
 *
 *   table lock (one per domain)	free ports, growth, FIFO set-up and tear-down
 *   port lock				state and binding of one port
 *
 * Order: table lock, port lock, second port lock (the one at the higher address), FIFO lock of a vCPU. Nothing that can take long, and no call into
 * pirq code, happens under any of them.
 *
 * Life of a port: FREE -> RESERVED (evtchn_port_alloc) -> bound by whoever reserved it -> RESERVED (by who closes it) -> FREE. RESERVED
 * belongs to one thread, which may let go of all locks; everybody else treats the port as closed. FREE <-> RESERVED changes under
 * the table lock, everything else under the port lock.
 *
 * A connection is a pair of ports that point at each other, each holding a reference to the other's domain. It is made and broken
 * with both port locks held. Hence who holds one of the two locks and sees INTERDOMAIN may use the other port: a sender takes only the
 * lock of its own port, and no lock of the receiving domain. A receiver's state outlives the sender's use of it:
 *   - the domain and the port, because the connection holds a reference;
 *   - the FIFO pages and queues, because they go only under the table lock with no port active, and a port stops being
 *     active after its closer has had the locks of both ends.
 * For VIRQs, pirqs, IPIs and unmasking the receiving port's own lock does the same.
 *
 * A dying domain: is_dying is set first, evtchn_port_alloc() looks at it under the table lock, so when the sweep of relinquish has found
 * no active port there never will be one again.
 */
#include <core/console.h>
#include <core/panic.h>
#include <core/softirq.h>
#include <ipc/evtchn_port.h>
#include <ipc/pirq.h>
#include <lib/errno.h>
#include <memory/heap.h>
#include <memory/xmalloc.h>

#define SWEEP_BATCH	64	/* ports closed between two looks at the clock */
#define BUSY_TRIES	64	/* ports looked at for one that the guest has done with */

u64 evtchn_lock_pair(struct evtchn *a, struct evtchn *b)
{
	u64 flags = spin_lock_irqsave(a < b ? &a->lock : &b->lock);

	spin_lock_nested(a < b ? &b->lock : &a->lock);
	return flags;
}

void evtchn_unlock_pair(struct evtchn *a, struct evtchn *b, u64 flags)
{
	spin_unlock(a < b ? &b->lock : &a->lock);
	spin_unlock_irqrestore(a < b ? &a->lock : &b->lock, flags);
}

/* --- the table ---------------------------------------------------------------------------------------------------------------- */

/* The table lock is held for all of these. */
static u64 *free_word(struct evtchn_domain *ed, u32 bucket)
{
	return &ed->free[bucket / BUCKETS_PER_GROUP][bucket % BUCKETS_PER_GROUP];
}

static void mark_free(struct evtchn_domain *ed, u32 port)
{
	*free_word(ed, port / EVTCHN_PER_BUCKET) |= BIT(port % EVTCHN_PER_BUCKET);
	bitmap_set(ed->has_free, port / EVTCHN_PER_BUCKET);
}

static void mark_taken(struct evtchn_domain *ed, u32 port)
{
	u64 *word = free_word(ed, port / EVTCHN_PER_BUCKET);

	*word &= ~BIT(port % EVTCHN_PER_BUCKET);
	if (!*word)
		bitmap_clear(ed->has_free, port / EVTCHN_PER_BUCKET);
}

/* The lowest free port >= from; 0: none. */
static u32 next_free(struct evtchn_domain *ed, u32 from)
{
	size_t bucket = bitmap_find_next(ed->has_free, EVTCHN_BUCKETS, from / EVTCHN_PER_BUCKET);
	u64 word = 0;

	if (bucket == from / EVTCHN_PER_BUCKET) {
		word = *free_word(ed, (u32)bucket) & ~0UL << from % EVTCHN_PER_BUCKET;
		if (!word)
			bucket = bitmap_find_next(ed->has_free, EVTCHN_BUCKETS, bucket + 1);
	}
	if (bucket >= EVTCHN_BUCKETS)
		return 0;
	if (!word)
		word = *free_word(ed, (u32)bucket);
	return (u32)(bucket * EVTCHN_PER_BUCKET) + (u32)__builtin_ctzl(word);
}

/* The ABI in use decides how many ports there may be. */
static u32 port_limit(const struct evtchn_domain *ed)
{
	return ed->fifo ? ed->limit : min(ed->limit, (u32)EVTCHN_2L_NR_CHANNELS);
}

/* Memory for growing: allocating may flush TLBs, so it is done without locks, before they are needed. */
struct spare_pages { void *group, *free, *bucket; };

static bool spare_fill(struct spare_pages *spare)
{
	if (!spare->group)
		spare->group = xcalloc(BUCKETS_PER_GROUP, sizeof(struct evtchn *));
	if (!spare->free)
		spare->free = xcalloc(BUCKETS_PER_GROUP, sizeof(u64));
	if (!spare->bucket)
		spare->bucket = alloc_page_zeroed();
	return spare->group && spare->free && spare->bucket;
}

static void spare_drop(struct spare_pages *spare)
{
	xfree(spare->group);
	xfree(spare->free);
	if (spare->bucket)
		free_page(spare->bucket);
}

static void init_bucket(struct evtchn *ports, u32 first)
{
	for (u32 i = 0; i < EVTCHN_PER_BUCKET; i++) {
		spinlock_init(&ports[i].lock, LOCK_EVTCHN_PORT, "event channel");
		ports[i].port = first + i;
	}
}

/* More ports: the rest of a bucket, or a new one. The table lock is held. -EAGAIN: with spare pages. */
static int grow(struct domain *d, struct spare_pages *spare)
{
	struct evtchn_domain *ed = d->evtchn;
	u32 from = ed->valid, first = ALIGN_DOWN(from, (u32)EVTCHN_PER_BUCKET), g = first / EVTCHN_PER_GROUP;
	u32 end = min(first + (u32)EVTCHN_PER_BUCKET, port_limit(ed));
	struct evtchn **bucket;

	if (from >= port_limit(ed))
		return -ENOSPC;
	if (!ed->group[g]) {
		if (!spare->group || !spare->free)
			return -EAGAIN;
		ed->group[g] = spare->group;
		ed->free[g] = spare->free;
		spare->group = spare->free = NULL;
	}
	bucket = &ed->group[g][first % EVTCHN_PER_GROUP / EVTCHN_PER_BUCKET];
	if (!*bucket) {
		if (!spare->bucket)
			return -EAGAIN;
		init_bucket(spare->bucket, first);
		*bucket = spare->bucket;
		spare->bucket = NULL;
	}
	atomic_store(&ed->valid, end);
	for (u32 port = max(from, 1u); port < end; port++)
		mark_free(ed, port);
	return 0;
}

/* The lowest free port that the guest has no longer in a queue. The table lock is held. */
static struct evtchn *take_idle_port(struct domain *d)
{
	struct evtchn_domain *ed = d->evtchn;
	u32 port = 0;

	for (unsigned i = 0; i < BUSY_TRIES; i++) {
		struct evtchn *chn;

		port = next_free(ed, port + 1);
		if (!port)
			return NULL;
		chn = evtchn_of(d, port);
		if (!ed->fifo || !evtchn_fifo_is_linked(ed->fifo, chn)) {
			mark_taken(ed, port);
			return chn;
		}
	}
	return NULL;
}

/* The table lock is held. */
static int reserve(struct domain *d, struct spare_pages *spare, struct evtchn **out)
{
	struct evtchn *chn;
	int rc;

	if (d->is_dying)
		return -EINVAL;
	chn = take_idle_port(d);
	if (!chn) {
		rc = grow(d, spare);
		if (rc)
			return rc;
		chn = take_idle_port(d);
		if (!chn)
			return -ENOSPC;
	}
	chn->state = EVTCHN_RESERVED;
	chn->vcpu = 0;
	chn->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	chn->early = false;
	d->evtchn->active++;
	*out = chn;
	return 0;
}

int evtchn_port_alloc(struct domain *d, struct evtchn **out)
{
	struct evtchn_domain *ed = d->evtchn;
	struct spare_pages spare = { 0 };
	int rc;

	for (;;) {
		u64 flags = spin_lock_irqsave(&ed->lock);

		rc = reserve(d, &spare, out);
		spin_unlock_irqrestore(&ed->lock, flags);
		if (rc != -EAGAIN)
			break;
		if (!spare_fill(&spare)) {
			rc = -ENOMEM;
			break;
		}
	}
	spare_drop(&spare);
	return rc;
}

static void clear_pending(struct domain *d, struct evtchn *chn)
{
	struct evtchn_fifo *fifo = d->evtchn->fifo;

	if (fifo)
		evtchn_fifo_clear_pending(fifo, chn);
	else if (chn->port < EVTCHN_2L_NR_CHANNELS)
		clear_bit(chn->port, d->shared_info->evtchn_pending);
}

void evtchn_port_free(struct domain *d, struct evtchn *chn)
{
	struct evtchn_domain *ed = d->evtchn;
	u64 flags = spin_lock_irqsave(&ed->lock);

	/* Waits for an interrupt that is being delivered to a port not yet or no longer bound. */
	spin_lock(&chn->lock);
	BUG_ON(chn->state != EVTCHN_RESERVED);
	clear_pending(d, chn);
	chn->state = EVTCHN_FREE;
	mark_free(ed, chn->port);
	spin_unlock(&chn->lock);
	ed->active--;
	spin_unlock_irqrestore(&ed->lock, flags);
}

/* --- closing ------------------------------------------------------------------------------------------------------------------ */

/* What has to be undone outside the locks once a port is RESERVED. */
struct closed { u8 state; u32 pirq; struct domain *peer; };

/* Take a port that is not connected from its user, under its lock. -EAGAIN: it is connected. */
static int detach_single(struct domain *d, struct evtchn *chn, struct closed *was)
{
	struct vcpu *v;

	if (!evtchn_usable(chn))
		return -EINVAL;
	*was = (struct closed){ .state = chn->state };
	switch (chn->state) {
	case EVTCHN_INTERDOMAIN:
		return -EAGAIN;
	case EVTCHN_VIRQ:
		v = d->vcpus[virq_is_global(chn->u.virq) ? 0 : chn->vcpu];
		atomic_store(&v->evtchn->virq_port[chn->u.virq], 0);
		break;
	case EVTCHN_PIRQ:
		was->pirq = chn->u.pirq;
		break;
	}
	chn->state = EVTCHN_RESERVED;
	return 0;
}

/* Break the connection with this port of rd, if it is still there. */
static bool disconnect(struct domain *d, struct evtchn *chn, struct domain *rd, struct evtchn *peer, struct closed *was)
{
	u64 flags = evtchn_lock_pair(chn, peer);
	bool connected = chn->state == EVTCHN_INTERDOMAIN && chn->u.peer.chn == peer;

	if (connected) {
		peer->u.remote_domid = d->id;
		peer->state = EVTCHN_UNBOUND;
		chn->state = EVTCHN_RESERVED;
		was->peer = rd;
	}
	evtchn_unlock_pair(chn, peer, flags);
	return connected;
}

/* Take the port from its user. -EINVAL when it has none. */
static int detach(struct domain *d, struct evtchn *chn, struct closed *was)
{
	for (bool done = false; !done;) {
		struct domain *rd = NULL;
		struct evtchn *peer = NULL;
		u64 flags = spin_lock_irqsave(&chn->lock);
		int rc = detach_single(d, chn, was);

		if (rc == -EAGAIN) {
			rd = chn->u.peer.domain;
			peer = chn->u.peer.chn;
			domain_ref(rd);	/* for while no lock keeps the connection */
		}
		spin_unlock_irqrestore(&chn->lock, flags);
		if (!rd)
			return rc;
		done = disconnect(d, chn, rd, peer, was);
		domain_put(rd);
	}
	return 0;
}

int evtchn_close(struct domain *d, u32 port)
{
	struct evtchn *chn = evtchn_of(d, port);
	struct closed was;
	int rc;

	if (!chn)
		return -EINVAL;
	rc = detach(d, chn, &was);
	if (rc)
		return rc;
	if (was.state == EVTCHN_PIRQ)
		pirq_unbind(d, was.pirq);
	evtchn_port_free(d, chn);
	if (was.state == EVTCHN_INTERDOMAIN) {
		domain_put(was.peer);	/* held by our port */
		domain_put(d);		/* held by the peer's */
	}
	return 0;
}

/* Close every port from ed->sweep on. -ERESTART when something else waits for this CPU. */
static int close_all(struct domain *d, bool start)
{
	struct evtchn_domain *ed = d->evtchn;
	u32 port = start ? 1 : READ_ONCE(ed->sweep);

	for (u32 n = 1; port < READ_ONCE(ed->valid); port++, n++) {
		(void)!evtchn_close(d, port);
		if (n % SWEEP_BATCH == 0 && softirq_pending()) {
			WRITE_ONCE(ed->sweep, port + 1);
			return -ERESTART;
		}
	}
	WRITE_ONCE(ed->sweep, 1);
	return 0;
}

/* Under the table lock with no port active: forget the ports that only the FIFO ABI can have. */
static void back_to_2level(struct domain *d)
{
	struct evtchn_domain *ed = d->evtchn;

	/* The limit is a whole number of buckets, or the domain has never had more ports. */
	for (u32 bucket = port_limit(ed) / EVTCHN_PER_BUCKET; bucket * EVTCHN_PER_BUCKET < ed->valid && ed->valid > port_limit(ed); bucket++) {
		*free_word(ed, bucket) = 0;
		bitmap_clear(ed->has_free, bucket);
	}
	atomic_store(&ed->valid, min(ed->valid, port_limit(ed)));
}

int evtchn_reset(struct domain *d, bool start)
{
	struct evtchn_domain *ed = d->evtchn;
	struct evtchn_fifo *fifo = NULL;
	int rc = close_all(d, start);
	u64 flags;

	if (rc)
		return rc;
	flags = spin_lock_irqsave(&ed->lock);
	if (ed->active) {
		rc = -EAGAIN;
	} else if (ed->fifo) {
		fifo = evtchn_fifo_detach(d);
		if (fifo)
			back_to_2level(d);
		else
			rc = -EAGAIN;
	}
	spin_unlock_irqrestore(&ed->lock, flags);
	if (fifo)
		evtchn_fifo_release(d, fifo);
	return rc;
}

/* --- life cycle --------------------------------------------------------------------------------------------------------------- */

static int create(struct domain *d)
{
	struct evtchn_domain *ed = xnew(struct evtchn_domain);
	u32 max_port = d->limits.evtchn_port ?: EVTCHN_FIFO_NR_CHANNELS - 1;

	if (!ed)
		return -ENOMEM;
	spinlock_init(&ed->lock, LOCK_EVTCHN, "event channels");
	ed->limit = min(max_port, EVTCHN_FIFO_NR_CHANNELS - 1u) + 1;
	ed->sweep = 1;
	d->evtchn = ed;
	return 0;
}

static int vcpu_create_hook(struct vcpu *v)
{
	struct evtchn_vcpu *ev = xnew(struct evtchn_vcpu);

	if (!ev)
		return -ENOMEM;
	spinlock_init(&ev->fifo_lock, LOCK_EVTCHN_FIFO, "event queue");
	v->evtchn = ev;
	return 0;
}

static int relinquish(struct domain *d)
{
	int rc;

	virq_forget_handler(d);
	/* A port that somebody is just binding on the domain's behalf is found at the next call. */
	rc = evtchn_reset(d, false);
	return rc == -EAGAIN ? -ERESTART : rc;
}

static void vcpu_destroy_hook(struct vcpu *v)
{
	xfree(v->evtchn);
	v->evtchn = NULL;
}

static void destroy(struct domain *d)
{
	struct evtchn_domain *ed = d->evtchn;

	if (!ed)
		return;
	BUG_ON(ed->active || ed->fifo);
	for (unsigned g = 0; g < EVTCHN_GROUPS && ed->group[g]; g++) {
		for (unsigned b = 0; b < BUCKETS_PER_GROUP && ed->group[g][b]; b++)
			free_page(ed->group[g][b]);
		xfree(ed->group[g]);
		xfree(ed->free[g]);
	}
	xfree(ed);
	d->evtchn = NULL;
}

DOMAIN_MODULE(evtchn_module) = {
	.name = "evtchn", .order = MODULE_EVTCHN,
	.create = create, .vcpu_create = vcpu_create_hook,
	.relinquish = relinquish, .vcpu_destroy = vcpu_destroy_hook, .destroy = destroy,
};

static void console_has_input(void) { virq_send_global(VIRQ_CONSOLE); }

static void domain_died(struct domain *d)
{
	/* Whoever waits for it to suspend itself has asked to be told along a channel. */
	if (d && d->suspend_port)
		(void)!evtchn_send_anywhere(d, d->suspend_port);
	virq_send_global(VIRQ_DOM_EXC);
}

void evtchn_init(void)
{
	console_input_notify = console_has_input;
	domain_died_hook = domain_died;
}
