/* SPDX-License-Identifier: MIT */
/* User mode: exceptions, system calls, the stack switch, the second page table, and what user code must not do. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/callback.h>
#include <xen/sched.h>

#define ASM(text, ...) asm volatile(text, ##__VA_ARGS__)

static u64 noted;

static void u_nothing(u64 arg) { WRITE_ONCE(noted, arg); }
static void u_divide(u64 arg) { ASM("xor %%edx, %%edx; div %0" :: "r"(arg), "a"(1) : "rdx"); }
static void u_ud2(u64 arg) { (void)arg; ASM("ud2"); }
static void u_int3(u64 arg) { (void)arg; ASM("int3"); }
static void u_int4(u64 arg) { (void)arg; ASM("int $4"); }
static void u_int80(u64 arg) { ASM("int $0x80" :: "a"(arg)); }
static void u_int13(u64 arg) { (void)arg; ASM("int $13"); }
static void u_int90(u64 arg) { (void)arg; ASM("int $0x90"); }
static void u_int91(u64 arg) { (void)arg; ASM("int $0x91"); }
static void u_read(u64 arg) { READ_ONCE(*(u64 *)arg); }
static void u_write(u64 arg) { WRITE_ONCE(*(u64 *)arg, 1); }
static void u_call(u64 arg) { ASM("call *%0" :: "r"(arg)); }
static void u_hlt(u64 arg) { (void)arg; ASM("hlt"); }
static void u_cli(u64 arg) { (void)arg; ASM("cli"); }
static void u_sti(u64 arg) { (void)arg; ASM("sti"); }
static void u_in(u64 arg) { ASM("inb %%dx, %%al" :: "d"(arg) : "rax"); }
static void u_out(u64 arg) { ASM("outb %%al, %%dx" :: "d"(arg), "a"(0)); }
static void u_cr0(u64 arg) { (void)arg; ASM("mov %%cr0, %%rax" ::: "rax"); }
static void u_cr3(u64 arg) { (void)arg; ASM("mov %%cr3, %%rax" ::: "rax"); }
static void u_set_cr3(u64 arg) { ASM("mov %0, %%cr3" :: "r"(arg)); }
static void u_dr7(u64 arg) { (void)arg; ASM("mov %%dr7, %%rax" ::: "rax"); }
static void u_rdmsr(u64 arg) { ASM("rdmsr" :: "c"(arg) : "rax", "rdx"); }
static void u_wrmsr(u64 arg) { ASM("wrmsr" :: "c"(arg), "a"(0), "d"(0)); }
static void u_invlpg(u64 arg) { ASM("invlpg (%0)" :: "r"(arg)); }
static void u_wbinvd(u64 arg) { (void)arg; ASM("wbinvd"); }
static void u_clts(u64 arg) { (void)arg; ASM("clts"); }
static void u_lgdt(u64 arg) { ASM("lgdt (%0)" :: "r"(arg)); }
static void u_lidt(u64 arg) { ASM("lidt (%0)" :: "r"(arg)); }
static void u_ltr(u64 arg) { ASM("ltr %w0" :: "r"(arg)); }
static void u_swapgs(u64 arg) { (void)arg; ASM("swapgs"); }
static void u_sysret(u64 arg) { (void)arg; ASM("sysretq"); }
static void u_iretq_kernel(u64 arg)
{
	(void)arg;
	/* Asks for ring 0. */
	ASM("mov %%rsp, %%rcx; push $0; push %%rcx; pushfq; push $0x10; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"
	    ::: "rax", "rcx", "memory");
}

static int run(void (*fn)(u64), u64 arg, struct trap_frame *f)
{
	int v = user_call(fn, arg, f);

	CHECK(trap_from_user(f) || v < 0);
	return v;
}

