/* SPDX-License-Identifier: MIT */
/* Life cycle of PV domains and vCPUs: the per-domain slot of the address space, vCPU state, the hypercall page. */
#include <core/console.h>
#include <core/panic.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/xmalloc.h>
#include <pv/pv.h>

static int pv_domain_create(struct domain *d)
{
	pte_t *l2;

	if (d->ops != &pv_ops)
		return 0;
	d->pv = xnew(struct pv_domain);
	if (!d->pv)
		return -ENOMEM;
	spinlock_init(&d->pv->pt_lock, LOCK_PT, "page tables");
	d->pv->perdomain_l3 = alloc_page_zeroed();
	l2 = alloc_page_zeroed();
	if (!d->pv->perdomain_l3 || !l2) {
		if (l2)
			free_page(l2);
		return -ENOMEM;
	}
	/* MAX_VCPUS windows take 64 MiB: one level-2 table is enough. */
	d->pv->perdomain_l3[PT_INDEX(PERDOMAIN_START, 3)] = pte_make(virt_to_mfn(l2), PTE_HYP_TABLE);
	return 0;
}

static pte_t *perdomain_l2(const struct domain *d)
{
	return mfn_to_virt(pte_mfn(d->pv->perdomain_l3[PT_INDEX(PERDOMAIN_START, 3)]));
}

/* Make sure that there is a level-1 table for the vCPU's window; 16 vCPUs share one. */
static int make_window(struct vcpu *v)
{
	pte_t *l2e = &perdomain_l2(v->domain)[PT_INDEX(PV_GDT_VA(v), 2)];

	if (!pte_present(*l2e)) {
		pte_t *l1 = alloc_page_zeroed();

		if (!l1)
			return -ENOMEM;
		*l2e = pte_make(virt_to_mfn(l1), PTE_HYP_TABLE);
	}
	pv_destroy_gdt(v);
	return 0;
}

static int pv_vcpu_create(struct vcpu *v)
{
	struct pv_vcpu *pv;
	void *mem;

	if (v->domain->ops != &pv_ops)
		return 0;
	pv = xnew(struct pv_vcpu);
	mem = xmalloc(xstate_size);
	if (pv)
		pv->traps = xcalloc(256, sizeof(*pv->traps));
	if (!pv || !mem || !pv->traps) {
		if (pv)
			xfree(pv->traps);
		xfree(pv);
		xfree(mem);
		return -ENOMEM;
	}
	pv->xstate = xstate_init(mem);
	pv->kernel_mode = true;
	pv->kernel_l4 = MFN_INVALID;
	pv->user_l4 = MFN_INVALID;
	pv->kernel_ss = FLAT_KERNEL_SS64;
	v->pv = pv;
	pv_reset_debugregs(v);
	v->info->evtchn_upcall_mask = 1;
	return make_window(v);
}

/* Descriptor tables hold references to the domain's frames. Page tables have a module row of their own. */
static int pv_relinquish(struct domain *d)
{
	if (!d->pv)
		return 0;
	for_each_vcpu(d, v) {
		if (!v->pv)
			continue;
		pv_unmap_ldt(v);
		pv_destroy_gdt(v);
	}
	return 0;
}

static void pv_vcpu_destroy(struct vcpu *v)
{
	if (!v->pv)
		return;
	xfree(xstate_memory(v->pv->xstate));
	xfree(v->pv->traps);
	xfree(v->pv);
	v->pv = NULL;
}

static void pv_domain_destroy(struct domain *d)
{
	if (!d->pv)
		return;
	if (d->pv->perdomain_l3 && pte_present(d->pv->perdomain_l3[PT_INDEX(PERDOMAIN_START, 3)])) {
		pte_t *l2 = perdomain_l2(d);

		for (unsigned i = 0; i < PT_ENTRIES; i++)
			if (pte_present(l2[i]))
				free_page(mfn_to_virt(pte_mfn(l2[i])));
		free_page(l2);
	}
	if (d->pv->perdomain_l3)
		free_page(d->pv->perdomain_l3);
	xfree(d->pv);
	d->pv = NULL;
}

DOMAIN_MODULE(pv_module) = {
	.name = "pv",
	.order = MODULE_PV,
	.create = pv_domain_create,
	.vcpu_create = pv_vcpu_create,
	.relinquish = pv_relinquish,
	.vcpu_destroy = pv_vcpu_destroy,
	.destroy = pv_domain_destroy,
};

static bool pv_upcalls_enabled(const struct vcpu *v)
{
	return !v->info->evtchn_upcall_mask;
}

static void pv_dump_vcpu(const struct vcpu *v)
{
	const struct cpu_user_regs *r = v == current ? guest_regs() : &v->regs;
	const struct pv_vcpu *pv = v->pv;

	log_info("    %s mode, cr3 %#lx, kernel stack %#lx, iopl %u%s%s\n", pv->kernel_mode ? "kernel" : "user", pv->cr3, pv->kernel_sp, pv->iopl,
		 pv->cr0_ts ? ", TS" : "", pv->nmi_masked ? ", in NMI" : "");
	log_info("    rip %04x:%016lx rsp %04x:%016lx rflags %08lx\n", r->cs, r->rip, r->ss, r->rsp, r->rflags);
	log_info("    rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
	log_info("    rsi %016lx rdi %016lx rbp %016lx cr2 %016lx\n", r->rsi, r->rdi, r->rbp, v->info->arch.cr2);
	log_info("    r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", r->r8, r->r9, r->r10, r->r11);
	log_info("    r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", r->r12, r->r13, r->r14, r->r15);
}

const struct guest_ops pv_ops = {
	.name = "PV",
	.set_context = pv_set_context,
	.get_context = pv_get_context,
	.switch_from = pv_switch_from,
	.switch_to = pv_switch_to,
	.send_nmi = pv_send_nmi,
	.upcalls_enabled = pv_upcalls_enabled,
	.grant_map = pv_grant_map,
	.grant_unmap = pv_grant_unmap,
	.grant_end = pv_grant_end,
	.dump_vcpu = pv_dump_vcpu,
};

/*
 * Entry nr, 32 bytes each: push rcx; push r11; mov $nr, %eax; syscall; pop r11; pop rcx; ret. iret, which does not return, pushes what
 * struct iret_context begins with: push rcx; push r11; push rax; mov $nr, %eax; syscall.
 */
void pv_fill_hypercall_page(void *page)
{
	static const u8 call[] = { 0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3 };
	static const u8 iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 0, 0, 0, 0, 0x0f, 0x05 };

	memset(page, 0xcc, PAGE_SIZE);
	for (unsigned nr = 0; nr < PAGE_SIZE / 32; nr++) {
		u8 *entry = (u8 *)page + nr * 32;

		if (nr == __HYPERVISOR_iret) {
			memcpy(entry, iret, sizeof(iret));
			entry[5] = (u8)nr;
		} else {
			memcpy(entry, call, sizeof(call));
			entry[4] = (u8)nr;
		}
	}
}
