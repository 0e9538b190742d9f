/* SPDX-License-Identifier: MIT */
/* Unit tests: programs that work for a request: what they say, how they end, that nothing is left of them. Needs root: others skip it. */
/* sources: tools/lodged/worker.c tools/lib/image_jail.c tools/lib/logfile.c tools/lib/err.c */
/* cflags: -Wno-unused-parameter -D_GNU_SOURCE -D__XEN_TOOLS__ */
/* libs: -ljansson */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <lodged/worker.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char lines[8][600];
static int nlines;

static void keep(const char *line, void *ctx)
{
	if (nlines < 8)
		snprintf(lines[nlines++], sizeof(lines[0]), "%s", line);
}

static int run(struct session *s, const char *script, struct err *e)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	struct worker w = { .argv = argv, .line = keep, .also = 7 };

	nlines = 0;
	*e = (struct err){ 0 };
	return worker_run(s, &w, "it-failed", e);
}

static bool root(void)
{
	return geteuid() == 0;
}

TEST(words_and_ends)
{
	struct session s = { .client = -1 };
	struct err e;

	if (!root())
		return;
	CHECK_EQ(run(&s, "echo one; printf 'two\\rthree\\n\\nfour'", &e), 0);
	CHECK_EQ(nlines, 4);
	CHECK_STR(lines[1], "two");
	CHECK_STR(lines[3], "four");
	CHECK_EQ(run(&s, "exit 7", &e), 0);
	CHECK(run(&s, "echo first >&2; echo 'sh: the reason' >&2; exit 3", &e) < 0);
	CHECK_STR(e.code, "it-failed");
	CHECK_STR(e.text, "sh: the reason");
	CHECK(run(&s, "exit 3", &e) < 0);
	CHECK_STR(e.text, "sh ended with status 3");
	CHECK(run(&s, "kill -9 $$", &e) < 0);
	CHECK_STR(e.text, "sh ended with status 137");
	/* A line that is too long, and many of them. */
	CHECK_EQ(run(&s, "head -c 100000 /dev/zero | tr '\\0' x; echo; seq 100000", &e), 0);
	CHECK_EQ(strlen(lines[0]), 511);
	CHECK_STR(lines[1], "1");
}

TEST(none_such)
{
	struct worker w = { .argv = (const char *const[]){ "no-such-program", NULL } };
	struct session s = { .client = -1 };
	struct err e;

	CHECK(worker_find("no-such-program", "some-package", &e) < 0 && strstr(e.text, "some-package"));
	CHECK(!strcmp(e.code, "no-program") && !worker_find("sh", "dash", &e));
	if (root())
		CHECK(worker_run(&s, &w, "it-failed", &e) < 0 && strstr(e.text, "no such program"));
}

/* It has processes, files and mounts of its own, and none of ours. */
TEST(its_own_surroundings)
{
	struct session s = { .client = -1 };
	int ours = open("/dev/null", O_RDONLY);	/* would stay open beyond fork() */
	struct err e;

	if (!root())
		return;
	CHECK_EQ(run(&s, "echo $$; ls /proc | grep -c '^[0-9]'; ls /proc/1/fd | wc -l; cd /proc/self/fd && echo *", &e), 0);
	CHECK_STR(lines[0], "2");
	CHECK(atoi(lines[1]) <= 4 && atoi(lines[2]) == 0);
	CHECK_STR(lines[3], "0 1 2 3");	/* the last is the shell's own, for looking */
	CHECK_EQ(run(&s, "mount -t tmpfs none /mnt && touch /mnt/lodge-test", &e), 0);
	CHECK(access("/mnt/lodge-test", F_OK));
	close(ours);
}

/* Everything that runs holds this pipe: it ends when the last is gone. */
static void gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	CHECK_EQ(poll(&p, 1, 60000), 1);
	CHECK_EQ(read(fd, &c, 1), 0);
}

/* A fifo that the script opens, and what is read from it. */
static int begin_fifo(char path[64])
{
	int fd;

	strcpy(path, "/tmp/test-worker-XXXXXX");
	close(mkstemp(path));
	unlink(path);
	CHECK_EQ(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	CHECK(fd >= 0);
	return fd;
}

static const char *const many = "exec 3>%s; (setsid sleep 1000 </dev/null >/dev/null 2>&1 &); sleep 1000 & echo go >&3; wait";

static void await_go(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[8];

	CHECK_EQ(poll(&p, 1, 60000), 1);
	CHECK_EQ(read(fd, text, sizeof(text)), 3);
}

TEST(nothing_outlives_the_client)
{
	char path[64], script[256];
	int pair[2], fd = begin_fifo(path);
	struct err e;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	snprintf(script, sizeof(script), many, path);
	if (!root())
		return;
	pid = fork();
	if (pid == 0) {
		struct session s = { .client = pair[0] };

		close(pair[1]);
		close(fd);
		_exit(run(&s, script, &e) == -ECANCELED && !strcmp(e.code, "cancelled") ? 0 : 1);
	}
	close(pair[0]);
	await_go(fd);
	CHECK_EQ(write(pair[1], "more", 4), 4);		/* a request that waits is no reason */
	close(pair[1]);
	gone(fd);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	unlink(path);
}

TEST(nothing_outlives_the_manager)
{
	char path[64], script[256];
	int fd = begin_fifo(path);
	struct err e;
	pid_t pid;

	snprintf(script, sizeof(script), many, path);
	if (!root())
		return;
	pid = fork();
	if (pid == 0) {
		struct session s = { .client = -1 };

		close(fd);
		_exit(run(&s, script, &e) != 0);
	}
	await_go(fd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	gone(fd);
	unlink(path);
}
