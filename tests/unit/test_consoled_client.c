/* SPDX-License-Identifier: MIT */
/* Unit tests: lodge console — the client library on a terminal and in scripts, against the real daemon in a process of its own. */
/* sources: tools/consoled/ring.c tools/consoled/state.c tools/consoled/log.c tools/consoled/loop.c tools/consoled/guest.c tools/consoled/request.c tools/consoled/client.c tools/lib/console.c tools/lib/console_terminal.c tools/lib/logfile.c tools/lib/err.c */
/* cflags: -Wno-unused-parameter */
/* libs: -ljansson -lutil */
#include "test.h"
#include "console_env.h"
#include <lib/console.h>
#include <pty.h>

void discover_look(uint16_t domid) { }

static pid_t daemon_pid, user_pid;
static char seen[1 << 18];	/* what the user has seen */
static size_t seen_len;

/* --- the daemon: guests come and go as the world says --------------------------------------------------------------------------- */

static void daemon_main(void)
{
	for (int id = 1; id < GUESTS; id++)
		world[id].bound = false;
	start_daemon(1 << 20, 3, 16 << 20);
	for (;;) {
		for (int id = 1; id < GUESTS; id++) {
			struct guest *g = guest_find((uint16_t)id);

			if (world[id].exists && !world[id].dying && !g)
				guest_attach(guest_add((uint16_t)id), "web1", 1, (uint32_t)id);
			if (g && world[id].dying)
				guest_end(g);
		}
		guest_timers();
		loop_turn(5);
	}
}

static void start(void)
{
	fflush(stdout);
	daemon_pid = fork();
	if (daemon_pid == 0)
		daemon_main();
}

static void stop(void)
{
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
}

static void setup(void)
{
	make_world();
	world[1].exists = true;
	setenv("CONSOLED_SOCKET", in_dir("sock"), 1);
	start();
	for (int i = 0; i < 1000 && !world[1].bound; i++)
		usleep(5000);
	CHECK(world[1].bound);
}

static void finish(void)
{
	stop();
	clean_up();
}

/* --- the user ------------------------------------------------------------------------------------------------------------------ */

static struct console session(void)
{
	return (struct console){ .name = "web1", .backlog = CONSOLE_BACKLOG, .in = 0, .out = 1 };
}

static void __attribute__((noreturn)) user_main(const struct console *c)
{
	struct err e = { 0 };
	int rc = console_attach(c, &e);

	if (rc)
		fprintf(stderr, "error %s: %s\n", e.code, e.text);
	fflush(stderr);
	_exit(rc ? 1 : 0);
}

/* On a terminal of its own; the master. */
static int on_terminal(const struct console *c)
{
	int master;

	fflush(stdout);
	seen_len = 0;
	user_pid = forkpty(&master, NULL, NULL, NULL);
	if (user_pid == 0)
		user_main(c);
	fcntl(master, F_SETFL, O_NONBLOCK);
	return master;
}

/* With pipes: *in is written to, the result is read from; standard error goes there too. */
static int with_pipes(const struct console *c, int *in)
{
	int input[2], output[2];

	fflush(stdout);
	seen_len = 0;
	CHECK(pipe(input) == 0 && pipe(output) == 0);
	user_pid = fork();
	if (user_pid == 0) {
		dup2(input[0], 0);
		dup2(output[1], 1);
		dup2(output[1], 2);
		close(input[1]);
		close(output[0]);
		user_main(c);
	}
	close(input[0]);
	close(output[1]);
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	*in = input[1];
	return output[0];
}

static void look(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	poll(&p, 1, 10);
	n = read(fd, seen + seen_len, sizeof(seen) - 1 - seen_len);
	if (n > 0)
		seen_len += (size_t)n;
	seen[seen_len] = '\0';
}

/* Until the user has seen the text. */
static void expect(int fd, const char *text)
{
	int64_t end = loop_now() + 20000;

	while (loop_now() < end) {
		look(fd);
		if (strstr(seen, text))
			return;
	}
	TEST_FAIL("the user did not see \"%s\", only \"%.400s\"", text, seen);
}

