/* SPDX-License-Identifier: MIT */
/* A device's nodes in the store, as its frontend sees them. */
#include "tiny/frontend.h"
#include "tiny/tiny.h"
#include "lib/hypercall.h"

#include <xen/event_channel.h>

static void join(char out[96], const char *path, const char *what)
{
	size_t n = strlen(path);

	memcpy(out, path, n);
	out[n] = '/';
	memcpy(out + n + 1, what, strlen(what) + 1);
}

void frontend_write(struct frontend *f, const char *what, const char *value)
{
	char path[96];

	join(path, f->path, what);
	store_write(path, value);
}

void frontend_number(struct frontend *f, const char *what, u32 value)
{
	char text[11];
	u32 at = sizeof(text) - 1;

	text[at] = 0;
	do
		text[--at] = (char)('0' + value % 10);
	while (value /= 10);
	frontend_write(f, what, text + at);
}

void frontend_state(struct frontend *f, enum xenbus_state state)
{
	frontend_number(f, "state", state);
}

void frontend_event(struct frontend *f)
{
	struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = 0 };

	if (HCALL(event_channel_op, EVTCHNOP_alloc_unbound, &a))
		die();
	f->port = a.port;
	frontend_number(f, "event-channel", a.port);
}

void frontend_await(struct frontend *f, enum xenbus_state state)
{
	char path[96], value[80];

	if (!f->backend[0]) {
		join(path, f->path, "backend");
		if (store_read(path, value, sizeof(value)))
			die();
		join(f->backend, value, "state");
		store_watch(f->backend);
	}
	while (store_read(f->backend, value, sizeof(value)) || value[0] != (char)('0' + state))
		store_wait();
}