TEST(runs)
{
	struct trap_frame f;

	CHECK_EQ(run(u_nothing, 0x77, &f), VEC_BP);
	CHECK_EQ(READ_ONCE(noted), 0x77);
	CHECK_EQ(f.cs & 0xffff, FLAT_USER_CS);
	CHECK_EQ(f.ss & 0xffff, FLAT_USER_SS);
	CHECK(f.rflags & FLAG_IF);
	CHECK_EQ(f.cs >> 32 & 0xff, 0);
}

TEST(exceptions)
{
	struct trap_frame f;

	CHECK_EQ(run(u_divide, 0, &f), VEC_DE);
	CHECK_EQ(run(u_ud2, 0, &f), VEC_UD);
	CHECK_EQ(run(u_int3, 0, &f), VEC_BP);
	CHECK_EQ(run(u_int4, 0, &f), VEC_OF);
	CHECK_EQ(run(u_read, NONCANONICAL, &f), VEC_GP);
	CHECK_EQ(f.error, 0);
}

TEST(page_faults)
{
	struct trap_frame f;

	CHECK_EQ(run(u_read, 0x1000, &f), VEC_PF);
	CHECK_EQ(f.error, PF_USER);
	CHECK_EQ(f.cr2, 0x1000);
	CHECK_EQ(run(u_write, 0x2008, &f), VEC_PF);
	CHECK_EQ(f.error, PF_USER | PF_WRITE);
	CHECK_EQ(f.cr2, 0x2008);
	CHECK_EQ(run(u_write, (u64)current_l4(), &f), VEC_PF);
	CHECK_EQ(f.error, PF_USER | PF_WRITE | PF_PRESENT);
	CHECK_EQ(run(u_call, 0x3000, &f), VEC_PF);
	CHECK_EQ(f.error & (PF_USER | PF_WRITE | PF_PRESENT), PF_USER);
	CHECK_EQ(f.rip, 0x3000);
	CHECK_EQ(run(u_read, XEN_VA_INSIDE, &f), VEC_PF);
	CHECK(f.error & PF_USER);
	CHECK_EQ(f.cr2, XEN_VA_INSIDE);
	CHECK_EQ(run(u_write, XEN_VA_M2P, &f), VEC_PF);
}

TEST(int80)
{
	struct trap_frame f;

	CHECK_EQ(run(u_int80, 0x1234, &f), 0x80);
	CHECK_EQ(f.rax, 0x1234);
	CHECK_EQ(f.error, 0);
	/* Goes on after it, to the end of the function. */
	f.rax = 0;
	CHECK_EQ(user_run(&f), VEC_BP);
}

TEST(software_interrupts_refused)
{
	/* See traps.c on the error code of INT n under TCG. */
	struct trap_info table[2] = { { .vector = 0x91, .cs = FLAT_KERNEL_CS, .address = trap_stub(0x91), .flags = 1 } };
	struct trap_frame f;

	CHECK_EQ(run(u_int13, 0, &f), VEC_GP);
	CHECK(f.error == (13 << 3 | 2) || f.error == (13 << 4 | 2));
	CHECK_EQ(run(u_int90, 0, &f), VEC_GP);
	/* A gate that only the kernel may use. */
	CHECK_EQ(HCALL(set_trap_table, table), 0);
	CHECK_EQ(run(u_int91, 0, &f), VEC_GP);
	trap_init_this();
}

TEST(int80_closed)
{
	struct trap_info table[2] = { { .vector = 0x80, .cs = FLAT_KERNEL_CS, .address = trap_stub(0x80), .flags = 0 } };
	struct trap_frame f;

	CHECK_EQ(HCALL(set_trap_table, table), 0);
	/* Xen's short cut for this vector delivers it whatever the level says. */
	if (run(u_int80, 1, &f) != 0x80) {
		CHECK_EQ(f.vector, VEC_GP);
		CHECK(f.error == (0x80 << 3 | 2) || f.error == (0x80 << 4 | 2));
	}
	trap_init_this();
}

