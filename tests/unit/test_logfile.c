/* SPDX-License-Identifier: MIT */
/* Unit tests: logs that are rotated by size. */
/* sources: tools/lib/logfile.c */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <lib/logfile.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[96];

static const char *file(const char *suffix)
{
	static char name[128];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return name;
}

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test-logfile-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
}

static void end(void)
{
	static const char *const suffixes[] = { "", ".1", ".2", ".3" };

	for (size_t i = 0; i < 4; i++)
		unlink(file(suffixes[i]));
	CHECK_EQ(rmdir(dir), 0);
}

static long size(const char *suffix)
{
	struct stat st;

	return stat(file(suffix), &st) ? -1 : st.st_size;
}

/* The first byte of the file. */
static char first(const char *suffix)
{
	int fd = open(file(suffix), O_RDONLY);
	char c = 0;

	CHECK(fd >= 0 && read(fd, &c, 1) == 1);
	close(fd);
	return c;
}

/* The file, full but for the last bytes. */
static void fill(char c, long missing)
{
	static char text[LOGFILE_SIZE];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	memset(text, c, sizeof(text));
	CHECK_EQ(write(fd, text, (size_t)(LOGFILE_SIZE - missing)), LOGFILE_SIZE - missing);
	close(fd);
}

TEST(begins_another_when_it_is_full)
{
	struct logfile l;

	begin();
	CHECK_EQ(logfile_open(&l, path), 0);
	fill('a', 10);
	logfile_write(&l, "0123456789", 10);
	CHECK_EQ(size(""), LOGFILE_SIZE);
	CHECK_EQ(size(".1"), -1);
	logfile_write(&l, "bbbb", 4);
	CHECK_EQ(size(""), 4);
	CHECK_EQ(size(".1"), LOGFILE_SIZE);
	for (char c = 'c'; c < 'f'; c++) {
		fill(c, 4);
		logfile_write(&l, "xxxxx", 5);
	}
	/* "bbbb…" and "cccc…" are gone. */
	CHECK_EQ(size(""), 5);
	CHECK_EQ(first(".1"), 'x');
	CHECK_EQ(first(".2"), 'x');
	CHECK_EQ(size(".3"), -1);
	close(l.fd);
	end();
}

/* A line that does not fit into any file is still written. */
TEST(a_long_line)
{
	static char line[LOGFILE_SIZE + 1];
	struct logfile l;

	begin();
	memset(line, 'x', sizeof(line));
	CHECK_EQ(logfile_open(&l, path), 0);
	logfile_write(&l, line, sizeof(line));
	CHECK_EQ(size(""), LOGFILE_SIZE + 1);
	CHECK_EQ(size(".1"), -1);
	logfile_write(&l, "y", 1);
	CHECK_EQ(size(""), 1);
	close(l.fd);
	end();
}

static void __attribute__((format(printf, 2, 3))) say(struct logfile *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	logfile_line(l, fmt, ap);
	va_end(ap);
}

/* Whatever a name has in it: one line, with the time. */
TEST(lines)
{
	static char text[4096], big[2000];
	struct logfile l;
	char *second;
	int fd;

	begin();
	CHECK_EQ(logfile_open(&l, path), 0);
	memset(big, 'x', sizeof(big) - 1);
	say(&l, "%s: gone", "a\nb\r\33\177\303\274");
	say(&l, "%s", big);
	fd = open(path, O_RDONLY);
	CHECK_EQ(read(fd, text, sizeof(text)), 24 + 15 + 24 + 1001);
	close(fd);
	close(l.fd);
	second = strchr(text, '\n');
	CHECK(second && strlen(second) == 1 + 24 + 1001);
	*second = '\0';
	CHECK_EQ(strspn(text, "0123456789-:. "), 24);
	CHECK_STR(text + 24, "a?b???\303\274: gone");
	end();
}

/* As the shell has it: `lodged >>LOG 2>&1`. */
TEST(standard_error_goes_along)
{
	struct logfile l;
	int saved = dup(STDERR_FILENO), fd;

	begin();
	CHECK_EQ(logfile_open(&l, path), 0);
	fd = open(path, O_WRONLY | O_APPEND);
	dup2(fd, STDERR_FILENO);
	close(fd);
	fill('a', 0);
	logfile_write(&l, "b\n", 2);
	CHECK_EQ(write(STDERR_FILENO, "c\n", 2), 2);
	dup2(saved, STDERR_FILENO);
	close(saved);
	CHECK_EQ(size(""), 4);
	close(l.fd);
	end();
}

/* When it cannot be renamed, it starts anew; what others gave is left alone. */
TEST(cannot_be_rotated)
{
	struct logfile l;

	begin();
	CHECK_EQ(close(open(file(".1"), O_WRONLY | O_CREAT, 0600)), 0);
	CHECK_EQ(mkdir(file(".2"), 0700), 0);
	CHECK_EQ(logfile_open(&l, path), 0);
	fill('a', 0);
	logfile_write(&l, "b", 1);
	CHECK_EQ(size(""), 1);
	CHECK_EQ(first(""), 'b');
	close(l.fd);
	CHECK_EQ(size(".1"), 0);
	CHECK_EQ(rmdir(file(".2")), 0);
	end();
}

/* What somebody else has moved, or a link such as /dev/stdout, is not renamed. */
TEST(another_file_is_there)
{
	struct logfile l;

	begin();
	CHECK_EQ(logfile_open(&l, path), 0);
	fill('a', 0);
	CHECK_EQ(rename(path, file(".2")), 0);
	CHECK_EQ(symlink(file(".2"), path), 0);
	logfile_write(&l, "b", 1);
	CHECK_EQ(size(".2"), LOGFILE_SIZE + 1);
	CHECK_EQ(size(".1"), -1);
	close(l.fd);
	end();
}

TEST(before_another_program_writes)
{
	begin();
	logfile_limit(path);
	CHECK_EQ(size(""), -1);
	fill('a', 1);
	logfile_limit(path);
	CHECK_EQ(size(".1"), -1);
	fill('a', LOGFILE_SIZE - 1);
	logfile_limit(path);
	CHECK_EQ(size(""), -1);
	CHECK_EQ(size(".1"), LOGFILE_SIZE);
	end();
}

TEST(where_it_cannot_be)
{
	struct logfile l;

	CHECK_EQ(logfile_open(&l, "/nowhere/log"), -ENOENT);
	CHECK_EQ(logfile_rotate(AT_FDCWD, "/nowhere/log", 3), 0);	/* nothing was there */
}
