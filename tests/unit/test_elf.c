/* SPDX-License-Identifier: MIT */
/* Unit tests: ELF reader and Xen ELF notes, with good, lying and damaged files. */
/* sources: lib/elf.c lib/xennote.c */
#include "test.h"

#include <xen/features.h>

#include <lib/elf.h>
#include <lib/errno.h>
#include <lib/xennote.h>

#define FILE_SIZE	4096
#define PHOFF		64
#define SHOFF		512
#define NOTES		1024
#define STRINGS		1536
#define SYMBOLS		1600
#define VIRT		0xffffffff80000000
#define PHYS		0x1000000

/* A small Xen kernel; tests change it. */
static struct {
	u8 file[FILE_SIZE];
	struct elf_header header;
	struct elf_phdr phdr[3];
	struct elf_shdr shdr[4];
	u32 notes_len;
} k;

static void add_note(const char *name, u32 type, const void *desc, u32 len)
{
	u32 head[3] = { (u32)strlen(name) + 1, len, type };
	u8 *p = k.file + NOTES + k.notes_len;

	memcpy(p, head, 12);
	memcpy(p + 12, name, head[0]);
	memcpy(p + 12 + ((head[0] + 3) & ~3u), desc, len);
	k.notes_len += 12 + ((head[0] + 3) & ~3u) + ((len + 3) & ~3u);
}

static void add_number(u32 type, u64 value)
{
	add_note("Xen", type, &value, 8);
}

static void add_string(u32 type, const char *s)
{
	add_note("Xen", type, s, (u32)strlen(s) + 1);
}

static void store(void)
{
	k.phdr[2].filesz = k.notes_len;
	k.shdr[1].size = k.notes_len;
	memcpy(k.file, &k.header, sizeof(k.header));
	memcpy(k.file + PHOFF, k.phdr, sizeof(k.phdr));
	memcpy(k.file + SHOFF, k.shdr, sizeof(k.shdr));
}