TEST(privileged_instructions)
{
	static const struct {
		const char *name;
		void (*fn)(u64);
		u64 arg;
	} list[] = {
		{ "hlt", u_hlt, 0 }, { "cli", u_cli, 0 }, { "sti", u_sti, 0 }, { "in 0x80", u_in, 0x80 },
		{ "in 0x3f8", u_in, 0x3f8 }, { "out 0x80", u_out, 0x80 }, { "out 0xcf8", u_out, 0xcf8 },
		{ "mov cr0", u_cr0, 0 }, { "mov cr3", u_cr3, 0 }, { "mov to cr3", u_set_cr3, 0x1000 },
		{ "mov dr7", u_dr7, 0 }, { "rdmsr efer", u_rdmsr, 0xc0000080 }, { "rdmsr gs base", u_rdmsr, 0xc0000101 },
		{ "wrmsr fs base", u_wrmsr, 0xc0000100 }, { "wrmsr efer", u_wrmsr, 0xc0000080 },
		{ "invlpg", u_invlpg, VIRT_BASE }, { "wbinvd", u_wbinvd, 0 }, { "clts", u_clts, 0 },
		{ "lgdt", u_lgdt, VIRT_BASE }, { "lidt", u_lidt, VIRT_BASE }, { "ltr", u_ltr, 0xe040 },
		{ "swapgs", u_swapgs, 0 }, { "iretq to ring 0", u_iretq_kernel, 0 },
	};
	struct trap_frame f;

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		int v = run(list[i].fn, list[i].arg, &f);

		if (v != VEC_GP)
			test_fail(__FILE__, __LINE__, "%s: trap %d", list[i].name, v);
	}
	/* #UD on processors that know SYSRET in 64-bit mode at ring 0 only by #GP; either is a refusal. */
	CHECK_EQ(run(u_sysret, 0, &f), VEC_GP);
}

static void u_syscall(u64 arg)
{
	ASM("syscall" :: "a"(arg), "D"(1), "S"(2), "d"(3) : "rcx", "r11", "memory");
	WRITE_ONCE(noted, 0x99);
}

TEST(system_call)
{
	struct trap_frame f;

	WRITE_ONCE(noted, 0);
	CHECK_EQ(run(u_syscall, 0x4321, &f), VEC_SYSCALL);
	CHECK_EQ(f.rax, 0x4321);
	CHECK_EQ(f.rdi, 1);
	CHECK_EQ(f.rsi, 2);
	CHECK_EQ(f.rdx, 3);
	CHECK(f.rflags & FLAG_IF);
	CHECK_EQ(f.cs & 0xffff, FLAT_USER_CS);
	CHECK_EQ(f.ss & 0xffff, FLAT_USER_SS);
	CHECK_EQ(f.rcx, f.rip);
	CHECK_EQ(READ_ONCE(noted), 0);
	f.rax = 0;
	CHECK_EQ(user_run(&f), VEC_BP);
	CHECK_EQ(READ_ONCE(noted), 0x99);
}

TEST(system_call_is_no_hypercall)
{
	/* Every number means nothing but itself when user mode says it. */
	struct trap_frame f;

	for (u64 nr = 0; nr < 64; nr++) {
		CHECK_EQ(run(u_syscall, nr, &f), VEC_SYSCALL);
		CHECK_EQ(f.rax, nr);
	}
}

static void u_registers(u64 arg)
{
	(void)arg;
	ASM("mov $0x201, %%ebx; mov $0x202, %%ebp; mov $0x208, %%r8d; mov $0x209, %%r9d; mov $0x20a, %%r10d\n"
	    "mov $0x20c, %%r12d; mov $0x20d, %%r13d; mov $0x20e, %%r14d; mov $0x20f, %%r15d; mov $0x210, %%edx\n"
	    "mov $0x211, %%esi; mov $0x212, %%edi; mov $0x213, %%eax; syscall\n"
	    "mov $0x214, %%ecx; mov $0x215, %%r11d; int3; ud2" ::: "memory");
}

