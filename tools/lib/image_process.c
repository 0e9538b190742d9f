/* SPDX-License-Identifier: MIT */
/* The processes that serve disk images: QEMU's qemu-nbd, started in a jail, found by their first word. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/child.h>
#include <lib/image_jail.h>
#include <lib/image_process.h>
#include <lib/small_file.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKETS		"/run/lodge/images"
#define LOG		"/var/log/lodge/images.log"
#define NOBODY		65534
#define GREET_SECONDS	60	/* to open an image that was not closed properly may take a while */

/* Where a program gets the socket that was made for it: systemd's convention. */
enum { LISTEN_FD = 3, RULES_FD = 4, FIRST_OTHER_FD = 5 };

const char *image_program(void)
{
	static const char *const places[] = { "/usr/bin/" IMAGE_PROGRAM, "/usr/local/bin/" IMAGE_PROGRAM };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	return NULL;
}

/* The tag of a process of ours, which is its first word. Only root's and nobody's count, so that no user's process is taken for one. */
static bool process_tag(const char *pid, char tag[BLOCK_TAG_MAX + 1])
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	small_file_read(path, tag, BLOCK_TAG_MAX + 1);
	return !strncmp(tag, BLOCK_TAG, strlen(BLOCK_TAG)) && strlen(tag) < BLOCK_TAG_MAX && !stat(path, &st) &&
	       (st.st_uid == 0 || st.st_uid == NOBODY);
}

static bool has_tag(const char *pid, const char *tag)
{
	char found[BLOCK_TAG_MAX + 1];

	return process_tag(pid, found) && !strcmp(found, tag);
}

static pid_t find_process(const char *tag)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	pid_t pid = 0;

	while (dir && !pid && (d = readdir(dir)))
		if (isdigit((unsigned char)d->d_name[0]) && has_tag(d->d_name, tag))
			pid = atoi(d->d_name);
	if (dir)
		closedir(dir);
	return pid;
}

bool image_process_exists(const char *tag)
{
	return find_process(tag);
}

void image_process_end(const char *tag, int patience_ms)
{
	pid_t pid;

	while ((pid = find_process(tag))) {
		int fd = (int)syscall(SYS_pidfd_open, pid, 0);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char text[16];

		snprintf(text, sizeof(text), "%d", pid);
		if (fd < 0 && errno == ESRCH)
			continue;
		if (fd < 0)
			return;
		/* The number may be another's by now, but the descriptor stays with who has it. */
		if (has_tag(text, tag) && poll(&p, 1, patience_ms) == 0) {
			syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
			poll(&p, 1, -1);
		}
		close(fd);
	}
}

struct start {
	const char *program, *tag;
	char **argv, **env;
	char pid_variable[32];
	int listen, log, rules;
};

/* In the child: descriptors at their places, and no others. */
static int arrange(const struct start *s)
{
	int none = open("/dev/null", O_RDWR), from[] = { none, s->log, s->log, s->listen, s->rules };
	int to[5];

	for (int i = 0; i < 5; i++)
		to[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD, 16);
	for (int i = 0; i < 5; i++)
		if (to[i] >= 0 && dup2(to[i], i) < 0)
			return -errno;
	return syscall(SYS_close_range, FIRST_OTHER_FD, ~0U, 0) ? -errno : 0;
}

/* After fork() in a process with threads: nothing here may wait for a lock. */
static void __attribute__((noreturn)) become_server(struct start *s)
{
	static const char failed[] = ": " IMAGE_PROGRAM " cannot be confined\n";
	char *digits = strchr(s->pid_variable, '=') + 1;
	int rc;

	child_signals();
	/* The number, in as many digits as there is room for. */
	for (pid_t pid = getpid(), i = 9; i >= 0; i--, pid /= 10)
		digits[i] = (char)('0' + pid % 10);
	digits[10] = '\0';
	rc = arrange(s);
	if (!rc && !chdir("/"))
		rc = image_jail_enter(s->rules < 0 ? -1 : RULES_FD);
	if (!rc) {
		close(RULES_FD);
		execve(s->program, s->argv, s->env);
	}
	if (write(2, s->tag, strlen(s->tag)) > 0)
		rc = (int)write(2, failed, sizeof(failed) - 1);
	_exit(127);
}

/* A grandchild, so that it is nobody's here. */
static int start_process(struct start *s)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setsid();
		pid = fork();
		if (pid == 0)
			become_server(s);
		_exit(pid < 0 ? 1 : 0);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status ? -EAGAIN : 0;
}

/* --- its socket --- */

/*
 * One that listens, and the other end, connected before anybody accepts. The name is there for that moment only, in a folder that is
 * root's.
 */
static int make_sockets(const char *tag, int *server, int *client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = GREET_SECONDS };
	int rc = 0;

	mkdir(SOCKETS, 0700);
	snprintf(address.sun_path, sizeof(address.sun_path), SOCKETS "/%s", tag);
	unlink(address.sun_path);
	*server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*server < 0 || *client < 0 || bind(*server, (struct sockaddr *)&address, sizeof(address)) || listen(*server, 1) ||
		connect(*client, (struct sockaddr *)&address, sizeof(address)) ||
		setsockopt(*client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		rc = -errno;
	unlink(address.sun_path);
	return rc;
}

