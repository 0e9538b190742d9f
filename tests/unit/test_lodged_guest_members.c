/* SPDX-License-Identifier: MIT */
/* Unit tests: what the manager tells of a guest, as an object and as a row. */
/* sources: tools/lodged/guest_members.c tools/lodged/registry.c tools/lodged/claims.c tools/lib/err.c */
/* libs: -ljansson -luuid -pthread */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <errno.h>
#include <lodged/guest_members.h>
#include <lodged/life.h>
#include <lodged/target.h>
#include <xen/sched.h>

static struct session session;
static unsigned int asked;	/* the store */

int store_read_u64(struct store *s, uint64_t *value, const char *fmt, ...)
{
	asked++;
	*value = 1790000000;
	return 0;
}

const char *life_reason(int reason)
{
	return reason == SHUTDOWN_crash ? "crash" : "poweroff";
}

int life_reason_of(const xen_domctl_getdomaininfo_t *info)
{
	return info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}

uint64_t hv_domain_max_kib(const xen_domctl_getdomaininfo_t *info)
{
	return info->max_pages == (uint64_t)-1 ? UINT64_MAX : info->max_pages * 4;
}

uint32_t target_vcpus(const xen_domctl_getdomaininfo_t *info)
{
	return info->max_vcpu_id + 1;
}

void target_name(struct session *s, int domid, char name[256])
{
	strcpy(name, domid ? "a\tb\n" : "Domain-0");
}

static const xen_domctl_getdomaininfo_t web = { .domain = 5, .handle = { 1 }, .flags = XEN_DOMINF_blocked, .tot_pages = 1024, .max_pages = 2048,
						.nr_online_vcpus = 2, .max_vcpu_id = 3, .cpu_time = 77 };

static struct guest *make_web(void)
{
	static const uint8_t uuid[16] = { 1 };
	struct guest *g;
	struct err e;

	CHECK(!registry_reserve("web", uuid, &g, &e));
	registry_set_domid(g, 5);
	registry_set_state(g, GUEST_RUNNING);
	registry_unlock(g);
	return g;
}

static void forget(struct guest *g)
{
	CHECK(registry_lock(g));
	registry_remove(g);
	registry_unlock(g);
	registry_put(g);
}

static void row_is(const xen_domctl_getdomaininfo_t *info, const char *names, const char *expected)
{
	json_t *list = json_loads(names, 0, NULL), *found;
	struct err e;
	struct guest_members *members = guest_members_find(list, &e);

	CHECK(members);
	found = guest_row(&session, info, members);
	CHECK_STR(json_string_value(found), expected);
	json_decref(found);
	json_decref(list);
	free(members);
}

TEST(object)
{
	struct guest *g = make_web();
	json_t *found = guest_object(&session, &web);
	char *text = json_dumps(found, JSON_COMPACT | JSON_SORT_KEYS);

	CHECK_STR(text, "{\"cpu_time_ns\":77,\"domid\":5,\"flags\":\"-b----\",\"managed\":true,\"maxmem_kib\":8192,\"maxvcpus\":4,"
		  "\"memory_kib\":4096,\"name\":\"web\",\"start_time\":1790000000,\"state\":\"blocked\",\"type\":\"pv\","
		  "\"uuid\":\"01000000-0000-0000-0000-000000000000\",\"vcpus\":2}");
	free(text);
	json_decref(found);
	forget(g);
}

TEST(rows)
{
	xen_domctl_getdomaininfo_t crashed = web, dom0 = { .flags = XEN_DOMINF_running, .max_pages = -1 }, other = { .domain = 9 };
	struct guest *g = make_web();

	crashed.flags = XEN_DOMINF_shutdown | SHUTDOWN_crash << XEN_DOMINF_shutdownshift;
	row_is(&web, "[\"name\", \"domid\", \"shutdown_reason\", \"kept_down\", \"name\"]", "web\t5\t\t\tweb");
	registry_set_kept_down(g);
	row_is(&crashed, "[\"flags\", \"state\", \"shutdown_reason\", \"kept_down\"]", "---sc-\tcrashed\tcrash\ttrue");
	row_is(&dom0, "[\"name\", \"managed\", \"flags\", \"maxmem_kib\"]", "Domain-0\tfalse\tr-----\t");
	row_is(&other, "[\"name\", \"managed\", \"cpu_time_ns\"]", "a?b?\tfalse\t0");
	row_is(&web, "[]", "");
	forget(g);
}

/* The store is asked when a guest was started once at most, and not for it when nobody wants to know. */
TEST(start_time_is_remembered)
{
	struct guest *g = make_web();

	row_is(&web, "[\"name\"]", "web");
	CHECK_EQ(asked, 0);
	for (int i = 0; i < 3; i++)
		row_is(&web, "[\"start_time\"]", "1790000000");
	CHECK_EQ(asked, 1);
	CHECK_EQ(guest_start_time(&session, &web), 1790000000);
	CHECK_EQ(asked, 1);
	registry_set_started(g, 5, 1800000000);
	row_is(&web, "[\"start_time\"]", "1800000000");
	forget(g);
}

/* One that has everything and very long is cut, and no more. */
TEST(long_rows)
{
	json_t *list = json_array(), *found;
	struct guest *g = make_web();
	struct guest_members *members;
	struct err e;

	for (int i = 0; i < 1000; i++)
		json_array_append_new(list, json_string(i % 2 ? "uuid" : "cpu_time_ns"));
	members = guest_members_find(list, &e);
	found = guest_row(&session, &web, members);
	CHECK_EQ(json_string_length(found), 2047);
	json_decref(found);
	free(members);
	json_decref(list);
	forget(g);
}

TEST(members_that_there_are)
{
	json_t *names = json_loads("[\"name\", \"kept_down\", \"colour\"]", 0, NULL);
	struct err e = { 0 };

	CHECK(!guest_members_find(names, &e));
	CHECK_EQ(e.error, EINVAL);
	CHECK(strstr(e.text, "colour"));
	json_array_set_new(names, 2, json_integer(3));
	CHECK(!guest_members_find(names, &e));
	json_decref(names);
}
