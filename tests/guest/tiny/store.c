/* SPDX-License-Identifier: MIT */
/* A client of the store, one request at a time: <xen/io/xs_wire.h>. */
#include "tiny/tiny.h"

#include <xen/io/xs_wire.h>

static char window[PAGE_SIZE] __attribute__((aligned(4096)));
static struct xenstore_domain_interface *const ring = (void *)window;
static u32 port;
static bool present, fired;
static char payload[XENSTORE_PAYLOAD_MAX + 1];

void store_init(u64 mfn, u32 event)
{
	if (!mfn || !event)
		return;
	map_frame(window, mfn);
	port = event;
	present = true;
}

struct xenstore_domain_interface *store_ring(u32 *event)
{
	*event = port;
	return present ? ring : NULL;
}

void store_send(const void *data, u32 len)
{
	for (const char *p = data; len; p++, len--) {
		u32 prod = ring->req_prod;

		while (prod - READ_ONCE(ring->req_cons) >= XENSTORE_RING_SIZE) {
			notify(port);
			wait_events();
		}
		ring->req[MASK_XENSTORE_IDX(prod)] = *p;
		barrier();
		WRITE_ONCE(ring->req_prod, prod + 1);
	}
}

static void receive(void *data, u32 len)
{
	for (char *p = data; len; p++, len--) {
		u32 cons = ring->rsp_cons;

		while (cons == READ_ONCE(ring->rsp_prod))
			wait_events();
		barrier();
		*p = ring->rsp[MASK_XENSTORE_IDX(cons)];
		barrier();
		WRITE_ONCE(ring->rsp_cons, cons + 1);
	}
	notify(port);
}

/* One message into payload; its type. */
static u32 receive_message(void)
{
	struct xsd_sockmsg head;
	u32 keep;

	receive(&head, sizeof(head));
	keep = head.len < XENSTORE_PAYLOAD_MAX ? head.len : XENSTORE_PAYLOAD_MAX;
	receive(payload, keep);
	payload[keep] = 0;
	if (head.type == XS_WATCH_EVENT)
		fired = true;
	return head.type;
}

/* Sends path (with its end) and value, and waits for the answer, which stays in payload. */
static int request(u32 type, const char *path, const char *value, u32 value_len)
{
	u32 path_len = (u32)strlen(path) + 1, answer;
	struct xsd_sockmsg head = { .type = type, .len = path_len + value_len };

	if (!present)
		return -1;
	store_send(&head, sizeof(head));
	store_send(path, path_len);
	store_send(value, value_len);
	notify(port);
	do
		answer = receive_message();
	while (answer == XS_WATCH_EVENT);
	return answer == type ? 0 : -1;
}

int store_write(const char *path, const char *value)
{
	return request(XS_WRITE, path, value, (u32)strlen(value));
}

int store_read(const char *path, char *value, u32 len)
{
	u32 n = 0;

	value[0] = 0;
	if (request(XS_READ, path, NULL, 0))
		return -1;
	for (; n < len - 1 && payload[n]; n++)
		value[n] = payload[n];
	value[n] = 0;
	return 0;
}

int store_watch(const char *path)
{
	return request(XS_WATCH, path, "t", 2);
}

int store_begin(void)
{
	return request(XS_TRANSACTION_START, "", NULL, 0);
}

void store_wait(void)
{
	while (!store_watch_fired())
		wait_events();
}

bool store_watch_fired(void)
{
	bool was;

	while (present && ring->rsp_cons != READ_ONCE(ring->rsp_prod))
		receive_message();
	was = fired;
	fired = false;
	return was;
}
