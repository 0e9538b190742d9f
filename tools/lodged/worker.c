/* SPDX-License-Identifier: MIT */
/*
 * Programs that work for a request.
 *
 * Each gets name spaces of its own for processes and mounts. The first process in it waits for the program, and does nothing else;
 * when it ends, the kernel ends all others in there and undoes their mounts. It ends with the program, and with the thread here that
 * started it: nothing is left of a program when the manager is killed, however many others that one has started.
 */
#include <errno.h>
#include <fcntl.h>
#include <lib/child.h>
#include <lib/image_jail.h>
#include <lib/logfile.h>
#include <lodged/spawn.h>
#include <lodged/worker.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_START	127
#define LINE_LONGEST	512

/* Of the program, as it is to be: 0, 1, 2 are /dev/null, out, err. */
struct start {
	const struct worker *w;
	int null, out, err, go, nothing;
};

enum { RULES_FD = 3 };

/* What a program has said; the rest of a line that is not complete yet. */
struct stream {
	int fd;
	char line[LINE_LONGEST];
	size_t len;
};

static char *const environment[] = { "PATH=" SPAWN_PATH, "LC_ALL=C", "HOME=/root",
	"DEBIAN_FRONTEND=noninteractive", NULL };

/* --- in the children: after a fork in a process with threads, so that nothing may wait for a lock --- */

static void __attribute__((noreturn)) die(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		_exit(CANNOT_START);
	_exit(CANNOT_START);
}

static void __attribute__((noreturn)) become_program(const struct worker *w)
{
	int rc = w->jailed ? image_jail_enter(w->rules < 0 ? -1 : RULES_FD) : 0;

	if (rc)
		die("it cannot be confined to its files\n");
	close(RULES_FD);
	execvpe(w->argv[0], (char *const *)w->argv, environment);
	die(errno == ENOENT ? "there is no such program\n" : "the program cannot be run\n");
}

/* The first process of the name space. */
static void __attribute__((noreturn)) become_first(const struct start *s)
{
	pid_t pid, ended;
	int status;
	char c;

	child_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setsid();
	if (dup2(s->null, 0) < 0 || dup2(s->out, 1) < 0 || dup2(s->err, 2) < 0)
		_exit(CANNOT_START);
	/* Who started this may have died before the line above could help. */
	close(s->nothing);
	if (read(s->go, &c, 1) != 1)
		_exit(CANNOT_START);
	/* Of the manager's other files, which are not closed here by beginning another program, none may be kept open. */
	if (s->w->rules >= 0 && s->w->jailed && dup2(s->w->rules, RULES_FD) < 0)
		_exit(CANNOT_START);
	syscall(SYS_close_range, s->w->rules >= 0 && s->w->jailed ? RULES_FD + 1 : RULES_FD, ~0U, 0);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL) || chdir("/"))
		die("it cannot have name spaces of its own\n");
	pid = fork();
	if (pid == 0)
		become_program(s->w);
	if (pid < 0)
		die("there is no memory for another process\n");
	close(0);
	close(1);
	close(2);
	do
		ended = wait(&status);
	while (ended != pid && (ended > 0 || errno == EINTR));
	_exit(ended != pid ? CANNOT_START : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* --- here --- */

static int start(const struct worker *w, pid_t *pid, int *out, int *err)
{
	int outs[2] = { -1, -1 }, errs[2] = { -1, -1 }, go[2] = { -1, -1 };
	struct start s = { .w = w, .null = open("/dev/null", O_RDWR | O_CLOEXEC) };
	int rc = 0;

	if (s.null < 0 || pipe2(outs, O_CLOEXEC) || pipe2(errs, O_CLOEXEC) || pipe2(go, O_CLOEXEC)) {
		rc = -errno;
	} else {
		s.out = outs[1];
		s.err = errs[1];
		s.go = go[0];
		s.nothing = go[1];
		*pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
		if (*pid == 0)
			become_first(&s);
		if (*pid < 0 || write(go[1], "", 1) != 1)
			rc = -errno;
	}
	for (int *fd = (int[]){ s.null, outs[1], errs[1], go[0], go[1], -1 }; *fd >= 0; fd++)
		close(*fd);
	*out = outs[0];
	*err = errs[0];
	if (rc && outs[0] >= 0)
		close(outs[0]);
	if (rc && errs[0] >= 0)
		close(errs[0]);
	return rc;
}

static void end_line(struct stream *t, void (*fn)(const char *line, void *ctx), void *ctx)
{
	t->line[t->len] = '\0';
	if (t->len && fn)
		fn(t->line, ctx);
	t->len = 0;
}

/* Take what there is. False: it has ended. What is too long for a line is left out. */
static bool take(struct stream *t, struct logfile *log, void (*fn)(const char *line, void *ctx), void *ctx)
{
	char buf[4096];
	ssize_t n = read(t->fd, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return true;
	if (n > 0 && log)
		logfile_write(log, buf, (size_t)n);
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n' || buf[i] == '\r')
			end_line(t, fn, ctx);
		else if (t->len + 1 < sizeof(t->line))
			t->line[t->len++] = buf[i];
	}
	if (n <= 0)
		end_line(t, fn, ctx);
	return n > 0;
}

static void keep_last(const char *line, void *last)
{
	snprintf(last, LINE_LONGEST, "%s", line);
}

/* Until both have ended; false: the client has. */
static bool listen_to(struct session *s, const struct worker *w, struct stream *out, struct stream *err, struct logfile *log, char *last)
{
	/* No event is asked for of the client: that it has hung up is told in any case. What it sends waits. */
	struct pollfd p[3] = { { .fd = out->fd, .events = POLLIN }, { .fd = err->fd, .events = POLLIN }, { .fd = s->client } };

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 3, -1) < 0)
			continue;
		if (p[2].revents)
			return false;
		if (p[0].revents && !take(out, NULL, w->line, w->ctx))
			p[0].fd = -1;
		if (p[1].revents && !take(err, log, keep_last, last))
			p[1].fd = -1;
	}
	return true;
}