static void reset(void)
{
	static const struct elf_symbol symbols[] = {
		{ }, { .name = 1, .shndx = 1, .value = 0x1234 }, { .name = 7, .shndx = 0, .value = 1 },
		{ .name = 7, .shndx = 1, .value = 0x5678 },
	};

	memset(&k, 0, sizeof(k));
	k.header = (struct elf_header){
		.ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 }, .type = 2, .machine = 62, .version = 1,
		.entry = VIRT + PHYS + 0x10, .phoff = PHOFF, .shoff = SHOFF,
		.ehsize = 64, .phentsize = 56, .phnum = 3, .shentsize = 64, .shnum = 4,
	};
	k.phdr[0] = (struct elf_phdr){ .type = ELF_PT_LOAD, .flags = 5, .offset = 0, .vaddr = VIRT + PHYS,
				       .paddr = PHYS, .filesz = FILE_SIZE, .memsz = 0x3000 };
	k.phdr[1] = (struct elf_phdr){ .type = ELF_PT_LOAD, .flags = 6, .offset = 2048, .vaddr = 0,
				       .paddr = PHYS + 0x3000, .filesz = 100, .memsz = 0x1800 };
	k.phdr[2] = (struct elf_phdr){ .type = ELF_PT_NOTE, .offset = NOTES, .align = 4 };
	k.shdr[1] = (struct elf_shdr){ .type = ELF_SHT_NOTE, .offset = NOTES, .addralign = 4 };
	k.shdr[2] = (struct elf_shdr){ .type = ELF_SHT_STRTAB, .offset = STRINGS, .size = 13 };
	k.shdr[3] = (struct elf_shdr){ .type = ELF_SHT_SYMTAB, .offset = SYMBOLS, .size = sizeof(symbols),
				       .link = 2, .entsize = 24 };
	memcpy(k.file + STRINGS, "\0first\0second", 14);
	memcpy(k.file + SYMBOLS, symbols, sizeof(symbols));

	add_note("Linux", 0x101, "x", 2);
	add_string(XEN_ELFNOTE_GUEST_OS, "linux");
	add_string(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
	add_number(XEN_ELFNOTE_VIRT_BASE, VIRT);
	add_string(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb|whatever");
	store();
}

static const char *open_error(const void *file, u64 size)
{
	struct elf elf;
	const char *error = NULL;
	int rc = elf_open(&elf, file, size, &error);

	CHECK_EQ(rc, error ? -EINVAL : 0);
	return error ? error : "";
}

static int count_load(void *ctx, const struct elf_phdr *ph, const void *data)
{
	int *calls = ctx;

	CHECK_EQ(ph->paddr, k.phdr[*calls].paddr);
	CHECK((const u8 *)data == k.file + k.phdr[*calls].offset);
	++*calls;
	return 0;
}

TEST(good_file)
{
	struct elf elf;
	const char *error;
	u64 value = 0;
	int calls = 0;

	reset();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(elf_paddr_extent(&elf).start, PHYS);
	CHECK_EQ(elf_paddr_extent(&elf).end, PHYS + 0x4800);
	CHECK_EQ(elf_vaddr_extent(&elf).start, 0);
	CHECK_EQ(elf_vaddr_extent(&elf).end, VIRT + PHYS + 0x3000);
	CHECK_EQ(elf_load(&elf, count_load, &calls), 0);
	CHECK_EQ(calls, 2);
	CHECK(elf_find_symbol(&elf, "first", &value) && value == 0x1234);
	/* The undefined one is skipped, and the string without its terminating 0 is not read past its table. */
	k.shdr[2].size = 14;
	store();
	CHECK(elf_find_symbol(&elf, "second", &value) && value == 0x5678);
	k.shdr[2].size = 13;
	store();
	CHECK(!elf_find_symbol(&elf, "second", &value));
	CHECK(!elf_find_symbol(&elf, "firs", &value));
	CHECK(!elf_find_symbol(&elf, "", &value));
	k.shdr[3].link = 4;
	store();
	CHECK(!elf_find_symbol(&elf, "first", &value));
}

TEST(only_segments_to_load_count)
{
	struct elf elf;
	const char *error;
	int calls = 0;

	reset();
	/* Neither an empty segment, nor one of another type, nor what lies behind the table. */
	k.header.phnum = 2;
	k.phdr[1] = (struct elf_phdr){ .type = ELF_PT_LOAD, .paddr = 0x10, .vaddr = 0x10 };
	k.phdr[2] = (struct elf_phdr){ .type = ELF_PT_LOAD, .paddr = 0x20, .memsz = 0x1000 };
	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(elf_paddr_extent(&elf).start, PHYS);
	CHECK_EQ(elf_load(&elf, count_load, &calls), 0);
	CHECK_EQ(calls, 1);

	reset();
	k.phdr[2].memsz = 0x1000;
	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(elf_paddr_extent(&elf).start, PHYS);
}

static int stop_load(void *ctx, const struct elf_phdr *ph, const void *data)
{
	(void)ph;
	(void)data;
	return ++*(int *)ctx == 1 ? -ENOSPC : 0;
}

TEST(load_stops_at_an_error)
{
	struct elf elf;
	const char *error;
	int calls = 0;

	reset();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(elf_load(&elf, stop_load, &calls), -ENOSPC);
	CHECK_EQ(calls, 1);
}

/* Change one field of the good file and expect a message. */
#define REFUSED(change, message) do {						\
	reset();								\
	change;									\
	store();								\
	CHECK_STR(open_error(k.file, FILE_SIZE), message);			\
} while (0)

