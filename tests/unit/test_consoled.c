/* SPDX-License-Identifier: MIT */
/* Unit tests: the console daemon — rings, logs, clients, hostile guests. */
/* sources: tools/consoled/ring.c tools/consoled/state.c tools/consoled/log.c tools/consoled/loop.c tools/consoled/guest.c tools/consoled/request.c tools/consoled/client.c tools/lib/logfile.c tools/lib/err.c */
/* cflags: -Wno-unused-parameter */
/* libs: -ljansson */
#include "test.h"
#include "console_env.h"
#include <consoled/request.h>

void discover_look(uint16_t domid) { }

#define RATE	(64 << 20)	/* no guest of these tests reaches it, unless it is meant to */

static void setup(uint64_t max_size, unsigned int files)
{
	make_world();
	start_daemon(max_size, files, RATE);
}

/* Let the guest write all of it, however small its ring is. */
static void write_all(int id, const char *data, size_t len)
{
	for (size_t done = 0; done < len; settle())
		done += guest_write(id, data + done, len - done);
}

static char *numbered(size_t lines, size_t *len)
{
	char *text = malloc(lines * 16 + 1);

	*len = 0;
	for (size_t i = 0; i < lines; i++)
		*len += (size_t)sprintf(text + *len, "line %08zu\r\n", i);
	return text;
}

/* --- the log ------------------------------------------------------------------------------------------------------------------ */

TEST(output_before_the_daemon_is_logged)
{
	setup(1 << 20, 3);
	world[3].exists = true;
	guest_print(3, "first byte\n");
	guest_attach(guest_add(3), "web1", 1, 3);
	settle();
	check_log("web1", "first byte\n");
	CHECK_EQ(world[3].ring.out_cons, 11);
	CHECK(world[3].notified > 0);
	end_all();
}

TEST(bytes_are_raw)
{
	char all[256], *text;
	size_t len;

	setup(1 << 20, 3);
	new_guest(1, "raw");
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (int i = 0; i < 20; i++)
		write_all(1, all, sizeof(all));
	text = slurp(in_dir("log/raw.log"), &len);
	CHECK_EQ(len, 20 * 256);
	for (size_t i = 0; i < len; i++)
		CHECK_EQ((unsigned char)text[i], i % 256);
	free(text);
	end_all();
}

TEST(indices_wrap)
{
	setup(1 << 20, 3);
	world[1].exists = true;
	world[1].ring.out_cons = world[1].ring.out_prod = world[1].ring.in_cons = world[1].ring.in_prod = UINT32_MAX - 2;
	guest_attach(guest_add(1), "wrap", 1, 1);
	guest_print(1, "abcdefgh\n");
	settle();
	check_log("wrap", "abcdefgh\n");
	CHECK_EQ(world[1].ring.out_cons, 6);
	end_all();
}

TEST(rotation)
{
	size_t len, kept = 0;
	char *text = numbered(6000, &len), *part;

	setup(16384, 3);
	new_guest(1, "big");
	write_all(1, text, len);
	for (int age = 2; age >= 0; age--) {
		char name[32];
		size_t n;

		snprintf(name, sizeof(name), age ? "log/big.log.%d" : "log/big.log", age);
		part = slurp(in_dir(name), &n);
		CHECK(part && n <= 16384 && (age == 0 || n > 16384 - 2048));
		kept += n;
		free(part);
	}
	CHECK(access(in_dir("log/big.log.3"), F_OK) < 0);

	/* What is kept is the end of it, and a client can have all of that. */
	int c = dial();
	char *shown = ask(c, "{\"version\":1,\"domid\":1,\"backlog\":1000000}", "\"total\":90000");

	CHECK_EQ(strlen(shown), kept);
	CHECK(memcmp(shown, text + len - kept, kept) == 0);
	close(c);
	free(text);
	end_all();
}

TEST(one_file_only)
{
	size_t len, n;
	char *text = numbered(3000, &len), *part;

	setup(16384, 1);
	new_guest(1, "big");
	write_all(1, text, len);
	part = slurp(in_dir("log/big.log"), &n);
	CHECK(n > 0 && n <= 16384 && memcmp(part, text + len - n, n) == 0);
	CHECK(access(in_dir("log/big.log.1"), F_OK) < 0);
	free(part);
	free(text);
	end_all();
}

