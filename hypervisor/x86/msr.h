/* SPDX-License-Identifier: MIT */
/* Model-specific registers: numbers and access (source: Intel SDM vol. 4, AMD APM vol. 2 app. A). */
#ifndef X86_MSR_H
#define X86_MSR_H

#include <lib/types.h>

#define MSR_TSC			0x00000010
#define MSR_PLATFORM_ID		0x00000017
#define MSR_APIC_BASE		0x0000001b
#define  APIC_BASE_BSP		BIT(8)
#define  APIC_BASE_X2APIC	BIT(10)
#define  APIC_BASE_ENABLE	BIT(11)
#define MSR_FEATURE_CONTROL	0x0000003a
#define MSR_TSC_ADJUST		0x0000003b
#define MSR_SPEC_CTRL		0x00000048
#define MSR_PRED_CMD		0x00000049
#define  PRED_CMD_IBPB		BIT(0)
#define MSR_UCODE_REV		0x0000008b
#define MSR_PLATFORM_INFO	0x000000ce
#define MSR_ARCH_CAPABILITIES	0x0000010a
#define MSR_MISC_FEATURES	0x00000140
#define MSR_SYSENTER_CS		0x00000174
#define MSR_SYSENTER_ESP	0x00000175
#define MSR_SYSENTER_EIP	0x00000176
#define MSR_MCG_CAP		0x00000179
#define MSR_MCG_STATUS		0x0000017a
#define MSR_MISC_ENABLE		0x000001a0
#define MSR_DEBUGCTL		0x000001d9
#define MSR_MTRR_CAP		0x000000fe
#define MSR_MTRR_DEF_TYPE	0x000002ff
#define MSR_PAT			0x00000277
#define MSR_TSC_DEADLINE	0x000006e0
#define MSR_X2APIC_BASE		0x00000800
#define MSR_XSS			0x00000da0
#define MSR_EFER		0xc0000080
#define  EFER_SCE		BIT(0)
#define  EFER_LME		BIT(8)
#define  EFER_LMA		BIT(10)
#define  EFER_NX		BIT(11)
#define  EFER_SVME		BIT(12)
#define  EFER_FFXSR		BIT(14)
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_FMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103
#define MSR_K8_HWCR		0xc0010015
#define MSR_K8_SYSCFG		0xc0010010
#define MSR_AMD_DE_CFG		0xc0011029
#define  DE_CFG_LFENCE		BIT(1)	/* LFENCE waits for all instructions before it */

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 val)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

/* rdmsr/wrmsr that survive #GP: 0, or -EFAULT when the processor refused. Implemented with the fix-up table. */
int __must_check rdmsr_safe(u32 msr, u64 *val);
int __must_check wrmsr_safe(u32 msr, u64 val);

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

/* rdtsc that neither earlier nor later instructions cross. */
static inline u64 rdtsc_ordered(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) :: "memory");
	return (u64)hi << 32 | lo;
}

#endif
