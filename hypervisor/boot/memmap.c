/* SPDX-License-Identifier: MIT */
/* E820 clean-up, and the list of RAM that is free at boot. */
#include <boot/memmap.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/param.h>
#include <x86/layout.h>

static struct e820entry map[MAX_E820];
static unsigned nr_map;

static u64 opt_mem = ~0UL;
static int parse_mem(const char *value) { return param_size(value, KiB(1), &opt_mem); }
BOOT_PARAM("mem", parse_mem, "SIZE (a plain number is KiB)", "ignore memory above SIZE");

extern char image_start[], image_end[];

unsigned e820_get(const struct e820entry **out)
{
	*out = map;
	return nr_map;
}

/* How strongly a type claims bytes that two entries cover: anything wins over RAM. */
static unsigned rank(u32 type)
{
	return type == E820_RAM ? 0 : type == E820_ACPI ? 1 : type == E820_NVS ? 2 : type == E820_UNUSABLE ? 4 : 3;
}

/* Type of the byte at addr, 0 where no entry covers it; *next is the nearest boundary above. */
static u32 type_at(const struct boot_info *bi, u64 addr, u64 *next)
{
	u32 type = 0;

	*next = ~0UL;
	for (unsigned i = 0; i < bi->nr_e820; i++) {
		const struct e820entry *e = &bi->e820[i];
		u64 end = e->addr + e->size < e->addr ? ~0UL : e->addr + e->size;

		if (e->addr > addr)
			*next = min(*next, e->addr);
		else if (end > addr) {
			*next = min(*next, end);
			if (!type || rank(e->type) > rank(type))
				type = e->type;
		}
	}
	return type;
}

static void append(u64 addr, u64 end, u32 type)
{
	struct e820entry *last = nr_map ? &map[nr_map - 1] : NULL;

	if (last && last->type == type && last->addr + last->size == addr)
		last->size += end - addr;
	else if (nr_map < MAX_E820)
		map[nr_map++] = (struct e820entry){ addr, end - addr, type };
	else
		boot_fail("the memory map has more than %d entries", MAX_E820);
}

void memmap_init(const struct boot_info *bi)
{
	u64 next, total = 0;

	for (u64 addr = 0; addr != ~0UL; addr = next) {
		u32 type = type_at(bi, addr, &next);
		u64 end = next;

		if (type == E820_RAM && addr >= opt_mem)
			type = 0;
		else if (type == E820_RAM && end > opt_mem)
			end = opt_mem;
		if (type)
			append(addr, end, type);
	}
	for (unsigned i = 0; i < nr_map; i++) {
		log_info("memory %016lx-%016lx %s\n", map[i].addr, map[i].addr + map[i].size - 1,
			 map[i].type == E820_RAM ? "RAM" : map[i].type == E820_ACPI ? "ACPI" : map[i].type == E820_NVS ? "ACPI NVS" :
			 map[i].type == E820_UNUSABLE ? "unusable" : "reserved");
		if (map[i].type == E820_RAM)
			total += map[i].size;
	}
	log_info("%lu MiB of RAM\n", total >> 20);
}

/* Cut [start, end) out of the sorted ranges. */
static unsigned cut(struct ram_range *r, unsigned n, u64 start, u64 end)
{
	for (unsigned i = 0; i < n; i++) {
		if (end <= r[i].start.v || start >= r[i].end.v)
			continue;
		if (start > r[i].start.v && end < r[i].end.v) {
			if (n == MAX_RAM_RANGES)
				boot_fail("memory is in too many pieces");
			for (unsigned j = n++; j > i + 1; j--)
				r[j] = r[j - 1];
			r[i + 1] = (struct ram_range){ paddr(end), r[i].end };
			r[i].end = paddr(start);
		} else if (start > r[i].start.v) {
			r[i].end = paddr(start);
		} else if (end < r[i].end.v) {
			r[i].start = paddr(end);
		} else {
			n--;
			for (unsigned j = i--; j < n; j++)
				r[j] = r[j + 1];
		}
	}
	return n;
}

unsigned memmap_free_ranges(const struct boot_info *bi, struct ram_range *out, paddr_t *top)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nr_map; i++) {
		u64 start = ALIGN_UP(max(map[i].addr, MiB(1)), PAGE_SIZE);
		u64 end = ALIGN_DOWN(map[i].addr + map[i].size, PAGE_SIZE);

		if (map[i].type != E820_RAM || start >= end)
			continue;
		if (n == MAX_RAM_RANGES)
			boot_fail("memory is in too many pieces");
		out[n++] = (struct ram_range){ paddr(start), paddr(end) };
		top->v = end;
	}
	n = cut(out, n, IMAGE_PHYS, IMAGE_PHYS + ALIGN_UP((u64)(image_end - image_start), PAGE_SIZE));
	for (unsigned i = 0; i < bi->nr_modules; i++) {
		const struct boot_module *m = &bi->modules[i];

		n = cut(out, n, ALIGN_DOWN(m->start.v, PAGE_SIZE), ALIGN_UP(m->start.v + m->size, PAGE_SIZE));
	}
	return n;
}

paddr_t memmap_low_page(void)
{
	/* The top of conventional memory is where firmware puts its own data and marks it reserved. */
	for (unsigned i = 0; i < nr_map; i++) {
		u64 end = ALIGN_DOWN(min(map[i].addr + map[i].size, KiB(636)), PAGE_SIZE);

		if (map[i].type == E820_RAM && end >= map[i].addr + 2 * PAGE_SIZE)
			return paddr(end - PAGE_SIZE);
	}
	boot_fail("there is no RAM below 640 KiB to start the other processors from");
}
