/* SPDX-License-Identifier: MIT */
/* Transactions: what a client sees and has changed, on top of the committed tree. */
#include <stored/txn.h>
#include <stored/log.h>
#include <stored/path.h>
#include <stored/persist.h>
#include <stored/quota.h>
#include <stored/watch.h>
#include <stdlib.h>
#include <string.h>

/*
 * A path that the transaction touched, or one above such a path. The rules:
 * - `cut` hides what the committed tree has here and below; `set` puts a node here. Both: removed and made again.
 * - Every node that exists in the view has parents that exist in it: removal unsets everything below.
 * - On `changed`, a node that is set comes after those above it that are on the list.
 */
struct txn_node {
	struct name name;
	struct list changed;
	bool cut, set;
	bool tell;			/* watchers hear of it: not so for missing parents made on the way */
	bool saw, saw_children;
	u64 seen, seen_children;	/* generations; 0: there was nothing */
	struct perms *perms;		/* if set */
	char *value;
	u32 len;
};

/* One place, in both trees. */
struct place {
	struct txn_node *over;	/* NULL: the transaction has not been here */
	struct node *base;	/* NULL: nothing committed, or cut */
	bool hidden;		/* a cut lies at or above it */
};

static struct txn_node *over_of(struct name *n) { return n ? container_of(n, struct txn_node, name) : NULL; }

static bool place_exists(const struct place *p)
{
	return p->base || (p->over && p->over->set);
}

static struct perms *place_perms(const struct place *p)
{
	return p->over && p->over->set ? p->over->perms : p->base->perms;
}

static void charge(struct txn *t, size_t n)
{
	t->memory += n;
	if (t->domain)
		t->domain->memory += n;
}

struct txn *txn_begin(struct conn *c, struct domain *domain, u32 id)
{
	struct txn *t = mem_alloc(sizeof(*t));

	t->id = id;
	t->conn = c;
	t->domain = domain ? domain_ref(domain) : NULL;
	names_init(&t->names);
	t->root = mem_alloc(sizeof(*t->root));
	name_init_root(&t->root->name);
	list_init(&t->root->changed);
	list_init(&t->changed);
	list_init(&t->on_conn);
	if (id) {
		list_add_tail(&c->txns, &t->on_conn);
		domain->txn_count++;
	}
	charge(t, sizeof(*t) + sizeof(*t->root));
	return t;
}

static void unset(struct txn_node *o)
{
	list_del(&o->changed);
	perms_put(o->perms);
	free(o->value);
	o->perms = NULL;
	o->value = NULL;
	o->set = false;
}

static void free_below(struct txn *t, struct txn_node *o)
{
	struct txn_node *child, *next;

	list_for_each_entry_safe(child, next, &o->name.children, name.siblings) {
		free_below(t, child);
		unset(child);
		name_free(&t->names, &child->name);
	}
}

void txn_free(struct txn *t)
{
	free_below(t, t->root);
	unset(t->root);
	free(t->root);
	names_free(&t->names);
	list_del(&t->on_conn);
	if (t->domain) {
		if (t->id)
			t->domain->txn_count--;
		t->domain->memory -= t->memory;
		domain_put(t->domain);
	}
	bytes_free(&t->ops);
	free(t);
}

struct txn *txn_find(struct conn *c, u32 id)
{
	struct txn *t;

	list_for_each_entry(t, &c->txns, on_conn) {
		if (t->id == id)
			return t;
	}
	return NULL;
}

/* --- walking --- */

static struct place top(struct txn *t)
{
	struct place p = { .over = t ? t->root : NULL, .base = &node_root };

	return p;
}

static struct place below(struct txn *t, const struct place *up, const char *text, size_t len)
{
	struct place p = { .hidden = up->hidden };

	if (up->over)
		p.over = over_of(name_find(&t->names, &up->over->name, text, len));
	p.hidden |= p.over && p.over->cut;
	p.base = up->base && !p.hidden ? node_child(up->base, text, len) : NULL;
	return p;
}

/* The transaction's own node for a place below `up`, whose own it has. */
static void touch(struct txn *t, struct place *p, struct txn_node *up, const char *text, size_t len)
{
	if (p->over)
		return;
	p->over = name_add(&t->names, sizeof(*p->over), &up->name, text, len);
	list_init(&p->over->changed);
	t->touched++;
	charge(t, sizeof(*p->over) + len);
}

