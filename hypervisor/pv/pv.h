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
#include <memory/tlbflush.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/pte.h>
#include <x86/segment.h>
#include <x86/xstate.h>
#include <xen/callback.h>

struct e820entry;
struct pt_job;

struct pv_trap { u64 address; u16 cs; u8 flags; };	/* flags: TI_GET_DPL, TI_GET_IF */

enum pv_callback { PV_CB_EVENT, PV_CB_FAILSAFE, PV_CB_SYSCALL, PV_CB_SYSENTER, PV_CB_SYSCALL32, PV_CB_COUNT };

struct pv_vcpu {
	/* Hot: used by entry.S (offsets in x86/asm-offsets). */
	u64 cr3;		/* the loaded CR3: kernel or user table */
	bool kernel_mode;	/* guest kernel context */
	u64 kernel_sp;		/* stack for entries to the guest kernel (stack_switch) */
	u16 kernel_ss;
	u8 iopl;		/* virtual I/O privilege level, 0..3 */
	bool nmi_masked;	/* an NMI is being handled: until the next iret */
	struct { u64 eip; bool masks_events; } cb[PV_CB_COUNT];	/* eip 0: none; CALLBACKF_mask_events */
	struct pv_trap *traps;	/* (c) [256], a page */

	mfn_t kernel_l4;	/* guest_table: holds a type reference */
	mfn_t user_l4;		/* guest_table_user: MFN_INVALID when none */

	u64 fs_base, gs_base_kernel, gs_base_user;	/* valid while not loaded; gs_base_* exchange roles with kernel_mode */
	u16 sel_ds, sel_es, sel_fs, sel_gs;
	u64 cr4;		/* virtual CR4: PV_CR4_GUEST bits only */
	u64 dr[8];		/* debug registers as the guest set them (dr6, dr7 included; 4 and 5 unused) */
	u32 tsc_aux;		/* MSR_TSC_AUX */
	u64 iobmp;		/* guest kernel address of the I/O permission bitmap (PHYSDEVOP_set_iobitmap), ports < iobmp_limit */
	u32 iobmp_limit;

	mfn_t gdt_frames[14];	/* each holds a FRAME_SEGDESC reference */
	u32 gdt_ents;
	u64 ldt_base; u32 ldt_ents;	/* guest virtual address of the LDT; pages are mapped on demand */
	u16 ldt_mapped;		/* bitmap of LDT window pages that are mapped */

	struct xstate *xstate;	/* FPU and extended state */
	bool cr0_ts;		/* virtual CR0.TS: next FPU use gives #NM to the guest */

	u64 pt_result;		/* pv/pt job bookkeeping, private */
};

struct pv_domain {
	struct spinlock pt_lock;	/* page-table type transitions */
	pte_t *perdomain_l3;		/* level-3 page of slot HYP_SLOT_PERDOMAIN */
	struct pt_job *pt_job;		/* pv/pt_job.c: validation or release in progress */
	struct e820entry *e820;		/* (d->lock) memory map given to the domain, for XENMEM_memory_map; NULL: none */
	u32 e820_entries;
	cpumask_t foreign_cpus;		/* (a) CPUs of other domains that may still have frames of this one mapped writable in their TLBs */
	u32 cf8;			/* hardware domain: its PCI configuration address latch */
	u8 cmos_index;			/* hardware domain: its RTC index latch */
};

/* v->pv_pending: why the way out to the guest must call pv_deliver_pending() although no event is pending. Other CPUs set bits. */
enum {
	PV_PENDING_NMI = 1,
	PV_PENDING_FAILSAFE = 2,	/* a segment register could not be reloaded */
};

/* CR4 bits that a guest decides on. */
#define PV_CR4_GUEST	(CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE)

/* VMASST_TYPE_* that a guest may enable. The 32-bit ones have no effect. */
#define PV_VM_ASSIST	(BIT(VMASST_TYPE_4gb_segments) | BIT(VMASST_TYPE_4gb_segments_notify) | BIT(VMASST_TYPE_writable_pagetables) | \
			 BIT(VMASST_TYPE_pae_extended_cr3) | BIT(VMASST_TYPE_architectural_iopl) |				\
			 BIT(VMASST_TYPE_runstate_update_flag) | BIT(VMASST_TYPE_m2p_strict))

/* entry_vector of a frame that SYSRET may restore: flat 64-bit code and stack segments, and rcx and r11 do not matter. entry.S knows the number. */
#define PV_VECTOR_SYSCALL	0x100

