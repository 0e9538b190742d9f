/* SPDX-License-Identifier: MIT */
/* memory_op: dispatch of sub-operations, and those that only tell something. ABI: <xen/memory.h>. */

#include <domain/permission.h>
#include <hypercall/memory.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <x86/layout.h>

/* The machine-to-phys window that guests see: half a slot, as the ABI fixes it. */
#define M2P_GUEST_END	(M2P_GUEST_START + BIT(38))

int memop_domain(u16 id, struct domain **out)
{
	*out = domain_from_arg(id);
	if (!*out)
		return current->domain->privileged ? -ESRCH : -EPERM;
	if (*out != current->domain && !current->domain->privileged) {
		domain_put(*out);
		return -EPERM;
	}
	return 0;
}

unsigned memop_max_order(void)
{
	const struct domain *d = current->domain;

	/*
	 * 2 MiB; more for who has devices, and may need contiguous buffers, or builds domains. Bounded by the time it
	 * takes to clear.
	 */
	return !d->privileged && !domain_has_devices(d) ? 9 : 12;
}

static u64 max_pfn_of(const struct domain *d)
{
	u64 n = d->shared_info ? READ_ONCE(d->shared_info->arch.max_pfn) : 0;

	return n ? n - 1 : 0;
}

static long domain_figure(unsigned op, u64 arg)
{
	struct xen_memory_domain who;
	struct domain *d;
	u64 figure;
	int rc;

	if (copy_from_guest(&who, (void *)arg, sizeof(who)))
		return -EFAULT;
	rc = memop_domain(who.domid, &d);
	if (rc)
		return rc;
	if (op == XENMEM_current_reservation)
		figure = READ_ONCE(d->tot_pages);
	else
		figure = op == XENMEM_maximum_reservation ? d->max_pages : max_pfn_of(d);
	domain_put(d);
	return (long)min(figure, ~0UL >> 1);
}

static long machphys_mapping(u64 arg)
{
	struct xen_machphys_mapping map = {
		.v_start = M2P_GUEST_START, .v_end = M2P_GUEST_END, .max_mfn = (M2P_GUEST_END - M2P_GUEST_START) / sizeof(u64) - 1,
	};

	return copy_to_guest((void *)arg, &map, sizeof(map));
}

static long machphys_mfn_list(u64 arg)
{
	struct xen_machphys_mfn_list list;
	u64 chunks = DIV_ROUND_UP(frame_table_end, MiB(2) / sizeof(u64));

	if (copy_from_guest(&list, (void *)arg, sizeof(list)))
		return -EFAULT;
	list.nr_extents = (unsigned)min((u64)list.max_extents, chunks);
	for (u32 i = 0; i < list.nr_extents; i++) {
		xen_pfn_t m = m2p_chunk(i).v;

		if (copy_to_guest_idx(list.extent_start.p, i, &m, sizeof(m)))
			return -EFAULT;
	}
	return copy_to_guest((void *)arg, &list, sizeof(list));
}

/* There are no reserved regions: none are needed without DMA remapping. */
static long reserved_device_memory_map(u64 arg)
{
	struct xen_reserved_device_memory_map map;

	if (copy_from_guest(&map, (void *)arg, sizeof(map)))
		return -EFAULT;
	if (map.flags & ~XENMEM_RDM_ALL)
		return -EINVAL;
	map.nr_entries = 0;
	return copy_to_guest((void *)arg, &map, sizeof(map));
}

static long dispatch(unsigned op, u64 start, u64 arg)
{
	switch (op) {
	case XENMEM_increase_reservation:
	case XENMEM_decrease_reservation:
	case XENMEM_populate_physmap:
		return memop_reservation(op, start, arg);
	case XENMEM_exchange:
		return memop_exchange(arg);
	}
	if (start)
		return -EINVAL;

	switch (op) {
	case XENMEM_maximum_ram_page:
		return (long)frame_table_end;
	case XENMEM_current_reservation:
	case XENMEM_maximum_reservation:
	case XENMEM_maximum_gpfn:
		return domain_figure(op, arg);
	case XENMEM_machphys_mapping:
		return machphys_mapping(arg);
	case XENMEM_machphys_mfn_list:
		return machphys_mfn_list(arg);
	case XENMEM_memory_map:
		return memop_memory_map(arg);
	case XENMEM_machine_memory_map:
		return memop_machine_memory_map(arg);
	case XENMEM_set_memory_map:
		return memop_set_memory_map(arg);
	case XENMEM_add_to_physmap:
	case XENMEM_add_to_physmap_batch:
	case XENMEM_remove_from_physmap:
		/* A PV guest keeps its own physical-to-machine map. */
		return -EACCES;
	case XENMEM_reserved_device_memory_map:
		return reserved_device_memory_map(arg);
	case XENMEM_claim_pages:
		return memop_claim_pages(arg);
	case XENMEM_acquire_resource:
		return memop_acquire_resource(arg);
	case XENMEM_get_sharing_freed_pages:
	case XENMEM_get_sharing_shared_pages:
		return 0;
	case XENMEM_get_vnumainfo:
		return -EOPNOTSUPP;
	default:
		return -ENOSYS;
	}
}

HYPERCALL(do_memory_op)
{
	return dispatch(a1 & MEMOP_CMD_MASK, a1 >> MEMOP_CMD_BITS, a2);
}
