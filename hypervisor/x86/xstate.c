/* SPDX-License-Identifier: MIT */
/*
 * FPU and extended processor state: switching it between vCPUs, and the parts of it that the ABI carries.
 *
 * An area is in the standard (not compacted) XSAVE format, or is an FXSAVE image when the processor has no XSAVE. It always holds
 * valid values: XRSTOR of an area never faults. XSAVE leaves components that are in their initial configuration unwritten and says
 * so in XSTATE_BV; who reads an area must look there first.
 *
 * Nothing of one guest is left in registers for the next: XRSTOR initialises all components that the area does not have, of
 * those that the guest's XCR0 enables; components that it does not enable are out of its reach, and are initialised by the XRSTOR
 * that follows when it enables them later.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/fixup.h>
#include <x86/xstate.h>

#define XCR0_OFFERED	(XSTATE_FP | XSTATE_SSE | XSTATE_YMM | XSTATE_AVX512)

#define MXCSR_DEFAULT	0x1f80
#define FCW_DEFAULT	0x037f

/* Legacy part of an area, as FXSAVE64 writes it. */
struct fxsave {
	u16 fcw, fsw;
	u8 ftw, pad;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 st[128], xmm[256];
	u8 unused[96];
};

struct xstate {
	u64 xcr0;
	void *mem;
	u8 pad[48];
	struct fxsave fx;
	u64 xstate_bv, xcomp_bv, reserved[6];	/* XSAVE header; absent without XSAVE */
} __aligned(64);

_Static_assert(sizeof(struct fxsave) == 512, "FXSAVE image");
_Static_assert(offsetof(struct xstate, fx) % 64 == 0, "XSAVE needs 64-byte alignment");

u64 xstate_features;
u32 xstate_size;

static u32 mxcsr_mask = 0xffbf;
static bool has_xsaveopt;
/* AMD: FXSAVE and XSAVE leave the last x87 instruction and data pointers alone unless an exception is pending, and so does the restore. */
static bool fp_pointers_leak;

static u64 xgetbv0(void)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (u64)hi << 32 | lo;
}

