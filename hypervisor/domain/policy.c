/* SPDX-License-Identifier: MIT */
/*
 * Building the CPU policy of PV domains (leaves: Intel SDM vol. 2 CPUID; AMD APM vol. 3 app. E).
 *
 * A feature is offered only when it is in the list below: one that a later processor adds stays hidden until somebody has
 * thought about it. What a PV guest cannot use is not in the list: paging modes and protections that are the hypervisor's, virtualization
 * extensions, local APIC modes, performance monitoring, speculation controls that would need to be switched with the vCPU.
 */
#include <core/time.h>
#include <domain/policy.h>
#include <domain/policy_hide.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/frame.h>
#include <memory/xmalloc.h>
#include <xen/arch-x86/cpufeatureset.h>
#include <xen/arch-x86/cpuid.h>
#include <x86/msr.h>
#include <x86/xstate.h>

#define F(name)	XEN_X86_FEATURE_##name

static const u16 pv_features[] = {
	/* 1.edx */
	F(FPU), F(DE), F(TSC), F(MSR), F(PAE), F(MCE), F(CX8), F(APIC), F(SEP), F(MCA), F(CMOV), F(PAT), F(CLFLUSH), F(ACPI), F(MMX), F(FXSR),
	F(SSE), F(SSE2), F(SS), F(HTT),
	/* 1.ecx */
	F(SSE3), F(PCLMULQDQ), F(SSSE3), F(FMA), F(CX16), F(SSE4_1), F(SSE4_2), F(MOVBE), F(POPCNT), F(AESNI), F(XSAVE), F(AVX), F(F16C), F(RDRAND),
	/* 0x80000001.edx */
	F(SYSCALL), F(NX), F(MMXEXT), F(FFXSR), F(RDTSCP), F(LM), F(3DNOWEXT), F(3DNOW),
	/* 0x80000001.ecx */
	F(LAHF_LM), F(CMP_LEGACY), F(ABM), F(SSE4A), F(MISALIGNSSE), F(3DNOWPREFETCH), F(XOP), F(FMA4), F(TBM),
	/* 0xd.1.eax */
	F(XSAVEOPT), F(XSAVEC), F(XGETBV1),
	/* 7.ebx */
	F(FSGSBASE), F(BMI1), F(AVX2), F(BMI2), F(ERMS), F(AVX512F), F(AVX512DQ), F(RDSEED), F(ADX), F(AVX512_IFMA), F(CLFLUSHOPT), F(CLWB),
	F(AVX512PF), F(AVX512ER), F(AVX512CD), F(SHA), F(AVX512BW), F(AVX512VL),
	/* 7.ecx */
	F(PREFETCHWT1), F(AVX512_VBMI), F(AVX512_VBMI2), F(GFNI), F(VAES), F(VPCLMULQDQ), F(AVX512_VNNI), F(AVX512_BITALG), F(AVX512_VPOPCNTDQ),
	F(RDPID), F(CLDEMOTE), F(MOVDIRI), F(MOVDIR64B),
	/* 0x80000008.ebx */
	F(CLZERO), F(RSTR_FP_ERR_PTRS), F(WBNOINVD), F(IBPB), F(SSB_NO), F(BTC_NO),
	/* 7.edx */
	F(AVX512_4VNNIW), F(AVX512_4FMAPS), F(FSRM), F(AVX512_VP2INTERSECT), F(MD_CLEAR), F(SERIALIZE), F(TSXLDTRK),
	/* 7.1.eax */
	F(AVX_VNNI), F(AVX512_BF16), F(FZRM), F(FSRS), F(FSRCS),
	/* 0x80000021.eax */
	F(LFENCE_DISPATCH), F(NSCB),
};

/* Features of 0x80000001.edx that repeat those of 1.edx, on AMD. */
#define COMMON_1D	0x0183f3ffU

/* What the hardware domain's kernel needs to see to use the hypercalls about it (memory types), or can (a TSC that needs no scaling ever). */
static const u16 hardware_domain_features[] = { F(MTRR), F(ITSC) };

/* Word of the feature numbering -> CPUID leaf, sub-leaf, register. */
enum { REG_A, REG_B, REG_C, REG_D };
static const struct feature_word { u32 leaf, subleaf; u8 reg; } feature_words[] = {
	{ 1, 0, REG_D }, { 1, 0, REG_C }, { 0x80000001, 0, REG_D }, { 0x80000001, 0, REG_C }, { 0xd, 1, REG_A }, { 7, 0, REG_B },
	{ 7, 0, REG_C }, { 0x80000007, 0, REG_D }, { 0x80000008, 0, REG_B }, { 7, 0, REG_D }, { 7, 1, REG_A }, { 0x80000021, 0, REG_A },
};

