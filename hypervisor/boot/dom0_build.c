/* SPDX-License-Identifier: MIT */
/*
 * Domain 0's first address space and context (ABI: the bootstrap layout described at struct start_info in <xen/xen.h>).
 *
 * Virtual, from the base that the kernel's notes give (it maps pseudo-physical 0):
 *   kernel | initrd, unless it may stay unmapped | p2m, unless it has its own address | start_info | page tables | stack | padding to 4 MiB
 * Pseudo-physical behind that: the initrd and the p2m, when they are not in the first mapping.
 */
#include <boot/dom0.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/softirq.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <lib/xennote.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <memory/xmalloc.h>
#include <pv/pagetable.h>
#include <xen/features.h>

#define PTE_GUEST	(PTE_P | PTE_RW | PTE_US | PTE_A)

struct layout {
	struct xennote note;
	struct xennote_layout k;
	u64 pages;
	u64 initrd_va, initrd_pfn, initrd_pages;	/* va 0: not mapped */
	u64 p2m_va, p2m_pfn, p2m_frames;		/* frames: the list, and when it has its own address its page tables */
	u64 info_va, pt_va, pt_frames, stack_va, end_va;
	u64 next_pt;					/* pseudo-physical frame of the next page table to hand out */
	u64 l4_pfn;
};

static u64 to_phys(const struct layout *l, u64 va) { return va - l->k.base; }

/* Page tables of levels 1..3 that [start, end) needs. */
static u64 tables_for(u64 start, u64 end)
{
	u64 n = 0;

	for (unsigned level = 1; level <= 3; level++) {
		unsigned shift = PT_SHIFT(level + 1);

		n += ((end - 1) >> shift) - (start >> shift) + 1;
	}
	return n;
}

/* Page tables, stack, and the end: they depend on each other. */
static void place_tables(struct layout *l)
{
	l->pt_frames = 1;
	for (;;) {
		u64 need;

		l->stack_va = l->pt_va + l->pt_frames * PAGE_SIZE;
		l->end_va = ALIGN_UP(l->stack_va + PAGE_SIZE + KiB(512), MiB(4));
		need = 1 + tables_for(l->k.base, l->end_va);
		if (need <= l->pt_frames)
			return;
		l->pt_frames = need;
	}
}

static void plan(struct layout *l, const struct boot_module *initrd)
{
	u64 va = ALIGN_UP(l->k.end, PAGE_SIZE), pfn, list_pages = PFN_UP(l->pages * sizeof(u64));

	l->initrd_pages = initrd ? PFN_UP(initrd->size) : 0;
	if (l->initrd_pages && !l->note.mod_start_pfn) {
		l->initrd_va = va;
		l->initrd_pfn = PFN_DOWN(to_phys(l, va));
		va += l->initrd_pages * PAGE_SIZE;
	}
	l->p2m_frames = list_pages;
	l->p2m_va = l->note.init_p2m;
	if (!xennote_has(&l->note, XEN_ELFNOTE_INIT_P2M)) {
		l->p2m_va = va;
		l->p2m_pfn = PFN_DOWN(to_phys(l, va));
		va += list_pages * PAGE_SIZE;
	}
	l->info_va = va;
	l->pt_va = va + PAGE_SIZE;
	place_tables(l);

	pfn = PFN_DOWN(to_phys(l, l->end_va));
	if (l->initrd_pages && !l->initrd_va) {
		l->initrd_pfn = pfn;
		pfn += l->initrd_pages;
	}
	if (!l->p2m_pfn) {
		l->p2m_pfn = pfn;
		l->p2m_frames += tables_for(l->p2m_va, l->p2m_va + list_pages * PAGE_SIZE);
		pfn += l->p2m_frames;
	}
	if (pfn > l->pages)
		boot_fail("dom0_mem is too small: this kernel and initrd need %lu MiB to start, Domain 0 has %lu MiB", (pfn >> 8) + 1, l->pages >> 8);
}

