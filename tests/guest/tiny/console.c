/* SPDX-License-Identifier: MIT */
/* The guest's end of the console ring: <xen/io/console.h>. */
#include "tiny/tiny.h"

#include <xen/io/console.h>

static char window[PAGE_SIZE] __attribute__((aligned(4096)));
static struct xencons_interface *const ring = (void *)window;
static u32 port;
static bool present;

void console_init(u64 mfn, u32 event)
{
	if (!mfn || !event)
		return;
	map_frame(window, mfn);
	present = true;
	port = event;
}

static void put(char c)
{
	u32 prod = ring->out_prod;

	while (prod - READ_ONCE(ring->out_cons) >= sizeof(ring->out)) {
		notify(port);
		wait_events();
	}
	ring->out[MASK_XENCONS_IDX(prod, ring->out)] = c;
	barrier();
	WRITE_ONCE(ring->out_prod, prod + 1);
}

void console_write(const char *text)
{
	if (!present)
		return;
	for (; *text; text++) {
		if (*text == '\n')
			put('\r');
		put(*text);
	}
	notify(port);
}

int console_read(void)
{
	u32 cons = ring->in_cons;
	char c;

	if (!present || cons == READ_ONCE(ring->in_prod))
		return -1;
	barrier();
	c = ring->in[MASK_XENCONS_IDX(cons, ring->in)];
	barrier();
	WRITE_ONCE(ring->in_cons, cons + 1);
	notify(port);
	return (u8)c;
}

void console_corrupt(void)
{
	while (present) {
		u32 r = noise();

		WRITE_ONCE(ring->out_prod, r);
		if (r & 1)
			WRITE_ONCE(ring->out_cons, r * 69069);
		if (r & 2)
			WRITE_ONCE(ring->in_cons, r * 1664525);
		if (r & 4)
			WRITE_ONCE(ring->in_prod, r * 22695477);
		notify(port);
	}
}
