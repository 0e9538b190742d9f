/* SPDX-License-Identifier: MIT */
/* Permissions of domains for parts of the machine: sets of ranges under one lock per domain. */
#include <domain/permission.h>

bool domain_allowed(struct domain *d, enum domain_permission what, u64 first, u64 last)
{
	const struct rangeset *rs = &d->permissions[what];
	bool allowed;

	/* Most domains have none. */
	if (!READ_ONCE(rs->count))
		return false;
	spin_lock(&d->permission_lock);
	allowed = rangeset_contains(rs, first, last);
	spin_unlock(&d->permission_lock);
	return allowed;
}

int domain_allow(struct domain *d, enum domain_permission what, u64 first, u64 last, bool allow)
{
	struct rangeset *rs = &d->permissions[what];
	int rc;

	spin_lock(&d->permission_lock);
	rc = allow ? rangeset_add(rs, first, last) : rangeset_remove(rs, first, last);
	spin_unlock(&d->permission_lock);
	return rc;
}

bool domain_has_devices(const struct domain *d)
{
	return READ_ONCE(d->permissions[PERMISSION_IOMEM].count) || READ_ONCE(d->permissions[PERMISSION_IOPORT].count);
}
