/* SPDX-License-Identifier: MIT */
/* Unit tests: how the console daemon finds guests — watches of the store, new ids, ends, other toolstacks, and what it costs. */
/* sources: tools/consoled/ring.c tools/consoled/state.c tools/consoled/log.c tools/consoled/loop.c tools/consoled/guest.c tools/consoled/request.c tools/consoled/client.c tools/consoled/discover.c tools/lib/logfile.c tools/lib/err.c */
/* cflags: -Wno-unused-parameter */
/* libs: -ljansson */
#include "test.h"
#include "console_env.h"
#include <lib/store.h>

/* --- a store ------------------------------------------------------------------------------------------------------------------ */

#define NODES	512
#define EVENTS	1024

static struct { char path[64], value[64]; } nodes[NODES];
static struct { char path[64], token[16]; } watches[NODES], events[EVENTS];
static unsigned int event_head, event_tail, ops;
static int store_event_fd = -1;

static void fire(const char *path, const char *token)
{
	unsigned int i = event_head++ % EVENTS;

	snprintf(events[i].path, sizeof(events[i].path), "%s", path);
	snprintf(events[i].token, sizeof(events[i].token), "%s", token);
	eventfd_write(store_event_fd, 1);
}

/* A change at path fires watches of it, of what is above it, and, if it went, of what was below. */
static void changed(const char *path, bool gone)
{
	for (int i = 0; i < NODES; i++) {
		size_t w = strlen(watches[i].path), p = strlen(path);

		if (w && ((strncmp(path, watches[i].path, w) == 0 && (path[w] == '/' || !path[w])) ||
			  (gone && strncmp(watches[i].path, path, p) == 0 && watches[i].path[p] == '/')))
			fire(watches[i].path, watches[i].token);
	}
}

static int node(const char *path, bool make)
{
	int free_one = -1;

	for (int i = 0; i < NODES; i++) {
		if (strcmp(nodes[i].path, path) == 0)
			return i;
		if (free_one < 0 && !nodes[i].path[0])
			free_one = i;
	}
	if (make)
		snprintf(nodes[free_one].path, sizeof(nodes[0].path), "%s", path);
	return make ? free_one : -1;
}

static void set(const char *value, const char *fmt, int id)
{
	char path[64];

	snprintf(path, sizeof(path), fmt, id);
	snprintf(nodes[node(path, true)].value, sizeof(nodes[0].value), "%s", value);
	changed(path, false);
}

static void unset(const char *fmt, int id)
{
	char path[64];

	snprintf(path, sizeof(path), fmt, id);
	for (int i = 0; i < NODES; i++)
		if (strncmp(nodes[i].path, path, strlen(path)) == 0)
			nodes[i].path[0] = '\0';
	changed(path, true);
}

#define PATH(path, fmt) do { va_list ap; ops++; va_start(ap, fmt); vsnprintf(path, sizeof(path), fmt, ap); va_end(ap); } while (0)

int store_open(struct store **s, bool wait, struct err *e)
{
	*s = (struct store *)nodes;
	store_event_fd = eventfd(0, EFD_NONBLOCK);
	return 0;
}

char *store_read(struct store *s, const char *fmt, ...)
{
	char path[64];
	int i;

	PATH(path, fmt);
	i = node(path, false);
	errno = ENOENT;
	return i < 0 ? NULL : strdup(nodes[i].value);
}

int store_read_u64(struct store *s, uint64_t *value, const char *fmt, ...)
{
	char path[64];
	int i;

	PATH(path, fmt);
	i = node(path, false);
	if (i >= 0 && (nodes[i].value[0] < '0' || nodes[i].value[0] > '9'))
		return -EINVAL;
	*value = i < 0 ? 0 : strtoull(nodes[i].value, NULL, 10);
	return i < 0 ? -ENOENT : 0;
}

int store_write(struct store *s, const char *value, const char *fmt, ...)
{
	char path[64];

	PATH(path, fmt);
	set(value, path, 0);
	return 0;
}

