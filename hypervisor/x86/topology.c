/* SPDX-License-Identifier: MIT */
/* Where a processor sits (source: Intel SDM vol. 3 §8.9; AMD APM vol. 3 app. E.4, E.5). */
#include <x86/cpuid.h>
#include <x86/topology.h>

/* An APIC id is, from the top: socket, core, thread. */
struct id_bits { unsigned thread, core; };

#define LEVEL_THREAD	1
#define LEVELS_MAX	8

static unsigned bits_for(u32 n)
{
	return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

/* Leaves 0x1f and 0xb: each level says how far to shift to get the next one's number; the last one leads to the socket. */
static bool from_levels(u32 leaf, struct id_bits *bits)
{
	unsigned thread = 0, socket = 0;

	if (cpu_features.max_leaf < leaf || !cpuid(leaf, 0).b)
		return false;
	for (u32 level = 0; level < LEVELS_MAX; level++) {
		struct cpuid_regs r = cpuid(leaf, level);
		u32 type = r.c >> 8 & 0xff;

		if (!type || !r.b)
			break;
		socket = r.a & 0x1f;
		if (type == LEVEL_THREAD)
			thread = socket;
	}
	*bits = (struct id_bits){ .thread = thread, .core = socket > thread ? socket - thread : 0 };
	return true;
}

static struct id_bits from_amd_leaves(void)
{
	u32 sizes = cpuid(0x80000008, 0).c;
	unsigned socket = sizes >> 12 & 0xf, thread = 0;

	if (!socket)
		socket = bits_for((sizes & 0xff) + 1);
	if (cpu_has(FEAT_TOPOEXT) && cpu_features.max_ext_leaf >= 0x8000001e)
		thread = bits_for((cpuid(0x8000001e, 0).b >> 8 & 0xff) + 1);
	return (struct id_bits){ .thread = thread, .core = socket > thread ? socket - thread : 0 };
}

/* Leaf 1 has the number of ids of a socket, leaf 4 that of cores. */
static struct id_bits from_old_leaves(void)
{
	unsigned socket = bits_for(cpuid(1, 0).b >> 16 & 0xff), core = 0;

	if (cpu_features.max_leaf >= 4)
		core = bits_for((cpuid(4, 0).a >> 26) + 1);
	core = min(core, socket);
	return (struct id_bits){ .thread = socket - core, .core = core };
}

static struct id_bits divide(void)
{
	struct id_bits bits;

	if (from_levels(0x1f, &bits) || from_levels(0xb, &bits))
		return bits;
	if (!cpu_has(FEAT_HTT))
		return (struct id_bits){ 0 };
	if (cpu_features.vendor == VENDOR_AMD && cpu_features.max_ext_leaf >= 0x80000008)
		return from_amd_leaves();
	return from_old_leaves();
}

struct cpu_place topology_place(u32 apic_id)
{
	struct id_bits bits = divide();
	unsigned socket = bits.thread + bits.core;

	return (struct cpu_place){
		.socket = (u32)((u64)apic_id >> socket),
		.core = (u32)((apic_id & (BIT(socket) - 1)) >> bits.thread),
		.thread = (u32)(apic_id & (BIT(bits.thread) - 1)),
	};
}
