/* SPDX-License-Identifier: MIT */
/* Test kernels run as ordinary domains. */
#include "lib/domu.h"
#include "lib/audit.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>

int domu_start(struct dom *d, const struct image *image, unsigned vcpus)
{
	char cmdline[16];
	int rc;

	/* No limits of ports; and pages given back that are still in use somewhere count. */
	dom_max_port = 131071;
	dom_spare_pages = 1024;
	rc = dom_create(d, vcpus, DOMU_PAGES);

	if (rc)
		return rc;
	format(cmdline, sizeof(cmdline), "domid=%u", d->id);
	rc = dom_build(d, image, cmdline);
	if (!rc)
		rc = (int)domctl_simple(XEN_DOMCTL_unpausedomain, d->id);
	if (rc)
		dom_destroy(d);
	return rc;
}

void domu_finish(struct dom *d)
{
	CHECK_EQ(dom_wait_shutdown(d, 2 * PATIENCE), SHUTDOWN_poweroff);
	dom_drain_console(d);
	CHECK_GE(d->passed, 1);
	CHECK_EQ(d->failed, 0);
	CHECK_EQ(dom_destroy(d), 0);
}

void domu_run(const struct image *image, unsigned vcpus)
{
	static struct dom d;
	long before = free_pages_stable();

	REQUIRE_EQ(domu_start(&d, image, vcpus), 0);
	domu_finish(&d);
	check_no_loss(before);
	CHECK_LT(audit(), 1);
}
