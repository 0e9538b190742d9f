/* SPDX-License-Identifier: MIT */
/* XEN_DOMCTL_*: state that is saved and restored, buffers that are not there, and arguments without sense. */
#include "lib/audit.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>
#include <xen/sysctl.h>

static struct peer p;
static struct xen_domctl op;
static u8 buffer[8192] __attribute__((aligned(64)));

static void start(void)
{
	if (!p.dom.id)
		CHECK_EQ(peer_start(&p, 2), 0);
}

static const u64 bad_addresses[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, 0x1000 };

TEST(buffers_that_are_not_there)
{
	start();
	for (unsigned i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
		u64 at = bad_addresses[i];

		memset(&op, 0, sizeof(op));
		op.u.vcpucontext.ctxt.p = (void *)at;
		CHECK_EQ(domctl(XEN_DOMCTL_getvcpucontext, peer_id(&p), &op), -XEN_EFAULT);
		CHECK_EQ(domctl(XEN_DOMCTL_setvcpucontext, peer_id(&p), &op), -XEN_EFAULT);
		memset(&op, 0, sizeof(op));
		op.u.getpageframeinfo3.num = 4;
		op.u.getpageframeinfo3.array.p = (void *)at;
		CHECK_EQ(domctl(XEN_DOMCTL_getpageframeinfo3, peer_id(&p), &op), -XEN_EFAULT);
		memset(&op, 0, sizeof(op));
		op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
		op.u.vcpuaffinity.cpumap_hard.nr_bits = 64;
		op.u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)at;
		CHECK_EQ(domctl(XEN_DOMCTL_getvcpuaffinity, peer_id(&p), &op), -XEN_EFAULT);
		CHECK_EQ(domctl(XEN_DOMCTL_setvcpuaffinity, peer_id(&p), &op), -XEN_EFAULT);
		memset(&op, 0, sizeof(op));
		op.u.cpu_policy.nr_leaves = op.u.cpu_policy.nr_msrs = 200;
		op.u.cpu_policy.leaves.p = (void *)at;
		op.u.cpu_policy.msrs.p = (void *)at;
		CHECK_LT(domctl(XEN_DOMCTL_get_cpu_policy, peer_id(&p), &op), 0);
		CHECK_LT(domctl(XEN_DOMCTL_set_cpu_policy, peer_id(&p), &op), 0);
	}
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
}

