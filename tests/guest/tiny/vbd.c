/* SPDX-License-Identifier: MIT */
/* A hostile block frontend, against the stock kernel's backend: <xen/io/blkif.h>. */
#include "tiny/frontend.h"
#include "tiny/tiny.h"

#define xen_mb() barrier()
#define xen_wmb() barrier()
#include <xen/io/blkif.h>

#define DEVICE	"device/vbd/51712"
#define REF	8		/* the ring; the buffers follow */
#define BUFFERS	4
#define SLOTS	32

static char pages[2][PAGE_SIZE] __attribute__((aligned(4096)));
static char buffers[BUFFERS][PAGE_SIZE] __attribute__((aligned(4096)));
static struct blkif_sring *ring;
static struct frontend vbd = { .path = DEVICE };
static u32 produced;

/*
 * Another page each time: late responses would make nonsense of the new indices, and Linux's backend, which then refuses the
 * ring, complains in its log (WARN in xen_blkif_disconnect()) of a count that is wrong by its own doing.
 */
static void offer_ring(void)
{
	static u32 times;

	ring = (void *)pages[times++ % 2];
	memset(ring, 0, PAGE_SIZE);
	SHARED_RING_INIT(ring);
	produced = 0;
	grant(REF, ring);
	for (u32 i = 0; i < BUFFERS; i++)
		grant(REF + 1 + i, buffers[i]);
	frontend_number(&vbd, "ring-ref", REF);
}

static void initialise(void)
{
	offer_ring();
	frontend_event(&vbd);
	frontend_write(&vbd, "protocol", "x86_64-abi");
	frontend_state(&vbd, XenbusStateInitialised);
}

static void connect(void)
{
	initialise();
	frontend_await(&vbd, XenbusStateConnected);
	frontend_state(&vbd, XenbusStateConnected);
}

static struct blkif_request *next(void)
{
	return &ring->ring[produced++ % SLOTS].req;
}

static void push(void)
{
	barrier();
	WRITE_ONCE(ring->req_prod, produced);
	notify(vbd.port);
}

/* As many requests as there is room for, all as they should be: reads of the disk's first sectors. */
static void fill(void)
{
	while (produced - READ_ONCE(ring->rsp_prod) < SLOTS) {
		struct blkif_request *r = next();

		*r = (struct blkif_request){ .operation = BLKIF_OP_READ, .nr_segments = BUFFERS, .id = produced };
		for (u32 i = 0; i < BUFFERS; i++)
			r->seg[i] = (struct blkif_request_segment){ .gref = REF + 1 + i, .last_sect = 7 };
	}
	push();
}

void vbd_nowhere(void)
{
	frontend_number(&vbd, "ring-ref", 0xfffffff0);
	frontend_number(&vbd, "event-channel", 0x7fffffff);
	frontend_write(&vbd, "protocol", "x86_64-abi");
	frontend_state(&vbd, XenbusStateInitialised);
	say("vbd-nowhere");
	frontend_write(&vbd, "ring-ref", "not a number");
	frontend_write(&vbd, "event-channel", "");
	frontend_write(&vbd, "protocol", "sparc");
	frontend_write(&vbd, "state", "99");
	frontend_write(&vbd, "backend", "/local/domain/0");
}

void vbd_half(void)
{
	offer_ring();
	frontend_state(&vbd, XenbusStateInitialised);
	die();
}

void vbd_initialised(void)
{
	initialise();
	die();
}

void vbd_connected(void)
{
	initialise();
	frontend_await(&vbd, XenbusStateConnected);
	die();
}

void vbd_busy(void)
{
	connect();
	fill();
	die();
}

void vbd_closing(void)
{
	connect();
	fill();
	frontend_state(&vbd, XenbusStateClosing);
	die();
}

void vbd_restless(void)
{
	for (u32 n = 0;; n++) {
		connect();
		fill();
		frontend_state(&vbd, XenbusStateClosed);
		if (n == 5)
			say("vbd-restless");
		frontend_await(&vbd, XenbusStateClosed);
		frontend_state(&vbd, XenbusStateInitialising);
		frontend_await(&vbd, XenbusStateInitWait);
	}
}

void vbd_garbage(void)
{
	connect();
	for (u32 n = 0;; n++) {
		u32 *words = (u32 *)next();

		for (u32 i = 0; i < sizeof(struct blkif_request) / sizeof(u32); i++)
			words[i] = noise();
		/* Some that come further: an operation that there is, references that are valid, a small number of segments. */
		if (n & 1)
			words[0] = (noise() % 7) | (noise() % 16) << 8;
		for (u32 i = 0; (n & 2) && i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++)
			((struct blkif_request *)words)->seg[i].gref = REF + noise() % (BUFFERS + 2);
		if (n % 8 == 7)
			push();
		while (produced - READ_ONCE(ring->rsp_prod) >= SLOTS && n < 500)
			wait_events_briefly();
		if (n == 500)
			say("vbd-garbage");
	}
}

void vbd_indices(void)
{
	connect();
	fill();
	say("vbd-indices");
	for (;;) {
		u32 r = noise();

		WRITE_ONCE(ring->req_prod, r);
		if (r & 1)
			WRITE_ONCE(ring->rsp_prod, noise());
		if (r & 2)
			WRITE_ONCE(ring->req_event, noise());
		if (r & 4)
			WRITE_ONCE(ring->rsp_event, noise());
		notify(vbd.port);
	}
}

void vbd_grants(void)
{
	connect();
	for (u32 n = 0;; n++) {
		for (u32 i = 0; i < BUFFERS; i++)
			grant(REF + 1 + i, buffers[i]);
		fill();
		grant_mischief();
		if (n == 200)
			say("vbd-grants");
	}
}
