/* SPDX-License-Identifier: MIT */
/*
 * Definitions as JSON (docs/json.md): one table of members, in the order in which they are written, serves both directions.
 * What is NULL, 0 or false is left out; reading refuses what it does not know, and definition_check() has the last word.
 */
#include <lib/definition.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

enum kind { STRING, NUMBER32, NUMBER64, BOOL, LINE, UUID, TYPE, ACTION, FORMAT, STRINGS, DISKS, NICS };

struct member {
	const char *name;
	enum kind kind;
	size_t offset;
};

#define DEFINITION(name, kind)	{ #name, kind, offsetof(struct definition, name) }
#define DISK(name, kind)	{ #name, kind, offsetof(struct disk, name) }
#define NIC(name, kind)		{ #name, kind, offsetof(struct nic, name) }

static const struct member definition_members[] = {
	DEFINITION(name, STRING), DEFINITION(uuid, UUID), DEFINITION(type, TYPE), DEFINITION(file, STRING), DEFINITION(kernel, STRING),
	DEFINITION(ramdisk, STRING), DEFINITION(cmdline, STRING), DEFINITION(memory_kib, NUMBER64), DEFINITION(maxmem_kib, NUMBER64),
	DEFINITION(vcpus, NUMBER32), DEFINITION(maxvcpus, NUMBER32), DEFINITION(cpus, STRINGS), DEFINITION(cpu_weight, NUMBER32),
	DEFINITION(cpu_cap, NUMBER32), DEFINITION(disks, DISKS), DEFINITION(nics, NICS), DEFINITION(on_poweroff, ACTION),
	DEFINITION(on_reboot, ACTION), DEFINITION(on_crash, ACTION), DEFINITION(on_watchdog, ACTION), { 0 },
};
static const struct member disk_members[] = {
	DISK(target, STRING), DISK(vdev, STRING), DISK(format, FORMAT), DISK(readonly, BOOL), DISK(shared, BOOL), DISK(cdrom, BOOL),
	DISK(script, STRING), DISK(line, LINE), { 0 },
};
static const struct member nic_members[] = {
	NIC(mac, STRING), NIC(bridge, STRING), NIC(ip, STRING), NIC(script, STRING), NIC(vifname, STRING), NIC(model, STRING),
	NIC(rate_bytes, NUMBER64), NIC(rate_interval_us, NUMBER32), NIC(devid, NUMBER32), NIC(line, LINE), { 0 },
};

static json_t *object_to_json(const void *object, const struct member *members);

