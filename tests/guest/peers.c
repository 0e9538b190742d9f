/* SPDX-License-Identifier: MIT */
/* Another domain beside us: it is made, runs, answers, has memory we can see, and goes without a trace. */
#include "lib/audit.h"
#include "lib/event.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/version.h>

static struct peer a, b;

TEST(first)
{
	/* What the hypervisor keeps from the first time on is not lost memory. */
	REQUIRE_EQ(peer_start(&a, 1), 0);
	CHECK_EQ(peer_destroy(&a), 0);
	CHECK_EQ(dom_flags(peer_id(&a)), 0);
}

TEST(starts_and_answers)
{
	long before = free_pages_stable();
	u64 va, *view;

	REQUIRE_EQ(peer_start(&a, 1), 0);
	CHECK_EQ(PEER_CALL(&a, xen_version, XENVER_version, 0), 4 << 16 | 17);
	va = peer_alloc(&a, 0);
	CHECK_EQ(peer_write(&a, va, 0x1234), VEC_NONE);
	CHECK_EQ(peer_read(&a, va), 0x1234);
	CHECK_EQ(peer_write(&a, 0x1000, 1), VEC_PF);
	view = foreign_map(peer_id(&a), peer_mfn(&a, va), true);
	if (CHECK(view != NULL)) {
		CHECK_EQ(READ_ONCE(*view), 0x1234);
		WRITE_ONCE(*view, 0x4321);
		CHECK_EQ(peer_read(&a, va), 0x4321);
		foreign_unmap(view);
	}
	CHECK_EQ(peer_destroy(&a), 0);
	check_no_loss(before);
}

TEST(two_with_several_vcpus)
{
	long before = free_pages_stable();

	REQUIRE_EQ(peer_start(&a, 3), 0);
	REQUIRE_EQ(peer_start(&b, 2), 0);
	CHECK_NE(peer_id(&a), peer_id(&b));
	for (u32 i = 0; i < 3; i++) {
		peer_post(&a, i, PEER_HCALL, __HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);
		CHECK_EQ(peer_wait(&a, i), 4 << 16 | 17);
	}
	CHECK_EQ(peer_destroy(&a), 0);
	CHECK_EQ(PEER_CALL(&b, xen_version, XENVER_version, 0), 4 << 16 | 17);
	CHECK_EQ(peer_destroy(&b), 0);
	check_no_loss(before);
}

TEST(shuts_down)
{
	static const u8 reasons[] = { SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_crash };
	long before = free_pages_stable();

	for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
		REQUIRE_EQ(peer_start(&a, 1), 0);
		peer_post(&a, 0, PEER_EXIT, reasons[i], 0, 0, 0, 0, 0);
		CHECK_EQ(dom_wait_shutdown(&a.dom, PATIENCE), reasons[i]);
		CHECK_EQ(peer_destroy(&a), 0);
		CHECK_EQ(dom_flags(peer_id(&a)), 0);
	}
	check_no_loss(before);
}
