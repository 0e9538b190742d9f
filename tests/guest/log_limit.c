/* SPDX-License-Identifier: MIT */
/* A guest cannot fill the console and the log with messages about itself: guest_loglvl=none/all lets them through at a limited rate. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sysctl.h>

#define FLOOD		20000
#define BURST		10
#define PER_SECOND	2
#define NO_MSR		0x12345678

static char ring[64 << 10];
static u32 ring_len;

static void read_ring(void)
{
	static struct xen_sysctl op;

	op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_readconsole, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
	op.u.readconsole.count = sizeof(ring);
	set_xen_guest_handle(op.u.readconsole.buffer, ring);
	ring_len = HCALL(sysctl, &op) ? 0 : op.u.readconsole.count;
}

/* How often the text is in the ring. */
static unsigned occurrences(const char *text)
{
	unsigned n = 0, len = 0;

	while (text[len])
		len++;
	for (u32 at = 0; at + len <= ring_len; at++)
		n += !memcmp(ring + at, text, len);
	return n;
}

static void refused(void)
{
	u32 lo, hi;

	CHECK_TRAP(VEC_GP, asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(NO_MSR)));
}

TEST(flood)
{
	u64 start = now(), seconds;
	unsigned lines;

	for (unsigned i = 0; i < FLOOD; i++)
		refused();
	seconds = (now() - start) / SEC + 1;
	read_ring();
	REQUIRE(ring_len > 0);
	lines = occurrences("0x12345678");
	print("  %u messages in %lu s\n", lines, seconds);
	CHECK_GE(lines, 1);
	/* In a bucket that was full. */
	CHECK_LT(lines, BURST + PER_SECOND * seconds + 1);
	/* The next one that passes says how many did not. */
	CHECK(WAIT_FOR(({ refused(); read_ring(); occurrences(" messages suppressed)"); }), PATIENCE));
}
