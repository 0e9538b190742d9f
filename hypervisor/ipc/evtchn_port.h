/* SPDX-License-Identifier: MIT */
/* Event channels from the inside: ports, the port table, the two ABIs. For ipc/evtchn*.c only; the theory is in evtchn.c. */
#ifndef IPC_EVTCHN_PORT_H
#define IPC_EVTCHN_PORT_H

#include <ipc/evtchn.h>
#include <lib/bitmap.h>
#include <x86/cr.h>

enum evtchn_state {
	EVTCHN_FREE,
	EVTCHN_RESERVED,	/* taken, being bound or closed by whoever took it; nobody else may use it */
	EVTCHN_UNBOUND, EVTCHN_INTERDOMAIN, EVTCHN_PIRQ, EVTCHN_VIRQ, EVTCHN_IPI,
};

/* One port, of 64 bytes: a cache line. Field letters: (p) port lock, (t) table lock, (a) atomic, (q) see evtchn_fifo.c. */
struct evtchn {
	struct spinlock lock;
	u32 port;		/* (c) */
	u32 last_queue;		/* (q) vCPU << 4 | priority of the queue it was last linked to */
	u16 vcpu;		/* (p) vCPU to notify; read without the lock by a sender */
	u8 state;		/* (p) enum evtchn_state; (t) between FREE and RESERVED */
	u8 priority;		/* (p) read without the lock by a sender */
	bool early;		/* (a) pending, but the FIFO event array does not reach it yet */
	union {			/* (p) */
		u16 remote_domid;	/* UNBOUND: who may connect */
		struct {		/* INTERDOMAIN */
			struct domain *domain;	/* holds a reference */
			struct evtchn *chn;
		} peer;
		u32 pirq, virq;
	} u;
} __aligned(64);

#define EVTCHN_PER_BUCKET	(PAGE_SIZE / sizeof(struct evtchn))
#define EVTCHN_BUCKETS		(EVTCHN_FIFO_NR_CHANNELS / EVTCHN_PER_BUCKET)
#define BUCKETS_PER_GROUP	64u	/* small, since most domains have one group with one bucket */
#define EVTCHN_PER_GROUP	(EVTCHN_PER_BUCKET * BUCKETS_PER_GROUP)
#define EVTCHN_GROUPS		(EVTCHN_BUCKETS / BUCKETS_PER_GROUP)
_Static_assert(EVTCHN_PER_BUCKET == 64, "one word says which ports of a bucket are free");

#define FIFO_WORDS_PER_PAGE	(PAGE_SIZE / sizeof(event_word_t))
#define FIFO_MAX_PAGES		(EVTCHN_FIFO_NR_CHANNELS / FIFO_WORDS_PER_PAGE)

/* The event array of a domain that uses the FIFO ABI. */
struct evtchn_fifo {
	u32 pages;				/* (t) grows only; read anywhere */
	event_word_t *page[FIFO_MAX_PAGES];	/* each holds a writable reference to the guest's frame */
};

struct evtchn_domain {
	struct spinlock lock;		/* the table lock (t) */
	struct evtchn **group[EVTCHN_GROUPS];	/* (t) pointers to pages of ports (buckets); grow only */
	u64 *free[EVTCHN_GROUPS];	/* (t) for each bucket of the group the set of its FREE ports, … */
	DECLARE_BITMAP(has_free, EVTCHN_BUCKETS);	/* (t) … and the buckets where it is not empty */
	u32 valid;			/* (t) ports 1..valid-1 exist; read anywhere */
	u32 limit;			/* (c) no port >= limit, whatever the ABI */
	u32 active;			/* (t) ports that are not FREE */
	u32 sweep;			/* (t) next port that evtchn_reset() closes */
	struct evtchn_fifo *fifo;	/* (t) NULL: 2-level ABI. Changes to NULL only while no port is active */
};

struct evtchn_vcpu {
	u32 virq_port[NR_VIRQS];	/* (a) 0: not bound */
	u32 poll_port;			/* (o) SCHEDOP_poll: a port, or 0 for any; has a meaning while VPF_POLL is set */
	struct spinlock fifo_lock;	/* guards what follows, and the guest's queues of this vCPU */
	struct evtchn_fifo_control_block *control;	/* in a guest frame with a writable reference; NULL: none */
	struct evtchn_fifo_control_block *old_control;	/* (a) one that evtchn_fifo_detach() has taken out of use */
	u32 tail[EVTCHN_FIFO_MAX_QUEUES];	/* port last added to each queue; 0: none */
};

/* The port, or NULL when there is none with this number (0 never is one). Any context; the pointer stays valid with the domain. */
static inline struct evtchn *evtchn_of(const struct domain *d, u32 port)
{
	const struct evtchn_domain *ed = d->evtchn;
	u32 valid = atomic_load(&ed->valid);

	if (unlikely(!port || port >= valid))
		return NULL;
	port = (u32)index_nospec(port, valid);
	return ed->group[port / EVTCHN_PER_GROUP][port % EVTCHN_PER_GROUP / EVTCHN_PER_BUCKET] + port % EVTCHN_PER_BUCKET;
}

/* Has the port an owner who can use it? Under its lock. */
static inline bool evtchn_usable(const struct evtchn *chn) { return chn->state > EVTCHN_RESERVED; }

/* Is the VIRQ one per domain, held by vCPU 0's table? */
static inline bool virq_is_global(u32 virq)
{
	return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

/* evtchn.c: take the lowest free port (state RESERVED), give one back (state RESERVED before). Both without locks held. */
int __must_check evtchn_port_alloc(struct domain *d, struct evtchn **out);
void evtchn_port_free(struct domain *d, struct evtchn *chn);
/* Lock two different ports. Returns the interrupt flags for the counterpart. */
u64 __must_check evtchn_lock_pair(struct evtchn *a, struct evtchn *b);
void evtchn_unlock_pair(struct evtchn *a, struct evtchn *b, u64 flags);

/*
 * evtchn_send.c: set the port pending and tell its vCPU. Under the lock of the port, or of its peer while they are
 * connected; interrupts off.
 */
void evtchn_deliver(struct domain *d, struct evtchn *chn);
/* Tell the vCPU that it has events. */
void evtchn_mark_pending(struct vcpu *v);

/* evtchn_fifo.c: the FIFO half of these, the caller having found a domain with d->evtchn->fifo. */
/* Returns whether the port was not pending before. */
bool evtchn_fifo_set_pending(struct domain *d, struct evtchn_fifo *fifo, struct evtchn *chn);
void evtchn_fifo_unmask(struct domain *d, struct evtchn_fifo *fifo, struct evtchn *chn);
bool evtchn_fifo_is_pending(struct evtchn_fifo *fifo, const struct evtchn *chn);
void evtchn_fifo_clear_pending(struct evtchn_fifo *fifo, const struct evtchn *chn);
/* Is the port still in one of the guest's queues, so that it should not be given out again yet? */
bool evtchn_fifo_is_linked(struct evtchn_fifo *fifo, const struct evtchn *chn);
/*
 * Back to the 2-level ABI, in two steps. detach, under the table lock, no port active: NULL when there is no FIFO, or what was detached last
 * is not yet released (then d->evtchn->fifo stays). release what it returned without locks, since frames may go to the heap.
 */
struct evtchn_fifo *evtchn_fifo_detach(struct domain *d);
void evtchn_fifo_release(struct domain *d, struct evtchn_fifo *fifo);

#endif
