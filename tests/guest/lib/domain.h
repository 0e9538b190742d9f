/* SPDX-License-Identifier: MIT */
/* Domains that a test kernel in Domain 0's place makes: their life, their memory, and how they are built from a kernel image. */
#ifndef GUEST_DOMAIN_H
#define GUEST_DOMAIN_H

#include "lib/hypercall.h"
#include "lib/types.h"

#include <xen/domctl.h>

#define DOM_MAX_PAGES 4096u

/* A domain of ours; what is not built stays zero. Too large for a stack. */
struct dom {
	u32 id;
	u32 nr_pages;
	u64 p2m[DOM_MAX_PAGES];
	u64 shared_mfn;
	/* dom_build() */
	u64 console_pfn, store_pfn, l4_pfn, first_free_pfn;
	u32 console_port, store_port;	/* the domain's ends; unbound */
	u64 entry_va, start_va, stack_va;	/* the stack grows down from here */
	struct xencons_interface *console;	/* mapped by dom_build() until dom_destroy() */
	void *store;
	char line[200];			/* of its console, not yet printed */
	u32 line_len;
	s32 passed, failed;		/* what it says as a test kernel; -1: nothing yet */
};

/* A kernel embedded by EMBED(). */
struct image {
	const void *start, *end;
};

/* EMBED(name, "FILE"): the file of the build directory becomes the static struct image `name`. The Makefile has the dependency. */
#define EMBED(name, file)								\
	asm(".pushsection .rodata\n\t.balign 16\nembed_" #name ":\n\t.incbin \"" file "\"\n"	\
	    "embed_end_" #name ":\n\t.popsection");					\
	extern const char embed_##name[], embed_end_##name[];				\
	static const struct image name = { embed_##name, embed_end_##name }

/* One domctl: fills in command, domain and version. What the hypercall returned. */
long domctl(u32 cmd, u32 id, struct xen_domctl *op);
/* The same for commands without an argument. */
long domctl_simple(u32 cmd, u32 id);

/* What dom_create() allows: ports, and pages beyond those that it gives. A test may change them. */
extern u32 dom_max_port, dom_spare_pages;

/* Arguments of XEN_DOMCTL_createdomain for a PV guest with so many vCPUs. */
void dom_config(struct xen_domctl *op, u32 vcpus);
/* A paused domain with vcpus vCPUs (none for 0, the limit is 1 then) and pages of memory. 0 or -errno; what was made is undone. */
int dom_create(struct dom *d, u32 vcpus, u32 pages);
/* Loads the kernel and makes page tables, start_info, console and store pages and ports; vCPU 0 is ready to run. 0 or -errno. */
int dom_build(struct dom *d, const struct image *image, const char *cmdline);
/* dom_create, dom_build, and off it goes. */
int dom_start(struct dom *d, const struct image *image, const char *cmdline, u32 vcpus, u32 pages);
/* Unmaps what the library has mapped, and kills it. 0 or -errno. */
int dom_destroy(struct dom *d);
/* Only the unmapping. */
void dom_forget(struct dom *d);

/* XEN_DOMINF_* flags; 0 when there is no such domain. */
u32 dom_flags(u32 id);
/* SHUTDOWN_* once it has shut down, or -1. */
int dom_shutdown_reason(u32 id);
/* Prints what it has written to its console; a test kernel's counts go to passed and failed. */
void dom_drain_console(struct dom *d);
/* Lets it run, printing its console, until it has shut down or ns nanoseconds are over. Its reason or -1. */
int dom_wait_shutdown(struct dom *d, u64 ns);

/* Maps a frame of domain id at an address of ours; NULL when that is refused. */
void *foreign_map(u32 id, u64 mfn, bool writable);
int foreign_map_error(u32 id, u64 mfn, bool writable);
void foreign_unmap(void *va);

/* Machine memory that nobody has, in pages; -errno. free_pages_stable: once it no longer changes: the last of a domain goes late. */
long free_pages(void);
long free_pages_stable(void);
/* Waits until free_pages() is as wanted; what it is in the end. */
long free_pages_settle(long wanted);
/* Machine memory is back at what free_pages() was; Xen keeps and gives back some that is its own. A failed check if not. */
void check_no_loss(long before);
/* Is the hypervisor Lodge? */
bool is_lodge(void);

static inline u64 dom_va(u64 pfn)
{
	return VIRT_BASE + (pfn << PAGE_SHIFT);
}

#endif
