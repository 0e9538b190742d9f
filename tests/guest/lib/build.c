/* SPDX-License-Identifier: MIT */
/*
 * Builds a PV guest. Its pseudo-physical memory is, from the bottom: a gap, the kernel, the list of frames, start_info, console and store
 * pages, the page tables, a stack, and the rest; all of it is mapped at VIRT_BASE. While it is built we have all of it mapped as well.
 */
#include "lib/domain.h"
#include "lib/event.h"
#include "lib/memory.h"

#include <elf.h>
#include <xen/elfnote.h>

#define BUILD_VA (SCRATCH_VA + (2ul << 40))
#define BATCH 64

static void *page(u64 pfn)
{
	return (void *)(BUILD_VA + (pfn << PAGE_SHIFT));
}

/* All pages of d, or nothing. */
static int window(const struct dom *d, bool map)
{
	static struct mmu_update u[BATCH];

	for (u64 pfn = 0; pfn < d->nr_pages;) {
		u32 n = 0;
		int rc;

		for (; n < BATCH && pfn < d->nr_pages; n++, pfn++) {
			if (!pt_walk(BUILD_VA + (pfn << PAGE_SHIFT), 1))
				map_new(BUILD_VA + (pfn << PAGE_SHIFT), 0);
			u[n].ptr = virt_to_maddr(pt_walk(BUILD_VA + (pfn << PAGE_SHIFT), 1));
			u[n].val = map ? MAKE_PTE(d->p2m[pfn], PTE_RW) : 0;
		}
		rc = (int)HCALL(mmu_update, u, n, NULL, map ? d->id : DOMID_SELF);
		if (rc)
			return rc;
	}
	return map ? 0 : mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
}

static u64 note_value(const Elf64_Ehdr *elf, const Elf64_Phdr *ph, u32 type)
{
	const char *p = (const char *)elf + ph->p_offset, *end = p + ph->p_filesz;

	while (p < end) {
		const Elf64_Nhdr *n = (const void *)p;
		const char *desc = p + sizeof(*n) + ((n->n_namesz + 3) & ~3u);

		if (n->n_type == type)
			return *(const u64 *)desc;
		p = desc + ((n->n_descsz + 3) & ~3u);
	}
	return 0;
}