static void saw(struct txn *t, struct place *p)
{
	if (!t->id || p->over->saw || p->hidden)
		return;
	p->over->saw = true;
	p->over->seen = p->base ? p->base->generation : 0;
}

/* Only in a real transaction, which keeps what it touched. */
static bool too_many(const struct txn *t)
{
	return t->id && !t->domain->privileged && t->touched > quota[QUOTA_TXN_NODES];
}

/*
 * The place of the path. nearest: the lowest one on the way that exists, the place itself included. A real transaction remembers
 * what it saw there, and has nodes of its own for it all.
 */
static int walk(struct txn *t, const char *path, struct place *found, struct place *nearest)
{
	bool record = t && t->id;
	struct place at = top(t);
	const char *text;
	size_t len;

	*nearest = at;
	while (path_next(&path, &text, &len)) {
		struct place down = below(t, &at, text, len);

		if (record)
			touch(t, &down, at.over, text, len);
		at = down;
		if (place_exists(&at))
			*nearest = at;
	}
	*found = at;
	if (record) {
		saw(t, found);
		saw(t, nearest);
		if (too_many(t))
			return -ENOSPC;
	}
	return 0;
}

int txn_look(struct txn *t, const char *path, struct view *v)
{
	struct place p, nearest;
	int rc = walk(t, path, &p, &nearest);

	if (rc)
		return rc;
	*v = (struct view){ .exists = place_exists(&p), .perms = place_perms(&nearest) };
	if (p.over && p.over->set) {
		v->value = p.over->value;
		v->len = p.over->len;
	} else if (p.base) {
		v->value = p.base->value;
		v->len = p.base->len;
	}
	return 0;
}

int txn_list(struct txn *t, const char *path, struct bytes *names, u64 *generation)
{
	struct place p, nearest;
	struct txn_node *o;
	struct node *n;
	int rc = walk(t, path, &p, &nearest);

	if (rc)
		return rc;
	*generation = t ? t->changes : 0;
	if (p.base) {
		if (t && t->id && !p.over->saw_children) {
			p.over->saw_children = true;
			p.over->seen_children = p.base->child_generation;
		}
		*generation += p.base->child_generation;
		list_for_each_entry(n, &p.base->name.children, name.siblings) {
			o = p.over ? over_of(name_find(&t->names, &p.over->name, n->name.text, n->name.len)) : NULL;
			if (!o || !o->cut || o->set)
				bytes_add(names, n->name.text, n->name.len + 1);
		}
	}
	if (!p.over)
		return 0;
	list_for_each_entry(o, &p.over->name.children, name.siblings) {
		if (o->set && (!p.base || !node_child(p.base, o->name.text, o->name.len)))
			bytes_add(names, o->name.text, o->name.len + 1);
	}
	return 0;
}

/* --- changing --- */

static void mark_changed(struct txn *t, struct txn_node *o)
{
	if (list_empty(&o->changed))
		list_add_tail(&t->changed, &o->changed);
	t->changes++;
}

/* Make the place's own node stand for it, with the value and permissions that it has. */
static void set(struct txn *t, struct txn_node *o, struct perms *perms, const char *value, u32 len)
{
	perms_ref(perms);
	perms_put(o->perms);
	o->perms = perms;
	charge(t, len);
	char *copy = mem_copy(value, len);

	free(o->value);
	o->value = copy;
	o->len = len;
	o->set = true;
	mark_changed(t, o);
}

/* How many nodes the path needs that the view lacks. */
static size_t count_missing(struct txn *t, const char *path)
{
	struct place at = top(t);
	size_t len, missing = 0;
	const char *text;

	while (path_next(&path, &text, &len)) {
		at = below(t, &at, text, len);
		missing += !place_exists(&at);
	}
	return missing;
}

