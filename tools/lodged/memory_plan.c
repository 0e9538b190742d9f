/* SPDX-License-Identifier: MIT */
/* Arithmetic of the machine's memory. */
#include <lib/number.h>
#include <lodged/memory_plan.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_KIB	4
#define SPARE_KIB	(64 << 10)	/* Domain 0 keeps so much that it does not use now: a new guest's backends and buffers need some */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* a - b, or nothing. */
static uint64_t beyond(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t plan_can_give(const struct memory_figures *f)
{
	return beyond(f->dom0_kib, f->least_kib);
}

uint64_t plan_room(const struct memory_figures *f)
{
	return beyond(f->free_kib + plan_can_give(f), f->promised_kib);
}

uint64_t plan_target(const struct memory_figures *f, uint64_t more_kib)
{
	uint64_t lacking = beyond(f->promised_kib + more_kib, f->free_kib);
	uint64_t give = less(lacking, plan_can_give(f));

	return give ? less(f->target_kib, (f->dom0_kib - give) / PAGE_KIB * PAGE_KIB) : f->target_kib;
}

uint64_t plan_gives(const struct memory_figures *f, uint64_t target_kib)
{
	return beyond(less(f->target_kib, f->dom0_kib), target_kib);
}

uint64_t plan_least(uint64_t dom0_kib, uint64_t available_kib, uint64_t min_kib)
{
	uint64_t used = dom0_kib - less(dom0_kib, beyond(available_kib, SPARE_KIB));

	return used > min_kib ? used : min_kib;
}

/* One part of a value of dom0_mem=; its end, or NULL when it is none. */
static const char *take_part(const char *s, uint64_t machine_kib, uint64_t *min_kib)
{
	bool is_min = !strncmp(s, "min:", 4), but;
	u64 bytes;

	if (is_min || !strncmp(s, "max:", 4))
		s += 4;
	but = *s == '-';
	if (number_parse_size(s + but, &s, 1024, &bytes) || !strchr(", \t", *s))
		return NULL;
	if (is_min)
		*min_kib = but ? beyond(machine_kib, bytes >> 10) : bytes >> 10;
	return s;
}

uint64_t plan_min_of(const char *command_line, uint64_t machine_kib)
{
	static const char key[] = "dom0_mem=";
	uint64_t min_kib = 0;

	for (const char *s = command_line; (s = strstr(s, key));) {
		bool word = s == command_line || s[-1] == ' ' || s[-1] == '\t';

		s += strlen(key);
		while (word && (s = take_part(s, machine_kib, &min_kib)) && *s == ',')
			s++;
		if (!s)
			break;
	}
	return min_kib;
}

uint64_t plan_available(const char *meminfo)
{
	static const char key[] = "\nMemAvailable:";
	const char *s = strstr(meminfo, key);

	return s ? strtoull(s + strlen(key), NULL, 10) : 0;
}
