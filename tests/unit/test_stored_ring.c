/* SPDX-License-Identifier: MIT */
/* Unit tests: the store daemon's rings and its state file; clients that misbehave, and deaths of the daemon. */
/* sources: tools/stored/mem.c tools/stored/log.c tools/stored/names.c tools/stored/path.c tools/stored/quota.c tools/stored/domain.c tools/stored/perms.c tools/stored/node.c tools/stored/txn.c tools/stored/watch.c tools/stored/conn.c tools/stored/request.c tools/stored/request_tree.c tools/stored/request_client.c tools/stored/control.c tools/stored/ring.c tools/stored/journal.c tools/stored/persist.c tools/stored/load.c tools/stored/loop.c tools/lib/logfile.c */
/* cflags: -Wno-unused-parameter */
/* libs: -lz */
#include "test.h"
#include "stored_env.h"
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char dir[64];

static void state_init(void)
{
	env_init();
	strcpy(dir, "/tmp/test_stored.XXXXXX");
	if (!mkdtemp(dir))
		abort();
}

static void state_end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	CHECK_EQ(system(command), 0);
}

/* --- clients that misbehave --- */

static void start(void)
{
	env_init();
	CHECK_EQ(daemon_start(NULL), 0);
	guest_start(1);
	guest_start(2);
}

/* Domain 1 sends an event, whatever it has done to its page. */
static void poke(void)
{
	client_notify(1);
	daemon_round();
}

/* The other guest has not noticed. */
static void others_fine(void)
{
	CHECK_STR(put(2, 0, "data/alive", "yes"), "OK");
	CHECK_STR(get(0, 0, "/local/domain/2/data/alive"), "yes");
}

/* The peer asks for a new start and has one. */
static void reconnect(void)
{
	struct xenstore_domain_interface *page = &fake[1].page;

	page->connection = XENSTORE_RECONNECT;
	poke();
	CHECK_EQ(page->connection, XENSTORE_CONNECTED);
	CHECK_EQ(page->req_prod | page->req_cons | page->rsp_prod | page->rsp_cons, 0);
	CHECK_STR(put(1, 0, "data/back", "yes"), "OK");
}

TEST(corrupt_indices)
{
	struct xenstore_domain_interface *page = &fake[1].page;

	start();
	page = &fake[1].page;
	call2(1, XS_WATCH, 0, "data", "w");
	page->req_prod += 1025;
	poke();
	CHECK_EQ(page->error, XENSTORE_ERROR_RINGIDX);
	put(0, 0, "/local/domain/1/data/x", "no event");
	others_fine();
	reconnect();
	CHECK_STR(client_events(1), "");

	client_put(1, "partial", 7);
	poke();
	page->req_prod -= 3;
	poke();
	CHECK_EQ(page->error, XENSTORE_ERROR_RINGIDX);
	others_fine();
	reconnect();

	page->rsp_cons += 1;
	client_send(1, XS_READ, 0, 1, "data", 5);
	poke();
	CHECK_EQ(page->error, XENSTORE_ERROR_RINGIDX);
	others_fine();
	reconnect();

	/* What it does to the daemon's own indices is its own loss. */
	page->req_cons = 12345;
	page->rsp_prod = page->rsp_cons;
	poke();
	CHECK_STR(put(1, 0, "data/x", "y"), "OK");
	others_fine();
}

TEST(lengths_and_pieces)
{
	struct xsd_sockmsg head = { .type = XS_WRITE, .len = 4097 };
	char body[4096] = "data/v";

	start();
	client_put(1, &head, sizeof(head));
	poke();
	CHECK_EQ(fake[1].page.error, XENSTORE_ERROR_PROTO);
	others_fine();
	reconnect();
	head.len = UINT32_MAX;
	client_put(1, &head, sizeof(head));
	poke();
	CHECK_EQ(fake[1].page.error, XENSTORE_ERROR_PROTO);
	reconnect();

	/* The largest, four times the ring, and then byte by byte. */
	CHECK_STR(client_call(1, XS_WRITE, 0, body, 4096), "ENOSPC");
	CHECK_STR(client_call(1, XS_WRITE, 0, body, 1024), "OK");
	head.len = 8;
	for (size_t i = 0; i < sizeof(head); i++) {
		client_put(1, (char *)&head + i, 1);
		poke();
	}
	for (int i = 0; i < 8; i++) {
		client_put(1, &"data/v\0x"[i], 1);
		poke();
	}
	client_receive(1, &answer);
	CHECK_STR(answer.body, "OK");

	/* A header, and then silence: it may die like that. */
	client_put(1, &head, sizeof(head));
	poke();
	others_fine();
	fake[1].exists = false;
	domains_check();
	CHECK(!domain_find(1));
	others_fine();
}

