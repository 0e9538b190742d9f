/* SPDX-License-Identifier: MIT */
/* Unit tests: descriptor tables of PV guests: what they may contain, and the references that the windows hold. */
/* sources: pv/descriptor.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "test.h"

#include <lib/errno.h>
#include <memory/heap.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>
#include <pv/pv.h>
#include <sys/mman.h>

/* Frames 1, 2: page-table pages of the window. */
enum { L2 = 1, L1 = 2, FRAMES = 64 };

static int refs[FRAMES];	/* FRAME_SEGDESC references */
static int refuse = -1, refuse_with;
static bool flushed;
static pte_t guest_l1e;
static u64 loaded_ldt, loaded_ents;
static pte_t l3[512];
static struct pv_domain pvdom = { .perdomain_l3 = l3 };
static struct domain dom = { .pv = &pvdom };
static struct pv_vcpu pvcpu;
static struct vcpu vcpu0 = { .domain = &dom, .pv = &pvcpu };
static struct vcpu other;
struct vcpu *current = &vcpu0;
unsigned fake_cpu;

mfn_t virt_to_mfn(const void *va) { return mfn(7); }	/* the page of zeroes */

int pv_get_frame_type(struct domain *d, mfn_t m, unsigned type)
{
	CHECK_EQ(type, FRAME_SEGDESC);
	if ((int)m.v == refuse)
		return refuse_with;
	refs[m.v]++;
	return 0;
}

/* A reference may go only when no processor can use the mapping any more. */
void pv_put_frame_type(struct domain *d, mfn_t m)
{
	CHECK(flushed);
	for (unsigned i = 0; i < PV_WINDOW_PAGES; i++)
		CHECK(!(pv_window(&vcpu0)[i].v && pte_mfn(pv_window(&vcpu0)[i]).v == m.v) || refs[m.v] > 1);
	refs[m.v]--;
}

pte_t pt_lookup(mfn_t l4, u64 va, unsigned level) { return guest_l1e; }
void tlb_flush_local(void) { flushed = true; }
void tlb_flush_mask(const cpumask_t *mask) { flushed = true; }

void segments_load_ldt(u64 va, unsigned nr_ents)
{
	loaded_ldt = va;
	loaded_ents = nr_ents;
}

static int total(void)
{
	int n = 0;

	for (unsigned i = 0; i < FRAMES; i++)
		n += refs[i];
	return n;
}

