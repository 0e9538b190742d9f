/* SPDX-License-Identifier: MIT */
/* Domain 0: from boot modules to a vCPU that is ready to run. */
#ifndef BOOT_DOM0_H
#define BOOT_DOM0_H

#include <boot/bootinfo.h>
#include <domain/domain.h>

/* boot_fail() when the modules cannot be a Domain 0: before memory is set up, so that the message comes at once. */
void dom0_check_modules(const struct boot_info *bi);
/* Create Domain 0 from the first module (kernel) and the second (initrd, optional). boot_fail() on anything wrong with them. Frees the modules. */
void dom0_create(struct boot_info *bi);

/* --- dom0_memory.c --- */
/* A run of Domain 0's memory: n frames, consecutive as pseudo-physical and as machine frames. */
struct dom0_extent { u64 pfn, n; mfn_t mfn; };
/* How many pages Domain 0 gets (dom0_mem parameter), and its limit. boot_fail() when the machine has not as many. */
u64 dom0_pages(u64 *max);
/* Allocate them. */
void dom0_alloc_memory(struct domain *d, u64 pages);
/* Machine frame of a pseudo-physical one; pfn < pages. */
mfn_t dom0_mfn(u64 pfn);
/* Pointer to pseudo-physical memory, through the direct map; good to the end of that page. */
void *dom0_ptr(u64 paddr);
/* Copy to pseudo-physical memory. */
void dom0_write(u64 paddr, const void *src, u64 len);
void dom0_clear(u64 paddr, u64 len);
void dom0_memory_done(void);

/* --- dom0_image.c --- */
struct dom0_kernel {
	void *elf;		/* the unpacked kernel */
	u64 pages;		/* of its allocation; 0: elf is inside a module */
	u64 size;
};
/* Unpack the kernel module. boot_fail() with what is wrong. */
void dom0_unpack_kernel(const struct boot_module *m, struct dom0_kernel *k);

/* --- dom0_build.c --- */
/* Lay out and fill Domain 0's address space, and set its first vCPU's context. */
void dom0_build(struct domain *d, u64 pages, const struct dom0_kernel *k, const struct boot_module *initrd,
		const struct boot_info *bi);

/* --- dom0_screen.c --- */
struct dom0_vga_console_info;
/* Describe the machine's screen, in zeroed memory. False: there is none that Domain 0 could use. */
bool dom0_screen(const struct boot_info *bi, struct dom0_vga_console_info *info);

#endif