#define MAX_BASIC_LEAF	0xd
#define MAX_EXT_LEAF	0x80000021U

static u32 *reg_of(struct cpuid_regs *r, unsigned which)
{
	return which == REG_A ? &r->a : which == REG_B ? &r->b : which == REG_C ? &r->c : &r->d;
}

static u32 word_mask(const u16 *list, size_t n, unsigned word)
{
	u32 mask = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i] / 32U == word)
			mask |= 1U << list[i] % 32;
	return mask;
}

static u32 allowed_bits(bool hardware, unsigned word)
{
	u32 mask = word_mask(pv_features, ARRAY_SIZE(pv_features), word);

	if (hardware)
		mask |= word_mask(hardware_domain_features, ARRAY_SIZE(hardware_domain_features), word);
	return mask & ~policy_hidden(word);
}

/* Keep of a leaf's feature words what the domain may see; registers that are no feature words stay. */
static void mask_features(bool hardware, u32 leaf, u32 subleaf, struct cpuid_regs *r)
{
	for (unsigned w = 0; w < ARRAY_SIZE(feature_words); w++)
		if (feature_words[w].leaf == leaf && feature_words[w].subleaf == subleaf)
			*reg_of(r, feature_words[w].reg) &= allowed_bits(hardware, w);
}

static void basic_leaf_1(struct cpuid_regs *r)
{
	/* No initial APIC id: vCPUs are not bound to processors. */
	r->b &= 0x00ffffff;
	/* SYSENTER works in 64-bit mode on Intel processors only. */
	if (cpu_features.vendor != VENDOR_INTEL)
		r->d &= ~(1U << F(SEP) % 32);
	r->c |= 1U << F(HYPERVISOR) % 32;
	if (!xstate_features)
		r->c &= ~(1U << F(XSAVE) % 32 | 1U << F(AVX) % 32);
}

static void leaf_d(u32 subleaf, struct cpuid_regs *r)
{
	if (policy_hidden(F(XSAVE) / 32) >> F(XSAVE) % 32 & 1) {
		*r = (struct cpuid_regs){ 0 };
	} else if (subleaf == 0) {
		/* ebx, the size for what is enabled, is the vCPU's. */
		*r = (struct cpuid_regs){
			.a = (u32)xstate_features, .d = (u32)(xstate_features >> 32),
			.c = xstate_features ? xstate_size_for(xstate_features, false) : 0,
		};
	} else if (subleaf == 1) {
		r->b = r->c = r->d = 0;
		if (!xstate_features)
			r->a = 0;
	} else if (subleaf > 62 || !(xstate_features >> subleaf & 1)) {
		*r = (struct cpuid_regs){ 0 };
	}
}

static void leaf_ext_1(struct cpuid_regs *r, const struct cpuid_regs *leaf1)
{
	r->b = 0;
	if (cpu_features.vendor == VENDOR_AMD)
		r->d |= leaf1->d & COMMON_1D;
}

/* Guest linear addresses have 48 bits: no 5-level paging. */
static void leaf_ext_8(struct cpuid_regs *r)
{
	r->a = (r->a & 0xff) | 48 << 8;
	r->d = 0;
	if (cpu_features.vendor != VENDOR_AMD)
		r->c = 0;
}

static void leaf_7(u32 subleaf, struct cpuid_regs *r)
{
	if (subleaf == 0) {
		r->a = cpuid(7, 0).a ? 1 : 0;
		if (!(xstate_features & XSTATE_AVX512))
			r->b &= ~(1U << F(AVX512F) % 32);
	} else {
		r->b = r->c = r->d = 0;
	}
}

/* Has the hypervisor made LFENCE wait, on a processor that need not know of the CPUID bit? */
static bool lfence_serialises(void)
{
	u64 cfg;

	return cpu_features.vendor == VENDOR_AMD && !rdmsr_safe(MSR_AMD_DE_CFG, &cfg) && cfg & DE_CFG_LFENCE;
}

/* The leaf as the domain sees it, from the machine's. */
static struct cpuid_regs make_leaf(bool hardware, u32 leaf, u32 subleaf)
{
	struct cpuid_regs r = cpuid(leaf, subleaf), leaf1;

