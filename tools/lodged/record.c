/* SPDX-License-Identifier: MIT */
/* The manager's record of a guest in the store. */
#include <errno.h>
#include <lib/store_batch.h>
#include <lodged/record.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT		"/lodge/guest/%s"
#define PART_SIZE	2048
#define PARTS_MAX	512	/* a definition is at most a megabyte */

#define KEPT_DOWN	"kept-down"

static const char *const state_names[] = { "building", "running", "ending" };

/* state NULL: only the definition changes. A node that only we read needs no permissions: what Domain 0 makes is closed to guests. */
static void put_definition(struct store_batch *b, const char *uuid, const char *json, const char *state)
{
	size_t len = strlen(json);

	store_batch_remove(b, state ? ROOT : ROOT "/definition", uuid);
	for (size_t i = 0; i * PART_SIZE < len; i++) {
		size_t n = len - i * PART_SIZE < PART_SIZE ? len - i * PART_SIZE : PART_SIZE;
		char part[PART_SIZE + 1];

		memcpy(part, json + i * PART_SIZE, n);
		part[n] = '\0';
		store_batch_write(b, part, ROOT "/definition/%zu", uuid, i);
	}
	if (state)
		store_batch_write(b, state, ROOT "/state", uuid);
}

static int put(struct store_batch *b, const char *uuid, const struct definition *d, const char *state)
{
	json_t *json = definition_to_json(d);
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII) : NULL;
	int rc = !text ? -ENOMEM : strlen(text) > (size_t)PARTS_MAX * PART_SIZE ? -E2BIG : 0;

	json_decref(json);
	if (!rc)
		put_definition(b, uuid, text, state);
	free(text);
	return rc;
}

static int write_definition(struct store *s, const char *uuid, const struct definition *d, const char *state)
{
	struct store_batch b = { 0 };
	int rc = put(&b, uuid, d, state);

	return rc ? rc : store_batch_commit(&b, s);
}

int record_put_definition(struct store_batch *b, const char *uuid, const struct definition *d)
{
	return put(b, uuid, d, NULL);
}

void record_put_change(struct store_batch *b, const char *uuid, const char *change)
{
	if (change)
		store_batch_write(b, change, ROOT "/change", uuid);
	else
		store_batch_remove(b, ROOT "/change", uuid);
}

char *record_change(struct store *s, const char *uuid)
{
	return store_read(s, ROOT "/change", uuid);
}

int record_write(struct store *s, const char *uuid, const struct definition *d, enum record_state state)
{
	return write_definition(s, uuid, d, state_names[state]);
}

int record_set_definition(struct store *s, const char *uuid, const struct definition *d)
{
	return write_definition(s, uuid, d, NULL);
}

int record_set_state(struct store *s, const char *uuid, enum record_state state)
{
	return store_write(s, state_names[state], ROOT "/state", uuid);
}

void record_put_state(struct store_batch *b, const char *uuid, enum record_state state)
{
	store_batch_write(b, state_names[state], ROOT "/state", uuid);
}

int record_set_domid(struct store *s, const char *uuid, int domid)
{
	return store_write_u64(s, (uint64_t)domid, ROOT "/domid", uuid);
}

int record_set_again(struct store *s, const char *uuid, bool again)
{
	return again ? store_write(s, "1", ROOT "/again", uuid) : store_remove(s, ROOT "/again", uuid);
}

int record_set_quick(struct store *s, const char *uuid, unsigned int quick)
{
	return store_write_u64(s, quick, ROOT "/quick", uuid);
}

int record_set_preserved(struct store *s, const char *uuid, bool kept_down)
{
	return store_write(s, kept_down ? KEPT_DOWN : "1", ROOT "/preserved", uuid);
}

int record_set_no_restart(struct store *s, const char *uuid, bool no_restart)
{
	return no_restart ? store_write(s, "1", ROOT "/no_restart", uuid) : store_remove(s, ROOT "/no_restart", uuid);
}

int record_set_core(struct store *s, const char *uuid, const char *path)
{
	return path ? store_write(s, path, ROOT "/core", uuid) : store_remove(s, ROOT "/core", uuid);
}

char *record_core(struct store *s, const char *uuid)
{
	return store_read(s, ROOT "/core", uuid);
}

static bool equals(struct store *s, const char *uuid, const char *what, const char *value)
{
	char *v = store_read(s, ROOT "/%s", uuid, what);
	bool same = v && !strcmp(v, value);

	free(v);
	return same;
}

static bool present(struct store *s, const char *uuid, const char *what)
{
	char *v = store_read(s, ROOT "/%s", uuid, what);

	free(v);
	return v;
}

int record_read(struct store *s, const char *uuid, struct record *r)
{
	char *state = store_read(s, ROOT "/state", uuid);
	uint64_t n;

	*r = (struct record){ .state = RECORD_NONE, .domid = -1 };
	if (!state)
		return errno ? -errno : -EIO;
	for (int i = RECORD_BUILDING; i < RECORD_NONE; i++)
		if (!strcmp(state, state_names[i]))
			r->state = (enum record_state)i;
	free(state);
	if (!store_read_u64(s, &n, ROOT "/domid", uuid) && n < 0x7ff0)
		r->domid = (int)n;
	if (!store_read_u64(s, &n, ROOT "/quick", uuid) && n < 1000)
		r->quick = (unsigned int)n;
	r->again = present(s, uuid, "again");
	r->preserved = present(s, uuid, "preserved");
	r->kept_down = equals(s, uuid, "preserved", KEPT_DOWN);
	r->no_restart = present(s, uuid, "no_restart");
	return 0;
}

int record_definition(struct store *s, const char *uuid, struct definition **d)
{
	char *text = NULL;
	size_t len = 0;
	struct err e;
	json_t *json;
	int rc = -ENOENT;

	for (size_t i = 0; i < PARTS_MAX; i++) {
		char *part = store_read(s, ROOT "/definition/%zu", uuid, i), *grown;

		if (!part)
			break;
		grown = realloc(text, len + strlen(part) + 1);
		if (!grown) {
			free(part);
			free(text);
			return -ENOMEM;
		}
		text = grown;
		len += (size_t)sprintf(text + len, "%s", part);
		free(part);
	}
	if (!text)
		return -ENOENT;
	json = json_loads(text, 0, NULL);
	rc = json ? definition_from_json(json, d, &e) : -EINVAL;
	json_decref(json);
	free(text);
	return rc;
}

int session_definition(struct session *s, const struct guest *g, struct definition **d, struct err *e)
{
	int rc = record_definition(s->store, g->uuid_text, d);

	/* Who only looks has no lock on the guest. */
	if (rc == -ENOENT)
		return err_set(e, ENOENT, "no-such-guest", "the guest %s has ended", g->name);
	return rc ? session_store_error(e, rc, "reading the definition") : 0;
}

int record_remove(struct store *s, const char *uuid)
{
	return store_remove(s, ROOT, uuid);
}
