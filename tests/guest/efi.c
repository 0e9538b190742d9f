/* SPDX-License-Identifier: MIT */
/* UEFI through platform_op: what the firmware says, its variables and clock, arguments that lie, and the caller's processor state. */
#include "lib/test.h"

#include <xen/platform.h>

#define EFI_NOT_FOUND		(1ul << 63 | 14)
#define EFI_BUFFER_TOO_SMALL	(1ul << 63 | 5)
#define EFI_INVALID_PARAMETER	(1ul << 63 | 2)
/* What can be written after boot services have ended. */
#define KEPT_AND_RUNTIME	(XEN_EFI_VARIABLE_NON_VOLATILE | XEN_EFI_VARIABLE_BOOTSERVICE_ACCESS | XEN_EFI_VARIABLE_RUNTIME_ACCESS)
#define LARGE			(256ul << 10)

static const struct xenpf_efi_guid ours = { 0x10d6e000, 0x1234, 0x5678, { 1, 2, 3, 4, 5, 6, 7, 8 } };
static u16 name[16] = { 'L', 'o', 'd', 'g', 'e', 0 };
static u16 endless[4096];
static u8 data[PAGE_SIZE] __attribute__((aligned(4096)));

static long platform(struct xen_platform_op *op, u32 cmd)
{
	op->cmd = cmd;
	op->interface_version = XENPF_INTERFACE_VERSION;
	return HCALL(platform_op, op);
}

static long info(u32 index, struct xen_platform_op *op)
{
	op->u.firmware_info.type = XEN_FW_EFI_INFO;
	op->u.firmware_info.index = index;
	return platform(op, XENPF_firmware_info);
}

static long call(u32 function, struct xen_platform_op *op)
{
	op->u.efi_runtime_call.function = function;
	op->u.efi_runtime_call.status = 0x5a5a;
	return platform(op, XENPF_efi_runtime_call);
}

#define FW(op)	((op).u.firmware_info.u.efi_info)
#define EFI(op)	((op).u.efi_runtime_call)

static long get(const void *text, void *to, u64 size, struct xen_platform_op *op)
{
	memset(op, 0, sizeof(*op));
	EFI(*op).u.get_variable.name.p = (void *)text;
	EFI(*op).u.get_variable.data.p = to;
	EFI(*op).u.get_variable.size = size;
	EFI(*op).u.get_variable.vendor_guid = ours;
	return call(XEN_EFI_get_variable, op);
}

static long set(const void *text, const void *from, u64 size, struct xen_platform_op *op)
{
	memset(op, 0, sizeof(*op));
	EFI(*op).misc = KEPT_AND_RUNTIME;
	EFI(*op).u.set_variable.name.p = (void *)text;
	EFI(*op).u.set_variable.data.p = (void *)from;
	EFI(*op).u.set_variable.size = size;
	EFI(*op).u.set_variable.vendor_guid = ours;
	return call(XEN_EFI_set_variable, op);
}

static void fill(u8 seed, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		data[i] = (u8)(seed + i * 7);
}

static bool filled(const u8 *p, u8 seed, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i] != (u8)(seed + i * 7))
			return false;
	return true;
}

TEST(information)
{
	struct xen_platform_op op = { 0 };

	REQUIRE_EQ(info(XEN_FW_EFI_VERSION, &op), 0);
	CHECK_GE(FW(op).version, 0x20000);
	CHECK_EQ(info(XEN_FW_EFI_RT_VERSION, &op), 0);
	CHECK_GE(FW(op).version, 0x20000);
	CHECK_EQ(info(XEN_FW_EFI_CONFIG_TABLE, &op), 0);
	CHECK_GE(FW(op).cfg.nent, 1);
	CHECK(FW(op).cfg.addr);
	CHECK_LT(info(XEN_FW_EFI_PCI_ROM, &op), 0);
	CHECK_LT(info(XEN_FW_EFI_APPLE_PROPERTIES, &op), 0);
	CHECK_LT(info(7, &op), 0);
	CHECK_LT(info(~0u, &op), 0);
}

