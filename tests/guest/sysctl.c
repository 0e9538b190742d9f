/* SPDX-License-Identifier: MIT */
/* XEN_SYSCTL_*: the machine as the tools see it. */
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sysctl.h>

static struct xen_sysctl op;
static struct peer p;

static long sysctl(u32 cmd)
{
	op.cmd = cmd;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return HCALL(sysctl, &op);
}

TEST(versions_and_addresses)
{
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, 0x1000 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(HCALL(sysctl, bad[i]), -XEN_EFAULT);
	for (u32 v = 0; v < 0x20; v++) {
		memset(&op, 0, sizeof(op));
		op.cmd = XEN_SYSCTL_physinfo;
		op.interface_version = v;
		CHECK_EQ(HCALL(sysctl, &op), v == XEN_SYSCTL_INTERFACE_VERSION ? 0 : -XEN_EACCES);
	}
	memset(&op, 0, sizeof(op));
	CHECK_LT(sysctl(0), 0);
	CHECK_LT(sysctl(99), 0);
	CHECK_LT(sysctl(~0u), 0);
}

TEST(physinfo)
{
	memset(&op, 0xff, sizeof(op));
	REQUIRE_EQ(sysctl(XEN_SYSCTL_physinfo), 0);
	CHECK_EQ(op.u.physinfo.nr_cpus, 2);
	CHECK_EQ(op.u.physinfo.max_cpu_id, 1);
	CHECK_EQ(op.u.physinfo.nr_nodes, 1);
	CHECK_GE(op.u.physinfo.threads_per_core, 1);
	CHECK_GE(op.u.physinfo.cores_per_socket, 1);
	CHECK_GE(op.u.physinfo.cpu_khz, 100000);
	CHECK(op.u.physinfo.capabilities & XEN_SYSCTL_PHYSCAP_pv);
	/* 512 MiB; the hypervisor has some, we have 64. */
	CHECK_GE(op.u.physinfo.total_pages, 110000);
	CHECK_LT(op.u.physinfo.total_pages, 131073);
	CHECK_LT(op.u.physinfo.free_pages, op.u.physinfo.total_pages - 16000);
	CHECK_GE(op.u.physinfo.free_pages, 90000);
	CHECK_EQ(op.u.physinfo.outstanding_pages, 0);
}

static long list(u32 first, u32 max, xen_domctl_getdomaininfo_t *buffer)
{
	memset(&op, 0, sizeof(op));
	op.u.getdomaininfolist.first_domain = (domid_t)first;
	op.u.getdomaininfolist.max_domains = max;
	set_xen_guest_handle(op.u.getdomaininfolist.buffer, buffer);
	return sysctl(XEN_SYSCTL_getdomaininfolist);
}

TEST(domain_list)
{
	static xen_domctl_getdomaininfo_t info[8];

	REQUIRE_EQ(peer_start(&p, 2), 0);
	memset(info, 0xff, sizeof(info));
	REQUIRE_EQ(list(0, 8, info), 0);
	CHECK_EQ(op.u.getdomaininfolist.num_domains, 2);
	CHECK_EQ(info[0].domain, 0);
	CHECK_EQ(info[1].domain, peer_id(&p));
	CHECK_EQ(info[1].tot_pages, PEER_PAGES);
	CHECK_EQ(info[1].max_vcpu_id, 1);
	CHECK_EQ(info[1].handle[0], 0x42);
	CHECK_EQ(info[2].domain, 0xffff);
	/* From a number on, and no more than asked for. */
	REQUIRE_EQ(list(1, 8, info), 0);
	CHECK_EQ(op.u.getdomaininfolist.num_domains, 1);
	CHECK_EQ(info[0].domain, peer_id(&p));
	REQUIRE_EQ(list(0, 1, info), 0);
	CHECK_EQ(op.u.getdomaininfolist.num_domains, 1);
	REQUIRE_EQ(list(peer_id(&p) + 1, 8, info), 0);
	CHECK_EQ(op.u.getdomaininfolist.num_domains, 0);
	REQUIRE_EQ(list(0, 0, info), 0);
	CHECK_EQ(op.u.getdomaininfolist.num_domains, 0);
	REQUIRE_EQ(list(0x7fff, 8, info), 0);
	CHECK_EQ(op.u.getdomaininfolist.num_domains, 0);
	CHECK_EQ(list(0, 8, (void *)XEN_VA_INSIDE), -XEN_EFAULT);
	CHECK_EQ(list(0, 8, (void *)NONCANONICAL), -XEN_EFAULT);
	CHECK_EQ(list(0, ~0u, (void *)0x1000), -XEN_EFAULT);
	CHECK_EQ(peer_destroy(&p), 0);
	CHECK(WAIT_FOR(!list(1, 8, info) && !op.u.getdomaininfolist.num_domains, PATIENCE));
}