/* A file that cannot grow stands for a full disk. */
TEST(full_disk)
{
	struct rlimit limit = { 4096, RLIM_INFINITY };
	size_t len;
	char *text = numbered(600, &len), *log;
	int c;

	setup(1 << 20, 3);
	new_guest(1, "full");
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	c = dial();
	ask(c, "{\"version\":1,\"domid\":1}", "\"offset\":0");
	write_all(1, text, len);			/* the guest goes on */
	CHECK_EQ(world[1].ring.out_cons, len);
	CHECK(memcmp(got(c), text, len) == 0);		/* who is attached sees it */
	log = slurp(in_dir("log/full.log"), &len);
	CHECK_EQ(len, 4096);
	CHECK(memcmp(log, text, 4096) == 0);
	free(log);

	limit.rlim_cur = RLIM_INFINITY;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	run_for(1100);
	guest_print(1, "again\n");
	settle();
	log = slurp(in_dir("log/full.log"), &len);
	CHECK_STR(log + 4096, "\n[lodge: 4904 bytes of output lost: File too large]\nagain\n");
	free(log);
	/* The gap is not taken for output. */
	int d = dial();

	CHECK_STR(ask(d, "{\"version\":1,\"domid\":1,\"backlog\":100000}", "\"offset\":9000,\"total\":9006"), "again\n");
	close(c);
	close(d);
	free(text);
	end_all();
}

TEST(names)
{
	char name[LOG_NAME_MAX], longest[400];

	log_file_name(name, "web1", 5);
	CHECK_STR(name, "web1");
	log_file_name(name, "../../etc/passwd", 5);
	CHECK_STR(name, "_._.._etc_passwd-5");
	log_file_name(name, "", 5);
	CHECK_STR(name, "-5");
	log_file_name(name, ".hidden", 7);
	CHECK_STR(name, "_hidden-7");
	log_file_name(name, "a\nb\033[2J\x7f", 7);
	CHECK_STR(name, "a_b_[2J_-7");
	memset(longest, 'x', sizeof(longest));
	longest[399] = '\0';
	log_file_name(name, longest, 32000);
	CHECK_EQ(strlen(name), 190 + 6);
}

TEST(two_guests_of_one_name)
{
	setup(1 << 20, 3);
	new_guest(1, "twin");
	new_guest(2, "twin");
	guest_print(1, "one\n");
	guest_print(2, "two\n");
	settle();
	check_log("twin", "one\n");
	check_log("twin-2", "two\n");
	end_all();
}

TEST(rename_goes_on_in_a_new_file)
{
	struct guest *g;

	setup(1 << 20, 3);
	g = new_guest(1, "before");
	guest_print(1, "a\n");
	settle();
	guest_rename(g, "after");
	guest_print(1, "b\n");
	settle();
	check_log("before", "a\n");
	check_log("after", "b\n");
	end_all();
}

TEST(next_life_appends)
{
	setup(1 << 20, 3);
	guest_attach(new_guest(1, "web"), "web", 0x1001, 1);
	guest_print(1, "first\n");
	settle();
	guest_end(guest_find(1));
	new_guest(2, "web");
	guest_print(2, "second\n");
	settle();
	check_log("web", "first\nsecond\n");
	/* What came before is this guest's, not the last one's. */
	int c = dial();

	CHECK_STR(ask(c, "{\"version\":1,\"name\":\"web\",\"backlog\":100000}", "\"domid\":2"), "second\n");
	close(c);
	end_all();
}

TEST(removed_log_is_made_anew_on_request)
{
	setup(1 << 20, 3);
	new_guest(1, "web");
	guest_print(1, "first\n");
	settle();
	unlink(in_dir("log/web.log"));
	guest_reopen_logs();
	guest_print(1, "second\n");
	settle();
	check_log("web", "second\n");
	end_all();
}

/* --- killed at any moment ------------------------------------------------------------------------------------------------------ */