static void check_address(u64 va, u64 end, const char *what)
{
	if (end < va || !is_canonical(va) || !is_canonical(end - 1) || (va < HYP_VIRT_END && end > HYP_VIRT_START) ||
	    (va < HYP_VIRT_START) != (end - 1 < HYP_VIRT_START))
		boot_fail("Domain 0's kernel wants its %s at %#lx, where it cannot be", what, va);
}

static int load_segment(void *ctx, const struct elf_phdr *ph, const void *data)
{
	const struct layout *l = ctx;
	u64 pa = to_phys(l, ph->paddr + l->k.offset);

	dom0_write(pa, data, ph->filesz);
	dom0_clear(pa + ph->filesz, ph->memsz - ph->filesz);
	return 0;
}

/* The entry that maps va, making tables on the way down. */
static pte_t *walk(struct layout *l, u64 va, unsigned level)
{
	u64 table = l->l4_pfn;

	for (unsigned at = 4; at > level; at--) {
		pte_t *e = (pte_t *)dom0_ptr(table << PAGE_SHIFT) + PT_INDEX(va, at);

		if (!pte_present(*e)) {
			u64 pfn = l->next_pt++;

			dom0_clear(pfn << PAGE_SHIFT, PAGE_SIZE);
			/* dom0_ptr() may be called for another page in between, but its result stays good: a direct-map address. */
			*e = pte_make(dom0_mfn(pfn), PTE_GUEST);
			table = pfn;
		} else {
			table = m2p_get(pte_mfn(*e));
		}
	}
	return (pte_t *)dom0_ptr(table << PAGE_SHIFT) + PT_INDEX(va, level);
}

static void map_range(struct layout *l, u64 va, u64 pfn, u64 n)
{
	u64 pt_pfn = PFN_DOWN(to_phys(l, l->pt_va));

	for (u64 i = 0; i < n; i++) {
		bool table = pfn + i >= pt_pfn && pfn + i < pt_pfn + l->pt_frames;

		*walk(l, va + i * PAGE_SIZE, 1) = pte_make(dom0_mfn(pfn + i), (PTE_GUEST | PTE_D) & ~(table ? PTE_RW : 0));
	}
}

static void make_tables(struct layout *l)
{
	u64 list_pages = PFN_UP(l->pages * sizeof(u64));

	l->l4_pfn = PFN_DOWN(to_phys(l, l->pt_va));
	l->next_pt = l->l4_pfn + 1;
	dom0_clear(l->l4_pfn << PAGE_SHIFT, PAGE_SIZE);
	map_range(l, l->k.base, 0, PFN_DOWN(to_phys(l, l->end_va)));
	if (!xennote_has(&l->note, XEN_ELFNOTE_INIT_P2M))
		return;
	l->next_pt = l->p2m_pfn + list_pages;
	map_range(l, l->p2m_va, l->p2m_pfn, list_pages);
}

static void write_p2m(const struct layout *l)
{
	for (u64 pfn = 0; pfn < l->pages; pfn++)
		*(u64 *)dom0_ptr((l->p2m_pfn << PAGE_SHIFT) + pfn * sizeof(u64)) = dom0_mfn(pfn).v;
}

static void write_start_info(const struct layout *l, const struct domain *d, const struct boot_module *initrd, const struct boot_info *bi)
{
	u64 pa = to_phys(l, l->info_va);
	struct start_info *si;

	dom0_clear(pa, PAGE_SIZE);
	si = dom0_ptr(pa);
	strlcpy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
	si->nr_pages = l->pages;
	si->shared_info = virt_to_paddr(d->shared_info).v;
	si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
	si->pt_base = l->pt_va;
	si->nr_pt_frames = l->pt_frames;
	si->mfn_list = l->p2m_va;
	if (xennote_has(&l->note, XEN_ELFNOTE_INIT_P2M)) {
		si->first_p2m_pfn = l->p2m_pfn;
		si->nr_p2m_frames = l->p2m_frames;
	}
	if (initrd) {
		si->mod_start = l->initrd_va ?: l->initrd_pfn;
		si->mod_len = initrd->size;
		if (!l->initrd_va)
			si->flags |= SIF_MOD_START_PFN;
	}
	if (strlcpy((char *)si->cmd_line, bi->modules[0].cmdline, sizeof(si->cmd_line)) >= sizeof(si->cmd_line))
		log_warn("Domain 0's command line is longer than %zu characters: cut\n", sizeof(si->cmd_line) - 1);

	if (dom0_screen(bi, (void *)(si + 1))) {
		si->console.dom0.info_off = sizeof(*si);
		si->console.dom0.info_size = sizeof(struct dom0_vga_console_info);
	}
}

