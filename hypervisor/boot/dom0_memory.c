/* SPDX-License-Identifier: MIT */
/* Domain 0's memory: how much (dom0_mem), and where it is. */
#include <boot/dom0.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/param.h>
#include <lib/number.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <x86/layout.h>

/* More than any machine has. Tools of this ABI know it as no limit, and can still count it in KiB. */
#define DOM0_NO_LIMIT	0xffffffffUL

/* A size, or "all but" a size. */
struct dom0_size { u64 bytes; bool negative, set; };
static struct dom0_size opt_size, opt_min, opt_max;

static int parse_one_size(const char *s, const char **end, struct dom0_size *out)
{
	struct dom0_size v = { .set = true, .negative = *s == '-' };
	int rc = number_parse_size(s + v.negative, end, KiB(1), &v.bytes);

	if (!rc)
		*out = v;
	return rc;
}

static int parse_dom0_mem(const char *s)
{
	for (;;) {
		struct dom0_size *out = &opt_size;

		if (!strncmp(s, "min:", 4))
			out = &opt_min, s += 4;
		else if (!strncmp(s, "max:", 4))
			out = &opt_max, s += 4;
		if (parse_one_size(s, &s, out))
			return -1;
		if (!*s)
			return 0;
		if (*s++ != ',')
			return -1;
	}
}
BOOT_PARAM("dom0_mem", parse_dom0_mem, "[min:|max:]SIZE[,…]; a plain number is KiB, -SIZE means all but SIZE", "memory of Domain 0");

static struct dom0_extent *extents;
static unsigned nr_extents, extents_order = 2;

static u64 to_pages(const struct dom0_size *s, u64 avail)
{
	u64 pages = s->bytes >> PAGE_SHIFT;

	return !s->negative ? pages : avail > pages ? avail - pages : 0;
}

u64 dom0_pages(u64 *max)
{
	/* Left for the hypervisor's own later needs: page tables, grant tables, other domains' structures. */
	u64 avail = heap_free_pages(), reserve = min(avail / 16, MiB(128) >> PAGE_SHIFT), pages;

	pages = opt_size.set ? to_pages(&opt_size, avail) : avail - reserve;
	if (opt_size.set && !opt_size.negative && pages > avail)
		boot_fail("dom0_mem=%luM is more than the %lu MiB that this machine has free", pages >> 8, avail >> 8);
	if (opt_min.set)
		pages = max(pages, min(to_pages(&opt_min, avail), avail));
	if (opt_max.set)
		pages = min(pages, to_pages(&opt_max, avail));
	if (pages < MiB(16) >> PAGE_SHIFT)
		boot_fail("dom0_mem leaves Domain 0 %lu KiB; it needs at least 16 MiB (%lu MiB are free)", pages << 2, avail >> 8);
	*max = opt_max.set ? max(to_pages(&opt_max, avail), pages) : DOM0_NO_LIMIT;
	return pages;
}

void dom0_alloc_memory(struct domain *d, u64 pages)
{
	unsigned capacity, order = HEAP_MAX_ORDER;

	extents = alloc_pages(extents_order);
	if (!extents)
		boot_fail("no memory for building Domain 0");
	capacity = (unsigned)((PAGE_SIZE << extents_order) / sizeof(*extents));
	for (u64 pfn = 0; pfn < pages;) {
		mfn_t m;

		while ((1UL << order) > pages - pfn)
			order--;
		/* Privileged, and nobody ran before it: what RAM holds is no secret from it. */
		m = domain_alloc_frames(d, order, 0, MEMF_NO_ZERO);
		if (mfn_eq(m, MFN_INVALID)) {
			if (!order--)
				boot_fail("memory ran out after %lu of %lu MiB for Domain 0", pfn >> 8, pages >> 8);
			continue;
		}
		if (nr_extents == capacity)
			boot_fail("memory is too fragmented for Domain 0");
		extents[nr_extents++] = (struct dom0_extent){ pfn, 1UL << order, m };
		for (u64 i = 0; i < (1UL << order); i++)
			m2p_set(mfn_add(m, i), pfn + i);
		pfn += 1UL << order;
	}
}

mfn_t dom0_mfn(u64 pfn)
{
	static unsigned last;	/* accesses are mostly sequential */

	for (unsigned i = 0; i < nr_extents; i++) {
		const struct dom0_extent *e = &extents[(last + i) % nr_extents];

		if (pfn >= e->pfn && pfn - e->pfn < e->n) {
			last = (last + i) % nr_extents;
			return mfn_add(e->mfn, pfn - e->pfn);
		}
	}
	BUG();
}

void *dom0_ptr(u64 pa)
{
	return (char *)mfn_to_virt(dom0_mfn(PFN_DOWN(pa))) + (pa & (PAGE_SIZE - 1));
}

void dom0_write(u64 pa, const void *src, u64 len)
{
	while (len) {
		u64 n = min(len, PAGE_SIZE - (pa & (PAGE_SIZE - 1)));

		memcpy(dom0_ptr(pa), src, n);
		pa += n;
		src = (const char *)src + n;
		len -= n;
	}
}

void dom0_clear(u64 pa, u64 len)
{
	while (len) {
		u64 n = min(len, PAGE_SIZE - (pa & (PAGE_SIZE - 1)));

		memset(dom0_ptr(pa), 0, n);
		pa += n;
		len -= n;
	}
}

void dom0_memory_done(void)
{
	free_pages(extents, extents_order);
	extents = NULL;
}
