/* SPDX-License-Identifier: MIT */
/* Descriptor tables: set_gdt, update_descriptor, the LDT, and the types of the frames that hold them. */
#include "lib/test.h"

#define ASM(text, ...) asm volatile(text, ##__VA_ARGS__)

/* Flat descriptors: present, S=1; the low byte of `access` is the access byte, the high nibble the G, D, L, AVL bits. */
#define DESC(access) (0x0000ffff | (u64)((access) & 0xff) << 40 | 0xful << 48 | (u64)((access) >> 8 & 0xf) << 52)
#define DATA3 DESC(0xcf3)
#define CODE3_64 DESC(0xafb)
#define CODE3_32 DESC(0xcfb)
#define DATA0 DESC(0xc93)
#define CODE0_64 DESC(0xa9b)
#define CODE0_32 DESC(0xc9b)

static u64 *gdt;

static long set_gdt(const u64 *frames, u64 entries)
{
	return HCALL(set_gdt, frames, entries);
}

static bool loads(u16 sel)
{
	struct trap t;
	u16 old;

	CATCH(&t, ASM("mov %%es, %0; mov %1, %%es; mov %0, %%es" : "=&r"(old) : "r"((u32)sel)));
	return t.vector == VEC_NONE;
}

/* The level that a loaded selector has, by LAR: -1 if it cannot be looked at. */
static int level_of(u16 sel)
{
	u32 rights;
	u8 zf;

	ASM("lar %2, %0; setz %1" : "=r"(rights), "=q"(zf) : "r"((u32)sel) : "cc");
	return zf ? (int)(rights >> 13 & 3) : -1;
}

static void install(void)
{
	u64 frames[1];

	if (gdt)
		return;
	gdt = page_alloc();
	gdt[1] = DATA3;
	gdt[2] = CODE3_64;
	CHECK_EQ(page_protect(gdt, false), 0);
	frames[0] = virt_to_mfn(gdt);
	CHECK_EQ(set_gdt(frames, 512), 0);
}

TEST(set_gdt)
{
	u64 frames[2];

	CHECK(!loads(0x0b));
	install();
	CHECK(loads(0x0b));
	CHECK_EQ(level_of(0x13), 3);
	/* The reserved entries are still there. */
	CHECK(loads(FLAT_KERNEL_SS));
	/* Fewer entries: the rest of the page is still scanned and usable in Xen, so only the first is certain. */
	frames[0] = virt_to_mfn(gdt);
	CHECK_EQ(set_gdt(frames, 16), 0);
	CHECK(loads(0x0b));
	CHECK_EQ(set_gdt(frames, 512), 0);
	/* The same frame twice. */
	frames[1] = frames[0];
	CHECK_EQ(set_gdt(frames, 1024), 0);
	CHECK(loads(0x100b));
	CHECK_EQ(set_gdt(frames, 512), 0);
	CHECK(!loads(0x100b));
}

TEST(frame_is_typed)
{
	install();
	CHECK_LT(page_protect(gdt, true), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(gdt), 0), 0);
	CHECK_LT(mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(gdt), 0), 0);
	CHECK_TRAP(VEC_PF, WRITE_ONCE(gdt[3], DATA0));
	CHECK_EQ(gdt[3], 0);
	/* mmu_update takes it for neither a page table nor a writable page. */
	CHECK_LT(mmu_update(virt_to_maddr(&gdt[3]), DATA0), 0);
	CHECK_EQ(READ_ONCE(gdt[3]), 0);
}

TEST(gdt_refused)
{
	u64 *writable = page_alloc(), frames[16];

	install();
	frames[0] = virt_to_mfn(writable);
	CHECK_LT(set_gdt(frames, 512), 0);
	frames[0] = virt_to_mfn(current_l4());
	CHECK_LT(set_gdt(frames, 512), 0);
	frames[0] = 0x100;
	CHECK_LT(set_gdt(frames, 512), 0);
	frames[0] = ~0ul;
	CHECK_LT(set_gdt(frames, 512), 0);
	/* Into the hypervisor's own entries, and further. */
	for (unsigned i = 0; i < 16; i++)
		frames[i] = virt_to_mfn(gdt);
	CHECK_EQ(set_gdt(frames, FIRST_RESERVED_GDT_ENTRY + 1), -XEN_EINVAL);
	CHECK_EQ(set_gdt(frames, 8192), -XEN_EINVAL);
	CHECK_LT(set_gdt(frames, 0x100000200), 1);
	CHECK_LT(set_gdt((u64 *)XEN_VA_INSIDE, 512), 0);
	CHECK_LT(set_gdt((u64 *)NONCANONICAL, 512), 0);
	/* After all that the old one is in force. */
	frames[0] = virt_to_mfn(gdt);
	CHECK_EQ(set_gdt(frames, 512), 0);
	CHECK(loads(0x0b));
	WRITE_ONCE(writable[0], 1);
	page_free(writable);
}