TEST(registers_survive)
{
	struct trap_frame f, before;

	CHECK_EQ(run(u_registers, 0, &f), VEC_SYSCALL);
	before = f;
	CHECK_EQ(user_run(&f), VEC_BP);
	CHECK_EQ(f.rbx, 0x201);
	CHECK_EQ(f.rbp, 0x202);
	CHECK_EQ(f.r8, 0x208);
	CHECK_EQ(f.r9, 0x209);
	CHECK_EQ(f.r10, 0x20a);
	CHECK_EQ(f.r12, 0x20c);
	CHECK_EQ(f.r13, 0x20d);
	CHECK_EQ(f.r14, 0x20e);
	CHECK_EQ(f.r15, 0x20f);
	CHECK_EQ(f.rdx, 0x210);
	CHECK_EQ(f.rsi, 0x211);
	CHECK_EQ(f.rdi, 0x212);
	CHECK_EQ(f.rax, 0x213);
	CHECK_EQ(f.rcx, 0x214);
	CHECK_EQ(f.r11, 0x215);
	CHECK_EQ(f.rsp, before.rsp);
	CHECK_EQ(f.cs & 0xffff, before.cs & 0xffff);
}

TEST(fast_return)
{
	/* The same with VGCF_in_syscall: RCX and R11 are what SYSRET makes of them, the rest is kept. */
	struct trap_frame f;

	CHECK_EQ(run(u_registers, 0, &f), VEC_SYSCALL);
	f.rax = 0x999;
	iret_flags = VGCF_in_syscall;
	CHECK_EQ(user_run(&f), VEC_BP);
	iret_flags = 0;
	CHECK_EQ(f.rax, 0x999);
	CHECK_EQ(f.rbx, 0x201);
	CHECK_EQ(f.r10, 0x20a);
	CHECK_EQ(f.rdi, 0x212);
}

static void u_step(u64 arg)
{
	(void)arg;
	ASM("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc");
}

TEST(single_step)
{
	struct trap_frame f;
	u64 rip;

	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
	CHECK_EQ(run(u_step, 0, &f), VEC_DB);
	CHECK(f.rflags & FLAG_TF);
	CHECK_EQ(HCALL(get_debugreg, 6) & 0x4000, 0x4000);
	rip = f.rip;
	CHECK_EQ(user_run(&f), VEC_DB);
	CHECK_EQ(f.rip, rip + 1);
	f.rflags &= ~FLAG_TF;
	CHECK_EQ(user_run(&f), VEC_BP);
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
}

static void u_flags(u64 arg)
{
	ASM("pushfq; orq %0, (%%rsp); popfq; syscall" :: "r"(arg) : "rcx", "r11", "memory", "cc");
	ASM("pushfq; pop %%rax; mov %%rax, %0" : "=m"(noted) :: "rax");
}

TEST(flags_survive)
{
	static const u64 flags[] = { FLAG_NT, FLAG_AC, FLAG_DF, FLAG_CF, FLAG_ID, FLAG_NT | FLAG_AC | FLAG_DF };
	struct trap_frame f;

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		CHECK_EQ(run(u_flags, flags[i], &f), VEC_SYSCALL);
		CHECK_EQ(f.rflags & flags[i], flags[i]);
		CHECK_EQ(user_run(&f), VEC_BP);
		CHECK_EQ(READ_ONCE(noted) & flags[i], flags[i]);
		CHECK_EQ(READ_ONCE(noted) & FLAG_IOPL, 0);
	}
}

