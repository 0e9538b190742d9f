/* SPDX-License-Identifier: MIT */
/* Requests about nodes. */
#include <stored/request.h>
#include <stored/path.h>
#include <stored/persist.h>
#include <stored/quota.h>
#include <stored/watch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The body is one path: look at it. */
static int look_at_only(struct call *x, char *path, unsigned int want, struct view *v)
{
	const char *text;

	return call_strings(x, &text, 1) ? call_look(x, text, path, want, v) : -EINVAL;
}

int do_directory(struct call *x)
{
	char path[PATH_BUFFER];
	struct view v;
	u64 generation;
	int rc = look_at_only(x, path, PERM_READ, &v);

	return rc ? rc : txn_list(x->txn, path, x->reply, &generation);
}

/* A piece of the listing that fits into a reply: "GENERATION", names from an offset on, and an empty name if that was all. */
int do_directory_part(struct call *x)
{
	struct bytes names = { 0 };
	char path[PATH_BUFFER], text[24];
	const char *args[2];
	struct view v;
	u64 generation;
	char *end;
	int rc;

	if (!call_strings(x, args, 2))
		return -EINVAL;
	size_t offset = strtoul(args[1], &end, 10);

	if (*end || !args[1][0])
		return -EINVAL;
	rc = call_look(x, args[0], path, PERM_READ, &v);
	if (!rc)
		rc = txn_list(x->txn, path, &names, &generation);
	if (rc) {
		bytes_free(&names);
		return rc;
	}

	bytes_add(x->reply, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, generation) + 1);
	offset = min(offset, bytes_len(&names));
	bytes_drop(&names, offset);
	while (bytes_len(&names)) {
		size_t len = strlen(bytes_at(&names)) + 1;

		if (bytes_len(x->reply) + len + 1 > XENSTORE_PAYLOAD_MAX)
			break;
		bytes_add(x->reply, bytes_at(&names), len);
		bytes_drop(&names, len);
	}
	if (!bytes_len(&names))
		bytes_add(x->reply, "", 1);
	bytes_free(&names);
	return 0;
}

int do_read(struct call *x)
{
	char path[PATH_BUFFER];
	struct view v;
	int rc = look_at_only(x, path, PERM_READ, &v);

	if (!rc)
		bytes_add(x->reply, v.value, v.len);
	return rc;
}

int do_write(struct call *x)
{
	const struct domain *d = x->conn->domain;
	size_t name = strnlen(x->body, x->len) + 1;
	char path[PATH_BUFFER];
	struct view v;
	int rc;

	if (name > x->len)
		return -EINVAL;
	u32 len = x->len - (u32)name;

	if (!d->privileged && len > quota[QUOTA_ENTRY_SIZE])
		return -ENOSPC;
	rc = call_look(x, x->body, path, PERM_WRITE, &v);
	if (rc && rc != -ENOENT)
		return rc;
	return txn_put(x->txn, path, x->body + name, len, NULL);
}

int do_mkdir(struct call *x)
{
	char path[PATH_BUFFER];
	struct view v;
	int rc = look_at_only(x, path, PERM_WRITE, &v);

	return rc == -ENOENT ? txn_put(x->txn, path, "", 0, NULL) : rc;
}

/* A node that is not there is removed successfully if its parent is there. */
static int remove_nothing(struct call *x, char *path)
{
	struct view v;
	int rc;

	*(strrchr(path, '/') == path ? path + 1 : strrchr(path, '/')) = '\0';
	rc = txn_look(x->txn, path, &v);
	return rc ? rc : v.exists ? 0 : -ENOENT;
}

int do_rm(struct call *x)
{
	char path[PATH_BUFFER];
	struct view v;
	int rc = look_at_only(x, path, PERM_WRITE, &v);

	if (rc == -ENOENT)
		return remove_nothing(x, path);
	if (!rc && strcmp(path, "/") == 0)
		return -EINVAL;
	if (!rc)
		txn_remove(x->txn, path);
	return rc;
}

int do_get_perms(struct call *x)
{
	char path[PATH_BUFFER];
	const char *text;
	struct view v;
	int rc;

	if (!call_strings(x, &text, 1))
		return -EINVAL;
	if (text[0] == '@') {
		struct perms **special = watch_special_perms(text);

		if (!special)
			return -EINVAL;
		if (!(perms_for(*special, x->conn->domain) & PERM_READ))
			return -EACCES;
		perms_print(*special, x->reply);
		return 0;
	}
	rc = call_look(x, text, path, PERM_READ, &v);
	if (!rc)
		perms_print(v.perms, x->reply);
	return rc;
}

static int set_special_perms(struct call *x, const char *name, struct perms *perms)
{
	struct perms **special = watch_special_perms(name);

	if (!special)
		return -EINVAL;
	if (!x->conn->domain->privileged)
		return -EACCES;
	/* commit */
	perms_put(*special);
	*special = perms_ref(perms);
	persist_special(name, perms);
	return 0;
}

static int set_node_perms(struct call *x, const char *text, struct perms *perms)
{
	const struct domain *d = x->conn->domain;
	char path[PATH_BUFFER];
	struct view v;
	int rc = call_look(x, text, path, PERM_OWNER, &v);

	if (rc)
		return rc;
	if (!d->privileged && perms_owner(perms) != perms_owner(v.perms))
		return -EPERM;
	return txn_put(x->txn, path, NULL, 0, perms);
}

int do_set_perms(struct call *x)
{
	size_t name = strnlen(x->body, x->len) + 1;
	struct perms *perms;
	int rc;

	if (name > x->len)
		return -EINVAL;
	if (x->conn->domain->privileged)
		domains_settle();
	perms = perms_parse(x->body + name, x->len - name);
	if (!perms)
		return -EINVAL;
	if (!x->conn->domain->privileged && perms->n > quota[QUOTA_PERMS])
		rc = -ENOSPC;
	else if (x->body[0] == '@')
		rc = set_special_perms(x, x->body, perms);
	else
		rc = set_node_perms(x, x->body, perms);
	perms_put(perms);
	return rc;
}
