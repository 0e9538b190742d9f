/* SPDX-License-Identifier: MIT */
/* What a kernel says about itself in its Xen ELF notes. */
#ifndef LIB_XENNOTE_H
#define LIB_XENNOTE_H

#include <xen/elfnote.h>

#include <lib/elf.h>

/*
 * Source of all meanings and defaults: <xen/elfnote.h>. Fields of notes that are
 * absent hold the default, which is 0 unless said otherwise; xennote_has() tells.
 */
struct xennote {
	u64 present;			/* bit n: a note of type n was found */
	u64 entry;			/* virtual address; default: the ELF entry point */
	u64 hypercall_page;		/* virtual address */
	u64 virt_base;			/* virtual address of pseudo-physical 0 */
	u64 paddr_offset;		/* subtract it from ELF paddr to get the pseudo-physical address */
	u64 init_p2m;			/* virtual address for the initial p2m */
	u64 hv_start_low;		/* lowest virtual address the hypervisor may begin at */
	u64 phys32_entry;		/* entry of a PVH boot */
	u64 l1_mfn_mask, l1_mfn_value;	/* first pair of L1_MFN_VALID */
	u64 suspend_cancel;
	u64 mod_start_pfn;		/* non-zero: the initrd need not be mapped */
	u32 supported_features;		/* XENFEAT_* bits, from both notes; bit 0 = XENFEAT_writable_page_tables */
	u32 required_features;
	char guest_os[16], guest_version[16], xen_version[16], loader[16];
	char unknown_feature[32];	/* a required feature that has no XENFEAT_* number; else "" */
};

static inline bool xennote_has(const struct xennote *x, unsigned int type)
{
	return x->present >> type & 1;
}

/*
 * Collect the notes. Of several of one type the last counts. Strings are cut to
 * their fields and hold printable ASCII only. -EINVAL with a message if a note is
 * malformed, or if there is none at all (then it is not a Xen kernel).
 */
int __must_check xennote_parse(struct xennote *x, const struct elf *elf, const char **error);

/* Where a PV kernel wants to be; all virtual addresses. */
struct xennote_layout {
	u64 base;		/* maps pseudo-physical address 0; multiple of PAGE_SIZE */
	u64 start, end;		/* of the loaded image */
	u64 entry;
	u64 offset;		/* virtual address = ELF paddr + offset (modulo 2^64) */
};

/*
 * Derive and check the layout: nothing wraps around, the image lies at or above
 * the base, the entry point and the hypercall page (if any) lie within the image,
 * the latter on a page boundary. Whether it is free for guests to use is for the
 * caller to check. -EINVAL with a message.
 */
int __must_check xennote_pv_layout(const struct xennote *x, const struct elf *elf,
				   struct xennote_layout *out, const char **error);

#endif