/* The window of a vCPU in the per-domain slot: 16 pages of GDT, 16 pages of LDT. */
#define PV_WINDOW_PAGES		32
#define PV_GDT_VA(v)		(PERDOMAIN_START + (u64)(v)->id * PV_WINDOW_PAGES * PAGE_SIZE)
#define PV_LDT_VA(v)		(PV_GDT_VA(v) + 16 * PAGE_SIZE)

extern const struct guest_ops pv_ops;

/* --- pv/traps.c --- */
/* C entry of every exception vector < 32, and of INT 0x80; regs is the frame on this CPU's stack. Interrupts off. */
void trap_dispatch(struct cpu_user_regs *regs);
/* The processor refused to IRET to the guest's frame: the guest kernel gets the exception. Interrupts off. */
void pv_iret_failed(struct cpu_user_regs *regs);

/* --- pv/inject.c: what the guest kernel sees --- */
/* Make the guest kernel see an exception when the frame is next restored. #PF: also cr2. For current, interrupts off or on. */
void pv_inject_trap(u8 vector, u32 error_code);
void pv_inject_page_fault(u64 cr2, u32 error_code);
/* An INT n (or INT3, INTO, INT 0x80) of the guest whose frame already points behind it; len: length of that instruction. */
void pv_inject_soft_int(u8 vector, unsigned len);
/*
 * Build the frame of an NMI or failsafe callback or event upcall on the guest kernel's stack, if one is due, and write areas that are. Called by entry.S on
 * the way out, interrupts off.
 */
void pv_deliver_pending(struct cpu_user_regs *regs);
/* SYSCALL from guest user mode; the same from 32-bit code; SYSENTER. */
void pv_syscall(struct cpu_user_regs *regs);
void pv_syscall32(struct cpu_user_regs *regs);
void pv_sysenter(struct cpu_user_regs *regs);
/* Make an NMI pending and the vCPU notice. Any context but NMI. */
void pv_send_nmi(struct vcpu *v);

/* --- pv/switch.c --- */
void pv_switch_from(struct vcpu *v);
void pv_switch_to(struct vcpu *v);
/* Make the hardware's CR0.TS and CR4 agree with what current has set (cr0_ts, cr4). */
void pv_load_ts(const struct vcpu *v);
void pv_load_cr4(const struct vcpu *v);
/* Segment bases of current. which: SEGBASE_FS, SEGBASE_GS_USER, SEGBASE_GS_KERNEL. */
u64 pv_get_segment_base(unsigned which);
/* 0; -EINVAL non-canonical or no such base. */
int __must_check pv_set_segment_base(unsigned which, u64 base);
/* Load the user GS selector of current while in its kernel. A selector that the processor refuses becomes null. */
void pv_load_user_gs_selector(u16 sel);

/* --- pv/debugreg.c --- */
/* 0; -EINVAL no such register or a hypervisor address, -EPERM a kind of breakpoint that is not allowed. v is current or not running. */
int __must_check pv_set_debugreg(struct vcpu *v, unsigned reg, u64 val);
/* Registers 4 and 5 are 6 and 7. -EINVAL above 7. */
int __must_check pv_get_debugreg(const struct vcpu *v, unsigned reg, u64 *val);
/* As after a processor's reset. v is not running. */
void pv_reset_debugregs(struct vcpu *v);
void pv_load_debugregs(const struct vcpu *v);
void pv_unload_debugregs(const struct vcpu *v);

/* --- pv/callback.c --- */
/* type: CALLBACKTYPE_*. 0; -EINVAL non-canonical address, -ENOSYS unknown type. */
int __must_check pv_set_callback(struct vcpu *v, u16 type, u16 flags, u64 address);
int __must_check pv_clear_callback(struct vcpu *v, u16 type);
/* A trap-table entry; address 0 removes it. -EINVAL non-canonical. */
int __must_check pv_set_trap(struct vcpu *v, const struct trap_info *t);

/* --- pv/privop.c --- */
/* #GP from the guest: emulate if it is a privileged operation that its mode may do. True when done (registers updated or a trap injected). */
bool pv_emulate_privileged(struct cpu_user_regs *regs);
/* #UD from the guest: CPUID with the emulation prefix. */
bool pv_emulate_forced_cpuid(struct cpu_user_regs *regs);

/* --- pv/ports.c --- */
/*
 * One port access of 1, 2 or 4 bytes for current. False: the guest must get #GP. With permission of the domain it reaches the
 * device; else reads give all ones and writes are lost.
 */
