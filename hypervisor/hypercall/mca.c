/* SPDX-License-Identifier: MIT */
/*
 * mca: machine-check reports for Domain 0 (ABI: <xen/arch-x86/xen-mca.h>). A machine check stops the hypervisor, so there is never
 * anything to fetch; processors are described, errors cannot be injected.
 */
#include <core/apic.h>
#include <hypercall/dispatch.h>
#include <lib/string.h>
#include <x86/cpuid.h>
#include <x86/topology.h>
#include <xen/arch-x86/xen-mca.h>

static void describe_cpu(unsigned cpu, xen_mc_logical_cpu_t *out)
{
	struct cpuid_regs id = cpuid(0, 0);
	struct cpu_place p = topology_place(cpu_apic_id[cpu]);

	*out = (xen_mc_logical_cpu_t){
		.mc_cpunr = cpu, .mc_apicid = cpu_apic_id[cpu], .mc_chipid = p.socket, .mc_coreid = (u16)p.core, .mc_threadid = (u16)p.thread, .mc_ncores = nr_cpus, .mc_ncores_active = cpumask_weight(&cpu_online),
		.mc_nthreads = 1, .mc_cpuid_level = (s32)cpu_features.max_leaf, .mc_family = cpu_features.family, .mc_model = cpu_features.model,
		.mc_step = cpu_features.stepping,
	};
	memcpy(out->mc_vendorid, &id.b, 4);
	memcpy(out->mc_vendorid + 4, &id.d, 4);
	memcpy(out->mc_vendorid + 8, &id.c, 4);
	strlcpy(out->mc_brandid, cpu_features.brand, sizeof(out->mc_brandid));
	out->mc_cpu_caps[0] = cpu_features.words[CPUID_1_D];
	out->mc_cpu_caps[1] = cpu_features.words[CPUID_81_D];
}

/* The caller gives the size of its array in ncpus and gets the number of entries; with no array, how many there would be. */
static long physcpuinfo(xen_mc_physcpuinfo_t *info)
{
	unsigned n = 0;

	for_each_online_cpu(cpu) {
		xen_mc_logical_cpu_t one;

		if (info->info.p) {
			if (n == info->ncpus)
				break;
			describe_cpu(cpu, &one);
			if (copy_to_guest_idx(info->info.p, n, &one, sizeof(one)))
				return -EFAULT;
		}
		n++;
	}
	info->ncpus = n;
	return 0;
}

HYPERCALL(do_mca)
{
	struct xen_mc op;
	long rc = 0;

	if (copy_from_guest(&op, (const void *)a1, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_MCA_INTERFACE_VERSION)
		return -EACCES;
	switch (op.cmd) {
	case XEN_MC_fetch:
		op.u.mc_fetch.flags = XEN_MC_NODATA;
		op.u.mc_fetch.fetch_id = 0;
		break;
	case XEN_MC_physcpuinfo:
		rc = physcpuinfo(&op.u.mc_physcpuinfo);
		break;
	case XEN_MC_notifydomain:
	case XEN_MC_msrinject:
	case XEN_MC_mceinject:
	case XEN_MC_inject_v2:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
	if (!rc && copy_to_guest((void *)a1, &op, sizeof(op)))
		rc = -EFAULT;
	return rc;
}
