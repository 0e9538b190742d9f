/* SPDX-License-Identifier: MIT */
/* Machines that `lodge new` has made. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/folder.h>
#include <lib/image.h>
#include <lib/machine.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK	"unfinished"

char *machine_path(const struct machine_place *p, const char *name, const char *file)
{
	char *path;

	return asprintf(&path, "%s/%s%s%s", p->dir, name, file ? "/" : "", file ? file : "") < 0 ? NULL : path;
}

char *machine_definition(const struct machine_place *p, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", p->definitions, name) < 0 ? NULL : path;
}

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "no-memory", "out of memory");
}

static int set_mark(const struct machine_place *p, const char *name, struct err *e)
{
	char *mark = machine_path(p, name, MARK);
	int fd = mark ? open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1, rc = 0;

	if (!mark)
		return no_memory(e);
	if (fd < 0 || fsync(fd))
		rc = err_set(e, errno, "cannot-write", "cannot write %s: %m", mark);
	if (fd >= 0)
		close(fd);
	free(mark);
	return rc;
}

static void clear_mark(const struct machine_place *p, const char *name)
{
	char *mark = machine_path(p, name, MARK);

	if (mark)
		unlink(mark);
	free(mark);
}

static bool has_file(char *path)
{
	struct stat st;
	bool there = path && !lstat(path, &st);

	free(path);
	return there;
}

/* As definition_find() would: the name is a machine's, whoever has defined it. */
static int check_free(const struct machine_place *p, const char *name, struct err *e)
{
	char *path = machine_definition(p, name), *cfg = NULL;
	const char *taken = NULL;
	struct stat st;
	int rc = 0;

	if (!path || asprintf(&cfg, "%s/../%s.cfg", p->definitions, name) < 0) {
		free(path);
		return no_memory(e);
	}
	if (!lstat(path, &st))
		taken = path;
	else if (!lstat(cfg, &st))
		taken = cfg;
	if (taken)
		rc = err_set(e, EEXIST, "name-taken", "there is a definition of that name already: %s", taken);
	free(path);
	free(cfg);
	return rc;
}

int machine_begin(const struct machine_place *p, const char *name, struct err *e)
{
	char *folder = machine_path(p, name, NULL);
	int rc;

	if (!folder)
		return no_memory(e);
	rc = check_free(p, name, e);
	if (!rc && mkdir(p->dir, 0700) && errno != EEXIST)
		rc = err_set(e, errno, "cannot-write", "cannot make %s: %m", p->dir);
	if (!rc && mkdir(folder, 0700))
		rc = errno == EEXIST ? err_set(e, EEXIST, "name-taken", "there is a machine of that name already: %s; `lodge remove` removes it", folder)
			: err_set(e, errno, "cannot-write", "cannot make %s: %m", folder);
	else if (!rc && (rc = set_mark(p, name, e)))
		machine_undo(p, name);
	free(folder);
	return rc;
}

int machine_finish(const struct machine_place *p, const char *name, const char *text, struct err *e)
{
	char *path = machine_definition(p, name);
	int rc = path ? 0 : no_memory(e);

	if (!rc) {
		mkdir(p->definitions, 0755);
		rc = folder_write_new(path, text, e);
	}
	if (rc == -EEXIST)
		err_set(e, EEXIST, "name-taken", "there is a definition of that name already: %s", path);
	if (!rc)
		clear_mark(p, name);
	free(path);
	return rc;
}

void machine_undo(const struct machine_place *p, const char *name)
{
	char *folder = machine_path(p, name, NULL);
	struct err e;

	if (folder)
		folder_remove(folder, &e);
	free(folder);
}

int machine_find(const struct machine_place *p, const char *name, struct err *e)
{
	struct err bad;

	if (!definition_check_name(name, &bad) && (has_file(machine_path(p, name, MACHINE_DISK)) || has_file(machine_path(p, name, MARK))))
		return 0;
	return err_set(e, ENOENT, "no-such-machine", "`lodge new` has made no machine %.80s: there is no disk of it in %s", name, p->dir);
}

/* Links that have it start with Domain 0 would lead nowhere. */
static void remove_links(const struct machine_place *p, const char *definition)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct stat wanted, link, st;
	struct dirent *entry;
	DIR *d;

	if ((size_t)snprintf(folder, sizeof(folder), "%s/../auto", p->definitions) >= sizeof(folder) || stat(definition, &wanted))
		return;
	d = opendir(folder);
	while (d && (entry = readdir(d)))
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < sizeof(path) && !lstat(path, &link) &&
			S_ISLNK(link.st_mode) && !stat(path, &st) && st.st_dev == wanted.st_dev && st.st_ino == wanted.st_ino)
			unlink(path);
	if (d)
		closedir(d);
}

int machine_remove(const struct machine_place *p, const char *name, struct err *e)
{
	char *folder = machine_path(p, name, NULL), *definition = machine_definition(p, name);
	int rc = folder && definition ? set_mark(p, name, e) : no_memory(e);

	if (!rc)
		remove_links(p, definition);
	if (!rc && unlink(definition) && errno != ENOENT) {
		rc = err_set(e, errno, "cannot-write", "cannot remove %s: %m", definition);
		clear_mark(p, name);
	}
	if (!rc)
		rc = folder_remove(folder, e);
	free(folder);
	free(definition);
	return rc;
}

/* The entries of a folder that are names of guests; *list: as of scandir(). */
static int each_name(const char *dir, struct dirent ***list)
{
	*list = NULL;
	return scandir(dir, list, NULL, alphasort);
}

static bool is_name(const char *name)
{
	struct err e;

	return !definition_check_name(name, &e);
}

void machine_sweep(const struct machine_place *p)
{
	struct dirent **list;
	int n;

	folder_sweep(p->dir);
	folder_sweep(p->definitions);
	n = each_name(p->dir, &list);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (is_name(name) && has_file(machine_path(p, name, MARK))) {
			if (has_file(machine_definition(p, name)))
				clear_mark(p, name);
			else
				machine_undo(p, name);
		} else if (is_name(name)) {
			/* Killed before there was a mark: empty, or this does nothing. */
			char *folder = machine_path(p, name, NULL);

			if (folder)
				rmdir(folder);
			free(folder);
		}
		free(list[i]);
	}
	free(list);
}

static bool lies_upon(const struct machine_place *p, const char *name, const struct block_id *id)
{
	char *disk = machine_path(p, name, MACHINE_DISK);
	struct image im = { 0 };
	bool found = false;
	struct err e;

	/* One that cannot be read to its end may still be known to lie upon it. */
	if (disk)
		image_read(disk, DISK_QCOW2, &im, &e);
	for (size_t i = 1; i < im.n; i++)
		found |= block_same(&im.layers[i].id, id);
	image_free(&im);
	free(disk);
	return found;
}

json_t *machine_upon(const struct machine_place *p, const char *disk)
{
	json_t *names = json_array();
	struct dirent **list;
	struct block_id id;
	struct err e;
	int n = each_name(p->dir, &list);

	if (block_identify(disk, &id, &e))
		id = (struct block_id){ 0 };
	for (int i = 0; i < n; i++) {
		if (names && id.ino && is_name(list[i]->d_name) && lies_upon(p, list[i]->d_name, &id))
			json_array_append_new(names, json_string(list[i]->d_name));
		free(list[i]);
	}
	free(list);
	return names;
}
