/* SPDX-License-Identifier: MIT */
/* CPUID access and the features that the hypervisor itself uses. */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include <lib/types.h>

struct cpuid_regs { u32 a, b, c, d; };

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
	return r;
}

/* Feature words gathered once at boot; CPU_FEAT(word, bit) names one bit. */
enum cpuid_word { CPUID_1_C, CPUID_1_D, CPUID_7_B, CPUID_7_C, CPUID_7_D, CPUID_81_C, CPUID_81_D, CPUID_87_D, CPUID_88_B, CPUID_D1_A, CPUID_WORDS };
#define CPU_FEAT(word, bit)	((word) * 32 + (bit))

#define FEAT_MWAIT	CPU_FEAT(CPUID_1_C, 3)
#define FEAT_PCID	CPU_FEAT(CPUID_1_C, 17)
#define FEAT_X2APIC	CPU_FEAT(CPUID_1_C, 21)
#define FEAT_TSC_DEADLINE CPU_FEAT(CPUID_1_C, 24)
#define FEAT_XSAVE	CPU_FEAT(CPUID_1_C, 26)
#define FEAT_HYPERVISOR	CPU_FEAT(CPUID_1_C, 31)
#define FEAT_FPU	CPU_FEAT(CPUID_1_D, 0)
#define FEAT_PSE	CPU_FEAT(CPUID_1_D, 3)
#define FEAT_TSC	CPU_FEAT(CPUID_1_D, 4)
#define FEAT_MSR	CPU_FEAT(CPUID_1_D, 5)
#define FEAT_PAE	CPU_FEAT(CPUID_1_D, 6)
#define FEAT_MCE	CPU_FEAT(CPUID_1_D, 7)
#define FEAT_CX8	CPU_FEAT(CPUID_1_D, 8)
#define FEAT_APIC	CPU_FEAT(CPUID_1_D, 9)
#define FEAT_PGE	CPU_FEAT(CPUID_1_D, 13)
#define FEAT_PAT	CPU_FEAT(CPUID_1_D, 16)
#define FEAT_FXSR	CPU_FEAT(CPUID_1_D, 24)
#define FEAT_SSE2	CPU_FEAT(CPUID_1_D, 26)
#define FEAT_HTT	CPU_FEAT(CPUID_1_D, 28)
#define FEAT_FSGSBASE	CPU_FEAT(CPUID_7_B, 0)
#define FEAT_SMEP	CPU_FEAT(CPUID_7_B, 7)
#define FEAT_ERMS	CPU_FEAT(CPUID_7_B, 9)
#define FEAT_SMAP	CPU_FEAT(CPUID_7_B, 20)
#define FEAT_TOPOEXT	CPU_FEAT(CPUID_81_C, 22)
#define FEAT_SYSCALL	CPU_FEAT(CPUID_81_D, 11)
#define FEAT_NX		CPU_FEAT(CPUID_81_D, 20)
#define FEAT_PAGE1GB	CPU_FEAT(CPUID_81_D, 26)
#define FEAT_RDTSCP	CPU_FEAT(CPUID_81_D, 27)
#define FEAT_LM		CPU_FEAT(CPUID_81_D, 29)
#define FEAT_INVARIANT_TSC CPU_FEAT(CPUID_87_D, 8)
#define FEAT_IBPB	CPU_FEAT(CPUID_88_B, 12)	/* also set when 7.edx says so, as Intel does */
#define FEAT_XSAVEOPT	CPU_FEAT(CPUID_D1_A, 0)
#define FEAT_XSAVEC	CPU_FEAT(CPUID_D1_A, 1)

enum cpu_vendor { VENDOR_INTEL, VENDOR_AMD, VENDOR_OTHER };

/* The boot processor as CPUID describes it. Read-only after cpuid_init(). */
struct cpu_features {
	u32 words[CPUID_WORDS];
	u32 max_leaf, max_ext_leaf;
	u32 family, model, stepping;
	enum cpu_vendor vendor;
	u32 phys_bits;		/* machine address width */
	char brand[49];
};
extern struct cpu_features cpu_features;

static inline bool cpu_has(unsigned feat) { return cpu_features.words[feat / 32] >> (feat % 32) & 1; }

/* The user says that the processor has not got a feature that it claims; `believe` takes that back. While parameters are parsed. */
void cpuid_override(unsigned feat, bool believe);
/* Fill cpu_features; boot CPU, before anything asks cpu_has(). */
void cpuid_init(void);

#endif