TEST(separate_page_table)
{
	/* An address that means one page to the kernel, another to user code, and nothing to it at first. */
	u64 *kernel_page = page_alloc(), *user_page = page_alloc();
	u64 *l3 = table_alloc(), *l2 = table_alloc(), *l1 = table_alloc();
	struct trap_frame f;
	unsigned slot = pt_index(SCRATCH_VA, 4);

	kernel_page[0] = 1;
	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(kernel_page), PTE_RW)), 0);
	CHECK_EQ(run(u_read, SCRATCH_VA, &f), VEC_PF);
	CHECK_EQ(f.error, PF_USER);

	/* As level 3, 2 and 1 these are written while they have no type: by mmu_update on plain pages. */
	CHECK_EQ(table_set(l1, 0, MAKE_PTE(virt_to_mfn(user_page), PTE_RW)), 0);
	CHECK_EQ(table_set(l2, 0, MAKE_PTE(virt_to_mfn(l1), PTE_TABLE)), 0);
	CHECK_EQ(table_set(l3, 0, MAKE_PTE(virt_to_mfn(l2), PTE_TABLE)), 0);
	CHECK_EQ(table_set(user_pgd(), slot, MAKE_PTE(virt_to_mfn(l3), PTE_TABLE)), 0);
	CHECK_EQ(run(u_write, SCRATCH_VA, &f), VEC_BP);
	CHECK_EQ(READ_ONCE(user_page[0]), 1);
	WRITE_ONCE(user_page[0], 5);
	CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 1);
	CHECK_EQ(READ_ONCE(user_page[0]), 5);

	CHECK_EQ(table_set(user_pgd(), slot, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	CHECK_EQ(run(u_read, SCRATCH_VA, &f), VEC_PF);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
}

static u64 gs_word[2] = { 0xaaaa, 0xbbbb }, fs_word = 0xcccc;

static void u_gs(u64 arg)
{
	u64 v;

	ASM("mov %%gs:0, %0" : "=r"(v));
	WRITE_ONCE(*(u64 *)arg, v);
	ASM("mov %%fs:0, %0" : "=r"(v));
	WRITE_ONCE(*(u64 *)(arg + 8), v);
}

TEST(segment_bases)
{
	u64 seen[2] = { 0 }, v;
	struct trap_frame f;

	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_KERNEL, &gs_word[0]), 0);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_USER, &gs_word[1]), 0);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_FS, &fs_word), 0);
	ASM("mov %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0xaaaa);
	CHECK_EQ(run(u_gs, (u64)seen, &f), VEC_BP);
	CHECK_EQ(READ_ONCE(seen[0]), 0xbbbb);
	CHECK_EQ(READ_ONCE(seen[1]), 0xcccc);
	ASM("mov %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0xaaaa);
}

TEST(segment_bases_refused)
{
	static const u64 bad[] = { NONCANONICAL, 0x0000800000000000, 0xffff7fffffffffff, 0x1234567890abcdef };
	u64 v;

	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_KERNEL, &gs_word[0]), 0);
	for (unsigned which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
			CHECK_EQ(HCALL(set_segment_base, which, bad[i]), -XEN_EINVAL);
	CHECK_EQ(HCALL(set_segment_base, 4, 0), -XEN_EINVAL);
	CHECK_EQ(HCALL(set_segment_base, ~0ul, 0), -XEN_EINVAL);
	ASM("mov %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0xaaaa);
	/* A base inside the hypervisor is allowed and useless. */
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_KERNEL, XEN_VA_INSIDE), 0);
	CHECK_TRAP(VEC_PF, ASM("mov %%gs:0, %%rax" ::: "rax"));
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_KERNEL, 0), 0);
}

TEST(user_selector)
{
	/* SEGBASE_GS_USER_SEL loads a selector; one that cannot be loaded becomes null, quietly. */
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_USER_SEL, FLAT_USER_DS32), 0);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_USER_SEL, 0x1234), 0);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
}

TEST(no_system_call_handler)
{
	/* Unregistered, or never to have been: the call is the guest's fault, reported as #UD or #GP. */
	struct callback_unregister un = { .type = CALLBACKTYPE_syscall };
	struct trap_frame f;
	long rc = HCALL(callback_op, CALLBACKOP_unregister, &un);

	/* Xen keeps these callbacks for ever. */
	if (rc == -XEN_EINVAL)
		return;
	CHECK_EQ(rc, 0);
	CHECK_NE(run(u_syscall, 1, &f), VEC_SYSCALL);
	trap_init_this();
}

