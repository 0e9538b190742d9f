/* SPDX-License-Identifier: MIT */
/* What the boot processor can do, read once. */
#include <lib/string.h>
#include <x86/cpuid.h>

struct cpu_features cpu_features;

static void read_vendor(struct cpu_features *f)
{
	struct cpuid_regs r = cpuid(0, 0);
	char name[13] = "";

	f->max_leaf = r.a;
	memcpy(name, &r.b, 4);
	memcpy(name + 4, &r.d, 4);
	memcpy(name + 8, &r.c, 4);
	f->vendor = !strcmp(name, "GenuineIntel") ? VENDOR_INTEL :
		    !strcmp(name, "AuthenticAMD") || !strcmp(name, "HygonGenuine") ? VENDOR_AMD : VENDOR_OTHER;
}

static void read_signature(struct cpu_features *f, u32 sig)
{
	f->stepping = sig & 0xf;
	f->model = sig >> 4 & 0xf;
	f->family = sig >> 8 & 0xf;
	if (f->family == 6 || f->family == 15)
		f->model |= sig >> 12 & 0xf0;
	if (f->family == 15)
		f->family += sig >> 20 & 0xff;
}

void cpuid_init(void)
{
	struct cpu_features *f = &cpu_features;
	struct cpuid_regs r;

	read_vendor(f);
	r = cpuid(1, 0);
	read_signature(f, r.a);
	f->words[CPUID_1_C] = r.c;
	f->words[CPUID_1_D] = r.d;
	if (f->max_leaf >= 7) {
		r = cpuid(7, 0);
		f->words[CPUID_7_B] = r.b;
		f->words[CPUID_7_C] = r.c;
		f->words[CPUID_7_D] = r.d;
	}
	if (f->max_leaf >= 0xd && cpu_has(FEAT_XSAVE))
		f->words[CPUID_D1_A] = cpuid(0xd, 1).a;

	f->max_ext_leaf = cpuid(0x80000000, 0).a;
	r = cpuid(0x80000001, 0);
	f->words[CPUID_81_C] = r.c;
	f->words[CPUID_81_D] = r.d;
	if (f->max_ext_leaf >= 0x80000004)
		for (u32 i = 0; i < 3; i++) {
			r = cpuid(0x80000002 + i, 0);
			memcpy(f->brand + i * 16, &r, 16);
		}
	if (f->max_ext_leaf >= 0x80000007)
		f->words[CPUID_87_D] = cpuid(0x80000007, 0).d;
	if (f->max_ext_leaf >= 0x80000008)
		f->words[CPUID_88_B] = cpuid(0x80000008, 0).b;
	if (f->words[CPUID_7_D] >> 26 & 1)
		f->words[CPUID_88_B] |= 1U << FEAT_IBPB % 32;
	f->phys_bits = f->max_ext_leaf >= 0x80000008 ? cpuid(0x80000008, 0).a & 0xff : 36;
}

static u32 claimed[CPUID_WORDS];	/* of what was overridden */

void cpuid_override(unsigned feat, bool believe)
{
	u32 bit = 1U << feat % 32, *word = &cpu_features.words[feat / 32];

	if (believe) {
		*word |= claimed[feat / 32] & bit;
	} else {
		claimed[feat / 32] |= *word & bit;
		*word &= ~bit;
	}
}
