/* SPDX-License-Identifier: MIT */
/*
 * Changing how much memory a domain has: increase_reservation, decrease_reservation, populate_physmap, claim_pages. ABI:
 * <xen/memory.h>.
 */

#include <core/console.h>
#include <hypercall/memory.h>
#include <memory/heap.h>
#include <memory/m2p.h>

/* Extents that a continuation can count. */
#define MAX_EXTENTS	(~0u >> MEMOP_CMD_BITS)

struct reservation {
	struct domain *d;
	xen_memory_reservation_t r;
	unsigned order;
};

static int alloc_extent(struct reservation *s, u64 i, bool populate)
{
	xen_pfn_t pfn = 0;
	mfn_t m;

	if (populate && copy_from_guest_idx(&pfn, s->r.extent_start.p, i, sizeof(pfn)))
		return -EFAULT;
	m = domain_alloc_frames(s->d, s->order, XENMEMF_get_address_bits(s->r.mem_flags), 0);
	if (mfn_eq(m, MFN_INVALID))
		return -ENOMEM;
	for (u64 k = 0; populate && k < 1UL << s->order; k++)
		(void)domain_set_pfn(s->d, mfn_add(m, k), pfn + k);
	/* The guest has the memory whether it takes notice of where it is or not. */
	if (s->r.extent_start.p && copy_to_guest_idx(s->r.extent_start.p, i, &m.v, sizeof(m.v)))
		return -EFAULT;
	return 0;
}

static int free_frame(struct domain *d, mfn_t m)
{
	if (frame_read(m).v & FRAME_SHARED || !get_frame(m, d)) {
		guest_debug("decrease_reservation: frame %#lx is not d%u's\n", m.v, d->id);
		return -EINVAL;
	}
	if (frame_release(m))
		m2p_set(m, M2P_INVALID);
	put_frame(m);
	return 0;
}

static int free_extent(struct reservation *s, u64 i)
{
	xen_pfn_t m;

	if (copy_from_guest_idx(&m, s->r.extent_start.p, i, sizeof(m)))
		return -EFAULT;
	if (m + (1UL << s->order) < m)
		return -EINVAL;
	for (u64 k = 0; k < 1UL << s->order; k++) {
		int rc = free_frame(s->d, mfn(m + k));

		if (rc)
			return rc;
	}
	return 0;
}

static int one_extent(struct reservation *s, unsigned op, u64 i)
{
	if (op == XENMEM_decrease_reservation)
		return free_extent(s, i);
	return alloc_extent(s, i, op == XENMEM_populate_physmap);
}

long memop_reservation(unsigned op, u64 start, u64 arg)
{
	struct reservation s;
	u64 i = start;
	long rc;

	if (copy_from_guest(&s.r, (void *)arg, sizeof(s.r)))
		return (long)start;
	s.order = s.r.extent_order;
	if (s.r.nr_extents > MAX_EXTENTS || start > s.r.nr_extents || s.order > memop_max_order())
		return (long)start;
	/* Populate on demand and virtual nodes are for translated guests. */
	if (s.r.mem_flags & XENMEMF_populate_on_demand)
		return (long)start;
	rc = memop_domain(s.r.domid, &s.d);
	if (rc)
		return rc == -ESRCH ? (long)start : rc;

	for (rc = 0; i < s.r.nr_extents; i++) {
		if (i != start && hypercall_preempt_check()) {
			rc = -ERESTART;
			break;
		}
		if (one_extent(&s, op, i))
			break;
	}
	domain_put(s.d);
	/* The extents done are the result: a failure is seen by the number being small. */
	return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_memory_op, 2, op | i << MEMOP_CMD_BITS, arg) : (long)i;
}

/* Set memory aside for a domain that is being built: what others can have is what is free and not claimed. */
long memop_claim_pages(u64 arg)
{
	xen_memory_reservation_t r;
	struct domain *d;
	int rc;

	if (copy_from_guest(&r, (void *)arg, sizeof(r)))
		return -EFAULT;
	if (r.extent_start.p || r.extent_order || r.mem_flags)
		return -EINVAL;
	if (!current->domain->privileged)
		return -EPERM;
	rc = memop_domain(r.domid, &d);
	if (rc)
		return rc;
	rc = domain_claim(d, r.nr_extents);
	domain_put(d);
	return rc;
}