bool pv_port_access_ok(u16 port, unsigned bytes);
/* Does the I/O privilege level allow the mode that v is in to do port I/O, CLI and STI? */
bool pv_iopl_ok(const struct vcpu *v);
u32 pv_port_read(u16 port, unsigned bytes);
void pv_port_write(u16 port, unsigned bytes, u32 val);

/* --- pv/control.c: control registers --- */
/* False: #GP. A write of CR3 may need to be repeated: then *again. */
bool pv_read_cr(unsigned cr, u64 *val);
bool pv_write_cr(unsigned cr, u64 val, bool *again);
/* CR4 that a guest reads. */
u64 pv_guest_cr4(const struct vcpu *v);
/* Set the bits of it that are the guest's. v is current or not running. */
void pv_set_cr4(struct vcpu *v, u64 val);
/* fpu_taskswitch: the virtual CR0.TS of current. */
void pv_set_ts(bool set);
/* XSETBV. False: #GP. */
bool pv_xsetbv(u32 index, u64 val);

/* --- pv/cpuid.c, pv/msr.c --- */
void pv_cpuid(const struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *out);
/* False: #GP. For current. */
bool pv_rdmsr(u32 msr, u64 *val);
bool pv_wrmsr(u32 msr, u64 val);

/* --- pv/descriptor.c --- */
int __must_check pv_set_gdt(struct vcpu *v, const u64 *frames, unsigned entries);
void pv_destroy_gdt(struct vcpu *v);
/* #PF at an offset in current's LDT: map the guest's page into the window. True: execute the instruction again. */
bool pv_map_ldt_page(u64 offset);
/* Drop all LDT pages mapped in the window, flushed from TLBs. v is current or not running. */
void pv_unmap_ldt(struct vcpu *v);
/* Set the LDT: ents 0..8192 descriptors at a guest address. v is current (then it is loaded) or not running. -EINVAL. */
int __must_check pv_set_ldt(struct vcpu *v, u64 base, u64 ents);
/* Is the descriptor harmless for a guest to use? Raises its DPL to 3 when needed. */
bool pv_check_descriptor(u64 *desc);
/* Entries of the page table that maps the vCPU's window: 32 from here on. Another CPU's TLB is the caller's business. */
pte_t *pv_window(const struct vcpu *v);
/* RPL 3: what a guest may have in a segment register. Null selectors stay null. */
u16 pv_fixup_selector(u16 sel);

/* --- pv/pagetable.c: see the theory there --- */
/* Take a type reference (and check contents for page and descriptor tables). 0, -EINVAL, -EBUSY wrong type in use, -ERESTART. */
int __must_check pv_get_frame_type(struct domain *d, mfn_t m, unsigned type);
void pv_put_frame_type(struct domain *d, mfn_t m);
/* Load pv->cr3 on this CPU. v is current or about to be. */
static inline void pv_write_cr3(const struct vcpu *v) { tlb_write_cr3(v->pv->cr3); }
/* Switch the loaded address space and GS base from the guest's user context to its kernel's, or back. For current, interrupts off or on. */
static inline void pv_set_mode(struct vcpu *v, bool kernel)
{
	struct pv_vcpu *pv = v->pv;

	pv->kernel_mode = kernel;
	swapgs();
	tlb_write_cr3(pv->cr3 = mfn_to_paddr(kernel ? pv->kernel_l4 : pv->user_l4).v);
}
/* #PF from the guest on a page that is mapped read-only because it is a page table: emulate the write. True when done. */
bool pv_emulate_pt_write(struct cpu_user_regs *regs, u64 va, u32 error_code);
/*
 * New base tables for a vCPU that is current or not running. user: MFN_INVALID for none. 0, -EINVAL, -ERESTART. The reference to the old one is
 * dropped. When it is current and in the mode concerned, CR3 is loaded.
 */
int __must_check pv_new_kernel_l4(struct vcpu *v, mfn_t m);
int __must_check pv_new_user_l4(struct vcpu *v, mfn_t m);
/* struct guest_ops: see domain/domain.h and pv/pt_grant.c. */
int __must_check pv_grant_map(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 cache);
int __must_check pv_grant_unmap(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 new_addr);
void pv_grant_end(struct vcpu *v, struct grant_near *near);
/* Recount every reference of every frame from scratch and compare. Returns the number of differences, each printed. All domains paused by the caller. */
unsigned pv_audit(void);

/* --- pv/context.c --- */
int __must_check pv_set_context(struct vcpu *v, const struct vcpu_guest_context *ctx);
void pv_get_context(struct vcpu *v, struct vcpu_guest_context *ctx);

/* --- pv/domain.c --- */
/* Fill a hypercall page. */
void pv_fill_hypercall_page(void *page);

#endif