TEST(extended_context)
{
	start();
	memset(&op, 0, sizeof(op));
	op.u.ext_vcpucontext.vcpu = 0;
	CHECK_EQ(domctl(XEN_DOMCTL_get_ext_vcpucontext, peer_id(&p), &op), 0);
	CHECK_GE(op.u.ext_vcpucontext.size, 16);
	CHECK_EQ(domctl(XEN_DOMCTL_set_ext_vcpucontext, peer_id(&p), &op), 0);
	op.u.ext_vcpucontext.syscall32_callback_eip = NONCANONICAL;
	CHECK_LT(domctl(XEN_DOMCTL_set_ext_vcpucontext, peer_id(&p), &op), 0);
	op.u.ext_vcpucontext.vcpu = 9;
	CHECK_LT(domctl(XEN_DOMCTL_get_ext_vcpucontext, peer_id(&p), &op), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
}

TEST(extended_state)
{
	u64 size;

	start();
	memset(&op, 0, sizeof(op));
	CHECK_EQ(domctl(XEN_DOMCTL_getvcpuextstate, peer_id(&p), &op), 0);
	size = op.u.vcpuextstate.size;
	CHECK_LT(size, sizeof(buffer));
	set_xen_guest_handle(op.u.vcpuextstate.buffer, (uint64_t *)buffer);
	CHECK_EQ(domctl(XEN_DOMCTL_getvcpuextstate, peer_id(&p), &op), 0);
	if (op.u.vcpuextstate.size)
		CHECK_EQ(domctl(XEN_DOMCTL_setvcpuextstate, peer_id(&p), &op), 0);
	/* Garbage is refused, or makes no difference to anybody. */
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = (u8)(i * 37 + 1);
	op.u.vcpuextstate.size = size;
	CHECK_LT(domctl(XEN_DOMCTL_setvcpuextstate, peer_id(&p), &op), 0);
	op.u.vcpuextstate.size = ~0ul;
	CHECK_LT(domctl(XEN_DOMCTL_setvcpuextstate, peer_id(&p), &op), 0);
	op.u.vcpuextstate.size = 24;
	CHECK_LT(domctl(XEN_DOMCTL_setvcpuextstate, peer_id(&p), &op), 0);
	op.u.vcpuextstate.vcpu = 9;
	CHECK_LT(domctl(XEN_DOMCTL_getvcpuextstate, peer_id(&p), &op), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
}

TEST(time_stamp_counter)
{
	start();
	memset(&op, 0, sizeof(op));
	CHECK_EQ(domctl(XEN_DOMCTL_gettscinfo, peer_id(&p), &op), 0);
	CHECK_GE(op.u.tsc_info.gtsc_khz, 1000);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
}

TEST(cpu_policy)
{
	u32 leaves, msrs;

	start();
	memset(&op, 0, sizeof(op));
	/* Without buffers nothing is written. */
	CHECK_NE(domctl(XEN_DOMCTL_get_cpu_policy, peer_id(&p), &op), -XEN_EFAULT);
	memset(&op, 0, sizeof(op));
	op.u.cpu_policy.nr_leaves = sizeof(buffer) / 2 / sizeof(xen_cpuid_leaf_t);
	op.u.cpu_policy.nr_msrs = 64;
	set_xen_guest_handle(op.u.cpu_policy.leaves, (xen_cpuid_leaf_t *)buffer);
	set_xen_guest_handle(op.u.cpu_policy.msrs, (xen_msr_entry_t *)(buffer + sizeof(buffer) / 2));
	REQUIRE_EQ(domctl(XEN_DOMCTL_get_cpu_policy, peer_id(&p), &op), 0);
	leaves = op.u.cpu_policy.nr_leaves;
	msrs = op.u.cpu_policy.nr_msrs;
	CHECK_GE(leaves, 10);
	CHECK_LT(msrs, 65);
	/* Not any more once it runs, or the same again. */
	domctl(XEN_DOMCTL_set_cpu_policy, peer_id(&p), &op);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
}

/* What is not for PV domains, or not there at all, is an error and nothing else. */
TEST(not_for_pv)
{
	static const u32 cmds[] = {
		XEN_DOMCTL_gethvmcontext, XEN_DOMCTL_sethvmcontext, XEN_DOMCTL_gethvmcontext_partial, XEN_DOMCTL_bind_pt_irq,
		XEN_DOMCTL_unbind_pt_irq, XEN_DOMCTL_vm_event_op, XEN_DOMCTL_mem_sharing_op, XEN_DOMCTL_vmtrace_op,
		XEN_DOMCTL_vuart_op, XEN_DOMCTL_debug_op,
	};

	start();
	for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
		memset(&op, 0, sizeof(op));
		memset(&op.u, 0x5a, sizeof(op.u));
		CHECK_LT(domctl(cmds[i], peer_id(&p), &op), 0);
	}
	memset(&op, 0, sizeof(op));
	op.u.sendtrigger.trigger = 77;
	CHECK_LT(domctl(XEN_DOMCTL_sendtrigger, peer_id(&p), &op), 0);
	op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI;
	op.u.sendtrigger.vcpu = 77;
	CHECK_LT(domctl(XEN_DOMCTL_sendtrigger, peer_id(&p), &op), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
}

static u64 seed = 0x9e3779b97f4a7c15;

static u64 rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 2685821657736338717ul;
}

/* A word as a tool might get it wrong. */
static u64 odd_word(void)
{
	static const u64 likely[] = { 0, 1, 2, 3, 4, 8, 64, ~0ul, 1ul << 31, 1ul << 32, 1ul << 52, 4096, 0x7ff0, NONCANONICAL, XEN_VA_INSIDE };
	u64 r = rnd() >> 8;

	switch (r % 4) {
	case 0:
		return (u64)buffer + r / 4 % 64 * 8;
	case 1:
		return rnd();
	default:
		return likely[r / 4 % ARRAY_SIZE(likely)];
	}
}

/* Nothing with these: they end what we need, aim at real devices, or take all memory. */
static bool spared(u32 cmd)
{
	return cmd == XEN_DOMCTL_createdomain || cmd == XEN_DOMCTL_destroydomain || cmd == XEN_DOMCTL_assign_device ||
	       cmd == XEN_DOMCTL_deassign_device;
}

TEST(without_sense)
{
	/* Privileged, but wrong: on Lodge every domctl ends in an error, or in something that can be undone by killing the domain. */
	static struct peer victim;
	long before = free_pages_stable();
	u64 good = 0;

	if (!is_lodge()) {
		test_note("only for Lodge");
		return;
	}
	for (unsigned round = 0; round < 6; round++) {
		REQUIRE_EQ(peer_start(&victim, 2), 0);
		for (unsigned i = 0; i < 3000; i++) {
			u32 cmd = (u32)(rnd() >> 20) % 90;

			if (spared(cmd))
				continue;
			memset(&op, 0, sizeof(op));
			for (unsigned w = 0; w < sizeof(op.u) / 8; w++)
				((u64 *)&op.u)[w] = odd_word();
			/* Small numbers reach further. */
			if (i & 1)
				*(u32 *)&op.u = (u32)(rnd() >> 40) % 4;
			if (!domctl(cmd, peer_id(&victim), &op))
				good++;
		}
		CHECK_EQ(peer_destroy(&victim), 0);
		CHECK(WAIT_FOR(!dom_flags(peer_id(&victim)), PATIENCE));
		check_no_loss(before);
	}
	print("  %lu without an error\n", good);
	CHECK_LT(audit(), 1);
}

TEST(sysctls_without_sense)
{
	static struct xen_sysctl s;

	if (!is_lodge()) {
		test_note("only for Lodge");
		return;
	}
	for (unsigned i = 0; i < 6000; i++) {
		u32 cmd = (u32)(rnd() >> 20) % 40;

		if (cmd == XEN_SYSCTL_debug_keys || cmd == XEN_SYSCTL_readconsole)
			continue;
		memset(&s, 0, sizeof(s));
		for (unsigned w = 0; w < sizeof(s.u) / 8; w++)
			((u64 *)&s.u)[w] = odd_word();
		if (i & 1)
			*(u32 *)&s.u = (u32)(rnd() >> 40) % 4;
		s.cmd = cmd;
		s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
		HCALL(sysctl, &s);
	}
	CHECK_LT(audit(), 1);
}

TEST(end)
{
	start();
	CHECK_EQ(peer_destroy(&p), 0);
}
