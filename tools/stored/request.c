/* SPDX-License-Identifier: MIT */
/* Requests: one table row per command of the protocol. */
#include <stored/request.h>
#include <stored/log.h>
#include <stored/path.h>
#include <stored/persist.h>
#include <stored/quota.h>
#include <stored/watch.h>
#include <string.h>

bool request_trace;

enum {
	CHANGES = 1,	/* nodes: runs in a transaction */
	STATE = 2,	/* takes memory for the client: subject to the quota */
	PRIVILEGED = 4,
	READS = 8,	/* also for clients that may only read */
};

static const struct command {
	const char *name;
	int (*handler)(struct call *x);
	unsigned int flags;
} commands[XS_TYPE_COUNT] = {
	[XS_CONTROL]		  = { "CONTROL", do_control, PRIVILEGED },
	[XS_DIRECTORY]		  = { "DIRECTORY", do_directory, READS },
	[XS_READ]		  = { "READ", do_read, READS },
	[XS_GET_PERMS]		  = { "GET_PERMS", do_get_perms, READS },
	[XS_WATCH]		  = { "WATCH", do_watch, READS | STATE },
	[XS_UNWATCH]		  = { "UNWATCH", do_unwatch, READS },
	[XS_TRANSACTION_START]	  = { "TRANSACTION_START", do_txn_start, READS | STATE },
	[XS_TRANSACTION_END]	  = { "TRANSACTION_END", do_txn_end, READS },
	[XS_INTRODUCE]		  = { "INTRODUCE", do_introduce, PRIVILEGED },
	[XS_RELEASE]		  = { "RELEASE", do_release, PRIVILEGED },
	[XS_GET_DOMAIN_PATH]	  = { "GET_DOMAIN_PATH", do_get_domain_path, READS },
	[XS_WRITE]		  = { "WRITE", do_write, CHANGES | STATE },
	[XS_MKDIR]		  = { "MKDIR", do_mkdir, CHANGES | STATE },
	[XS_RM]			  = { "RM", do_rm, CHANGES },
	[XS_SET_PERMS]		  = { "SET_PERMS", do_set_perms, CHANGES | STATE },
	[XS_IS_DOMAIN_INTRODUCED] = { "IS_DOMAIN_INTRODUCED", do_is_introduced, READS },
	[XS_RESUME]		  = { "RESUME", do_resume, PRIVILEGED },
	[XS_SET_TARGET]		  = { "SET_TARGET", do_set_target, PRIVILEGED },
	[XS_RESET_WATCHES]	  = { "RESET_WATCHES", do_reset_watches, READS },
	[XS_DIRECTORY_PART]	  = { "DIRECTORY_PART", do_directory_part, READS },
};

bool call_strings(const struct call *x, const char **strings, unsigned int n)
{
	const char *p = x->body, *end = x->body + x->len;

	for (unsigned int i = 0; i < n; i++) {
		size_t len = strnlen(p, (size_t)(end - p));

		if (p + len == end)
			return false;
		strings[i] = p;
		p += len + 1;
	}
	return p == end;
}

int call_look(const struct call *x, const char *text, char *path, unsigned int want, struct view *v)
{
	const struct domain *d = x->conn->domain;
	int rc = path_canonical(path, text, d->domid, false);

	if (!rc)
		rc = txn_look(x->txn, path, v);
	if (rc)
		return rc;
	if (!(perms_for(v->perms, d) & want))
		return -EACCES;
	return v->exists ? 0 : -ENOENT;
}

static int refused(const struct call *x, const struct command *cmd)
{
	const struct domain *d = x->conn->domain;

	if (!cmd || !cmd->handler)
		return -ENOSYS;
	if ((cmd->flags & PRIVILEGED) && !d->privileged)
		return -EACCES;
	if (x->conn->readonly && !(cmd->flags & READS))
		return -EACCES;
	if ((cmd->flags & STATE) && !d->privileged && d->memory + x->len > quota[QUOTA_MEMORY])
		return -ENOMEM;
	return 0;
}

/* Keep a change that was made in a transaction for the next life of the daemon. */
static void keep_op(struct txn *t, u32 type, const struct call *x)
{
	u32 head[2] = { type, x->len };

	bytes_add(&t->ops, head, sizeof(head));
	bytes_add(&t->ops, x->body, x->len);
	t->memory += sizeof(head) + x->len;
	t->domain->memory += sizeof(head) + x->len;
	persist_txn_op(t, type, x->body, x->len);
}

static int run(struct call *x, const struct command *cmd, u32 type)
{
	struct txn *own = NULL;
	int rc;

	if ((cmd->flags & CHANGES) && !x->txn)
		x->txn = own = txn_begin(x->conn, x->conn->domain, 0);
	rc = cmd->handler(x);
	if (own) {
		if (!rc)
			rc = txn_commit(own);
		txn_free(own);
	} else if (!rc && (cmd->flags & CHANGES) && x->conn->kind->durable) {
		keep_op(x->txn, type, x);
	}
	return rc;
}

static void trace(const struct call *x, const struct command *cmd, int rc)
{
	log_line("domain %u%s: %s tx %u %.*s: %s", x->conn->domain->domid, x->conn->kind->durable ? "" : " (socket)",
		 cmd && cmd->name ? cmd->name : "?", x->head->tx_id, (int)strnlen(x->body, x->len), x->body,
		 rc ? strerror(-rc) : "ok");
}

void request_execute(struct conn *c, const struct request *r)
{
	static struct bytes reply;
	const struct command *cmd = r->head.type < XS_TYPE_COUNT ? &commands[r->head.type] : NULL;
	struct call x = { .conn = c, .head = &r->head, .body = r->body, .len = r->head.len, .reply = &reply };
	int rc = 0;

	reply.start = reply.end = 0;
	if (r->head.tx_id && !(x.txn = txn_find(c, r->head.tx_id)))
		rc = -ENOENT;
	if (!rc)
		rc = refused(&x, cmd);
	if (!rc)
		rc = run(&x, cmd, r->head.type);
	if (!rc && bytes_len(&reply) > XENSTORE_PAYLOAD_MAX)
		rc = -E2BIG;
	if (request_trace)
		trace(&x, cmd, rc);
	if (rc)
		conn_reply_error(c, &r->head, -rc);
	else if (!bytes_len(&reply) && r->head.type != XS_READ && r->head.type != XS_DIRECTORY)
		conn_reply(c, &r->head, r->head.type, "OK", 3);
	else
		conn_reply(c, &r->head, r->head.type, bytes_len(&reply) ? bytes_at(&reply) : NULL, bytes_len(&reply));
	if (x.watch)
		watch_fire_first(x.watch);
}

void request_replay(struct conn *c, struct txn *t, u32 type, const char *body, u32 len)
{
	struct xsd_sockmsg head = { .type = type, .tx_id = t->id, .len = len };
	struct call x = { .conn = c, .txn = t, .head = &head, .body = body, .len = len };

	if (type < XS_TYPE_COUNT && commands[type].flags & CHANGES)
		commands[type].handler(&x);
}