	mask_features(hardware, leaf, subleaf, &r);
	switch (leaf) {
	case 0:
		r.a = min(r.a, (u32)MAX_BASIC_LEAF);
		break;
	case 1:
		basic_leaf_1(&r);
		break;
	case 2:
		break;
	case 4:
		/* Cache parameters; AMD reserves the leaf. */
		if (cpu_features.vendor == VENDOR_AMD)
			r = (struct cpuid_regs){ 0 };
		break;
	case 7:
		leaf_7(subleaf, &r);
		break;
	case 0xd:
		leaf_d(subleaf, &r);
		break;
	case 0x80000000:
		r.a = lfence_serialises() ? MAX_EXT_LEAF : min(r.a, MAX_EXT_LEAF);
		break;
	case 0x80000001:
		leaf1 = make_leaf(hardware, 1, 0);
		leaf_ext_1(&r, &leaf1);
		break;
	case 0x80000007:
		r.a = r.b = r.c = 0;
		if (!cpu_has(FEAT_INVARIANT_TSC))	/* tsc=unstable */
			r.d &= ~(1U << F(ITSC) % 32);
		break;
	case 0x80000008:
		leaf_ext_8(&r);
		break;
	case 0x80000021:
		r.b = r.c = r.d = 0;
		if (cpu_features.max_ext_leaf < leaf)
			r.a = 0;
		if (lfence_serialises())
			r.a |= 1U << F(LFENCE_DISPATCH) % 32 & ~policy_hidden(F(LFENCE_DISPATCH) / 32);
		break;
	case 0x80000002 ... 0x80000006:	/* name, caches */
	case 0x80000019 ... 0x8000001a:	/* large-page TLBs, instruction hints */
		break;
	default:
		r = (struct cpuid_regs){ 0 };
	}
	return r;
}

static void add_leaf(struct cpu_policy *p, u32 leaf, u32 subleaf, bool has_subleaves, struct cpuid_regs r)
{
	if (!(r.a | r.b | r.c | r.d) || p->n == POLICY_MAX_LEAVES)
		return;
	p->leaves[p->n++] = (struct xen_cpuid_leaf){
		.leaf = leaf, .subleaf = has_subleaves ? subleaf : XEN_CPUID_NO_SUBLEAF, .a = r.a, .b = r.b, .c = r.c, .d = r.d,
	};
}

static u32 subleaves(u32 leaf)
{
	switch (leaf) {
	case 4:
		return 8;
	case 7:
		return 2;
	case 0xd:
		return 63;
	default:
		return 1;
	}
}

static void build(struct cpu_policy *p, bool hardware)
{
	p->n = 0;
	for (u32 leaf = 0; leaf <= min(cpu_features.max_leaf, (u32)MAX_BASIC_LEAF); leaf++)
		for (u32 sub = 0; sub < subleaves(leaf); sub++)
			add_leaf(p, leaf, sub, subleaves(leaf) > 1, make_leaf(hardware, leaf, sub));
	for (u32 leaf = 0x80000000; leaf <= min(cpu_features.max_ext_leaf, MAX_EXT_LEAF - 1); leaf++)
		add_leaf(p, leaf, 0, false, make_leaf(hardware, leaf, 0));
	add_leaf(p, MAX_EXT_LEAF, 0, false, make_leaf(hardware, MAX_EXT_LEAF, 0));
}

void policy_host(struct cpu_policy *p)
{
	p->n = 0;
	for (u32 leaf = 0; leaf <= min(cpu_features.max_leaf, (u32)MAX_BASIC_LEAF); leaf++)
		for (u32 sub = 0; sub < subleaves(leaf); sub++)
			add_leaf(p, leaf, sub, subleaves(leaf) > 1, cpuid(leaf, sub));
	for (u32 leaf = 0x80000000; leaf <= min(cpu_features.max_ext_leaf, MAX_EXT_LEAF); leaf++)
		add_leaf(p, leaf, 0, false, cpuid(leaf, 0));
}

/*
 * --- of domains
 */

/* [hardware domain or not]. Shared by the domains that have been given nothing else. */
static struct cpu_policy defaults[2];

static bool is_default(const struct cpu_policy *p)
{
	return p >= defaults && p < defaults + ARRAY_SIZE(defaults);
}

const struct cpu_policy *policy_default(void)
{
	return &defaults[false];
}

