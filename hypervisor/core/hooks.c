/* SPDX-License-Identifier: MIT */
/* Defaults of the hooks into memory/: what works before memory is set up. */
#include <core/hooks.h>
#include <x86/layout.h>

static void *early_ioremap(paddr_t p, size_t len)
{
	return p.v <= GiB(4) && len <= GiB(4) - p.v ? (void *)(DIRECTMAP_START + p.v) : NULL;
}

const void *core_map_table(paddr_t p, size_t len)
{
	return early_ioremap(p, len) ?: core_ioremap(p, len);
}

static void early_iounmap(void *va, size_t len) {}
static void *early_zalloc(size_t size) { return NULL; }
static void early_free(void *p) {}

void *(*core_ioremap)(paddr_t, size_t) __ro_after_init = early_ioremap;
void (*core_iounmap)(void *, size_t) __ro_after_init = early_iounmap;
void *(*core_zalloc)(size_t) __ro_after_init = early_zalloc;
void (*core_free)(void *) __ro_after_init = early_free;

static void *hook_alloc(void *ctx, size_t size) { return core_zalloc(size); }
static void hook_free(void *ctx, void *block, size_t size) { core_free(block); }
const struct allocator core_allocator = { .alloc = hook_alloc, .free = hook_free };