/* Each of the instants that the theory in log.c names. */
TEST(recovery_of_each_instant)
{
	for (int instant = 0; instant < 3; instant++) {
		struct guest *g;
		int fd;

		setup(1 << 20, 3);
		g = new_guest(1, "web");
		guest_print(1, "abc");
		settle();
		guest_print(1, "def");
		/* 0: killed before anything; 1: "de" is in the log; 2: and "def" is in the log and taken. */
		fd = open(in_dir("log/web.log"), O_WRONLY | O_APPEND);
		if (instant)
			CHECK_EQ(write(fd, "def", instant == 1 ? 2 : 3), instant == 1 ? 2 : 3);
		close(fd);
		if (instant == 2)
			world[1].ring.out_cons = 6;
		/* The daemon is gone: only the file, the record and the ring are left. */
		close(g->log.fd);
		g->log.fd = -1;
		xen_unbind(1);
		struct guest *again = calloc(1, sizeof(*again));

		again->rec = state_get(1);
		log_open(&again->log, "web", 1, again->rec, &world[1].ring, loop_now());
		if (world[1].ring.out_prod != world[1].ring.out_cons) {
			char buf[RING_OUT];
			uint32_t cons;
			int n = ring_peek(&world[1].ring, buf, &cons);

			log_take(&again->log, &world[1].ring, cons, buf, (size_t)n, loop_now());
		}
		check_log("web", "abcdef");
		CHECK_EQ(again->rec->total, 6);
		CHECK_EQ(world[1].ring.out_cons, 6);
		CHECK_EQ(again->rec->file_base, 0);
		log_close(&again->log);
		free(again);
		end_all();
		munmap(world, GUESTS * sizeof(*world));
		close(world_fd);
	}
}

static pid_t daemon_process(uint64_t max_size, unsigned int files)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	for (int id = 1; id <= 3; id++)
		world[id].bound = false;	/* the hypervisor closes a dead process's ports */
	start_daemon(max_size, files, RATE);
	for (int id = 1; id <= 3; id++) {
		char name[16];

		snprintf(name, sizeof(name), "g%d", id);
		guest_attach(guest_add((uint16_t)id), name, 0x1000 + (uint64_t)id, (uint32_t)id);
	}
	for (;;) {
		int next = guest_timers();

		loop_turn(next < 0 ? 50 : next);
	}
}

