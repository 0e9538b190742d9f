/* SPDX-License-Identifier: MIT */
/* The privilege matrix: every hypercall number from user mode, and privileged operations aimed at other domains. */
#include "lib/event.h"
#include "lib/test.h"

#include <xen/domctl.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#define NOBODY 4321

static void u_syscall(u64 nr)
{
	asm volatile("syscall" : "+a"(nr) : "D"(0), "S"(0), "d"(0) : "rcx", "r11", "memory");
}

/* Calls the hypercall page's own entry, as a confused program might if the page is mapped for it. */
static void u_page(u64 nr)
{
	hypercall(nr, 0, 0, 0, 0, 0);
}

TEST(user_mode_makes_no_hypercalls)
{
	struct trap_frame f;

	for (u64 nr = 0; nr < 128; nr++) {
		CHECK_EQ(user_call(u_syscall, nr, &f), VEC_SYSCALL);
		CHECK_EQ(f.rax, nr);
	}
	for (u64 nr = 0; nr < 64; nr++) {
		if (nr == __HYPERVISOR_iret)
			continue;	/* its entry in the page pushes and jumps differently */
		CHECK_EQ(user_call(u_page, nr, &f), VEC_SYSCALL);
	}
	CHECK_EQ(HCALL(xen_version, XENVER_version, NULL), 4 << 16 | 17);
}

TEST(user_mode_iret)
{
	struct trap_frame f;

	CHECK_EQ(user_call(u_syscall, __HYPERVISOR_iret, &f), VEC_SYSCALL);
	CHECK_EQ(f.rax, __HYPERVISOR_iret);
}

static void u_vmcall(u64 nr)
{
	asm volatile("vmcall" : "+a"(nr) :: "memory");
}

static void u_vmmcall(u64 nr)
{
	asm volatile("vmmcall" : "+a"(nr) :: "memory");
}

static void u_int82(u64 nr)
{
	asm volatile("int $0x82" : "+a"(nr) :: "memory");
}

TEST(other_doors)
{
	/* The hypercall instructions of other kinds of guest, and the interrupt of 32-bit ones. */
	struct trap_frame f;
	int v;

	v = user_call(u_vmcall, __HYPERVISOR_xen_version, &f);
	CHECK(v == VEC_UD || v == VEC_GP);
	v = user_call(u_vmmcall, __HYPERVISOR_xen_version, &f);
	CHECK(v == VEC_UD || v == VEC_GP);
	/* Reported as another vector by TCG (see traps.c), whatever it is it is a trap. */
	CHECK_NE(user_call(u_int82, __HYPERVISOR_xen_version, &f), VEC_BP);
	CHECK_EQ(f.rax, __HYPERVISOR_xen_version);
}

TEST(entry_points_of_the_hypervisor)
{
	/* Jumping into its memory is a page fault of ours. */
	struct trap t;

	t = CHECK_TRAP(VEC_PF, asm volatile("call *%0" :: "r"(0xffff82d040200000ul) : "memory"));
	CHECK_EQ(t.frame.rip, 0xffff82d040200000);
	t = CHECK_TRAP(VEC_PF, asm volatile("call *%0" :: "r"(XEN_VA_INSIDE) : "memory"));
	CHECK_EQ(t.frame.rip, XEN_VA_INSIDE);
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)0xffff82d040200000));
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)0xffff82d080000000));
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)0xffff87ffffffff00));
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)0xffff804000000000));
}

TEST(hypervisor_range_is_closed)
{
	/* One address in every 2 GiB of the hypervisor's half terabytes beyond the M2P: none can be read. */
	for (u64 va = 0xffff804000000000; va < 0xffff880000000000; va += 1ul << 31) {
		struct trap t;

		if (CATCH(&t, READ_ONCE(*(u64 *)va)) != VEC_PF) {
			test_fail(__FILE__, __LINE__, "%lx: trap %d", va, t.vector);
			break;
		}
	}
}

static u8 op_buffer[1024] __attribute__((aligned(8)));

