/* SPDX-License-Identifier: MIT */
/* Watches: they hang on a tree of the watched paths, so a change meets only those at or above it. */
#include <stored/watch.h>
#include <stored/names.h>
#include <stored/path.h>
#include <stored/persist.h>
#include <stdlib.h>
#include <string.h>

/* A place that is watched, or lies above one. */
struct watch_path {
	struct name name;
	struct list watches;
};

static struct names paths;
static struct watch_path root, special_root;	/* special names could also be names of nodes */

static struct special {
	const char *name;
	struct perms *perms;
} specials[] = { { WATCH_INTRODUCE, NULL }, { WATCH_RELEASE, NULL } };

static void root_init(struct watch_path *p)
{
	name_init_root(&p->name);
	list_init(&p->watches);
}

void watch_init(void)
{
	names_init(&paths);
	root_init(&root);
	root_init(&special_root);
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		specials[i].perms = perms_alloc(1);
		specials[i].perms->entry[0].domain = domain_get(0, true);
	}
}

struct perms **watch_special_perms(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		if (strcmp(specials[i].name, name) == 0)
			return &specials[i].perms;
	}
	return NULL;
}

static struct watch_path *path_at(const char *path, bool create)
{
	struct name *at = path[0] == '@' ? &special_root.name : &root.name;
	const char *text;
	size_t len;

	while (at && path_next(&path, &text, &len)) {
		struct name *child = name_find(&paths, at, text, len);

		if (!child && create) {
			struct watch_path *p = name_add(&paths, sizeof(*p), at, text, len);

			list_init(&p->watches);
			child = &p->name;
		}
		at = child;
	}
	return at ? container_of(at, struct watch_path, name) : NULL;
}

static struct watch *watch_find(struct conn *c, const char *path, const char *token)
{
	struct watch_path *p = path_at(path, false);
	struct watch *w;

	if (!p)
		return NULL;
	list_for_each_entry(w, &p->watches, on_path) {
		if (w->conn == c && strcmp(w->token, token) == 0)
			return w;
	}
	return NULL;
}

static size_t watch_size(const struct watch *w)
{
	return sizeof(*w) + strlen(w->token) + 1;
}

int watch_add(struct conn *c, const char *path, const char *token, bool relative)
{
	size_t len = strlen(token) + 1;

	if (watch_find(c, path, token))
		return -EEXIST;
	/* commit */
	struct watch *w = mem_alloc(sizeof(*w) + len);

	memcpy(w->token, token, len);
	w->conn = c;
	w->relative = relative;
	w->at = path_at(path, true);
	list_add_tail(&w->at->watches, &w->on_path);
	list_add_tail(&c->watches, &w->on_conn);
	c->domain->watch_count++;
	c->domain->memory += watch_size(w);
	if (c->kind->durable)
		persist_watch(w, true);
	return 0;
}

void watch_free(struct watch *w)
{
	struct name *n = &w->at->name;

	w->conn->domain->watch_count--;
	w->conn->domain->memory -= watch_size(w);
	list_del(&w->on_path);
	list_del(&w->on_conn);
	free(w);
	while (n->parent && list_empty(&n->children) && list_empty(&container_of(n, struct watch_path, name)->watches)) {
		struct name *parent = n->parent;

		name_free(&paths, n);
		n = parent;
	}
}

int watch_remove(struct conn *c, const char *path, const char *token)
{
	struct watch *w = watch_find(c, path, token);

	if (!w)
		return -ENOENT;
	if (c->kind->durable)
		persist_watch(w, false);
	watch_free(w);
	return 0;
}

void watch_name(const struct watch *w, char *buf)
{
	const struct name *n = &w->at->name;

	if (n->parent == &special_root.name)
		memcpy(buf, n->text, n->len + 1);
	else
		name_path(n, buf, PATH_BUFFER);
}

static bool may_hear(const struct domain *d, const struct watch_rights *r)
{
	return (r->before && perms_for(r->before, d) & PERM_READ) || (r->after && perms_for(r->after, d) & PERM_READ) ||
	       (r->parent && perms_for(r->parent, d) & PERM_READ);
}

static void watch_event(const struct watch *w, const char *path, struct domain *cause)
{
	if (w->relative)
		path += path_home(path, w->conn->domain->domid);
	conn_event(w->conn, path, w->token, cause);
}

static void fire_at(struct watch_path *p, const char *path, const struct watch_rights *rights, struct domain *cause)
{
	struct watch *w;

	list_for_each_entry(w, &p->watches, on_path) {
		if (may_hear(w->conn->domain, rights))
			watch_event(w, path, cause);
	}
}

void watch_fire(const char *path, bool exact, const struct watch_rights *rights, struct domain *cause)
{
	const char *rest = path, *text;
	struct name *at = &root.name;
	size_t len;

	while (at) {
		bool more = path_next(&rest, &text, &len);

		if (!exact || !more)
			fire_at(container_of(at, struct watch_path, name), path, rights, cause);
		at = more ? name_find(&paths, at, text, len) : NULL;
	}
}

void watch_fire_special(const char *name)
{
	struct watch_rights rights = { .after = *watch_special_perms(name) };
	struct watch_path *p = path_at(name, false);

	if (p)
		fire_at(p, name, &rights, NULL);
}

void watch_fire_first(const struct watch *w)
{
	char path[PATH_BUFFER];

	watch_name(w, path);
	watch_event(w, path, NULL);
}

struct watch *watch_last(struct conn *c)
{
	return list_last_entry(&c->watches, struct watch, on_conn);
}