static void kill_test(uint64_t max_size, unsigned int files, int kills)
{
	size_t len = 0, at[4] = { 0 };
	char *text = numbered(200000, &len);

	make_world();
	for (int id = 1; id <= 3; id++)
		world[id].exists = true;
	for (int i = 0; i < kills; i++) {
		pid_t pid = daemon_process(max_size, files);
		int64_t end = loop_now() + 3 + (int64_t)test_below(15);

		while (loop_now() < end)
			for (int id = 1; id <= 3; id++)
				at[id] += guest_write(id, text + at[id], at[id] + 700 < len ? 1 + test_below(700) : 0);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	/* One more daemon takes the rest. */
	pid_t pid = daemon_process(max_size, files);

	for (int id = 1; id <= 3; id++)
		for (int i = 0; i < 2000 && world[id].ring.out_cons != world[id].ring.out_prod; i++)
			usleep(5000);
	usleep(50000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);

	for (int id = 1; id <= 3; id++) {
		size_t kept = 0;
		char *whole = calloc(1, len + 1);

		for (int age = (int)files - 1; age >= 0; age--) {
			char name[32], *part;
			size_t n;

			snprintf(name, sizeof(name), age ? "log/g%d.log.%d" : "log/g%d.log", id, age);
			part = slurp(in_dir(name), &n);
			CHECK(kept + n <= len);
			if (part && kept + n <= len)
				memcpy(whole + kept, part, n);
			kept += n;
			free(part);
		}
		CHECK(at[id] > 10000);
		if (max_size > len)
			CHECK_EQ(kept, at[id]);
		CHECK(kept <= at[id] && memcmp(whole, text + at[id] - kept, kept) == 0);
		free(whole);
	}
	free(text);
	clean_up();
}

TEST(killed_often_nothing_lost_or_doubled) { kill_test(16 << 20, 2, 150); }
TEST(killed_often_while_rotating) { kill_test(8192, 40, 150); }

TEST(reused_domain_id_is_another_guest)
{
	setup(1 << 20, 3);
	new_guest(1, "web");
	guest_print(1, "old\n");
	settle();
	/* The daemon dies, the guest too, and another has its id, its ring and its port. */
	uint64_t life = state_get(1)->life;

	CHECK(life != 0);
	state_get(1)->total = 5000;
	struct record saved = *state_get(1);

	guest_end(guest_find(1));
	CHECK_EQ(state_get(1)->life, 0);
	*state_get(1) = saved;
	new_guest(1, "web");
	CHECK(state_get(1)->life != life);
	guest_print(1, "new\n");
	settle();
	int c = dial();

	CHECK_STR(ask(c, "{\"version\":1,\"domid\":1,\"backlog\":1000}", "\"total\":4"), "new\n");
	close(c);
	end_all();
}

/* --- clients ------------------------------------------------------------------------------------------------------------------ */

TEST(several_clients)
{
	char typed[64];
	int a, b, r;

	setup(1 << 20, 3);
	new_guest(4, "web1");
	guest_print(4, "boot\n");
	settle();
	a = dial();
	b = dial();
	r = dial();
	CHECK_STR(ask(a, "{\"version\":1,\"domid\":4,\"backlog\":16384}", "\"name\":\"web1\""), "boot\n");
	CHECK_STR(ask(b, "{\"version\":1,\"name\":\"web1\"}", "\"domid\":4"), "");
	CHECK_STR(ask(r, "{\"version\":1,\"name\":\"web1\",\"read_only\":true}", "\"read_only\":true"), "");
	guest_print(4, "login: ");
	settle();
	CHECK_STR(got(a), "login: ");
	CHECK_STR(got(b), "login: ");
	CHECK_STR(got(r), "login: ");
	put(a, "ro");
	settle();
	put(b, "ot\r");
	put(r, "nothing");
	settle();
	guest_read(4, typed, sizeof(typed));
	CHECK_STR(typed, "root\r");
	close(b);
	settle();
	guest_print(4, "more\n");
	settle();
	CHECK_STR(got(a), "more\n");
	close(a);
	close(r);
	end_all();
}

TEST(input_with_the_request_is_not_lost)
{
	char typed[64];
	int a;

	setup(1 << 20, 3);
	new_guest(4, "web1");
	a = dial();
	put(a, "{\"version\":1,\"domid\":4}\nhello");
	settle();
	guest_read(4, typed, sizeof(typed));
	CHECK_STR(typed, "hello");
	close(a);
	end_all();
}

TEST(backlog_begins_with_a_line)
{
	size_t len;
	char *text = numbered(300, &len);
	int a;

	setup(1 << 20, 3);
	new_guest(4, "web1");
	write_all(4, text, len);
	a = dial();
	CHECK_STR(ask(a, "{\"version\":1,\"domid\":4,\"backlog\":40}", "\"offset\":4470"), "line 00000298\r\nline 00000299\r\n");
	close(a);
	free(text);
	end_all();
}

/* A connection that breaks and is made again shows each byte once. */
TEST(goes_on_where_it_was)
{
	char request[128], life[17];
	int a;

	setup(1 << 20, 3);
	new_guest(4, "web1");
	guest_print(4, "0123456789");
	settle();
	snprintf(life, sizeof(life), "%016llx", (unsigned long long)state_get(4)->life);
	snprintf(request, sizeof(request), "{\"version\":1,\"domid\":4,\"life\":\"%s\",\"offset\":7}", life);
	a = dial();
	CHECK_STR(ask(a, request, "\"offset\":7"), "789");
	close(a);
	snprintf(request, sizeof(request), "{\"version\":1,\"domid\":4,\"life\":\"%s\",\"offset\":7}", "123");
	a = dial();
	ask(a, request, "\"code\":\"ended\"");
	CHECK_STR(got(a), "<eof>");
	close(a);
	end_all();
}

TEST(client_that_never_reads)
{
	size_t len, n;
	char *text = numbered(70000, &len), *all = malloc(len), *shown, request[128];
	int a, small = 4096;

	setup(256 << 10, 2);
	new_guest(4, "web1");
	a = dial();
	setsockopt(a, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ask(a, "{\"version\":1,\"domid\":4}", "\"offset\":0");
	/* It is behind by less than the log has: it can have all. */
	write_all(4, text, 400000);
	for (n = 0; n < 400000; settle()) {
		shown = got(a);
		CHECK(strlen(shown) <= 400000 - n);
		memcpy(all + n, shown, strlen(shown));
		n += strlen(shown);
		if (!*shown)
			break;
	}
	CHECK_EQ(n, 400000);
	CHECK(memcmp(all, text, n) == 0);
	/* By more: the guest goes on, the client is closed once it reads again, and told how much it has missed. */
	write_all(4, text + n, len - n);
	CHECK_EQ(world[4].ring.out_cons, len);
	do {
		shown = got(a);
		n += strlen(shown);
		settle();
	} while (!strstr(shown, "<eof>") && n < len);
	CHECK(strstr(shown, "<eof>") != NULL);
	n -= 5;
	CHECK(n < len);
	close(a);
	snprintf(request, sizeof(request), "{\"version\":1,\"domid\":4,\"life\":\"%llx\",\"offset\":%zu}", (unsigned long long)state_get(4)->life, n);
	a = dial();
	shown = ask(a, request, "\"total\":1050000");
	CHECK(*shown != '\0');
	close(a);
	free(text);
	free(all);
	end_all();
}

TEST(input_waits_for_room)
{
	char big[3000], typed[4000];
	size_t n = 0;
	int a;

	setup(1 << 20, 3);
	new_guest(4, "web1");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	a = dial();
	ask(a, "{\"version\":1,\"domid\":4}", "version");
	put(a, big);
	close(a);			/* and does not wait for it */
	settle();
	for (int i = 0; i < 10; i++) {
		n += guest_read(4, typed + n, 800);
		settle();
	}
	CHECK_STR(typed, big);
	end_all();
}

TEST(input_of_who_left_comes_after_output)
{
	char typed[64];
	int a;

	setup(1 << 20, 3);
	new_guest(4, "web1");
	a = dial();
	ask(a, "{\"version\":1,\"domid\":4}", "version");
	put(a, "typed");
	close(a);
	/* The guest has its turn first, and nobody takes what it says. */
	guest_print(4, "output\n");
	guest_event(4);
	settle();
	guest_read(4, typed, sizeof(typed));
	CHECK_STR(typed, "typed");
	end_all();
}

TEST(guest_ends)
{
	int a, b, c;

	setup(1 << 20, 3);
	new_guest(4, "web1");
	a = dial();
	ask(a, "{\"version\":1,\"domid\":4}", "version");
	guest_print(4, "last words\n");
	guest_end(guest_find(4));
	CHECK(!world[4].mapped && !world[4].bound);
	settle();
	CHECK_STR(got(a), "last words\n<eof>");
	check_log("web1", "last words\n");
	CHECK(guest_find(4) == NULL);
	b = dial();
	ask(b, "{\"version\":1,\"domid\":4}", "\"code\":\"no-guest\"");
	/* Whoever waits gets the next one of that name. */
	c = dial();
	put(c, "{\"version\":1,\"name\":\"web1\",\"wait\":true,\"backlog\":1000}\n");
	settle();
	CHECK_STR(got(c), "");
	new_guest(5, "web1");
	guest_print(5, "hello again\n");
	settle();
	CHECK(strstr(got(c), "\"domid\":5") != NULL);
	close(a);
	close(b);
	close(c);
	end_all();
}

TEST(client_with_nothing_to_wait_for_may_leave)
{
	int c;

	setup(1 << 20, 3);
	c = dial();
	put(c, "{\"version\":1,\"name\":\"never\",\"wait\":true}\n");
	settle();
	close(c);
	settle();
	c = dial();
	close(c);
	c = dial();
	put(c, "half a requ");
	settle();
	close(c);
	settle();
	end_all();
}

TEST(bad_requests)
{
	static const char *const bad[] = {
		"", "hello", "[]", "{}", "{\"version\":2,\"domid\":1}", "{\"version\":1}", "{\"version\":1,\"domid\":1,\"name\":\"x\"}",
		"{\"version\":1,\"domid\":-1}", "{\"version\":1,\"domid\":70000}", "{\"version\":1,\"domid\":\"1\"}", "{\"version\":1,\"name\":\"\"}",
		"{\"version\":1,\"domid\":1,\"backlog\":-5}", "{\"version\":1,\"domid\":1,\"read_only\":1}",
		"{\"version\":1,\"domid\":1,\"life\":\"xyz\"}", "{\"version\":1,\"domid\":1,\"domid\":2}",
	};
	struct request r;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){ 0 };
		if (request_parse(bad[i], strlen(bad[i]), &r, &e) != -EINVAL || !e.text[0])
			TEST_FAIL("accepted: %s", bad[i]);
	}
	CHECK_EQ(request_parse("{\"version\":1,\"domid\":7,\"backlog\":5,\"wait\":true}", 47, &r, &e), 0);
	CHECK(r.domid == 7 && r.backlog == 5 && r.wait && !r.read_only);

	char endless[2000];
	int c;

	setup(1 << 20, 3);
	c = dial();
	memset(endless, ' ', sizeof(endless));
	endless[1999] = '\0';
	put(c, endless);
	settle();
	CHECK(strstr(got(c), "bad-request") != NULL);
	close(c);
	end_all();
}

