/* SPDX-License-Identifier: MIT */
/* Writing live page-table entries directly: VMASST_TYPE_writable_pagetables. */
#include "lib/test.h"

static u64 *scratch = (u64 *)SCRATCH_VA;
static u64 *page_a, *page_b;
static u64 pte_a, pte_b;
static u64 *entry;	/* the level-1 entry of SCRATCH_VA, in the (read-only) linear map */

/* Maps page A (holding 1) at SCRATCH_VA; B holds 2. */
static void begin(void)
{
	if (!page_a) {
		page_a = page_alloc();
		page_b = page_alloc();
		page_a[0] = 1;
		page_b[0] = 2;
		pte_a = MAKE_PTE(virt_to_mfn(page_a), PTE_RW);
		pte_b = MAKE_PTE(virt_to_mfn(page_b), PTE_RW);
	}
	CHECK_EQ(map_new(SCRATCH_VA, pte_a), 0);
	entry = pt_walk(SCRATCH_VA, 1);
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	CHECK_EQ(READ_ONCE(scratch[0]), 1);
}

static void flush(void)
{
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, SCRATCH_VA, 0), 0);
}

/* The entry must now map B, or A. */
static void maps(u64 value)
{
	flush();
	CHECK_EQ(READ_ONCE(scratch[0]), value);
}

TEST(assist_off)
{
	/* Without the assist the write faults; Xen emulates it all the same for the hardware domain. */
	struct trap t;

	begin();
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0);
	CATCH(&t, WRITE_ONCE(*entry, pte_b));
	if (t.vector == VEC_NONE) {
		maps(2);
		return;
	}
	CHECK_EQ(t.vector, VEC_PF);
	CHECK_EQ(t.error, PF_PRESENT | PF_WRITE);
	CHECK_EQ(t.cr2, entry);
	maps(1);
}

TEST(mov)
{
	begin();
	WRITE_ONCE(*entry, pte_b);
	maps(2);
	WRITE_ONCE(*entry, 0);
	flush();
	CHECK_TRAP(VEC_PF, READ_ONCE(scratch[0]));
	WRITE_ONCE(*entry, pte_a);
	maps(1);
	asm volatile("movq $0, %0" : "=m"(*entry) :: "memory");
	CHECK_EQ(READ_ONCE(*entry), 0);
	asm volatile("movnti %1, %0" : "=m"(*entry) : "r"(pte_b) : "memory");
	maps(2);
}

TEST(mov_neighbour)
{
	/* The last entry of the table and a page that is not the mapping's. */
	u64 *last = (u64 *)((u64)entry | (PAGE_SIZE - 8));

	begin();
	WRITE_ONCE(*last, pte_b);
	CHECK_EQ(READ_ONCE(*(u64 *)(SCRATCH_VA + 511 * PAGE_SIZE)), 2);
	WRITE_ONCE(*last, 0);
}

TEST(xchg)
{
	u64 old = pte_b;

	begin();
	asm volatile("xchgq %0, %1" : "+r"(old), "+m"(*entry) :: "memory");
	CHECK_EQ(old & PTE_MFN_MASK, pte_a & PTE_MFN_MASK);
	maps(2);
	old = 0;
	asm volatile("xchgq %0, %1" : "+r"(old), "+m"(*entry) :: "memory");
	CHECK_EQ(old & PTE_MFN_MASK, pte_b & PTE_MFN_MASK);
	CHECK_EQ(READ_ONCE(*entry), 0);
}

static bool cmpxchg(u64 *p, u64 *old, u64 value)
{
	bool done;

	asm volatile("lock cmpxchgq %3, %1; setz %2" : "+a"(*old), "+m"(*p), "=q"(done) : "r"(value) : "memory", "cc");
	return done;
}

TEST(cmpxchg)
{
	u64 old;

	begin();
	old = READ_ONCE(*entry);
	CHECK(cmpxchg(entry, &old, pte_b));
	maps(2);
	old = 0x123;
	CHECK(!cmpxchg(entry, &old, pte_a));
	CHECK_EQ(old, READ_ONCE(*entry));
	maps(2);
}

TEST(cmpxchg8b)
{
	u32 lo, hi;
	u8 done;

	begin();
	lo = (u32)READ_ONCE(*entry);
	hi = (u32)(READ_ONCE(*entry) >> 32);
	asm volatile("lock cmpxchg8b %0; setz %1" : "+m"(*entry), "=q"(done), "+a"(lo), "+d"(hi)
		     : "b"((u32)pte_b), "c"((u32)(pte_b >> 32)) : "memory", "cc");
	CHECK_EQ(done, 1);
	maps(2);
}

