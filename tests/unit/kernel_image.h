/* SPDX-License-Identifier: MIT */
/* Makes small ELF files that say they are kernels for PV guests, for tests. */
#ifndef TESTS_UNIT_KERNEL_IMAGE_H
#define TESTS_UNIT_KERNEL_IMAGE_H

#include <string.h>

#include <lib/elf.h>
#include <lib/xennote.h>

struct kernel_image_spec {
	u64 base;		/* VIRT_BASE */
	u64 start;		/* of the segment, pseudo-physical; a multiple of PAGE_SIZE */
	u64 filesz, memsz;
	u64 init_p2m;		/* 0: no note */
	bool mod_start_pfn;
	const char *features;	/* NULL: no note */
};

#define KERNEL_IMAGE_HEADERS	PAGE_SIZE	/* the segment's content begins there in the file */

static inline u8 *kernel_image_note(u8 *p, u32 type, const void *desc, u32 len)
{
	u32 head[3] = { 4, len, type };

	memcpy(p, head, 12);
	memcpy(p + 12, "Xen", 4);
	memcpy(p + 16, desc, len);
	return p + 16 + ALIGN_UP(len, 4);
}

static inline u8 *kernel_image_number(u8 *p, u32 type, u64 value)
{
	return kernel_image_note(p, type, &value, 8);
}

/*
 * Into file, which has room for KERNEL_IMAGE_HEADERS + filesz bytes; the segment's bytes are the caller's. Entry: its first byte;
 * hypercall page: its second page, if it has two. Returns the size.
 */
static inline size_t kernel_image_make(u8 *file, const struct kernel_image_spec *s)
{
	struct elf_header h = { .ident = "\x7f" "ELF\2\1\1", .type = 2, .machine = 62, .version = 1, .phoff = 64,
				.ehsize = 64, .phentsize = 56, .phnum = 2, .entry = s->base + s->start };
	struct elf_phdr ph[2] = {
		{ .type = ELF_PT_LOAD, .offset = KERNEL_IMAGE_HEADERS, .vaddr = s->base + s->start,
		  .paddr = s->start, .filesz = s->filesz, .memsz = s->memsz },
		{ .type = ELF_PT_NOTE, .offset = 512 },
	};
	u8 *p = file + 512;

	memset(file, 0, KERNEL_IMAGE_HEADERS);
	p = kernel_image_note(p, XEN_ELFNOTE_GUEST_OS, "test", 5);
	p = kernel_image_number(p, XEN_ELFNOTE_VIRT_BASE, s->base);
	p = kernel_image_number(p, XEN_ELFNOTE_ENTRY, s->base + s->start);
	if (s->memsz >= 2 * PAGE_SIZE)
		p = kernel_image_number(p, XEN_ELFNOTE_HYPERCALL_PAGE, s->base + s->start + PAGE_SIZE);
	if (s->init_p2m)
		p = kernel_image_number(p, XEN_ELFNOTE_INIT_P2M, s->init_p2m);
	if (s->mod_start_pfn)
		p = kernel_image_number(p, XEN_ELFNOTE_MOD_START_PFN, 1);
	if (s->features)
		p = kernel_image_note(p, XEN_ELFNOTE_FEATURES, s->features, (u32)strlen(s->features) + 1);
	ph[1].filesz = ph[1].memsz = (u64)(p - (file + 512));
	memcpy(file, &h, sizeof(h));
	memcpy(file + 64, ph, sizeof(ph));
	return KERNEL_IMAGE_HEADERS + s->filesz;
}

#endif