TEST(pseudo_terminal)
{
	char path[64], buf[64];
	struct guest *g;
	int fd;

	setup(1 << 20, 3);
	g = new_guest(4, "web1");
	CHECK_EQ(client_open_pty(g, path, sizeof(path)), 0);
	guest_print(4, "login: ");
	settle();
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 7);
	CHECK_EQ(write(fd, "root\r", 5), 5);
	settle();
	guest_read(4, buf, sizeof(buf));
	CHECK_STR(buf, "root\r");
	close(fd);
	guest_print(4, "nobody reads this\n");
	settle();
	guest_end(g);
	settle();
	end_all();
}

/* --- hostile guests ------------------------------------------------------------------------------------------------------------ */

TEST(corrupt_indices)
{
	setup(1 << 20, 3);
	new_guest(1, "evil");
	new_guest(2, "good");
	for (int i = 0; i < 200; i++) {
		world[1].ring.out_prod = (uint32_t)test_random();
		if (i & 1)
			world[1].ring.out_cons = (uint32_t)test_random();
		world[1].ring.in_cons = (uint32_t)test_random();
		raise_event(1);
		guest_print(2, "x");
		settle();
	}
	size_t len;
	char *text = slurp(in_dir("log/good.log"), &len);

	CHECK_EQ(len, 200);
	free(text);
	/* It behaves again: its output is logged again. */
	world[1].ring.out_prod = world[1].ring.out_cons;
	guest_print(1, "sorry\n");
	settle();
	text = slurp(in_dir("log/evil.log"), &len);
	CHECK(len >= 6 && strcmp(text + len - 6, "sorry\n") == 0);
	free(text);
	end_all();
}

