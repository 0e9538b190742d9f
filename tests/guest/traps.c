/* SPDX-License-Identifier: MIT */
/* Exceptions raised in kernel mode, software interrupts, and the trap table. */
#include "lib/test.h"
#include "lib/time.h"

#define ASM(text, ...) asm volatile(text, ##__VA_ARGS__)

/* Symbols of the instruction under test, so that rip can be compared. */
#define HERE(name) ".globl here_" #name "\nhere_" #name ":\n"
extern char here_de[], here_ud[], here_bp[], here_gp[], here_db[];

static volatile u64 divisor;

TEST(divide_error)
{
	struct trap t = CHECK_TRAP(VEC_DE, ASM(HERE(de) "divq %0" :: "m"(divisor), "a"(1ul), "d"(0ul)));

	CHECK_EQ(t.error, 0);
	CHECK_EQ(t.frame.rip, here_de);
	CHECK_EQ(t.frame.rax, 1);
	CHECK_EQ(t.frame.cs & 0xffff, FLAT_KERNEL_CS & ~3);
	CHECK_EQ(t.frame.ss & ~3ul, FLAT_KERNEL_SS & ~3);
	CHECK(!trap_from_user(&t.frame));
}

TEST(invalid_opcode)
{
	struct trap t = CHECK_TRAP(VEC_UD, ASM(HERE(ud) "ud2"));

	CHECK_EQ(t.error, 0);
	CHECK_EQ(t.frame.rip, here_ud);
	CHECK_TRAP(VEC_UD, ASM(".byte 0x62, 0x00"));	/* BOUND, gone in 64-bit mode */
	CHECK_TRAP(VEC_UD, ASM(".byte 0xce"));		/* INTO, likewise */
	CHECK_TRAP(VEC_UD, ASM(".byte 0x0f, 0xff, 0xc0"));
	CHECK_TRAP(VEC_UD, ASM("lock; .byte 0x90"));
}

TEST(breakpoint)
{
	struct trap t = CHECK_TRAP(VEC_BP, ASM("int3\n" HERE(bp)));

	CHECK_EQ(t.frame.rip, here_bp);
	CHECK_EQ(t.error, 0);
}

TEST(overflow)
{
	CHECK_TRAP(VEC_OF, ASM("int $4"));
}

TEST(general_protection)
{
	struct trap t = CHECK_TRAP(VEC_GP, ASM(HERE(gp) "mov (%0), %%rax" :: "r"(NONCANONICAL) : "rax"));

	CHECK_EQ(t.error, 0);
	CHECK_EQ(t.frame.rip, here_gp);
	/* Selectors: an empty slot, beyond the table, a system descriptor's place, no LDT. */
	t = CHECK_TRAP(VEC_GP, ASM("mov %0, %%ds" :: "r"(0x8)));
	CHECK_EQ(t.error, 0x8);
	t = CHECK_TRAP(VEC_GP, ASM("mov %0, %%ds" :: "r"(0xfff8)));
	CHECK_EQ(t.error, 0xfff8);
	t = CHECK_TRAP(VEC_GP, ASM("mov %0, %%es" :: "r"(0xc)));
	CHECK_EQ(t.error, 0xc);
}

TEST(stack_fault)
{
	/* TCG before QEMU 8 raises #GP where a processor raises #SS. */
	struct trap t;

	CATCH(&t, ASM("mov %%rbp, %%rcx; mov %0, %%rbp; mov (%%rbp), %%rax; mov %%rcx, %%rbp"
		      :: "r"(NONCANONICAL) : "rax", "rcx"));
	CHECK(t.vector == VEC_SS || t.vector == VEC_GP);
	CHECK_EQ(t.error, 0);
}

