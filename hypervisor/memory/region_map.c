/* SPDX-License-Identifier: MIT */
/* Frame counts per region, in a radix tree: the count is stored in place of a pointer. */

#include <core/panic.h>
#include <lib/errno.h>
#include <lib/radix.h>
#include <memory/region_map.h>
#include <memory/xmalloc.h>

struct region_map { struct radix counts; };

struct region_map *region_map_create(void)
{
	struct region_map *r = xnew(struct region_map);

	if (r)
		radix_init(&r->counts, &xmalloc_allocator);
	return r;
}

void region_map_destroy(struct region_map *r)
{
	if (r)
		radix_clear(&r->counts);
	xfree(r);
}

static int add_to_region(struct region_map *r, u64 region, u64 n)
{
	u64 old = (u64)radix_lookup(&r->counts, region);

	if (!old)
		return radix_insert(&r->counts, region, (void *)n);
	radix_replace(&r->counts, region, (void *)(old + n));
	return 0;
}

static void take_from_region(struct region_map *r, u64 region, u64 n)
{
	u64 old = (u64)radix_lookup(&r->counts, region);

	BUG_ON(old < n);
	if (old == n)
		radix_erase(&r->counts, region);
	else
		radix_replace(&r->counts, region, (void *)(old - n));
}

/* How many of the n frames from m are in m's region. */
static u64 in_region(mfn_t m, u64 n)
{
	return min(n, REGION_FRAMES - m.v % REGION_FRAMES);
}

int region_map_add(struct region_map *r, mfn_t m, u64 n)
{
	for (u64 done = 0, part; done < n; done += part) {
		mfn_t at = mfn_add(m, done);
		int rc;

		part = in_region(at, n - done);
		rc = add_to_region(r, at.v >> REGION_SHIFT, part);
		if (rc) {
			for (u64 undo = 0; undo < done; undo += part) {
				part = in_region(mfn_add(m, undo), done - undo);
				take_from_region(r, (m.v + undo) >> REGION_SHIFT, part);
			}
			return rc;
		}
	}
	return 0;
}

void region_map_remove(struct region_map *r, mfn_t m, u64 n)
{
	take_from_region(r, m.v >> REGION_SHIFT, n);
}

bool region_map_next(const struct region_map *r, mfn_t *m)
{
	u64 region = m->v >> REGION_SHIFT;

	if (!radix_next(&r->counts, &region))
		return false;
	if (region << REGION_SHIFT > m->v)
		*m = mfn(region << REGION_SHIFT);
	return true;
}