/* A guest that writes and never reads gets no further than the quota; neither does one whose events nobody takes. */
TEST(silent_and_loud_guests)
{
	struct xenstore_domain_interface *page = &fake[1].page;
	u32 sent = 0;

	start();
	page = &fake[1].page;
	for (int i = 0; i < 100000; i++) {
		daemon_round();
		if (page->req_prod - page->req_cons > XENSTORE_RING_SIZE - 32)
			break;
		client_send(1, XS_READ, 0, ++sent, "data", 5);
	}
	CHECK(sent < 2000);
	CHECK(bytes_len(&domain_find(1)->conn->out) < 32768);
	others_fine();
	for (u32 i = 1; i <= sent; i++) {
		client_receive(1, &answer);
		CHECK_EQ(answer.head.req_id, i);
	}

	call2(1, XS_WATCH, 0, "data", "w");
	client_events(1);
	for (int i = 0; i < 60000; i++)
		put(0, 0, "/local/domain/1/data/x", "1");
	CHECK(bytes_len(&domain_find(1)->conn->out) < 3 << 20);
	others_fine();
	client_wait = daemon_round;
	CHECK(strstr(client_events(1), "data/x w"));
	while (bytes_len(&domain_find(1)->conn->out))
		client_events(1);

	/* Domain 0 watches, and does not read. */
	call2(0, XS_WATCH, 0, "/local/domain/1", "slow");
	client_events(0);
	sent = page->req_cons;
	for (int i = 0; i < 1000; i++) {
		daemon_round();
		if (page->req_prod - page->req_cons > XENSTORE_RING_SIZE - 32)
			break;
		client_send(1, XS_WRITE, 0, 1, "data/y", 7);
		while (page->rsp_cons != page->rsp_prod)
			page->rsp_cons = page->rsp_prod;
	}
	CHECK(domain_find(1)->outstanding <= quota[QUOTA_OUTSTANDING]);
	CHECK(bytes_len(&domain_find(0)->conn->out) < 8192);
	CHECK_STR(put(2, 0, "data/alive", "yes"), "OK");
	client_events(0);
	client_events(0);
	for (int i = 0; i < 100; i++) {
		page->rsp_cons = page->rsp_prod;
		client_events(0);
	}
	CHECK_EQ(domain_find(1)->outstanding, 0);
	CHECK_EQ(page->req_cons, page->req_prod);
}

/* Everybody floods; each gets its turn. */
TEST(fairness)
{
	start();
	for (int i = 0; i < 40; i++)
		client_send(1, XS_READ, 0, 1, "data", 5);
	client_send(2, XS_READ, 0, 7, "data", 5);
	ring_event(1);
	ring_event(2);
	for (int i = 0; i < 2; i++) {
		struct conn *c = list_first_entry(&conns_ready, struct conn, ready);

		list_del(&c->ready);
		if (conn_turn(c))
			conn_wake(c);
	}
	conns_flush();
	client_receive(2, &answer);
	CHECK_EQ(answer.head.req_id, 7);
	CHECK(fake[1].page.req_prod - fake[1].page.req_cons >= 39 * 21);
}

/* --- deaths of the daemon --- */

/* Run part() as the daemon and its clients in another process, which then is gone at once. */
static void in_life(void (*part)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (daemon_start(dir))
			_exit(99);
		part();
		fflush(stdout);
		_exit(test_failures != 0);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
}