static void fresh(void)
{
	static bool mapped;

	if (!mapped) {
		CHECK(mmap((void *)DIRECTMAP_START, FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		      MAP_FAILED);
		mapped = true;
	}
	memset((void *)DIRECTMAP_START, 0, FRAMES * PAGE_SIZE);
	memset(refs, 0, sizeof(refs));
	memset(&pvcpu, 0, sizeof(pvcpu));
	refuse = -1;
	l3[PT_INDEX(PERDOMAIN_START, 3)] = pte_make(mfn(L2), PTE_HYP_TABLE);
	((pte_t *)mfn_to_virt(mfn(L2)))[0] = pte_make(mfn(L1), PTE_HYP_TABLE);
	pv_destroy_gdt(&vcpu0);
	flushed = false;
}

TEST(contents)
{
	static const struct { u64 in, out; bool ok; } cases[] = {
		{ 0, 0, true },
		{ 0x00affb000000ffff, 0x00affb000000ffff, true },	/* 64-bit code, level 3 */
		{ 0x00af9b000000ffff, 0x00affb000000ffff, true },	/* level 0 becomes 3 */
		{ 0x00cf93000000ffff, 0x00cff3000000ffff, true },	/* data */
		{ 0x00cfd3000000ffff, 0x00cff3000000ffff, true },	/* level 2 */
		{ 0x00008c00e0080000, 0, false },			/* call gate into the hypervisor's segment */
		{ 0x0000ec00e0080000, 0, false },			/* the same, open to all */
		{ 0x00006c00e0080000, 0x00006c00e0080000, true },	/* not present */
		{ 0x00008b0000000067, 0, false },			/* TSS */
		{ 0x0000820000000fff, 0, false },			/* LDT */
		{ 0x0000850000080000, 0, false },			/* task gate */
		{ 0x00008e00e0080000, 0, false },			/* interrupt gate */
		{ 0x0000800000000000, 0x0000800000000000, true },	/* type 0: reserved, faults */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 d = cases[i].in;

		CHECK_EQ(pv_check_descriptor(&d), cases[i].ok);
		if (cases[i].ok)
			CHECK_EQ(d, cases[i].out);
	}
	/* Whatever passes has level 3 if it can be loaded at all. */
	srand(1);
	for (unsigned i = 0; i < 1000000; i++) {
		u64 d = (u64)rand() << 33 ^ (u64)rand() << 11 ^ (u64)rand();

		if (pv_check_descriptor(&d) && d >> 47 & 1 && d >> 44 & 1)
			CHECK_EQ(d >> 45 & 3, 3);
	}
}

TEST(selectors)
{
	CHECK_EQ(pv_fixup_selector(0), 0);
	CHECK_EQ(pv_fixup_selector(3), 3);
	CHECK_EQ(pv_fixup_selector(8), 11);
	CHECK_EQ(pv_fixup_selector(0xe008), 0xe00b);
	CHECK_EQ(pv_fixup_selector(0xffff), 0xffff);
}

TEST(gdt)
{
	u64 frames[14] = { 10, 11, 10 };

	fresh();
	CHECK_EQ(pv_window(&vcpu0)[0].v, pte_make(mfn(7), PTE_HYP_RO).v);
	CHECK_EQ(pv_set_gdt(&vcpu0, frames, 1025), 0);
	CHECK_EQ(refs[10], 2);
	CHECK_EQ(refs[11], 1);
	CHECK(flushed);
	CHECK_EQ(pv_window(&vcpu0)[1].v, pte_make(mfn(11), PTE_HYP_RW).v);
	CHECK_EQ(pv_window(&vcpu0)[3].v, pte_make(mfn(7), PTE_HYP_RO).v);
	/* A smaller one gives the rest back. */
	frames[0] = 12;
	CHECK_EQ(pv_set_gdt(&vcpu0, frames, 512), 0);
	CHECK_EQ(total(), 1);
	CHECK_EQ(refs[12], 1);
	CHECK_EQ(pv_window(&vcpu0)[1].v, pte_make(mfn(7), PTE_HYP_RO).v);
	CHECK_EQ(pv_set_gdt(&vcpu0, frames, 0), 0);
	CHECK_EQ(total(), 0);
}

TEST(gdt_refused)
{
	u64 frames[14];

	fresh();
	for (unsigned i = 0; i < 14; i++)
		frames[i] = 20 + i;
	CHECK_EQ(pv_set_gdt(&vcpu0, frames, 14 * 512 + 1), -EINVAL);
	CHECK_EQ(pv_set_gdt(&vcpu0, frames, 512), 0);
	/* The last frame fails: nothing has changed. */
	refuse = 33;
	refuse_with = -EINVAL;
	flushed = true;
	CHECK_EQ(pv_set_gdt(&vcpu0, frames, 14 * 512), -EINVAL);
	CHECK_EQ(total(), 1);
	CHECK_EQ(pvcpu.gdt_ents, 512);
	CHECK_EQ(pte_mfn(pv_window(&vcpu0)[0]).v, 20);
	refuse_with = -ERESTART;
	CHECK_EQ(pv_set_gdt(&vcpu0, frames, 14 * 512), -ERESTART);
	CHECK_EQ(total(), 1);
}

TEST(ldt)
{
	fresh();
	CHECK_EQ(pv_set_ldt(&vcpu0, 0x10000, 513), 0);
	CHECK_EQ(loaded_ldt, PV_LDT_VA(&vcpu0));
	CHECK_EQ(loaded_ents, 513);
	CHECK_EQ(total(), 0);
	guest_l1e = pte_make(mfn(40), PTE_P | PTE_US);
	CHECK(pv_map_ldt_page(8));
	CHECK_EQ(refs[40], 1);
	CHECK_EQ(pv_window(&vcpu0)[16].v, pte_make(mfn(40), PTE_HYP_RW).v);
	/* Mapped already: this fault has another reason. */
	CHECK(!pv_map_ldt_page(16));
	CHECK(pv_map_ldt_page(4096));
	CHECK_EQ(refs[40], 2);
	/* Beyond the end. */
	CHECK(!pv_map_ldt_page(513 * 8));
	CHECK(!pv_map_ldt_page(16 * PAGE_SIZE));
	/* The same again keeps the pages, another drops them. */
	CHECK_EQ(pv_set_ldt(&vcpu0, 0x10000, 513), 0);
	CHECK_EQ(total(), 2);
	CHECK_EQ(pv_set_ldt(&vcpu0, 0, 0), 0);
	CHECK_EQ(total(), 0);
	CHECK(flushed);
	CHECK_EQ(pv_window(&vcpu0)[16].v, 0);
	CHECK_EQ(loaded_ents, 0);
}

TEST(ldt_page_refused)
{
	fresh();
	CHECK_EQ(pv_set_ldt(&vcpu0, 0x10000, 8192), 0);
	guest_l1e = (pte_t){ 0 };
	CHECK(!pv_map_ldt_page(0));
	guest_l1e = pte_make(mfn(40), PTE_P | PTE_US);
	refuse = 40;
	refuse_with = -EBUSY;
	CHECK(!pv_map_ldt_page(0));
	/* Not now: the guest's instruction runs again. */
	refuse_with = -ERESTART;
	CHECK(pv_map_ldt_page(0));
	CHECK_EQ(pvcpu.ldt_mapped, 0);
	CHECK_EQ(total(), 0);
}

TEST(ldt_refused)
{
	fresh();
	CHECK_EQ(pv_set_ldt(&vcpu0, 0x10008, 16), -EINVAL);
	CHECK_EQ(pv_set_ldt(&vcpu0, 0x10000, 8193), -EINVAL);
	CHECK_EQ(pv_set_ldt(&vcpu0, 0x0000800000000000, 16), -EINVAL);
	CHECK_EQ(pv_set_ldt(&vcpu0, HYP_VIRT_START, 16), -EINVAL);
	CHECK_EQ(pv_set_ldt(&vcpu0, HYP_VIRT_END - PAGE_SIZE, 16), -EINVAL);
	CHECK_EQ(pv_set_ldt(&vcpu0, HYP_VIRT_END, 8192), 0);
	/* With no entries the base does not matter. */
	CHECK_EQ(pv_set_ldt(&vcpu0, 0x123, 0), 0);
	CHECK_EQ(pvcpu.ldt_base, 0);
	/* One that does not run is not loaded. */
	other = vcpu0;
	loaded_ents = 99;
	CHECK_EQ(pv_set_ldt(&other, 0x10000, 16), 0);
	CHECK_EQ(loaded_ents, 99);
}
