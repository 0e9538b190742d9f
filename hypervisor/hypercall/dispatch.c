/* SPDX-License-Identifier: MIT */
/* From a guest's registers to a handler and back. */
#include <core/percpu.h>
#include <core/softirq.h>
#include <hypercall/dispatch.h>
#include <hypercall/multicall.h>
#include <stdarg.h>
#include <x86/cr.h>

/* Length of the SYSCALL instruction that a continuation executes again. */
#define SYSCALL_LEN	2

/* Why a guest of the kind `who` may not call the number; 0, and its row. A number without a row has no flags. */
static __always_inline long find_row(u64 nr, unsigned who, const struct hypercall_row **row)
{
	if (unlikely(nr >= ARRAY_SIZE(hypercall_table)))
		return -ENOSYS;
	*row = &hypercall_table[index_nospec(nr, ARRAY_SIZE(hypercall_table))];
	/* So that the compiler keeps one pointer rather than index and base. */
	__asm__("" : "+r"(*row));
	if (unlikely(!((*row)->flags & who)))
		return -ENOSYS;
	if (unlikely((*row)->flags & HC_PRIV && !current->domain->privileged))
		return -EPERM;
	return 0;
}

long hypercall_call(u64 nr, const u64 args[6])
{
	const struct hypercall_row *row;
	long rc = find_row(nr, current->pv ? HC_PV : HC_HVM, &row);

	return rc ? rc : row->fn(args[0], args[1], args[2], args[3], args[4], args[5]);
}

void hypercall_dispatch(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
	struct cpu_user_regs *regs = guest_regs();
	const struct hypercall_row *row;
	long rc = find_row(regs->rax, HC_PV, &row);

	if (likely(!rc))
		rc = row->fn(a1, a2, a3, a4, a5, a6);
	if (likely(rc != -ERESTART))
		regs->rax = (u64)rc;
}

long hypercall_continue(u64 nr, unsigned nargs, ...)
{
	struct cpu_user_regs *regs = guest_regs();
	u64 *slots[6] = { &regs->rdi, &regs->rsi, &regs->rdx, &regs->r10, &regs->r8, &regs->r9 };
	struct multicall_entry *entry = multicall_current();
	va_list ap;

	va_start(ap, nargs);
	for (unsigned i = 0; i < nargs && i < ARRAY_SIZE(slots); i++) {
		u64 v = va_arg(ap, u64);

		if (entry)
			entry->args[i] = v;
		else
			*slots[i] = v;
	}
	va_end(ap);
	if (entry) {
		entry->op = nr;
	} else {
		regs->rax = nr;
		regs->rip -= SYSCALL_LEN;
	}
	return -ERESTART;
}

bool hypercall_preempt_check(void)
{
	return softirq_pending();
}

struct domain *domain_from_arg(u16 id)
{
	if (id == DOMID_SELF || id == current->domain->id) {
		domain_ref(current->domain);
		return current->domain;
	}
	return domain_get(id);
}