/* Copies the segments; sets entry and hypercall page. The first page behind the kernel, or 0. */
static u64 load(struct dom *d, const struct image *image, u64 *hypercall_va)
{
	const Elf64_Ehdr *elf = image->start;
	const Elf64_Phdr *ph = (const void *)((const char *)elf + elf->e_phoff);
	u64 end = 0;

	d->entry_va = elf->e_entry;
	for (unsigned i = 0; i < elf->e_phnum; i++, ph++) {
		u64 at = ph->p_vaddr - VIRT_BASE;

		if (ph->p_type == PT_NOTE)
			*hypercall_va = note_value(elf, ph, XEN_ELFNOTE_HYPERCALL_PAGE);
		if (ph->p_type != PT_LOAD)
			continue;
		if (at + ph->p_memsz > (u64)d->nr_pages << PAGE_SHIFT)
			return 0;
		memcpy((char *)BUILD_VA + at, (const char *)elf + ph->p_offset, ph->p_filesz);
		if (end < at + ph->p_memsz)
			end = at + ph->p_memsz;
	}
	return (end + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Tables from pfn on: level 4, 3, 2, and as many of level 1 as all memory needs. The number of tables. */
static u32 make_tables(struct dom *d, u64 pfn)
{
	u32 nr_l1 = (d->nr_pages + 511) / 512, nr = nr_l1 + 3;
	u64 *l4 = page(pfn), *l3 = page(pfn + 1), *l2 = page(pfn + 2);

	d->l4_pfn = pfn;
	l4[pt_index(VIRT_BASE, 4)] = MAKE_PTE(d->p2m[pfn + 1], PTE_TABLE);
	l3[pt_index(VIRT_BASE, 3)] = MAKE_PTE(d->p2m[pfn + 2], PTE_TABLE);
	for (u32 t = 0; t < nr_l1; t++) {
		u64 *l1 = page(pfn + 3 + t);

		l2[pt_index(VIRT_BASE, 2) + t] = MAKE_PTE(d->p2m[pfn + 3 + t], PTE_TABLE);
		for (u32 i = 0; i < 512 && t * 512 + i < d->nr_pages; i++) {
			u64 p = t * 512 + i;

			l1[i] = MAKE_PTE(d->p2m[p], p >= pfn && p < pfn + nr ? PTE_RO : PTE_RW);
		}
	}
	return nr;
}

static void fill_start_info(const struct dom *d, u64 pfn, u64 list_pfn, u32 nr_tables, const char *cmdline)
{
	start_info_t *si = page(pfn);

	memcpy(si->magic, "xen-3.0-x86_64", 15);
	si->nr_pages = d->nr_pages;
	si->shared_info = d->shared_mfn << PAGE_SHIFT;
	si->store_mfn = d->p2m[d->store_pfn];
	si->store_evtchn = d->store_port;
	si->console.domU.mfn = d->p2m[d->console_pfn];
	si->console.domU.evtchn = d->console_port;
	si->pt_base = dom_va(d->l4_pfn);
	si->nr_pt_frames = nr_tables;
	si->mfn_list = dom_va(list_pfn);
	memcpy(si->cmd_line, cmdline, strlen(cmdline) + 1);
}

static int set_context(const struct dom *d)
{
	static struct vcpu_guest_context ctx;
	struct xen_domctl op = { .u.vcpucontext.vcpu = 0 };

	memset(&ctx, 0, sizeof(ctx));
	ctx.flags = VGCF_in_kernel | VGCF_online;
	ctx.user_regs.rip = d->entry_va;
	ctx.user_regs.rsp = d->stack_va;
	ctx.user_regs.rsi = d->start_va;
	ctx.user_regs.rflags = 1 << 9;
	ctx.user_regs.cs = FLAT_KERNEL_CS;
	ctx.user_regs.ss = FLAT_KERNEL_SS;
	ctx.kernel_ss = FLAT_KERNEL_SS;
	ctx.kernel_sp = d->stack_va;
	ctx.ctrlreg[3] = xen_pfn_to_cr3(d->p2m[d->l4_pfn]);
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &ctx);
	return (int)domctl(XEN_DOMCTL_setvcpucontext, d->id, &op);
}

/* The builder's duty: no vCPU takes events before it has asked for them. */
static int mask_upcalls(const struct dom *d)
{
	struct shared_info *shared = foreign_map(d->id, d->shared_mfn, true);

	if (!shared)
		return -XEN_EPERM;
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		shared->vcpu_info[i].evtchn_upcall_mask = 1;
	foreign_unmap(shared);
	return 0;
}

static int make_ports(struct dom *d)
{
	long console = event_alloc_unbound(d->id, DOMID_SELF), store = event_alloc_unbound(d->id, DOMID_SELF);

	if (console < 0 || store < 0)
		return (int)(console < 0 ? console : store);
	d->console_port = (u32)console;
	d->store_port = (u32)store;
	return 0;
}

int dom_build(struct dom *d, const struct image *image, const char *cmdline)
{
	u64 hypercall_va = 0, pfn, list_pfn, info_pfn;
	struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE };
	struct xen_domctl op = { 0 };
	u32 nr_tables;
	int rc = make_ports(d);

	if (!rc)
		rc = mask_upcalls(d);
	if (rc)
		return rc;
	rc = window(d, true);
	if (rc) {
		window(d, false);
		return rc;
	}
	memset((void *)BUILD_VA, 0, (u64)d->nr_pages << PAGE_SHIFT);
	list_pfn = load(d, image, &hypercall_va);
	if (!list_pfn || !hypercall_va || list_pfn + 32 > d->nr_pages) {
		window(d, false);
		return -XEN_E2BIG;
	}
	memcpy(page(list_pfn), d->p2m, d->nr_pages * sizeof(u64));
	pfn = list_pfn + (d->nr_pages * sizeof(u64) + PAGE_SIZE - 1) / PAGE_SIZE;
	info_pfn = pfn++;
	d->console_pfn = pfn++;
	d->store_pfn = pfn++;
	nr_tables = make_tables(d, pfn);
	pfn += nr_tables;
	d->start_va = dom_va(info_pfn);
	d->stack_va = dom_va(pfn + 1);
	d->first_free_pfn = pfn + 1;
	fill_start_info(d, info_pfn, list_pfn, nr_tables, cmdline);

	op.u.hypercall_init.gmfn = d->p2m[(hypercall_va - VIRT_BASE) >> PAGE_SHIFT];
	rc = (int)domctl(XEN_DOMCTL_hypercall_init, d->id, &op);
	window(d, false);
	pin.arg1.mfn = d->p2m[d->l4_pfn];
	if (!rc)
		rc = (int)HCALL(mmuext_op, &pin, 1, NULL, d->id);
	if (!rc)
		rc = set_context(d);
	if (rc)
		return rc;
	d->console = foreign_map(d->id, d->p2m[d->console_pfn], true);
	d->store = foreign_map(d->id, d->p2m[d->store_pfn], true);
	return d->console && d->store ? 0 : -XEN_EPERM;
}