TEST(vendor_name)
{
	struct xen_platform_op op = { 0 };
	u16 *text = (u16 *)data;

	for (unsigned room = 0; room <= 64; room++) {
		unsigned n = room / 2;

		memset(data, 0xcc, 256);
		FW(op).vendor.bufsz = room;
		FW(op).vendor.name.p = data;
		REQUIRE_EQ(info(XEN_FW_EFI_VENDOR, &op), 0);
		CHECK_EQ(text[n], 0xcccc);
		for (unsigned i = 0; i + 1 < n && text[i]; i++)
			CHECK(text[i] >= ' ' && text[i] < 127);
		if (n)
			CHECK(text[n - 1] == 0 || text[n - 1] == 0xcccc);
	}
	CHECK(text[0] && text[0] != 0xcccc);
	FW(op).vendor.bufsz = 64;
	FW(op).vendor.name.p = (void *)XEN_VA_INSIDE;
	CHECK_EQ(info(XEN_FW_EFI_VENDOR, &op), -XEN_EFAULT);
}

/* Ranges, walked from one end to the next; and how much of one was asked for. */
TEST(memory_map)
{
	struct xen_platform_op op = { 0 };
	unsigned runtime = 0;
	u64 at = 0, size;

	for (unsigned i = 0; i < 1000; i++) {
		FW(op).mem.addr = at;
		FW(op).mem.size = ~0ul;
		if (info(XEN_FW_EFI_MEM_INFO, &op))
			break;
		REQUIRE_EQ(FW(op).mem.addr, at);
		size = FW(op).mem.size;
		REQUIRE(size && !(size & (PAGE_SIZE - 1)));
		runtime += FW(op).mem.attr >> 63;
		FW(op).mem.size = PAGE_SIZE / 2;
		FW(op).mem.addr = at + PAGE_SIZE / 2;
		CHECK_EQ(info(XEN_FW_EFI_MEM_INFO, &op), 0);
		CHECK_EQ(FW(op).mem.size, PAGE_SIZE / 2);
		at += size;
	}
	/* Conventional memory ends at the VGA hole. */
	CHECK(at >= 0x80000);
	FW(op).mem.addr = 1ul << 51;
	CHECK_EQ(info(XEN_FW_EFI_MEM_INFO, &op), -XEN_ESRCH);
	FW(op).mem.addr = ~0ul;
	CHECK_EQ(info(XEN_FW_EFI_MEM_INFO, &op), -XEN_ESRCH);
}

/* An address in a range of the type, 0 when there is none. */
static u64 find_range(u32 type)
{
	struct xen_platform_op op = { 0 };
	u64 at = 0;

	/* Page by page where nothing is known, so that the whole of low memory is seen. */
	while (at < 4ul << 30) {
		FW(op).mem.addr = at;
		FW(op).mem.size = ~0ul;
		if (info(XEN_FW_EFI_MEM_INFO, &op)) {
			at += PAGE_SIZE;
			continue;
		}
		if (FW(op).mem.type == type)
			return at;
		at += FW(op).mem.size;
	}
	return 0;
}

/* The firmware's code is executed by the hypervisor: nobody maps it. Its tables can be read. */
TEST(firmware_memory)
{
	u64 code = find_range(5), tables = find_range(6);

	REQUIRE(code && tables);
	CHECK_LT(map_new(SCRATCH_VA, MAKE_PTE(code >> PAGE_SHIFT, PTE_RW)), 0);
	CHECK_LT(map_new(SCRATCH_VA, MAKE_PTE(code >> PAGE_SHIFT, PTE_RO)), 0);
	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(tables >> PAGE_SHIFT, PTE_RO)), 0);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
}

