/* SPDX-License-Identifier: MIT */
/* Reader of 64-bit x86 ELF files whose content is not trusted. */
#ifndef LIB_ELF_H
#define LIB_ELF_H

#include <lib/types.h>

/*
 * elf_open() checks everything that can be checked without looking at contents;
 * the other functions rely on it, and check the rest. No function reads outside
 * the image, whatever it contains. Messages are made to follow "NAME: ".
 * Layouts and names: System V ABI (gABI) ch. 4 and 5, AMD64 supplement.
 */

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_shdr {
	u32 name, type;
	u64 flags, addr, offset, size;
	u32 link, info;
	u64 addralign, entsize;
};

struct elf_symbol {
	u32 name;
	u8 info, other;
	u16 shndx;
	u64 value, size;
};

#define ELF_PT_LOAD	1
#define ELF_PT_NOTE	4
#define ELF_PF_X	1
#define ELF_PF_W	2
#define ELF_PF_R	4
#define ELF_SHT_SYMTAB	2
#define ELF_SHT_STRTAB	3
#define ELF_SHT_NOTE	7
#define ELF_SHT_NOBITS	8

struct elf {
	const u8 *image;
	u64 size;
	struct elf_header header;
};

/*
 * Check the file: 64-bit little-endian x86-64, executable or shared (PIE); header
 * tables within the file; each segment's file part within the file and not larger
 * than its memory part; no address range that wraps around; at least one segment
 * to load. @image stays the caller's and must outlive @elf. 0, or -EINVAL with a message.
 */
int __must_check elf_open(struct elf *elf, const void *image, u64 size, const char **error);

/* Program header @i < header.phnum, copied to *@ph. Its file part is at image + offset. */
void elf_phdr(const struct elf *elf, unsigned int i, struct elf_phdr *ph);

/*
 * Section header @i. False if there is none or its contents lie outside the file.
 * Without section headers shnum is 0.
 */
bool elf_shdr(const struct elf *elf, unsigned int i, struct elf_shdr *sh);

/* Lowest address and end of all segments to load, by physical or by virtual address. */
struct elf_extent {
	u64 start, end;
};
struct elf_extent elf_paddr_extent(const struct elf *elf);
struct elf_extent elf_vaddr_extent(const struct elf *elf);

/*
 * Call @load for each segment to load, in file order: it must put ph->filesz bytes
 * from @data at its destination and clear the following ph->memsz - ph->filesz.
 * Stops at the first return value that is not 0, and returns it.
 */
typedef int (*elf_load_fn)(void *ctx, const struct elf_phdr *ph, const void *data);
int __must_check elf_load(const struct elf *elf, elf_load_fn load, void *ctx);

struct elf_note {
	const char *name;	/* namesz bytes, which should include a terminating 0 */
	const u8 *desc;		/* descsz bytes, any alignment */
	u32 namesz, descsz, type;
};

/*
 * Call @fn for each note of all PT_NOTE segments, and if it never returned true
 * (accepted) for any, of all SHT_NOTE sections. Returns the number of accepted
 * notes; -EINVAL with a message if a note overruns its segment or section.
 */
typedef bool (*elf_note_fn)(void *ctx, const struct elf_note *note);
int __must_check elf_notes(const struct elf *elf, elf_note_fn fn, void *ctx, const char **error);

/* Is the note's name @name? */
bool elf_note_named(const struct elf_note *note, const char *name);

/* The value of the first symbol with that name; false if there is none. Linear search. */
bool elf_find_symbol(const struct elf *elf, const char *name, u64 *value);

#endif
