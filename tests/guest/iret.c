/* SPDX-License-Identifier: MIT */
/* The iret hypercall with frames a kernel should not build, and callbacks at addresses it should not name. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/callback.h>
#include <xen/nmi.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define ASM(text, ...) asm volatile(text, ##__VA_ARGS__)

static u64 noted;

static void u_note(u64 arg)
{
	ASM("pushfq; pop %0" : "=m"(noted));
	(void)arg;
}

/* Runs u_note with the frame changed; whatever happens to it, it must come back here as a trap. */
static int run_with(struct trap_frame *f)
{
	WRITE_ONCE(noted, 0);
	return user_run(f);
}

static const u64 bad_addresses[] = {
	NONCANONICAL, 0x0000800000000000, 0xffff7fffffffffff, 0x00007fffffffffff, XEN_VA_INSIDE, XEN_VA_M2P, ~0ul,
};

TEST(rip)
{
	struct trap_frame f;

	for (unsigned fast = 0; fast < 2; fast++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
			int v;

			user_frame(&f, u_note, 0);
			f.rip = bad_addresses[i];
			iret_flags = fast ? VGCF_in_syscall : 0;
			v = run_with(&f);
			iret_flags = 0;
			if (v != VEC_PF && v != VEC_GP)
				test_fail(__FILE__, __LINE__, "rip %lx: trap %d", bad_addresses[i], v);
			if (trap_from_user(&f))
				CHECK_EQ(f.rip, bad_addresses[i]);
			CHECK_EQ(READ_ONCE(noted), 0);
		}
}

TEST(rsp)
{
	struct trap_frame f;

	for (unsigned fast = 0; fast < 2; fast++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
			int v;

			user_frame(&f, u_note, 0);
			f.rsp = bad_addresses[i];
			iret_flags = fast ? VGCF_in_syscall : 0;
			v = run_with(&f);
			iret_flags = 0;
			/* Its first push faults in user mode. */
			if (v != VEC_PF && v != VEC_GP && v != VEC_SS)
				test_fail(__FILE__, __LINE__, "rsp %lx: trap %d", bad_addresses[i], v);
			CHECK(trap_from_user(&f));
		}
}

TEST(flags)
{
	/* Flags a guest must not get: IOPL, VM, VIF, VIP and reserved bits vanish. */
	static const u64 flags[] = {
		FLAG_IOPL, 1ul << 17, 3ul << 19, 1ul << 22, 1ul << 63, 0x8000, 0x28, FLAG_NT | FLAG_IOPL, FLAG_AC, FLAG_RF,
	};
	struct trap_frame f;

	for (unsigned fast = 0; fast < 2; fast++)
		for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
			int v;

			user_frame(&f, u_note, 0);
			f.rflags |= flags[i];
			iret_flags = fast ? VGCF_in_syscall : 0;
			v = run_with(&f);
			iret_flags = 0;
			if (v != VEC_BP && v != VEC_GP) {
				test_fail(__FILE__, __LINE__, "flags %lx: trap %d", flags[i], v);
				continue;
			}
			if (v == VEC_BP) {
				CHECK_EQ(READ_ONCE(noted) & (FLAG_IOPL | 1ul << 17), 0);
				CHECK(READ_ONCE(noted) & FLAG_IF);
			}
		}
}

TEST(interrupt_flag_cleared)
{
	/* User mode cannot run with interrupts off; the flag only sets the upcall mask. */
	struct trap_frame f;

	user_frame(&f, u_note, 0);
	f.rflags &= ~FLAG_IF;
	CHECK_EQ(run_with(&f), VEC_BP);
	CHECK(READ_ONCE(noted) & FLAG_IF);
	CHECK_EQ(f.cs >> 32 & 0xff, 1);
}

TEST(code_selectors)
{
	/* The selector's RPL says where to go: 0, 1 and 2 are the kernel. Bad selectors fault or are made good. */
	static const u16 selectors[] = {
		0x0003, 0x000b, 0x0033, 0xe00b, 0xe013, 0xe01b, 0xe02b, 0xe03b, 0xe043, 0xe04b, 0xffff, 0x000f, 0x1237,
	};
	struct trap_frame f;

	for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
		int v;

		user_frame(&f, u_note, 0);
		f.cs = selectors[i];
		v = run_with(&f);
		if (v != VEC_BP && v != VEC_GP && v != VEC_NP && v != VEC_TS && v != VEC_SS)
			test_fail(__FILE__, __LINE__, "cs %x: trap %d", selectors[i], v);
		if (v == VEC_BP)
			CHECK_EQ(f.cs & 3, 3);
	}
}

