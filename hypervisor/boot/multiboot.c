/* SPDX-License-Identifier: MIT */
/* Multiboot 1 and 2 (source: the Multiboot specifications 0.6.96 and 2.0). All their structures lie below 4 GiB, which is mapped. */
#include <boot/bootinfo.h>
#include <core/console.h>
#include <core/panic.h>
#include <lib/string.h>
#include <memory/heap.h>

#define MB1_BOOT_MAGIC	0x2badb002
#define MB2_BOOT_MAGIC	0x36d76289

enum { MB1_MEMORY = BIT(0), MB1_CMDLINE = BIT(2), MB1_MODULES = BIT(3), MB1_MMAP = BIT(6), MB1_LOADER = BIT(9) };

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	u32 drives_length, drives_addr, config_table, boot_loader_name;
};
struct mb1_module { u32 start, end, cmdline, pad; };
struct mb1_mmap { u32 size; u64 addr, len; u32 type; } __packed;

enum { MB2_END = 0, MB2_CMDLINE = 1, MB2_LOADER = 2, MB2_MODULE = 3, MB2_MEMINFO = 4, MB2_MMAP = 6, MB2_FRAMEBUFFER = 8,
       MB2_EFI32 = 11, MB2_EFI64 = 12, MB2_RSDP_OLD = 14, MB2_RSDP_NEW = 15, MB2_EFI_MMAP = 17 };

struct mb2_tag { u32 type, size; };
struct mb2_module { struct mb2_tag tag; u32 start, end; char cmdline[]; };
struct mb2_mmap { struct mb2_tag tag; u32 entry_size, entry_version; u8 entries[]; };
struct mb2_mmap_entry { u64 addr, len; u32 type, zero; };
struct mb2_efi_mmap { struct mb2_tag tag; u32 entry_size, entry_version; u8 entries[]; };
struct mb2_efi64 { struct mb2_tag tag; u64 system_table; };
struct mb2_framebuffer {
	struct mb2_tag tag;
	u64 addr;
	u32 pitch, width, height;
	u8 bpp, type;
	u16 reserved;
	u8 red_pos, red_size, green_pos, green_size, blue_pos, blue_size;	/* of type FRAMEBUFFER_RGB */
} __packed;
enum { FRAMEBUFFER_RGB = 1, FRAMEBUFFER_TEXT = 2 };

static const void *low(u32 addr) { return paddr_to_virt(paddr(addr)); }

static void add_e820(struct boot_info *bi, u64 addr, u64 len, u32 type)
{
	if (len && bi->nr_e820 < MAX_E820)
		bi->e820[bi->nr_e820++] = (struct e820entry){ addr, len, type };
}

/* GRUB 2 passes arguments only; GRUB Legacy, QEMU and others put the file's name first. */
static void set_args(char *dst, const char *text, const char *loader)
{
	if (strncmp(loader, "GRUB 2", 6)) {
		while (*text && *text != ' ')
			text++;
	}
	while (*text == ' ')
		text++;
	if (strlcpy(dst, text, CMDLINE_MAX) >= CMDLINE_MAX)
		log_warn("a boot command line is longer than %d characters: cut\n", CMDLINE_MAX - 1);
}

static void add_module(struct boot_info *bi, u32 start, u32 end, const char *cmdline)
{
	struct boot_module *m;

	if (bi->nr_modules == MAX_MODULES) {
		log_warn("more than %d boot modules: the rest is ignored\n", MAX_MODULES);
		return;
	}
	m = &bi->modules[bi->nr_modules++];
	m->start = paddr(start);
	m->size = end > start ? end - start : 0;
	set_args(m->cmdline, cmdline, bi->loader);
}

static void parse_mb1(const struct mb1_info *mb, struct boot_info *bi)
{
	if (mb->flags & MB1_LOADER)
		strlcpy(bi->loader, low(mb->boot_loader_name), sizeof(bi->loader));
	if (mb->flags & MB1_CMDLINE)
		set_args(bi->cmdline, low(mb->cmdline), bi->loader);
	if (mb->flags & MB1_MODULES) {
		const struct mb1_module *m = low(mb->mods_addr);

		for (u32 i = 0; i < mb->mods_count; i++)
			add_module(bi, m[i].start, m[i].end, m[i].cmdline ? low(m[i].cmdline) : "");
	}
	if (mb->flags & MB1_MMAP) {
		u32 off = 0;

		while (off + sizeof(struct mb1_mmap) <= mb->mmap_length) {
			const struct mb1_mmap *e = low(mb->mmap_addr + off);

			add_e820(bi, e->addr, e->len, e->type);
			off += e->size + (u32)sizeof(e->size);
		}
	} else if (mb->flags & MB1_MEMORY) {
		add_e820(bi, 0, KiB(mb->mem_lower), E820_RAM);
		add_e820(bi, MiB(1), KiB(mb->mem_upper), E820_RAM);
	}
}

