/* SPDX-License-Identifier: MIT */
/*
 * The guests that the manager knows.
 *
 * One lock for all of it, held only for look-ups and small changes. Work on a guest is done by whoever has it to himself
 * (`busy`), without the lock. A guest is in the three trees from registry_reserve() or _adopt() until registry_remove(); the
 * structure lives until the last reference. Its domain id changes when it restarts; name, UUID and claims are kept over that,
 * so that nobody can take them in between.
 */
#include <errno.h>
#include <lodged/claims.h>
#include <lodged/registry.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#define END_PATIENCE	10	/* seconds that a new guest waits for the end of its predecessor */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed, work = PTHREAD_COND_INITIALIZER;
static unsigned long serial;
static void *by_name, *by_uuid, *by_domid;
static struct guest *queue_head, **queue_tail = &queue_head;

static void __attribute__((constructor)) init_changed(void)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &a);
}

static int compare_name(const void *a, const void *b)
{
	return strcmp(((const struct guest *)a)->name, ((const struct guest *)b)->name);
}

static int compare_uuid(const void *a, const void *b)
{
	return memcmp(((const struct guest *)a)->uuid, ((const struct guest *)b)->uuid, 16);
}

static int compare_domid(const void *a, const void *b)
{
	return ((const struct guest *)a)->domid - ((const struct guest *)b)->domid;
}

void uuid_to_text(const uint8_t uuid[16], char text[UUID_TEXT])
{
	uuid_unparse_lower(uuid, text);
}

bool uuid_from_text(const char *text, uint8_t uuid[16])
{
	return !uuid_parse(text, uuid);
}

static struct guest *look(void *const *tree, const struct guest *key, int (*compare)(const void *, const void *))
{
	struct guest **node = tfind(key, tree, compare);

	return node ? *node : NULL;
}

static struct guest *find_name(const char *name)
{
	struct guest key = { .name = (char *)name };

	return look(&by_name, &key, compare_name);
}

static struct guest *find_uuid(const uint8_t uuid[16])
{
	struct guest key = { 0 };

	memcpy(key.uuid, uuid, 16);
	return look(&by_uuid, &key, compare_uuid);
}

static void announce(void)
{
	serial++;
	pthread_cond_broadcast(&changed);
}

static void put_locked(struct guest *g)
{
	if (--g->refs)
		return;
	free(g->name);
	free(g);
}

void registry_put(struct guest *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&lock);
	put_locked(g);
	pthread_mutex_unlock(&lock);
}

static void set_domid(struct guest *g, int domid)
{
	struct guest **node;

	if (g->domid >= 0)
		tdelete(g, &by_domid, compare_domid);
	g->domid = domid;
	g->started = 0;
	if (domid < 0)
		return;
	node = tsearch(g, &by_domid, compare_domid);
	if (node && *node != g) {
		/* The hypervisor has given the id of a domain whose end has not been dealt with to the end. */
		struct guest *old = *node;

		*node = g;
		old->domid = -1;
	}
}

/* Into the trees; the registry's own reference. */
static struct guest *insert(const char *name, const uint8_t uuid[16], int domid)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g || !(g->name = strdup(name))) {
		free(g);
		return NULL;
	}
	memcpy(g->uuid, uuid, 16);
	uuid_to_text(uuid, g->uuid_text);
	g->domid = -1;
	g->reason = -1;
	g->refs = 1;
	if (tsearch(g, &by_name, compare_name) && tsearch(g, &by_uuid, compare_uuid)) {
		set_domid(g, domid);
		return g;
	}
	if (look(&by_name, g, compare_name) == g)
		tdelete(g, &by_name, compare_name);
	if (look(&by_uuid, g, compare_uuid) == g)
		tdelete(g, &by_uuid, compare_uuid);
	put_locked(g);
	return NULL;
}

static const char *state_text(const struct guest *g)
{
	switch (g->state) {
	case GUEST_BUILDING: return "is being created";
	case GUEST_ENDING: return "is ending just now";
	default: break;
	}
	if (g->kept_down)
		return "is kept down, as it has ended again and again (lodge destroy removes it)";
	return g->preserved ? "is there, shut down (on_…=preserve)" : "is running";
}

/* Who stands in the way of the name or the UUID; e says so. */
static struct guest *in_the_way(const char *name, const uint8_t uuid[16], struct err *e)
{
	struct guest *g = find_name(name);

