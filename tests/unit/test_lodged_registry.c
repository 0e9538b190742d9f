/* SPDX-License-Identifier: MIT */
/* Unit tests: the manager's index of guests, and what they claim. */
/* sources: tools/lodged/registry.c tools/lodged/claims.c tools/lib/err.c */
/* libs: -luuid -pthread */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <errno.h>
#include <lodged/registry.h>
#include <pthread.h>

static const uint8_t uuid1[16] = { 1 }, uuid2[16] = { 2 }, uuid3[16] = { 3 };

static struct guest *reserve(const char *name, const uint8_t uuid[16])
{
	struct guest *g = NULL;
	struct err e;

	CHECK_EQ(registry_reserve(name, uuid, &g, &e), 0);
	return g;
}

/* A guest that runs. */
static struct guest *running(const char *name, const uint8_t uuid[16], int domid)
{
	struct guest *g = reserve(name, uuid);

	registry_set_domid(g, domid);
	registry_set_state(g, GUEST_RUNNING);
	registry_unlock(g);
	return g;
}

static void gone(struct guest *g)
{
	CHECK(registry_lock(g));
	registry_remove(g);
	registry_unlock(g);
	registry_put(g);
}

TEST(found_by_all_three)
{
	struct guest *g = running("a", uuid1, 7), *h;

	CHECK((h = registry_by_name("a")) == g);
	registry_put(h);
	CHECK((h = registry_by_uuid(uuid1)) == g);
	registry_put(h);
	CHECK((h = registry_by_domid(7)) == g);
	registry_put(h);
	CHECK(!registry_by_name("b") && !registry_by_uuid(uuid2) && !registry_by_domid(8));
	gone(g);
	CHECK(!registry_by_name("a") && !registry_by_uuid(uuid1) && !registry_by_domid(7));
}

TEST(names_and_uuids_are_taken)
{
	struct guest *g = running("a", uuid1, 7), *h;
	struct err e;

	CHECK_EQ(registry_reserve("a", uuid2, &h, &e), -EEXIST);
	CHECK_STR(e.code, "name-taken");
	CHECK(strstr(e.text, "domain 7"));
	CHECK_EQ(registry_reserve("b", uuid1, &h, &e), -EEXIST);
	CHECK_STR(e.code, "uuid-taken");
	CHECK_EQ(registry_check_free("a", uuid1, &e), -EEXIST);
	CHECK_EQ(registry_check_free("b", uuid2, &e), 0);
	gone(g);
	CHECK_EQ(registry_check_free("a", uuid1, &e), 0);
}

TEST(rename)
{
	struct guest *g = running("a", uuid1, 1), *h = running("b", uuid2, 2), *found;
	struct err e;

	CHECK(registry_lock(g));
	CHECK_EQ(registry_rename(g, "b", uuid1, &e), -EEXIST);
	CHECK_EQ(registry_rename(g, "c", uuid3, &e), 0);
	registry_unlock(g);
	CHECK(!registry_by_name("a") && !registry_by_uuid(uuid1));
	CHECK((found = registry_by_name("c")) == g);
	registry_put(found);
	CHECK((found = registry_by_uuid(uuid3)) == g);
	registry_put(found);
	gone(g);
	gone(h);
}

TEST(a_domain_id_is_given_again)
{
	struct guest *old = running("a", uuid1, 5), *new = running("b", uuid2, 5), *found;

	CHECK((found = registry_by_domid(5)) == new);
	registry_put(found);
	CHECK_EQ(old->domid, -1);
	gone(old);
	CHECK((found = registry_by_domid(5)) == new);
	registry_put(found);
	gone(new);
}

static void *finish_soon(void *arg)
{
	usleep(50000);
	registry_remove(arg);
	registry_unlock(arg);
	return NULL;
}

TEST(start_is_that_of_the_domain)
{
	struct guest *g = running("a", uuid1, 7);
	struct guest_view v;

	registry_set_started(g, 7, 1000);
	registry_view(g, &v);
	CHECK_EQ(v.started, 1000);
	/* It has started again; who still speaks of the old domain is not listened to. */
	CHECK(registry_lock(g));
	registry_set_domid(g, 8);
	registry_unlock(g);
	registry_set_started(g, 7, 1000);
	registry_view(g, &v);
	CHECK_EQ(v.started, 0);
	gone(g);
}