static void parse_mb2_mmap(const struct mb2_mmap *mm, struct boot_info *bi)
{
	/* UEFI's own map says more, where there is one. */
	if (bi->nr_efi_memory || mm->entry_size < sizeof(struct mb2_mmap_entry))
		return;
	for (u32 off = sizeof(*mm); off + mm->entry_size <= mm->tag.size; off += mm->entry_size) {
		const struct mb2_mmap_entry *e = (const void *)((const char *)mm + off);

		add_e820(bi, e->addr, e->len, e->type);
	}
}

static void parse_framebuffer(const struct mb2_framebuffer *fb, struct boot_info *bi)
{
	if (fb->tag.size < offsetof(struct mb2_framebuffer, red_pos))
		return;
	if (fb->type == FRAMEBUFFER_TEXT)
		bi->screen = SCREEN_TEXT;
	else if (fb->type != FRAMEBUFFER_RGB || fb->tag.size < sizeof(*fb))
		bi->screen = SCREEN_NONE;
	else {
		bi->screen = SCREEN_GRAPHICS;
		bi->graphics = (struct boot_graphics){
			fb->addr, fb->pitch, fb->width, fb->height, fb->bpp,
			fb->red_pos, fb->red_size, fb->green_pos, fb->green_size, fb->blue_pos, fb->blue_size,
		};
	}
}

static void parse_efi64(const struct mb2_efi64 *efi, struct boot_info *bi)
{
	if (efi->tag.size < sizeof(*efi))
		return;
	bi->efi_system_table = paddr(efi->system_table);
	if (bi->screen == SCREEN_TEXT)
		bi->screen = SCREEN_NONE;	/* UEFI has no VGA text; a frame buffer has a tag of its own */
}

static void parse_efi_mmap(const struct mb2_efi_mmap *mm, struct boot_info *bi)
{
	if (mm->tag.size >= sizeof(*mm))
		bootinfo_efi_map(bi, mm->entries, mm->tag.size - (u32)sizeof(*mm), mm->entry_size);
}

/* A copy inside the tag; the newer kind wins. */
static void parse_rsdp(const struct mb2_tag *t, struct boot_info *bi)
{
	if (bi->have_rsdp && t->type != MB2_RSDP_NEW)
		return;
	memset(bi->rsdp, 0, sizeof(bi->rsdp));
	memcpy(bi->rsdp, t + 1, min(t->size - sizeof(*t), sizeof(bi->rsdp)));
	bi->have_rsdp = true;
}

static void parse_mb2(const u32 *info, struct boot_info *bi)
{
	const char *p = (const char *)info + 8, *end = (const char *)info + info[0];

	/* The loader's name decides how command lines are read, and may come after them. */
	for (const char *q = p; q + sizeof(struct mb2_tag) <= end;) {
		const struct mb2_tag *t = (const void *)q;

		if (t->type == MB2_LOADER)
			strlcpy(bi->loader, (const char *)(t + 1), sizeof(bi->loader));
		q += ALIGN_UP(max(t->size, 8u), 8u);
	}
	while (p + sizeof(struct mb2_tag) <= end) {
		const struct mb2_tag *t = (const void *)p;

		switch (t->type) {
		case MB2_END:
			return;
		case MB2_CMDLINE:
			set_args(bi->cmdline, (const char *)(t + 1), bi->loader);
			break;
		case MB2_MODULE: {
			const struct mb2_module *m = (const void *)t;

			add_module(bi, m->start, m->end, m->cmdline);
			break;
		}
		case MB2_MMAP:
			parse_mb2_mmap((const void *)t, bi);
			break;
		case MB2_FRAMEBUFFER:
			parse_framebuffer((const void *)t, bi);
			break;
		case MB2_EFI64:
			parse_efi64((const void *)t, bi);
			break;
		case MB2_EFI_MMAP:
			parse_efi_mmap((const void *)t, bi);
			break;
		case MB2_RSDP_OLD:
		case MB2_RSDP_NEW:
			parse_rsdp(t, bi);
			break;
		}
		p += ALIGN_UP(max(t->size, 8u), 8u);
	}
}

void bootinfo_parse(u32 magic, u32 info, struct boot_info *out)
{
	if (magic == MB1_BOOT_MAGIC)
		parse_mb1(low(info), out);
	else if (magic == MB2_BOOT_MAGIC)
		parse_mb2(low(info), out);
	else
		boot_fail("started by an unknown boot protocol (magic %#x); use a Multiboot 1 or 2 loader such as GRUB", magic);
	if (!out->nr_e820)
		boot_fail("the boot loader gave no memory map");
}
