/* SPDX-License-Identifier: MIT */
/* The fuzz kernel in two ordinary domains at once, with a well-behaved one and us beside them; one is killed on the way. */
#include "lib/audit.h"
#include "lib/domu.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/version.h>

EMBED(fuzz_image, "fuzz.img");

static struct dom a, b;
static struct peer quiet;

TEST(first)
{
	REQUIRE_EQ(peer_start(&quiet, 1), 0);
	CHECK_EQ(peer_destroy(&quiet), 0);
}

TEST(killed_at_work)
{
	long before = free_pages_stable();

	for (unsigned i = 0; i < 3; i++) {
		REQUIRE_EQ(domu_start(&a, &fuzz_image, 2), 0);
		for (u64 end = now() + (i + 1) * 700 * MSEC; now() < end;) {
			dom_drain_console(&a);
			block_until(now() + 10 * MSEC);
		}
		CHECK_EQ(dom_destroy(&a), 0);
		check_no_loss(before);
		CHECK_LT(audit(), 1);
	}
}

TEST(two_at_once)
{
	long before = free_pages_stable();
	u64 end = now() + 2 * PATIENCE, va;

	REQUIRE_EQ(peer_start(&quiet, 1), 0);
	va = peer_alloc(&quiet, 0);
	REQUIRE_EQ(domu_start(&a, &fuzz_image, 2), 0);
	REQUIRE_EQ(domu_start(&b, &fuzz_image, 1), 0);
	for (u64 n = 0; now() < end && (dom_shutdown_reason(a.id) < 0 || dom_shutdown_reason(b.id) < 0); n++) {
		CHECK_EQ(peer_write(&quiet, va, n), VEC_NONE);
		CHECK_EQ(peer_read(&quiet, va), n);
		dom_drain_console(&a);
		dom_drain_console(&b);
		block_until(now() + 5 * MSEC);
	}
	CHECK_EQ(PEER_CALL(&quiet, xen_version, XENVER_version, 0), 4 << 16 | 17);
	domu_finish(&a);
	domu_finish(&b);
	CHECK_EQ(peer_destroy(&quiet), 0);
	check_no_loss(before);
	CHECK_LT(audit(), 1);
}