/* --- its words --- */

/* The first line that it has written to the log since `from`, without what the user knows: "TAG: Failed to … 'json:{…}': WHY". */
static bool last_words(off_t from, const char *tag, char *text, size_t size)
{
	int log = open(LOG, O_RDONLY | O_CLOEXEC);
	char *data = malloc(16384), *line, *why;
	ssize_t n = data && log >= 0 ? pread(log, data, 16383, from) : -1;
	bool found = false;

	if (n > 0) {
		data[n] = '\0';
		line = strstr(data, tag);
		if (line) {
			line += strlen(tag);
			line[strcspn(line, "\n")] = '\0';
			why = strstr(line, "}': ");
			why = why ? why + 4 : line + strspn(line, ": ");
			snprintf(text, size, "%.300s", why);
			found = *why;
		}
	}
	if (log >= 0)
		close(log);
	free(data);
	return found;
}

/* The process is gone, or is made to. */
static int explain(const struct image *im, const char *tag, off_t from, int rc, struct err *e)
{
	char why[320];

	image_process_end(tag, rc == -ETIMEDOUT ? 0 : 1000);
	if (!last_words(from, tag, why, sizeof(why)))
		snprintf(why, sizeof(why), "%s", rc == -ETIMEDOUT ? "it does not answer" : "it ended without saying why");
	if (strstr(why, "\" lock"))
		return err_set(e, EBUSY, "disk-in-use", "the image %s is in use by another program of QEMU's", im->layers[0].path);
	return err_set(e, EINVAL, "bad-image", "the image %s cannot be opened: %s", im->layers[0].path, why);
}

/* File systems in memory have no direct input and output. */
static bool direct_io(const struct image *im)
{
	for (size_t i = 0; i < im->n; i++) {
		int fd = open(im->layers[i].path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);

		if (fd < 0)
			return false;
		close(fd);
	}
	return true;
}

static int launch(const struct image *im, bool readonly, const char *tag, int server, int log, struct err *e)
{
	char *json = NULL, *name = NULL;
	json_t *node = image_to_qemu(im);
	int rules = image_jail_rules(im, readonly, e), rc = 0;

	if (rules < 0 && rules != -EOPNOTSUPP) {
		json_decref(node);
		return rules;
	}
	json = node ? json_dumps(node, JSON_COMPACT) : NULL;
	json_decref(node);
	if (!json || asprintf(&name, "json:%s", json) < 0) {
		rc = err_set(e, ENOMEM, "internal", "out of memory");
	} else {
		struct start s = { .program = image_program(), .tag = tag, .pid_variable = "LISTEN_PID=", .listen = server, .log = log,
			.rules = rules };
		/*
		 * What a guest is told is written must outlive the process, which otherwise keeps the image's tables to itself until the
		 * guest flushes: the guest goes on with the next one, and would find old data.
		 */
		char *argv[] = { (char *)tag, direct_io(im) ? "--cache=directsync" : "--cache=writethrough", "--discard=unmap", name,
			readonly ? "--read-only" : NULL, NULL };
		char *env[] = { "PATH=/usr/bin:/bin", "LISTEN_FDS=1", "MALLOC_ARENA_MAX=1", s.pid_variable, NULL };

		s.argv = argv;
		s.env = env;
		rc = start_process(&s);
		if (rc)
			err_set(e, -rc, "no-memory", "no process for the image %s: %s", im->layers[0].path, strerror(-rc));
	}
	free(name);
	free(json);
	if (rules >= 0)
		close(rules);
	return rc;
}

int image_process_start(const struct image *im, bool readonly, const char *tag, int *client, struct nbd_export *x, struct err *e)
{
	int log = open(LOG, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640), server = -1, rc;
	off_t from = log < 0 ? 0 : lseek(log, 0, SEEK_END);
	struct timeval forever = { 0 };

	*client = -1;
	rc = make_sockets(tag, &server, client);
	if (rc)
		err_set(e, -rc, "internal", "no socket for the image %s: %s", im->layers[0].path, strerror(-rc));
	if (!rc)
		rc = launch(im, readonly, tag, server, log, e);
	if (server >= 0)
		close(server);
	if (!rc) {
		rc = nbd_greet(*client, x);
		if (rc)
			rc = explain(im, tag, from, rc, e);
		else if (setsockopt(*client, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever)))
			rc = err_set(e, errno, "internal", "the image %s: %m", im->layers[0].path);
	}
	if (log >= 0)
		close(log);
	if (rc && *client >= 0)
		close(*client);
	return rc;
}

void image_process_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char tag[BLOCK_TAG_MAX + 1];

		if (isdigit((unsigned char)d->d_name[0]) && process_tag(d->d_name, tag) && !keep(tag, ctx))
			image_process_end(tag, 0);
	}
	if (dir)
		closedir(dir);
}