TEST(device_not_available)
{
	struct trap t;

	CHECK_EQ(HCALL(fpu_taskswitch, 1), 0);
	t = CHECK_TRAP(VEC_NM, ASM("fnop"));
	CHECK_EQ(t.error, 0);
	/* The hypervisor has cleared the flag by delivering the trap. */
	CHECK_TRAP(VEC_NONE, ASM("fnop"));
	CHECK_EQ(HCALL(fpu_taskswitch, 1), 0);
	CHECK_EQ(HCALL(fpu_taskswitch, 0), 0);
	CHECK_TRAP(VEC_NONE, ASM("fnop"));
}

TEST(x87_error)
{
	u16 control = 0x37b;	/* divide by zero unmasked */

	CHECK_TRAP(VEC_MF, ASM("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" :: "m"(control)));
	ASM("fninit");
}

TEST(simd_error)
{
	/* TCG before QEMU 8 does not raise unmasked SIMD exceptions. */
	u32 control = 0x1f80 & ~0x200u, normal = 0x1f80;
	float one = 1, zero = 0;
	struct trap t;

	CATCH(&t, ASM("ldmxcsr %0; movss %1, %%xmm0; divss %2, %%xmm0" :: "m"(control), "m"(one), "m"(zero)));
	ASM("ldmxcsr %0" :: "m"(normal));
	if (t.vector == VEC_NONE)
		test_note("this processor raises no SIMD exceptions");
	else
		CHECK_EQ(t.vector, VEC_XM);
}

TEST(alignment_check)
{
	u64 words[2];
	struct trap t;

	/* TCG before QEMU 8 does not check alignment. The hypervisor itself must bear AC set on every way in. */
	CATCH(&t, ASM("pushfq; orq $0x40000, (%%rsp); popfq; mov 1(%0), %%rax" :: "r"(words) : "rax", "memory"));
	ASM("pushfq; andq $~0x40000, (%%rsp); popfq" ::: "memory", "cc");
	if (t.vector == VEC_NONE) {
		test_note("this processor checks no alignment");
	} else {
		CHECK_EQ(t.vector, VEC_AC);
		CHECK_EQ(t.error, 0);
	}
}

static unsigned steps;
static u64 step_rip[8];

static bool count_steps(struct trap_frame *f)
{
	if (steps < ARRAY_SIZE(step_rip))
		step_rip[steps] = f->rip;
	steps++;
	if (f->rip == (u64)here_db)
		f->rflags &= ~FLAG_TF;
	return true;
}

TEST(single_step)
{
	long dr6;

	steps = 0;
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
	trap_set_hook(VEC_DB, count_steps);
	ASM("pushfq; orq $0x100, (%%rsp); popfq; nop; nop; nop\n" HERE(db) "nop" ::: "memory", "cc");
	trap_set_hook(VEC_DB, NULL);
	CHECK_EQ(steps, 3);
	CHECK_EQ(step_rip[0], (u64)here_db - 2);
	CHECK_EQ(step_rip[2], here_db);
	dr6 = HCALL(get_debugreg, 6);
	CHECK_EQ(dr6 & 0x4000, 0x4000);
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
}

TEST(single_step_into_hypercall)
{
	/* SYSCALL masks TF: no step inside the hypervisor, and the one after it is ours. */
	struct trap t;
	u64 nr = __HYPERVISOR_xen_version, sub = 0;

	CATCH(&t, ASM("pushfq; orq $0x100, (%%rsp); popfq; syscall; nop" : "+a"(nr), "+D"(sub) :: "rcx", "r11", "memory"));
	CHECK_EQ(t.vector, VEC_DB);
	CHECK_GE(t.frame.rip, (long)VIRT_BASE);
}

TEST(hardware_breakpoint)
{
	static u64 word;

	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
	CHECK_EQ(HCALL(set_debugreg, 0, &word), 0);
	/* DR0, local, on writes of eight bytes */
	CHECK_EQ(HCALL(set_debugreg, 7, 0x1 | 0x1 << 16 | 0x2 << 18), 0);
	CHECK_TRAP(VEC_DB, WRITE_ONCE(word, 5); asm volatile("nop"));
	CHECK_EQ(word, 5);
	CHECK_EQ(HCALL(get_debugreg, 6) & 0xf, 1);
	CHECK_EQ(HCALL(set_debugreg, 7, 0), 0);
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
	CHECK_TRAP(VEC_NONE, WRITE_ONCE(word, 6));
}

