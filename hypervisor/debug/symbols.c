/* SPDX-License-Identifier: MIT */
/* Lookup in the symbol table that the second link puts at the end of the image. */
#include <debug/symbols.h>
#include <lib/printf.h>
#include <x86/layout.h>

/*
 * Made by scripts/mksyms.sh from the first link. Entries ascend; each function reaches to the next one, the last to the end of the code.
 */
struct symbol { u32 addr, name; };

extern const u32 symtab_count;
extern const struct symbol symtab_entries[];
extern const char symtab_names[];
extern const char image_start[], text_end[];

static bool is_code(u64 addr)
{
	return addr >= (u64)image_start && addr < (u64)text_end;
}

const char *symbol_find(u64 addr, u64 *offset)
{
	u32 lo = 0, hi = symtab_count;

	if (!is_code(addr) || hi == 0 || addr - IMAGE_START < symtab_entries[0].addr)
		return NULL;
	while (hi - lo > 1) {
		u32 mid = lo + (hi - lo) / 2;

		if (symtab_entries[mid].addr <= addr - IMAGE_START)
			lo = mid;
		else
			hi = mid;
	}
	*offset = addr - IMAGE_START - symtab_entries[lo].addr;
	return symtab_names + symtab_entries[lo].name;
}

const char *symbol_format(char *buf, size_t size, u64 addr)
{
	u64 offset;
	const char *name = symbol_find(addr, &offset);

	if (name)
		snprintf(buf, size, "%s+%#lx", name, offset);
	else
		snprintf(buf, size, "%#lx", addr);
	return buf;
}
