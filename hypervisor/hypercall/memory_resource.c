/* SPDX-License-Identifier: MIT */
/* XENMEM_acquire_resource: machine frames of a domain's grant table for its builder to map. ABI: <xen/memory.h>. */

#include <hypercall/memory.h>
#include <ipc/gnttab.h>

/* Frames per call: the list is short, and each frame may have to be made first. */
#define MAX_FRAMES	32

static int grant_table_frames(struct domain *d, const xen_mem_acquire_resource_t *res, xen_pfn_t *list)
{
	bool status = res->id == XENMEM_resource_grant_table_id_status;

	if (res->id > XENMEM_resource_grant_table_id_status || res->frame > ~0u - MAX_FRAMES)
		return -EINVAL;
	for (u32 i = 0; i < res->nr_frames; i++) {
		mfn_t m;
		int rc = gnttab_get_frame(d, status, (u32)res->frame + i, &m);

		if (rc)
			return rc;
		list[i] = m.v;
	}
	return 0;
}

long memop_acquire_resource(u64 arg)
{
	xen_mem_acquire_resource_t res;
	xen_pfn_t list[MAX_FRAMES];
	struct domain *d;
	u32 have, limit;
	long rc;

	if (copy_from_guest(&res, (void *)arg, sizeof(res)))
		return -EFAULT;
	if (res.pad)
		return -EINVAL;
	if (!current->domain->privileged)
		return -EPERM;
	if (res.type != XENMEM_resource_grant_table)
		return -EOPNOTSUPP;
	rc = memop_domain(res.domid, &d);
	if (rc)
		return rc;

	if (!res.frame_list.p && !res.nr_frames) {
		gnttab_query(d, &have, &limit);
		res.nr_frames = limit;
		rc = copy_to_guest((void *)arg, &res, sizeof(res));
	} else if (!res.frame_list.p || !res.nr_frames) {
		rc = -EINVAL;
	} else if (res.nr_frames > MAX_FRAMES) {
		rc = -E2BIG;
	} else {
		rc = grant_table_frames(d, &res, list);
		if (!rc)
			rc = copy_to_guest(res.frame_list.p, list, res.nr_frames * sizeof(list[0]));
	}
	domain_put(d);
	return rc;
}
