/* SPDX-License-Identifier: MIT */
/* Unit tests: the tools' hypercalls, against a hypervisor that looks at what it is asked. */
/* sources: tools/lib/hv.c tools/lib/hv_domain.c tools/lib/err.c */
#include "test.h"

#include <errno.h>
#include <lib/hv.h>
#include <xen/event_channel.h>
#include <xen/version.h>

static struct xen_domctl domctl;	/* the last one */
static struct xen_sysctl sysctl;
static unsigned calls, buffers;
static int fail_with, fail_times;	/* errno of the next calls */
static const char *ring = "";		/* the console ring's content */
static u32 ring_start;			/* moved by clearing */
static u8 bitmaps[2][16];
static vcpu_guest_context_t context;

void *xencall_alloc_buffer_pages(xencall_handle *h, size_t pages)
{
	(void)h;
	buffers++;
	return aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
}

void xencall_free_buffer_pages(xencall_handle *h, void *p, size_t pages)
{
	(void)h;
	(void)pages;
	buffers--;
	free(p);
}

/* hv_open() is not got through on a host without a hypervisor. */
xencall_handle *xencall_open(struct xentoollog_logger *l, unsigned flags) { (void)l; (void)flags; return NULL; }
int xencall_close(xencall_handle *h) { (void)h; return 0; }
xenforeignmemory_handle *xenforeignmemory_open(struct xentoollog_logger *l, unsigned flags) { (void)l; (void)flags; return NULL; }
int xenforeignmemory_close(xenforeignmemory_handle *h) { (void)h; return 0; }

static bool fails(void)
{
	calls++;
	if (!fail_times)
		return false;
	fail_times--;
	errno = fail_with;
	return true;
}

static void do_domctl(struct xen_domctl *op)
{
	CHECK_EQ(op->interface_version, XEN_DOMCTL_INTERFACE_VERSION);
	switch (op->cmd) {
	case XEN_DOMCTL_createdomain:
		op->domain = 12;
		break;
	case XEN_DOMCTL_getdomaininfo:
		/* There are domains 0 and 5; the next one answers. */
		op->u.getdomaininfo.domain = op->domain > 0 ? 5 : 0;
		op->u.getdomaininfo.tot_pages = 1234;
		break;
	case XEN_DOMCTL_getvcpuinfo:
		op->u.getvcpuinfo.cpu = op->u.getvcpuinfo.vcpu + 100;
		break;
	case XEN_DOMCTL_setvcpuaffinity:
	case XEN_DOMCTL_getvcpuaffinity:
		for (int i = 0; i < 2; i++) {
			struct xenctl_bitmap *b = i ? &op->u.vcpuaffinity.cpumap_soft : &op->u.vcpuaffinity.cpumap_hard;
			u8 *p = *(u8 **)&b->bitmap;

			if (!(op->u.vcpuaffinity.flags & (i ? XEN_VCPUAFFINITY_SOFT : XEN_VCPUAFFINITY_HARD)))
				continue;
			if (op->cmd == XEN_DOMCTL_setvcpuaffinity)
				memcpy(bitmaps[i], p, (b->nr_bits + 7) / 8);
			else
				memcpy(p, bitmaps[i], (b->nr_bits + 7) / 8);
		}
		break;
	case XEN_DOMCTL_setvcpucontext:
		context = **(vcpu_guest_context_t **)&op->u.vcpucontext.ctxt;
		break;
	case XEN_DOMCTL_getvcpucontext:
		**(vcpu_guest_context_t **)&op->u.vcpucontext.ctxt = context;
		break;
	}
	domctl = *op;
}

static void do_readconsole(struct xen_sysctl_readconsole *r)
{
	u32 at = r->incremental ? r->index : ring_start, n = (u32)strlen(ring) - at;

	if (n > r->count)
		n = r->count;
	memcpy(*(char **)&r->buffer, ring + at, n);
	r->count = n;
	r->index = at + n;
	if (r->clear)
		ring_start = at + n;
}

