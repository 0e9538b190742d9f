/* SPDX-License-Identifier: MIT */
/* Logs of guests. */
/*
 * No byte twice, none lost, whenever the daemon is killed. Four things change when output is taken: the file's length, out_cons in the ring, and the
 * record's total and file_base. The file is written first, then out_cons moves, then total. Whoever starts later compares:
 *
 *	written = bytes in the file beyond total (its length - (total - file_base))
 *	out_cons is what total says			these bytes are in the log but not taken: take them
 *	out_cons is that + written			they are taken but not counted: count them
 *
 * A write() that is killed leaves a shorter file, which is the same case. Only one thing cannot be saved: what the kernel has not yet brought to the
 * disk when the machine itself goes down.
 *
 * Changes of the file that are not output (rotation, a notice, dropping) make the record's inode or file_base unusable first, so that a start in the
 * middle finds that nothing is to be compared. Bytes before kept_from are never looked for in the files.
 */
#include <consoled/log.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/logfile.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS	1000
#define GUEST_NAME_MAX	190	/* bytes of a guest's name that go into the file's */

static struct log_settings settings;
static int dir_fd = -1;

int log_setup(const struct log_settings *s, struct err *e)
{
	settings = *s;
	if (dir_fd >= 0)
		close(dir_fd);
	if (mkdir(s->dir, 0750) < 0 && errno != EEXIST)
		return err_set(e, errno, "log-dir", "cannot make the directory %s: %s", s->dir, strerror(errno));
	dir_fd = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_set(e, errno, "log-dir", "cannot open the directory %s: %s", s->dir, strerror(errno));
	return 0;
}

void log_file_name(char out[LOG_NAME_MAX], const char *guest, uint16_t domid)
{
	size_t n = 0;
	bool changed = guest[0] == '\0';

	for (; guest[n] && n < GUEST_NAME_MAX; n++) {
		unsigned char c = (unsigned char)guest[n];
		bool bad = c == '/' || c < 0x20 || c == 0x7f || (n == 0 && c == '.');

		out[n] = bad ? '_' : (char)c;
		changed |= bad;
	}
	changed |= guest[n] != '\0';
	out[n] = '\0';
	if (changed)
		snprintf(out + n, LOG_NAME_MAX - n, "-%u", domid);
}

/* Stores before and after it stay in this order, as a killed process has made them. */
static void in_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The log file now ends at total. Until the inode is there, the base does not count. */
static void set_base(struct log *l)
{
	l->rec->file_base = (int64_t)(l->rec->total - l->size);
	in_order();
	l->rec->inode = l->inode;
}

/* Name of a rotated file; 0: the one in use. */
static const char *file_name(const struct log *l, unsigned int age)
{
	static char name[LOG_NAME_MAX + 16];

	if (age)
		snprintf(name, sizeof(name), "%s.log.%u", l->name, age);
	else
		snprintf(name, sizeof(name), "%s.log", l->name);
	return name;
}

static void fail(struct log *l, int error, int64_t now)
{
	if (!l->error)
		fprintf(stderr, "consoled: %s/%s.log: %s: output of this guest is not logged\n", settings.dir, l->name, strerror(error));
	l->error = error;
	l->retry = now + RETRY_MS;
}

