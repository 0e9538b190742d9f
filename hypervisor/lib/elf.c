/* SPDX-License-Identifier: MIT */
/* Reader of 64-bit x86 ELF files whose content is not trusted. */

/*
 * Headers are copied out before they are looked at: they may be misaligned. Every
 * offset and size from the file goes through in_file() before it is used.
 */

#include <lib/elf.h>
#include <lib/errno.h>
#include <lib/string.h>

#define CLASS_32	1
#define CLASS_64	2
#define LITTLE_ENDIAN	1
#define TYPE_EXEC	2
#define TYPE_DYN	3
#define MACHINE_X86_64	62

static bool in_file(const struct elf *elf, u64 offset, u64 len)
{
	return offset <= elf->size && len <= elf->size - offset;
}

static bool wraps(u64 start, u64 len)
{
	return start + len < start;
}

static const char *check_header(const struct elf *elf)
{
	const struct elf_header *h = &elf->header;

	if (h->ident[4] == CLASS_32)
		return "it is a 32-bit ELF file; a 64-bit one is needed";
	if (h->ident[4] != CLASS_64)
		return "ELF: unknown class";
	if (h->ident[5] != LITTLE_ENDIAN)
		return "ELF: not little-endian";
	if (h->ident[6] != 1 || h->version != 1)
		return "ELF: unknown version";
	if (h->machine != MACHINE_X86_64)
		return "ELF: made for another processor, not x86-64";
	if (h->type != TYPE_EXEC && h->type != TYPE_DYN)
		return "ELF: not an executable";
	if (h->phnum == 0)
		return "ELF: no program headers";
	if (h->phentsize != sizeof(struct elf_phdr))
		return "ELF: program headers of a wrong size";
	if (!in_file(elf, h->phoff, (u64)h->phnum * sizeof(struct elf_phdr)))
		return "ELF: program headers lie outside the file";
	if (h->shnum == 0)
		return NULL;
	if (h->shentsize != sizeof(struct elf_shdr))
		return "ELF: section headers of a wrong size";
	if (!in_file(elf, h->shoff, (u64)h->shnum * sizeof(struct elf_shdr)))
		return "ELF: section headers lie outside the file";
	return NULL;
}

static const char *check_segments(const struct elf *elf)
{
	bool any = false;

	for (unsigned int i = 0; i < elf->header.phnum; i++) {
		struct elf_phdr ph;

		elf_phdr(elf, i, &ph);
		if (ph.type != ELF_PT_LOAD && ph.type != ELF_PT_NOTE)
			continue;
		if (!in_file(elf, ph.offset, ph.filesz))
			return "ELF: a segment lies outside the file (truncated?)";
		if (ph.type != ELF_PT_LOAD)
			continue;
		if (ph.filesz > ph.memsz)
			return "ELF: a segment is larger in the file than in memory";
		if (wraps(ph.vaddr, ph.memsz) || wraps(ph.paddr, ph.memsz))
			return "ELF: a segment wraps around the address space";
		any |= ph.memsz != 0;
	}
	return any ? NULL : "ELF: nothing to load";
}

int elf_open(struct elf *elf, const void *image, u64 size, const char **error)
{
	*elf = (struct elf){ .image = image, .size = size };
	if (size >= 4 && memcmp(image, "\x7f" "ELF", 4) != 0)
		*error = "it is not an ELF file";
	else if (size < sizeof(elf->header))
		*error = "ELF: the file is truncated";
	else {
		memcpy(&elf->header, image, sizeof(elf->header));
		*error = check_header(elf);
		if (!*error)
			*error = check_segments(elf);
	}
	return *error ? -EINVAL : 0;
}

void elf_phdr(const struct elf *elf, unsigned int i, struct elf_phdr *ph)
{
	memcpy(ph, elf->image + elf->header.phoff + i * sizeof(*ph), sizeof(*ph));
}

bool elf_shdr(const struct elf *elf, unsigned int i, struct elf_shdr *sh)
{
	if (i >= elf->header.shnum)
		return false;
	memcpy(sh, elf->image + elf->header.shoff + i * sizeof(*sh), sizeof(*sh));
	return sh->type == ELF_SHT_NOBITS || in_file(elf, sh->offset, sh->size);
}

static struct elf_extent extent(const struct elf *elf, bool physical)
{
	struct elf_extent e = { .start = ~0UL };

	for (unsigned int i = 0; i < elf->header.phnum; i++) {
		struct elf_phdr ph;

		elf_phdr(elf, i, &ph);
		if (ph.type == ELF_PT_LOAD && ph.memsz) {
			u64 start = physical ? ph.paddr : ph.vaddr;

			e.start = min(e.start, start);
			e.end = max(e.end, start + ph.memsz);
		}
	}
	return e;
}

