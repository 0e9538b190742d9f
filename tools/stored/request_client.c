/* SPDX-License-Identifier: MIT */
/* Requests about a client's own watches and transactions, and about domains. */
#include <stored/request.h>
#include <stored/path.h>
#include <stored/persist.h>
#include <stored/quota.h>
#include <stored/watch.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

/* --- watches and transactions --- */

/* The body is a path or special name to watch and a token. */
static int watch_args(struct call *x, char *path, const char **token, bool *relative)
{
	const char *args[2];

	if (!call_strings(x, args, 2))
		return -EINVAL;
	*token = args[1];
	*relative = args[0][0] != '/' && args[0][0] != '@';
	return path_canonical(path, args[0], x->conn->domain->domid, true);
}

int do_watch(struct call *x)
{
	struct domain *d = x->conn->domain;
	char path[PATH_BUFFER];
	const char *token;
	bool relative;
	int rc = watch_args(x, path, &token, &relative);

	if (rc)
		return rc;
	if (!d->privileged && d->watch_count >= quota[QUOTA_WATCHES])
		return -E2BIG;
	rc = watch_add(x->conn, path, token, relative);
	if (!rc)
		x->watch = watch_last(x->conn);
	return rc;
}

int do_unwatch(struct call *x)
{
	char path[PATH_BUFFER];
	const char *token;
	bool relative;
	int rc = watch_args(x, path, &token, &relative);

	return rc ? rc : watch_remove(x->conn, path, token);
}

int do_reset_watches(struct call *x)
{
	struct conn *c = x->conn;
	struct watch *w;
	struct txn *t;

	if (c->kind->durable) {
		list_for_each_entry(w, &c->watches, on_conn)
			persist_watch(w, false);
		list_for_each_entry(t, &c->txns, on_conn)
			persist_txn(t, false);
	}
	x->txn = NULL;
	conn_forget_state(c);
	return 0;
}

int do_txn_start(struct call *x)
{
	struct conn *c = x->conn;
	struct domain *d = c->domain;
	char text[16];

	if (x->txn)
		return -EBUSY;
	if (!d->privileged && d->txn_count >= quota[QUOTA_TRANSACTIONS])
		return -ENOSPC;
	/* commit */
	do
		c->next_txn++;
	while (!c->next_txn || txn_find(c, c->next_txn));
	struct txn *t = txn_begin(c, d, c->next_txn);

	if (c->kind->durable)
		persist_txn(t, true);
	bytes_add(x->reply, text, (size_t)snprintf(text, sizeof(text), "%u", t->id) + 1);
	return 0;
}

int do_txn_end(struct call *x)
{
	struct txn *t = x->txn;
	const char *how;
	int rc;

	if (!call_strings(x, &how, 1) || (strcmp(how, "T") != 0 && strcmp(how, "F") != 0))
		return -EINVAL;
	if (!t)
		return -ENOENT;
	rc = how[0] == 'T' ? txn_commit(t) : 0;
	if (x->conn->kind->durable)
		persist_txn(t, false);
	txn_free(t);
	x->txn = NULL;
	return rc;
}

/* --- domains --- */

static bool number(const char *text, u64 *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	return isdigit((unsigned char)text[0]) && !*end;
}

/* The body is n numbers, the first of them a domain id. */
static bool domain_args(const struct call *x, u64 *values, unsigned int n)
{
	const char *args[3];

	if (!call_strings(x, args, n))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		if (!number(args[i], &values[i]))
			return false;
	}
	return values[0] < DOMID_FIRST_RESERVED;
}

int do_introduce(struct call *x)
{
	u64 v[3];

	if (!domain_args(x, v, 3) || !v[2] || v[2] > UINT32_MAX)
		return -EINVAL;
	domains_settle();
	return domain_introduce((u16)v[0], v[1], (u32)v[2]);
}

int do_release(struct call *x)
{
	u64 domid;

	return domain_args(x, &domid, 1) ? domain_release((u16)domid) : -EINVAL;
}

int do_resume(struct call *x)
{
	u64 domid;

	return domain_args(x, &domid, 1) ? domain_resume((u16)domid) : -EINVAL;
}

int do_set_target(struct call *x)
{
	u64 v[2];

	if (!domain_args(x, v, 2) || v[1] >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	return domain_set_target((u16)v[0], (u16)v[1]);
}

int do_get_domain_path(struct call *x)
{
	char path[32];
	u64 domid;

	if (!domain_args(x, &domid, 1))
		return -EINVAL;
	bytes_add(x->reply, path, (size_t)snprintf(path, sizeof(path), "/local/domain/%u", (unsigned int)domid) + 1);
	return 0;
}

int do_is_introduced(struct call *x)
{
	const char *text;
	u64 domid;

	if (!call_strings(x, &text, 1) || !number(text, &domid))
		return -EINVAL;
	/* A guest may ask for itself by this name. */
	const struct domain *d = domid == DOMID_SELF ? x->conn->domain : domain_find((u32)min(domid, (u64)UINT32_MAX));

	bytes_add(x->reply, d && (d->introduced || d == x->conn->domain) ? "T" : "F", 2);
	return 0;
}