/* A list of n objects of `size` bytes each; NULL also for none. */
static json_t *list_to_json(const void *items, size_t n, size_t size, const struct member *members)
{
	json_t *list = n ? json_array() : NULL;

	for (size_t i = 0; i < n && list; i++) {
		if (json_array_append_new(list, object_to_json((const char *)items + i * size, members))) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

/* NULL: to be left out, or (with *failed) no memory. */
static json_t *member_to_json(const void *object, const struct member *m, bool *failed)
{
	const void *p = (const char *)object + m->offset;
	const struct definition *d = object;	/* for the lists, which only it has */
	json_t *json = NULL;
	bool there = true;
	char uuid[37];

	switch (m->kind) {
	case STRING:
		there = *(char *const *)p != NULL;
		json = there ? json_string(*(char *const *)p) : NULL;
		break;
	case NUMBER32:
		there = *(const uint32_t *)p != 0;
		json = there ? json_integer(*(const uint32_t *)p) : NULL;
		break;
	case NUMBER64:
		there = *(const uint64_t *)p != 0;
		json = there ? json_integer((json_int_t)*(const uint64_t *)p) : NULL;
		break;
	case LINE:
		there = *(const int *)p != 0;
		json = there ? json_integer(*(const int *)p) : NULL;
		break;
	case BOOL:
		there = *(const bool *)p;
		json = there ? json_true() : NULL;
		break;
	case UUID:
		there = !uuid_is_null(p);
		uuid_unparse_lower(p, uuid);
		json = there ? json_string(uuid) : NULL;
		break;
	case TYPE:
		json = json_string(guest_type_name(*(const enum guest_type *)p));
		break;
	case ACTION:
		json = json_string(guest_action_name(*(const enum guest_action *)p));
		break;
	case FORMAT:
		json = json_string(disk_format_name(*(const enum disk_format *)p));
		break;
	case STRINGS:
		there = d->ncpus != 0;
		json = there ? json_array() : NULL;
		for (size_t i = 0; i < d->ncpus; i++)
			if (json && json_array_append_new(json, json_string(d->cpus[i])))
				*failed = true;
		break;
	case DISKS:
		there = d->ndisks != 0;
		json = list_to_json(d->disks, d->ndisks, sizeof(*d->disks), disk_members);
		break;
	case NICS:
		there = d->nnics != 0;
		json = list_to_json(d->nics, d->nnics, sizeof(*d->nics), nic_members);
		break;
	}
	*failed |= there && !json;
	return json;
}

static json_t *object_to_json(const void *object, const struct member *members)
{
	json_t *json = json_object();
	bool failed = !json;

	for (const struct member *m = members; m->name && !failed; m++) {
		json_t *value = member_to_json(object, m, &failed);

		if (value && json_object_set_new_nocheck(json, m->name, value))
			failed = true;
	}
	if (failed) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *definition_to_json(const struct definition *d)
{
	return object_to_json(d, definition_members);
}

static int wrong(struct err *e, const char *where, const char *name, const char *expected)
{
	return err_set(e, EINVAL, "bad-definition", "the definition's %s%s%s is not %s", where, *where ? "." : "", name, expected);
}

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "no-memory", "out of memory");
}

static int read_object(const json_t *json, const char *where, void *object, const struct member *members, struct err *e);

/* A list of objects into *items and *n, which count what is to be freed whatever happens. */
static int read_list(
	const json_t *json, const char *name, size_t size, const struct member *members, void **items, size_t *n, struct err *e)
{
	size_t count = json_array_size(json);

	if (!json_is_array(json) || count > 4096)
		return wrong(e, "", name, "a list (of at most 4096)");
	*items = calloc(count ? count : 1, size);
	if (!*items)
		return no_memory(e);
	while (*n < count) {
		void *item = (char *)*items + *n * size;
		int rc = read_object(json_array_get(json, (*n)++), name, item, members, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int read_strings(const json_t *json, const char *name, char ***items, size_t *n, struct err *e)
{
	size_t count = json_array_size(json);

	if (!json_is_array(json) || count > 4096)
		return wrong(e, "", name, "a list (of at most 4096)");
	*items = calloc(count ? count : 1, sizeof(**items));
	if (!*items)
		return no_memory(e);
	for (; *n < count; ++*n) {
		const char *s = json_string_value(json_array_get(json, *n));

		if (!s)
			return wrong(e, "", name, "a list of strings");
		(*items)[*n] = strdup(s);
		if (!(*items)[*n])
			return no_memory(e);
	}
	return 0;
}

static int read_number(const json_t *json, const char *where, const char *name, uint64_t max, uint64_t *out, struct err *e)
{
	json_int_t n = json_integer_value(json);

	if (!json_is_integer(json) || n < 0 || (uint64_t)n > max)
		return wrong(e, where, name, "a number in its range");
	*out = (uint64_t)n;
	return 0;
}

static int read_name(const json_t *json, const char *where, const char *name, int (*find)(const char *name), int *out, struct err *e)
{
	const char *s = json_string_value(json);

	*out = s ? find(s) : -1;
	return *out < 0 ? wrong(e, where, name, "one of its names") : 0;
}

static int read_string(const json_t *json, const char *where, const char *name, char **out, struct err *e)
{
	const char *s = json_string_value(json);

	if (!s || strlen(s) != json_string_length(json))
		return wrong(e, where, name, "a string");
	*out = strdup(s);
	return *out ? 0 : no_memory(e);
}

static int read_member(const json_t *json, const char *where, void *object, const struct member *m, struct err *e)
{
	void *p = (char *)object + m->offset;
	struct definition *d = object;	/* for the lists, which only it has */
	uint64_t n = 0;
	int rc, value = 0;

	switch (m->kind) {
	case STRING:
		return read_string(json, where, m->name, p, e);
	case NUMBER32:
		rc = read_number(json, where, m->name, UINT32_MAX, &n, e);
		*(uint32_t *)p = (uint32_t)n;
		return rc;
	case NUMBER64:
		return read_number(json, where, m->name, INT64_MAX, p, e);
	case LINE:
		rc = read_number(json, where, m->name, INT32_MAX, &n, e);
		*(int *)p = (int)n;
		return rc;
	case BOOL:
		*(bool *)p = json_is_true(json);
		return json_is_boolean(json) ? 0 : wrong(e, where, m->name, "true or false");
	case UUID:
		if (json_is_string(json) && uuid_parse(json_string_value(json), p) == 0)
			return 0;
		return wrong(e, where, m->name, "a UUID");
	case TYPE:
		rc = read_name(json, where, m->name, guest_type_find, &value, e);
		*(enum guest_type *)p = (enum guest_type)value;
		return rc;
	case ACTION:
		rc = read_name(json, where, m->name, guest_action_find, &value, e);
		*(enum guest_action *)p = (enum guest_action)value;
		return rc;
	case FORMAT:
		rc = read_name(json, where, m->name, disk_format_find, &value, e);
		*(enum disk_format *)p = (enum disk_format)value;
		return rc;
	case STRINGS:
		return read_strings(json, m->name, &d->cpus, &d->ncpus, e);
	case DISKS:
		return read_list(json, m->name, sizeof(*d->disks), disk_members, (void **)&d->disks, &d->ndisks, e);
	case NICS:
		return read_list(json, m->name, sizeof(*d->nics), nic_members, (void **)&d->nics, &d->nnics, e);
	}
	return -EINVAL;
}

static int read_object(const json_t *json, const char *where, void *object, const struct member *members, struct err *e)
{
	const char *name;
	json_t *value;

	if (!json_is_object(json))
		return err_set(e, EINVAL, "bad-definition", "the definition%s%s is not an object", *where ? "'s item of " : "", where);
	json_object_foreach((json_t *)json, name, value) {
		const struct member *m = members;
		int rc;

		while (m->name && strcmp(m->name, name))
			m++;
		if (!m->name)
			return err_set(e, EINVAL, "bad-definition", "the definition has an unknown member %s%s%.60s", where,
				*where ? "." : "", name);
		rc = read_member(value, where, object, m, e);
		if (rc)
			return rc;
	}
	return 0;
}

int definition_from_json(const json_t *json, struct definition **out, struct err *e)
{
	struct definition *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return no_memory(e);
	d->on_reboot = ACTION_RESTART;
	rc = read_object(json, "", d, definition_members, e);
	if (rc == 0)
		rc = definition_number_nics(d, e);
	if (rc == 0)
		rc = definition_check(d, NULL, e);
	if (rc) {
		definition_free(d);
		return rc;
	}
	*out = d;
	return 0;
}
