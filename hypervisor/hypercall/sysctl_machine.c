/* SPDX-License-Identifier: MIT */
/* sysctl: processors and memory of the machine. It is one node. */
#include <core/apic.h>
#include <core/percpu.h>
#include <core/time.h>
#include <hypercall/sysctl.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <sched/sched.h>
#include <x86/cpuid.h>
#include <x86/topology.h>

/* The boot processor's socket and core, as far as they are online, stand for all. */
static void count_cores(u32 *cores_per_socket, u32 *threads_per_core)
{
	struct cpu_place first = topology_place(cpu_apic_id[0]);
	u32 in_socket = 0, in_core = 0;

	for_each_online_cpu(cpu) {
		struct cpu_place p = topology_place(cpu_apic_id[cpu]);

		in_socket += p.socket == first.socket;
		in_core += p.socket == first.socket && p.core == first.core;
	}
	*threads_per_core = max(in_core, 1U);
	*cores_per_socket = max(in_socket / *threads_per_core, 1U);
}

int sysctl_physinfo(struct xen_sysctl *op)
{
	op->u.physinfo = (struct xen_sysctl_physinfo){
		.nr_cpus = cpumask_weight(&cpu_online),
		.max_cpu_id = nr_cpus - 1,
		.nr_nodes = 1,
		.cpu_khz = (u32)time_tsc_khz(),
		.capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2,
		.total_pages = heap_total_pages(),
		.free_pages = heap_free_pages(),
		.outstanding_pages = heap_claimed_pages(),
		.max_mfn = frame_table_end - 1,
		.hw_cap = {
			[0] = cpu_features.words[CPUID_1_D], [1] = cpu_features.words[CPUID_1_C], [2] = cpu_features.words[CPUID_81_D],
			[3] = cpu_features.words[CPUID_81_C], [5] = cpu_features.words[CPUID_7_B],
		},
	};
	count_cores(&op->u.physinfo.cores_per_socket, &op->u.physinfo.threads_per_core);
	return 0;
}

int sysctl_cputopoinfo(struct xen_sysctl *op)
{
	struct xen_sysctl_cputopoinfo *info = &op->u.cputopoinfo;

	if (info->cputopo.p)
		for (u32 i = 0; i < min(info->num_cpus, nr_cpus); i++) {
			struct cpu_place p = topology_place(cpu_apic_id[i]);
			struct xen_sysctl_cputopo topo = { .core = p.core, .socket = p.socket };

			if (!cpumask_test(i, &cpu_online))
				topo = (struct xen_sysctl_cputopo){ XEN_INVALID_CORE_ID, XEN_INVALID_SOCKET_ID, XEN_INVALID_NODE_ID };
			if (copy_to_guest_idx(info->cputopo.p, i, &topo, sizeof(topo)))
				return -EFAULT;
		}
	info->num_cpus = info->cputopo.p ? min(info->num_cpus, nr_cpus) : nr_cpus;
	return 0;
}

#define LOCAL_DISTANCE	10	/* as firmware tables count */

int sysctl_numainfo(struct xen_sysctl *op)
{
	struct xen_sysctl_numainfo *info = &op->u.numainfo;
	struct xen_sysctl_meminfo mem = { heap_total_pages() << PAGE_SHIFT, heap_free_pages() << PAGE_SHIFT };
	u32 distance = LOCAL_DISTANCE;

	if ((info->meminfo.p || info->distance.p) && !info->num_nodes)
		return -ENOBUFS;
	info->num_nodes = 1;
	if (info->meminfo.p && copy_to_guest(info->meminfo.p, &mem, sizeof(mem)))
		return -EFAULT;
	if (info->distance.p && copy_to_guest(info->distance.p, &distance, sizeof(distance)))
		return -EFAULT;
	return 0;
}

#define DEVICES_MAX	1024	/* per call */

int sysctl_pcitopoinfo(struct xen_sysctl *op)
{
	struct xen_sysctl_pcitopoinfo *info = &op->u.pcitopoinfo;
	u32 nowhere = XEN_INVALID_NODE_ID;

	if (!info->devs.p || !info->nodes.p)
		return -EINVAL;
	info->num_devs = min(info->num_devs, (u32)DEVICES_MAX);
	for (u32 i = 0; i < info->num_devs; i++)
		if (copy_to_guest_idx(info->nodes.p, i, &nowhere, sizeof(nowhere)))
			return -EFAULT;
	return 0;
}

int sysctl_availheap(struct xen_sysctl *op)
{
	struct xen_sysctl_availheap *a = &op->u.availheap;

	if (a->node != -1 && a->node != 0)
		return -EINVAL;
	if (a->min_bitwidth || a->max_bitwidth)
		return -EOPNOTSUPP;
	a->avail_bytes = heap_free_pages() << PAGE_SHIFT;
	return 0;
}

int sysctl_getcpuinfo(struct xen_sysctl *op)
{
	struct xen_sysctl_getcpuinfo *g = &op->u.getcpuinfo;

	g->nr_cpus = min(g->max_cpus, nr_cpus);
	for (u32 i = 0; i < g->nr_cpus; i++) {
		struct vcpu *idle = domain_vcpu(idle_domain, i);
		struct vcpu_runstate_info run = { 0 };
		struct xen_sysctl_cpuinfo cpu;

		if (idle)
			runstate_get(idle, &run);
		cpu.idletime = run.time[RUNSTATE_running];
		if (copy_to_guest_idx(g->info.p, i, &cpu, sizeof(cpu)))
			return -EFAULT;
	}
	return 0;
}
