/* SPDX-License-Identifier: MIT */
/* The life of domains that a test makes, and mappings of their memory. */
#include "lib/domain.h"
#include "lib/event.h"
#include "lib/print.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#define FOREIGN_VA (SCRATCH_VA + (1ul << 40))
#define FOREIGN_SLOTS 512

u32 dom_max_port = 1023, dom_spare_pages = 16;

long domctl(u32 cmd, u32 id, struct xen_domctl *op)
{
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = (domid_t)id;
	return HCALL(domctl, op);
}

long domctl_simple(u32 cmd, u32 id)
{
	struct xen_domctl op = { 0 };

	return domctl(cmd, id, &op);
}

void dom_config(struct xen_domctl *op, u32 vcpus)
{
	memset(op, 0, sizeof(*op));
	op->u.createdomain.max_vcpus = vcpus ? vcpus : 1;
	op->u.createdomain.max_evtchn_port = dom_max_port;
	op->u.createdomain.max_grant_frames = 8;
	op->u.createdomain.max_maptrack_frames = 8;
	op->u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(2);
	op->u.createdomain.handle[0] = 0x42;
}

static int populate(struct dom *d, u32 pages)
{
	struct xen_memory_reservation r = { .nr_extents = pages, .domid = (domid_t)d->id };
	struct xen_domctl op = { .u.max_mem.max_memkb = (pages + dom_spare_pages) * 4 };
	long rc;

	if (!pages)
		return 0;
	rc = domctl(XEN_DOMCTL_max_mem, d->id, &op);
	if (rc)
		return (int)rc;
	for (u32 i = 0; i < pages; i++)
		d->p2m[i] = i;
	set_xen_guest_handle(r.extent_start, d->p2m);
	rc = HCALL(memory_op, XENMEM_populate_physmap, &r);
	if (rc != pages)
		return rc < 0 ? (int)rc : -XEN_ENOMEM;
	d->nr_pages = pages;
	return 0;
}

int dom_create(struct dom *d, u32 vcpus, u32 pages)
{
	static struct xen_domctl op;
	long rc;

	memset(d, 0, sizeof(*d));
	d->passed = d->failed = -1;
	if (pages > DOM_MAX_PAGES)
		return -XEN_E2BIG;
	dom_config(&op, vcpus);
	rc = domctl(XEN_DOMCTL_createdomain, 0, &op);
	if (rc)
		return (int)rc;
	d->id = op.domain;
	if (vcpus) {
		op.u.max_vcpus.max = vcpus;
		rc = domctl(XEN_DOMCTL_max_vcpus, d->id, &op);
	}
	if (!rc)
		rc = populate(d, pages);
	if (!rc)
		rc = domctl(XEN_DOMCTL_getdomaininfo, d->id, &op);
	d->shared_mfn = op.u.getdomaininfo.shared_info_frame;
	if (rc)
		dom_destroy(d);
	return (int)rc;
}

int dom_start(struct dom *d, const struct image *image, const char *cmdline, u32 vcpus, u32 pages)
{
	int rc = dom_create(d, vcpus, pages);

	if (rc)
		return rc;
	rc = dom_build(d, image, cmdline);
	if (!rc)
		rc = (int)domctl_simple(XEN_DOMCTL_unpausedomain, d->id);
	if (rc)
		dom_destroy(d);
	return rc;
}

void dom_forget(struct dom *d)
{
	if (d->console)
		foreign_unmap(d->console);
	if (d->store)
		foreign_unmap(d->store);
	d->console = d->store = NULL;
}

int dom_destroy(struct dom *d)
{
	dom_forget(d);
	return (int)domctl_simple(XEN_DOMCTL_destroydomain, d->id);
}

u32 dom_flags(u32 id)
{
	struct xen_domctl op = { 0 };

	return domctl(XEN_DOMCTL_getdomaininfo, id, &op) || op.domain != id ? 0 : op.u.getdomaininfo.flags;
}

int dom_shutdown_reason(u32 id)
{
	u32 flags = dom_flags(id);

	return flags & XEN_DOMINF_shutdown ? (int)(flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask) : -1;
}

/* "GUEST-DONE passed=N failed=N" is for us: printed, it would end our own run. */
static void take_line(struct dom *d)
{
	const char *p = d->line, *done = "GUEST-DONE passed=";
	s32 n[2] = { 0, 0 };

	d->line[d->line_len] = 0;
	d->line_len = 0;
	if (strncmp(p, done, strlen(done))) {
		print("  d%u: %s\n", d->id, d->line);
		return;
	}
	p += strlen(done);
	for (unsigned i = 0; i < 2; i++) {
		for (; *p >= '0' && *p <= '9'; p++)
			n[i] = n[i] * 10 + (*p - '0');
		while (*p && (*p < '0' || *p > '9'))
			p++;
	}
	d->passed = n[0];
	d->failed = n[1];
}