#define LIES 1001	/* from there on, more domains are told of than there is room for */

/* Domains with even ids from 0 on. */
static u32 existing = 2;

static void list_domains(struct xen_sysctl_getdomaininfolist *l)
{
	xen_domctl_getdomaininfo_t *infos = *(xen_domctl_getdomaininfo_t **)&l->buffer;
	u32 n = 0;

	for (u32 id = (l->first_domain + 1U) & ~1U; id < 2 * existing && n < l->max_domains; id += 2)
		infos[n++].domain = (u16)id;
	l->num_domains = l->first_domain == LIES ? l->max_domains + 1 : n;
}

static void do_sysctl(struct xen_sysctl *op)
{
	CHECK_EQ(op->interface_version, XEN_SYSCTL_INTERFACE_VERSION);
	switch (op->cmd) {
	case XEN_SYSCTL_readconsole:
		do_readconsole(&op->u.readconsole);
		break;
	case XEN_SYSCTL_sched_id:
		op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
		break;
	case XEN_SYSCTL_debug_keys:
		CHECK(memcmp(*(char **)&op->u.debug_keys.keys, "aq", 2) == 0);
		break;
	case XEN_SYSCTL_getdomaininfolist:
		list_domains(&op->u.getdomaininfolist);
		break;
	}
	sysctl = *op;
}

int xencall1(xencall_handle *h, unsigned int op, uint64_t arg1)
{
	(void)h;
	if (fails())
		return -1;
	if (op == __HYPERVISOR_domctl)
		do_domctl((void *)arg1);
	else if (op == __HYPERVISOR_sysctl)
		do_sysctl((void *)arg1);
	else
		CHECK(!"domctl or sysctl");
	return 0;
}

long xencall2L(xencall_handle *h, unsigned int op, uint64_t arg1, uint64_t arg2)
{
	(void)h;
	if (fails())
		return -1;
	if (op == __HYPERVISOR_event_channel_op) {
		struct evtchn_alloc_unbound *a = (void *)arg2;

		CHECK(arg1 == EVTCHNOP_alloc_unbound && a->dom == 3 && a->remote_dom == 4);
		a->port = 17;
	} else if (op == __HYPERVISOR_xen_version) {
		CHECK(arg1 == XENVER_version && !arg2);
		return 4 << 16 | 17;
	} else {
		CHECK(op == __HYPERVISOR_memory_op && arg1 == XENMEM_populate_physmap);
		return ((struct xen_memory_reservation *)arg2)->nr_extents - 1;	/* one less than asked for */
	}
	return 0;
}

static struct hv hv;

static void end(void)
{
	CHECK_EQ(buffers, 0);
}

TEST(no_hypervisor)
{
	struct err e = { 0 };

	if (access("/dev/xen/privcmd", F_OK) == 0)
		return;
	CHECK_EQ(hv_open(&hv, &e), -ENOENT);
	CHECK(strstr(e.text, "not Domain 0") && strstr(e.text, "/dev/xen/privcmd"));
	CHECK_STR(e.code, "no-hypervisor");
}

TEST(create)
{
	struct hv_create c = { .uuid = { 1, 2, 3 }, .flags = XEN_DOMCTL_CDF_s3_integrity, .max_vcpus = 4, .max_evtchn_port = 1023,
			       .max_grant_frames = ~0U, .max_maptrack_frames = 64 };
	uint16_t domid = 0;

	CHECK_EQ(hv_domain_create(&hv, &c, &domid), 0);
	CHECK_EQ(domid, 12);
	CHECK_EQ(domctl.u.createdomain.handle[2], 3);
	CHECK_EQ(domctl.u.createdomain.max_vcpus, 4);
	CHECK_EQ(domctl.u.createdomain.max_grant_frames, -1);
	CHECK_EQ(domctl.u.createdomain.max_maptrack_frames, 64);
	CHECK_EQ(domctl.u.createdomain.flags, XEN_DOMCTL_CDF_s3_integrity);
	fail_with = EINVAL;
	fail_times = 1;
	domid = 77;
	CHECK_EQ(hv_domain_create(&hv, &c, &domid), -EINVAL);
	CHECK_EQ(domid, 77);
	end();
}

