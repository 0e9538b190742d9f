/* SPDX-License-Identifier: MIT */
/* Unit tests: the CPU policy of domains, on made-up processors. */
/* sources: domain/policy.c domain/policy_hide.c */
/* cflags: -include fake_cpuid.h -include fake_param.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "test.h"

#include <domain/policy.h>
#include <lib/errno.h>
#include <memory/xmalloc.h>
#include <x86/xstate.h>
#include <xen/arch-x86/cpufeatureset.h>

struct cpu_features cpu_features;
u64 xstate_features = XSTATE_FP | XSTATE_SSE | XSTATE_YMM;
u64 frame_table_end = 0x80000;
extern const struct domain_module policy_module;
int param_parse_cpuid(const char *value);

/* What the processor says: the same in every leaf, but for the two that give the highest number. */
static struct cpuid_regs everywhere;
static u32 max_basic, max_ext;

struct cpuid_regs fake_cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r = everywhere;

	if (leaf == 0)
		r.a = max_basic;
	if (leaf == 0x80000000)
		r.a = max_ext;
	return r;
}

u32 xstate_size_for(u64 features, bool compacted) { return features & XSTATE_YMM ? 832 : 576; }
u64 time_tsc_khz(void) { return 2500000; }
void *xmalloc(size_t size) { return malloc(size); }
void xfree(void *p) { free(p); }

/* MSR_AMD_DE_CFG. */
static u64 de_cfg;

int rdmsr_safe(u32 msr, u64 *val)
{
	*val = de_cfg;
	return 0;
}

static struct domain dom;

static void machine(enum cpu_vendor vendor, u32 bits, u32 basic, u32 ext, bool hardware)
{
	everywhere = (struct cpuid_regs){ bits, bits, bits, bits };
	max_basic = basic;
	max_ext = ext;
	cpu_features = (struct cpu_features){ .vendor = vendor, .max_leaf = basic, .max_ext_leaf = ext };
	memset(cpu_features.words, (int)bits, sizeof(cpu_features.words));
	dom.hardware = hardware;
	if (dom.policy)
		policy_module.destroy(&dom);
	policy_init();
	CHECK_EQ(policy_module.create(&dom), 0);
}

static void done(void)
{
	policy_module.destroy(&dom);
}

static struct cpuid_regs ask(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	policy_cpuid(&dom, leaf, subleaf, &r);
	return r;
}

static bool zero(struct cpuid_regs r)
{
	return !(r.a | r.b | r.c | r.d);
}

/* A machine that claims everything, also what nobody has heard of. */
static void claims_all(enum cpu_vendor vendor, bool hardware)
{
	machine(vendor, ~0U, ~0U, ~0U, hardware);
}

TEST(hidden_from_pv)
{
	static const u16 hidden[] = {
		XEN_X86_FEATURE_VME, XEN_X86_FEATURE_PSE, XEN_X86_FEATURE_PGE, XEN_X86_FEATURE_PSE36, XEN_X86_FEATURE_DS, XEN_X86_FEATURE_MONITOR,
		XEN_X86_FEATURE_VMX, XEN_X86_FEATURE_PDCM, XEN_X86_FEATURE_PCID, XEN_X86_FEATURE_X2APIC, XEN_X86_FEATURE_TSC_DEADLINE,
		XEN_X86_FEATURE_PAGE1GB, XEN_X86_FEATURE_SVM, XEN_X86_FEATURE_XSAVES, XEN_X86_FEATURE_SMEP, XEN_X86_FEATURE_SMAP,
		XEN_X86_FEATURE_INVPCID, XEN_X86_FEATURE_UMIP, XEN_X86_FEATURE_PKU, XEN_X86_FEATURE_OSPKE, XEN_X86_FEATURE_CET_SS,
		XEN_X86_FEATURE_ENQCMD, XEN_X86_FEATURE_IBRSB, XEN_X86_FEATURE_SSBD, XEN_X86_FEATURE_ARCH_CAPS, XEN_X86_FEATURE_MPX,
		XEN_X86_FEATURE_PROC_TRACE, XEN_X86_FEATURE_RTM, XEN_X86_FEATURE_HLE,
	};

	for (unsigned vendor = VENDOR_INTEL; vendor <= VENDOR_OTHER; vendor++)
		for (unsigned hardware = 0; hardware < 2; hardware++) {
			claims_all(vendor, hardware);
			for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++)
				CHECK(!policy_has(&dom, hidden[i]));
			CHECK(policy_has(&dom, XEN_X86_FEATURE_SSE2));
			CHECK(policy_has(&dom, XEN_X86_FEATURE_HYPERVISOR));
			CHECK(policy_has(&dom, XEN_X86_FEATURE_FSGSBASE));
			/* Without AVX-512 state there is no AVX-512. */
			CHECK(!policy_has(&dom, XEN_X86_FEATURE_AVX512F));
		}
	done();
}

