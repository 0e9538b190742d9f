/* SPDX-License-Identifier: MIT */
/* The parts of a core dump. Private to core*.c. */
#ifndef TOOLS_LIB_CORE_PARTS_H
#define TOOLS_LIB_CORE_PARTS_H

#include <lib/err.h>
#include <lib/hv.h>
#include <stdbool.h>

#define CORE_SEGMENTS_MAX	60000	/* e_phnum has 16 bits */

/* A page of the guest, as .xen_p2m has it. */
struct core_page {
	uint64_t pfn, gmfn;
};

struct core_pages {
	struct core_page *page;		/* by pfn, each once; page i is page i of .xen_pages */
	size_t n;
	uint32_t *by_mfn;		/* indices into page, by gmfn */
};

/*
 * All pages that belong to the domain, by what the machine-to-phys table calls them: no word of the guest's own is needed, so a
 * guest that has not yet published its map, or has destroyed it, has them as well. Of pages that it has given the same name, one
 * counts. Allocated; core_pages_free() also after a failure.
 */
int core_pages_find(struct hv *hv, uint16_t domid, struct core_pages *p);
void core_pages_free(struct core_pages *p);
/* The page's index, or -1: it is not the guest's. */
long core_pages_index(const struct core_pages *p, uint64_t mfn);

/* Virtual addresses [va, va + n * 4096) are pages first … first + n - 1. */
struct core_segment {
	uint64_t va;
	size_t first, n;
};

struct core_segments {
	struct core_segment *s;
	size_t n;
	bool incomplete;		/* there are more than CORE_SEGMENTS_MAX */
};

/*
 * What a vCPU with this L4 page table sees of the guest's own memory, the kernel's half first. The tables are read from the dump:
 * read_page() gives page `index` of it, 512 entries; 0 or -errno. -ENOMEM.
 */
int core_segments_find(const struct core_pages *p, uint64_t l4_mfn, int (*read_page)(size_t index, uint64_t *table, void *ctx),
		       void *ctx, struct core_segments *out);

/* --- the file's frame: everything but the pages (core_format.c) --- */

struct core_format {
	const struct core_pages *pages;
	const vcpu_guest_context_t *vcpus;
	size_t nvcpus;
	void *head;			/* from the start of the file to .xen_p2m, `head_size` bytes, allocated */
	size_t head_size;
	uint64_t pages_offset;		/* of .xen_pages, a multiple of 4096 */
	uint64_t end;			/* behind the pages: where the program headers begin */
	uint64_t notes_offset, notes_size;	/* of the notes that gdb reads */
};

/* Lay it out. shared_info: the page's content. 0 or -ENOMEM. */
int core_format_start(struct core_format *f, struct hv *hv, const struct core_pages *pages, const vcpu_guest_context_t *vcpus,
		      size_t nvcpus, const void *shared_info);
/*
 * The program headers, allocated, for f->end of the file; and the ELF header in f->head is completed: with for_crash it names none
 * of them. NULL: no memory.
 */
void *core_format_finish(struct core_format *f, const struct core_segments *s, bool for_crash, size_t *size);

#endif