int worker_find(const char *program, const char *package, struct err *e)
{
	char path[256];

	for (const char *at = SPAWN_PATH; *at; at += at[0] == ':') {
		size_t n = strcspn(at, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)n, at, program);
		if (!access(path, X_OK))
			return 0;
		at += n;
	}
	return err_set(e, ENOENT, "no-program", "there is no %s, which this needs: install the package %s", program, package);
}

static const char *program_name(const struct worker *w)
{
	const char *slash = strrchr(w->argv[0], '/');

	return slash ? slash + 1 : w->argv[0];
}

static int failed(const struct worker *w, int status, const char *last, const char *code, struct err *e)
{
	const char *name = program_name(w), *why = last;
	size_t n = strlen(name);

	if (!strncmp(why, name, n) && !strncmp(why + n, ": ", 2))
		why += n + 2;
	if (!strncmp(why, "E: ", 3) || !strncmp(why, "W: ", 3))
		why += 3;
	if (*why)
		return err_set(e, EIO, code, "%s: %.300s%s%s", name, why, w->log ? "; more is in " : "", w->log ? w->log : "");
	return err_set(e, EIO, code, "%s ended with status %d", name, status);
}

int worker_run(struct session *s, const struct worker *w, const char *code, struct err *e)
{
	struct stream out = { .fd = -1 }, err = { .fd = -1 };
	char last[LINE_LONGEST] = "";
	struct logfile log;
	bool logged, heard;
	pid_t pid = 0;
	int rc = start(w, &pid, &out.fd, &err.fd), status = 0;

	if (rc)
		return err_set(e, -rc, "internal", "%s cannot be started: %s", program_name(w), strerror(-rc));
	if (w->log)
		logfile_limit(w->log);
	logged = w->log && !logfile_open(&log, w->log);
	heard = listen_to(s, w, &out, &err, logged ? &log : NULL, last);
	if (!heard)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(out.fd);
	close(err.fd);
	if (logged)
		close(log.fd);
	if (!heard)
		return err_set(e, ECANCELED, "cancelled", "nobody waits for the answer any more");
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return status && status != w->also ? failed(w, status, last, code, e) : 0;
}
