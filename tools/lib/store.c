/* SPDX-License-Identifier: MIT */
/* The store, as a client: paths, values, transactions. The connection itself is in store_link.c. */
#include <errno.h>
#include <lib/store_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

#define TRANSACTION_TRIES	20

/* Every operation on a path: the path formatted, the call made, and made again on a new connection when the old one was lost. */
struct op {
	struct store *s;
	char path[XENSTORE_ABS_PATH_MAX + 1];
	int error;		/* of formatting */
};

#define OP_PATH(op, store, fmt) do {							\
	va_list _ap;									\
											\
	va_start(_ap, fmt);								\
	op_path(op, store, fmt, _ap);							\
	va_end(_ap);									\
} while (0)

static void __attribute__((format(printf, 3, 0))) op_path(struct op *op, struct store *s, const char *fmt, va_list ap)
{
	int n = vsnprintf(op->path, sizeof(op->path), fmt, ap);

	op->s = s;
	op->error = n < 0 ? -EINVAL : (size_t)n >= sizeof(op->path) ? -ENAMETOOLONG : 0;
}

/* Evaluate call, which is true on success and sets errno; 0 or -errno. */
#define OP_RUN(op, call) ({								\
	int _rc = (op)->error;								\
											\
	if (!_rc)									\
		do {									\
			_rc = store_link_ready((op)->s);				\
			if (!_rc)							\
				_rc = (call) ? 0 : store_link_failed((op)->s, errno);	\
		} while (_rc == -ERESTART);						\
	_rc;										\
})

static int run_transaction(struct store *s, int (*fn)(struct store *s, void *arg), void *arg)
{
	int rc = store_link_ready(s);

	if (rc)
		return rc;
	s->transaction = xs_transaction_start(s->xs);
	if (s->transaction == XBT_NULL)
		return store_link_failed(s, errno);
	rc = fn(s, arg);
	if (s->lost) {
		s->transaction = XBT_NULL;
		return -ERESTART;
	}

	xs_transaction_t t = s->transaction;
	int error = xs_transaction_end(s->xs, t, rc != 0) ? 0 : errno;

	s->transaction = XBT_NULL;
	if (rc)
		return rc;
	if (error == EAGAIN)
		return -ERESTART;
	return error ? store_link_failed(s, error) : 0;
}

int store_transaction(struct store *s, int (*fn)(struct store *s, void *arg), void *arg)
{
	if (s->transaction != XBT_NULL)
		return -EBUSY;
	for (int i = 0; i < TRANSACTION_TRIES; i++) {
		int rc = run_transaction(s, fn, arg);

		if (rc != -ERESTART)
			return rc;
	}
	return -EAGAIN;
}

char *store_read(struct store *s, const char *path_fmt, ...)
{
	struct op op;
	char *value = NULL;
	unsigned len;
	int rc;

	OP_PATH(&op, s, path_fmt);
	rc = OP_RUN(&op, (value = xs_read(s->xs, s->transaction, op.path, &len)));
	errno = -rc;
	return rc ? NULL : value;
}

int store_read_u64(struct store *s, uint64_t *value, const char *path_fmt, ...)
{
	struct op op;
	char *text = NULL, *end;
	unsigned len;
	int rc;

	OP_PATH(&op, s, path_fmt);
	rc = OP_RUN(&op, (text = xs_read(s->xs, s->transaction, op.path, &len)));
	if (rc)
		return rc;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] < '0' || text[0] > '9')
		rc = -EINVAL;
	free(text);
	return rc;
}

int store_write(struct store *s, const char *value, const char *path_fmt, ...)
{
	struct op op;

	OP_PATH(&op, s, path_fmt);
	return OP_RUN(&op, xs_write(s->xs, s->transaction, op.path, value, (unsigned)strlen(value)));
}

int store_write_u64(struct store *s, uint64_t value, const char *path_fmt, ...)
{
	char text[24];
	struct op op;

	snprintf(text, sizeof(text), "%lu", value);
	OP_PATH(&op, s, path_fmt);
	return OP_RUN(&op, xs_write(s->xs, s->transaction, op.path, text, (unsigned)strlen(text)));
}

int store_mkdir(struct store *s, const char *path_fmt, ...)
{
	struct op op;

	OP_PATH(&op, s, path_fmt);
	return OP_RUN(&op, xs_mkdir(s->xs, s->transaction, op.path));
}

int store_remove(struct store *s, const char *path_fmt, ...)
{
	struct op op;
	int rc;

	OP_PATH(&op, s, path_fmt);
	rc = OP_RUN(&op, xs_rm(s->xs, s->transaction, op.path));
	return rc == -ENOENT ? 0 : rc;
}

/* The same names in one allocation, with a NULL behind them. */
static char **name_list(char **names, unsigned n)
{
	size_t size = (n + 1) * sizeof(char *);
	char **list, *at;

	for (unsigned i = 0; i < n; i++)
		size += strlen(names[i]) + 1;
	list = malloc(size);
	if (!list)
		return NULL;
	at = (char *)(list + n + 1);
	for (unsigned i = 0; i < n; i++) {
		list[i] = at;
		at = stpcpy(at, names[i]) + 1;
	}
	list[n] = NULL;
	return list;
}

char **store_list(struct store *s, const char *path_fmt, ...)
{
	struct op op;
	char **names = NULL, **list;
	unsigned n = 0;
	int rc;

	OP_PATH(&op, s, path_fmt);
	rc = OP_RUN(&op, (names = xs_directory(s->xs, s->transaction, op.path, &n)));
	if (rc) {
		errno = -rc;
		return NULL;
	}
	list = name_list(names, n);
	free(names);
	return list;
}

int store_set_perms(struct store *s, unsigned owner, unsigned others, int domid, unsigned domid_perm, const char *path_fmt, ...)
{
	struct xs_permissions perms[2] = { { .id = owner, .perms = others }, { .id = (unsigned)domid, .perms = domid_perm } };
	struct op op;

	OP_PATH(&op, s, path_fmt);
	return OP_RUN(&op, xs_set_permissions(s->xs, s->transaction, op.path, perms, domid < 0 ? 1 : 2));
}

int store_introduce(struct store *s, uint16_t domid, uint64_t gfn, uint32_t port)
{
	struct op op = { .s = s };

	return OP_RUN(&op, xs_introduce_domain(s->xs, domid, gfn, port));
}

int store_release(struct store *s, uint16_t domid)
{
	struct op op = { .s = s };

	return OP_RUN(&op, xs_release_domain(s->xs, domid));
}
