/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_grant_table_op: copy-in, permission, the handlers of ipc/gnttab*.c, copy-out. ABI: <xen/grant_table.h>.
 *
 * Most operations take an array. They stop between elements when something else waits for the CPU; the continuation is the same
 * call on the rest of the array, so there is no progress that a guest could forge. Errors of one element go to its status field;
 * only what concerns the array as a whole is returned.
 */
#include <hypercall/dispatch.h>
#include <ipc/gnttab.h>
#include <lib/errno.h>
#include <memory/frame.h>
#include <x86/cr.h>
#include <memory/heap.h>

#define CACHE_LINE	64

/* An array argument: what is left of it. */
struct array { u32 cmd; u64 at; u32 left; };

/* Go on with the rest of the array in another call. */
static long more(const struct array *a)
{
	return hypercall_continue(__HYPERVISOR_grant_table_op, 3, (u64)a->cmd, a->at, (u64)a->left);
}

static void advance(struct array *a, u32 n, size_t size)
{
	a->at += n * size;
	a->left -= n;
}

/* Run a statement on each element: copied in to `op`, and out again afterwards. */
#define FOR_EACH_ELEMENT(a, op, statement)						\
	while ((a)->left) {								\
		if (copy_from_guest(&(op), (void *)(a)->at, sizeof(op)))		\
			return -EFAULT;							\
		statement;								\
		if (copy_to_guest((void *)(a)->at, &(op), sizeof(op)))			\
			return -EFAULT;							\
		advance((a), 1, sizeof(op));						\
		if ((a)->left && hypercall_preempt_check())				\
			return more(a);							\
	}										\
	return 0

/* The domain named by an argument that only a privileged domain may name others in: referenced, or NULL and the status. */
static struct domain *target_domain(u16 id, s16 *status)
{
	struct domain *d = domain_from_arg(id);

	*status = GNTST_bad_domain;
	if (d && d != current->domain && !current->domain->privileged) {
		*status = GNTST_permission_denied;
		domain_put(d);
		d = NULL;
	}
	return d;
}

/* --- tables ------------------------------------------------------------------------------------------------------------------- */

/* Write the first n frame numbers of the table to a guest array. */
static int list_frames(struct domain *d, bool status, u32 n, void *list, s16 *result)
{
	for (u32 i = 0; i < n; i++) {
		mfn_t m;
		u64 v;

		if (gnttab_get_frame(d, status, i, &m)) {
			*result = GNTST_general_error;
			return 0;
		}
		v = m.v;
		if (copy_to_guest_idx(list, i, &v, sizeof(v)))
			return -EFAULT;
	}
	*result = GNTST_okay;
	return 0;
}

static long do_setup_table(struct array *a)
{
	struct gnttab_setup_table op;
	struct domain *d;
	int rc = 0;

	if (a->left != 1)
		return -EINVAL;
	if (copy_from_guest(&op, (void *)a->at, sizeof(op)))
		return -EFAULT;
	d = target_domain(op.dom, &op.status);
	if (d) {
		op.status = GNTST_general_error;
		if (!gnttab_grow(d, op.nr_frames))
			rc = list_frames(d, false, op.nr_frames, op.frame_list.p, &op.status);
		domain_put(d);
	}
	return rc ?: copy_to_guest((void *)a->at, &op, sizeof(op));
}

static long do_get_status_frames(struct array *a)
{
	struct gnttab_get_status_frames op;
	struct domain *d;
	int rc = 0;

	if (a->left != 1)
		return -EINVAL;
	if (copy_from_guest(&op, (void *)a->at, sizeof(op)))
		return -EFAULT;
	d = target_domain(op.dom, &op.status);
	if (d) {
		rc = list_frames(d, true, op.nr_frames, op.frame_list.p, &op.status);
		domain_put(d);
	}
	return rc ?: copy_to_guest((void *)a->at, &op, sizeof(op));
}

static long do_query_size(struct array *a)
{
	struct gnttab_query_size op;
	struct domain *d;

	if (a->left != 1)
		return -EINVAL;
	if (copy_from_guest(&op, (void *)a->at, sizeof(op)))
		return -EFAULT;
	d = target_domain(op.dom, &op.status);
	if (d) {
		gnttab_query(d, &op.nr_frames, &op.max_nr_frames);
		op.status = GNTST_okay;
		domain_put(d);
	}
	return copy_to_guest((void *)a->at, &op, sizeof(op));
}

static long do_set_version(struct array *a)
{
	struct gnttab_set_version op;
	int rc;

	if (copy_from_guest(&op, (void *)a->at, sizeof(op)))
		return -EFAULT;
	rc = gnttab_set_version(current->domain, op.version);
	op.version = gnttab_version(current->domain);
	return copy_to_guest((void *)a->at, &op, sizeof(op)) ?: rc;
}

static long do_get_version(struct array *a)
{
	struct gnttab_get_version op;
	struct domain *d;
	s16 status;

	if (copy_from_guest(&op, (void *)a->at, sizeof(op)))
		return -EFAULT;
	d = target_domain(op.dom, &status);
	if (!d)
		return status == GNTST_bad_domain ? -ESRCH : -EPERM;
	op.version = gnttab_version(d);
	domain_put(d);
	return copy_to_guest((void *)a->at, &op, sizeof(op));
}