static void u_compat(u64 arg)
{
	/* Far return to 32-bit code at arg, on a stack below 4 GiB if there were one; only INT3 is executed. */
	ASM("push %0; push %1; lretq" :: "i"(FLAT_RING3_CS32), "r"(arg));
}

TEST(compatibility_mode)
{
	static u8 code[] __attribute__((aligned(64))) = { 0xcc, 0xcc };
	u64 *l3 = table_alloc(), *l2 = table_alloc(), *l1 = table_alloc();
	u8 *page = page_alloc();
	struct trap_frame f;

	memcpy(page, code, sizeof(code));
	CHECK_EQ(table_set(l1, 0x100, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	CHECK_EQ(table_set(l2, 0, MAKE_PTE(virt_to_mfn(l1), PTE_TABLE)), 0);
	CHECK_EQ(table_set(l3, 0, MAKE_PTE(virt_to_mfn(l2), PTE_TABLE)), 0);
	CHECK_EQ(table_set(user_pgd(), 0, MAKE_PTE(virt_to_mfn(l3), PTE_TABLE)), 0);
	CHECK_EQ(run(u_compat, 0x100000, &f), VEC_BP);
	CHECK_EQ(f.cs & 0xffff, FLAT_RING3_CS32);
	CHECK_EQ(f.rip, 0x100001);
	/* Back there as from a system call, which SYSRET cannot do. */
	iret_flags = VGCF_in_syscall;
	CHECK_EQ(user_run(&f), VEC_BP);
	iret_flags = 0;
	CHECK_EQ(f.cs & 0xffff, FLAT_RING3_CS32);
	CHECK_EQ(f.rip, 0x100002);

	/* SYSCALL and SYSENTER from there reach the callbacks for 32-bit code, or fault; never the hypervisor. */
	{
		struct callback_register cb = {
			.type = CALLBACKTYPE_syscall32, .flags = CALLBACKF_mask_events, .address = (u64)syscall32_stub,
		};
		int v;

		CHECK_EQ(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
		cb.type = CALLBACKTYPE_sysenter;
		cb.address = (u64)sysenter_stub;
		CHECK_EQ(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
		memcpy(page, (u8[]){ 0x0f, 0x05, 0xcc }, 3);
		v = run(u_compat, 0x100000, &f);
		CHECK(v == VEC_SYSCALL32 || v == VEC_UD || v == VEC_GP);
		memcpy(page, (u8[]){ 0x0f, 0x34, 0xcc }, 3);
		v = run(u_compat, 0x100000, &f);
		CHECK(v == VEC_SYSENTER || v == VEC_UD || v == VEC_GP);
		/* INT 0x80 as 32-bit programs do it. */
		memcpy(page, (u8[]){ 0xcd, 0x80, 0xcc }, 3);
		CHECK_EQ(run(u_compat, 0x100000, &f), 0x80);
		CHECK_EQ(f.rip, 0x100002);
		CHECK_EQ(user_run(&f), VEC_BP);
		CHECK_EQ(f.rip, 0x100003);
	}
	CHECK_EQ(table_set(user_pgd(), 0, 0), 0);
}

static void u_spin(u64 arg)
{
	while (!READ_ONCE(*(u64 *)arg))
		cpu_relax();
}

static u64 stop_spinning;

static bool on_event(struct trap_frame *f)
{
	CHECK(trap_from_user(f));
	CHECK_EQ(this_cpu()->info->evtchn_upcall_mask, 1);
	this_cpu()->info->evtchn_upcall_pending = 0;
	WRITE_ONCE(stop_spinning, 1);
	return true;
}

TEST(event_interrupts_user_mode)
{
	/* The upcall is pending before user mode starts, which has events enabled. */
	struct trap_frame f;

	trap_set_hook(VEC_EVENT, on_event);
	this_cpu()->info->evtchn_upcall_pending = 1;
	CHECK_EQ(run(u_spin, (u64)&stop_spinning, &f), VEC_BP);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(READ_ONCE(stop_spinning), 1);
}