static void life_1(void)
{
	guest_start(1);
	guest_start(2);
	call2(1, XS_WATCH, 0, "data/watched", "tok");
	call2(0, XS_WATCH, 0, "@releaseDomain", "out");
	perms(0, 0, "@introduceDomain", "n0", "r1");
	put(1, 0, "data/x", "kept");
	perms(1, 0, "data/x", "r1", "n2");
	put(0, 0, "/r/a/b", "");
	call1(0, XS_RM, 0, "/r/a");
	call2(0, XS_SET_TARGET, 0, "2", "1");
	client_events(0);
	client_events(1);

	/* An open transaction, and one that ended. */
	commit(1, begin(1));
	CHECK_EQ(begin(1), 2);
	put(1, 2, "data/open", "seen");
	/* Half a request, larger than the ring; a reply that nobody has read; a request that nobody has looked at. */
	char body[1500] = "/big";
	struct xsd_sockmsg head = { .type = XS_WRITE, .req_id = 7, .len = sizeof(body) };

	client_put(0, &head, sizeof(head));
	client_put(0, body, 1300);
	for (int i = 0; i < 200; i++)
		client_send(1, XS_READ, 0, 100 + (u32)i, "data/x", 7), daemon_round();
	client_send(2, XS_WRITE, 0, 5, "data/late\0" "v", 11);
}

static void life_2(void)
{
	char body[200] = "";

	for (u32 i = 0; i < 200; i++) {
		client_receive(1, &answer);
		CHECK_EQ(answer.head.req_id, 100 + i);
		CHECK_STR(answer.body, "kept");
	}
	client_put(0, body, 200);
	client_receive(0, &answer);
	CHECK_EQ(answer.head.req_id, 7);
	CHECK_STR(answer.body, "OK");
	CHECK_STR(get(0, 0, "/local/domain/2/data/late"), "v");
	client_receive(2, &answer);
	CHECK_EQ(answer.head.req_id, 5);
	get(0, 0, "/big");
	CHECK_EQ(answer.head.len, 1495);
	CHECK_STR(get(0, 0, "/r/a"), "ENOENT");
	CHECK_STR(list(0, 0, "/r"), "");
	call1(0, XS_GET_PERMS, 0, "/local/domain/1/data/x");
	CHECK(answer.head.len == 6 && memcmp(answer.body, "r1\0n2", 6) == 0);
	call1(0, XS_GET_PERMS, 0, "@introduceDomain");
	CHECK(answer.head.len == 6 && memcmp(answer.body, "n0\0r1", 6) == 0);
	put(2, 0, "/local/domain/1/data/watched", "target");
	CHECK_STR(client_events(1), "data/watched tok ");

	CHECK_STR(get(1, 2, "data/open"), "seen");
	CHECK_STR(get(1, 0, "data/open"), "ENOENT");
	CHECK_STR(put(1, 2, "data/more", "x"), "OK");
	CHECK_STR(commit(1, 2), "EAGAIN");
	CHECK_EQ(begin(1), 3);
	fake[1].shutdown = true;
	domains_check();
	CHECK_STR(client_events(0), "@releaseDomain out ");
	fake[2].exists = false;
}

static void life_3(void)
{
	domains_check();
	CHECK_STR(client_events(0), "@releaseDomain out ");
	CHECK_STR(get(0, 0, "/local/domain/2/data"), "ENOENT");
	CHECK_STR(call1(0, XS_IS_DOMAIN_INTRODUCED, 0, "1"), "T");
	CHECK_STR(call1(0, XS_IS_DOMAIN_INTRODUCED, 0, "2"), "F");
	fake_create(1);
}

static void life_4(void)
{
	domains_check();
	CHECK_STR(get(0, 0, "/local/domain/1/data"), "ENOENT");
	CHECK_STR(call1(0, XS_IS_DOMAIN_INTRODUCED, 0, "1"), "F");
	CHECK(strncmp(call1(0, XS_CONTROL, 0, "check"), "OK", 2) == 0);
}

TEST(everything_is_kept)
{
	state_init();
	in_life(life_1);
	in_life(life_2);
	in_life(life_3);
	in_life(life_4);
	state_end();
}