/* --- mappings ----------------------------------------------------------------------------------------------------------------- */

static long do_map(struct array *a)
{
	struct gnttab_map_grant_ref op;

	FOR_EACH_ELEMENT(a, op, gnttab_map(&op));
}

/* GNTTABOP_unmap_grant_ref and GNTTABOP_unmap_and_replace differ in what the second word means. */
struct unmap_op { u64 host_addr, addr2; u32 handle; s16 status; };
_Static_assert(sizeof(struct unmap_op) == sizeof(struct gnttab_unmap_grant_ref), "ABI");
_Static_assert(sizeof(struct unmap_op) == sizeof(struct gnttab_unmap_and_replace), "ABI");

/* Up to a batch of elements. */
static int unmap_batch(const struct array *a, bool replace, u32 n)
{
	struct gnttab_unmap_batch batch = { 0 };
	int rc = 0;

	for (u32 i = 0; i < n && !rc; i++) {
		struct unmap_op op;

		rc = copy_from_guest_idx(&op, (void *)a->at, i, sizeof(op));
		if (rc)
			break;
		op.status = replace ? gnttab_unmap(op.host_addr, 0, op.addr2, op.handle, &batch) :
				      gnttab_unmap(op.host_addr, op.addr2, 0, op.handle, &batch);
		rc = copy_to_guest_idx((void *)a->at, i, &op, sizeof(op));
	}
	gnttab_unmap_finish(&batch);
	return rc;
}

static long do_unmap(struct array *a)
{
	while (a->left) {
		u32 n = min(a->left, (u32)GNTTAB_UNMAP_BATCH);
		int rc = unmap_batch(a, a->cmd == GNTTABOP_unmap_and_replace, n);

		if (rc)
			return rc;
		advance(a, n, sizeof(struct unmap_op));
		if (a->left && hypercall_preempt_check())
			return more(a);
	}
	return 0;
}

/* --- copy, transfer, the rest ------------------------------------------------------------------------------------------------- */

static long copy_elements(struct array *a, struct gnttab_copy_state *state)
{
	struct gnttab_copy op;

	FOR_EACH_ELEMENT(a, op, op.status = gnttab_copy(&op, state));
}

static long do_copy(struct array *a)
{
	struct gnttab_copy_state state = { 0 };
	long rc = copy_elements(a, &state);

	gnttab_copy_finish(&state);
	return rc;
}

static long do_transfer(struct array *a)
{
	struct gnttab_transfer op;

	FOR_EACH_ELEMENT(a, op, op.status = gnttab_transfer(op.mfn, op.domid, op.ref));
}

static long do_swap(struct array *a)
{
	struct gnttab_swap_grant_ref op;

	FOR_EACH_ELEMENT(a, op, op.status = gnttab_swap(current->domain, op.ref_a, op.ref_b));
}

static int flush_cache(const struct gnttab_cache_flush *op)
{
	u8 *p;

	if (op->op & GNTTAB_CACHE_SOURCE_GREF)
		return -EOPNOTSUPP;
	if (op->op & ~(GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL) || (u32)op->offset + op->length > PAGE_SIZE)
		return -EINVAL;
	if (!op->length || !op->op)
		return 0;
	if (!mfn_valid(mfn(op->a.dev_bus_addr >> PAGE_SHIFT)))
		return -ENXIO;
	p = paddr_to_virt(paddr(op->a.dev_bus_addr & PAGE_MASK));
	for (u32 i = ALIGN_DOWN((u32)op->offset, CACHE_LINE); i < (u32)op->offset + op->length; i += CACHE_LINE)
		__asm__ volatile("clflush %0" : "+m"(p[i]));
	return 0;
}

/* Only for those who drive devices: the time a flush takes says something about other domains. */
static long do_cache_flush(struct array *a)
{
	struct gnttab_cache_flush op;

	if (!current->domain->hardware)
		return -EPERM;
	while (a->left) {
		int rc;

		if (copy_from_guest(&op, (void *)a->at, sizeof(op)))
			return -EFAULT;
		rc = flush_cache(&op);
		if (rc)
			return rc;
		advance(a, 1, sizeof(op));
		if (a->left && hypercall_preempt_check())
			return more(a);
	}
	return 0;
}

HYPERCALL(do_grant_table_op)
{
	struct array a = { .cmd = (u32)a1, .at = a2, .left = (u32)a3 };

	if ((s32)a.left < 0)
		return -EINVAL;
	switch (a.cmd) {
	case GNTTABOP_map_grant_ref:
		return do_map(&a);
	case GNTTABOP_unmap_grant_ref:
	case GNTTABOP_unmap_and_replace:
		return do_unmap(&a);
	case GNTTABOP_setup_table:
		return do_setup_table(&a);
	case GNTTABOP_transfer:
		return do_transfer(&a);
	case GNTTABOP_copy:
		return do_copy(&a);
	case GNTTABOP_query_size:
		return do_query_size(&a);
	case GNTTABOP_set_version:
		return do_set_version(&a);
	case GNTTABOP_get_status_frames:
		return do_get_status_frames(&a);
	case GNTTABOP_get_version:
		return do_get_version(&a);
	case GNTTABOP_swap_grant_ref:
		return do_swap(&a);
	case GNTTABOP_cache_flush:
		return do_cache_flush(&a);
	default:
		return -ENOSYS;
	}
}