TEST(logic)
{
	struct trap t;

	begin();
	asm volatile("lock andq %1, %0" : "+m"(*entry) : "r"(~PTE_W) : "memory", "cc");
	flush();
	t = CHECK_TRAP(VEC_PF, WRITE_ONCE(scratch[1], 1));
	CHECK_EQ(t.error, PF_PRESENT | PF_WRITE);
	asm volatile("lock orq %1, %0" : "+m"(*entry) : "r"(PTE_W) : "memory", "cc");
	flush();
	CHECK_TRAP(VEC_NONE, WRITE_ONCE(scratch[1], 1));
	asm volatile("lock btrq $0, %0" : "+m"(*entry) :: "memory", "cc");
	flush();
	CHECK_TRAP(VEC_PF, READ_ONCE(scratch[0]));
	asm volatile("lock btsq $0, %0" : "+m"(*entry) :: "memory", "cc");
	maps(1);
	asm volatile("xorq %1, %0" : "+m"(*entry) : "r"(pte_a ^ pte_b) : "memory", "cc");
	maps(2);
	asm volatile("lock addq %1, %0" : "+m"(*entry) : "r"(pte_a - pte_b) : "memory", "cc");
	maps(1);
}

TEST(byte_logic)
{
	begin();
	asm volatile("lock andb %1, %0" : "+m"(*(u8 *)entry) : "q"((u8)~PTE_W) : "memory", "cc");
	flush();
	CHECK_TRAP(VEC_PF, WRITE_ONCE(scratch[1], 1));
	asm volatile("lock orb %1, %0" : "+m"(*(u8 *)entry) : "q"((u8)PTE_W) : "memory", "cc");
	flush();
	CHECK_TRAP(VEC_NONE, WRITE_ONCE(scratch[1], 1));
}

TEST(halves)
{
	u32 *half;

	begin();
	half = (u32 *)entry;
	/* The order of a 32-bit kernel: not present first, then the upper half, then the lower. */
	WRITE_ONCE(half[0], 0);
	WRITE_ONCE(half[1], (u32)(pte_b >> 32));
	WRITE_ONCE(half[0], (u32)pte_b);
	maps(2);
}

TEST(string_moves)
{
	u64 src[2] = { pte_b, 0 }, *s = src, *d = entry;

	begin();
	asm volatile("movsq" : "+S"(s), "+D"(d) :: "memory");
	CHECK_EQ(d, entry + 1);
	maps(2);
	d = entry;
	asm volatile("stosq" : "+D"(d) : "a"(pte_a) : "memory");
	maps(1);
	d = entry + 1;
	{
		u64 n = 8;

		asm volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(0ul) : "memory");
		CHECK_EQ(n, 0);
		CHECK_EQ(d, entry + 9);
	}
}

TEST(flags_result)
{
	/* The emulated instruction must leave the processor's flags as the processor would. */
	u64 flags;

	begin();
	asm volatile("lock andq $0, %0; pushfq; popq %1" : "+m"(*entry), "=r"(flags) :: "memory", "cc");
	CHECK(flags & 0x40);
	asm volatile("lock orq %2, %0; pushfq; popq %1" : "+m"(*entry), "=r"(flags) : "r"(pte_a) : "memory", "cc");
	CHECK(!(flags & 0x40));
	CHECK(flags & FLAG_IF);
}

TEST(not_present_values)
{
	begin();
	WRITE_ONCE(*entry, 0xfffffffffffffff0);
	CHECK_EQ(READ_ONCE(*entry), 0xfffffffffffffff0);
	WRITE_ONCE(*entry, pte_a);
	maps(1);
}

/* The write must be refused with a page fault and leave the entry as it is. */
static void refused(u64 *e, u64 value, int line)
{
	u64 old = READ_ONCE(*e);
	struct trap t;

	CATCH(&t, WRITE_ONCE(*e, value));
	if (t.vector != VEC_PF)
		test_fail(__FILE__, line, "write of %lx: trap %d", value, t.vector);
	if (t.vector == VEC_PF && t.cr2 != (u64)e)
		test_fail(__FILE__, line, "cr2 %lx", t.cr2);
	if ((READ_ONCE(*e) ^ old) & ~(PTE_A | PTE_D))
		test_fail(__FILE__, line, "entry became %lx", *e);
}

TEST(refused_values)
{
	begin();
	/* A page table, writable; frames that are not ours; nothing there. */
	refused(entry, MAKE_PTE(virt_to_mfn(entry), PTE_RW), __LINE__);
	refused(entry, MAKE_PTE(virt_to_mfn(current_l4()), PTE_RW), __LINE__);
	refused(entry, MAKE_PTE(0xffffff0000, PTE_RW), __LINE__);
	refused(entry, MAKE_PTE(0xfee00, PTE_RW), __LINE__);
	maps(1);
	/* The same table read-only is fine. */
	WRITE_ONCE(*entry, MAKE_PTE(virt_to_mfn(entry), PTE_RO));
	flush();
	CHECK_EQ(READ_ONCE(scratch[pt_index(SCRATCH_VA, 1)]) & PTE_MFN_MASK, READ_ONCE(*entry) & PTE_MFN_MASK);
}