struct elf_extent elf_paddr_extent(const struct elf *elf)
{
	return extent(elf, true);
}

struct elf_extent elf_vaddr_extent(const struct elf *elf)
{
	return extent(elf, false);
}

int elf_load(const struct elf *elf, elf_load_fn load, void *ctx)
{
	for (unsigned int i = 0; i < elf->header.phnum; i++) {
		struct elf_phdr ph;

		elf_phdr(elf, i, &ph);
		if (ph.type == ELF_PT_LOAD && ph.memsz) {
			int rc = load(ctx, &ph, elf->image + ph.offset);

			if (rc)
				return rc;
		}
	}
	return 0;
}

/* Cut one note off the front of @p .. @p + @len. Returns the bytes used, 0 at the end, -EINVAL if it overruns. */
static s64 next_note(const u8 *p, u64 len, u64 align, struct elf_note *note)
{
	u32 head[3];
	u64 desc, end;

	if (len < sizeof(head))
		return 0;	/* padding */
	memcpy(head, p, sizeof(head));
	desc = ALIGN_UP(sizeof(head) + (u64)head[0], align);
	end = desc + head[1];
	if (end > len)
		return -EINVAL;
	*note = (struct elf_note){
		.namesz = head[0], .descsz = head[1], .type = head[2],
		.name = (const char *)p + sizeof(head), .desc = p + desc,
	};
	end = ALIGN_UP(end, align);
	return (s64)min(end, len);
}

static int notes_in(const struct elf *elf, u64 offset, u64 len, u64 align,
		    elf_note_fn fn, void *ctx, int *accepted)
{
	/* Notes are padded to 4 bytes, or to 8 where the segment says so. */
	align = align == 8 ? 8 : 4;
	for (;;) {
		struct elf_note note;
		s64 used = next_note(elf->image + offset, len, align, &note);

		if (used <= 0)
			return (int)used;
		*accepted += fn(ctx, &note);
		offset += (u64)used;
		len -= (u64)used;
	}
}

int elf_notes(const struct elf *elf, elf_note_fn fn, void *ctx, const char **error)
{
	struct elf_phdr ph;
	struct elf_shdr sh;
	int accepted = 0;

	for (unsigned int i = 0; i < elf->header.phnum; i++) {
		elf_phdr(elf, i, &ph);
		if (ph.type == ELF_PT_NOTE &&
		    notes_in(elf, ph.offset, ph.filesz, ph.align, fn, ctx, &accepted)) {
			*error = "ELF: a note overruns its segment";
			return -EINVAL;
		}
	}
	for (unsigned int i = 0; !accepted && i < elf->header.shnum; i++) {
		if (elf_shdr(elf, i, &sh) && sh.type == ELF_SHT_NOTE &&
		    notes_in(elf, sh.offset, sh.size, sh.addralign, fn, ctx, &accepted)) {
			*error = "ELF: a note overruns its section";
			return -EINVAL;
		}
	}
	return accepted;
}

bool elf_note_named(const struct elf_note *note, const char *name)
{
	size_t len = strlen(name);

	/* The terminating 0 should be there and be counted; some tools forget. */
	return (note->namesz == len || note->namesz == len + 1) &&
	       memcmp(note->name, name, note->namesz) == 0;
}

static bool search_table(const struct elf *elf, const struct elf_shdr *symbols,
			 const struct elf_shdr *strings, const char *name, u64 *value)
{
	size_t len = strlen(name) + 1;

	for (u64 at = 0; at + sizeof(struct elf_symbol) <= symbols->size;
	     at += sizeof(struct elf_symbol)) {
		struct elf_symbol sym;

		memcpy(&sym, elf->image + symbols->offset + at, sizeof(sym));
		if (sym.shndx && sym.name < strings->size && len <= strings->size - sym.name &&
		    memcmp(elf->image + strings->offset + sym.name, name, len) == 0) {
			*value = sym.value;
			return true;
		}
	}
	return false;
}

bool elf_find_symbol(const struct elf *elf, const char *name, u64 *value)
{
	struct elf_shdr symbols, strings;

	for (unsigned int i = 0; i < elf->header.shnum; i++)
		if (elf_shdr(elf, i, &symbols) && symbols.type == ELF_SHT_SYMTAB &&
		    elf_shdr(elf, symbols.link, &strings) && strings.type == ELF_SHT_STRTAB &&
		    search_table(elf, &symbols, &strings, name, value))
			return true;
	return false;
}