int txn_put(struct txn *t, const char *path, const char *value, u32 len, struct perms *perms)
{
	struct domain *owner = t->domain && !t->domain->privileged ? t->domain : NULL;
	struct place at = top(t);
	size_t name_len, missing;
	const char *text;
	struct view v;
	int rc = txn_look(t, path, &v);

	if (rc)
		return rc;
	missing = count_missing(t, path);
	if (owner && missing && owner->node_count + t->created + missing > quota[QUOTA_NODES])
		return -ENOSPC;
	/* commit */
	if (perms)
		perms_ref(perms);
	else
		perms = v.exists || !owner ? perms_ref(v.perms) : perms_with_owner(v.perms, owner);
	if (v.exists && !value) {
		value = v.value;
		len = v.len;
	}
	t->created += missing;
	while (path_next(&path, &text, &name_len)) {
		struct place down = below(t, &at, text, name_len);

		touch(t, &down, at.over, text, name_len);
		if (!place_exists(&down)) {
			saw(t, &down);
			set(t, down.over, perms, NULL, 0);
		}
		at = down;
	}
	set(t, at.over, perms, value, len);
	at.over->tell = true;
	perms_put(perms);
	return 0;
}

static void unset_below(struct txn_node *o)
{
	struct txn_node *child;

	list_for_each_entry(child, &o->name.children, name.siblings) {
		unset_below(child);
		unset(child);
	}
}

void txn_remove(struct txn *t, const char *path)
{
	struct place at = top(t);
	const char *text;
	size_t len;

	while (path_next(&path, &text, &len)) {
		struct place down = below(t, &at, text, len);

		touch(t, &down, at.over, text, len);
		at = down;
	}
	saw(t, &at);
	/* commit */
	unset_below(at.over);
	unset(at.over);
	at.over->cut = true;
	at.over->tell = true;
	mark_changed(t, at.over);
}

/* --- committing --- */

/*
 * Is everything that the transaction saw at o and below still so? b: what is committed there. Adds up the nodes that it will
 * create for its domain.
 */
static bool still_true(const struct txn *t, const struct txn_node *o, const struct node *b, size_t *created)
{
	struct txn_node *child;

	if (o->saw && o->seen != (b ? b->generation : 0))
		return false;
	if (o->saw_children && o->seen_children != (b ? b->child_generation : 0))
		return false;
	*created += o->set && !b && perms_owner(o->perms) == t->domain;
	list_for_each_entry(child, &o->name.children, name.siblings) {
		if (!still_true(t, child, b ? node_child(b, child->name.text, child->name.len) : NULL, created))
			return false;
	}
	return true;
}

static struct domain *cause_of(const struct txn *t)
{
	return t->domain && !t->domain->privileged ? t->domain : NULL;
}

/* path[0..len): the node's. Those below it are told of exactly; it itself only if tell. */
static void remove_node(struct txn *t, struct node *n, char *path, size_t len, bool exact, bool tell)
{
	struct watch_rights rights = { .before = n->perms, .parent = node_of(n->name.parent)->perms };
	struct node *child, *next;

	list_for_each_entry_safe(child, next, &n->name.children, name.siblings) {
		path[len] = '/';
		memcpy(path + len + 1, child->name.text, child->name.len + 1);
		remove_node(t, child, path, len + 1 + child->name.len, true, true);
	}
	path[len] = '\0';
	if (tell)
		watch_fire(path, exact, &rights, cause_of(t));
	node_delete(n);
}

static void commit_set(struct txn *t, struct txn_node *o, struct node *n, const char *path)
{
	struct perms *before = n ? perms_ref(n->perms) : NULL;
	struct watch_rights rights = { .before = before, .after = o->perms };

	if (n) {
		node_update(n, o->perms, o->value, o->len);
	} else {
		char above[PATH_BUFFER];

		name_path(o->name.parent, above, sizeof(above));
		n = node_create(node_find(above), o->name.text, o->name.len, o->perms, o->value, o->len);
	}
	persist_node(n, path);
	if (n != &node_root)
		rights.parent = node_of(n->name.parent)->perms;
	if (o->tell)
		watch_fire(path, false, &rights, cause_of(t));
	perms_put(before);
}

int txn_commit(struct txn *t)
{
	char path[PATH_BUFFER];
	struct txn_node *o;
	size_t created = 0;

	if (t->doomed || (t->id && !still_true(t, t->root, &node_root, &created)))
		return -EAGAIN;
	if (created && cause_of(t) && t->domain->node_count + created > quota[QUOTA_NODES])
		return -ENOSPC;
	/* commit */
	list_for_each_entry(o, &t->changed, changed) {
		size_t len = name_path(&o->name, path, sizeof(path));
		struct node *n = node_find(path);

		if (o->cut && n) {
			persist_remove(path);
			remove_node(t, n, path, len, false, !o->set);
			n = NULL;
		}
		if (o->set)
			commit_set(t, o, n, path);
	}
	return 0;
}