TEST(breakpoint_in_stack_shadow)
{
	/* MOV to SS with a watched operand, followed by SYSCALL: the delayed #DB must not be the hypervisor's end. */
	static u64 ss_image = FLAT_KERNEL_SS;
	u64 nr = __HYPERVISOR_xen_version, sub = 0;
	struct trap t;

	CHECK_EQ(HCALL(set_debugreg, 0, &ss_image), 0);
	CHECK_EQ(HCALL(set_debugreg, 7, 0x1 | 0x3 << 16 | 0x1 << 18), 0);
	CATCH(&t, ASM("mov %2, %%ss; syscall" : "+a"(nr), "+D"(sub) : "m"(ss_image) : "rcx", "r11", "memory"));
	CHECK(t.vector == VEC_DB || t.vector == VEC_NONE);
	CATCH(&t, ASM("mov %0, %%ss; int3" :: "m"(ss_image) : "memory"));
	CHECK(t.vector == VEC_DB || t.vector == VEC_BP);
	CATCH(&t, ASM("mov %0, %%ss; int $0x80" :: "m"(ss_image) : "memory"));
	CHECK(t.vector == VEC_DB || t.vector == 0x80);
	CATCH(&t, ASM("mov %0, %%ss; ud2" :: "m"(ss_image) : "memory"));
	CHECK(t.vector == VEC_DB || t.vector == VEC_UD);
	CHECK_EQ(HCALL(set_debugreg, 7, 0), 0);
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
}

TEST(int1_instruction)
{
	/* TCG before QEMU 8 does not know it. */
	struct trap t;

	CATCH(&t, ASM(".byte 0xf1"));
	CHECK(t.vector == VEC_DB || t.vector == VEC_UD);
}

/*
 * INT n through a gate that is closed to ring 3 is a #GP whose error code names the vector: n << 3 | 2. TCG before QEMU 8
 * reports n << 4 | 2 in long mode, so that a hypervisor which trusts the code sees vector 2n.
 */
static bool int_error_is_right(void)
{
	return ({ struct trap t; CATCH(&t, ASM("int $13")); t.error; }) == (13 << 3 | 2);
}

#define CHECK_INT_REFUSED(n) ({								\
	struct trap r_;									\
	CATCH(&r_, ASM("int %0" :: "i"(n)));						\
	if (int_error_is_right()) {							\
		CHECK_EQ(r_.vector, VEC_GP);						\
		CHECK_EQ(r_.error, (n) << 3 | 2);					\
	} else if ((n) != VEC_GP) {							\
		CHECK_NE(r_.vector, n);							\
	} })

TEST(software_interrupts)
{
	/* Declared open to all, closed (level 0), and never declared. */
	CHECK_TRAP(0x80, ASM("int $0x80"));
	CHECK_TRAP(VEC_BP, ASM("int $3"));
	CHECK_INT_REFUSED(13);
	CHECK_INT_REFUSED(0x90);
	CHECK_INT_REFUSED(14);
	CHECK_INT_REFUSED(2);
	CHECK_INT_REFUSED(8);
	CHECK_INT_REFUSED(0xff);
}