TEST(simple_operations)
{
	uint8_t uuid[16] = { 9 };

	CHECK_EQ(hv_domain_pause(&hv, 3), 0);
	CHECK(domctl.cmd == XEN_DOMCTL_pausedomain && domctl.domain == 3);
	CHECK_EQ(hv_domain_unpause(&hv, 3), 0);
	CHECK_EQ(domctl.cmd, XEN_DOMCTL_unpausedomain);
	CHECK_EQ(hv_domain_max_mem(&hv, 3, 4096), 0);
	CHECK(domctl.cmd == XEN_DOMCTL_max_mem && domctl.u.max_mem.max_memkb == 4096);
	CHECK_EQ(hv_domain_max_vcpus(&hv, 3, 8), 0);
	CHECK(domctl.cmd == XEN_DOMCTL_max_vcpus && domctl.u.max_vcpus.max == 8);
	CHECK_EQ(hv_domain_set_handle(&hv, 3, uuid), 0);
	CHECK(domctl.cmd == XEN_DOMCTL_setdomainhandle && domctl.u.setdomainhandle.handle[0] == 9);
	end();
}

TEST(destroy_goes_on_until_it_is_done)
{
	fail_with = EAGAIN;
	fail_times = 5;
	CHECK_EQ(hv_domain_destroy(&hv, 3), 0);
	CHECK_EQ(calls, 6);
	fail_with = ESRCH;
	fail_times = 1;
	CHECK_EQ(hv_domain_destroy(&hv, 3), -ESRCH);
	end();
}

TEST(list_of_domains)
{
	static xen_domctl_getdomaininfo_t list[1200];

	CHECK_EQ(hv_domain_list(&hv, 1, list, 4), 1);
	CHECK_EQ(list[0].domain, 2);
	CHECK_EQ(hv_domain_list(&hv, 0, list, 0), 0);
	CHECK_EQ(hv_domain_list(&hv, LIES, list, 4), -EPROTO);
	/* More than one call gives: all of them, once, whatever is asked for. */
	for (existing = 0; existing <= 1000; existing += existing < 100 ? 1 : 300) {
		for (u32 max = existing ? existing - 1 : 0; max <= existing + 1; max++) {
			u32 n = min(max, existing);

			CHECK_EQ(hv_domain_list(&hv, 0, list, max), (int)n);
			for (u32 i = 0; i < n; i++)
				CHECK_EQ(list[i].domain, 2 * i);
		}
	}
	existing = 1000;
	fail_with = EPERM;
	fail_times = 1;
	CHECK_EQ(hv_domain_list(&hv, 0, list, 1200), -EPERM);
	existing = 2;
	end();
}

TEST(info)
{
	xen_domctl_getdomaininfo_t one;
	struct xen_domctl_getvcpuinfo v;

	CHECK_EQ(hv_domain_info(&hv, 5, &one), 0);
	CHECK_EQ(one.tot_pages, 1234);
	CHECK_EQ(hv_domain_info(&hv, 3, &one), -ESRCH);	/* 5 answered */
	CHECK_EQ(hv_vcpu_info(&hv, 5, 2, &v), 0);
	CHECK_EQ(v.cpu, 102);
	end();
}