TEST(refused_bit_changes)
{
	/* A read-only alias of a table must not become writable by setting one bit. */
	struct trap t;

	begin();
	WRITE_ONCE(*entry, MAKE_PTE(virt_to_mfn(entry), PTE_RO));
	CATCH(&t, asm volatile("lock orq %1, %0" : "+m"(*entry) : "r"(PTE_W) : "memory", "cc"));
	CHECK_EQ(t.vector, VEC_PF);
	CATCH(&t, asm volatile("lock btsq $1, %0" : "+m"(*entry) :: "memory", "cc"));
	CHECK_EQ(t.vector, VEC_PF);
	CATCH(&t, asm volatile("lock orb $2, %0" : "+m"(*(u8 *)entry) :: "memory", "cc"));
	CHECK_EQ(t.vector, VEC_PF);
	CHECK(!(READ_ONCE(*entry) & PTE_W));
}

TEST(misaligned)
{
	/* Across two entries: refused, or emulated as the processor would do it; never a torn check. */
	struct trap t;
	u64 *odd;

	begin();
	odd = (u64 *)((u64)entry + 4);
	CATCH(&t, WRITE_ONCE(*odd, 0));
	CHECK(t.vector == VEC_PF || t.vector == VEC_NONE);
	/* Two tables in a row would be hit. */
	odd = (u64 *)(((u64)entry | (PAGE_SIZE - 1)) - 3);
	CATCH(&t, WRITE_ONCE(*odd, 0x11));
	CHECK(t.vector == VEC_PF || t.vector == VEC_GP || t.vector == VEC_NONE);
	WRITE_ONCE(*entry, pte_a);
	maps(1);
}

TEST(upper_levels)
{
	/*
	 * Level 2 and up: Xen reflects the fault. A hypervisor that emulates there too is within the ABI, so a harmless
	 * write may go either way; a harmful one may not.
	 */
	begin();
	for (int level = 2; level <= 4; level++) {
		u64 *e = pt_walk(SCRATCH_VA, level), old = READ_ONCE(*e);
		struct trap t;

		CATCH(&t, WRITE_ONCE(*e, old));
		CHECK(t.vector == VEC_PF || t.vector == VEC_NONE);
		CHECK_EQ(READ_ONCE(*e) & PTE_MFN_MASK, old & PTE_MFN_MASK);
		refused(e, MAKE_PTE(virt_to_mfn(page_a), PTE_TABLE), __LINE__);
		refused(e, MAKE_PTE(virt_to_mfn(e), PTE_TABLE | PTE_PSE), __LINE__);
		maps(1);
	}
}

static u64 user_result;

static void user_write(u64 arg)
{
	WRITE_ONCE(*(u64 *)arg, pte_b);
	WRITE_ONCE(user_result, 1);
}

TEST(from_user_mode)
{
	struct trap_frame f;

	begin();
	CHECK_EQ(user_call(user_write, (u64)entry, &f), VEC_PF);
	CHECK_EQ(f.error, PF_PRESENT | PF_WRITE | PF_USER);
	CHECK_EQ(f.cr2, entry);
	CHECK_EQ(user_result, 0);
	maps(1);
}

TEST(idle_table)
{
	/* A pinned table that is in no tree is written the same way. */
	u64 *table = table_alloc();

	begin();
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table), 0), 0);
	WRITE_ONCE(table[3], pte_b);
	refused(&table[4], MAKE_PTE(virt_to_mfn(table), PTE_RW), __LINE__);
	/* The entry counts as a reference: page B cannot be pinned while it is there. */
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page_b), 0), 0);
	WRITE_ONCE(table[3], 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), 0);
	CHECK_EQ(page_protect(page_b, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page_b), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page_b), 0), 0);
	CHECK_EQ(page_protect(page_b, true), 0);
	table_free(table);
}

/* Two vCPUs set and clear different bits of one entry; none may be lost. */
static u64 *contended;

static void other_toggles(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++)
		asm volatile("lock xorq %1, %0" : "+m"(*contended) : "r"(0x400ul) : "memory", "cc");
}

TEST(two_cpus)
{
	u64 before;

	begin();
	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	contended = entry;
	before = READ_ONCE(*entry) & 0xe00;
	cpu_run(1, other_toggles, NULL);
	for (int i = 0; i < 2001; i++)
		asm volatile("lock xorq %1, %0" : "+m"(*contended) : "r"(0x800ul) : "memory", "cc");
	CHECK_EQ(cpu_wait(1), 0);
	CHECK_EQ(READ_ONCE(*entry) & 0xe00, before ^ 0x800);
	maps(1);
}