	if (g) {
		if (g->domid >= 0)
			err_set(e, EEXIST, "name-taken", "a guest called %s %s (domain %d)", name, state_text(g), g->domid);
		else
			err_set(e, EEXIST, "name-taken", "a guest called %s %s", name, state_text(g));
		return g;
	}
	g = find_uuid(uuid);
	if (g)
		err_set(e, EEXIST, "uuid-taken", "the UUID %s belongs to the guest %s, which %s", g->uuid_text, g->name,
			state_text(g));
	return g;
}

int registry_check_free(const char *name, const uint8_t uuid[16], struct err *e)
{
	struct guest *g;

	pthread_mutex_lock(&lock);
	g = in_the_way(name, uuid, e);
	if (g && g->state == GUEST_ENDING)
		g = NULL;
	pthread_mutex_unlock(&lock);
	return g ? -e->error : 0;
}

int registry_reserve(const char *name, const uint8_t uuid[16], struct guest **out, struct err *e)
{
	struct timespec deadline;
	struct guest *g;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += END_PATIENCE;
	pthread_mutex_lock(&lock);
	while ((g = in_the_way(name, uuid, e))) {
		if (g->state != GUEST_ENDING || pthread_cond_timedwait(&changed, &lock, &deadline)) {
			pthread_mutex_unlock(&lock);
			return -e->error;
		}
	}
	g = insert(name, uuid, -1);
	if (g) {
		g->refs++;
		g->state = GUEST_BUILDING;
		g->busy = true;
		announce();
	}
	pthread_mutex_unlock(&lock);
	*out = g;
	return g ? 0 : err_set(e, ENOMEM, "internal", "out of memory");
}

struct guest *registry_adopt(const char *name, const uint8_t uuid[16], int domid)
{
	struct guest *g = NULL;

	pthread_mutex_lock(&lock);
	if (!find_name(name) && !find_uuid(uuid))
		g = insert(name, uuid, domid);
	if (g) {
		g->refs++;
		g->state = GUEST_RUNNING;
	}
	pthread_mutex_unlock(&lock);
	return g;
}

static struct guest *get(struct guest *g)
{
	if (g)
		g->refs++;
	return g;
}

struct guest *registry_by_name(const char *name)
{
	struct guest *g;

	pthread_mutex_lock(&lock);
	g = get(find_name(name));
	pthread_mutex_unlock(&lock);
	return g;
}

struct guest *registry_by_uuid(const uint8_t uuid[16])
{
	struct guest *g;

	pthread_mutex_lock(&lock);
	g = get(find_uuid(uuid));
	pthread_mutex_unlock(&lock);
	return g;
}

struct guest *registry_by_domid(int domid)
{
	struct guest key = { .domid = domid }, *g;

	pthread_mutex_lock(&lock);
	g = get(look(&by_domid, &key, compare_domid));
	pthread_mutex_unlock(&lock);
	return g;
}

bool registry_lock(struct guest *g)
{
	bool there;

	pthread_mutex_lock(&lock);
	while (g->busy && g->state != GUEST_GONE)
		pthread_cond_wait(&changed, &lock);
	there = g->state != GUEST_GONE;
	if (there)
		g->busy = true;
	pthread_mutex_unlock(&lock);
	return there;
}

void registry_unlock(struct guest *g)
{
	pthread_mutex_lock(&lock);
	g->busy = false;
	announce();
	pthread_mutex_unlock(&lock);
}

void registry_set_domid(struct guest *g, int domid)
{
	pthread_mutex_lock(&lock);
	set_domid(g, domid);
	pthread_mutex_unlock(&lock);
}

void registry_set_state(struct guest *g, enum guest_state state)
{
	pthread_mutex_lock(&lock);
	g->state = state;
	announce();
	pthread_mutex_unlock(&lock);
}

void registry_set_end(struct guest *g, int reason, bool preserved)
{
	pthread_mutex_lock(&lock);
	g->reason = reason;
	g->preserved = preserved;
	g->ends++;
	announce();
	pthread_mutex_unlock(&lock);
}

void registry_set_kept_down(struct guest *g)
{
	pthread_mutex_lock(&lock);
	g->kept_down = true;
	announce();
	pthread_mutex_unlock(&lock);
}

void registry_set_started(struct guest *g, int domid, uint64_t when)
{
	pthread_mutex_lock(&lock);
	if (g->domid == domid)
		g->started = when;
	pthread_mutex_unlock(&lock);
}