TEST(domctl_gate)
{
	/* Domain 0 is privileged, so a wrong version must be what refuses it; nobody's domain does not exist. */
	struct xen_domctl *op = (void *)op_buffer;
	long rc;

	memset(op_buffer, 0, sizeof(op_buffer));
	op->cmd = XEN_DOMCTL_getdomaininfo;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION + 1;
	rc = HCALL(domctl, op);
	CHECK(rc == -XEN_EACCES || rc == -XEN_ENOSYS);
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = NOBODY;
	op->cmd = XEN_DOMCTL_pausedomain;
	rc = HCALL(domctl, op);
	CHECK(rc == -XEN_ESRCH || rc == -XEN_ENOSYS);
	op->cmd = XEN_DOMCTL_destroydomain;
	rc = HCALL(domctl, op);
	CHECK(rc == -XEN_ESRCH || rc == -XEN_ENOSYS);
	/* Not at itself. */
	op->domain = 0;
	op->cmd = XEN_DOMCTL_pausedomain;
	CHECK_LT(HCALL(domctl, op), 0);
	op->cmd = XEN_DOMCTL_destroydomain;
	CHECK_LT(HCALL(domctl, op), 0);
	op->cmd = 0xffff;
	op->domain = 0;
	CHECK_LT(HCALL(domctl, op), 0);
	CHECK_LT(HCALL(domctl, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(domctl, NONCANONICAL), 0);
}

TEST(sysctl_gate)
{
	struct xen_sysctl *op = (void *)op_buffer;
	long rc;

	memset(op_buffer, 0, sizeof(op_buffer));
	op->cmd = XEN_SYSCTL_physinfo;
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION + 1;
	rc = HCALL(sysctl, op);
	CHECK(rc == -XEN_EACCES || rc == -XEN_ENOSYS);
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op->cmd = 0xffff;
	CHECK_LT(HCALL(sysctl, op), 0);
	CHECK_LT(HCALL(sysctl, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(sysctl, NONCANONICAL), 0);
}

TEST(platform_gate)
{
	struct xen_platform_op *op = (void *)op_buffer;
	long rc;

	memset(op_buffer, 0, sizeof(op_buffer));
	op->cmd = XENPF_get_cpuinfo;
	op->interface_version = XENPF_INTERFACE_VERSION + 1;
	rc = HCALL(platform_op, op);
	CHECK(rc == -XEN_EACCES || rc == -XEN_ENOSYS);
	op->interface_version = XENPF_INTERFACE_VERSION;
	op->cmd = 0xffff;
	CHECK_LT(HCALL(platform_op, op), 0);
	CHECK_LT(HCALL(platform_op, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(platform_op, NONCANONICAL), 0);
}

TEST(hvm_only)
{
	/* HVM parameters of a PV domain do not exist. */
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ };

	CHECK_LT(HCALL(hvm_op, HVMOP_set_param, &p), 0);
	p.domid = NOBODY;
	CHECK_LT(HCALL(hvm_op, HVMOP_get_param, &p), 0);
	CHECK_LT(HCALL(hvm_op, 999, NULL), 0);
	CHECK_LT(HCALL(dm_op, NOBODY, 0, NULL), 0);
}

TEST(foreign_domains)
{
	/* Operations on a domain that does not exist, and on the system's own. */
	static const u32 doms[] = { NOBODY, DOMID_XEN, DOMID_COW, DOMID_INVALID, DOMID_IDLE, 0x7ff7 };
	struct mmu_update u = { virt_to_maddr(pt_walk(VIRT_BASE, 1)), *pt_walk(VIRT_BASE, 1) };
	struct mmuext_op flush = { .cmd = MMUEXT_TLB_FLUSH_LOCAL }, unpin = { .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = 5 };

	for (unsigned i = 0; i < ARRAY_SIZE(doms); i++) {
		domid_t d = (domid_t)doms[i];

		CHECK_LT(HCALL(memory_op, XENMEM_current_reservation, &d), 0);
		CHECK_LT(HCALL(mmuext_op, &unpin, 1, NULL, d), 0);
		CHECK_LT(event_alloc_unbound(d, 0), 0);
		CHECK_LT(event_bind_interdomain(d, 1), 0);
		if (d == NOBODY) {
			CHECK_LT(HCALL(mmu_update, &u, 1, NULL, d), 0);
			CHECK_LT(HCALL(mmuext_op, &flush, 1, NULL, d), 0);
		}
		/* The owner of the tables, in the upper half of the word. */
		CHECK_LT(HCALL(mmu_update, &u, 1, NULL, DOMID_SELF | (u64)(d + 1) << 16), 0);
	}
}

TEST(rare_operations)
{
	/* Numbers that Domain 0 could use, with nothing behind them: an error, no harm (Xen's kexec_op says 0). */
	CHECK(HCALL(kexec_op, 99, NULL) <= 0);
	CHECK_LT(HCALL(xenoprof_op, 99, NULL), 0);
	CHECK_LT(HCALL(xsm_op, NULL), 0);
	CHECK_LT(HCALL(tmem_op, NULL), 0);
	CHECK_LT(HCALL(argo_op, 99, NULL, NULL, 0, 0), 0);
	CHECK_LT(HCALL(xenpmu_op, 99, NULL), 0);
	CHECK_LT(HCALL(hypfs_op, 99, NULL, 0, NULL, 0), 0);
	CHECK_LT(hypercall(__HYPERVISOR_arch_1, 0, 0, 0, 0, 0), 0);
	for (u64 nr = __HYPERVISOR_arch_2; nr <= __HYPERVISOR_arch_7; nr++)
		CHECK_EQ(hypercall(nr, 0, 0, 0, 0, 0), -XEN_ENOSYS);
}
