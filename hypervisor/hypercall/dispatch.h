/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: one way, five stations (registers, dispatch, copy-in, handler, copy-out).
 *
 * One row per hypercall in hypercall/table.c. A handler has up to six arguments as the guest's registers hold them (rdi, rsi, rdx, r10, r8, r9) and
 * returns the value for rax. -ERESTART means "not finished": the handler has called hypercall_continue() and the guest will
 * execute the hypercall again with the arguments left there. Progress comes back through guest-writable registers, so a handler
 * validates it like any other argument.
 */
#ifndef HYPERCALL_DISPATCH_H
#define HYPERCALL_DISPATCH_H

#include <domain/domain.h>
#include <domain/guest_copy.h>
#include <lib/errno.h>

typedef long (*hypercall_fn)(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);

enum { HC_PV = 1, HC_HVM = 2, HC_PRIV = 4 };

/* entry.S knows number, size and the first two members. */
struct hypercall_row {
	hypercall_fn fn;
	bool plain;	/* every PV guest may call it */
	u8 flags;	/* HC_*: which guests; HC_PRIV: only a privileged domain */
	u8 args;	/* number of arguments: the rest is never looked at */
};
extern const struct hypercall_row hypercall_table[64];

/*
 * From entry.S, for PV guests, where a number is none or its row is not plain: number and result are in the rax of the guest's frame, the arguments are
 * still in their registers.
 */
void hypercall_dispatch(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);
/* The same for iret, which has no row: it is most of what a PV kernel calls, has no arguments in registers, and no place in a multicall. */
void hypercall_iret(void);
/* Execute one call with arguments in memory: multicall entries. Same rules. */
long hypercall_call(u64 nr, const u64 args[6]);

/*
 * Arrange for the guest to run hypercall nr again with these arguments, and return -ERESTART. Within a multicall the entry is rewritten
 * instead, and the multicall itself is continued.
 */
long hypercall_continue(u64 nr, unsigned nargs, ...);
/* Should a long operation stop here? True when soft-IRQs (a scheduler tick, a timer) are waiting. */
bool hypercall_preempt_check(void);

/* Domain named in an argument: DOMID_SELF or an id; referenced. NULL when none. */
struct domain *domain_from_arg(u16 id);

#define HYPERCALL(nm)	long nm(u64 a1 __unused, u64 a2 __unused, u64 a3 __unused, u64 a4 __unused, u64 a5 __unused, u64 a6 __unused)

/* Handlers, by ABI name. */
HYPERCALL(do_set_trap_table);		/* pv/ */
HYPERCALL(do_mmu_update);
HYPERCALL(do_set_gdt);
HYPERCALL(do_stack_switch);
HYPERCALL(do_set_callbacks);
HYPERCALL(do_fpu_taskswitch);
HYPERCALL(do_platform_op);
HYPERCALL(do_set_debugreg);
HYPERCALL(do_get_debugreg);
HYPERCALL(do_update_descriptor);
HYPERCALL(do_memory_op);
HYPERCALL(do_multicall);
HYPERCALL(do_update_va_mapping);
HYPERCALL(do_set_timer_op);
HYPERCALL(do_xen_version);
HYPERCALL(do_console_io);
HYPERCALL(do_grant_table_op);
HYPERCALL(do_vm_assist);
HYPERCALL(do_update_va_mapping_otherdomain);
HYPERCALL(do_vcpu_op);
HYPERCALL(do_set_segment_base);
HYPERCALL(do_mmuext_op);
HYPERCALL(do_nmi_op);
HYPERCALL(do_sched_op);
HYPERCALL(do_callback_op);
HYPERCALL(do_event_channel_op);
HYPERCALL(do_physdev_op);
HYPERCALL(do_sysctl);
HYPERCALL(do_domctl);
HYPERCALL(do_mca);

#endif