void policy_init(void)
{
	build(&defaults[false], false);
	build(&defaults[true], true);
}

static int policy_create(struct domain *d)
{
	d->policy = &defaults[d->hardware];
	return 0;
}

static void policy_destroy(struct domain *d)
{
	if (!is_default(d->policy))
		xfree(d->policy);
	d->policy = NULL;
}

DOMAIN_MODULE(policy_module) = {
	.name = "policy", .order = MODULE_POLICY, .create = policy_create, .destroy = policy_destroy,
};

/* --- the hypervisor's own leaves --- */

#define XEN_LEAVES	0x40000000U
#define ABI_VERSION	(4U << 16 | 17)
#define MACHINE_ADDRESS_WIDTH() (64U - (u32)__builtin_clzl(frame_table_end - 1) + PAGE_SHIFT)

static void leaf_time(u32 subleaf, struct cpuid_regs *r)
{
	if (subleaf == 0)
		r->a = (cpu_has(FEAT_INVARIANT_TSC) ? 2 : 0) | (cpu_has(FEAT_RDTSCP) ? 4 : 0);
	else if (subleaf == 2)
		r->a = (u32)time_tsc_khz();
}

static void xen_leaf(u32 leaf, u32 subleaf, struct cpuid_regs *r)
{
	switch (leaf - XEN_LEAVES) {
	case 0:
		*r = (struct cpuid_regs){ XEN_LEAVES + XEN_CPUID_MAX_NUM_LEAVES, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX };
		break;
	case 1:
		r->a = ABI_VERSION;
		break;
	case 2:
		r->a = 1;		/* hypercall pages */
		r->b = XEN_LEAVES;	/* MSR that makes them */
		r->c = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
		break;
	case 3:
		leaf_time(subleaf, r);
		break;
	case 5:
		if (subleaf == 0)
			r->b = MACHINE_ADDRESS_WIDTH();
		break;
	}
}

static struct xen_cpuid_leaf *find_leaf(const struct cpu_policy *p, u32 leaf, u32 subleaf)
{
	for (u32 i = 0; i < p->n; i++)
		if (p->leaves[i].leaf == leaf && (p->leaves[i].subleaf == subleaf || p->leaves[i].subleaf == XEN_CPUID_NO_SUBLEAF))
			return (struct xen_cpuid_leaf *)&p->leaves[i];
	return NULL;
}

static struct cpuid_regs leaf_regs(const struct cpu_policy *p, u32 leaf, u32 subleaf)
{
	const struct xen_cpuid_leaf *l = find_leaf(p, leaf, subleaf);

	return l ? (struct cpuid_regs){ l->a, l->b, l->c, l->d } : (struct cpuid_regs){ 0 };
}

void policy_cpuid(const struct domain *d, u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	*out = (struct cpuid_regs){ 0 };
	if (leaf >= XEN_LEAVES && leaf <= XEN_LEAVES + XEN_CPUID_MAX_NUM_LEAVES)
		xen_leaf(leaf, subleaf, out);
	else
		*out = leaf_regs(d->policy, leaf, subleaf);
}

unsigned policy_feature_words(void)
{
	return ARRAY_SIZE(feature_words);
}

u32 policy_feature_word(const struct cpu_policy *p, unsigned word)
{
	const struct feature_word *w = &feature_words[word];
	struct cpuid_regs r = leaf_regs(p, w->leaf, w->subleaf);

	return *reg_of(&r, w->reg);
}

bool policy_has(const struct domain *d, unsigned feature)
{
	return policy_feature_word(d->policy, feature / 32) >> feature % 32 & 1;
}

struct leaf_list { const struct cpu_policy *p; struct xen_cpuid_leaf *out; u32 n, room; };

static struct cpuid_regs list_leaf(struct leaf_list *l, u32 leaf, u32 subleaf)
{
	struct cpuid_regs r = leaf_regs(l->p, leaf, subleaf);

	if (l->n < l->room)
		l->out[l->n] = (struct xen_cpuid_leaf){ .leaf = leaf, .subleaf = subleaf, .a = r.a, .b = r.b, .c = r.c, .d = r.d };
	l->n++;
	return r;
}

