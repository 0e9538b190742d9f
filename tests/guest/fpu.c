/* SPDX-License-Identifier: MIT */
/* Floating-point and vector state: kept across hypercalls, blocking and other vCPUs, and never another's. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

#define ASM(text, ...) asm volatile(text, ##__VA_ARGS__)

static u8 area[4096] __attribute__((aligned(64)));

static u32 cpuid_ecx(u32 leaf, u32 sub, u32 *ebx)
{
	u32 a, b, c, d;

	ASM(XEN_CPUID : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(leaf), "2"(sub));
	if (ebx)
		*ebx = b;
	return c;
}

static bool has_xsave(void)
{
	return cpuid_ecx(1, 0, NULL) & 1u << 27;	/* OSXSAVE, after the kernel set CR4.OSXSAVE */
}

static void load_xmm(u64 v)
{
	u64 pair[2] = { v, ~v };

	ASM("movups %0, %%xmm0; movups %0, %%xmm7; movups %0, %%xmm15" :: "m"(pair));
}

static bool same_xmm(u64 v)
{
	u64 got[6];

	ASM("movups %%xmm0, 0(%0); movups %%xmm7, 16(%0); movups %%xmm15, 32(%0)" :: "r"(got) : "memory");
	for (unsigned i = 0; i < 6; i++)
		if (got[i] != (i & 1 ? ~v : v))
			return false;
	return true;
}

TEST(kept_across_hypercalls)
{
	load_xmm(0x1122334455667788);
	for (unsigned i = 0; i < 100; i++)
		HCALL(xen_version, 0, NULL);
	CHECK(same_xmm(0x1122334455667788));
	HCALL(sched_op, SCHEDOP_yield);
	CHECK(same_xmm(0x1122334455667788));
}

TEST(kept_across_blocking)
{
	u16 cw = 0x27f, got;

	load_xmm(0xabcdef0123456789);
	ASM("fninit; fldcw %0; fldpi" :: "m"(cw));
	for (unsigned i = 0; i < 20; i++)
		block_until(now() + 2 * MSEC);
	CHECK(same_xmm(0xabcdef0123456789));
	ASM("fnstcw %0" : "=m"(got));
	CHECK_EQ(got, cw);
	ASM("fnstsw %0" : "=m"(got));
	CHECK_EQ(got >> 11 & 7, 7);	/* one value on the stack */
	ASM("fninit");
}

TEST(mxcsr_kept)
{
	u32 v = 0x1f80 | 0x6000, got, normal = 0x1f80;

	ASM("ldmxcsr %0" :: "m"(v));
	block_until(now() + 2 * MSEC);
	ASM("stmxcsr %0" : "=m"(got));
	CHECK_EQ(got & ~0x3f, v);
	ASM("ldmxcsr %0" :: "m"(normal));
}

static volatile u64 other_bad;
static volatile bool stop;

static void other_load(void *arg)
{
	u64 v = (u64)arg;

	for (u64 i = 0; !stop; i++) {
		load_xmm(v + i);
		if (i & 1)
			HCALL(sched_op, SCHEDOP_yield);
		else
			block_until(now() + MSEC / 4);
		if (!same_xmm(v + i))
			other_bad++;
	}
}

TEST(kept_against_another_vcpu)
{
	/* With more vCPUs than processors (fpu.args) they take turns on one. */
	u64 end = now() + SEC;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	stop = false;
	cpu_run(1, other_load, (void *)0x7000000000000000);
	for (u64 i = 0; now() < end; i++) {
		load_xmm(i);
		if (i % 3)
			HCALL(sched_op, SCHEDOP_yield);
		else
			block_until(now() + MSEC / 3);
		if (!same_xmm(i)) {
			CHECK_EQ(i, ~0ul);
			break;
		}
	}
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
	CHECK_EQ(other_bad, 0);
}

static volatile u64 fresh[2];

static void look_at_fresh_state(void *arg)
{
	(void)arg;
	ASM("fxsave64 %0" : "=m"(area) :: "memory");
	fresh[0] = *(u16 *)area;
	for (unsigned i = 160; i < 416; i++)
		if (area[i])
			fresh[1]++;
}

TEST(fresh_vcpu_has_reset_state)
{
	/* A vCPU that never ran before shows no register contents but those of the architecture. */
	if (cpu_count() < 3) {
		test_note("needs three vCPUs");
		return;
	}
	load_xmm(0x5555);
	cpu_run(2, look_at_fresh_state, NULL);
	CHECK_EQ(cpu_wait(2), 0);
	CHECK_EQ(fresh[0], 0x37f);
	CHECK_EQ(fresh[1], 0);
}

TEST(task_switched)
{
	/* Setting TS and using the registers later gives #NM once, and the contents are those from before. */
	struct trap t;

	load_xmm(0x9999);
	CHECK_EQ(HCALL(fpu_taskswitch, 1), 0);
	block_until(now() + MSEC);
	t = CHECK_TRAP(VEC_NM, ASM("movups %%xmm0, %0" : "=m"(area)));
	(void)t;
	CHECK(same_xmm(0x9999));
	CHECK_EQ(HCALL(fpu_taskswitch, 0), 0);
}

