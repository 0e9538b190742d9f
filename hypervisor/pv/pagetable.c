/* SPDX-License-Identifier: MIT */
/* Types of PV guests' frames: the theory of page-table safety, and the entry points for the rest of pv/. */

/*
 * What this is for. A PV guest's page tables are the processor's page tables. The guest reads them freely and changes them only
 * through us (mmu_update and its relatives, or emulated writes). The invariant that keeps guests apart:
 *
 *   Whatever the processor may use as a page table or descriptor table is a frame of that type, valid, that no guest can write;
 *   and each of its entries names only what its domain may map in that way.
 *
 * Types. A frame is one thing at a time (memory/frame.h): a table of one level, a descriptor table, writable, or none of
 * these. Type references:
 *   - an entry of level 2..4 holds one on the table it names; a vCPU's base tables and a pin hold one each;
 *   - a writable level-1 entry holds a FRAME_WRITABLE one on its frame; a read-only one holds a general reference;
 *   - GDT and LDT pages hold FRAME_SEGDESC ones; grant mappings and other users hold their own (domain/domain.h).
 * The type may change only when no type reference is left. A frame belongs to its owner until its last reference of any
 * kind is gone. References of an entry belong to the entry: whoever replaces it, atomically, drops the references of
 * exactly the value that was there. Device memory is not counted.
 *
 * Tables are made valid by looking at all entries and taking their references, and released by dropping them. No linear or
 * recursive tables: an entry's target has exactly the next lower level, so tables form trees (with sharing) of height 4.
 *
 * What the guest sees changed in its entries: the user bit is set in every present one (its kernel runs in ring 3), the
 * global bit is cleared (a global translation would survive CR3 loads, which the TLB epochs rely on), the cache-attribute
 * bits are cleared where it may not choose them. In level 4, slots 256..271 are ours while the frame is a table.
 *
 * TLBs. A processor may use a translation, or a cached pointer to a table, until it is flushed. So when a frame with type
 * NONE becomes a table, all CPUs that may know it as something else are flushed, unless they have been since it lost its
 * last type (its epoch); when a frame that was a table becomes writable, likewise; and when a frame changes its owner
 * (memory/heap.c). CPUs of other domains with writable mappings of the frame are remembered in foreign_cpus when they drop
 * the last one.
 *   The hypervisor relies on that for its own walks of the tables that are loaded (pt_lookup()). The CPU is one of the domain's
 * dirty_cpus, and while it has interrupts off it flushes nothing and answers nobody who waits for its flush: whatever was a
 * table when the walk came to it, or could come to it, keeps the contents of one until the walk is over, even if it is
 * detached meanwhile. Its last flush was before, hence not after the epoch of a frame that stops being a table during the walk.
 *
 * Concurrency. Level-1 entries are changed without a lock: hold a type reference to the table, so that it stays a valid
 * table; take the references for the new entry; compare-and-exchange; drop those of the old. Everything that makes or
 * unmakes a table, or changes an upper level, happens under the domain's pt_lock.
 *
 * Long work. Validation or release of a tree is a job of the domain: a stack of at most four (table, index). It stops when
 * the CPU has other things to do and is then pending; a frame on the stack has its type, but is not valid, so nobody can
 * use it. Who needs the lock next finishes the pending job first. So neither a guest interrupt handler that interrupts a
 * continuation, nor a guest that never comes back for one, blocks anybody. The reference that a validation produced, or
 * its error, waits in a slot of the requesting vCPU; the restarted hypercall finds it there, and the next other request
 * drops it.
 */

#include <core/panic.h>
#include <lib/errno.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>

static int get_segdesc(struct domain *d, mfn_t m)
{
	u64 *desc = mfn_to_virt(m);
	int rc = frame_get_type(m, d->id, FRAME_SEGDESC, NULL);

	if (rc != -EAGAIN)
		return rc;
	rc = pt_lock(d);
	if (rc)
		return rc;
	rc = frame_get_type(m, d->id, FRAME_SEGDESC, NULL);
	if (rc == -EAGAIN) {
		rc = pt_begin_type(d, m, FRAME_SEGDESC);
		for (unsigned i = 0; !rc && i < PAGE_SIZE / sizeof(*desc); i++)
			if (!pv_check_descriptor(&desc[i]))
				rc = -EPERM;
		/* From here on others may use it. */
		if (!rc)
			frame_set_valid(m);
		else if (rc == -EPERM)
			frame_end_type(m);
	}
	pt_unlock(d);
	return rc == -EPERM ? -EINVAL : rc;
}

int pv_get_frame_type(struct domain *d, mfn_t m, unsigned type)
{
	int rc;

	switch (type) {
	case FRAME_WRITABLE:
		return frame_get_writable(m, d);
	case FRAME_SEGDESC:
		return get_segdesc(d, m);
	case FRAME_L1 ... FRAME_L4:
		rc = pt_lock(d);
		if (rc)
			return rc;
		rc = pt_get_table(d, m, type);
		pt_unlock(d);
		return rc;
	default:
		BUG();
	}
}

void pv_put_frame_type(struct domain *d, mfn_t m)
{
	/* Page tables are referenced only from pt_*.c, which puts them itself. */
	BUG_ON(!frame_put_type(m));
}
