/* SPDX-License-Identifier: MIT */
/* XEN_SYSCTL_*: what the tools ask of the machine as a whole (ABI: <xen/sysctl.h>). */
#include <core/console.h>
#include <core/debug_key.h>
#include <core/percpu.h>
#include <hypercall/dispatch.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <x86/cpuid.h>
#include <xen/sysctl.h>

#define CHUNK	256

static int read_console(struct xen_sysctl_readconsole *op)
{
	u64 pos = op->incremental ? op->index : console_ring_start();
	u32 done = 0;
	char buf[CHUNK];

	/* The caller's index has 32 bits: extend it by the ring's own position. */
	if (op->incremental)
		pos += console_ring_start() & ~0xffffffffUL;
	while (done < op->count) {
		size_t n = console_ring_read(buf, min((u32)CHUNK, op->count - done), &pos);

		if (!n)
			break;
		if (copy_to_guest(op->buffer.p + done, buf, n))
			return -EFAULT;
		done += (u32)n;
	}
	op->count = done;
	op->index = (u32)pos;
	if (op->clear)
		console_ring_clear();
	return 0;
}

static int debug_keys(const struct xen_sysctl_debug_keys *op)
{
	for (u32 i = 0; i < op->nr_keys; i++) {
		char key;

		if (copy_from_guest_idx(&key, op->keys.p, i, 1))
			return -EFAULT;
		debug_key_handle(key);
		if (i == 255)
			break;
	}
	return 0;
}

static int physinfo(struct xen_sysctl_physinfo *pi)
{
	memset(pi, 0, sizeof(*pi));
	pi->threads_per_core = 1;
	pi->cores_per_socket = nr_cpus;
	pi->nr_cpus = cpumask_weight(&cpu_online);
	pi->max_cpu_id = nr_cpus - 1;
	pi->nr_nodes = 1;
	pi->cpu_khz = (u32)time_tsc_khz();
	pi->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2;
	pi->total_pages = heap_total_pages();
	pi->free_pages = heap_free_pages();
	pi->max_mfn = frame_table_end - 1;
	pi->hw_cap[0] = cpu_features.words[CPUID_1_D];
	pi->hw_cap[1] = cpu_features.words[CPUID_1_C];
	pi->hw_cap[2] = cpu_features.words[CPUID_81_D];
	pi->hw_cap[3] = cpu_features.words[CPUID_81_C];
	pi->hw_cap[5] = cpu_features.words[CPUID_7_B];
	return 0;
}

static int dispatch(struct xen_sysctl *op)
{
	switch (op->cmd) {
	case XEN_SYSCTL_readconsole:
		return read_console(&op->u.readconsole);
	case XEN_SYSCTL_debug_keys:
		return debug_keys(&op->u.debug_keys);
	case XEN_SYSCTL_physinfo:
		return physinfo(&op->u.physinfo);
	default:
		return -EOPNOTSUPP;
	}
}

HYPERCALL(do_sysctl)
{
	struct xen_sysctl op, *guest = (void *)a1;
	int rc;

	if (copy_from_guest(&op, guest, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
		return -EACCES;
	rc = dispatch(&op);
	if (!rc && copy_to_guest(guest, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