TEST(affinity)
{
	uint8_t hard[2] = { 0x5a, 1 }, soft[2] = { 0xff, 0 }, got[2][2] = { 0 };

	CHECK_EQ(hv_vcpu_set_affinity(&hv, 5, 1, hard, NULL, 9), 0);
	CHECK_EQ(domctl.u.vcpuaffinity.flags, XEN_VCPUAFFINITY_HARD);
	CHECK_EQ(domctl.u.vcpuaffinity.cpumap_hard.nr_bits, 9);
	CHECK(bitmaps[0][0] == 0x5a && bitmaps[0][1] == 1 && !bitmaps[1][0]);
	CHECK_EQ(hv_vcpu_set_affinity(&hv, 5, 1, hard, soft, 9), 0);
	CHECK_EQ(hv_vcpu_get_affinity(&hv, 5, 1, got[0], got[1], 9), 0);
	CHECK(memcmp(got[0], hard, 2) == 0 && memcmp(got[1], soft, 2) == 0);
	end();
}

TEST(scheduler_and_context)
{
	vcpu_guest_context_t ctx = { .flags = VGCF_online, .user_regs.rip = 0x1234 };

	CHECK_EQ(hv_domain_set_sched(&hv, 5, 512, 50), 0);
	CHECK_EQ(domctl.u.scheduler_op.sched_id, XEN_SCHEDULER_CREDIT2);
	CHECK_EQ(domctl.u.scheduler_op.cmd, XEN_DOMCTL_SCHEDOP_putinfo);
	CHECK(domctl.u.scheduler_op.u.credit2.weight == 512 && domctl.u.scheduler_op.u.credit2.cap == 50);
	CHECK_EQ(hv_vcpu_set_context(&hv, 5, 0, &ctx), 0);
	CHECK_EQ(context.user_regs.rip, 0x1234);
	context.user_regs.rsp = 0x5678;
	CHECK_EQ(hv_vcpu_get_context(&hv, 5, 3, &ctx), 0);
	CHECK_EQ(domctl.domain, 5);
	CHECK_EQ(domctl.u.vcpucontext.vcpu, 3);
	CHECK_EQ(ctx.user_regs.rsp, 0x5678);
	end();
}

TEST(other_calls)
{
	struct xen_memory_reservation r = { .nr_extents = 8 };
	uint32_t port = 0;

	CHECK_EQ(hv_evtchn_alloc_unbound(&hv, 3, 4, &port), 0);
	CHECK_EQ(port, 17);
	CHECK_EQ(hv_version(&hv, XENVER_version, NULL, 0), 4 << 16 | 17);
	CHECK_EQ(hv_memory_op(&hv, XENMEM_populate_physmap, &r, sizeof(r)), 7);
	CHECK_EQ(hv_debug_keys(&hv, "aq"), 0);
	CHECK_EQ(sysctl.u.debug_keys.nr_keys, 2);
	CHECK_EQ(hv_debug_keys(&hv, ""), 0);
	fail_with = ENOSYS;
	fail_times = 1;
	CHECK_EQ(hv_evtchn_alloc_unbound(&hv, 3, 4, &port), -ENOSYS);
	end();
}

/* The ring is longer than a chunk, and its end may be that of a chunk. */
TEST(console_ring)
{
	static const size_t sizes[] = { 0, 1, 100, 16383, 16384, 16385, 32768, 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *all = malloc(sizes[i] + 1), *text = NULL;

		for (size_t n = 0; n < sizes[i]; n++)
			all[n] = (char)('a' + test_below(26));
		all[sizes[i]] = '\0';
		ring = all;
		ring_start = 0;
		CHECK_EQ(hv_console(&hv, &text, 0), 0);
		CHECK(strcmp(text, all) == 0);
		CHECK_EQ(ring_start, 0);
		free(text);
		CHECK_EQ(hv_console(&hv, &text, 1), 0);
		CHECK(strcmp(text, all) == 0);
		CHECK_EQ(ring_start, sizes[i]);
		free(text);
		CHECK_EQ(hv_console(&hv, &text, 0), 0);
		CHECK_STR(text, "");
		free(text);
		free(all);
	}
	fail_with = EPERM;
	fail_times = 1;
	ring = "x";
	char *text;

	CHECK_EQ(hv_console(&hv, &text, 0), -EPERM);
	CHECK(!text);
	end();
}