TEST(clock)
{
	struct xen_platform_op op = { 0 };
	struct xenpf_efi_time t;

	REQUIRE_EQ(call(XEN_EFI_get_time, &op), 0);
	CHECK_EQ(EFI(op).status, 0);
	t = EFI(op).u.get_time.time;
	CHECK(t.year >= 2024 && t.year < 2100 && t.month >= 1 && t.month <= 12 && t.day >= 1 && t.day <= 31 && t.hour < 24);
	CHECK(EFI(op).u.get_time.resolution);

	memset(&op, 0, sizeof(op));
	t.year = 2031;
	EFI(op).u.set_time = t;
	CHECK_EQ(call(XEN_EFI_set_time, &op), 0);
	CHECK_EQ(EFI(op).status, 0);
	memset(&op, 0, sizeof(op));
	CHECK_EQ(call(XEN_EFI_get_time, &op), 0);
	CHECK_EQ(EFI(op).u.get_time.time.year, 2031);

	/* The 13th month. */
	t.month = 13;
	memset(&op, 0, sizeof(op));
	EFI(op).u.set_time = t;
	CHECK_EQ(call(XEN_EFI_set_time, &op), 0);
	CHECK_EQ(EFI(op).status, EFI_INVALID_PARAMETER);
}

TEST(variable)
{
	struct xen_platform_op op;
	u8 *copy = page_alloc();

	REQUIRE_EQ(get(name, copy, 100, &op), 0);
	CHECK_EQ(EFI(op).status, EFI_NOT_FOUND);
	fill(3, 600);
	REQUIRE_EQ(set(name, data, 600, &op), 0);
	REQUIRE_EQ(EFI(op).status, 0);

	REQUIRE_EQ(get(name, NULL, 0, &op), 0);
	CHECK_EQ(EFI(op).status, EFI_BUFFER_TOO_SMALL);
	CHECK_EQ(EFI(op).u.get_variable.size, 600);
	memset(copy, 0xcc, PAGE_SIZE);
	REQUIRE_EQ(get(name, copy, 599, &op), 0);
	CHECK_EQ(EFI(op).status, EFI_BUFFER_TOO_SMALL);
	CHECK_EQ(copy[0], 0xcc);
	/* A size that no memory has: only what there is arrives. */
	REQUIRE_EQ(get(name, copy, ~0ul, &op), 0);
	CHECK_EQ(EFI(op).status, 0);
	CHECK_EQ(EFI(op).u.get_variable.size, 600);
	CHECK_EQ(EFI(op).misc, KEPT_AND_RUNTIME);
	CHECK(filled(copy, 3, 600));
	CHECK_EQ(copy[600], 0xcc);

	REQUIRE_EQ(set(name, NULL, 0, &op), 0);
	CHECK_EQ(EFI(op).status, 0);
	REQUIRE_EQ(get(name, copy, 600, &op), 0);
	CHECK_EQ(EFI(op).status, EFI_NOT_FOUND);
	page_free(copy);
}

/* Ours is among all the names. */
TEST(names)
{
	struct xen_platform_op op;
	u16 text[512] = { 0 };
	struct xenpf_efi_guid guid = { 0 };
	unsigned n = 0, found = 0;

	REQUIRE_EQ(set(name, data, 1, &op), 0);
	for (; n < 1000; n++) {
		memset(&op, 0, sizeof(op));
		EFI(op).u.get_next_variable_name.size = sizeof(text);
		EFI(op).u.get_next_variable_name.name.p = text;
		EFI(op).u.get_next_variable_name.vendor_guid = guid;
		REQUIRE_EQ(call(XEN_EFI_get_next_variable_name, &op), 0);
		if (EFI(op).status)
			break;
		guid = EFI(op).u.get_next_variable_name.vendor_guid;
		found += !memcmp(&guid, &ours, sizeof(ours)) && !memcmp(text, name, 12);
	}
	CHECK_EQ(EFI(op).status, EFI_NOT_FOUND);
	CHECK_EQ(found, 1);
	CHECK(n > 5);

	/* Room for the first character only. */
	memset(text, 0, sizeof(text));
	memset(&op, 0, sizeof(op));
	EFI(op).u.get_next_variable_name.size = 2;
	EFI(op).u.get_next_variable_name.name.p = text;
	REQUIRE_EQ(call(XEN_EFI_get_next_variable_name, &op), 0);
	CHECK_EQ(EFI(op).status, EFI_BUFFER_TOO_SMALL);
	CHECK(EFI(op).u.get_next_variable_name.size > 2);
	CHECK_EQ(text[0], 0);
	CHECK_EQ(set(name, NULL, 0, &op), 0);
}