/* Open NAME.log alone: 0 or -errno. */
static int open_file(struct log *l)
{
	struct stat st;
	int error;

	l->fd = openat(dir_fd, file_name(l, 0), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (l->fd < 0)
		return -errno;
	if (fstat(l->fd, &st) == 0 && !S_ISREG(st.st_mode))
		errno = EINVAL;
	else if (flock(l->fd, LOCK_EX | LOCK_NB) == 0) {
		l->size = (uint64_t)st.st_size;
		l->inode = st.st_ino;
		return 0;
	}
	error = errno;
	close(l->fd);
	l->fd = -1;
	return -error;
}

/* Open the log of that name and make the record fit it. */
static int attach(struct log *l)
{
	struct record *r = l->rec;
	struct stat st;
	int rc = open_file(l);

	if (rc)
		return rc;
	if (r->inode == l->inode)
		return 0;
	/* Another file than the last: either it was rotated, or what the record says is about files of another name. */
	if (!r->inode || fstatat(dir_fd, file_name(l, 1), &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != r->inode)
		r->kept_from = r->total;
	set_base(l);
	return 0;
}

static void attach_name(struct log *l, const char *guest, uint16_t domid, int64_t now)
{
	int rc;

	log_file_name(l->name, guest, domid);
	l->retry = now;
	rc = attach(l);
	if (rc == -EWOULDBLOCK) {
		/* Another guest is called so: do not mix the two. */
		snprintf(l->name + strlen(l->name), sizeof(l->name) - strlen(l->name), "-%u", domid);
		rc = attach(l);
	}
	if (rc)
		fail(l, -rc, now);
}

/* See the theory above. */
static void recover(struct log *l, struct xencons_interface *ring)
{
	struct record *r = l->rec;
	uint32_t expected = (uint32_t)r->total + r->bias, cons = ring->out_cons, used = ring->out_prod - cons;
	uint64_t written = l->fd < 0 ? 0 : l->size - (r->total - (uint64_t)r->file_base);

	if (written > RING_OUT || (cons == expected && (used > RING_OUT || written > used))) {
		written = 0;
		set_base(l);
	}
	if (cons == expected)
		ring_consume(ring, cons += (uint32_t)written);
	in_order();
	r->total += written;
	r->bias = cons - (uint32_t)r->total;
	if (r->kept_from > r->total)
		r->kept_from = r->total;
}

void log_open(struct log *l, const char *guest, uint16_t domid, struct record *rec, struct xencons_interface *ring, int64_t now)
{
	*l = (struct log){ .rec = rec, .fd = -1 };
	attach_name(l, guest, domid, now);
	recover(l, ring);
}

void log_close(struct log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void log_reopen(struct log *l, const char *guest, uint16_t domid, int64_t now)
{
	log_close(l);
	attach_name(l, guest, domid, now);
}

void log_freeze(struct log *l, struct record *copy)
{
	if (copy != l->rec)
		*copy = *l->rec;
	l->rec = copy;
	l->frozen = true;
	if (l->fd >= 0)
		flock(l->fd, LOCK_UN);
}

/* Empty the file that is in use. */
static int start_over(struct log *l)
{
	struct record *r = l->rec;

	r->inode = 0;
	r->kept_from = r->total;
	in_order();
	if (ftruncate(l->fd, 0) < 0)
		return -errno;
	l->size = 0;
	set_base(l);
	return 0;
}

static int rotate(struct log *l)
{
	struct log old = *l;
	int rc;

	if (settings.files == 1 || logfile_rotate(dir_fd, file_name(l, 0), settings.files))
		return start_over(l);
	rc = open_file(l);
	if (rc) {
		/* Go on in the old file, whatever it is called now. */
		*l = old;
		return start_over(l);
	}
	close(old.fd);
	set_base(l);
	return 0;
}

static size_t append(struct log *l, const char *data, size_t len, int64_t now)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(l->fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fail(l, n < 0 ? errno : ENOSPC, now);
			break;
		}
		done += (size_t)n;
		l->size += (size_t)n;
	}
	return done;
}

/* It could not be written: can it now? Says in the log what is missing there. */
static bool revive(struct log *l, int64_t now)
{
	struct record *r = l->rec;
	char text[128];
	int error = l->error, n;

	if (now < l->retry)
		return false;
	if (l->fd < 0 && attach(l)) {
		l->retry = now + RETRY_MS;
		return false;
	}
	if (l->lost) {
		n = snprintf(text, sizeof(text), "\n[lodge: %llu bytes of output lost: %s]\n", (unsigned long long)l->lost, strerror(error));
		r->inode = 0;
		in_order();
		if (append(l, text, (size_t)n, now) < (size_t)n && ftruncate(l->fd, (off_t)(r->total - (uint64_t)r->file_base)) == 0)
			l->size = r->total - (uint64_t)r->file_base;
		else
			l->error = 0;
		set_base(l);
		if (l->error)
			return false;
	}
	fprintf(stderr, "consoled: %s/%s.log: logged again after %llu lost bytes\n", settings.dir, l->name, (unsigned long long)l->lost);
	l->error = 0;
	l->lost = 0;
	return true;
}

static size_t store_output(struct log *l, const char *data, size_t len, int64_t now)
{
	int rc;

	if (l->error && !revive(l, now))
		return 0;
	if (l->size && l->size + len > settings.max_size) {
		rc = rotate(l);
		if (rc) {
			fail(l, -rc, now);
			return 0;
		}
	}
	return append(l, data, len, now);
}

void log_take(struct log *l, struct xencons_interface *ring, uint32_t cons, const char *data, size_t len, int64_t now)
{
	struct record *r = l->rec;
	size_t done, rest;

	r->bias = cons - (uint32_t)r->total;	/* unless the guest meddles with its ring, it is that already */
	done = store_output(l, data, len, now);
	rest = len - done;
	if (rest)
		r->kept_from = r->total + len;
	ring_consume(ring, cons + (uint32_t)len);
	in_order();
	r->total += len;
	if (rest) {
		l->lost += rest;
		r->file_base += (int64_t)rest;
	}
}

uint64_t log_first(const struct log *l)
{
	const struct record *r = l->rec;
	int64_t base = r->file_base, kept = (int64_t)r->kept_from;
	struct stat st;

	if (l->fd < 0)
		return r->total;
	for (unsigned int age = 1; age < settings.files && base > kept && !l->frozen; age++) {
		if (fstatat(dir_fd, file_name(l, age), &st, AT_SYMLINK_NOFOLLOW) < 0)
			break;
		base -= st.st_size;
	}
	return (uint64_t)(base > kept ? base : kept);
}

/* The file that has the offset: a descriptor for the caller to close if it is not the log's, and where the file begins. -1: none. */
static int file_at(const struct log *l, uint64_t offset, int64_t *base)
{
	struct stat st;

	*base = l->rec->file_base;
	if ((int64_t)offset >= *base)
		return l->fd;
	for (unsigned int age = 1; age < settings.files && !l->frozen; age++) {
		int fd = openat(dir_fd, file_name(l, age), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd < 0)
			return -1;
		if (fstat(fd, &st) == 0) {
			*base -= st.st_size;
			if ((int64_t)offset >= *base)
				return fd;
		}
		close(fd);
	}
	return -1;
}

ssize_t log_read(struct log *l, uint64_t offset, char *buf, size_t size)
{
	struct record *r = l->rec;
	struct stat st;
	int64_t base;
	ssize_t n;
	int fd;

	if (offset >= r->total)
		return 0;
	if (offset < r->kept_from)
		return -ENODATA;
	fd = file_at(l, offset, &base);
	if (fd < 0)
		return -ENODATA;
	if (size > r->total - offset)
		size = r->total - offset;
	n = pread(fd, buf, size, (off_t)((int64_t)offset - base));
	if (fd != l->fd)
		close(fd);
	if (n > 0)
		return n;
	/* Somebody has made the file shorter. */
	if (fstat(l->fd, &st) == 0)
		l->size = (uint64_t)st.st_size;
	r->file_base = (int64_t)(r->total - l->size);
	r->kept_from = r->total;
	return -ENODATA;
}