TEST(a_new_guest_waits_for_the_end_of_the_old)
{
	struct guest *old = running("a", uuid1, 1), *new;
	struct err e;
	pthread_t t;

	CHECK(registry_lock(old));
	registry_set_state(old, GUEST_ENDING);
	pthread_create(&t, NULL, finish_soon, old);
	CHECK_EQ(registry_reserve("a", uuid1, &new, &e), 0);
	CHECK(old->state == GUEST_GONE);
	pthread_join(t, NULL);
	registry_put(old);
	registry_unlock(new);
	gone(new);
}

TEST(waiting_for_one_that_goes)
{
	struct guest *g = running("a", uuid1, 1);
	pthread_t t;

	CHECK(registry_lock(g));
	pthread_create(&t, NULL, finish_soon, g);
	CHECK(!registry_lock(g));
	pthread_join(t, NULL);
	registry_put(g);
}

/* --- claims --- */
static struct claim_key disk(uint64_t dev, uint64_t whole)
{
	struct block_id id = { .dev = dev, .whole = whole };

	return claim_disk_key(&id, 0);
}

static int claim(struct guest *g, struct claim_key key, enum claim_mode mode, struct err *e)
{
	return registry_claim(g, g, &key, mode, "/dev/x", e);
}

TEST(disks_readers_writers_sharers)
{
	struct guest *a = running("a", uuid1, 1), *b = running("b", uuid2, 2);
	struct err e;

	CHECK_EQ(claim(a, disk(8, 8), CLAIM_READ, &e), 0);
	CHECK_EQ(claim(b, disk(8, 8), CLAIM_READ, &e), 0);
	CHECK_EQ(claim(NULL, disk(8, 8), CLAIM_WRITE, &e), -EBUSY);
	CHECK_EQ(claim(NULL, disk(8, 8), CLAIM_SHARED, &e), 0);
	CHECK_EQ(claim(a, disk(9, 9), CLAIM_WRITE, &e), 0);
	CHECK_EQ(claim(b, disk(9, 9), CLAIM_READ, &e), -EBUSY);
	CHECK(strstr(e.text, "guest a") && strstr(e.text, "/dev/x"));
	CHECK_EQ(claim(b, disk(9, 9), CLAIM_SHARED, &e), -EBUSY);
	CHECK_EQ(registry_claim(a, false, &(struct claim_key){ .kind = CLAIM_DISK, .a = 9 }, CLAIM_WRITE, "x", &e), 0);	/* its own */
	CHECK_EQ(claim(a, disk(10, 10), CLAIM_SHARED, &e), 0);
	CHECK_EQ(claim(b, disk(10, 10), CLAIM_SHARED, &e), 0);
	gone(a);
	CHECK_EQ(claim(NULL, disk(9, 9), CLAIM_WRITE, &e), 0);
	CHECK_EQ(claim(NULL, disk(8, 8), CLAIM_WRITE, &e), -EBUSY);
	gone(b);
	CHECK_EQ(claim(NULL, disk(8, 8), CLAIM_WRITE, &e), 0);
}

TEST(a_partition_and_its_disk)
{
	struct guest *a = running("a", uuid1, 1), *b = running("b", uuid2, 2);
	struct err e;

	CHECK_EQ(claim(a, disk(81, 80), CLAIM_WRITE, &e), 0);
	CHECK_EQ(claim(b, disk(82, 80), CLAIM_WRITE, &e), 0);	/* another part of the same */
	CHECK_EQ(claim(NULL, disk(80, 80), CLAIM_WRITE, &e), -EBUSY);
	CHECK_EQ(claim(NULL, disk(80, 80), CLAIM_READ, &e), -EBUSY);
	CHECK_EQ(claim(NULL, disk(81, 80), CLAIM_WRITE, &e), -EBUSY);
	gone(a);
	CHECK_EQ(claim(NULL, disk(80, 80), CLAIM_WRITE, &e), -EBUSY);
	gone(b);
	a = running("a", uuid1, 1);
	CHECK_EQ(claim(a, disk(80, 80), CLAIM_WRITE, &e), 0);
	CHECK_EQ(claim(NULL, disk(81, 80), CLAIM_READ, &e), -EBUSY);
	gone(a);
}

TEST(mac_addresses)
{
	static const uint8_t mac[6] = { 0, 0x16, 0x3e, 1, 2, 3 };
	struct claim_key key = claim_mac_key(mac, 0);
	struct guest *a = running("a", uuid1, 1);
	struct err e;

	CHECK_EQ(registry_claim(a, true, &key, CLAIM_WRITE, "00:16:3e:01:02:03", &e), 0);
	CHECK_EQ(registry_claim(NULL, false, &key, CLAIM_WRITE, "00:16:3e:01:02:03", &e), -EADDRINUSE);
	CHECK_STR(e.code, "mac-in-use");
	CHECK_EQ(registry_claim(a, true, &key, CLAIM_WRITE, "00:16:3e:01:02:03", &e), 0);	/* not in its own way */
	gone(a);
	CHECK_EQ(registry_claim(NULL, false, &key, CLAIM_WRITE, "00:16:3e:01:02:03", &e), 0);
}