static void expect_typed(const char *text)
{
	char typed[256];
	size_t n = 0;

	for (int i = 0; i < 2000 && n < strlen(text); i++) {
		n += guest_read(1, typed + n, sizeof(typed) - n);
		usleep(5000);
	}
	CHECK_STR(typed, text);
}

/* The program's wait status. */
static int ended(int fd)
{
	int64_t end = loop_now() + 20000;
	int status = -1;

	while (waitpid(user_pid, &status, WNOHANG) == 0 && loop_now() < end) {
		look(fd);
		usleep(1000);
	}
	look(fd);
	return status;
}

static bool raw(int fd)
{
	struct termios t;

	CHECK_EQ(tcgetattr(fd, &t), 0);
	return !(t.c_lflag & (ICANON | ECHO | ISIG));
}

/* --- on a terminal -------------------------------------------------------------------------------------------------------------- */

TEST(attach_type_detach)
{
	struct console c = session();
	int tty;

	setup();
	guest_print(1, "booted\r\n");
	usleep(50000);
	tty = on_terminal(&c);
	expect(tty, "attached to guest web1; Ctrl-] detaches");
	expect(tty, "booted");
	CHECK(raw(tty));
	CHECK_EQ(write(tty, "root\r\003", 6), 6);	/* Ctrl-C is the guest's */
	expect_typed("root\r\003");
	guest_print(1, "Password: ");
	expect(tty, "Password: ");
	CHECK_EQ(write(tty, "x\035y", 3), 3);
	CHECK_EQ(ended(tty), 0);
	expect_typed("x");
	CHECK(!raw(tty));
	close(tty);
	finish();
}

TEST(read_only)
{
	struct console c = session();
	char typed[16];
	int tty;

	setup();
	c.read_only = true;
	tty = on_terminal(&c);
	expect(tty, "read-only");
	CHECK_EQ(write(tty, "abc", 3), 3);
	guest_print(1, "output");
	expect(tty, "output");
	CHECK_EQ(write(tty, "\035", 1), 1);
	CHECK_EQ(ended(tty), 0);
	CHECK_EQ(guest_read(1, typed, sizeof(typed)), 0);
	close(tty);
	finish();
}

TEST(terminal_is_restored_by_deadly_signals)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
	struct console c = session();

	setup();
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int tty, status;

		signal(signals[i], SIG_DFL);	/* a shell starts what it runs in the background with some of them ignored */
		tty = on_terminal(&c);
		expect(tty, "attached");
		CHECK(raw(tty));
		kill(user_pid, signals[i]);
		status = ended(tty);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
		CHECK(!raw(tty));
		close(tty);
	}
	finish();
}

TEST(stop_and_continue)
{
	struct console c = session();
	int tty, status;

	setup();
	tty = on_terminal(&c);
	expect(tty, "attached");
	kill(user_pid, SIGTSTP);
	CHECK_EQ(waitpid(user_pid, &status, WUNTRACED), user_pid);
	CHECK(WIFSTOPPED(status));
	CHECK(!raw(tty));
	kill(user_pid, SIGCONT);
	guest_print(1, "still here");
	expect(tty, "still here");
	CHECK(raw(tty));
	CHECK_EQ(write(tty, "\035", 1), 1);
	CHECK_EQ(ended(tty), 0);
	close(tty);
	finish();
}

TEST(guest_ends)
{
	struct console c = session();
	int tty;

	setup();
	tty = on_terminal(&c);
	expect(tty, "attached");
	guest_print(1, "Power down.\r\n");
	world[1].dying = true;
	expect(tty, "Power down.");
	expect(tty, "guest web1 ended");
	CHECK_EQ(ended(tty), 0);
	CHECK(!raw(tty));
	close(tty);
	finish();
}

TEST(wait_over_a_reboot)
{
	struct console c = session();
	int tty;

	setup();
	c.wait = true;
	tty = on_terminal(&c);
	expect(tty, "attached");
	world[1].dying = true;
	expect(tty, "waiting for it to come back");
	world[2].exists = true;
	guest_print(2, "first line of the next life\r\n");
	expect(tty, "first line of the next life");
	CHECK_EQ(write(tty, "\035", 1), 1);
	CHECK_EQ(ended(tty), 0);
	close(tty);
	finish();
}