TEST(lying_headers)
{
	REFUSED((void)0, "");
	REFUSED(k.header.ident[0] = 0, "it is not an ELF file");
	REFUSED(k.header.ident[4] = 1, "it is a 32-bit ELF file; a 64-bit one is needed");
	REFUSED(k.header.ident[4] = 3, "ELF: unknown class");
	REFUSED(k.header.ident[5] = 2, "ELF: not little-endian");
	REFUSED(k.header.ident[6] = 0, "ELF: unknown version");
	REFUSED(k.header.version = 2, "ELF: unknown version");
	REFUSED(k.header.machine = 183, "ELF: made for another processor, not x86-64");
	REFUSED(k.header.type = 1, "ELF: not an executable");
	REFUSED(k.header.type = 3, "");
	REFUSED(k.header.phnum = 0, "ELF: no program headers");
	REFUSED(k.header.phentsize = 32, "ELF: program headers of a wrong size");
	REFUSED(k.header.phoff = FILE_SIZE - 100, "ELF: program headers lie outside the file");
	REFUSED(k.header.phoff = ~0UL, "ELF: program headers lie outside the file");
	REFUSED(k.header.phoff = ~0UL - 100, "ELF: program headers lie outside the file");
	REFUSED(k.header.phnum = 0xffff, "ELF: program headers lie outside the file");
	REFUSED(k.header.shentsize = 40, "ELF: section headers of a wrong size");
	REFUSED(k.header.shoff = FILE_SIZE - 64, "ELF: section headers lie outside the file");
	REFUSED(k.header.shoff = ~0UL - 64, "ELF: section headers lie outside the file");
	REFUSED(k.header.shnum = 0; k.header.shoff = ~0UL, "");
	REFUSED(k.phdr[0].offset = 1, "ELF: a segment lies outside the file (truncated?)");
	REFUSED(k.phdr[0].offset = ~0UL, "ELF: a segment lies outside the file (truncated?)");
	REFUSED(k.phdr[1].filesz = ~0UL, "ELF: a segment lies outside the file (truncated?)");
	REFUSED(k.phdr[2].offset = FILE_SIZE - 4, "ELF: a segment lies outside the file (truncated?)");
	REFUSED(k.phdr[1].memsz = 99, "ELF: a segment is larger in the file than in memory");
	REFUSED(k.phdr[1].memsz = ~0UL - PHYS, "ELF: a segment wraps around the address space");
	REFUSED(k.phdr[1].vaddr = ~0UL - 0x1000, "ELF: a segment wraps around the address space");
	REFUSED(k.phdr[0].type = k.phdr[1].type = 9, "ELF: nothing to load");
}

TEST(truncated_at_every_length)
{
	reset();
	for (u64 size = 0; size < FILE_SIZE; size++) {
		u8 *copy = malloc(size ? size : 1);

		memcpy(copy, k.file, size);
		CHECK(*open_error(copy, size));
		free(copy);
	}
}