TEST(store)
{
	struct xen_platform_op op = { 0 };

	EFI(op).u.query_variable_info.attr = KEPT_AND_RUNTIME;
	REQUIRE_EQ(call(XEN_EFI_query_variable_info, &op), 0);
	CHECK_EQ(EFI(op).status, 0);
	CHECK(EFI(op).u.query_variable_info.max_store_size >= EFI(op).u.query_variable_info.remain_store_size);
	memset(&op, 0, sizeof(op));
	EFI(op).misc = XEN_EFI_VARINFO_BOOT_SNAPSHOT;
	CHECK_LT(call(XEN_EFI_query_variable_info, &op), 0);
}

TEST(refused)
{
	static const u32 functions[] = { 0, XEN_EFI_query_capsule_capabilities, XEN_EFI_update_capsule, 12, 1u << 31, ~0u };
	static const u32 without_flags[] = { XEN_EFI_get_time, XEN_EFI_set_time, XEN_EFI_get_variable, XEN_EFI_get_next_variable_name };
	struct xen_platform_op op;

	for (unsigned i = 0; i < ARRAY_SIZE(functions); i++) {
		memset(&op, 0, sizeof(op));
		/* Where a capsule would be: our own page, by its machine address. */
		EFI(op).u.update_capsule.sg_list = virt_to_maddr(data);
		EFI(op).u.update_capsule.capsule_count = 1;
		CHECK_EQ(call(functions[i], &op), -XEN_EOPNOTSUPP);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(without_flags); i++) {
		memset(&op, 0, sizeof(op));
		EFI(op).misc = 1;
		CHECK_EQ(call(without_flags[i], &op), -XEN_EINVAL);
	}
	memset(&op, 0, sizeof(op));
	EFI(op).misc = 4;
	CHECK_EQ(call(XEN_EFI_set_wakeup_time, &op), -XEN_EINVAL);
}

static const u64 bad_pointers[] = { 0x10, XEN_VA_INSIDE, XEN_VA_INSIDE + 0x200000, NONCANONICAL, ~0ul - 1, SCRATCH_VA };

/* Nothing that a pointer names is touched unless it is ours to touch. */
TEST(bad_pointers)
{
	struct xen_platform_op op;

	fill(9, 64);
	REQUIRE_EQ(set(name, data, 64, &op), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad_pointers); i++) {
		void *bad = (void *)bad_pointers[i];

		CHECK_EQ(get(bad, data, 64, &op), -XEN_EFAULT);
		CHECK_EQ(get(name, bad, 64, &op), -XEN_EFAULT);
		CHECK_EQ(set(bad, data, 64, &op), -XEN_EFAULT);
		CHECK_EQ(set(name, bad, 64, &op), -XEN_EFAULT);
		memset(&op, 0, sizeof(op));
		EFI(op).u.get_next_variable_name.size = 512;
		EFI(op).u.get_next_variable_name.name.p = bad;
		CHECK_EQ(call(XEN_EFI_get_next_variable_name, &op), -XEN_EFAULT);
	}
	/* Read-only to us is read-only to what is done for us. */
	CHECK_EQ(page_protect(data, false), 0);
	CHECK_EQ(get(name, data, 64, &op), -XEN_EFAULT);
	CHECK_EQ(page_protect(data, true), 0);
	CHECK(filled(data, 9, 64));
	CHECK_EQ(set(name, NULL, 0, &op), 0);
}