static void u_sse(u64 arg)
{
	ASM("movups %%xmm0, (%0)" :: "r"(arg) : "memory");
}

TEST(task_switched_in_user_mode)
{
	static u64 got[2];
	struct trap_frame f;

	load_xmm(0x8888);
	CHECK_EQ(HCALL(fpu_taskswitch, 1), 0);
	CHECK_EQ(user_call(u_sse, (u64)got, &f), VEC_NM);
	CHECK_EQ(HCALL(fpu_taskswitch, 0), 0);
	CHECK_EQ(user_run(&f), VEC_BP);
	CHECK_EQ(READ_ONCE(got[0]), 0x8888);
}

static u64 xgetbv(void)
{
	u32 lo, hi;

	ASM("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (u64)hi << 32 | lo;
}

static void xsetbv(u32 reg, u64 v)
{
	ASM("xsetbv" :: "c"(reg), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

TEST(enable_xsave)
{
	u64 cr4, v;

	if (!(cpuid_ecx(1, 0, NULL) & 1u << 26)) {
		test_note("no XSAVE");
		return;
	}
	ASM("mov %%cr4, %0" : "=r"(cr4));
	ASM("mov %0, %%cr4" :: "r"(cr4 | 1ul << 18) : "memory");
	ASM("mov %%cr4, %0" : "=r"(v));
	CHECK(v & 1ul << 18);
	CHECK(has_xsave());
	CHECK_TRAP(VEC_NONE, xgetbv());
	CHECK(xgetbv() & 1);
}

TEST(xsetbv)
{
	u64 old, all;
	u32 hi, lo, b, c;

	if (!has_xsave())
		return;
	old = xgetbv();
	ASM(XEN_CPUID : "=a"(lo), "=b"(b), "=c"(c), "=d"(hi) : "0"(0xd), "2"(0));
	all = (u64)hi << 32 | lo;
	CHECK_EQ(all & 3, 3);
	CHECK_TRAP(VEC_NONE, xsetbv(0, all & 7));
	CHECK_EQ(xgetbv(), all & 7);
	/* x87 cannot be off; AVX needs SSE; what is not offered cannot be on; there is only register 0. */
	CHECK_TRAP(VEC_GP, xsetbv(0, 0));
	CHECK_TRAP(VEC_GP, xsetbv(0, 2));
	if (all & 4)
		CHECK_TRAP(VEC_GP, xsetbv(0, 5));
	CHECK_TRAP(VEC_GP, xsetbv(0, all | 1ul << 62));
	CHECK_TRAP(VEC_GP, xsetbv(0, ~0ul));
	CHECK_TRAP(VEC_GP, xsetbv(1, 3));
	CHECK_TRAP(VEC_NONE, xsetbv(0, old));
}

static void u_xsetbv(u64 arg)
{
	xsetbv(0, arg);
}

TEST(xsetbv_from_user)
{
	struct trap_frame f;

	if (!has_xsave())
		return;
	CHECK_EQ(user_call(u_xsetbv, 3, &f), VEC_GP);
}

TEST(upper_vector_halves_kept)
{
	u8 one[32], got[32];

	if (!has_xsave() || !(cpuid_ecx(1, 0, NULL) & 1u << 28)) {
		test_note("no AVX");
		return;
	}
	xsetbv(0, 7);
	for (unsigned i = 0; i < 32; i++)
		one[i] = (u8)(i * 7 + 1);
	ASM("vmovups %0, %%ymm5" :: "m"(one));
	for (unsigned i = 0; i < 10; i++)
		block_until(now() + MSEC);
	HCALL(xen_version, 0, NULL);
	ASM("vmovups %%ymm5, %0" : "=m"(got));
	CHECK_EQ(memcmp(one, got, 32), 0);
	ASM("vzeroupper");
}

TEST(supervisor_state_instructions)
{
	/* XSAVES and XRSTORS are not for ring 3, and XSS is not the guest's. */
	struct trap t;

	CATCH(&t, ASM("xor %%edx, %%edx; mov $3, %%eax; xsaves %0" : "=m"(area) :: "rax", "rdx"));
	CHECK(t.vector == VEC_GP || t.vector == VEC_UD);
	CATCH(&t, ASM("xor %%edx, %%edx; xor %%eax, %%eax; mov $0xda0, %%ecx; wrmsr" ::: "rax", "rcx", "rdx"));
	CHECK(t.vector == VEC_GP || t.vector == VEC_NONE);
}

TEST(protection_keys_hidden_or_kept)
{
	/* RDPKRU works only with CR4.PKE, which a PV kernel does not get. */
	struct trap t;

	CATCH(&t, ASM("xor %%ecx, %%ecx; rdpkru" ::: "rax", "rcx", "rdx"));
	CHECK(t.vector == VEC_UD || t.vector == VEC_NONE);
}
