/* SPDX-License-Identifier: MIT */
/*
 * Guests' descriptor tables.
 *
 * A vCPU has a window of 32 pages in its domain's slot of the address space: pages 0..13 show its GDT, page 14 the GDT page of the CPU it
 * runs on, pages 16..31 its LDT. GDT pages without a frame show a page of zeroes, so that a selector beyond the GDT gives
 * #GP. The GDT is mapped when it is set, LDT pages when they are first used; both with a FRAME_SEGDESC reference on the frame for as long as
 * the window shows it. Contents of such frames have passed pv_check_descriptor(), and the guest can change them only through
 * update_descriptor.
 *
 * Locks: the window and the lists are changed by the vCPU itself, or while it does not run.
 */
#include <core/panic.h>
#include <lib/errno.h>
#include <memory/heap.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>
#include <pv/pv.h>
#include <x86/cr.h>

#define DESC_S		BIT(44)		/* code or data */
#define DESC_DPL	(BIT(45) | BIT(46))
#define DESC_P		BIT(47)
#define DESC_TYPE	(0xfUL << 40)

#define DESCS_PER_PAGE	(PAGE_SIZE / sizeof(u64))
#define LDT_PAGE_FIRST	16
#define LDT_MAX_ENTS	8192

static const u8 zero_page[PAGE_SIZE] __aligned(4096);

u16 pv_fixup_selector(u16 sel)
{
	return sel & 0xfffc ? sel | 3 : sel;
}

/* Descriptor formats: Intel SDM vol. 3 ch. 3.4.5. */
bool pv_check_descriptor(u64 *desc)
{
	u64 d = *desc;

	/* Loading it always faults. */
	if (!(d & DESC_P))
		return true;
	/* Gates could lead into the hypervisor; other system types change its state. Type 0 is reserved and faults. */
	if (!(d & DESC_S))
		return !(d & DESC_TYPE);
	*desc = d | DESC_DPL;
	return true;
}

pte_t *pv_window(const struct vcpu *v)
{
	u64 va = PV_GDT_VA(v);
	const pte_t *l3 = v->domain->pv->perdomain_l3;
	const pte_t *l2 = mfn_to_virt(pte_mfn(l3[PT_INDEX(va, 3)]));
	pte_t *l1 = mfn_to_virt(pte_mfn(l2[PT_INDEX(va, 2)]));

	return &l1[PT_INDEX(va, 1)];
}

/* The window of v has changed: nobody may use what it showed before. */
static void flush_window(const struct vcpu *v)
{
	if (v == current)
		tlb_flush_local();
	else
		tlb_flush_mask(&v->dirty_cpus);
}

static pte_t empty_gdt_page(void)
{
	return pte_make(virt_to_mfn(zero_page), PTE_HYP_RO);
}

static void put_frames(struct domain *d, const mfn_t *frames, unsigned n)
{
	while (n--)
		pv_put_frame_type(d, frames[n]);
}

static int get_frames(struct domain *d, mfn_t *out, const u64 *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = pv_get_frame_type(d, mfn(frames[i]), FRAME_SEGDESC);

		if (rc) {
			put_frames(d, out, i);
			return rc;
		}
		out[i] = mfn(frames[i]);
	}
	return 0;
}

void pv_destroy_gdt(struct vcpu *v)
{
	struct pv_vcpu *pv = v->pv;
	unsigned n = DIV_ROUND_UP(pv->gdt_ents, DESCS_PER_PAGE);
	pte_t *window = pv_window(v);

	for (unsigned i = 0; i < RESERVED_GDT_PAGE; i++)
		WRITE_ONCE(window[i].v, empty_gdt_page().v);
	if (!n)
		return;
	pv->gdt_ents = 0;
	flush_window(v);
	put_frames(v->domain, pv->gdt_frames, n);
}

int pv_set_gdt(struct vcpu *v, const u64 *frames, unsigned entries)
{
	mfn_t got[RESERVED_GDT_PAGE];
	unsigned n = DIV_ROUND_UP(entries, DESCS_PER_PAGE);
	pte_t *window = pv_window(v);
	int rc;

	if (entries > FIRST_RESERVED_GDT_ENTRY)
		return -EINVAL;
	rc = get_frames(v->domain, got, frames, n);
	if (rc)
		return rc;

	/* Commit. */
	pv_destroy_gdt(v);
	for (unsigned i = 0; i < n; i++) {
		v->pv->gdt_frames[i] = got[i];
		WRITE_ONCE(window[i].v, pte_make(got[i], PTE_HYP_RW).v);
	}
	v->pv->gdt_ents = entries;
	flush_window(v);
	return 0;
}

bool pv_map_ldt_page(u64 offset)
{
	struct vcpu *v = current;
	struct pv_vcpu *pv = v->pv;
	unsigned page = (unsigned)PFN_DOWN(offset);
	u64 va = pv->ldt_base + offset;
	pte_t e;
	int rc;

	if (offset >= pv->ldt_ents * sizeof(u64) || pv->ldt_mapped & BIT(page))
		return false;
	e = pt_lookup(pv->kernel_l4, va, 1);
	if (!pte_present(e))
		return false;
	rc = pv_get_frame_type(v->domain, pte_mfn(e), FRAME_SEGDESC);
	/* Other page-table work of the domain comes first: the guest's instruction is executed again, and brings it on. */
	if (rc == -ERESTART)
		return true;
	if (rc)
		return false;

	pv->ldt_mapped |= (u16)BIT(page);
	WRITE_ONCE(pv_window(v)[LDT_PAGE_FIRST + page].v, pte_make(pte_mfn(e), PTE_HYP_RW).v);
	return true;
}

void pv_unmap_ldt(struct vcpu *v)
{
	struct pv_vcpu *pv = v->pv;
	pte_t *window = pv_window(v) + LDT_PAGE_FIRST;
	u16 mapped = pv->ldt_mapped;
	mfn_t frames[16];
	unsigned n = 0;

	if (!mapped)
		return;
	pv->ldt_mapped = 0;
	for (unsigned i = 0; i < 16; i++)
		if (mapped & BIT(i)) {
			frames[n++] = pte_mfn(window[i]);
			WRITE_ONCE(window[i].v, 0);
		}
	flush_window(v);
	put_frames(v->domain, frames, n);
}

int pv_set_ldt(struct vcpu *v, u64 base, u64 ents)
{
	struct pv_vcpu *pv = v->pv;

	if (!ents)
		base = 0;
	if (ents > LDT_MAX_ENTS || !is_canonical(base) || !IS_ALIGNED(base, PAGE_SIZE))
		return -EINVAL;
	if (base < HYP_VIRT_END && base + ents * sizeof(u64) > HYP_VIRT_START)
		return -EINVAL;
	if (pv->ldt_base == base && pv->ldt_ents == ents)
		return 0;
	pv_unmap_ldt(v);
	pv->ldt_base = base;
	pv->ldt_ents = (u32)ents;
	if (v == current)
		segments_load_ldt(PV_LDT_VA(v), pv->ldt_ents);
	return 0;
}
