/* SPDX-License-Identifier: MIT */
/* The tree of nodes, as it is committed. */
#include <stored/node.h>
#include <stdlib.h>
#include <string.h>

struct node node_root;
u64 node_generation;
static struct names nodes;

size_t node_size(u32 value_len)
{
	return sizeof(struct node) + value_len;
}

static void own(struct node *n)
{
	struct domain *d = perms_owner(n->perms);

	list_add_tail(&d->nodes, &n->owned);
	d->node_count++;
	d->memory += node_size(n->len);
}

static void disown(struct node *n)
{
	struct domain *d = perms_owner(n->perms);

	list_del(&n->owned);
	d->node_count--;
	d->memory -= node_size(n->len);
}

void node_init(struct domain *owner)
{
	names_init(&nodes);
	name_init_root(&node_root.name);
	node_root.perms = perms_alloc(1);
	node_root.perms->entry[0].domain = domain_ref(owner);
	own(&node_root);
}

struct node *node_child(const struct node *parent, const char *text, size_t len)
{
	struct name *n = name_find(&nodes, &parent->name, text, len);

	return n ? node_of(n) : NULL;
}

struct node *node_find(const char *path)
{
	struct node *n = &node_root;
	const char *text;
	size_t len;

	while (n && path_next(&path, &text, &len))
		n = node_child(n, text, len);
	return n;
}

struct node *node_create(struct node *parent, const char *text, size_t len, struct perms *perms, const char *value, u32 value_len)
{
	struct node *n = name_add(&nodes, sizeof(*n), &parent->name, text, len);

	n->generation = n->child_generation = ++node_generation;
	n->perms = perms_ref(perms);
	n->value = mem_copy(value, value_len);
	n->len = value_len;
	parent->child_generation = n->generation;
	own(n);
	return n;
}

void node_update(struct node *n, struct perms *perms, const char *value, u32 value_len)
{
	disown(n);
	perms_ref(perms);
	perms_put(n->perms);
	n->perms = perms;
	free(n->value);
	n->value = mem_copy(value, value_len);
	n->len = value_len;
	n->generation = ++node_generation;
	own(n);
}

void node_delete(struct node *n)
{
	node_of(n->name.parent)->child_generation = ++node_generation;
	disown(n);
	perms_put(n->perms);
	free(n->value);
	name_free(&nodes, &n->name);
}

static const char *audit(struct node *n, size_t *count)
{
	struct node *child;

	(*count)++;
	list_for_each_entry(child, &n->name.children, name.siblings) {
		if (child->name.parent != &n->name || node_child(n, child->name.text, child->name.len) != child)
			return "a child is not found by its name";
		if (child->generation > node_generation)
			return "a generation from the future";
		const char *wrong = audit(child, count);

		if (wrong)
			return wrong;
	}
	return NULL;
}

const char *node_audit(size_t *count)
{
	*count = 0;
	const char *wrong = audit(&node_root, count);
	struct domain *d;

	if (!wrong && *count != nodes.count + 1)
		return "the table has nodes that the tree does not reach";
	list_for_each_entry(d, &domains, all) {
		size_t owned = 0, memory = 0;
		struct node *n;

		list_for_each_entry(n, &d->nodes, owned) {
			owned++;
			memory += node_size(n->len);
		}
		if (owned != d->node_count || memory > d->memory)
			return "a domain's count of nodes is wrong";
	}
	return wrong;
}
