/* SPDX-License-Identifier: MIT */
/* Unit tests: threads, cores and sockets from CPUID, on made-up processors. */
/* sources: x86/topology.c */
/* cflags: -include fake_cpuid.h */
#include "test.h"

#include <x86/topology.h>

struct cpu_features cpu_features;

/* Leaves that are not zero. */
static struct { u32 leaf, sub; struct cpuid_regs r; } leaves[8];
static unsigned nr_leaves;

struct cpuid_regs fake_cpuid(u32 leaf, u32 subleaf)
{
	for (unsigned i = 0; i < nr_leaves; i++)
		if (leaves[i].leaf == leaf && leaves[i].sub == subleaf)
			return leaves[i].r;
	return (struct cpuid_regs){ 0 };
}

static void machine(enum cpu_vendor vendor, u32 basic, u32 ext, bool htt)
{
	nr_leaves = 0;
	cpu_features = (struct cpu_features){ .vendor = vendor, .max_leaf = basic, .max_ext_leaf = ext };
	if (htt)
		cpu_features.words[FEAT_HTT / 32] |= 1U << FEAT_HTT % 32;
}

static void leaf(u32 nr, u32 sub, u32 a, u32 b, u32 c)
{
	leaves[nr_leaves].leaf = nr;
	leaves[nr_leaves].sub = sub;
	leaves[nr_leaves++].r = (struct cpuid_regs){ a, b, c, 0 };
}

static bool is(u32 apic, u32 socket, u32 core, u32 thread)
{
	struct cpu_place p = topology_place(apic);

	return p.socket == socket && p.core == core && p.thread == thread;
}

TEST(one_processor)
{
	machine(VENDOR_INTEL, 2, 0, false);
	CHECK(is(0, 0, 0, 0) && is(5, 5, 0, 0) && is(0xfffffffe, 0xfffffffe, 0, 0));
}

TEST(leaf_b)
{
	machine(VENDOR_INTEL, 0xb, 0, true);
	leaf(0xb, 0, 1, 2, 0x100);	/* threads: 1 bit */
	leaf(0xb, 1, 5, 24, 0x201);	/* cores: 4 bits */
	CHECK(is(0, 0, 0, 0) && is(1, 0, 0, 1) && is(2, 0, 1, 0) && is(31, 0, 15, 1) && is(32, 1, 0, 0) && is(67, 2, 1, 1));
}

TEST(leaf_1f_before_leaf_b)
{
	machine(VENDOR_INTEL, 0x1f, 0, true);
	leaf(0xb, 0, 1, 2, 0x100);
	leaf(0xb, 1, 4, 16, 0x201);
	leaf(0x1f, 0, 1, 2, 0x100);
	leaf(0x1f, 1, 4, 16, 0x201);
	leaf(0x1f, 2, 6, 64, 0x502);	/* dies: part of the socket */
	CHECK(is(63, 0, 31, 1) && is(64, 1, 0, 0));
}

/* Leaf 0xb exists and is empty. */
TEST(old_leaves)
{
	machine(VENDOR_INTEL, 0xb, 0, true);
	leaf(1, 0, 0, 16 << 16, 0);
	leaf(4, 0, 7U << 26, 0, 0);
	CHECK(is(1, 0, 0, 1) && is(15, 0, 7, 1) && is(16, 1, 0, 0));
	machine(VENDOR_INTEL, 2, 0, true);
	leaf(1, 0, 0, 2 << 16, 0);
	CHECK(is(1, 0, 0, 1) && is(2, 1, 0, 0));
}

TEST(amd)
{
	machine(VENDOR_AMD, 7, 0x8000001e, true);
	leaf(0x80000008, 0, 0, 0, 4 << 12 | 11);
	CHECK(is(15, 0, 15, 0) && is(16, 1, 0, 0));
	cpu_features.words[FEAT_TOPOEXT / 32] |= 1U << FEAT_TOPOEXT % 32;
	leaf(0x8000001e, 0, 0, 1 << 8, 0);
	CHECK(is(15, 0, 7, 1) && is(16, 1, 0, 0));
	/* Before there was a field for the bits. */
	machine(VENDOR_AMD, 1, 0x80000008, true);
	leaf(0x80000008, 0, 0, 0, 2);
	CHECK(is(3, 0, 3, 0) && is(4, 1, 0, 0));
}

/* Nonsense gives nonsense, but no shift beyond the width. */
TEST(lies)
{
	machine(VENDOR_INTEL, 0x1f, 0, true);
	for (u32 sub = 0; sub < 8; sub++)
		leaf(0x1f, sub, ~0u, ~0u, 0x100 * (8 - sub));
	topology_place(~0u);
	CHECK(is(~0u, 1, 0, 0x7fffffff) || is(~0u, 1, 0x7fffffff, 0));
}