static void set_context(struct domain *d, const struct layout *l)
{
	struct vcpu_guest_context *ctx = xnew(struct vcpu_guest_context);
	mfn_t l4 = dom0_mfn(l->l4_pfn);
	int rc;

	if (!ctx)
		boot_fail("no memory for building Domain 0");
	ctx->flags = VGCF_in_kernel | VGCF_online;
	ctx->user_regs.cs = FLAT_KERNEL_CS;
	ctx->user_regs.ss = FLAT_KERNEL_SS;
	ctx->user_regs.rip = l->k.entry;
	ctx->user_regs.rsp = l->stack_va + PAGE_SIZE;
	ctx->user_regs.rsi = l->info_va;
	ctx->user_regs.rflags = RFLAGS_IF | RFLAGS_MBS;
	ctx->kernel_ss = FLAT_KERNEL_SS;
	ctx->kernel_sp = ctx->user_regs.rsp;
	ctx->ctrlreg[3] = mfn_to_paddr(l4).v;
	/* The guest unpins the builder's table once it has its own. */
	do {
		softirq_run_no_schedule();
		rc = pt_pin(d, l4, 4);
	} while (rc == -ERESTART);
	if (!rc)
		rc = d->ops->set_context(d->vcpus[0], ctx);
	if (rc)
		boot_fail("Domain 0's first address space is not acceptable (error %d)", rc);
	xfree(ctx);
}

void dom0_build(struct domain *d, u64 pages, const struct dom0_kernel *kernel, const struct boot_module *initrd,
		const struct boot_info *bi)
{
	const char *error = NULL;
	struct layout l = { .pages = pages };
	struct elf elf;

	if (elf_open(&elf, kernel->elf, kernel->size, &error) || xennote_parse(&l.note, &elf, &error) ||
	    xennote_pv_layout(&l.note, &elf, &l.k, &error))
		boot_fail("Domain 0's kernel (the first module): %s", error);
	if (l.note.unknown_feature[0])
		boot_fail("Domain 0's kernel needs the feature \"%s\", which is unknown", l.note.unknown_feature);
	if (xennote_has(&l.note, XEN_ELFNOTE_SUPPORTED_FEATURES) && !(l.note.supported_features & BIT(XENFEAT_dom0)))
		boot_fail("this kernel was built without support for being Domain 0 (Linux: CONFIG_XEN_DOM0)");
	plan(&l, initrd);
	check_address(l.k.base, l.end_va, "image");
	check_address(l.p2m_va, l.p2m_va + PFN_UP(pages * sizeof(u64)) * PAGE_SIZE, "p2m");
	log_info("Domain 0: %s %s, %lu MiB, kernel %#lx-%#lx, entry %#lx, %u vCPUs\n", l.note.guest_os, l.note.guest_version, pages >> 8,
		 l.k.start, l.k.end, l.k.entry, d->max_vcpus);

	if (elf_load(&elf, load_segment, &l))
		boot_fail("Domain 0's kernel cannot be loaded");
	if (initrd)
		dom0_write(l.initrd_pfn << PAGE_SHIFT, paddr_to_virt(initrd->start), initrd->size);
	write_p2m(&l);
	make_tables(&l);
	write_start_info(&l, d, initrd, bi);
	if (xennote_has(&l.note, XEN_ELFNOTE_HYPERCALL_PAGE))
		pv_fill_hypercall_page(dom0_ptr(to_phys(&l, l.note.hypercall_page)));
	set_context(d, &l);
}