void dom_drain_console(struct dom *d)
{
	struct xencons_interface *ring = d->console;
	u32 cons = ring->out_cons;

	for (unsigned n = 0; n < sizeof(ring->out) && cons != READ_ONCE(ring->out_prod); n++) {
		char c;

		barrier();
		c = READ_ONCE(ring->out[MASK_XENCONS_IDX(cons, ring->out)]);
		cons++;
		if (c == '\r')
			continue;
		if (c != '\n')
			d->line[d->line_len++] = c >= ' ' ? c : '?';
		if (c == '\n' || d->line_len == sizeof(d->line) - 1)
			take_line(d);
	}
	barrier();
	WRITE_ONCE(ring->out_cons, cons);
}

int dom_wait_shutdown(struct dom *d, u64 ns)
{
	u64 end = now() + ns;
	int reason;

	do {
		reason = dom_shutdown_reason(d->id);
		dom_drain_console(d);
		if (reason < 0)
			block_until(now() + MSEC);
	} while (reason < 0 && now() < end);
	return reason;
}

/* --- mappings ----------------------------------------------------------------------------------------------------------------- */

static u64 slots[FOREIGN_SLOTS / 64];

static int foreign_map_at(u64 va, u32 id, u64 mfn, bool writable)
{
	if (!pt_walk(FOREIGN_VA, 1))
		map_new(FOREIGN_VA, 0);
	return mmu_update_foreign(virt_to_maddr(pt_walk(va, 1)), MAKE_PTE(mfn, writable ? PTE_RW : PTE_RO), id);
}

static u64 slot_va(unsigned i)
{
	return FOREIGN_VA + i * PAGE_SIZE;
}

void *foreign_map(u32 id, u64 mfn, bool writable)
{
	for (unsigned i = 0; i < FOREIGN_SLOTS; i++) {
		if (slots[i / 64] >> (i % 64) & 1)
			continue;
		if (foreign_map_at(slot_va(i), id, mfn, writable))
			return NULL;
		slots[i / 64] |= 1ul << (i % 64);
		return (void *)slot_va(i);
	}
	print("no window for a foreign frame\n");
	test_die();
}

int foreign_map_error(u32 id, u64 mfn, bool writable)
{
	int rc = foreign_map_at(slot_va(FOREIGN_SLOTS - 1), id, mfn, writable);

	if (!rc)
		HCALL(update_va_mapping, slot_va(FOREIGN_SLOTS - 1), 0, UVMF_INVLPG | UVMF_ALL);
	return rc;
}

void foreign_unmap(void *va)
{
	u64 i = ((u64)va - FOREIGN_VA) >> PAGE_SHIFT;

	HCALL(update_va_mapping, (u64)va & ~(PAGE_SIZE - 1), 0, UVMF_INVLPG | UVMF_ALL);
	slots[i / 64] &= ~(1ul << (i % 64));
}

/* --- the machine -------------------------------------------------------------------------------------------------------------- */

long free_pages(void)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
	long rc = HCALL(sysctl, &op);

	return rc ? rc : (long)(op.u.physinfo.free_pages + op.u.physinfo.scrub_pages);
}

long free_pages_stable(void)
{
	long last = free_pages();

	for (unsigned same = 0; same < 20; same++) {
		long n;

		block_until(now() + MSEC);
		n = free_pages();
		if (n != last)
			same = 0;
		last = n;
	}
	return last;
}

long free_pages_settle(long wanted)
{
	WAIT_FOR(block_until(now() + MSEC) || free_pages() == wanted, 5 * SEC);
	return free_pages();
}

void check_no_loss(long before)
{
	long after = free_pages_settle(before), slack = is_lodge() ? 0 : 256;

	if (after < before - slack || after > before + slack)
		test_fail(__FILE__, __LINE__, "%ld pages were free, now %ld", before, after);
}

bool is_lodge(void)
{
	char extra[XEN_EXTRAVERSION_LEN + 1] = "";

	HCALL(xen_version, XENVER_extraversion, extra);
	for (const char *p = extra; *p; p++)
		if (!strncmp(p, "Lodge", 5))
			return true;
	return false;
}
