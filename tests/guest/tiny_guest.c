/* SPDX-License-Identifier: MIT */
/* The tiny guest in 4 MiB, with a store that we play: it comes up, marks itself up, obeys, and survives a store that lies. */
#include "lib/domain.h"
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/io/console.h>
#include <xen/io/xs_wire.h>
#include <xen/sched.h>

EMBED(tiny_image, "tiny.elf");

static struct dom d;
static struct xenstore_domain_interface *ring;
static const char *shutdown_value;	/* of control/shutdown */
static bool up_seen, watch_seen, acknowledged;
static char request[512];

/* A message, if all of it is there. */
static bool receive(struct xsd_sockmsg *head)
{
	u32 have = READ_ONCE(ring->req_prod) - ring->req_cons;

	if (have < sizeof(*head))
		return false;
	for (u32 i = 0; i < sizeof(*head); i++)
		((char *)head)[i] = ring->req[MASK_XENSTORE_IDX(ring->req_cons + i)];
	if (have < sizeof(*head) + head->len || head->len >= sizeof(request))
		return false;
	for (u32 i = 0; i < head->len; i++)
		request[i] = ring->req[MASK_XENSTORE_IDX(ring->req_cons + sizeof(*head) + i)];
	request[head->len] = 0;
	barrier();
	WRITE_ONCE(ring->req_cons, ring->req_cons + sizeof(*head) + head->len);
	return true;
}

static void send(const struct xsd_sockmsg *head, const char *payload)
{
	for (u32 i = 0; i < sizeof(*head) + head->len; i++)
		ring->rsp[MASK_XENSTORE_IDX(ring->rsp_prod + i)] = i < sizeof(*head) ? ((const char *)head)[i] : payload[i - sizeof(*head)];
	barrier();
	WRITE_ONCE(ring->rsp_prod, ring->rsp_prod + sizeof(*head) + head->len);
}

static void answer(struct xsd_sockmsg *head)
{
	const char *value = "OK", *written = request + strlen(request) + 1;

	switch (head->type) {
	case XS_READ:
		value = !strncmp(request, "name", 5) ? "small" : shutdown_value;
		break;
	case XS_WRITE:
		if (!strncmp(request, "data/tiny", 10))
			up_seen = !strncmp(written, "up", 3);
		if (!strncmp(request, "control/shutdown", 17))
			acknowledged = !*written;
		break;
	case XS_WATCH:
		watch_seen = !strncmp(request, "control/shutdown", 17);
		break;
	}
	head->len = (u32)strlen(value) + (head->type != XS_READ);
	send(head, value);
}

static void fire(void)
{
	static const char event[] = "control/shutdown\0t";
	struct xsd_sockmsg head = { .type = XS_WATCH_EVENT, .len = sizeof(event) };

	send(&head, event);
}

/* Plays the store and the console until the condition is true. */
#define SERVE_UNTIL(port, cond) ({						\
	u64 end_ = now() + PATIENCE;						\
	bool met_;								\
	while (!(met_ = (cond)) && now() < end_) {				\
		struct xsd_sockmsg head_;					\
		if (receive(&head_)) {						\
			answer(&head_);						\
			event_send((u32)(port));				\
		}								\
		dom_drain_console(&d);						\
		block_until(now() + MSEC / 2);					\
	}									\
	met_; })

static long start(const char *cmdline)
{
	long port;

	if (dom_create(&d, 1, 1024) || dom_build(&d, &tiny_image, cmdline))
		return -1;
	ring = d.store;
	up_seen = watch_seen = acknowledged = false;
	shutdown_value = "";
	port = event_bind_interdomain(d.id, d.store_port);
	if (domctl_simple(XEN_DOMCTL_unpausedomain, d.id))
		return -1;
	return port;
}

static void finish(long port)
{
	CHECK_EQ(dom_destroy(&d), 0);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(comes_up)
{
	long port = start("");

	REQUIRE(port > 0);
	CHECK(SERVE_UNTIL(port, up_seen && watch_seen));
	CHECK_EQ(dom_flags(d.id) & XEN_DOMINF_shutdown, 0);
	finish(port);
}

TEST(obeys_the_store)
{
	static const struct {
		const char *value;
		int reason;
	} orders[] = { { "poweroff", SHUTDOWN_poweroff }, { "halt", SHUTDOWN_poweroff }, { "reboot", SHUTDOWN_reboot } };

	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		long port = start("");

		REQUIRE(port > 0);
		CHECK(SERVE_UNTIL(port, up_seen));
		/* A watch fires when it is set; nothing is asked then. */
		fire();
		event_send((u32)port);
		SERVE_UNTIL(port, ring->req_cons == ring->req_prod);
		shutdown_value = orders[i].value;
		fire();
		event_send((u32)port);
		CHECK(SERVE_UNTIL(port, dom_shutdown_reason(d.id) >= 0));
		CHECK(acknowledged);
		CHECK_EQ(dom_shutdown_reason(d.id), orders[i].reason);
		finish(port);
	}
}

TEST(obeys_its_command_line)
{
	long port = start("console=hvc0 crash");

	REQUIRE(port > 0);
	CHECK(SERVE_UNTIL(port, dom_shutdown_reason(d.id) >= 0));
	CHECK_EQ(dom_shutdown_reason(d.id), SHUTDOWN_crash);
	finish(port);
}

TEST(obeys_its_console)
{
	static const char typed[] = "nonsense\rpoweroff\r";
	long port = start(""), console;
	u32 prod;

	REQUIRE(port > 0);
	console = event_bind_interdomain(d.id, d.console_port);
	CHECK(SERVE_UNTIL(port, up_seen));
	prod = d.console->in_prod;
	for (unsigned i = 0; typed[i]; i++)
		d.console->in[MASK_XENCONS_IDX(prod + i, d.console->in)] = typed[i];
	barrier();
	WRITE_ONCE(d.console->in_prod, prod + (u32)sizeof(typed) - 1);
	event_send((u32)console);
	CHECK(SERVE_UNTIL(port, dom_shutdown_reason(d.id) >= 0));
	CHECK_EQ(dom_shutdown_reason(d.id), SHUTDOWN_poweroff);
	event_close((u32)console);
	finish(port);
}

TEST(floods_its_console)
{
	/* For ever; nobody reads. It waits, and everybody else goes on. */
	long port = start("flood");

	REQUIRE(port > 0);
	CHECK(WAIT_FOR(READ_ONCE(d.console->out_prod) - d.console->out_cons == sizeof(d.console->out), PATIENCE));
	d.console->out_cons += 1000;
	CHECK_EQ(dom_shutdown_reason(d.id), -1);
	finish(port);
}
