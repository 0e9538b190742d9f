/* SPDX-License-Identifier: MIT */
/* Clients that talk through a ring in shared memory: guests, and Domain 0's own kernel. */
#ifndef STORED_RING_H
#define STORED_RING_H

#include <stored/conn.h>
#include <stored/xen.h>

/*
 * The peer may write anything into the page at any time, and may stop at any point. Each byte of it is read once, into `in`;
 * indices are kept here, and the page's are compared with them.
 *
 * The daemon may end at any point, too. What counts is the state file: a request's effects, its reply and the consumer index
 * behind it are one group in it. Only afterwards are the reply put into the page and the indices moved. Who reads the file later
 * moves them to where they belong: the consumer index is the file's, and of the output that the file has, what lies before the
 * page's producer index is in the page already.
 */
struct ring {
	struct conn c;
	u64 gfn;
	u32 port;		/* the peer's */
	int local;		/* ours; -1: none */
	struct xenstore_domain_interface *page;	/* NULL: not attached */
	bool granted;
	bool own;		/* Domain 0's kernel's */
	bool kick;		/* notify the peer even if the page does not change */
	bool resumed;		/* from the state file: the indices below are known */
	bool broken;		/* corrupt: left alone until the peer connects anew */
	u32 req_cons;		/* requests before it are done with */
	u32 rsp_prod;		/* of the first byte in c.out */
	u32 in_len;		/* bytes of the next request in `in` … */
	u32 in_held;		/* … of which so many lie before req_cons: the request is larger than the ring */
	char in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
};

/* The domain's ring, if it has one. */
struct ring *ring_of(const struct domain *d);
/* Give a domain its ring; -EINVAL: it cannot be reached. */
int ring_open(struct domain *d, u64 gfn, u32 port);
/* The same ring with a new event channel; -EINVAL: another ring. */
int ring_rebind(struct domain *d, u64 gfn, u32 port);
/* Take it away, with its watches and transactions. */
void ring_close(struct domain *d);

/* For load.c: a ring that is not attached yet; and attach them all, Domain 0's included, which is made if there is none. */
struct ring *ring_new(struct domain *d, u64 gfn, u32 port);
void rings_attach(void);
/* An event on a local port. */
void ring_event(int local);
/* Index of the byte that will be put into the output next. */
u32 ring_output_end(const struct ring *r);

#endif