static void xsetbv0(u64 val)
{
	__asm__ volatile("xsetbv" :: "c"(0), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

static void fxsave(struct fxsave *fx)
{
	__asm__ volatile("fxsave64 %0" : "=m"(*fx));
}

static void find_mxcsr_mask(void)
{
	static struct fxsave fx __aligned(16);

	fxsave(&fx);
	if (fx.mxcsr_mask)
		mxcsr_mask = fx.mxcsr_mask;
}

u32 xstate_size_for(u64 features, bool compacted)
{
	u32 size = sizeof(struct fxsave) + 64;

	for (u32 i = 2; i < 63; i++) {
		struct cpuid_regs r;

		if (!(features >> i & 1))
			continue;
		r = cpuid(0xd, i);
		if (compacted)
			size = (r.c & 2 ? ALIGN_UP(size, 64U) : size) + r.a;
		else
			size = max(size, r.a + r.b);
	}
	return size;
}

static void init_once(void)
{
	find_mxcsr_mask();
	xstate_size = offsetof(struct xstate, xstate_bv) + 64;
	if (cpu_has(FEAT_XSAVE)) {
		struct cpuid_regs r = cpuid(0xd, 0);

		xstate_features = ((u64)r.d << 32 | r.a) & XCR0_OFFERED;
		/* AVX-512 comes whole or not at all, and not without AVX. */
		if ((xstate_features & XSTATE_AVX512) != XSTATE_AVX512 || !(xstate_features & XSTATE_YMM))
			xstate_features &= ~XSTATE_AVX512;
		xstate_size = (u32)offsetof(struct xstate, fx) + xstate_size_for(xstate_features, false) + 64;
		has_xsaveopt = cpu_has(FEAT_XSAVEOPT);
	}
	fp_pointers_leak = cpu_features.vendor == VENDOR_AMD &&
			   (cpu_features.max_ext_leaf < 0x80000008 || !(cpuid(0x80000008, 0).b & BIT(2)));
}

void xstate_init_registers(void)
{
	const u32 mxcsr = MXCSR_DEFAULT;

	__asm__ volatile("fninit; ldmxcsr %0" :: "m"(mxcsr));
}

void xstate_init_cpu(bool boot_cpu)
{
	clts();
	__asm__ volatile("fninit");
	if (boot_cpu)
		init_once();
	if (xstate_features)
		xsetbv0(XSTATE_FP | XSTATE_SSE);
}

struct xstate *xstate_init(void *mem)
{
	struct xstate *x = (struct xstate *)ALIGN_UP((u64)mem, 64UL);

	memset(mem, 0, xstate_size);
	x->mem = mem;
	x->fx.fcw = FCW_DEFAULT;
	x->fx.mxcsr = MXCSR_DEFAULT;
	x->fx.mxcsr_mask = mxcsr_mask;
	x->xcr0 = xstate_features & (XSTATE_FP | XSTATE_SSE);
	return x;
}

void *xstate_memory(const struct xstate *x)
{
	return x->mem;
}

void xstate_save(struct xstate *x)
{
	if (!xstate_features)
		fxsave(&x->fx);
	else if (has_xsaveopt)
		__asm__ volatile("xsaveopt64 %0" : "+m"(x->fx) : "a"(~0U), "d"(~0U) : "memory");
	else
		__asm__ volatile("xsave64 %0" : "+m"(x->fx) : "a"(~0U), "d"(~0U) : "memory");
}

/* Overwrite the x87 pointers (AMD APM vol. 2, FXRSTOR). Pending exceptions are cleared first, st(7) made free for the load. */
static void clear_fp_pointers(void)
{
	static const u32 zero;

	__asm__ volatile("fnclex; ffree %%st(7); fildl %0" :: "m"(zero));
}

void xstate_restore(const struct xstate *x)
{
	if (fp_pointers_leak)
		clear_fp_pointers();
	if (!xstate_features) {
		__asm__ volatile("fxrstor64 %0" :: "m"(x->fx) : "memory");
		return;
	}
	if (xgetbv0() != x->xcr0)
		xsetbv0(x->xcr0);
	__asm__ volatile("xrstor64 %0" :: "m"(x->fx), "a"(~0U), "d"(~0U) : "memory");
}

u64 xstate_get_xcr0(const struct xstate *x)
{
	return x->xcr0;
}

/* Rules of XSETBV: Intel SDM vol. 1 ch. 13.3. */
int xstate_set_xcr0(struct xstate *x, u64 xcr0)
{
	if (xcr0 & ~xstate_features || !(xcr0 & XSTATE_FP))
		return -EINVAL;
	if (xcr0 & XSTATE_YMM && !(xcr0 & XSTATE_SSE))
		return -EINVAL;
	if (xcr0 & XSTATE_AVX512 && ((xcr0 & XSTATE_AVX512) != XSTATE_AVX512 || !(xcr0 & XSTATE_YMM)))
		return -EINVAL;
	x->xcr0 = xcr0;
	/* XRSTOR faults on components that XCR0 does not have; one that is disabled starts afresh when it is enabled again. */
	x->xstate_bv &= xcr0;
	return 0;
}

void xstate_to_fxsave(const struct xstate *x, void *image)
{
	struct fxsave fx = x->fx;

	if (xstate_features && !(x->xstate_bv & XSTATE_FP)) {
		memset(&fx, 0, offsetof(struct fxsave, mxcsr));
		memset(fx.st, 0, sizeof(fx.st));
		fx.fcw = FCW_DEFAULT;
	}
	if (xstate_features && !(x->xstate_bv & XSTATE_SSE))
		memset(fx.xmm, 0, sizeof(fx.xmm));
	memset(fx.unused, 0, sizeof(fx.unused));
	memcpy(image, &fx, sizeof(fx));
}

int xstate_from_fxsave(struct xstate *x, const void *image)
{
	struct fxsave fx;

	memcpy(&fx, image, sizeof(fx));
	if (fx.mxcsr & ~mxcsr_mask)
		return -EINVAL;
	memset(fx.unused, 0, sizeof(fx.unused));
	fx.mxcsr_mask = mxcsr_mask;
	x->fx = fx;
	if (xstate_features)
		x->xstate_bv = XSTATE_FP | XSTATE_SSE;
	return 0;
}

void xstate_export(const struct xstate *x, void *area)
{
	memcpy(area, &x->fx, xstate_size_for(xstate_features, false));
}

int xstate_import(struct xstate *x, u64 xcr0, const void *area, u32 size)
{
	struct { u64 bv, comp_bv, reserved[6]; } header;
	u32 mine = xstate_size_for(xstate_features, false);
	struct fxsave fx;

	if (size < sizeof(fx) + sizeof(header) || size > mine)
		return -EINVAL;
	memcpy(&fx, area, sizeof(fx));
	memcpy(&header, (const char *)area + sizeof(fx), sizeof(header));
	for (unsigned i = 0; i < ARRAY_SIZE(header.reserved); i++)
		if (header.reserved[i])
			return -EINVAL;
	if (fx.mxcsr & ~mxcsr_mask || header.comp_bv || header.bv & ~xcr0 || xstate_size_for(header.bv, false) > size ||
	    xstate_set_xcr0(x, xcr0))
		return -EINVAL;
	memset(&x->fx, 0, mine);
	memcpy(&x->fx, area, size);
	x->fx.mxcsr_mask = mxcsr_mask;
	return 0;
}