TEST(xen_notes)
{
	struct elf elf;
	struct xennote x;
	struct xennote_layout l;
	const char *error;
	u64 pair[2] = { 1, 1 };
	u32 feature_bits = 1u << XENFEAT_dom0;

	reset();
	add_number(XEN_ELFNOTE_ENTRY, VIRT + PHYS + 0x20);
	add_number(XEN_ELFNOTE_HYPERCALL_PAGE, VIRT + PHYS + 0x1000);
	add_number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
	add_number(XEN_ELFNOTE_HV_START_LOW, 0xffff800000000000);
	add_note("Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, &feature_bits, 4);
	add_note("Xen", XEN_ELFNOTE_L1_MFN_VALID, pair, 16);
	add_note("Xen", XEN_ELFNOTE_MOD_START_PFN, "\1\0\0\0", 4);
	add_note("Xen", XEN_ELFNOTE_SUSPEND_CANCEL, "\1", 1);
	add_note("Xen", XEN_ELFNOTE_LOADER, "gen\x1b\xff" "a name that is far too long", 31);
	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(xennote_parse(&x, &elf, &error), 0);
	CHECK_EQ(x.entry, VIRT + PHYS + 0x20);
	CHECK_EQ(x.virt_base, VIRT);
	CHECK_EQ(x.init_p2m, 0x8000000000);
	CHECK_EQ(x.hv_start_low, 0xffff800000000000);
	CHECK_EQ(x.l1_mfn_mask, 1);
	CHECK_EQ(x.l1_mfn_value, 1);
	CHECK_EQ(x.mod_start_pfn, 1);
	CHECK_EQ(x.suspend_cancel, 1);
	CHECK_EQ(x.required_features, 1u << XENFEAT_writable_page_tables);
	CHECK_EQ(x.supported_features, 1u << XENFEAT_writable_page_tables |
		 1u << XENFEAT_pae_pgdir_above_4gb | 1u << XENFEAT_dom0);
	CHECK_STR(x.guest_os, "linux");
	CHECK_STR(x.xen_version, "xen-3.0");
	CHECK_STR(x.loader, "gen??a name tha");
	CHECK_STR(x.unknown_feature, "");
	CHECK(xennote_has(&x, XEN_ELFNOTE_L1_MFN_VALID) && !xennote_has(&x, XEN_ELFNOTE_PADDR_OFFSET));

	CHECK_EQ(xennote_pv_layout(&x, &elf, &l, &error), 0);
	CHECK_EQ(l.base, VIRT);
	CHECK_EQ(l.offset, VIRT);
	CHECK_EQ(l.start, VIRT + PHYS);
	CHECK_EQ(l.end, VIRT + PHYS + 0x4800);
	CHECK_EQ(l.entry, VIRT + PHYS + 0x20);
}

TEST(note_sections_are_the_second_choice)
{
	struct elf elf;
	struct xennote x;
	const char *error;

	reset();
	k.phdr[2].type = 0;
	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(xennote_parse(&x, &elf, &error), 0);
	CHECK_STR(x.guest_os, "linux");
	CHECK_EQ(x.entry, k.header.entry);

	k.shdr[1].type = 1;
	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(xennote_parse(&x, &elf, &error), -EINVAL);
	CHECK_STR(error, "it has no Xen ELF notes: not a kernel for Xen guests");
}

static const char *note_error(void)
{
	struct elf elf;
	struct xennote x;
	struct xennote_layout l;
	const char *error = NULL;

	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	if (xennote_parse(&x, &elf, &error) == 0 && xennote_pv_layout(&x, &elf, &l, &error) == 0)
		return "";
	return error;
}

TEST(bad_notes)
{
	struct elf elf;
	struct xennote x;
	const char *error;

	reset();
	CHECK_STR(note_error(), "");
	add_note("Xen", XEN_ELFNOTE_ENTRY, "abc", 3);
	CHECK_STR(note_error(), "a numeric Xen ELF note has an impossible size");
	reset();
	add_note("Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, "", 0);
	CHECK_STR(note_error(), "a numeric Xen ELF note has an impossible size");
	reset();
	memset(k.file + NOTES, 0xff, 8);
	CHECK_STR(note_error(), "ELF: a note overruns its segment");
	k.phdr[2].type = 0;
	CHECK_STR(note_error(), "ELF: a note overruns its section");

	reset();
	add_number(XEN_ELFNOTE_VIRT_BASE, VIRT + 1);
	CHECK_STR(note_error(), "its virtual base is not page-aligned");
	reset();
	add_number(XEN_ELFNOTE_VIRT_BASE, ~0xfffUL);
	CHECK_STR(note_error(), "its segments do not fit above its virtual base");
	reset();
	add_number(XEN_ELFNOTE_PADDR_OFFSET, PHYS + 1);
	CHECK_STR(note_error(), "its segments do not fit above its virtual base");
	reset();
	add_number(XEN_ELFNOTE_PADDR_OFFSET, PHYS);
	add_number(XEN_ELFNOTE_ENTRY, VIRT);
	CHECK_STR(note_error(), "");
	reset();
	add_number(XEN_ELFNOTE_ENTRY, VIRT + PHYS - 1);
	CHECK_STR(note_error(), "its entry point lies outside its image");
	reset();
	add_number(XEN_ELFNOTE_ENTRY, VIRT + PHYS + 0x4800);
	CHECK_STR(note_error(), "its entry point lies outside its image");
	static const u64 bad_pages[] = { 0, VIRT + PHYS + 1, VIRT + PHYS - 0x1000, VIRT + PHYS + 0x4000,
					 ~0xfffUL };

	for (size_t i = 0; i < ARRAY_SIZE(bad_pages); i++) {
		reset();
		add_number(XEN_ELFNOTE_HYPERCALL_PAGE, bad_pages[i]);
		CHECK_STR(note_error(), "its hypercall page is misaligned or lies outside its image");
	}

	reset();
	add_string(XEN_ELFNOTE_FEATURES, "||!|dom0|!time_travel_with_a_name_beyond_all_bounds");
	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(xennote_parse(&x, &elf, &error), 0);
	CHECK_STR(x.unknown_feature, "time_travel_with_a_name_beyond_");
	CHECK(x.supported_features >> XENFEAT_dom0 & 1);
}

TEST(nothing_beyond_a_note_is_read)
{
	struct elf elf;
	struct xennote x;
	const char *error;
	u64 pair[2] = { 1, 1 };

	reset();
	add_note("Xen", XEN_ELFNOTE_FEATURES, "hvm_pirqs|dom", 13);
	k.file[NOTES + k.notes_len - 3] = '0';	/* in the padding */
	add_note("Xen", XEN_ELFNOTE_L1_MFN_VALID, pair, 15);
	store();
	CHECK_EQ(elf_open(&elf, k.file, FILE_SIZE, &error), 0);
	CHECK_EQ(xennote_parse(&x, &elf, &error), 0);
	CHECK_EQ(x.supported_features, 1u << XENFEAT_writable_page_tables |
		 1u << XENFEAT_pae_pgdir_above_4gb | 1u << XENFEAT_hvm_pirqs);
	CHECK_EQ(x.l1_mfn_mask, 0);

	/* The last page of the image may be the hypercall page. */
	reset();
	k.phdr[1].memsz = 0x2000;
	add_number(XEN_ELFNOTE_HYPERCALL_PAGE, VIRT + PHYS + 0x4000);
	CHECK_STR(note_error(), "");
}

static bool touch_note(void *ctx, const struct elf_note *note)
{
	u64 *sum = ctx;

	/* Let ASan see every byte that the caller may look at. */
	for (u32 i = 0; i < note->namesz; i++)
		*sum += (u8)note->name[i];
	for (u32 i = 0; i < note->descsz; i++)
		*sum += note->desc[i];
	return test_below(2);
}

static int touch_segment(void *ctx, const struct elf_phdr *ph, const void *data)
{
	CHECK(ph->filesz <= FILE_SIZE && ph->filesz <= ph->memsz);
	for (u64 i = 0; i < ph->filesz; i++)
		*(u64 *)ctx += ((const u8 *)data)[i];
	return 0;
}

TEST(random_damage)
{
	static const u64 nasty[] = { 0, 1, 3, 4, 8, 0x7fffffff, 0x80000000, 0xffffffff, FILE_SIZE - 1, FILE_SIZE,
				     FILE_SIZE + 1, ~0UL, ~0UL - 7, 1UL << 63, 0xfffffffffffff000 };
	u8 *file = malloc(FILE_SIZE + 1);
	int opened = 0;

	reset();
	for (int step = 0; step < 200000; step++) {
		/* Odd alignment half of the time; the end at the end of the block when aligned. */
		u8 *p = file + (step & 1);
		struct elf elf;
		struct xennote x;
		struct xennote_layout l;
		const char *error = NULL;
		u64 sum = 0, size = FILE_SIZE - (step % 4 == 2 ? test_below(600) : 0);

		if (step % 4 == 2)
			p = file + FILE_SIZE + 1 - size;
		memcpy(p, k.file, size);
		for (u64 n = test_below(4); n; n--) {
			u64 value = nasty[test_below(ARRAY_SIZE(nasty))];
			u64 at = test_below(3) ? 24 + test_below(SHOFF - 24) : test_below(SYMBOLS + 96);
			size_t width = 1u << test_below(4);

			memcpy(p + (at & ~(width - 1)), &value, width);
		}
		if (elf_open(&elf, p, size, &error)) {
			CHECK(error);
			continue;
		}
		opened++;
		CHECK_EQ(elf_load(&elf, touch_segment, &sum), 0);
		elf_vaddr_extent(&elf);
		if (elf_notes(&elf, touch_note, &sum, &error) < 0)
			CHECK(error);
		elf_find_symbol(&elf, "second", &sum);
		if (xennote_parse(&x, &elf, &error) == 0 && xennote_pv_layout(&x, &elf, &l, &error) == 0) {
			CHECK(l.base <= l.start && l.start < l.end);
			CHECK(l.entry >= l.start && l.entry < l.end);
		}
	}
	CHECK(opened > 10000);
	free(file);
}

/* This very program: a real ELF file of another toolchain than the builder above. */
TEST(own_executable)
{
	FILE *f = fopen("/proc/self/exe", "r");
	struct elf elf;
	const char *error;
	u64 value;

	fseek(f, 0, SEEK_END);

	size_t size = (size_t)ftell(f);
	u8 *file = malloc(size);

	rewind(f);
	CHECK(fread(file, 1, size, f) == size);
	fclose(f);
	CHECK_EQ(elf_open(&elf, file, size, &error), 0);
	CHECK(elf_find_symbol(&elf, "elf_find_symbol", &value));
	CHECK_EQ((value ^ (u64)elf_find_symbol) & 0xfff, 0);

	struct xennote x;

	CHECK_EQ(xennote_parse(&x, &elf, &error), -EINVAL);
	free(file);
}
