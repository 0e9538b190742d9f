/* SPDX-License-Identifier: MIT */
/* Watches: they hang on a tree of the watched paths, so a change meets only those at or above it. */
#ifndef STORED_WATCH_H
#define STORED_WATCH_H

#include <stored/conn.h>
#include <stored/perms.h>

#define WATCH_INTRODUCE	"@introduceDomain"
#define WATCH_RELEASE	"@releaseDomain"

struct watch {
	struct list on_conn, on_path;
	struct conn *conn;
	struct watch_path *at;
	bool relative;		/* events name the path relative to the client's home */
	char token[];
};

/* Who may hear of a change: those who may read the node as it was or as it is, or list its parent. Any may be NULL. */
struct watch_rights {
	const struct perms *before, *after, *parent;
};

void watch_init(void);
/* A canonical path or a special name. -EEXIST: it has the same. Quotas are the caller's. */
int __must_check watch_add(struct conn *c, const char *path, const char *token, bool relative);
/* -ENOENT. */
int __must_check watch_remove(struct conn *c, const char *path, const char *token);
void watch_free(struct watch *w);
/* The watch's path: into buf[PATH_BUFFER]. */
void watch_name(const struct watch *w, char *buf);

/* The path changed: events for the watches on it and, unless exact, for those above it. cause as in conn_event(). */
void watch_fire(const char *path, bool exact, const struct watch_rights *rights, struct domain *cause);
/* WATCH_INTRODUCE or WATCH_RELEASE happened. */
void watch_fire_special(const char *name);
/* Permissions of a special name; the slot is the watch module's, its reference included. NULL: no such name. */
struct perms **watch_special_perms(const char *name);
/* For the event that a new watch gets at once. */
void watch_fire_first(const struct watch *w);
struct watch *watch_last(struct conn *c);

#endif
