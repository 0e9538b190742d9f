/* SPDX-License-Identifier: MIT */
/* A hostile client of the store: <xen/io/xs_wire.h>. */
#include "tiny/tiny.h"

#include <xen/io/xs_wire.h>

void store_indices(void)
{
	u32 port;
	struct xenstore_domain_interface *ring = store_ring(&port);

	say("store-indices");
	while (ring) {
		u32 r = noise();

		WRITE_ONCE(ring->req_prod, r);
		if (r & 1)
			WRITE_ONCE(ring->req_cons, noise());
		if (r & 2)
			WRITE_ONCE(ring->rsp_cons, noise());
		if (r & 4)
			WRITE_ONCE(ring->rsp_prod, noise());
		if (r & 8)
			WRITE_ONCE(ring->connection, XENSTORE_RECONNECT);
		if (r & 16)
			WRITE_ONCE(ring->connection, noise());
		notify(port);
	}
}

/* "data/f/N" */
static void numbered(char *path, u32 n)
{
	char digits[11];
	u32 len = 0;

	memcpy(path, "data/f/", 7);
	path += 7;
	do
		digits[len++] = (char)('0' + n % 10);
	while (n /= 10);
	while (len)
		*path++ = digits[--len];
	*path = 0;
}

void store_flood(void)
{
	static char value[2049];
	char path[24];
	u32 refused = 0;

	memset(value, 'x', sizeof(value) - 1);
	for (u32 n = 0;; n++) {
		numbered(path, n);
		value[noise() % (sizeof(value) - 1)] = (char)noise() | 1;
		refused += store_write(path, value) != 0;
		refused += store_watch(path) != 0;
		refused += store_begin() != 0;
		if (refused >= 1000) {
			say("store-flood");
			refused = 0;
			n = 0;
		}
	}
}

static void send_head(u32 type, u32 len)
{
	struct xsd_sockmsg head = { .type = type, .len = len };

	store_send(&head, sizeof(head));
}

void store_deaf(void)
{
	u32 port;

	if (!store_ring(&port))
		return;
	say("store-deaf");
	for (;;) {
		send_head(XS_DIRECTORY, 2);
		store_send(".", 2);
		notify(port);
	}
}

void store_header(void)
{
	static const u32 type = XS_WRITE;
	u32 port;

	if (!store_ring(&port))
		return;
	store_send(&type, sizeof(type));
	notify(port);
	die();
}

void store_body(void)
{
	u32 port;

	if (!store_ring(&port))
		return;
	send_head(XS_WRITE, XENSTORE_PAYLOAD_MAX);
	store_send("data/half", 10);
	notify(port);
	die();
}

void store_long(void)
{
	u32 port;
	struct xenstore_domain_interface *ring = store_ring(&port);

	for (u32 n = 0; ring; n++) {
		send_head(XS_WRITE, n & 1 ? ~0u : XENSTORE_PAYLOAD_MAX + 1);
		notify(port);
		while (READ_ONCE(ring->error) == XENSTORE_ERROR_NONE)
			wait_events_briefly();
		if (n == 100)
			say("store-long");
		WRITE_ONCE(ring->connection, XENSTORE_RECONNECT);
		notify(port);
		while (READ_ONCE(ring->connection) != XENSTORE_CONNECTED)
			wait_events_briefly();
	}
}
