/* SPDX-License-Identifier: MIT */
/*
 * Features that the user keeps from all domains, as for guests that are to move to a lesser machine, or that a feature confuses.
 *
 * What builds upon a hidden feature is hidden with it, so that no guest sees a set that no processor has. What a 64-bit kernel cannot do without
 * is not hidden.
 */
#include <core/param.h>
#include <domain/policy_hide.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <xen/arch-x86/cpufeatureset.h>

#define F(name)		XEN_X86_FEATURE_##name
#define WORDS		12	/* those of CPUID */

static const struct feature { const char *name; u16 nr; } features[] = {
#define XEN_CPUFEATURE(name, value)	{ #name, value },
#include <xen/arch-x86/cpufeatureset.h>
};

static const u16 needed[] = {
	F(FPU), F(TSC), F(MSR), F(PAE), F(CX8), F(CMOV), F(FXSR), F(SSE), F(SSE2), F(HYPERVISOR), F(SYSCALL), F(NX), F(LM),
};

static const struct { u16 feature, needs; } builds_upon[] = {
	{ F(SSSE3), F(SSE3) }, { F(SSE4_1), F(SSSE3) }, { F(SSE4_2), F(SSE4_1) }, { F(SSE4A), F(SSE3) }, { F(PCLMULQDQ), F(SSE3) },
	{ F(3DNOWEXT), F(3DNOW) }, { F(XSAVEOPT), F(XSAVE) }, { F(XSAVEC), F(XSAVE) }, { F(XGETBV1), F(XSAVE) }, { F(AVX), F(XSAVE) },
	{ F(AVX), F(SSE4_2) }, { F(FMA), F(AVX) }, { F(F16C), F(AVX) }, { F(XOP), F(AVX) }, { F(FMA4), F(AVX) }, { F(AVX2), F(AVX) },
	{ F(VAES), F(AVX) }, { F(VAES), F(AESNI) }, { F(VPCLMULQDQ), F(AVX) }, { F(VPCLMULQDQ), F(PCLMULQDQ) }, { F(AVX_VNNI), F(AVX2) },
	{ F(AVX512F), F(AVX2) }, { F(AVX512DQ), F(AVX512F) }, { F(AVX512_IFMA), F(AVX512F) }, { F(AVX512PF), F(AVX512F) },
	{ F(AVX512ER), F(AVX512F) }, { F(AVX512CD), F(AVX512F) }, { F(AVX512BW), F(AVX512F) }, { F(AVX512VL), F(AVX512F) },
	{ F(AVX512_VBMI), F(AVX512BW) }, { F(AVX512_VBMI2), F(AVX512BW) }, { F(AVX512_BITALG), F(AVX512BW) }, { F(AVX512_BF16), F(AVX512BW) },
	{ F(AVX512_VNNI), F(AVX512F) }, { F(AVX512_VPOPCNTDQ), F(AVX512F) }, { F(AVX512_4VNNIW), F(AVX512F) },
	{ F(AVX512_4FMAPS), F(AVX512F) }, { F(AVX512_VP2INTERSECT), F(AVX512F) },
};

static u32 hidden[WORDS];

u32 policy_hidden(unsigned word)
{
	return word < WORDS ? hidden[word] : 0;
}

static bool has(const u32 *words, unsigned nr) { return words[nr / 32] >> nr % 32 & 1; }
static void add(u32 *words, unsigned nr) { words[nr / 32] |= 1U << nr % 32; }

/* Names are compared without regard to case, and `-` is `_`. */
static char plain(char c)
{
	return c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool same(const char *name, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!name[i] || name[i] != plain(s[i]))
			return false;
	return !name[n];
}

/* The number of the feature that may be hidden under this name, or -EINVAL. */
static int find(const char *s, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		if (!same(features[i].name, s, n) || features[i].nr / 32 >= WORDS)
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(needed); j++)
			if (needed[j] == features[i].nr)
				return -EINVAL;
		return features[i].nr;
	}
	return -EINVAL;
}

static void add_dependents(u32 *words)
{
	bool more;

	do {
		more = false;
		for (size_t i = 0; i < ARRAY_SIZE(builds_upon); i++)
			if (has(words, builds_upon[i].needs) && !has(words, builds_upon[i].feature)) {
				add(words, builds_upon[i].feature);
				more = true;
			}
	} while (more);
}

static int parse_cpuid(const char *s)
{
	u32 words[WORDS] = { 0 };

	do {
		const char *end = strchr(s, ',') ?: s + strlen(s);
		int nr;

		if (strncmp(s, "no-", 3) != 0)
			return -EINVAL;
		nr = find(s + 3, (size_t)(end - s) - 3);
		if (nr < 0)
			return -EINVAL;
		add(words, (unsigned)nr);
		s = *end ? end + 1 : NULL;
	} while (s);
	add_dependents(words);
	memcpy(hidden, words, sizeof(hidden));
	return 0;
}
BOOT_PARAM("cpuid", parse_cpuid, "no-FEATURE[,no-FEATURE…], none that 64-bit guests need", "processor features that domains are not told of");
