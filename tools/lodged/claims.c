/* SPDX-License-Identifier: MIT */
/*
 * Claims: one node per thing that is claimed, found in a tree, with the list of those who have it.
 *
 * A partition and the disk that it is on stand in each other's way: a claim of a partition is also noted, as a part, on the
 * node of the disk. Two parts of one disk agree with each other.
 */
#include <errno.h>
#include <lodged/claims.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct thing {
	enum claim_kind kind;
	uint64_t a, b;
	struct claim *holders;
};

struct claim {
	struct thing *thing;
	struct guest *guest;
	enum claim_mode mode;
	bool part;		/* of this disk, only a partition */
	int device;
	struct claim *next_holder, *next_of_guest;
};

static void *things;

static int compare(const void *x, const void *y)
{
	const struct thing *p = x, *q = y;

	if (p->kind != q->kind)
		return p->kind < q->kind ? -1 : 1;
	if (p->a != q->a)
		return p->a < q->a ? -1 : 1;
	return p->b < q->b ? -1 : p->b > q->b;
}

struct claim_key claim_disk_key(const struct block_id *id, int device)
{
	/* Device numbers of files' file systems and those of block devices must not meet: files have inodes, which are not 0. */
	return (struct claim_key){ .kind = CLAIM_DISK, .a = id->dev, .b = id->is_file ? id->ino : 0,
				   .whole = !id->is_file && id->whole != id->dev ? id->whole : 0, .device = device };
}

struct claim_key claim_mac_key(const uint8_t mac[6], int device)
{
	struct claim_key k = { .kind = CLAIM_MAC, .device = device };

	for (int i = 0; i < 6; i++)
		k.a = k.a << 8 | mac[i];
	return k;
}

static bool agree(enum claim_mode x, enum claim_mode y)
{
	return x != CLAIM_WRITE && y != CLAIM_WRITE;
}

static int refuse(const struct claim *holder, const struct guest *g, const char *what, struct err *e)
{
	if (holder->guest == g)
		return err_set(e, EBUSY, "disk-in-use", "the guest %s has %s in two of its disks, one of which it can write", g->name, what);
	if (holder->thing->kind == CLAIM_MAC)
		return err_set(e, EADDRINUSE, "mac-in-use", "the MAC address %s belongs to the guest %s", what, holder->guest->name);
	if (holder->mode == CLAIM_WRITE)
		return err_set(e, EBUSY, "disk-in-use", "the disk %s is open for writing by the guest %s", what, holder->guest->name);
	return err_set(e, EBUSY, "disk-in-use",
		"the disk %s is in use by the guest %s, so that this one could only have it read-only or "
		"(mode w!) shared",
		what, holder->guest->name);
}

/* own: g's other disks can be in the way as well. */
static int check(uint64_t a, uint64_t b, const struct claim_key *of, const struct guest *g, enum claim_mode mode, bool part, bool own,
	const char *what, struct err *e)
{
	struct thing key = { .kind = of->kind, .a = a, .b = b }, **t = tfind(&key, &things, compare);

	own &= of->kind == CLAIM_DISK;
	for (struct claim *c = t ? (*t)->holders : NULL; c; c = c->next_holder)
		if (!(part && c->part) && !agree(mode, c->mode) && (c->guest != g || (own && c->device != of->device)))
			return refuse(c, g, what, e);
	return 0;
}

static int check_all(const struct guest *g, const struct claim_key *key, enum claim_mode mode, bool own, const char *what, struct err *e)
{
	int rc = check(key->a, key->b, key, g, mode, false, own, what, e);

	return rc || !key->whole ? rc : check(key->whole, 0, key, g, mode, true, own, what, e);
}

static int add(uint64_t a, uint64_t b, const struct claim_key *key, struct guest *g, enum claim_mode mode, bool part)
{
	struct thing *t = calloc(1, sizeof(*t)), **node;
	struct claim *c = calloc(1, sizeof(*c));

	if (!t || !c)
		goto none;
	t->kind = key->kind;
	t->a = a;
	t->b = b;
	node = tsearch(t, &things, compare);
	if (!node)
		goto none;
	if (*node != t)
		free(t);
	*c = (struct claim){.thing = *node,
		.guest = g,
		.mode = mode,
		.part = part,
		.device = key->device,
		.next_holder = (*node)->holders,
		.next_of_guest = g->claims};
	(*node)->holders = c;
	g->claims = c;
	return 0;
none:
	free(t);
	free(c);
	return -ENOMEM;
}

int claims_check(const struct guest *g, const struct claim_key *key, enum claim_mode mode, const char *what, struct err *e)
{
	return check_all(g, key, mode, false, what, e);
}

int claims_add(struct guest *g, const struct claim_key *key, enum claim_mode mode, const char *what, struct err *e)
{
	int rc = check_all(g, key, mode, true, what, e);

	if (rc)
		return rc;
	if (add(key->a, key->b, key, g, mode, false) || (key->whole && add(key->whole, 0, key, g, mode, true)))
		return err_set(e, ENOMEM, "internal", "out of memory");
	return 0;
}

/* The first of the list. */
static void drop_first(struct claim **list)
{
	struct claim *c = *list, **p = &c->thing->holders;

	*list = c->next_of_guest;
	while (*p != c)
		p = &(*p)->next_holder;
	*p = c->next_holder;
	if (!c->thing->holders) {
		struct thing *t = c->thing;

		tdelete(t, &things, compare);
		free(t);
	}
	free(c);
}

void claims_drop(struct claim **list)
{
	while (*list)
		drop_first(list);
}

void claims_drop_device(struct claim **list, enum claim_kind kind, int device)
{
	while (*list) {
		if ((*list)->thing->kind == kind && (*list)->device == device)
			drop_first(list);
		else
			list = &(*list)->next_of_guest;
	}
}
