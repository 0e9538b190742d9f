/* SPDX-License-Identifier: MIT */
/* Single page-table entries: which are acceptable, and the references they hold. */

#include <core/console.h>
#include <core/panic.h>
#include <domain/permission.h>
#include <lib/errno.h>
#include <pv/pagetable.h>
#include <x86/cpuid.h>

#define CACHE_BITS	(PTE_PAT | PTE_PCD | PTE_PWT)

/* Not RAM, or marked as a device's: such frames have no references. The answer for a frame never changes. */
static bool is_device_frame(frame_t f)
{
	return f.v == 0 || frame_owner(f) == DOMID_IO;
}

static bool may_use_device(struct domain *d, mfn_t m)
{
	return domain_allowed(d, PERMISSION_IOMEM, m.v, m.v);
}

static int get_device_l1e(struct domain *d, struct domain *pg_owner, pte_t e)
{
	mfn_t m = pte_mfn(e);

	/* Higher address bits are reserved ones to the processor. */
	if (m.v >> (cpu_features.phys_bits - PAGE_SHIFT))
		return -EINVAL;
	if (!may_use_device(d, m) || (pg_owner != d && pg_owner != dom_io && !may_use_device(pg_owner, m)))
		return -EPERM;
	return 0;
}

/* Frames of others, device memory, read-only mappings, and what is refused. */
static __noinline int get_uncommon(struct domain *d, struct domain *pg_owner, pte_t *e)
{
	mfn_t m = pte_mfn(*e);
	frame_t f = frame_read(m);

	if (is_device_frame(f))
		return get_device_l1e(d, pg_owner, *e);
	/* The cache attributes of RAM are the hypervisor's: only who owns the devices may have others, on his own frames. */
	if (!d->hardware || frame_owner(f) != d->id)
		e->v &= ~CACHE_BITS;
	if (pg_owner == dom_xen) {
		if (!d->privileged || !(f.v & FRAME_SHARED) || e->v & PTE_RW)
			return -EPERM;
		return get_frame(m, pg_owner) ? 0 : -EINVAL;
	}
	if (e->v & PTE_RW) {
		int rc = frame_get_writable(m, pg_owner);

		if (rc)
			guest_debug("writable mapping of frame %#lx refused: %d (type %u, used %lu times, %lu references)\n", m.v, rc,
				    frame_type(f), frame_tcount(f), frame_count(f));
		return rc;
	}
	return get_frame(m, pg_owner) ? 0 : -EINVAL;
}

int pt_get_present_l1e(struct domain *d, struct domain *pg_owner, pte_t *e)
{
	e->v = (e->v | PTE_US) & ~PTE_G;
	/* Nearly always: a page of its own that is mapped writable elsewhere, too. */
	if (likely(pg_owner == d && e->v & PTE_RW && frame_get_type_again(pte_mfn(*e), d->id, FRAME_WRITABLE))) {
		if (!d->hardware)
			e->v &= ~CACHE_BITS;
		return 0;
	}
	return get_uncommon(d, pg_owner, e);
}

/* d drops a writable mapping of a frame of another domain: d's CPUs may still have it. */
static void note_foreign_cpus(const struct domain *d, mfn_t m)
{
	/* A page that the hypervisor has shared does not keep its owner, but with interrupts off who is found in the table stays. */
	u64 flags = local_irq_save();
	struct domain *o = domain_of_owner(frame_owner(frame_read(m)));

	for (unsigned i = 0; o && o->pv && i < DIV_ROUND_UP(nr_cpus, 64); i++) {
		u64 bits = READ_ONCE(d->dirty_cpus.bits[i]);

		if (bits & ~READ_ONCE(o->pv->foreign_cpus.bits[i]))
			atomic_fetch_or(&o->pv->foreign_cpus.bits[i], bits);
	}
	local_irq_restore(flags);
}

static __noinline void put_uncommon(struct domain *d, pte_t e)
{
	mfn_t m = pte_mfn(e);
	frame_t f = frame_read(m);

	if (is_device_frame(f))
		return;
	if (!(e.v & PTE_RW)) {
		put_frame(m);
		return;
	}
	if (frame_owner(f) != d->id)
		note_foreign_cpus(d, m);
	frame_put_writable(m);
}

void pt_put_present_l1e(struct domain *d, pte_t e)
{
	mfn_t m = pte_mfn(e);
	frame_t f = frame_read(m);

	/* Nearly always: a page of its own. What is no RAM has no type. */
	if (likely(e.v & PTE_RW && frame_owner(f) == d->id && frame_type(f) == FRAME_WRITABLE))
		BUG_ON(!frame_put_type(m));
	else
		put_uncommon(d, e);
}

int pt_check_upper(pte_t *e, unsigned level)
{
	if (!pte_present(*e))
		return 0;
	/* Large pages (bit 7 is reserved in level 4), global bit, and cache attributes of page tables. */
	if (e->v & (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT))
		return -EINVAL;
	e->v |= PTE_US;
	return 0;
}
