/* SPDX-License-Identifier: MIT */
/* What guests have done between two answers of the manager's method `stats`. */
#include <lodge/top_rates.h>
#include <lodge/verb.h>
#include <stdlib.h>
#include <string.h>

/* The sum of a member over the guest's devices of a kind. */
static double sum(const json_t *guest, const char *kind, const char *member)
{
	const json_t *d;
	double total = 0;
	size_t i;

	json_array_foreach(json_object_get(guest, kind), i, d)
		total += json_number_value(json_object_get(d, member));
	return total;
}

/* The same life of the same guest: domain ids are used again. */
static const json_t *find(const json_t *answer, const json_t *guest)
{
	const json_t *g;
	size_t i;

	json_array_foreach(json_object_get(answer, "guests"), i, g)
		if (json_equal(json_object_get(g, "domid"), json_object_get(guest, "domid")) &&
		    json_equal(json_object_get(g, "uuid"), json_object_get(guest, "uuid")))
			return g;
	return NULL;
}

/* A device that has gone takes its count with it. */
static double rate(double before, double now, double seconds)
{
	return now > before && seconds > 0 ? (now - before) / seconds : 0;
}

static void fill(struct top_row *r, const json_t *old, const json_t *g, double seconds)
{
	double cpu = json_number_value(json_object_get(g, "cpu_time_ns"));

	name_of(g, r->name, sizeof(r->name));
	r->domid = integer_of(g, "domid");
	r->vcpus = integer_of(g, "vcpus");
	r->memory_kib = integer_of(g, "memory_kib");
	r->state = string_of(g, "state");
	r->cpu_s = cpu / 1e9;
	if (!old)
		return;
	r->cpu_percent = rate(json_number_value(json_object_get(old, "cpu_time_ns")), cpu, seconds) / 1e7;
	r->received = rate(sum(old, "nics", "received_bytes"), sum(g, "nics", "received_bytes"), seconds);
	r->sent = rate(sum(old, "nics", "sent_bytes"), sum(g, "nics", "sent_bytes"), seconds);
	r->read = rate(sum(old, "disks", "read_bytes"), sum(g, "disks", "read_bytes"), seconds);
	r->written = rate(sum(old, "disks", "written_bytes"), sum(g, "disks", "written_bytes"), seconds);
}

bool top_table_make(struct top_table *t, const json_t *before, const json_t *now)
{
	const json_t *guests = json_object_get(now, "guests"), *machine = json_object_get(now, "machine"), *g;
	size_t i;

	*t = (struct top_table){ .cpus = integer_of(machine, "cpus"), .memory_kib = integer_of(machine, "memory_kib"),
		.free_kib = integer_of(machine, "free_kib"), .rows = calloc(json_array_size(guests) + 1, sizeof(*t->rows)) };
	if (!t->rows)
		return false;
	if (before)
		t->seconds = (double)(json_integer_value(json_object_get(now, "time_ns")) -
				      json_integer_value(json_object_get(before, "time_ns"))) / 1e9;
	json_array_foreach(guests, i, g)
		fill(&t->rows[t->n++], before ? find(before, g) : NULL, g, t->seconds);
	return true;
}

static double key(const struct top_row *r, enum top_column by)
{
	switch (by) {
	case TOP_CPU: return r->cpu_percent;
	case TOP_MEMORY: return (double)r->memory_kib;
	case TOP_NETWORK: return r->received + r->sent;
	case TOP_DISK: return r->read + r->written;
	default: return 0;
	}
}

static int compare(const void *a, const void *b, void *by)
{
	const struct top_row *x = a, *y = b;
	double kx = key(x, *(enum top_column *)by), ky = key(y, *(enum top_column *)by);

	if (kx != ky)
		return kx < ky ? 1 : -1;
	return strcmp(x->name, y->name);
}

void top_table_sort(struct top_table *t, enum top_column by)
{
	qsort_r(t->rows, t->n, sizeof(*t->rows), compare, &by);
}

json_t *top_table_json(const struct top_table *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++) {
		const struct top_row *r = &t->rows[i];

		json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "domid", r->domid, "name",
			r->name, "state", r->state, "vcpus", r->vcpus, "memory_kib", r->memory_kib, "cpu_time_s", r->cpu_s,
			"cpu_percent", r->cpu_percent, "received_bytes_per_s", r->received, "sent_bytes_per_s", r->sent,
			"read_bytes_per_s", r->read, "written_bytes_per_s", r->written));
	}
	return json_pack("{s:f, s:{s:I, s:I, s:I}, s:o}", "interval_s", t->seconds, "machine", "cpus", t->cpus, "memory_kib", t->memory_kib,
		"free_kib", t->free_kib, "guests", list);
}

void top_table_free(struct top_table *t)
{
	free(t->rows);
	*t = (struct top_table){ 0 };
}