int store_watch(struct store *s, const char *path, const char *token)
{
	ops++;
	for (int i = 0; i < NODES; i++) {
		if (!watches[i].path[0]) {
			snprintf(watches[i].path, sizeof(watches[i].path), "%s", path);
			snprintf(watches[i].token, sizeof(watches[i].token), "%s", token);
			fire(path, token);
			return 0;
		}
	}
	return -ENOSPC;
}

int store_unwatch(struct store *s, const char *path, const char *token)
{
	ops++;
	for (int i = 0; i < NODES; i++)
		if (strcmp(watches[i].path, path) == 0 && strcmp(watches[i].token, token) == 0)
			watches[i].path[0] = '\0';
	return 0;
}

int store_fd(struct store *s) { return store_event_fd; }

int store_next_watch(struct store *s, char **path, char **token)
{
	eventfd_t n;

	if (event_tail == event_head) {
		eventfd_read(store_event_fd, &n);
		return -EAGAIN;
	}
	unsigned int i = event_tail++ % EVENTS;

	*path = calloc(1, sizeof(events[i].path) + sizeof(events[i].token));
	strcpy(*path, events[i].path);
	*token = *path + sizeof(events[i].path);
	strcpy(*token, events[i].token);
	return 0;
}

static int watch_count(void)
{
	int n = 0;

	for (int i = 0; i < NODES; i++)
		n += watches[i].path[0] != '\0';
	return n;
}

/* --- helpers ------------------------------------------------------------------------------------------------------------------ */

static void step(int turns)
{
	for (int i = 0; i < turns; i++) {
		discover_timers();
		guest_timers();
		loop_turn(2);
	}
}

static void write_console(int id, const char *name, const char *type)
{
	char port[8];

	snprintf(port, sizeof(port), "%d", id);
	set(name, "/local/domain/%d/name", id);
	set(type, "/local/domain/%d/console/type", id);
	set(port, "/local/domain/%d/console/port", id);
	set("4660", "/local/domain/%d/console/ring-ref", id);
}

/* As our manager does it. */
static void create(int id, const char *name)
{
	memset(&world[id], 0, sizeof(world[id]));
	world[id].exists = true;
	write_console(id, name, "lodge");
	fire("@introduceDomain", "introduce");
}

static void destroy(int id)
{
	world[id].dying = true;
	fire("@releaseDomain", "release");
	unset("/local/domain/%d", id);
}

static void setup(void)
{
	struct err e = { 0 };

	make_world();
	start_daemon(1 << 20, 3, 64 << 20);
	CHECK_EQ(discover_start(&e), 0);
	step(4);
}

static void finish(void)
{
	end_all();
	close(store_event_fd);
}

/* --- tests -------------------------------------------------------------------------------------------------------------------- */

TEST(created_then_destroyed)
{
	setup();
	create(1, "web1");
	guest_print(1, "hello\n");
	step(8);
	check_log("web1", "hello\n");
	guest_print(1, "bye\n");
	destroy(1);
	step(8);
	CHECK(!guest_find(1) && !world[1].mapped && !world[1].bound);
	check_log("web1", "hello\nbye\n");
	CHECK_EQ(watch_count(), 2);
	finish();
}

TEST(there_before_the_daemon)
{
	struct err e = { 0 };

	make_world();
	start_daemon(1 << 20, 3, 64 << 20);
	for (int id = 1; id < 20; id++) {
		world[id].exists = true;
		write_console(id, "guest", "lodge");
	}
	world[20].exists = world[20].dying = true;
	write_console(20, "dead", "lodge");
	CHECK_EQ(discover_start(&e), 0);
	/* Attached at once: a client that comes back is not told that its guest is gone. */
	for (int id = 1; id < 20; id++)
		CHECK(guest_find((uint16_t)id) && guest_find((uint16_t)id)->ring);
	CHECK(!guest_find(20));
	step(8);
	finish();
}

