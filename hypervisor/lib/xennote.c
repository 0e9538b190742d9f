/* SPDX-License-Identifier: MIT */
/* What a kernel says about itself in its Xen ELF notes. */

#include <xen/features.h>

#include <lib/errno.h>
#include <lib/string.h>
#include <lib/xennote.h>

/* Names as in <xen/features.h>, without the prefix. */
static const char *const feature_names[] = {
	[XENFEAT_writable_page_tables] = "writable_page_tables",
	[XENFEAT_writable_descriptor_tables] = "writable_descriptor_tables",
	[XENFEAT_auto_translated_physmap] = "auto_translated_physmap",
	[XENFEAT_supervisor_mode_kernel] = "supervisor_mode_kernel",
	[XENFEAT_pae_pgdir_above_4gb] = "pae_pgdir_above_4gb",
	[XENFEAT_mmu_pt_update_preserve_ad] = "mmu_pt_update_preserve_ad",
	[XENFEAT_highmem_assist] = "highmem_assist",
	[XENFEAT_gnttab_map_avail_bits] = "gnttab_map_avail_bits",
	[XENFEAT_hvm_callback_vector] = "hvm_callback_vector",
	[XENFEAT_hvm_safe_pvclock] = "hvm_safe_pvclock",
	[XENFEAT_hvm_pirqs] = "hvm_pirqs",
	[XENFEAT_dom0] = "dom0",
	[XENFEAT_memory_op_vnode_supported] = "memory_op_vnode_supported",
	[XENFEAT_ARM_SMCCC_supported] = "ARM_SMCCC_supported",
	[XENFEAT_linux_rsdp_unrestricted] = "linux_rsdp_unrestricted",
	[XENFEAT_not_direct_mapped] = "not_direct_mapped",
	[XENFEAT_direct_mapped] = "direct_mapped",
};

/* Copy text of the guest's choice, which may lack its end, for us to print. */
static void copy_text(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = 0;

	for (; n < size - 1 && n < len && src[n]; n++)
		dst[n] = src[n] >= ' ' && src[n] <= '~' ? src[n] : '?';
	dst[n] = '\0';
}

static void parse_feature(struct xennote *x, const char *name, size_t len)
{
	bool required = len && *name == '!';

	name += required;
	len -= required;
	for (unsigned int i = 0; i < ARRAY_SIZE(feature_names); i++) {
		const char *known = feature_names[i];	/* NULL: a number that x86 does not use */

		if (known && strlen(known) == len && memcmp(known, name, len) == 0) {
			x->supported_features |= 1u << i;
			if (required)
				x->required_features |= 1u << i;
			return;
		}
	}
	if (required)
		copy_text(x->unknown_feature, sizeof(x->unknown_feature), name, len);
}

/* Names separated by '|', those that are required preceded by '!'. */
static void parse_features(struct xennote *x, const char *s, size_t len)
{
	len = strnlen(s, len);
	for (;;) {
		const char *bar = memchr(s, '|', len);
		size_t n = bar ? (size_t)(bar - s) : len;

		parse_feature(x, s, n);
		if (!bar)
			return;
		s += n + 1;
		len -= n + 1;
	}
}

/* A little-endian number of 1, 2, 4 or 8 bytes. */
static bool get_number(const struct elf_note *note, u64 *value)
{
	u64 v = 0;

	if (note->descsz > 8 || (note->descsz & (note->descsz - 1)) || !note->descsz)
		return false;
	memcpy(&v, note->desc, note->descsz);
	*value = v;
	return true;
}

struct parser {
	struct xennote *x;
	bool bad_number;
};