TEST(gdt_bad_contents)
{
	/* A page with a descriptor the guest must not have becomes no descriptor page, or one made harmless. */
	static const u64 bad[] = {
		/* call gate, interrupt gate, TSS, LDT: system descriptors into the hypervisor */
		0xffff8c0000080000 | 0xe008ul << 16, 0x00008e0000080000, 0x0000890000000067, 0x0000820000000fff,
		0x0000ec00e0080000, 0x00008b0000000067,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		u64 *page = page_alloc(), frame = virt_to_mfn(page);
		long rc;

		install();
		page[5] = bad[i];
		CHECK_EQ(page_protect(page, false), 0);
		rc = set_gdt(&frame, 512);
		if (!rc) {
			test_fail(__FILE__, __LINE__, "descriptor %lx was accepted as %lx", bad[i], READ_ONCE(page[5]));
			frame = virt_to_mfn(gdt);
			CHECK_EQ(set_gdt(&frame, 512), 0);
		}
		table_free(page);
	}
}

TEST(gdt_ring_0_contents)
{
	/* Descriptors of level 0 to 2 are lifted to 3, or refused. */
	static const u64 list[] = { DATA0, CODE0_64, CODE0_32, DESC(0xcb3), DESC(0xcd3) };

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		u64 *page = page_alloc(), frame = virt_to_mfn(page);

		install();
		page[1] = DATA3;
		page[5] = list[i];
		CHECK_EQ(page_protect(page, false), 0);
		if (!set_gdt(&frame, 512)) {
			CHECK_EQ(READ_ONCE(page[5]) >> 45 & 3, 3);
			CHECK(level_of(0x2b) == 3 || level_of(0x2b) == -1);
			frame = virt_to_mfn(gdt);
			CHECK_EQ(set_gdt(&frame, 512), 0);
		}
		table_free(page);
	}
}

static long update(void *where, u64 desc)
{
	return HCALL(update_descriptor, virt_to_maddr(where), desc);
}

TEST(update_descriptor)
{
	install();
	CHECK(!loads(0x33));
	CHECK_EQ(update(&gdt[6], DATA3), 0);
	CHECK(loads(0x33));
	CHECK_EQ(READ_ONCE(gdt[6]) | 1ul << 40, DATA3);
	CHECK_EQ(update(&gdt[6], 0), 0);
	CHECK(!loads(0x33));
	/* Not present: anything goes that is no gate to anywhere. */
	CHECK_EQ(update(&gdt[6], DATA3 & ~(1ul << 47)), 0);
	struct trap t;

	CATCH(&t, ASM("mov %0, %%es" :: "r"(0x33)));
	CHECK(t.vector == VEC_NP || t.vector == VEC_GP);
	CHECK_EQ(t.error, 0x30);
	CHECK_EQ(update(&gdt[6], 0), 0);
}

TEST(update_descriptor_level)
{
	static const u64 list[] = { DATA0, CODE0_64, CODE0_32 };

	install();
	for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
		if (!update(&gdt[7], list[i]))
			CHECK_EQ(READ_ONCE(gdt[7]) >> 45 & 3, 3);
	CHECK_EQ(update(&gdt[7], 0), 0);
}

TEST(update_descriptor_refused)
{
	static const u64 bad[] = {
		0x00008e0000080000, 0x0000890000000067, 0x0000820000000fff, 0x0000ec00e0080000, 0x0000e50000080000,
		0x00008c00e0080000, 0x00008f0000080000, 0x0000830000000000,
	};
	u64 *writable = page_alloc(), old;

	install();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(update(&gdt[8], bad[i]), -XEN_EINVAL);
		CHECK_EQ(READ_ONCE(gdt[8]), 0);
	}
	/* Misaligned, a page table, a frame of nobody. */
	CHECK_LT(HCALL(update_descriptor, virt_to_maddr(gdt) + 4, DATA3), 0);
	CHECK_LT(HCALL(update_descriptor, virt_to_maddr(gdt) + 1, DATA3), 0);
	old = READ_ONCE(current_l4()[511]);
	CHECK_LT(update(&current_l4()[511], DATA3), 0);
	CHECK_EQ(READ_ONCE(current_l4()[511]) & PTE_MFN_MASK, old & PTE_MFN_MASK);
	CHECK_LT(HCALL(update_descriptor, 0x100000, DATA3), 0);
	CHECK_LT(HCALL(update_descriptor, 0x000ffffffffff000, DATA3), 0);
	CHECK_LT(HCALL(update_descriptor, ~7ul, DATA3), 0);
	/* A writable page of ours may be written, as the ABI header says. */
	CHECK_EQ(update(&writable[3], DATA3), 0);
	CHECK_EQ(READ_ONCE(writable[3]) | 1ul << 40, DATA3);
	page_free(writable);
}

TEST(call_gate)
{
	/* Into the kernel's own code: refused, or kept with level 0 so that the processor never takes it itself. */
	static const u64 gates[] = { 0x0000ec0000130000, 0x0000ec00e0330000, 0x0000ac0000080000 };
	struct {
		u64 offset;
		u16 selector;
	} __attribute__((packed)) target = { 0, 0x43 };

	install();
	for (unsigned i = 0; i < ARRAY_SIZE(gates); i++) {
		struct trap t;

		if (update(&gdt[8], gates[i]))
			continue;
		CHECK_EQ(READ_ONCE(gdt[8]) >> 45 & 3, 0);
		CATCH(&t, ASM("rex64 lcall *%0" :: "m"(target) : "memory"));
		CHECK(t.vector == VEC_GP || t.vector == VEC_PF || t.vector == VEC_NP);
	}
	CHECK_EQ(update(&gdt[8], 0), 0);
}