/* As Xen's own toolstack does it: introduced first, the console written later, and waiting for a pseudo-terminal. */
TEST(other_toolstack)
{
	int i;

	setup();
	world[1].exists = true;
	fire("@introduceDomain", "introduce");
	step(8);
	CHECK(guest_find(1) && !guest_find(1)->ring);
	write_console(1, "xl1", "xenconsoled");
	step(8);
	CHECK(guest_find(1)->ring != NULL);
	i = node("/local/domain/1/console/tty", false);
	CHECK(i >= 0 && strncmp(nodes[i].value, "/dev/pts/", 9) == 0);
	finish();
}

TEST(consoles_of_others_are_left_alone)
{
	setup();
	world[1].exists = true;
	write_console(1, "hvm", "ioemu");
	fire("@introduceDomain", "introduce");
	step(8);
	CHECK(!world[1].mapped && !world[1].bound);
	finish();
}

TEST(nonsense_in_the_store)
{
	setup();
	world[1].exists = true;
	write_console(1, "evil", "lodge");
	set("-5", "/local/domain/%d/console/port", 1);
	fire("@introduceDomain", "introduce");
	step(8);
	CHECK(!world[1].mapped);
	set("99999999999999", "/local/domain/%d/console/port", 1);
	step(8);
	CHECK(!world[1].mapped);
	set("2", "/local/domain/%d/console/port", 1);		/* another guest's? It is looked for in guest 1 */
	step(8);
	CHECK(!world[1].mapped && !world[2].bound);
	set("1", "/local/domain/%d/console/port", 1);
	step(8);
	CHECK(world[1].mapped && world[1].bound);
	finish();
}

TEST(rename)
{
	setup();
	create(1, "before");
	guest_print(1, "a\n");
	step(8);
	set("after", "/local/domain/%d/name", 1);
	step(8);
	guest_print(1, "b\n");
	step(8);
	check_log("before", "a\n");
	check_log("after", "b\n");
	finish();
}

/* Ids start over: the next one is not behind the last. */
TEST(ids_start_over)
{
	setup();
	create(60, "high");
	step(8);
	CHECK(guest_find(60)->ring != NULL);
	create(2, "low");
	for (int i = 0; i < 100 && !(guest_find(2) && guest_find(2)->ring); i++)
		step(4);
	CHECK(guest_find(2) && guest_find(2)->ring);
	create(3, "low3");
	step(8);
	CHECK(guest_find(3) && guest_find(3)->ring);
	finish();
}

/* Destroyed by somebody who leaves the store as it was: the memory is let go all the same. */
TEST(end_without_a_word_in_the_store)
{
	setup();
	create(1, "web1");
	step(8);
	world[1].dying = true;
	fire("@releaseDomain", "release");
	for (int i = 0; i < 100 && world[1].mapped; i++)
		step(4);
	CHECK(!world[1].mapped && !world[1].bound && !guest_find(1));
	finish();
}

TEST(same_id_again)
{
	setup();
	for (int i = 0; i < 5; i++) {
		create(1, "web1");
		for (int k = 0; k < 100 && !(guest_find(1) && guest_find(1)->ring); k++)
			step(4);
		guest_print(1, "x");
		step(8);
		destroy(1);
		step(8);
	}
	check_log("web1", "xxxxx");
	finish();
}

TEST(asked_for_before_the_watch_fires)
{
	int c;

	setup();
	world[7].exists = true;
	write_console(7, "web7", "lodge");
	c = dial();
	ask(c, "{\"version\":1,\"domid\":7}", "\"name\":\"web7\"");
	close(c);
	finish();
}

/* What the store is asked for one more guest does not depend on how many there are. */
TEST(cost_does_not_grow)
{
	unsigned int first, last;

	setup();
	ops = 0;
	create(1, "g1");
	step(8);
	first = ops;
	for (int id = 2; id < 60; id++) {
		create(id, "g");
		step(8);
	}
	ops = 0;
	create(60, "g60");
	step(8);
	last = ops;
	CHECK_EQ(first, last);
	CHECK(first <= 12);
	finish();
}
