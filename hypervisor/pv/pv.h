/* SPDX-License-Identifier: MIT */
/*
 * Paravirtual guests: the state that PV domains and vCPUs have, shared by the files of this folder.
 *
 * A 64-bit PV guest runs in ring 3 always. Its kernel and its user programs have separate level-4 tables; the
 * vCPU's `kernel_mode` flag says which is loaded. Kernel → user is the iret hypercall; user → kernel is
 * any trap, SYSCALL or event.
 */
#ifndef PV_PV_H
#define PV_PV_H

#include <core/segments.h>
#include <domain/domain.h>
#include <x86/pte.h>
#include <x86/segment.h>
#include <x86/xstate.h>
#include <xen/callback.h>

struct pv_trap { u64 address; u16 cs; u8 flags; };	/* flags: TI_GET_DPL, TI_GET_IF */

enum pv_callback { PV_CB_EVENT, PV_CB_FAILSAFE, PV_CB_SYSCALL, PV_CB_NMI, PV_CB_SYSENTER, PV_CB_SYSCALL32, PV_CB_COUNT };

struct pv_vcpu {
	/* Hot: used by entry.S (offsets in x86/asm-offsets). */
	u64 cr3;		/* the loaded CR3: kernel or user table */
	bool kernel_mode;	/* guest kernel context */
	u64 kernel_sp;		/* stack for entries to the guest kernel (stack_switch) */
	u16 kernel_ss;
	u8 iopl;		/* virtual I/O privilege level, 0..3 */
	bool syscall_masks_events;	/* CALLBACKF_mask_events per callback */
	bool failsafe_masks_events;
	struct { u64 eip; } cb[PV_CB_COUNT];	/* 0: none */
	struct pv_trap traps[256];

	mfn_t kernel_l4;	/* guest_table: holds a type reference */
	mfn_t user_l4;		/* guest_table_user: MFN_INVALID when none */

	u64 fs_base, gs_base_kernel, gs_base_user;	/* valid while not loaded; gs_base_* exchange roles with kernel_mode */
	u16 sel_ds, sel_es, sel_fs, sel_gs;
	u64 ctrlreg[8];		/* virtual CR0 (bits the guest may set), CR2 unused (lives in vcpu_info arch.cr2), CR4 */
	u64 dr[8];		/* debug registers as the guest set them (dr6, dr7 included) */

	mfn_t gdt_frames[14];	/* each holds a FRAME_SEGDESC reference */
	u32 gdt_ents;
	u64 ldt_base; u32 ldt_ents;	/* guest virtual address of the LDT; pages are mapped on demand */
	u16 ldt_mapped;		/* bitmap of LDT window pages that are mapped */

	struct xstate *xstate;	/* FPU and extended state */
	bool fpu_dirty;		/* state is live in registers: save on switch */
	bool cr0_ts;		/* virtual CR0.TS: next FPU use gives #NM to the guest */

	bool nmi_pending, nmi_masked;
	u64 nmi_eip;
	u64 pt_result;		/* pv/pt job bookkeeping, private */
};

struct pv_domain {
	struct spinlock pt_lock;	/* page-table type transitions */
	pte_t *perdomain_l3;		/* level-3 page of slot HYP_SLOT_PERDOMAIN */
	void *pt_job;			/* pv/pagetable.c: validation or release in progress */
};

/* The window of a vCPU in the per-domain slot: 16 pages of GDT, 16 pages of LDT. */
#define PV_WINDOW_PAGES		32
#define PV_GDT_VA(v)		(PERDOMAIN_START + (u64)(v)->id * PV_WINDOW_PAGES * PAGE_SIZE)
#define PV_LDT_VA(v)		(PV_GDT_VA(v) + 16 * PAGE_SIZE)

extern const struct guest_ops pv_ops;

/* --- pv/traps.c, pv/inject.c: exceptions --- */
/* C entry of every exception vector < 32; regs is the frame on this CPU's stack. */
void trap_dispatch(struct cpu_user_regs *regs);
/* Make the guest kernel see an exception when the frame is next restored. #PF: also cr2. For current. */
void pv_inject_trap(u8 vector, u32 error_code);
void pv_inject_page_fault(u64 cr2, u32 error_code);
/*
 * Build the frame of an event upcall, or NMI, on the guest kernel's stack, if one is due. Called by entry.S on the way out with interrupts off.
 */
void pv_deliver_pending(struct cpu_user_regs *regs);
/* Switch the loaded address space and GS base between the guest's kernel and user context. For current, interrupts off or on. */
void pv_toggle_mode(struct vcpu *v);
/* A selector is acceptable for a guest to load: RPL 3 forced, no hypervisor segments. */
u16 pv_fixup_selector(u16 sel);
bool pv_selector_ok(u16 sel);

/* --- pv/emulate.c --- */
/* #GP or #UD from guest kernel: emulate if it is a privileged operation. True when done (registers updated). */
bool pv_emulate_privileged(struct cpu_user_regs *regs);
bool pv_emulate_forced_cpuid(struct cpu_user_regs *regs);

/* --- pv/descriptor.c --- */
int __must_check pv_set_gdt(struct vcpu *v, const u64 *frames, unsigned entries);
void pv_destroy_gdt(struct vcpu *v);
/* #PF in the LDT window: map the guest's LDT page there. True when mapped. */
bool pv_map_ldt_page(u64 va);
/* Drop all LDT pages mapped in the window. */
void pv_unmap_ldt(struct vcpu *v);
/* Is the descriptor harmless? May adjust it (DPL, limit). */
bool pv_check_descriptor(u64 *desc);
/* Write the page-table entry of page i of the vCPU's window. */
void pv_window_set(struct vcpu *v, unsigned page, pte_t e);

/* --- pv/pagetable.c: see the theory there --- */
/* Take a type reference (and check contents for page and descriptor tables). 0, -EINVAL, -EBUSY wrong type in use, -ERESTART. */
int __must_check pv_get_frame_type(struct domain *d, mfn_t m, unsigned type);
void pv_put_frame_type(struct domain *d, mfn_t m);
/* Load the vCPU's level-4 table(s) as its address space. */
void pv_write_cr3(struct vcpu *v);
/* #PF from the guest on a page that is mapped read-only because it is a page table: emulate the write. True when done. */
bool pv_emulate_pt_write(struct cpu_user_regs *regs, u64 va, u32 error_code);
/* Validate a table of that level and pin it, as MMUEXT_PIN_*_TABLE does; runs to the end. For Domain 0's builder. */
int __must_check pv_pin_table(struct domain *d, mfn_t m, unsigned level);
/* New base table for a vCPU. For set_context and MMUEXT_NEW_BASEPTR. */
int __must_check pv_new_kernel_l4(struct vcpu *v, mfn_t m);
/* Recount every reference of every frame from scratch and compare. Returns the number of differences, each printed. All domains paused by the caller. */
unsigned pv_audit(void);

/* --- pv/domain.c --- */
/* Fill a hypercall page. */
void pv_fill_hypercall_page(void *page);

#endif