TEST(wait_for_a_guest_that_is_not_there_yet)
{
	struct console c = session();
	int tty;

	setup();
	world[1].dying = true;
	usleep(50000);
	c.wait = true;
	tty = on_terminal(&c);
	expect(tty, "waiting for guest web1");
	world[3].exists = true;
	guest_print(3, "here");
	expect(tty, "attached to guest web1");
	expect(tty, "here");
	CHECK_EQ(write(tty, "\035", 1), 1);
	CHECK_EQ(ended(tty), 0);
	/* Ctrl-] also ends the waiting itself. */
	world[3].dying = true;
	usleep(50000);
	tty = on_terminal(&c);
	expect(tty, "waiting for guest web1");
	CHECK_EQ(write(tty, "\035", 1), 1);
	CHECK_EQ(ended(tty), 0);
	close(tty);
	finish();
}

/* --- the daemon goes and comes back ---------------------------------------------------------------------------------------------- */

TEST(daemon_is_killed_while_output_flows)
{
	struct console c = session();
	static char text[100000];
	size_t len = 0, done = 0;
	int in, out;

	while (len < sizeof(text) - 32)
		len += (size_t)sprintf(text + len, "line %zu\n", len);
	setup();
	out = with_pipes(&c, &in);
	for (int i = 0; done < len; i++) {
		int64_t end = loop_now() + 5000;

		done += guest_write(1, text + done, len - done < 300 ? len - done : 300);
		look(out);
		if (i % 40 == 20) {
			stop();
			start();
		}
		while (world[1].ring.out_prod - world[1].ring.out_cons > 1500 && loop_now() < end)
			look(out);
	}
	world[1].dying = true;
	expect(out, "guest web1 ended");
	CHECK_EQ(ended(out), 0);
	CHECK(seen_len > len && memcmp(seen, text, len) == 0);
	close(in);
	close(out);
	finish();
}

TEST(daemon_does_not_come_back)
{
	struct console c = session();
	int tty;

	setup();
	tty = on_terminal(&c);
	expect(tty, "attached");
	stop();
	expect(tty, "error no-consoled: the console daemon does not run");
	CHECK_EQ(WEXITSTATUS(ended(tty)), 1);
	CHECK(!raw(tty));
	close(tty);
	clean_up();
}

TEST(no_such_guest)
{
	struct console c = session();
	int in, out;

	setup();
	c.name = "web9";
	out = with_pipes(&c, &in);
	expect(out, "error no-guest: there is no guest called web9 with a console");
	CHECK_EQ(WEXITSTATUS(ended(out)), 1);
	c.name = NULL;
	c.domid = 9;
	close(in);
	close(out);
	out = with_pipes(&c, &in);
	expect(out, "error no-guest: there is no guest with domain id 9");
	CHECK_EQ(WEXITSTATUS(ended(out)), 1);
	close(in);
	close(out);
	finish();
}

/* --- in scripts ------------------------------------------------------------------------------------------------------------------ */

TEST(script_input_ends_output_goes_on)
{
	struct console c = session();
	int in, out;

	setup();
	out = with_pipes(&c, &in);
	CHECK_EQ(write(in, "uptime\n\035", 8), 8);	/* not a terminal: every byte is the guest's */
	close(in);
	expect_typed("uptime\n\035");
	guest_print(1, "up 1 day\n");
	expect(out, "up 1 day\n");
	world[1].dying = true;
	CHECK_EQ(ended(out), 0);
	CHECK_STR(seen, "up 1 day\n\nguest web1 ended\n");
	close(out);
	finish();
}

TEST(exit_on_eof)
{
	struct console c = session();
	int in, out;

	setup();
	c.exit_on_eof = true;
	out = with_pipes(&c, &in);
	CHECK_EQ(write(in, "poweroff\n", 9), 9);
	close(in);
	CHECK_EQ(ended(out), 0);
	expect_typed("poweroff\n");
	close(out);
	finish();
}

TEST(reader_of_the_output_goes_away)
{
	struct console c = session();
	int in, out;

	setup();
	guest_print(1, "hello\n");
	out = with_pipes(&c, &in);
	expect(out, "hello");
	close(out);
	guest_print(1, "more\n");
	CHECK_EQ(ended(in), 0);
	close(in);
	finish();
}