TEST(stack_selectors)
{
	static const u16 selectors[] = { 0, 0x0003, 0x000b, 0xe008, 0xe010, 0xe033, 0xe03b, 0xffff, 0x000f, 0x1237 };
	struct trap_frame f;

	for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
		int v;

		user_frame(&f, u_note, 0);
		f.ss = selectors[i];
		v = run_with(&f);
		if (v != VEC_BP && v != VEC_GP && v != VEC_NP && v != VEC_SS)
			test_fail(__FILE__, __LINE__, "ss %x: trap %d", selectors[i], v);
	}
}

/* iret to the kernel itself, by hand. Returns what the hypercall does to RAX, R11, RCX and RFLAGS. */
static u64 iret_kernel(u64 flags_word, u64 cs, u64 rflags, u64 regs[3])
{
	u64 out;

	ASM("mov %%rsp, %%r8\n"
	    "push $%c[ss]\n"
	    "push %%r8\n"
	    "push %[rflags]\n"
	    "push %[cs]\n"
	    "lea 1f(%%rip), %%rax\n"
	    "push %%rax\n"
	    "push %[word]\n"
	    "push $0x111; push $0x222; push $0x333\n"		/* rcx, r11, rax */
	    "mov %[nr], %%eax\n"
	    "syscall\n"
	    "ud2\n"
	    "1: mov %%rax, 0(%[regs]); mov %%r11, 8(%[regs]); mov %%rcx, 16(%[regs]); pushfq; pop %[out]"
	    : [out] "=&r"(out)
	    : [ss] "i"(FLAT_KERNEL_SS), [rflags] "r"(rflags), [cs] "r"(cs), [word] "r"(flags_word),
	      [nr] "i"(__HYPERVISOR_iret), [regs] "r"(regs)
	    : "rax", "rcx", "r11", "r8", "memory", "cc");
	return out;
}

TEST(to_kernel)
{
	for (unsigned rpl = 0; rpl < 3; rpl++) {
		u64 regs[3], flags;

		flags = iret_kernel(0, (FLAT_KERNEL_CS & ~3) | rpl, FLAG_CF | FLAG_DF, regs);
		ASM("cld");
		CHECK_EQ(regs[0], 0x333);
		CHECK_EQ(regs[1], 0x222);
		CHECK_EQ(regs[2], 0x111);
		CHECK(flags & FLAG_CF);
		CHECK(flags & FLAG_DF);
		CHECK_EQ(this_cpu()->info->evtchn_upcall_mask, 1);
	}
}

TEST(to_kernel_sets_mask)
{
	u64 regs[3];

	iret_kernel(0, FLAT_KERNEL_CS & ~3, FLAG_IF, regs);
	CHECK_EQ(this_cpu()->info->evtchn_upcall_mask, 0);
	iret_kernel(0, FLAT_KERNEL_CS & ~3, 0, regs);
	CHECK_EQ(this_cpu()->info->evtchn_upcall_mask, 1);
}

TEST(to_kernel_fast)
{
	u64 regs[3];

	iret_kernel(VGCF_in_syscall, FLAT_KERNEL_CS & ~3, 0, regs);
	CHECK_EQ(regs[0], 0x333);
}

TEST(flag_word_garbage)
{
	/* Bits of the flags word that mean nothing. */
	u64 regs[3];

	iret_kernel(~(u64)VGCF_in_syscall, FLAT_KERNEL_CS & ~3, 0, regs);
	CHECK_EQ(regs[0], 0x333);
	CHECK_EQ(regs[1], 0x222);
}