TEST(scheduler)
{
	memset(&op, 0, sizeof(op));
	REQUIRE_EQ(sysctl(XEN_SYSCTL_sched_id), 0);
	CHECK(op.u.sched_id.sched_id == XEN_SCHEDULER_CREDIT || op.u.sched_id.sched_id == XEN_SCHEDULER_CREDIT2);
}

TEST(processors)
{
	static xen_sysctl_cputopo_t topo[4];
	static xen_sysctl_cpuinfo_t idle[4];

	memset(&op, 0, sizeof(op));
	op.u.cputopoinfo.num_cpus = 4;
	set_xen_guest_handle(op.u.cputopoinfo.cputopo, topo);
	REQUIRE_EQ(sysctl(XEN_SYSCTL_cputopoinfo), 0);
	CHECK_EQ(op.u.cputopoinfo.num_cpus, 2);
	memset(&op, 0, sizeof(op));
	op.u.getcpuinfo.max_cpus = 4;
	set_xen_guest_handle(op.u.getcpuinfo.info, idle);
	REQUIRE_EQ(sysctl(XEN_SYSCTL_getcpuinfo), 0);
	CHECK_EQ(op.u.getcpuinfo.nr_cpus, 2);
	CHECK_NE(idle[1].idletime, 0);
	memset(&op, 0, sizeof(op));
	op.u.getcpuinfo.max_cpus = 4;
	set_xen_guest_handle(op.u.getcpuinfo.info, (xen_sysctl_cpuinfo_t *)XEN_VA_INSIDE);
	CHECK_LT(sysctl(XEN_SYSCTL_getcpuinfo), 0);
}

TEST(cpu_pools)
{
	/* There is one, number 0, with all processors; domains are in it. */
	u8 map[8] = { 0 };

	memset(&op, 0, sizeof(op));
	op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
	set_xen_guest_handle(op.u.cpupool_op.cpumap.bitmap, map);
	op.u.cpupool_op.cpumap.nr_bits = 64;
	REQUIRE_EQ(sysctl(XEN_SYSCTL_cpupool_op), 0);
	CHECK_EQ(op.u.cpupool_op.cpupool_id, 0);
	CHECK_EQ(map[0], 3);
	CHECK_GE(op.u.cpupool_op.n_dom, 1);
	op.u.cpupool_op.cpupool_id = 5;
	CHECK_LT(sysctl(XEN_SYSCTL_cpupool_op), 0);
}

TEST(console_ring)
{
	static char text[256];

	memset(&op, 0, sizeof(op));
	op.u.readconsole.count = sizeof(text);
	set_xen_guest_handle(op.u.readconsole.buffer, text);
	REQUIRE_EQ(sysctl(XEN_SYSCTL_readconsole), 0);
	CHECK_EQ(op.u.readconsole.count, sizeof(text));
	op.u.readconsole.count = 16;
	set_xen_guest_handle(op.u.readconsole.buffer, (char *)XEN_VA_INSIDE);
	CHECK_LT(sysctl(XEN_SYSCTL_readconsole), 0);
}