TEST(sizes)
{
	struct xen_platform_op op;
	u8 *large = pages_alloc(6);

	for (unsigned i = 0; i < ARRAY_SIZE(endless); i++)
		endless[i] = 'x';
	CHECK_EQ(get(endless, data, 64, &op), -XEN_EINVAL);
	CHECK_EQ(set(endless, data, 64, &op), -XEN_EINVAL);
	CHECK_EQ(set(name, large, LARGE, &op), -XEN_E2BIG);
	CHECK_EQ(set(name, large, ~0ul, &op), -XEN_E2BIG);
	memset(&op, 0, sizeof(op));
	EFI(op).u.get_next_variable_name.name.p = endless;
	EFI(op).u.get_next_variable_name.size = sizeof(endless);
	CHECK_EQ(call(XEN_EFI_get_next_variable_name, &op), -XEN_EINVAL);
	EFI(op).u.get_next_variable_name.size = 0;
	CHECK_EQ(call(XEN_EFI_get_next_variable_name, &op), -XEN_EINVAL);
	/* As much as fits into the buffer is the firmware's to refuse, or to take. */
	CHECK_EQ(set(name, large, 64ul << 10, &op), 0);
	CHECK_EQ(set(name, NULL, 0, &op), 0);
}

static u64 read_base(u32 which)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(which));
	return (u64)hi << 32 | lo;
}

/* Vector registers, their control, and segments are ours again after each call. */
TEST(state_is_kept)
{
	u64 value[2] = { 0x0123456789abcdef, 0xfedcba9876543210 }, got[2] = { 0 };
	u32 mxcsr = 0x3f80, mxcsr_after = 0;
	u16 cw = 0x27f, cw_after = 0;
	struct xen_platform_op op;
	u64 fs = (u64)data, gs = (u64)name;

	CHECK_EQ(HCALL(set_segment_base, SEGBASE_FS, fs), 0);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_KERNEL, gs), 0);
	asm volatile("fninit; fldcw %0; ldmxcsr %1; movups %2, %%xmm6; movups %2, %%xmm1" :: "m"(cw), "m"(mxcsr), "m"(value));
	REQUIRE_EQ(get(name, data, 64, &op), 0);
	memset(&op, 0, sizeof(op));
	REQUIRE_EQ(call(XEN_EFI_get_time, &op), 0);
	asm volatile("movups %%xmm6, %0" : "=m"(got));
	CHECK(!memcmp(value, got, sizeof(got)));
	asm volatile("movups %%xmm1, %0" : "=m"(got));
	CHECK(!memcmp(value, got, sizeof(got)));
	asm volatile("fnstcw %0; stmxcsr %1" : "=m"(cw_after), "=m"(mxcsr_after));
	CHECK_EQ(cw_after, cw);
	CHECK_EQ(mxcsr_after, mxcsr);
	CHECK_EQ(read_base(0xc0000100), fs);
	CHECK_EQ(read_base(0xc0000101), gs);
}

struct worker { u16 name[4]; unsigned wrong; };
#define ROUNDS 25

static void work(void *arg)
{
	struct worker *w = arg;
	struct xen_platform_op op;
	u8 seed = (u8)w->name[0], buffer[64];

	for (unsigned round = 0; round < ROUNDS; round++) {
		u8 in[64];

		for (unsigned i = 0; i < sizeof(in); i++)
			in[i] = (u8)(seed + round + i);
		if (set(w->name, in, sizeof(in), &op) || EFI(op).status)
			w->wrong++;
		if (get(w->name, buffer, sizeof(buffer), &op) || EFI(op).status || memcmp(in, buffer, sizeof(in)))
			w->wrong++;
	}
	if (set(w->name, NULL, 0, &op))
		w->wrong++;
}

/* Two vCPUs at once: each gets its own. */
TEST(two_at_once)
{
	static struct worker workers[2] = { { .name = { 'A' } }, { .name = { 'B' } } };

	REQUIRE(cpu_count() > 1);
	cpu_run(1, work, &workers[1]);
	work(&workers[0]);
	CHECK_EQ(cpu_wait(1), 0);
	CHECK_EQ(workers[0].wrong, 0);
	CHECK_EQ(workers[1].wrong, 0);
}