TEST(callback_addresses)
{
	static const u16 types[] = {
		CALLBACKTYPE_event, CALLBACKTYPE_failsafe, CALLBACKTYPE_syscall, CALLBACKTYPE_nmi, CALLBACKTYPE_sysenter,
		CALLBACKTYPE_syscall32,
	};
	struct callback_register cb = { 0 };

	for (unsigned t = 0; t < ARRAY_SIZE(types); t++) {
		static const u64 addresses[] = { NONCANONICAL, 0x0000800000000000, 0xffff7fffffffffff, 0x123456789abcdef0 };

		cb.type = types[t];
		for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
			cb.address = addresses[i];
			CHECK_EQ(HCALL(callback_op, CALLBACKOP_register, &cb), -XEN_EINVAL);
		}
	}
	cb.type = 6;
	cb.address = (u64)event_stub;
	CHECK_LT(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
	cb.type = 0xffff;
	CHECK_LT(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
	CHECK_LT(HCALL(callback_op, 2, &cb), 0);
	CHECK_LT(HCALL(callback_op, CALLBACKOP_register, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(callback_op, CALLBACKOP_register, NONCANONICAL), 0);
	CHECK_LT(HCALL(callback_op, CALLBACKOP_unregister, NONCANONICAL), 0);
}

TEST(callback_unregister)
{
	/* The ones that can be: NMI, sysenter, syscall32. */
	struct callback_register cb = { .type = CALLBACKTYPE_nmi, .address = (u64)nmi_stub };
	struct callback_unregister un = { .type = CALLBACKTYPE_nmi };

	CHECK_EQ(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
	CHECK_EQ(HCALL(callback_op, CALLBACKOP_unregister, &un), 0);
	un.type = CALLBACKTYPE_event;
	CHECK_EQ(HCALL(callback_op, CALLBACKOP_unregister, &un), -XEN_EINVAL);
	un.type = CALLBACKTYPE_failsafe;
	CHECK_EQ(HCALL(callback_op, CALLBACKOP_unregister, &un), -XEN_EINVAL);
	un.type = 77;
	CHECK_LT(HCALL(callback_op, CALLBACKOP_unregister, &un), 0);
}

static unsigned nmis;

static bool on_nmi(struct trap_frame *f)
{
	(void)f;
	nmis++;
	return true;
}

TEST(nmi_callback)
{
	struct callback_register cb = { .type = CALLBACKTYPE_nmi, .address = (u64)nmi_stub };

	CHECK_EQ(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
	trap_set_hook(VEC_NMI, on_nmi);
	/* Not held back by the upcall mask. */
	CHECK_EQ(HCALL(vcpu_op, VCPUOP_send_nmi, 0, NULL), 0);
	CHECK_EQ(READ_ONCE(nmis), 1);
	/* The iret of the first re-enables the second. */
	CHECK_EQ(HCALL(vcpu_op, VCPUOP_send_nmi, 0, NULL), 0);
	CHECK_EQ(READ_ONCE(nmis), 2);
	CHECK_LT(HCALL(vcpu_op, VCPUOP_send_nmi, 4000, NULL), 0);
	trap_set_hook(VEC_NMI, NULL);
	CHECK_EQ(HCALL(callback_op, CALLBACKOP_unregister, &(struct callback_unregister){ .type = CALLBACKTYPE_nmi }), 0);
	/* The older interface to the same thing. */
	struct xennmi_callback old = { .handler_address = (u64)nmi_stub };

	CHECK_EQ(HCALL(nmi_op, XENNMI_register_callback, &old), 0);
	CHECK_EQ(HCALL(nmi_op, XENNMI_unregister_callback, NULL), 0);
	CHECK_LT(HCALL(nmi_op, XENNMI_register_callback, NONCANONICAL), 0);
	CHECK_LT(HCALL(nmi_op, 99, NULL), 0);
}

static bool storm_over;
static unsigned depth, nested;

static bool on_storm(struct trap_frame *f)
{
	(void)f;
	nested += depth++ != 0;
	nmis++;
	depth--;
	return true;
}

static void storm(void *arg)
{
	(void)arg;
	while (!READ_ONCE(storm_over))
		HCALL(vcpu_op, VCPUOP_send_nmi, 0, NULL);
}

#define STORM_LEAST 300

TEST(nmi_at_any_instruction)
{
	/* Another vCPU sends them all the time: on the ways into traps, system calls and user mode and back. One at a time; all state is kept. */
	struct callback_register cb = { .type = CALLBACKTYPE_nmi, .address = (u64)nmi_stub };
	unsigned rounds = 0, wrong = 0;
	u64 start = now();

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	nmis = 0;
	CHECK_EQ(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
	trap_set_hook(VEC_NMI, on_storm);
	cpu_run(1, storm, NULL);
	while (now() - start < PATIENCE && (rounds < STORM_LEAST || READ_ONCE(nmis) < STORM_LEAST)) {
		struct trap_frame f;
		struct trap t;

		wrong += HCALL(xen_version, XENVER_version, NULL) != (4 << 16 | 17);
		CATCH(&t, (void)READ_ONCE(*(u64 *)(8 * PAGE_SIZE)));
		wrong += t.vector != VEC_PF || t.cr2 != 8 * PAGE_SIZE;
		noted = 0;
		wrong += user_call(u_note, 0, &f) != VEC_BP || !noted;
		rounds++;
	}
	WRITE_ONCE(storm_over, true);
	CHECK_EQ(cpu_wait(1), 0);
	trap_set_hook(VEC_NMI, NULL);
	CHECK_EQ(HCALL(callback_op, CALLBACKOP_unregister, &(struct callback_unregister){ .type = CALLBACKTYPE_nmi }), 0);
	print("  %u NMIs, %u rounds\n", nmis, rounds);
	CHECK_GE(nmis, STORM_LEAST);
	CHECK_GE(rounds, STORM_LEAST);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(nested, 0);
}

TEST(stack_switch)
{
	/* Selector of the kernel stack: fixed up or refused, never a way to a stack of the hypervisor's. */
	static const u64 selectors[] = { 0, FLAT_KERNEL_SS, 0xe008, 0xe010, 0x10, 0xffff };
	struct trap_frame f;

	for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++)
		CHECK(HCALL(stack_switch, selectors[i], this_cpu() + 1) <= 0);
	CHECK_EQ(user_call(u_note, 0, &f), VEC_BP);
}
