/* SPDX-License-Identifier: MIT */
/* Files with lines, rotated by size. */
#include <errno.h>
#include <fcntl.h>
#include <lib/logfile.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int logfile_rotate(int dir_fd, const char *name, unsigned int files)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (unsigned int age = files - 1; age > 0; age--) {
		int n = snprintf(to, sizeof(to), "%s.%u", name, age);

		if (n < 0 || (size_t)n >= sizeof(to))
			return -ENAMETOOLONG;
		snprintf(from, sizeof(from), age > 1 ? "%s.%u" : "%s", name, age - 1);
		if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

int logfile_open(struct logfile *l, const char *path)
{
	int fd = open_file(path);

	if (fd < 0)
		return fd;
	*l = (struct logfile){ .path = path, .fd = fd };
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Not what somebody has moved away, nor a link such as /dev/stdout. */
static bool is_ours(const struct logfile *l, const struct stat *st)
{
	struct stat there;

	return l->path && S_ISREG(st->st_mode) && !lstat(l->path, &there) && same_file(&there, st);
}

/* Go on in a new file; if there can be none, in the old one, from its start: it must not grow for ever. */
static void renew(struct logfile *l, const struct stat *st)
{
	struct stat other;
	int fd = logfile_rotate(AT_FDCWD, l->path, LOGFILE_FILES);

	if (!fd)
		fd = open_file(l->path);
	if (fd < 0) {
		fd = ftruncate(l->fd, 0);	/* if that fails too, nothing is left to be done */
		return;
	}
	for (int std = STDOUT_FILENO; std <= STDERR_FILENO; std++)
		if (!fstat(std, &other) && same_file(&other, st))
			dup2(fd, std);
	close(l->fd);
	l->fd = fd;
}

void logfile_write(struct logfile *l, const char *text, size_t len)
{
	struct stat st;

	if (!fstat(l->fd, &st) && st.st_size && (size_t)st.st_size + len > LOGFILE_SIZE && is_ours(l, &st))
		renew(l, &st);
	if (write(l->fd, text, len) < 0)
		return;
}

void logfile_line(struct logfile *l, const char *fmt, va_list ap)
{
	char message[1001], line[1040];
	struct timespec now;
	struct tm tm;
	size_t n;

	vsnprintf(message, sizeof(message), fmt, ap);
	for (unsigned char *c = (unsigned char *)message; *c; c++) {
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	clock_gettime(CLOCK_REALTIME, &now);
	n = strftime(line, sizeof(line), "%F %T", localtime_r(&now.tv_sec, &tm));
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ld %s\n", now.tv_nsec / 1000000, message);
	logfile_write(l, line, n);
}

void logfile_limit(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISREG(st.st_mode) && st.st_size >= LOGFILE_SIZE)
		logfile_rotate(AT_FDCWD, path, LOGFILE_FILES);
}
