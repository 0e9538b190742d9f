/* SPDX-License-Identifier: MIT */
/* What the decompression libraries expect of a C library. */

/*
 * They need only ten functions: malloc, calloc, free and __stack_chk_fail, which
 * unpack.mk renames to the ones here, and memcpy, memmove, memset and memcmp, which
 * are the hypervisor's own. The arena grows upwards and is reset whenever all
 * blocks are free, as they are between the blocks of an XZ file. Boot processor only.
 */

#include <boot/unpack_codecs.h>
#include <boot/unpack_shim.h>
#include <core/panic.h>
#include <lib/string.h>

static u8 *arena __initdata;
static size_t arena_size __initdata, arena_used __initdata;
static unsigned int arena_blocks __initdata;

void __init unpack_arena_init(void *base, size_t size)
{
	u8 *start = (u8 *)ALIGN_UP((uintptr_t)base, 64);
	size_t lost = (size_t)(start - (u8 *)base);

	arena = start;
	arena_size = size > lost ? ALIGN_DOWN(size - lost, 64) : 0;
	arena_used = 0;
	arena_blocks = 0;
}

void *__init unpack_malloc(size_t size)
{
	if (size > arena_size - arena_used)
		return NULL;

	void *block = arena + arena_used;

	/* Cannot exceed arena_size, a multiple of 64 too. */
	arena_used += ALIGN_UP(size, 64);
	arena_blocks++;
	return block;
}

void *__init unpack_calloc(size_t n, size_t size)
{
	size_t bytes;
	void *block;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	block = unpack_malloc(bytes);
	return block ? memset(block, 0, bytes) : NULL;
}

void __init unpack_free(void *block)
{
	if (block && --arena_blocks == 0)
		arena_used = 0;
}

/* Memory is corrupt; there is nothing to go on with. */
void __init unpack_stack_smashed(void)
{
	panic("stack smashed while unpacking a boot module");
}

/* ZSTD's optional tracing: context 0 means "not traced". The hooks must exist, as a weak reference to address 0 is out of a call's reach. */
unsigned long long __init unpack_trace_begin(void)
{
	return 0;
}

void __init unpack_trace_end(void)
{
}
