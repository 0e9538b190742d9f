/* SPDX-License-Identifier: MIT */
/* Domain 0's own memory. */
#include <errno.h>
#include <lib/small_file.h>
#include <lodged/dom0.h>
#include <lodged/nodes.h>
#include <stdlib.h>
#include <xen/version.h>

/* What the kernel counts as its own, which its target refers to: not to the page the same as what the hypervisor counts. */
#define CURRENT_FILE	"/sys/devices/system/xen_memory/xen_memory0/info/current_kb"
#define PAGE_KIB	4
#define MIN_DEFAULT_KIB	(256 << 10)

static uint64_t min_kib;

int dom0_init(const struct conf *c, struct hv *hv, struct err *e)
{
	xen_commandline_t line;
	struct xen_sysctl_physinfo info;
	int rc = hv_physinfo(hv, &info);

	if (c->dom0_min_kib != CONF_DOM0_MIN_AUTO) {
		min_kib = c->dom0_min_kib == CONF_DOM0_MIN_OFF ? PLAN_KEEPS : c->dom0_min_kib;
		return 0;
	}
	if (!rc)
		rc = hv_version(hv, XENVER_commandline, line, sizeof(line));
	if (rc < 0)
		return session_hv_error(e, rc, "its command line");
	line[sizeof(line) - 1] = '\0';
	min_kib = plan_min_of(line, info.total_pages * PAGE_KIB);
	if (!min_kib)
		min_kib = MIN_DEFAULT_KIB;
	if (min_kib < DOM0_LEAST_KIB)
		min_kib = DOM0_LEAST_KIB;
	return 0;
}

uint64_t dom0_min_kib(void)
{
	return min_kib;
}

static int has_kib(struct session *s, uint64_t *kib, struct err *e)
{
	xen_domctl_getdomaininfo_t info;
	char text[32];
	int rc;

	small_file_read(CURRENT_FILE, text, sizeof(text));
	*kib = strtoull(text, NULL, 10);
	if (*kib)
		return 0;
	rc = hv_domain_info(s->hv, (uint16_t)nodes_backend(), &info);
	*kib = info.tot_pages * PAGE_KIB;
	return rc ? session_hv_error(e, rc, "Domain 0's memory") : 0;
}

int dom0_look(struct session *s, struct memory_figures *f, struct err *e)
{
	char meminfo[4096];
	int rc = has_kib(s, &f->dom0_kib, e);

	if (rc)
		return rc;
	rc = store_read_u64(s->store, &f->target_kib, DOM0_TARGET_PATH, nodes_backend());
	if (rc == -ENOENT || rc == -EINVAL)
		f->target_kib = f->dom0_kib;	/* nobody has set one */
	else if (rc)
		return session_store_error(e, rc, "Domain 0's memory");
	small_file_read("/proc/meminfo", meminfo, sizeof(meminfo));
	f->least_kib = min_kib == PLAN_KEEPS ? PLAN_KEEPS : plan_least(f->dom0_kib, plan_available(meminfo), min_kib);
	return 0;
}

void dom0_put_target(struct store_batch *b, uint64_t kib)
{
	store_batch_write_u64(b, kib, DOM0_TARGET_PATH, nodes_backend());
}
