/* SPDX-License-Identifier: MIT */
/*
 * Core dumps: a file that gets its name when it is whole.
 *
 * Until then it has none (O_TMPFILE), so that the kernel removes it whatever happens to us. Where the file system does not know that,
 * it has a name that nobody takes for a dump's; core_sweep() removes what a process that was killed has left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/core.h>
#include <lib/core_file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART	".core-part-"

int core_file_error(const struct core_file *f, int error, struct err *e)
{
	if (error == EEXIST)
		return err_set(e, EEXIST, "file-exists", "%s exists already: it is not overwritten", f->path);
	return err_set(e, error, "cannot-write", "cannot write %s: %s", f->path, strerror(error));
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int open_part(struct core_file *f)
{
	f->fd = open(f->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (f->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return f->fd < 0 ? -errno : 0;
	if (asprintf(&f->part, "%s/" PART "XXXXXX", f->folder) < 0) {
		f->part = NULL;
		return -ENOMEM;
	}
	f->fd = mkostemp(f->part, O_CLOEXEC);
	return f->fd < 0 ? -errno : 0;
}

int core_file_open(struct core_file *f, const char *path, struct err *e)
{
	int rc;

	*f = (struct core_file){ .path = path, .fd = -1, .folder = folder_of(path) };
	if (!f->folder)
		rc = -ENOMEM;
	else
		rc = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) ? open_part(f) : -EEXIST;
	if (!rc)
		return 0;
	free(f->folder);
	free(f->part);
	return core_file_error(f, -rc, e);
}

static int give_name(const struct core_file *f)
{
	char self[32];

	if (!f->part) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
		return linkat(AT_FDCWD, self, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) ? -errno : 0;
	}
	if (!link(f->part, f->path))
		return unlink(f->part) ? -errno : 0;
	if (errno != EPERM && errno != EOPNOTSUPP)
		return -errno;
	return renameat2(AT_FDCWD, f->part, AT_FDCWD, f->path, RENAME_NOREPLACE) ? -errno : 0;
}

int core_file_close(struct core_file *f, int rc, struct err *e)
{
	if (!rc) {
		rc = fsync(f->fd) ? -errno : give_name(f);
		if (rc)
			core_file_error(f, -rc, e);
	}
	if (rc && f->part)
		unlink(f->part);
	close(f->fd);
	free(f->folder);
	free(f->part);
	return rc;
}

void core_sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (!strncmp(entry->d_name, PART, strlen(PART)))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}