static void list_basic_leaf(struct leaf_list *l, u32 leaf)
{
	struct cpuid_regs r;

	switch (leaf) {
	case 4:
		for (u32 sub = 0; sub < 6 && list_leaf(l, leaf, sub).a & 0x1f; sub++)
			;
		break;
	case 7:
		r = list_leaf(l, leaf, 0);
		for (u32 sub = 1; sub <= min(r.a, 2U); sub++)
			list_leaf(l, leaf, sub);
		break;
	case 0xb:
		list_leaf(l, leaf, 0);
		list_leaf(l, leaf, 1);
		break;
	case 0xd:
		r = list_leaf(l, leaf, 0);
		list_leaf(l, leaf, 1);
		for (u32 sub = 2; sub < 63; sub++)
			if (((u64)r.d << 32 | r.a) >> sub & 1)
				list_leaf(l, leaf, sub);
		break;
	default:
		list_leaf(l, leaf, XEN_CPUID_NO_SUBLEAF);
	}
}

int policy_list(const struct cpu_policy *p, struct xen_cpuid_leaf *out, u32 *n)
{
	struct leaf_list l = { .p = p, .out = out, .room = *n };
	u32 max_basic = min(leaf_regs(p, 0, 0).a, (u32)MAX_BASIC_LEAF), max_ext = min(leaf_regs(p, 0x80000000, 0).a, MAX_EXT_LEAF);

	for (u32 leaf = 0; leaf <= max_basic; leaf++)
		list_basic_leaf(&l, leaf);
	list_leaf(&l, XEN_LEAVES, XEN_CPUID_NO_SUBLEAF);
	list_leaf(&l, XEN_LEAVES + 0x100, XEN_CPUID_NO_SUBLEAF);
	for (u32 leaf = 0x80000000; leaf <= max_ext; leaf++)
		list_leaf(&l, leaf, XEN_CPUID_NO_SUBLEAF);
	*n = l.n;
	return l.n > l.room ? -ENOBUFS : 0;
}

/* What of a leaf that is no feature word the tools may choose: names and numbers that only the guest makes something of. */
static void take_others(struct xen_cpuid_leaf *l, const struct xen_cpuid_leaf *wanted)
{
	switch (l->leaf) {
	case 0:
		l->a = min(l->a, wanted->a);
		break;
	case 1:
		l->a = wanted->a;
		l->b = wanted->b & 0x00ffffff;
		break;
	case 4:
	case 0x80000002 ... 0x80000004:
		l->a = wanted->a;
		l->b = wanted->b;
		l->c = wanted->c;
		l->d = wanted->d;
		break;
	}
}

static void change_leaf(const struct cpu_policy *limit, struct xen_cpuid_leaf *l, const struct xen_cpuid_leaf *wanted)
{
	struct cpuid_regs r, w = { wanted->a, wanted->b, wanted->c, wanted->d };

	take_others(l, wanted);
	r = (struct cpuid_regs){ l->a, l->b, l->c, l->d };
	for (unsigned i = 0; i < ARRAY_SIZE(feature_words); i++) {
		const struct feature_word *f = &feature_words[i];

		if (f->leaf == l->leaf && (f->subleaf == l->subleaf || l->subleaf == XEN_CPUID_NO_SUBLEAF))
			*reg_of(&r, f->reg) = policy_feature_word(limit, i) & *reg_of(&w, f->reg);
	}
	/* It is no secret that there is a hypervisor. */
	if (l->leaf == 1)
		r.c |= 1U << F(HYPERVISOR) % 32;
	l->a = r.a;
	l->b = r.b;
	l->c = r.c;
	l->d = r.d;
}

int policy_change(struct domain *d, u32 n, int (*next)(void *ctx, u32 i, struct xen_cpuid_leaf *leaf), void *ctx)
{
	struct cpu_policy *new = xmalloc(sizeof(*new));

	if (!new)
		return -ENOMEM;
	*new = *d->policy;
	for (u32 i = 0; i < n; i++) {
		struct xen_cpuid_leaf wanted, *l;
		int rc = next(ctx, i, &wanted);

		if (rc) {
			xfree(new);
			return rc;
		}
		l = find_leaf(new, wanted.leaf, wanted.subleaf);
		if (l)
			change_leaf(&defaults[d->hardware], l, &wanted);
	}
	/* Commit. The default needs no memory. */
	policy_destroy(d);
	d->policy = new;
	if (new->n == defaults[d->hardware].n && !memcmp(new, &defaults[d->hardware], offsetof(struct cpu_policy, leaves[new->n]))) {
		xfree(new);
		d->policy = &defaults[d->hardware];
	}
	return 0;
}