TEST(bad_ring_and_port)
{
	struct guest *g;

	setup(1 << 20, 3);
	world[1].exists = true;
	g = guest_add(1);
	guest_attach(g, "bad", 0, 1);
	CHECK(g->ring == NULL);
	guest_attach(g, "bad", 5, 77);
	CHECK(g->ring == NULL && !world[1].mapped);
	guest_attach(g, "bad", 5, 1);
	CHECK(g->ring != NULL);
	end_all();
}

/* One guest writes without end: it gets its rate, the other is served at once. */
TEST(flood)
{
	char junk[RING_OUT];
	uint64_t rate = 64 << 10;
	int64_t start;

	make_world();
	start_daemon(1 << 20, 3, (int64_t)rate);
	new_guest(1, "flood");
	new_guest(2, "good");
	memset(junk, 'j', sizeof(junk));
	start = loop_now();
	while (loop_now() - start < 1500) {
		guest_write(1, junk, sizeof(junk));
		raise_event(1);
		guest_timers();
		loop_turn(1);
		if (world[2].ring.out_prod == world[2].ring.out_cons && loop_now() - start > 1400)
			break;
	}
	guest_print(2, "ping\n");
	for (int i = 0; i < 3; i++) {
		guest_write(1, junk, sizeof(junk));
		guest_timers();
		loop_turn(1);
	}
	check_log("good", "ping\n");
	/* One second's worth at once, then the rate. */
	CHECK(state_get(1)->total >= rate);
	CHECK(state_get(1)->total <= rate + rate * (uint64_t)(loop_now() - start) / 1000 + 2 * RING_OUT);
	end_all();
}

/* Events that bring nothing are bounded as well. */
TEST(event_storm)
{
	int64_t start;

	make_world();
	start_daemon(1 << 20, 3, 64 << 10);
	new_guest(1, "storm");
	start = loop_now();
	unsigned int turns = 0;

	while (loop_now() - start < 500) {
		raise_event(1);
		guest_timers();
		loop_turn(1);
		turns += !world[1].masked;
	}
	CHECK(turns < 128 + 64 + 64);
	end_all();
}
