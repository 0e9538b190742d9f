/* SPDX-License-Identifier: MIT */
/* What guests have done between two answers of the manager's method `stats`. */
#ifndef LODGE_TOP_RATES_H
#define LODGE_TOP_RATES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum top_column { TOP_NAME, TOP_CPU, TOP_MEMORY, TOP_NETWORK, TOP_DISK, TOP_COLUMNS };

struct top_row {
	char name[64];
	json_int_t domid, vcpus, memory_kib;
	const char *state;		/* lives as long as the answer */
	double cpu_s;			/* since its start */
	/* Per second, since the answer before; 0 when the guest was not in that. */
	double cpu_percent;		/* of one processor */
	double received, sent, read, written;	/* bytes */
};

struct top_table {
	struct top_row *rows;
	size_t n;
	double seconds;			/* between the two */
	json_int_t cpus, memory_kib, free_kib;
};

/* before: NULL if there is none yet. False: no memory. */
bool top_table_make(struct top_table *t, const json_t *before, const json_t *now);
/* The most at the top; names in alphabetical order. */
void top_table_sort(struct top_table *t, enum top_column by);
json_t *top_table_json(const struct top_table *t);
void top_table_free(struct top_table *t);

#endif