static u64 *number_field(struct xennote *x, u32 type)
{
	switch (type) {
	case XEN_ELFNOTE_ENTRY: return &x->entry;
	case XEN_ELFNOTE_HYPERCALL_PAGE: return &x->hypercall_page;
	case XEN_ELFNOTE_VIRT_BASE: return &x->virt_base;
	case XEN_ELFNOTE_PADDR_OFFSET: return &x->paddr_offset;
	case XEN_ELFNOTE_HV_START_LOW: return &x->hv_start_low;
	case XEN_ELFNOTE_SUSPEND_CANCEL: return &x->suspend_cancel;
	case XEN_ELFNOTE_INIT_P2M: return &x->init_p2m;
	case XEN_ELFNOTE_MOD_START_PFN: return &x->mod_start_pfn;
	case XEN_ELFNOTE_PHYS32_ENTRY: return &x->phys32_entry;
	default: return NULL;
	}
}

/* All four text fields have the same size. */
static char *text_field(struct xennote *x, u32 type)
{
	switch (type) {
	case XEN_ELFNOTE_GUEST_OS: return x->guest_os;
	case XEN_ELFNOTE_GUEST_VERSION: return x->guest_version;
	case XEN_ELFNOTE_XEN_VERSION: return x->xen_version;
	case XEN_ELFNOTE_LOADER: return x->loader;
	default: return NULL;
	}
}

static bool take_note(void *ctx, const struct elf_note *note)
{
	struct parser *p = ctx;
	struct xennote *x = p->x;

	if (!elf_note_named(note, "Xen") || note->type > XEN_ELFNOTE_MAX)
		return false;
	x->present |= BIT(note->type);

	u64 *number = number_field(x, note->type), features;
	char *text = text_field(x, note->type);

	if (number) {
		p->bad_number |= !get_number(note, number);
	} else if (text) {
		copy_text(text, sizeof(x->guest_os), (const char *)note->desc, note->descsz);
	} else if (note->type == XEN_ELFNOTE_FEATURES) {
		parse_features(x, (const char *)note->desc, note->descsz);
	} else if (note->type == XEN_ELFNOTE_SUPPORTED_FEATURES) {
		if (get_number(note, &features))
			x->supported_features |= (u32)features;
		else
			p->bad_number = true;
	} else if (note->type == XEN_ELFNOTE_L1_MFN_VALID && note->descsz >= 16) {
		memcpy(&x->l1_mfn_mask, note->desc, 8);
		memcpy(&x->l1_mfn_value, note->desc + 8, 8);
	}
	return true;
}

int xennote_parse(struct xennote *x, const struct elf *elf, const char **error)
{
	struct parser p = { .x = x };
	int n;

	*x = (struct xennote){ .entry = elf->header.entry };
	n = elf_notes(elf, take_note, &p, error);
	if (n < 0)
		return n;
	if (n == 0) {
		*error = "it has no Xen ELF notes: not a kernel for Xen guests";
		return -EINVAL;
	}
	if (p.bad_number) {
		*error = "a numeric Xen ELF note has an impossible size";
		return -EINVAL;
	}
	return 0;
}

int xennote_pv_layout(const struct xennote *x, const struct elf *elf,
		      struct xennote_layout *out, const char **error)
{
	struct elf_extent phys = elf_paddr_extent(elf);
	u64 offset = x->virt_base - x->paddr_offset;
	struct xennote_layout l = {
		.base = x->virt_base, .offset = offset, .entry = x->entry,
		.start = phys.start + offset, .end = phys.end + offset,
	};

	*error = NULL;
	if (l.base % PAGE_SIZE)
		*error = "its virtual base is not page-aligned";
	else if (phys.start < x->paddr_offset || l.start < l.base || l.end <= l.start)
		*error = "its segments do not fit above its virtual base";
	else if (l.entry < l.start || l.entry >= l.end)
		*error = "its entry point lies outside its image";
	else if (xennote_has(x, XEN_ELFNOTE_HYPERCALL_PAGE) &&
		 (x->hypercall_page % PAGE_SIZE || x->hypercall_page < l.start ||
		  x->hypercall_page >= l.end || l.end - x->hypercall_page < PAGE_SIZE))
		*error = "its hypercall page is misaligned or lies outside its image";
	if (*error)
		return -EINVAL;
	*out = l;
	return 0;
}