int registry_rename(struct guest *g, const char *name, const uint8_t uuid[16], struct err *e)
{
	char *copy = strdup(name);
	struct guest *other;
	int rc = 0;

	if (!copy)
		return err_set(e, ENOMEM, "internal", "out of memory");
	pthread_mutex_lock(&lock);
	other = find_name(name);
	if (other && other != g) {
		rc = err_set(e, EEXIST, "name-taken", "a guest called %s %s", name, state_text(other));
		free(copy);
	} else {
		tdelete(g, &by_name, compare_name);
		tdelete(g, &by_uuid, compare_uuid);
		free(g->name);
		g->name = copy;
		memcpy(g->uuid, uuid, 16);
		uuid_to_text(uuid, g->uuid_text);
		/* glibc's trees free a node when one goes, so that there is memory for this one. */
		tsearch(g, &by_name, compare_name);
		tsearch(g, &by_uuid, compare_uuid);
		announce();
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void registry_remove(struct guest *g)
{
	pthread_mutex_lock(&lock);
	claims_drop(&g->claims);
	set_domid(g, -1);
	tdelete(g, &by_name, compare_name);
	tdelete(g, &by_uuid, compare_uuid);
	g->state = GUEST_GONE;
	announce();
	put_locked(g);
	pthread_mutex_unlock(&lock);
}

void registry_view(struct guest *g, struct guest_view *v)
{
	pthread_mutex_lock(&lock);
	snprintf(v->name, sizeof(v->name), "%s", g->name);
	memcpy(v->uuid_text, g->uuid_text, sizeof(v->uuid_text));
	v->domid = g->domid;
	v->reason = g->reason;
	v->state = g->state;
	v->preserved = g->preserved;
	v->kept_down = g->kept_down;
	v->ends = g->ends;
	v->started = g->started;
	pthread_mutex_unlock(&lock);
}

unsigned long registry_serial(void)
{
	unsigned long now;

	pthread_mutex_lock(&lock);
	now = serial;
	pthread_mutex_unlock(&lock);
	return now;
}

bool registry_wait(unsigned long *seen, const struct timespec *deadline)
{
	bool in_time = true;

	pthread_mutex_lock(&lock);
	while (in_time && serial == *seen)
		in_time = !pthread_cond_timedwait(&changed, &lock, deadline);
	*seen = serial;
	pthread_mutex_unlock(&lock);
	return in_time;
}

int registry_claim(struct guest *g, bool claim, const struct claim_key *key, enum claim_mode mode, const char *what, struct err *e)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = claim ? claims_add(g, key, mode, what, e) : claims_check(g, key, mode, what, e);
	pthread_mutex_unlock(&lock);
	return rc;
}

void registry_unclaim(struct guest *g)
{
	pthread_mutex_lock(&lock);
	claims_drop(&g->claims);
	pthread_mutex_unlock(&lock);
}

void registry_unclaim_device(struct guest *g, enum claim_kind kind, int device)
{
	pthread_mutex_lock(&lock);
	claims_drop_device(&g->claims, kind, device);
	pthread_mutex_unlock(&lock);
}

static void queue(struct guest *g)
{
	if (g->queued || g->state == GUEST_GONE)
		return;
	g->queued = true;
	g->refs++;
	g->next = NULL;
	*queue_tail = g;
	queue_tail = &g->next;
	pthread_cond_signal(&work);
}

void registry_queue(struct guest *g)
{
	pthread_mutex_lock(&lock);
	queue(g);
	pthread_mutex_unlock(&lock);
}

struct those {
	bool (*pred)(const struct guest *g, void *ctx);
	void *ctx;
};

static void queue_wanted(const void *node, VISIT which, void *arg)
{
	struct guest *g = *(struct guest *const *)node;
	struct those *those = arg;

	if ((which == postorder || which == leaf) && those->pred(g, those->ctx))
		queue(g);
}

void registry_queue_those(bool (*pred)(const struct guest *g, void *ctx), void *ctx)
{
	struct those those = { pred, ctx };

	pthread_mutex_lock(&lock);
	twalk_r(by_uuid, queue_wanted, &those);
	pthread_mutex_unlock(&lock);
}

struct guest *registry_next(void)
{
	struct guest *g;

	pthread_mutex_lock(&lock);
	while (!queue_head)
		pthread_cond_wait(&work, &lock);
	g = queue_head;
	queue_head = g->next;
	if (!queue_head)
		queue_tail = &queue_head;
	g->queued = false;
	pthread_mutex_unlock(&lock);
	return g;
}
