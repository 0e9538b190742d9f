/* SPDX-License-Identifier: MIT */
/* sysctl: what the tools ask of the machine as a whole (ABI: <xen/sysctl.h>). One row per command in sysctl.c. */
#ifndef HYPERCALL_SYSCTL_H
#define HYPERCALL_SYSCTL_H

#include <hypercall/dispatch.h>
#include <xen/sysctl.h>

/* All return 0, -errno, or -ERESTART: the same call goes on. What they leave in op is copied back. */

/* --- sysctl_console.c --- */
int sysctl_readconsole(struct xen_sysctl *op);
int sysctl_debug_keys(struct xen_sysctl *op);
/* --- sysctl_machine.c --- */
int sysctl_physinfo(struct xen_sysctl *op);
int sysctl_cputopoinfo(struct xen_sysctl *op);
int sysctl_numainfo(struct xen_sysctl *op);
int sysctl_pcitopoinfo(struct xen_sysctl *op);
int sysctl_availheap(struct xen_sysctl *op);
int sysctl_getcpuinfo(struct xen_sysctl *op);
/* --- sysctl_domains.c --- */
int sysctl_getdomaininfolist(struct xen_sysctl *op);
int sysctl_sched_id(struct xen_sysctl *op);
int sysctl_scheduler_op(struct xen_sysctl *op);
int sysctl_cpupool_op(struct xen_sysctl *op);
/* --- sysctl_policy.c --- */
int sysctl_get_cpu_levelling_caps(struct xen_sysctl *op);
int sysctl_get_cpu_featureset(struct xen_sysctl *op);
int sysctl_get_cpu_policy(struct xen_sysctl *op);
/* domctl_policy.c: all leaves of a policy to a guest array of *n, which becomes their number. 0, -ENOBUFS, -ENOMEM, -EFAULT. */
struct cpu_policy;
int __must_check tell_policy(const struct cpu_policy *p, void *guest, u32 *n);

#endif
