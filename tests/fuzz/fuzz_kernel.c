/* SPDX-License-Identifier: MIT */
/* Fuzzing: guest kernels, from the file to the page tables. What is accepted lies where it may; what is refused says why. */
/* sources: tools/lib/kernel_unpack.c tools/lib/build_layout.c tools/lib/err.c lib/elf.c lib/xennote.c boot/bzimage.c boot/packformat.c boot/unpack_codecs.c boot/unpack_lzma2.c boot/unpack_xz.c */
/* libs: -lz -llz4 -lzstd */
#include <lib/kernel_unpack.h>
#include <stdlib.h>
#include <string.h>

#include <lib/build_layout.h>

#include "../unit/kernel_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)
#define MAX_UNPACKED	(1 << 20)
#define PAGES		8192	/* a guest of 32 MiB */

static u64 p2m[PAGES + 512];

static void *output(void *ctx, size_t size)
{
	return *(void **)ctx = malloc(size);
}

static int check_segment(void *ctx, const struct elf_phdr *ph, const void *data)
{
	const struct build_layout *l = ctx;
	u64 pa = ph->paddr + l->k.offset - l->k.base;
	const volatile u8 *bytes = data;

	REQUIRE(pa < PAGES * PAGE_SIZE && ph->memsz <= PAGES * PAGE_SIZE - pa && ph->filesz <= ph->memsz);
	if (ph->filesz)
		(void)(bytes[0] + bytes[ph->filesz - 1]);
	return 0;
}

/* Where is va, by the guest's tables? */
static u64 translate(const struct build_layout *l, u64 (*tables)[512], u64 va)
{
	u64 table = 0, count = l->pt_pages + l->p2m_tables;

	for (unsigned level = 4; level; level--) {
		u64 entry = tables[table][va >> (3 + 9 * level) & 511], frame = entry >> PAGE_SHIFT, pfn = frame - p2m[0];

		REQUIRE(entry & 1 && pfn < PAGES);
		if (level == 1)
			return pfn;
		table = pfn - build_pfn(l, l->pt_va);
		if (table >= l->pt_pages)
			table = pfn - (l->p2m_pfn + l->p2m_pages) + l->pt_pages;
		REQUIRE(table < count);
	}
	return 0;
}

static void check_layout(struct build_layout *l, const struct elf *elf)
{
	u64 (*tables)[512];

	REQUIRE(elf_load(elf, check_segment, l) == 0);
	tables = calloc(l->pt_pages + l->p2m_tables, PAGE_SIZE);
	build_tables(l, p2m, tables);
	REQUIRE(translate(l, tables, l->k.base) == 0);
	REQUIRE(translate(l, tables, l->end_va - 1) == build_pfn(l, l->end_va) - 1);
	REQUIRE(translate(l, tables, l->k.entry & PAGE_MASK) == build_pfn(l, l->k.entry));
	REQUIRE(translate(l, tables, l->p2m_va) == l->p2m_pfn);
	free(tables);
}

static void check_kernel(const void *image, size_t size)
{
	struct build_layout l = { 0 };
	const char *error = NULL;
	struct elf elf;

	if (elf_open(&elf, image, size, &error)) {
		REQUIRE(error);
		return;
	}
	error = build_read_notes(&l, &elf);
	if (!error)
		error = build_plan(&l, PAGES, 12345);
	if (!error && l.needed <= l.pages)
		check_layout(&l, &elf);
}

/* A good kernel, with bytes of its headers changed: three bytes of input say where (little-endian) and to what. */
static void check_damaged(const uint8_t *data, size_t size)
{
	const struct kernel_image_spec spec = {
		.base = data[0] & 1 ? 0xffffffff80000000 : 0, .start = data[0] & 2 ? MiB(1) : 0, .filesz = 100, .memsz = 3 * PAGE_SIZE,
		.init_p2m = data[0] & 4 ? 0x8000000000 : 0, .mod_start_pfn = data[0] & 8,
		.features = data[0] & 16 ? "!writable_page_tables|x" : NULL,
	};
	u8 *file = calloc(1, KERNEL_IMAGE_HEADERS + spec.filesz);
	size_t len = kernel_image_make(file, &spec);

	for (data++, size--; size >= 3; data += 3, size -= 3)
		file[(data[0] | data[1] << 8) % KERNEL_IMAGE_HEADERS] = data[2];
	check_kernel(file, len);
	free(file);
}

static void check_file(const uint8_t *data, size_t size)
{
	void *unpacked = NULL;
	const char *error;
	size_t got = 0;

	error = kernel_unpack_here(data, size, MAX_UNPACKED, output, &unpacked, &got);
	if (error)
		REQUIRE(error[0]);
	else
		check_kernel(unpacked, got);
	free(unpacked);
}

/* The first byte chooses what the rest is: a kernel file, the ELF file in one, or changes to a good one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (u64 i = 0; i < PAGES; i++)
		p2m[i] = 0x100000 + i;
	if (size < 2)
		return 0;
	if (data[0] % 4 == 0)
		check_file(data + 1, size - 1);
	else if (data[0] % 4 == 1)
		check_kernel(data + 1, size - 1);
	else
		check_damaged(data + 1, size - 1);
	return 0;
}
