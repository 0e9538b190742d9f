/* SPDX-License-Identifier: MIT */
/* mca: there are no machine checks to fetch, and the processors are described. */
#include "lib/test.h"

#include <xen/arch-x86/xen-mca.h>

static struct xen_mc op;
static xen_mc_logical_cpu_t cpus[4];

static long mca(u32 cmd)
{
	op.cmd = cmd;
	op.interface_version = XEN_MCA_INTERFACE_VERSION;
	return HCALL(mca, &op);
}

TEST(nothing_to_fetch)
{
	static struct mc_info info;
	static const u32 kinds[] = { XEN_MC_URGENT, XEN_MC_NONURGENT };

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		memset(&op, 0, sizeof(op));
		op.u.mc_fetch.flags = kinds[i];
		set_xen_guest_handle(op.u.mc_fetch.data, &info);
		CHECK_EQ(mca(XEN_MC_fetch), 0);
		CHECK_EQ(op.u.mc_fetch.flags & (XEN_MC_NODATA | XEN_MC_FETCHFAILED), XEN_MC_NODATA);
	}
}

TEST(processors)
{
	u32 n;

	memset(&op, 0, sizeof(op));
	REQUIRE_EQ(mca(XEN_MC_physcpuinfo), 0);
	n = op.u.mc_physcpuinfo.ncpus;
	CHECK_EQ(n, 2);
	memset(&op, 0, sizeof(op));
	memset(cpus, 0xc7, sizeof(cpus));
	op.u.mc_physcpuinfo.ncpus = 4;
	set_xen_guest_handle(op.u.mc_physcpuinfo.info, cpus);
	REQUIRE_EQ(mca(XEN_MC_physcpuinfo), 0);
	CHECK_EQ(op.u.mc_physcpuinfo.ncpus, n);
	CHECK_NE(cpus[0].mc_apicid, cpus[1].mc_apicid);
	CHECK_NE(cpus[0].mc_family, 0);
	CHECK_EQ(((u8 *)&cpus[n])[0], 0xc7);
	/* Where it cannot be written. */
	op.u.mc_physcpuinfo.ncpus = 4;
	set_xen_guest_handle(op.u.mc_physcpuinfo.info, (xen_mc_logical_cpu_t *)XEN_VA_INSIDE);
	CHECK_LT(mca(XEN_MC_physcpuinfo), 0);
}

TEST(refused)
{
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, 0x1000 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(HCALL(mca, bad[i]), -XEN_EFAULT);
	memset(&op, 0, sizeof(op));
	CHECK_LT(mca(0), 0);
	CHECK_LT(mca(99), 0);
	/* Into a processor that is not there. */
	op.u.mc_msrinject.mcinj_cpunr = ~0u;
	op.u.mc_msrinject.mcinj_count = 1;
	CHECK_LT(mca(XEN_MC_msrinject), 0);
	op.u.mc_mceinject.mceinj_cpunr = ~0u;
	CHECK_LT(mca(XEN_MC_mceinject), 0);
	op.interface_version = 1;
	op.cmd = XEN_MC_fetch;
	CHECK_LT(HCALL(mca, &op), 0);
}
