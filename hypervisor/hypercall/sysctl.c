/* SPDX-License-Identifier: MIT */
/* sysctl: the table, and the way from the hypercall to a handler. */
#include <hypercall/sysctl.h>
#include <x86/cr.h>

#define ROW(cmd)	[XEN_SYSCTL_##cmd] = sysctl_##cmd

/* A command without a row answers -EOPNOTSUPP. */
static int (*const handlers[])(struct xen_sysctl *op) = {
	ROW(readconsole),
	ROW(debug_keys),
	ROW(physinfo),
	ROW(cputopoinfo),
	ROW(numainfo),
	ROW(pcitopoinfo),
	ROW(availheap),
	ROW(getcpuinfo),
	ROW(getdomaininfolist),
	ROW(sched_id),
	ROW(scheduler_op),
	ROW(cpupool_op),
	ROW(get_cpu_levelling_caps),
	ROW(get_cpu_featureset),
	ROW(get_cpu_policy),
};

HYPERCALL(do_sysctl)
{
	struct xen_sysctl op, *guest = (void *)a1;
	int rc;

	if (copy_from_guest(&op, guest, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
		return -EACCES;
	if (op.cmd >= ARRAY_SIZE(handlers) || !handlers[index_nospec(op.cmd, ARRAY_SIZE(handlers))])
		return -EOPNOTSUPP;
	rc = handlers[index_nospec(op.cmd, ARRAY_SIZE(handlers))](&op);
	if (!rc && copy_to_guest(guest, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
