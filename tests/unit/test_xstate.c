/* SPDX-License-Identifier: MIT */
/* Unit tests: extended-state areas: rules of XCR0, the FXSAVE image, and the registers themselves. */
/* sources: x86/xstate.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -mno-avx */
#include "test.h"

#include <lib/errno.h>
#include <x86/cpuid.h>
#include <x86/xstate.h>

struct cpu_features cpu_features;
unsigned fake_cpu;
struct vcpu *current;
struct cpu_user_regs fake_guest_regs;

#define FCW	0
#define MXCSR	24
#define XMM	160

static struct xstate *fresh(u64 features)
{
	xstate_features = features;
	xstate_size = 4096;
	return xstate_init(malloc(xstate_size));
}

TEST(xcr0_rules)
{
	static const struct { u64 xcr0; bool ok; } cases[] = {
		{ 0, false }, { 1, true }, { 3, true }, { 7, true }, { 2, false }, { 4, false }, { 5, false }, { 6, false },
		{ 0xe7, true }, { 0xe3, false }, { 0x27, false }, { 0x67, false }, { 0xc7, false },
		{ 8, false }, { 0x1f, false }, { 0x207, false }, { BIT(63) | 1, false }, { ~0UL, false },
	};
	struct xstate *x = fresh(XSTATE_FP | XSTATE_SSE | XSTATE_YMM | XSTATE_AVX512);

	CHECK_EQ(xstate_get_xcr0(x), 3);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 before = xstate_get_xcr0(x);

		CHECK_EQ(xstate_set_xcr0(x, cases[i].xcr0), cases[i].ok ? 0 : -EINVAL);
		CHECK_EQ(xstate_get_xcr0(x), cases[i].ok ? cases[i].xcr0 : before);
	}
	free(xstate_memory(x));
	/* Nothing can be enabled that the processor does not have. */
	x = fresh(XSTATE_FP | XSTATE_SSE);
	CHECK_EQ(xstate_set_xcr0(x, 7), -EINVAL);
	free(xstate_memory(x));
	x = fresh(0);
	CHECK_EQ(xstate_get_xcr0(x), 0);
	CHECK_EQ(xstate_set_xcr0(x, 1), -EINVAL);
	free(xstate_memory(x));
}

TEST(initial_image)
{
	for (unsigned i = 0; i < 2; i++) {
		struct xstate *x = fresh(i ? XSTATE_FP | XSTATE_SSE : 0);
		u8 image[512];

		memset(image, 0xee, sizeof(image));
		xstate_to_fxsave(x, image);
		CHECK_EQ(*(u16 *)(image + FCW), 0x37f);
		CHECK_EQ(*(u32 *)(image + MXCSR), 0x1f80);
		for (unsigned b = 32; b < sizeof(image); b++)
			CHECK_EQ(image[b], 0);
		free(xstate_memory(x));
	}
}

TEST(image_round_trip)
{
	struct xstate *x = fresh(XSTATE_FP | XSTATE_SSE | XSTATE_YMM);
	u8 in[512], out[512];

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (u8)i;
	*(u32 *)(in + MXCSR) = 0x1f80;
	CHECK_EQ(xstate_from_fxsave(x, in), 0);
	xstate_to_fxsave(x, out);
	CHECK(!memcmp(in, out, MXCSR));
	CHECK(!memcmp(in + 32, out + 32, 416 - 32));
	/* What software left in the unused part does not come back. */
	for (unsigned i = 416; i < sizeof(out); i++)
		CHECK_EQ(out[i], 0);
	/* A value that would fault when it is loaded. */
	*(u32 *)(in + MXCSR) = 0xffff0000;
	CHECK_EQ(xstate_from_fxsave(x, in), -EINVAL);
	xstate_to_fxsave(x, out);
	CHECK_EQ(*(u32 *)(out + MXCSR), 0x1f80);
	free(xstate_memory(x));
}

/* As a saved domain carries it. */
TEST(whole_state)
{
	struct xstate *x = fresh(XSTATE_FP | XSTATE_SSE), *y = fresh(XSTATE_FP | XSTATE_SSE);
	u32 size = xstate_size_for(xstate_features, false);
	u64 *header;
	u8 area[4096] = { 0 }, again[4096] = { 0 };

	CHECK_EQ(size, 576);
	header = (u64 *)(area + 512);
	*(u32 *)(area + MXCSR) = 0x1f80;
	*(u16 *)(area + FCW) = 0x37f;
	area[XMM] = 0x5a;
	header[0] = XSTATE_FP | XSTATE_SSE;
	CHECK_EQ(xstate_import(x, 3, area, size), 0);
	xstate_export(x, again);
	CHECK(!memcmp(area + XMM, again + XMM, 256) && !memcmp(header, again + 512, 64));
	/* Nothing that XRSTOR would fault on, and nothing is changed by the attempt. */
	xstate_export(y, again);
	header[0] = XSTATE_YMM;
	CHECK_EQ(xstate_import(y, 3, area, size), -EINVAL);
	CHECK_EQ(xstate_import(y, 7, area, size), -EINVAL);
	header[0] = 3;
	CHECK_EQ(xstate_import(y, 1, area, size), -EINVAL);
	CHECK_EQ(xstate_import(y, 2, area, size), -EINVAL);
	CHECK_EQ(xstate_import(y, 3, area, size - 1), -EINVAL);
	CHECK_EQ(xstate_import(y, 3, area, size + 1), -EINVAL);
	header[1] = 1;
	CHECK_EQ(xstate_import(y, 3, area, size), -EINVAL);
	header[1] = 0;
	header[7] = 1;
	CHECK_EQ(xstate_import(y, 3, area, size), -EINVAL);
	header[7] = 0;
	*(u32 *)(area + MXCSR) = 0xffff0000;
	CHECK_EQ(xstate_import(y, 3, area, size), -EINVAL);
	CHECK_EQ(xstate_get_xcr0(y), 3);
	xstate_export(y, area);
	CHECK(!memcmp(area, again, size));
	free(xstate_memory(x));
	free(xstate_memory(y));
}

TEST(registers)
{
	/* Without XSAVE, on the processor that runs this. */
	struct xstate *x = fresh(0), *mine = fresh(0);
	u8 image[512] = { 0 };
	u64 pattern[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, seen[2], kept[2];

	*(u16 *)(image + FCW) = 0x37f;
	*(u32 *)(image + MXCSR) = 0x1f80;
	memcpy(image + XMM + 7 * 16, pattern, 16);
	CHECK_EQ(xstate_from_fxsave(x, image), 0);
	xstate_save(mine);
	xstate_restore(x);
	__asm__ volatile("movups %%xmm7, %0" : "=m"(seen));
	xstate_save(x);
	xstate_restore(mine);
	CHECK(!memcmp(seen, pattern, 16));
	xstate_to_fxsave(x, image);
	memcpy(kept, image + XMM + 7 * 16, 16);
	CHECK(!memcmp(kept, pattern, 16));
	free(xstate_memory(x));
	free(xstate_memory(mine));
}