TEST(released_frame)
{
	/* Taken out of the GDT the page is ordinary memory again. */
	u64 *page = page_alloc(), frame = virt_to_mfn(page);

	install();
	page[1] = DATA3;
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_EQ(set_gdt(&frame, 512), 0);
	CHECK_LT(page_protect(page, true), 0);
	frame = virt_to_mfn(gdt);
	CHECK_EQ(set_gdt(&frame, 512), 0);
	CHECK_EQ(page_protect(page, true), 0);
	WRITE_ONCE(page[2], 1);
	page_free(page);
}

TEST(ldt)
{
	u64 *ldt = page_alloc();
	struct trap t;

	ldt[0] = DATA3;
	ldt[1] = CODE3_64;
	ldt[511] = DATA3;
	CHECK_EQ(page_protect(ldt, false), 0);
	CHECK(!loads(0x07));
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)ldt, 512), 0);
	/* Found lazily: the first use faults into the hypervisor, which maps the page and types it. */
	CHECK(loads(0x07));
	CHECK(loads(0xfff));
	CHECK_LT(page_protect(ldt, true), 0);
	CHECK_EQ(update(&ldt[2], DATA3), 0);
	CHECK(loads(0x17));
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	t = CHECK_TRAP(VEC_GP, ASM("mov %0, %%es" :: "r"(0x07)));
	CHECK_EQ(t.error, 0x04);
	CHECK_EQ(page_protect(ldt, true), 0);
	page_free(ldt);
}

TEST(ldt_refused)
{
	u64 *ldt = page_alloc();
	struct trap t;

	/* Misaligned, too long, in the hypervisor, not canonical. */
	CHECK_LT(mmuext(MMUEXT_SET_LDT, (u64)ldt + 8, 16), 0);
	CHECK_LT(mmuext(MMUEXT_SET_LDT, (u64)ldt, 8193), 0);
	CHECK_LT(mmuext(MMUEXT_SET_LDT, (u64)ldt, 0xffffffff), 0);
	CHECK_LT(mmuext(MMUEXT_SET_LDT, XEN_VA_INSIDE, 512), 0);
	CHECK_LT(mmuext(MMUEXT_SET_LDT, NONCANONICAL, 512), 0);
	/* Pages that cannot hold descriptors are noticed when they are used. */
	if (!mmuext(MMUEXT_SET_LDT, (u64)current_l4(), 512))
		CHECK(!loads(0x0f));
	if (!mmuext(MMUEXT_SET_LDT, SCRATCH_VA, 512)) {
		CATCH(&t, ASM("mov %0, %%es" :: "r"(0x07)));
		CHECK(t.vector == VEC_PF || t.vector == VEC_GP);
		if (t.vector == VEC_PF)
			CHECK_EQ(t.cr2, SCRATCH_VA);
	}
	/* A gate in a page that otherwise would do. */
	ldt[0] = 0x0000ec00e0080000;
	CHECK_EQ(page_protect(ldt, false), 0);
	if (!mmuext(MMUEXT_SET_LDT, (u64)ldt, 512)) {
		CATCH(&t, ASM("push %0; push $0; lretq" :: "i"(0x07)));
		CHECK_NE(t.vector, VEC_NONE);
		CHECK(!loads(0x07));
	}
	/* Read-write pages: not typed as descriptors while they are writable. */
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	CHECK_EQ(page_protect(ldt, true), 0);
	WRITE_ONCE(ldt[0], DATA3);
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)ldt, 512), 0);
	if (loads(0x07)) {
		CHECK_TRAP(VEC_PF, WRITE_ONCE(ldt[1], CODE0_64));
		test_fail(__FILE__, __LINE__, "a writable page serves as LDT");
	}
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	page_free(ldt);
}

static void u_load(u64 arg)
{
	ASM("mov %0, %%es; xor %%eax, %%eax; mov %%eax, %%es" :: "r"((u32)arg) : "rax");
}

TEST(ldt_from_user)
{
	u64 *ldt = page_alloc();
	struct trap_frame f;

	ldt[0] = DATA3;
	CHECK_EQ(page_protect(ldt, false), 0);
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)ldt, 512), 0);
	CHECK_EQ(user_call(u_load, 0x07, &f), VEC_BP);
	CHECK_EQ(user_call(u_load, 0x0f, &f), VEC_GP);
	CHECK_EQ(f.error, 0x0c);
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	table_free(ldt);
}

TEST(remove_gdt)
{
	u64 frame;

	install();
	CHECK_EQ(set_gdt(&frame, 0), 0);
	CHECK(!loads(0x0b));
	CHECK(loads(FLAT_KERNEL_SS));
	CHECK_EQ(page_protect(gdt, true), 0);
	page_free(gdt);
	gdt = NULL;
}
