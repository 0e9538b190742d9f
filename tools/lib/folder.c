/* SPDX-License-Identifier: MIT */
/* Folders and files that are there as a whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <lib/folder.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_AT_ONCE	16
#define COPY_STEP	(64UL << 20)

static int cannot_write(struct err *e, const char *path, int error)
{
	return err_set(e, error, "cannot-write", "cannot write %s: %s", path, strerror(error));
}

int folder_parents(const char *path)
{
	char text[PATH_MAX];

	if ((size_t)snprintf(text, sizeof(text), "%s", path) >= sizeof(text))
		return -ENAMETOOLONG;
	for (char *s = text + 1; (s = strchr(s, '/')); *s++ = '/') {
		*s = '\0';
		if (mkdir(text, 0755) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int folder_begin(const char *dir, char **path, struct err *e)
{
	int rc = folder_parents(dir);

	*path = NULL;
	if (!rc && mkdir(dir, 0700) && errno != EEXIST)
		rc = -errno;
	if (rc)
		return cannot_write(e, dir, -rc);
	if (asprintf(path, "%s/" FOLDER_TEMPORARY "XXXXXX", dir) < 0) {
		*path = NULL;
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	}
	if (mkdtemp(*path))
		return 0;
	rc = cannot_write(e, dir, errno);
	free(*path);
	*path = NULL;
	return rc;
}

static int sync_path(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), rc = 0;

	if (fd < 0 || fsync(fd))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* The folder that a path is in, which may be a link to where there is more room. */
static int sync_parent(const char *path)
{
	char *parent = strndup(path, (size_t)(strrchr(path, '/') - path));
	int rc = parent ? sync_path(*parent ? parent : "/", O_DIRECTORY) : -ENOMEM;

	free(parent);
	return rc;
}

static int sync_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return type == FTW_F || type == FTW_D ? sync_path(path, O_NOFOLLOW) : 0;
}

int folder_publish(const char *path, const char *to, struct err *e)
{
	int rc = nftw(path, sync_entry, OPEN_AT_ONCE, FTW_PHYS | FTW_MOUNT);

	if (rc)
		return cannot_write(e, path, rc < -1 ? -rc : EIO);
	if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE))
		return errno == EEXIST || errno == ENOTEMPTY ? -EEXIST : cannot_write(e, to, errno);
	rc = sync_parent(to);
	return rc ? cannot_write(e, to, -rc) : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path) && errno != ENOENT ? -errno : 0;
}

static int remove_tree(const char *path)
{
	int rc = nftw(path, remove_entry, OPEN_AT_ONCE, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	return rc == -1 && errno == ENOENT ? 0 : rc;
}

int folder_remove(const char *path, struct err *e)
{
	const char *name = strrchr(path, '/') + 1;
	char *gone = NULL;
	int rc = 0;

	if (strncmp(name, FOLDER_TEMPORARY, strlen(FOLDER_TEMPORARY))) {
		if (asprintf(&gone, "%.*s" FOLDER_TEMPORARY "gone-%s", (int)(name - path), path, name) < 0)
			return err_set(e, ENOMEM, "no-memory", "out of memory");
		/* One of the same name whose removal was cut off. */
		remove_tree(gone);
		if (rename(path, gone))
			rc = err_set(e, errno, "cannot-write", "cannot remove %s: %m", path);
		else
			sync_parent(path);
	}
	if (!rc && (rc = remove_tree(gone ? gone : path)))
		err_set(e, rc < -1 ? -rc : EIO, "cannot-write", "cannot remove all of %s: %s", gone ? gone : path,
			strerror(rc < -1 ? -rc : EIO));
	free(gone);
	return rc ? -e->error : 0;
}

void folder_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[PATH_MAX];

	while (d && (entry = readdir(d)))
		if (!strncmp(entry->d_name, FOLDER_TEMPORARY, strlen(FOLDER_TEMPORARY)) &&
			(size_t)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < sizeof(path))
			remove_tree(path);
	if (d)
		closedir(d);
}

int folder_write(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int folder_draft_begin(struct folder_draft *d, const char *path, struct err *e)
{
	*d = (struct folder_draft){ .path = path, .fd = -1 };
	if (asprintf(&d->draft, "%.*s" FOLDER_TEMPORARY "XXXXXX", (int)(strrchr(path, '/') + 1 - path), path) < 0)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	d->fd = mkostemp(d->draft, O_CLOEXEC);
	if (d->fd >= 0)
		return 0;
	free(d->draft);
	return cannot_write(e, path, errno);
}

static int give_name(const struct folder_draft *d)
{
	if (fsync(d->fd) || fchmod(d->fd, 0644))
		return -errno;
	/* Unlike rename(), it does not replace anything. */
	return renameat2(AT_FDCWD, d->draft, AT_FDCWD, d->path, RENAME_NOREPLACE) ? -errno : 0;
}

int folder_draft_end(struct folder_draft *d, int rc, struct err *e)
{
	int named = rc ? rc : give_name(d);

	if (named)
		unlink(d->draft);
	close(d->fd);
	free(d->draft);
	return rc || !named || named == -EEXIST ? named : cannot_write(e, d->path, -named);
}

int folder_write_new(const char *path, const char *text, struct err *e)
{
	struct folder_draft d;
	int rc = folder_draft_begin(&d, path, e);

	if (rc)
		return rc;
	rc = folder_write(d.fd, text, strlen(text));
	rc = folder_draft_end(&d, rc ? cannot_write(e, path, -rc) : 0, e);
	if (!rc && (rc = sync_parent(path)))
		cannot_write(e, path, -rc);
	return rc;
}

int folder_copy(const char *from, const char *to, struct err *e)
{
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK), out = -1, rc = 0;
	ssize_t n = 1;
	struct stat st;

	if (in < 0 || fstat(in, &st) || !S_ISREG(st.st_mode)) {
		rc = in < 0 ? errno : EINVAL;
		if (in >= 0)
			close(in);
		return err_set(e, rc, "no-file", "%s cannot be read: %s", from, rc == EINVAL ? "it is no file" : strerror(rc));
	}
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	while (out >= 0 && n > 0)
		n = sendfile(out, in, NULL, COPY_STEP);
	if (out < 0 || n < 0)
		rc = cannot_write(e, to, errno);
	if (out >= 0 && close(out) && !rc)
		rc = cannot_write(e, to, errno);
	close(in);
	return rc;
}