TEST(software_interrupt_levels)
{
	struct trap_info table[5] = {
		{ .vector = 0x91, .cs = FLAT_KERNEL_CS, .address = trap_stub(0x91), .flags = 1 },
		{ .vector = 0x92, .cs = FLAT_KERNEL_CS, .address = trap_stub(0x92), .flags = 2 },
		{ .vector = 0x93, .cs = FLAT_KERNEL_CS, .address = trap_stub(0x93), .flags = 3 },
		{ .vector = 0x94, .cs = FLAT_KERNEL_CS, .address = trap_stub(0x94), .flags = 0 },
	};

	CHECK_EQ(HCALL(set_trap_table, table), 0);
	CHECK_INT_REFUSED(0x94);
	if (!int_error_is_right()) {
		test_note("INT n cannot be told apart on this processor");
		return;
	}
	CHECK_TRAP(0x91, ASM("int $0x91"));
	CHECK_TRAP(0x92, ASM("int $0x92"));
	CHECK_TRAP(0x93, ASM("int $0x93"));
}

TEST(registers_in_frame)
{
	struct trap t = CHECK_TRAP(VEC_UD, ASM(
		"mov $0x101, %%eax; mov $0x102, %%ebx; mov $0x103, %%ecx; mov $0x104, %%edx\n"
		"mov $0x105, %%esi; mov $0x106, %%edi; mov $0x108, %%r8d; mov $0x109, %%r9d\n"
		"mov $0x10a, %%r10d; mov $0x10b, %%r11d; mov $0x10c, %%r12d; mov $0x10d, %%r13d\n"
		"mov $0x10e, %%r14d; mov $0x10f, %%r15d; ud2"
		::: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"));

	CHECK_EQ(t.frame.rax, 0x101);
	CHECK_EQ(t.frame.rbx, 0x102);
	CHECK_EQ(t.frame.rcx, 0x103);
	CHECK_EQ(t.frame.rdx, 0x104);
	CHECK_EQ(t.frame.rsi, 0x105);
	CHECK_EQ(t.frame.rdi, 0x106);
	CHECK_EQ(t.frame.r8, 0x108);
	CHECK_EQ(t.frame.r10, 0x10a);
	CHECK_EQ(t.frame.r11, 0x10b);
	CHECK_EQ(t.frame.r15, 0x10f);
}

TEST(flags_in_frame)
{
	struct trap t = CHECK_TRAP(VEC_UD, ASM("std; stc; ud2"));

	CHECK(t.frame.rflags & FLAG_DF);
	CHECK(t.frame.rflags & FLAG_CF);
	/* Events are masked now, which the frame shows as IF clear and a saved mask of one. */
	CHECK(!(t.frame.rflags & FLAG_IF));
	CHECK_EQ(t.frame.cs >> 32 & 0xff, 1);
	CHECK_EQ(t.frame.rflags & FLAG_IOPL, 0);

	this_cpu()->info->evtchn_upcall_mask = 0;
	CATCH(&t, ASM("ud2"));
	this_cpu()->info->evtchn_upcall_mask = 1;
	CHECK(t.frame.rflags & FLAG_IF);
	CHECK_EQ(t.frame.cs >> 32 & 0xff, 0);
}

TEST(nested_task_flag)
{
	/* NT set on the way into the hypervisor by every door. */
	struct trap t;

	CATCH(&t, ASM("pushfq; orq $0x4000, (%%rsp); popfq; ud2" ::: "memory", "cc"));
	CHECK_EQ(t.vector, VEC_UD);
	CHECK(t.frame.rflags & FLAG_NT);
	CATCH(&t, ASM("pushfq; orq $0x4000, (%%rsp); popfq" ::: "memory", "cc"); CHECK_GE(HCALL(xen_version, 0, NULL), 0));
	CHECK_EQ(t.vector, VEC_NONE);
	ASM("pushfq; andq $~0x4000, (%%rsp); popfq" ::: "memory", "cc");
}

TEST(alignment_and_direction_flags_in_hypercall)
{
	u64 flags, nr = __HYPERVISOR_xen_version, sub = 0;

	ASM("pushfq; orq $0x40400, (%%rsp); popfq; syscall; pushfq; pop %2; cld; pushfq; andq $~0x40000, (%%rsp); popfq"
	    : "+a"(nr), "+D"(sub), "=r"(flags) :: "rcx", "r11", "memory", "cc");
	CHECK_EQ(nr, 4 << 16 | 17);
	CHECK_EQ(flags & 0x40400, 0x40400);
}

static struct trap inner;

static bool nest(struct trap_frame *f)
{
	CATCH(&inner, READ_ONCE(*(u64 *)XEN_VA_INSIDE));
	f->rip += 2;	/* UD2 */
	return true;
}

TEST(nested_and_resumed)
{
	volatile u64 after = 0;

	trap_set_hook(VEC_UD, nest);
	CHECK_TRAP(VEC_NONE, ASM("ud2"); after = 1);
	trap_set_hook(VEC_UD, NULL);
	CHECK_EQ(after, 1);
	CHECK_EQ(inner.vector, VEC_PF);
	CHECK_EQ(inner.cr2, XEN_VA_INSIDE);
}

static u8 mask_in_handler;

static bool note_mask(struct trap_frame *f)
{
	mask_in_handler = this_cpu()->info->evtchn_upcall_mask;
	f->rip += 2;
	return true;
}

TEST(event_disabling_gate)
{
	struct trap_info gate[2] = { { .vector = VEC_UD, .cs = FLAT_KERNEL_CS, .address = trap_stub(VEC_UD), .flags = 4 } };
	volatile u8 *mask = &this_cpu()->info->evtchn_upcall_mask;

	CHECK_EQ(HCALL(set_trap_table, gate), 0);
	trap_set_hook(VEC_UD, note_mask);
	*mask = 0;
	ASM("ud2");
	CHECK_EQ(*mask, 0);
	*mask = 1;
	CHECK_EQ(mask_in_handler, 1);
	gate[0].flags = 0;
	CHECK_EQ(HCALL(set_trap_table, gate), 0);
	*mask = 0;
	ASM("ud2");
	*mask = 1;
	trap_set_hook(VEC_UD, NULL);
	CHECK_EQ(mask_in_handler, 0);
}

TEST(trap_table_refused)
{
	struct trap_info bad[2] = { { .vector = VEC_UD, .cs = FLAT_KERNEL_CS, .address = NONCANONICAL } };

	CHECK_LT(HCALL(set_trap_table, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(set_trap_table, NONCANONICAL), 0);
	CHECK_LT(HCALL(set_trap_table, SCRATCH_VA), 0);
	CHECK_LT(HCALL(set_trap_table, bad), 0);
	bad[0].address = 0x0000800000000000;
	CHECK_LT(HCALL(set_trap_table, bad), 0);
	trap_init_this();
	CHECK_TRAP(VEC_UD, ASM("ud2"));
}

TEST(trap_table_bad_selector)
{
	/* A selector that is no code segment of ours: refused, or made one of ours; the trap still works afterwards. */
	struct trap_info bad[2] = { { .vector = 0x95, .cs = 0xe008, .address = trap_stub(0x95), .flags = 3 } };
	static const u16 selectors[] = { 0, 0x8, 0x10, 0xe008, 0xe010, 0xe02b, 0xffff };
	struct trap t;

	for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
		bad[0].cs = selectors[i];
		if (HCALL(set_trap_table, bad))
			continue;
		/* Accepted, so only its use could be refused; the runtime's own vector must not suffer. */
		CHECK_TRAP(0x80, ASM("int $0x80"));
	}
	bad[0].cs = FLAT_KERNEL_CS;
	CHECK_EQ(HCALL(set_trap_table, bad), 0);
	CATCH(&t, ASM("int $0x95"));
	if (int_error_is_right())
		CHECK_EQ(t.vector, 0x95);
}

TEST(trap_table_cleared)
{
	CHECK_EQ(HCALL(set_trap_table, NULL), 0);
	trap_init_this();
	CHECK_TRAP(VEC_UD, ASM("ud2"));
	/* The table is replaced entry by entry except when cleared as a whole: 0x91 is gone. */
	CHECK_INT_REFUSED(0x91);
}