/* A write request, of which each life's client sends `part` bytes more; Linux sends what fits before the ring's end, were it one byte. */
static size_t part, sent;

static void send_part(void)
{
	static const struct {
		struct xsd_sockmsg head;
		char body[8];
	} request = { { .type = XS_WRITE, .req_id = 7, .len = 8 }, "data/p\0v" };
	size_t n = min(part, sizeof(request) - sent);

	if (!sent)
		guest_start(1);
	client_put(1, (const char *)&request + sent, n);
	daemon_round();
	if (sent + n < sizeof(request))
		return;
	client_receive(1, &answer);
	CHECK_EQ(answer.head.req_id, 7);
	CHECK_STR(answer.body, "OK");
	CHECK_STR(get(1, 0, "data/p"), "v");
}

TEST(a_request_in_parts)
{
	for (part = 1; part < sizeof(struct xsd_sockmsg) + 8; part++) {
		state_init();
		for (sent = 0; sent < sizeof(struct xsd_sockmsg) + 8; sent += part)
			in_life(send_part);
		state_end();
	}
}

static void grow(void)
{
	char path[64], value[1024];

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 6000; i++) {
		snprintf(path, sizeof(path), "/grow/%d", i % 50);
		put(0, 0, path, value);
	}
}

/* The file is written anew when it is large: 6 MB of changes, 50 KB of contents. */
TEST(the_file_stays_small)
{
	char path[128];
	struct stat st;

	state_init();
	in_life(grow);
	snprintf(path, sizeof(path), "%s/state", dir);
	CHECK_EQ(stat(path, &st), 0);
	CHECK(st.st_size < 2 << 20);
	in_life(grow);
	state_end();
}

/* More than the file may hold: the daemon goes on. */
static void fill(void)
{
	struct rlimit limit = { 300 << 10, RLIM_INFINITY };
	static char value[4000];
	char path[64];

	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	memset(value, 'v', sizeof(value) - 1);
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "/fill/%d", i);
		CHECK_STR(put(0, 0, path, value), "OK");
	}
	CHECK_STR(get(0, 0, "/fill/199"), value);
}

static void after_fill(void)
{
	CHECK_EQ(strlen(get(0, 0, "/fill/0")), 3999);
	CHECK_STR(get(0, 0, "/fill/199"), "ENOENT");
	CHECK_STR(put(0, 0, "/fill/199", "again"), "OK");
}

static void after_that(void)
{
	CHECK_STR(get(0, 0, "/fill/199"), "again");
}

TEST(a_full_file_system)
{
	state_init();
	in_life(fill);
	in_life(after_fill);
	in_life(after_that);
	state_end();
}

static void two_daemons(void)
{
	CHECK_EQ(persist_start(dir), -EBUSY);
}

TEST(one_daemon_at_a_time)
{
	state_init();
	in_life(two_daemons);
	state_end();
}

/* --- a torn or wrong file --- */

static void count_up(void)
{
	char value[16];

	for (int i = 0; i < 20; i++) {
		snprintf(value, sizeof(value), "%d", i);
		put(0, 0, "/n", value);
	}
}

static int seen_value;

static void read_back(void)
{
	const char *v = get(0, 0, "/n");

	seen_value = strcmp(v, "ENOENT") == 0 ? -1 : atoi(v);
	CHECK(seen_value >= -1 && seen_value < 20);
	CHECK(strncmp(call1(0, XS_CONTROL, 0, "check"), "OK", 2) == 0);
}

/* Cut off or damaged anywhere, what is before it counts, and the daemon starts. */
TEST(torn_files)
{
	static char whole[1 << 20];
	char path[128];
	size_t size, used;

	state_init();
	in_life(count_up);
	snprintf(path, sizeof(path), "%s/state", dir);
	int fd = open(path, O_RDWR);

	size = (size_t)read(fd, whole, sizeof(whole));
	close(fd);
	for (used = size; used && !whole[used - 1]; used--)
		;
	CHECK(used > 1000);
	for (size_t cut = 16; cut < used; cut += 1 + test_below(60)) {
		fd = open(path, O_RDWR | O_TRUNC);
		if (test_below(2)) {
			CHECK_EQ(write(fd, whole, cut), cut);
		} else {
			char byte = (char)(whole[cut] ^ (1 << test_below(8)));

			CHECK_EQ(write(fd, whole, size), size);
			CHECK_EQ(pwrite(fd, &byte, 1, (off_t)cut), 1);
		}
		close(fd);
		memset(&fake[0].page, 0, sizeof(fake[0].page));
		in_life(read_back);
	}
	state_end();
}

