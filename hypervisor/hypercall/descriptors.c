/* SPDX-License-Identifier: MIT */
/* The guest's GDT and single descriptors. (The LDT is set by mmuext_op.) */
#include <hypercall/dispatch.h>
#include <memory/heap.h>
#include <pv/pv.h>

HYPERCALL(do_set_gdt)
{
	u64 frames[RESERVED_GDT_PAGE];
	u64 entries = a2;
	int rc;

	if (entries > FIRST_RESERVED_GDT_ENTRY)
		return -EINVAL;
	if (copy_from_guest(frames, (const void *)a1, DIV_ROUND_UP(entries, PAGE_SIZE / 8) * sizeof(frames[0])))
		return -EFAULT;
	rc = pv_set_gdt(current, frames, (unsigned)entries);
	return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_set_gdt, 2, a1, a2) : rc;
}

/* Take the reference under which a frame of d may be written with a checked descriptor: as what it is, or as any writable page. */
static int get_for_descriptor(struct domain *d, mfn_t m)
{
	int rc;

	if (!get_frame(m, d))
		return -EINVAL;
	rc = pv_get_frame_type(d, m, frame_type(frame_read(m)) == FRAME_SEGDESC ? FRAME_SEGDESC : FRAME_WRITABLE);
	put_frame(m);
	return rc;
}

/* a1: machine address of the descriptor; a2: its new value. */
HYPERCALL(do_update_descriptor)
{
	struct domain *d = current->domain;
	mfn_t m = paddr_to_mfn(paddr(a1));
	u64 desc = a2;
	int rc;

	if (!IS_ALIGNED(a1, sizeof(desc)) || !pv_check_descriptor(&desc))
		return -EINVAL;
	rc = get_for_descriptor(d, m);
	if (rc)
		return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_update_descriptor, 2, a1, a2) : -EINVAL;

	/* Commit. One store: the processor may be reading it. */
	WRITE_ONCE(*(u64 *)paddr_to_virt(paddr(a1)), desc);
	pv_put_frame_type(d, m);
	return 0;
}
