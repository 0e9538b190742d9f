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

/* --- mappings and copies ------------------------------------------------------------------------------------------------------ */

/* Elements as words, of which the guest gets back those from word first on that hold results. */
#define MAP_WORDS	4
#define MAP_RESULT	2
#define UNMAP_WORDS	3
#define UNMAP_RESULT	2
#define COPY_WORDS	5
#define COPY_RESULT	4
union map_op { struct gnttab_map_grant_ref op; u64 w[MAP_WORDS]; };
/* GNTTABOP_unmap_grant_ref and GNTTABOP_unmap_and_replace differ in what the second word means. */
union unmap_op { struct { u64 host_addr, addr2; u32 handle; s16 status; } op; u64 w[UNMAP_WORDS]; };
union copy_op { struct gnttab_copy op; u64 w[COPY_WORDS]; };
#define ASSERT_WORDS(type, words, first, result)	\
	_Static_assert(sizeof(struct type) == (words) * sizeof(u64) && offsetof(struct type, first) == (result) * sizeof(u64), "ABI")
ASSERT_WORDS(gnttab_map_grant_ref, MAP_WORDS, dom, MAP_RESULT);
ASSERT_WORDS(gnttab_unmap_grant_ref, UNMAP_WORDS, handle, UNMAP_RESULT);
ASSERT_WORDS(gnttab_unmap_and_replace, UNMAP_WORDS, handle, UNMAP_RESULT);
ASSERT_WORDS(gnttab_copy, COPY_WORDS, len, COPY_RESULT);

/* Elements between two looks at what else waits for the CPU. */
#define MAP_STRIDE	GNTTAB_UNMAP_BATCH
#define COPY_STRIDE	16

/* The same for elements that are used in place, n of them: each in the words `w` while the statement runs. 0, -EFAULT. */
#define FOR_SOME_ELEMENTS(a, n, w, result, statement) ({				\
	u64 *_at = (u64 *)(a)->at;							\
	int _rc = 0;									\
											\
	for (u32 _i = 0; _i < (n) && !_rc; _i++, _at += ARRAY_SIZE(w)) {		\
		_rc = guest_get_words((w), _at, ARRAY_SIZE(w));				\
		if (_rc)								\
			break;								\
		statement;								\
		_rc = guest_put_words(_at + (result), (w) + (result), ARRAY_SIZE(w) - (result));	\
	}										\
	_rc; })

static int map_some(const struct array *a, u32 n)
{
	struct gnttab_map_state state = { 0 };
	union map_op u;
	int rc = FOR_SOME_ELEMENTS(a, n, u.w, MAP_RESULT, gnttab_map(&u.op, &state));

	gnttab_map_finish(&state);
	return rc;
}

static int unmap_some(const struct array *a, u32 n)
{
	bool replace = a->cmd == GNTTABOP_unmap_and_replace;
	struct gnttab_unmap_batch batch;
	union unmap_op u;
	int rc;

	batch.n = 0;
	batch.flush = false;
	batch.near.key = 0;
	rc = FOR_SOME_ELEMENTS(a, n, u.w, UNMAP_RESULT,
		u.op.status = gnttab_unmap(u.op.host_addr, replace ? 0 : u.op.addr2, replace ? u.op.addr2 : 0, u.op.handle, &batch));
	gnttab_unmap_finish(&batch);
	return rc;
}

static int copy_some(const struct array *a, u32 n)
{
	struct gnttab_copy_state state;
	union copy_op u;
	int rc;

	state.granter = NULL;
	state.source.what = state.dest.what = 0;
	rc = FOR_SOME_ELEMENTS(a, n, u.w, COPY_RESULT, u.op.status = gnttab_copy(&u.op, &state));

	gnttab_copy_finish(&state);
	return rc;
}

/* What happens all the time: `stride` elements after another, of `words` words each. */
static __always_inline long in_strides(struct array *a, unsigned words, u32 stride, int (*some)(const struct array *a, u32 n))
{
	if (!guest_range_ok(a->at, (u64)a->left * words * sizeof(u64)))
		return -EFAULT;
	while (a->left) {
		u32 n = min(a->left, stride);
		int rc = some(a, n);

		if (rc)
			return rc;
		advance(a, n, words * sizeof(u64));
		if (a->left && hypercall_preempt_check())
			return more(a);
	}
	return 0;
}

/* --- transfer, the rest ------------------------------------------------------------------------------------------------------- */

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

/* By value, so that the caller can keep its own in registers. */
static __noinline long do_other(struct array a)
{
	switch (a.cmd) {
	case GNTTABOP_setup_table:
		return do_setup_table(&a);
	case GNTTABOP_transfer:
		return do_transfer(&a);
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

HYPERCALL(do_grant_table_op)
{
	struct array a = { .cmd = (u32)a1, .at = a2, .left = (u32)a3 };

	if ((s32)a.left < 0)
		return -EINVAL;
	switch (a.cmd) {
	case GNTTABOP_map_grant_ref:
		return in_strides(&a, MAP_WORDS, MAP_STRIDE, map_some);
	case GNTTABOP_unmap_grant_ref:
	case GNTTABOP_unmap_and_replace:
		return in_strides(&a, UNMAP_WORDS, MAP_STRIDE, unmap_some);
	case GNTTABOP_copy:
		return in_strides(&a, COPY_WORDS, COPY_STRIDE, copy_some);
	default:
		return do_other(a);
	}
}
