/* SPDX-License-Identifier: MIT */
/* The images that machines are made from. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <lib/folder.h>
#include <lib/image.h>
#include <lib/template.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int template_check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);
	bool good = n && n <= TEMPLATE_NAME_MAX && isalnum((unsigned char)*name);

	for (size_t i = 0; i < n && good; i++)
		good = isalnum((unsigned char)name[i]) || strchr("._-", name[i]);
	return good ? 0 : err_set(e, EINVAL, "bad-name",
		"found \"%.80s\", expected the name of an image: letters, digits and . _ -, beginning with a letter or digit, at most %d", name,
		TEMPLATE_NAME_MAX);
}

/* DIR/NAME or DIR/NAME/FILE; NULL: no memory. */
static char *path_of(const char *dir, const char *name, const char *file)
{
	char *path;

	return asprintf(&path, "%s/%s%s%s", dir, name, file ? "/" : "", file ? file : "") < 0 ? NULL : path;
}

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "no-memory", "out of memory");
}

int template_publish(const char *dir, const char *folder, const char *name, const json_t *about, struct err *e)
{
	char *text = json_dumps(about, JSON_INDENT(1)), *file = path_of(folder, TEMPLATE_ABOUT, NULL), *to = path_of(dir, name, NULL);
	int rc = text && file && to ? 0 : no_memory(e);

	if (!rc)
		rc = folder_write_new(file, text, e);
	if (!rc)
		rc = folder_publish(folder, to, e);
	if (rc == -EEXIST)
		err_set(e, EEXIST, "image-exists", "there is an image %s already", name);
	free(text);
	free(file);
	free(to);
	return rc;
}

/* The file's path if it is there; what it takes is added. */
static char *member(const char *dir, const char *name, const char *file, uint64_t *taken)
{
	char *path = path_of(dir, name, file);
	struct stat st;

	if (!path || stat(path, &st) || !S_ISREG(st.st_mode)) {
		free(path);
		return NULL;
	}
	*taken += (uint64_t)st.st_blocks * 512;
	return path;
}

static int no_image(const char *name, struct err *e)
{
	return err_set(e, ENOENT, "no-such-image", "there is no image %.80s: `lodge image list` shows those that there are", name);
}

int template_read(const char *dir, const char *name, struct template *t, struct err *e)
{
	json_error_t where;
	struct image im;
	char *about;
	int rc;

	*t = (struct template){ 0 };
	if (template_check_name(name, e))
		return no_image(name, e);
	about = member(dir, name, TEMPLATE_ABOUT, &t->taken);
	if (!about)
		return no_image(name, e);
	t->about = json_load_file(about, 0, &where);
	free(about);
	t->name = strdup(name);
	t->disk = member(dir, name, TEMPLATE_DISK, &t->taken);
	t->kernel = member(dir, name, TEMPLATE_KERNEL, &t->taken);
	t->ramdisk = member(dir, name, TEMPLATE_RAMDISK, &t->taken);
	if (!json_is_object(t->about) || !t->disk || !t->name)
		return err_set(e, EINVAL, "bad-image", "the image %s is damaged: %s/%s lacks its disk, or what is said about it", name, dir, name);
	rc = image_read(t->disk, DISK_QCOW2, &im, e);
	t->size = im.size;
	image_free(&im);
	return rc;
}

void template_free(struct template *t)
{
	free(t->name);
	free(t->disk);
	free(t->kernel);
	free(t->ramdisk);
	json_decref(t->about);
	*t = (struct template){ 0 };
}

json_t *template_names(const char *dir)
{
	json_t *names = json_array();
	struct dirent **list = NULL;
	int n = scandir(dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		uint64_t taken = 0;
		struct err e;
		char *about = template_check_name(name, &e) ? NULL : member(dir, name, TEMPLATE_ABOUT, &taken);

		if (about && names)
			json_array_append_new(names, json_string(name));
		free(about);
		free(list[i]);
	}
	free(list);
	return names;
}

int template_remove(const char *dir, const char *name, struct err *e)
{
	char *path = path_of(dir, name, NULL);
	int rc = path ? folder_remove(path, e) : no_memory(e);

	free(path);
	return rc;
}