TEST(hardware_domain)
{
	claims_all(VENDOR_INTEL, false);
	CHECK(!policy_has(&dom, XEN_X86_FEATURE_MTRR));
	CHECK(!policy_has(&dom, XEN_X86_FEATURE_ITSC));
	claims_all(VENDOR_INTEL, true);
	CHECK(policy_has(&dom, XEN_X86_FEATURE_MTRR));
	CHECK(policy_has(&dom, XEN_X86_FEATURE_ITSC));
	done();
}

TEST(vendors)
{
	claims_all(VENDOR_INTEL, false);
	CHECK(policy_has(&dom, XEN_X86_FEATURE_SEP));
	claims_all(VENDOR_AMD, false);
	CHECK(!policy_has(&dom, XEN_X86_FEATURE_SEP));
	/* AMD repeats the common features. */
	CHECK_EQ(ask(0x80000001, 0).d & 0x1ff, ask(1, 0).d & 0x1ff);
	CHECK(zero(ask(4, 0)));
	done();
}

TEST(lfence)
{
	/* Serialising because the hypervisor has made it so: told although the processor does not have the leaf. */
	de_cfg = BIT(1);
	machine(VENDOR_AMD, 0, 0xd, 0x80000008, false);
	CHECK(policy_has(&dom, XEN_X86_FEATURE_LFENCE_DISPATCH));
	CHECK_EQ(ask(0x80000000, 0).a, 0x80000021);
	machine(VENDOR_INTEL, 0, 0xd, 0x80000008, false);
	CHECK_EQ(ask(0x80000000, 0).a, 0x80000008);
	done();
}

TEST(nothing_is_invented)
{
	xstate_features = 0;
	machine(VENDOR_AMD, 0, 0xd, 0x80000008, true);
	CHECK_EQ(ask(1, 0).d, 0);
	CHECK_EQ(ask(1, 0).c, 1U << 31);	/* but for the hypervisor bit */
	CHECK(zero(ask(7, 0)));
	CHECK(zero(ask(0xd, 0)));
	CHECK_EQ(ask(0x80000001, 0).d, 0);
	done();
}

TEST(limits)
{
	claims_all(VENDOR_AMD, false);
	CHECK_EQ(ask(0, 0).a, 0xd);
	CHECK_EQ(ask(0x80000000, 0).a, 0x80000021);
	CHECK_EQ(ask(0x80000008, 0).a >> 8 & 0xff, 48);
	CHECK_EQ(ask(1, 0).b >> 24, 0);
	for (u32 leaf = 0xe; leaf < 0x30; leaf++)
		CHECK(zero(ask(leaf, 0)));
	CHECK(zero(ask(5, 0)));
	CHECK(zero(ask(0xa, 0)));
	CHECK(zero(ask(0x8000000a, 0)));
	CHECK(zero(ask(0x80000022, 0)));
	CHECK(zero(ask(0x40000100, 0)));
	CHECK(zero(ask(0xffffffff, 0)));
	machine(VENDOR_INTEL, 0, 2, 0x80000004, false);
	CHECK_EQ(ask(0, 0).a, 2);
	CHECK_EQ(ask(0x80000000, 0).a, 0x80000004);
	CHECK(zero(ask(7, 0)));
	CHECK(zero(ask(0x80000008, 0)));
	done();
}

TEST(extended_state)
{
	claims_all(VENDOR_INTEL, false);
	CHECK_EQ(ask(0xd, 0).a, 7);
	CHECK_EQ(ask(0xd, 0).c, 832);
	CHECK_EQ(ask(0xd, 1).a, 7);
	CHECK_EQ(ask(0xd, 1).c, 0);
	CHECK(!zero(ask(0xd, 2)));
	for (u32 sub = 3; sub < 70; sub++)
		CHECK(zero(ask(0xd, sub)));
	CHECK(zero(ask(7, 2)));
	done();
}

static int give(void *ctx, u32 i, struct xen_cpuid_leaf *leaf)
{
	const struct xen_cpuid_leaf *leaves = ctx;

	if (leaves[i].leaf == 0xbad)
		return -EFAULT;
	*leaf = leaves[i];
	return 0;
}