/* What one device has goes with it, and what another has stays. */
TEST(disks_of_one_guest)
{
	struct guest *a = running("a", uuid1, 1);
	struct claim_key first = disk(8, 8), second = first;
	struct err e;

	second.device = 1;
	CHECK_EQ(claim(a, first, CLAIM_READ, &e), 0);
	CHECK_EQ(claim(a, second, CLAIM_READ, &e), 0);
	CHECK_EQ(claim(a, second, CLAIM_WRITE, &e), -EBUSY);
	CHECK(strstr(e.text, "the guest a has /dev/x in two of its disks"));
	/* A question alone is about others. */
	CHECK_EQ(registry_claim(a, false, &second, CLAIM_WRITE, "/dev/x", &e), 0);
	gone(a);
}

TEST(claims_of_one_device)
{
	struct guest *a = running("a", uuid1, 1), *b = running("b", uuid2, 2);
	static const uint8_t mac[6] = { 0, 0x16, 0x3e, 1, 2, 3 };
	struct claim_key one = disk(81, 80), two = disk(90, 90), nic = claim_mac_key(mac, 1);
	struct err e;

	one.device = 1;
	two.device = 2;
	CHECK_EQ(claim(a, one, CLAIM_WRITE, &e), 0);
	CHECK_EQ(claim(a, two, CLAIM_WRITE, &e), 0);
	CHECK_EQ(registry_claim(a, true, &nic, CLAIM_WRITE, "mac", &e), 0);
	registry_unclaim_device(a, CLAIM_DISK, 1);
	CHECK_EQ(claim(NULL, disk(80, 80), CLAIM_WRITE, &e), 0);
	CHECK_EQ(claim(NULL, disk(90, 90), CLAIM_WRITE, &e), -EBUSY);
	CHECK_EQ(registry_claim(NULL, false, &nic, CLAIM_WRITE, "mac", &e), -EADDRINUSE);
	CHECK_EQ(claim(b, disk(81, 80), CLAIM_WRITE, &e), 0);
	registry_unclaim_device(a, CLAIM_MAC, 1);
	CHECK_EQ(registry_claim(NULL, false, &nic, CLAIM_WRITE, "mac", &e), 0);
	registry_unclaim_device(a, CLAIM_DISK, 7);	/* has nothing */
	CHECK_EQ(claim(NULL, disk(90, 90), CLAIM_WRITE, &e), -EBUSY);
	gone(a);
	CHECK_EQ(claim(NULL, disk(90, 90), CLAIM_WRITE, &e), 0);
	gone(b);
}

/* --- the queue --- */
static bool even(const struct guest *g, void *ctx)
{
	return !(g->domid % 2);
}

TEST(queue)
{
	struct guest *a = running("a", uuid1, 1), *b = running("b", uuid2, 2), *got;

	registry_queue_those(even, NULL);
	registry_queue(a);
	registry_queue(a);	/* once is enough */
	CHECK((got = registry_next()) == b);
	registry_put(got);
	CHECK((got = registry_next()) == a);
	registry_put(got);
	registry_queue(a);
	CHECK((got = registry_next()) == a);
	registry_put(got);
	gone(a);
	gone(b);
}

/* Many threads make and end guests of few names: no two have a name at once. */
static unsigned int in_use[4];

static void *churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (int i = 0; i < 2000; i++) {
		unsigned int n = (unsigned int)rand_r(&seed) % 4;
		char name[2] = { (char)('a' + n), 0 };
		uint8_t uuid[16] = { (uint8_t)(n + 1) };
		struct guest *g;
		struct err e;

		if (!registry_reserve(name, uuid, &g, &e)) {
			if (__atomic_fetch_add(&in_use[n], 1, __ATOMIC_SEQ_CST))
				abort();
			registry_set_domid(g, (int)n);
			registry_set_state(g, GUEST_RUNNING);
			registry_unlock(g);
		} else {
			g = registry_by_name(name);
		}
		if (g && registry_lock(g)) {
			registry_set_state(g, GUEST_ENDING);
			__atomic_fetch_sub(&in_use[n], 1, __ATOMIC_SEQ_CST);
			registry_remove(g);
			registry_unlock(g);
		}
		registry_put(g);
	}
	return NULL;
}

TEST(churn)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(in_use[i], 0);
}

