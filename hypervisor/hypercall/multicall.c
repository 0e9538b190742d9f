/* SPDX-License-Identifier: MIT */
/*
 * Multicalls. Each entry is read once, executed, and only its result is written back. When an entry wants to be continued, it is
 * written back as its handler left it, and the multicall is continued from there.
 */
#include <core/percpu.h>
#include <hypercall/dispatch.h>
#include <hypercall/multicall.h>

static DEFINE_PER_CPU(struct multicall_entry *, executing);

struct multicall_entry *multicall_current(void)
{
	return this_cpu(executing);
}

static long execute(struct multicall_entry *e)
{
	long rc;

	/* An iret has no place in a list, and lists do not nest. */
	if (e->op == __HYPERVISOR_multicall || e->op == __HYPERVISOR_iret)
		return -EINVAL;
	this_cpu(executing) = e;
	rc = hypercall_call(e->op, (const u64 *)e->args);
	this_cpu(executing) = NULL;
	return rc;
}

HYPERCALL(do_multicall)
{
	struct multicall_entry *list = (struct multicall_entry *)a1;
	u64 nr = (u32)a2;

	if (multicall_current())
		return -EINVAL;
	for (u64 i = 0; i < nr; i++) {
		struct multicall_entry e;
		unsigned long result;

		if (i && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_multicall, 2, (u64)(list + i), nr - i);
		if (copy_from_guest(&e, &list[i], sizeof(e)))
			return -EFAULT;
		result = (unsigned long)execute(&e);
		if (result == (unsigned long)-ERESTART) {
			if (copy_to_guest(&list[i], &e, sizeof(e)))
				return -EFAULT;
			return hypercall_continue(__HYPERVISOR_multicall, 2, (u64)(list + i), nr - i);
		}
		if (copy_to_guest(&list[i].result, &result, sizeof(result)))
			return -EFAULT;
	}
	return 0;
}
