/* SPDX-License-Identifier: MIT */
/* Memory maps: of a domain, as its builder set it, and of the machine. ABI: <xen/memory.h>. */

#include <core/e820.h>
#include <domain/domain.h>
#include <hypercall/memory.h>
#include <lib/string.h>
#include <memory/xmalloc.h>
#include <pv/pv.h>

/* As many as the firmware interface that the format comes from. */
#define MAX_ENTRIES	128

long memop_memory_map(u64 arg)
{
	struct domain *d = current->domain;
	struct e820entry *copy;
	struct xen_memory_map map;
	u32 n;
	int rc = 0;

	if (copy_from_guest(&map, (void *)arg, sizeof(map)))
		return -EFAULT;
	copy = xcalloc(MAX_ENTRIES, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	spin_lock(&d->lock);
	n = d->pv ? d->pv->e820_entries : 0;
	if (n)
		memcpy(copy, d->pv->e820, n * sizeof(*copy));
	spin_unlock(&d->lock);

	if (!n)
		rc = -ENOSYS;
	n = min(n, map.nr_entries);
	map.nr_entries = n;
	if (!rc && (copy_to_guest(map.buffer.p, copy, n * sizeof(*copy)) || copy_to_guest((void *)arg, &map, sizeof(map))))
		rc = -EFAULT;
	xfree(copy);
	return rc;
}

long memop_set_memory_map(u64 arg)
{
	struct xen_foreign_memory_map map;
	struct e820entry *new, *old = NULL;
	struct domain *d;
	int rc;

	if (copy_from_guest(&map, (void *)arg, sizeof(map)))
		return -EFAULT;
	if (map.map.nr_entries > MAX_ENTRIES)
		return -EINVAL;
	rc = memop_domain(map.domid, &d);
	if (rc)
		return rc;
	new = xcalloc(max(map.map.nr_entries, 1u), sizeof(*new));
	if (!d->pv)
		rc = -EINVAL;
	else if (!new)
		rc = -ENOMEM;
	else
		rc = copy_from_guest(new, map.map.buffer.p, map.map.nr_entries * sizeof(*new));
	if (!rc) {
		spin_lock(&d->lock);
		old = d->pv->e820;
		d->pv->e820 = new;
		d->pv->e820_entries = map.map.nr_entries;
		spin_unlock(&d->lock);
	}
	xfree(rc ? new : old);
	domain_put(d);
	return rc;
}

/* A NULL buffer asks for the number of entries. */
long memop_machine_memory_map(u64 arg)
{
	const struct e820entry *e820;
	unsigned n = e820_get(&e820);
	struct xen_memory_map map;

	if (!current->domain->privileged)
		return -EPERM;
	if (copy_from_guest(&map, (void *)arg, sizeof(map)))
		return -EFAULT;
	if (map.buffer.p) {
		n = min(n, map.nr_entries);
		if (copy_to_guest(map.buffer.p, e820, n * sizeof(*e820)))
			return -EFAULT;
	}
	map.nr_entries = n;
	return copy_to_guest((void *)arg, &map, sizeof(map));
}

static void memory_map_destroy(struct domain *d)
{
	if (d->pv) {
		xfree(d->pv->e820);
		d->pv->e820 = NULL;
	}
}

DOMAIN_MODULE(memory_map_module) = { .name = "memory map", .order = MODULE_PV + 2, .destroy = memory_map_destroy };