/* --- killed at any moment --- */

static pid_t daemon_pid;
static int to_daemon, to_client;	/* event files, so that neither side spins while the other one should run */

static void ring_bell(int fd)
{
	u64 one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* Until the bell rings, or for 2 ms: it may have been rung for a daemon that died before it looked. */
static void wait_bell(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	u64 count;

	if (poll(&p, 1, 2) == 1 && read(fd, &count, sizeof(count)) != sizeof(count))
		abort();
}

static void notify_client(void) { ring_bell(to_client); }

static void run_daemon(void)
{
	daemon_pid = fork();
	if (daemon_pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (daemon_start(dir))
		_exit(99);
	fake_notify = notify_client;
	for (;;) {
		daemon_round();
		wait_bell(to_daemon);
	}
}

static unsigned int deaths;

/* Now and then, while the client waits: the daemon dies and is started again. */
static void wait_and_kill(void)
{
	static unsigned int until = 20;

	ring_bell(to_daemon);
	wait_bell(to_client);
	if (--until)
		return;
	if (test_below(2))
		ring_bell(to_daemon);	/* it dies at work */
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	deaths++;
	run_daemon();
	until = 1 + (unsigned int)test_below(deaths % 3 ? 60 : 300);
}

/*
 * Domain 1 counts in a node that it watches; each step must happen exactly once: one answer, one event, and the right value.
 * Values are large so that requests and replies wrap around the ring and do not fit into it.
 */
TEST(killed_at_any_moment)
{
	char value[1700], path[32];
	u32 commits = 0;

	state_init();
	to_daemon = eventfd(0, EFD_CLOEXEC);
	to_client = eventfd(0, EFD_CLOEXEC);
	run_daemon();
	client_wait = wait_and_kill;
	guest_start(1);
	CHECK_STR(call2(1, XS_WATCH, 0, "data/n", "w"), "OK");
	for (int i = 0; i < 1500 && !test_failures; i++) {
		int n = snprintf(value, sizeof(value), "%d ", i);

		memset(value + n, 'a' + i % 26, sizeof(value) - (size_t)n - 1);
		value[sizeof(value) - 1] = '\0';
		if (i % 3)
			value[n + i % 40] = '\0';
		CHECK_STR(put(1, 0, "data/n", value), "OK");
		CHECK_STR(get(1, 0, "data/n"), value);
		snprintf(path, sizeof(path), "data/t%d", i % 7);
		u32 tx = begin(1);

		CHECK_STR(put(1, tx, path, value), "OK");
		CHECK_STR(get(1, tx, path), value);
		const char *end = commit(1, tx);

		commits += strcmp(end, "OK") == 0;
		CHECK(strcmp(end, "OK") == 0 || strcmp(end, "EAGAIN") == 0);
	}
	/* The first event, and one for each write. */
	size_t count = 0;

	while (count < 1501) {
		const char *p = events[1];

		for (; (p = strstr(p, "data/n w ")); p++)
			count++;
		events[1][0] = '\0';
		if (count < 1501) {
			client_receive(1, &answer);
			note_event(1, &answer);
		}
	}
	CHECK_EQ(count, 1501);
	CHECK_EQ(fake[1].page.rsp_prod, fake[1].page.rsp_cons);
	CHECK(deaths > 20);
	CHECK(commits > 500);
	CHECK(strncmp(call1(0, XS_CONTROL, 0, "check"), "OK", 2) == 0);
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	printf("  %u deaths, %u of 1500 transactions\n", deaths, commits);
	state_end();
}