TEST(tools_take_features_away)
{
	struct xen_cpuid_leaf list[POLICY_LIST_MAX], wanted[] = {
		{ .leaf = 1, .subleaf = XEN_CPUID_NO_SUBLEAF, .a = 0x1234, .b = ~0u, .c = 0, .d = ~0u },
		{ .leaf = 7, .subleaf = 0, .b = 1 << XEN_X86_FEATURE_BMI1 % 32 },
		{ .leaf = 0xd, .subleaf = 0, .a = ~0u, .c = 1 },
		{ .leaf = 0x40000000, .subleaf = XEN_CPUID_NO_SUBLEAF, .a = ~0u },
		{ .leaf = 0x12345, .subleaf = 0, .a = ~0u },
	};
	u32 n = POLICY_LIST_MAX, few = 3;

	claims_all(VENDOR_INTEL, false);
	CHECK_EQ(policy_change(&dom, ARRAY_SIZE(wanted), give, wanted), 0);
	CHECK(policy_has(&dom, XEN_X86_FEATURE_SSE2) && !policy_has(&dom, XEN_X86_FEATURE_SSE3));
	CHECK(policy_has(&dom, XEN_X86_FEATURE_BMI1) && !policy_has(&dom, XEN_X86_FEATURE_BMI2));
	CHECK(policy_has(&dom, XEN_X86_FEATURE_HYPERVISOR));
	CHECK(!policy_has(&dom, XEN_X86_FEATURE_MTRR));
	CHECK_EQ(ask(1, 0).a, 0x1234);
	CHECK_EQ(ask(0xd, 0).a, 7);
	CHECK_EQ(ask(0xd, 0).c, 832);
	/* The default is as it was, and giving it back changes nothing. */
	CHECK_EQ(policy_list(policy_default(), list, &few), -ENOBUFS);
	CHECK_EQ(policy_list(policy_default(), list, &n), 0);
	CHECK(few == n && n > 40);
	CHECK_EQ(policy_change(&dom, n, give, list), 0);
	CHECK(dom.policy == policy_default());
	/* Nor does one of which not all can be read. */
	wanted[1].leaf = 0xbad;
	CHECK_EQ(policy_change(&dom, 2, give, wanted), -EFAULT);
	CHECK(dom.policy == policy_default());
	done();
}

#define NR(name)	XEN_X86_FEATURE_##name

TEST(hidden_by_the_user)
{
	static const char *const wrong[] = {
		"", "no-", "no", "avx", "no-avx,", "no-avx,,no-aesni", "no-avx aesni", "no-nonsense", "no-av", "no-avxx", "no-lm", "no-sse2", "no-nx",
		"no-hypervisor", "no-rdcl_no", "no-avx,no-fpu",
	};

	CHECK_EQ(param_parse_cpuid("no-AVX,no-sse4-1,no-Movbe,no-lfence_dispatch,no-itsc"), 0);
	/* A wrong one changes nothing. */
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_EQ(param_parse_cpuid(wrong[i]), -EINVAL);
	for (unsigned hardware = 0; hardware < 2; hardware++) {
		claims_all(VENDOR_AMD, hardware);
		CHECK(!policy_has(&dom, NR(AVX)) && !policy_has(&dom, NR(MOVBE)) && !policy_has(&dom, NR(ITSC)));
		CHECK(!policy_has(&dom, NR(LFENCE_DISPATCH)));
		/* With what builds upon them. */
		CHECK(!policy_has(&dom, NR(FMA)) && !policy_has(&dom, NR(AVX2)) && !policy_has(&dom, NR(SSE4_2)) && !policy_has(&dom, NR(VAES)));
		CHECK(policy_has(&dom, NR(XSAVE)) && policy_has(&dom, NR(SSSE3)) && policy_has(&dom, NR(AESNI)));
		CHECK(!zero(ask(0xd, 0)));
	}
	CHECK_EQ(param_parse_cpuid("no-xsave,no-mmx"), 0);
	claims_all(VENDOR_AMD, false);
	CHECK(!policy_has(&dom, NR(XSAVE)) && !policy_has(&dom, NR(AVX)) && policy_has(&dom, NR(MOVBE)));
	CHECK(zero(ask(0xd, 0)) && zero(ask(0xd, 1)) && zero(ask(0xd, 2)));
	/* AMD repeats it. */
	CHECK_EQ(ask(1, 0).d & 1U << NR(MMX), 0);
	CHECK_EQ(ask(0x80000001, 0).d & 1U << NR(MMX), 0);
	CHECK_EQ(param_parse_cpuid("no-clzero"), 0);
	claims_all(VENDOR_AMD, false);
	CHECK(policy_has(&dom, NR(XSAVE)) && !policy_has(&dom, NR(CLZERO)));
	done();
}

TEST(own_leaves)
{
	struct cpuid_regs r;

	claims_all(VENDOR_AMD, false);
	r = ask(0x40000000, 0);
	CHECK_EQ(r.a, 0x40000005);
	CHECK(!memcmp(&r.b, "XenVMMXenVMM", 12));
	CHECK_EQ(ask(0x40000001, 5).a, 0x00040011);
	r = ask(0x40000002, 0);
	CHECK_EQ(r.a, 1);
	CHECK_EQ(r.b, 0x40000000);
	CHECK_EQ(ask(0x40000003, 2).a, 2500000);
	CHECK_EQ(ask(0x40000005, 0).b, 31);	/* 2 GiB */
	CHECK(zero(ask(0x40000006, 0)));
	done();
}
