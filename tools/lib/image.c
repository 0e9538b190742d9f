/* SPDX-License-Identifier: MIT */
/* Disk images: the files that one consists of. */
#include <errno.h>
#include <fcntl.h>
#include <lib/block_holder.h>
#include <lib/image.h>
#include <lib/qcow2.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *allowed_folders = "";

void image_allow_folders(const char *folders)
{
	allowed_folders = folders;
}

static int bad_image(struct err *e, const char *path, const char *wrong)
{
	return err_set(e, EINVAL, "bad-image", "the image %s %s", path, wrong);
}

static int read_header(const char *path, struct qcow2 *q, struct err *e)
{
	uint8_t *data = malloc(QCOW2_HEADER_MAX);
	int fd = block_open(path, O_RDONLY), rc = 0;
	const char *wrong;
	size_t size = 0;
	ssize_t n = 1;

	if (fd < 0 || !data) {
		rc = err_set(e, data ? errno : ENOMEM, "bad-disk", "the image %s cannot be opened (%s)", path, strerror(data ? errno : ENOMEM));
		goto out;
	}
	while (size < QCOW2_HEADER_MAX && (n = pread(fd, data + size, QCOW2_HEADER_MAX - size, (off_t)size)) > 0)
		size += (size_t)n;
	if (n < 0) {
		rc = err_set(e, errno, "bad-disk", "the image %s cannot be read (%m)", path);
		goto out;
	}
	wrong = qcow2_parse(data, size, q);
	if (wrong && !qcow2_magic(data, size))
		rc = err_set(e, EINVAL, "bad-image", "%s is no qcow2 image; if it is a raw disk, its format is raw", path);
	else if (wrong)
		rc = bad_image(e, path, wrong);
out:
	if (fd >= 0)
		close(fd);
	free(data);
	return rc;
}

/* Is the file in that folder, or in one below it? Both are resolved. */
static bool within(const char *file, const char *folder)
{
	size_t n = strlen(folder);

	while (n && folder[n - 1] == '/')
		n--;
	return !strncmp(file, folder, n) && file[n] == '/';
}

static bool allowed(const char *file)
{
	for (const char *at = allowed_folders; *at;) {
		size_t n = strcspn(at, ":");
		char folder[PATH_MAX], resolved[PATH_MAX];

		if (n && n < sizeof(folder)) {
			memcpy(folder, at, n);
			folder[n] = '\0';
			if (realpath(folder, resolved) && within(file, resolved))
				return true;
		}
		at += n + (at[n] == ':');
	}
	return false;
}

/* The folder that a path is in, into a buffer of PATH_MAX. */
static void folder_of(const char *path, char *folder)
{
	const char *slash = strrchr(path, '/');

	snprintf(folder, PATH_MAX, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

/*
 * Where the name leads that an image has for its backing file: it is a file's, from the folder of the image on unless it is absolute.
 * A protocol, which QEMU would follow into the network or to a description in JSON, ends at a colon before any slash.
 */
static int backing_path(const char *image, const struct qcow2 *q, char **out, struct err *e)
{
	const char *name = q->backing;
	char folder[PATH_MAX], real_image[PATH_MAX], real[PATH_MAX];

	if (!strncmp(name, "file:", 5))
		name += 5;
	if (!*name || name[strcspn(name, ":/")] == ':')
		return err_set(e, EPERM, "backing-file", "the image %s has the backing file \"%.100s\", which is not the name of a file",
			image, q->backing);
	folder_of(image, folder);
	if (asprintf(out, "%s%s%s", *name == '/' ? "" : folder, *name == '/' ? "" : "/", name) < 0) {
		*out = NULL;
		return err_set(e, ENOMEM, "internal", "out of memory");
	}
	if (!realpath(*out, real) || !realpath(image, real_image))
		return err_set(e, errno, "backing-file", "the backing file %s of the image %s %s (%s)", *out, image,
			errno == ENOENT ? "does not exist" : "cannot be opened", strerror(errno));
	folder_of(real_image, folder);
	if (within(real, folder) || allowed(real))
		return 0;
	folder_of(real, folder);
	return err_set(e, EPERM, "backing-file",
		"the image %s has the backing file %s, which is in another folder: if the image may have it, add %s to image_folders in "
		"/etc/lodge/lodged.conf", image, *out, folder);
}

static int backing_format(const char *image, const struct qcow2 *q, enum disk_format *format, struct err *e)
{
	if (!*q->backing_format)
		return err_set(e, EPERM, "backing-file",
			"the image %s does not say what format its backing file %.100s has: say it with "
			"`qemu-img rebase -u -b %.100s -F FORMAT %s`", image, q->backing, q->backing, image);
	if (strcmp(q->backing_format, "raw") && strcmp(q->backing_format, "qcow2"))
		return err_set(e, EOPNOTSUPP, "not-supported", "the image %s has a backing file of the format %s: raw and qcow2 are supported",
			image, q->backing_format);
	*format = strcmp(q->backing_format, "raw") ? DISK_QCOW2 : DISK_RAW;
	return 0;
}

/* One more, whose path becomes the image's, or is freed. */
static int add_layer(struct image *im, char *path, enum disk_format format, struct err *e)
{
	struct image_layer l = { .path = path, .format = format };
	int rc = block_identify(path, &l.id, e);

	if (!rc && im->n == IMAGE_LAYERS_MAX)
		rc = err_set(e, ELOOP, "bad-image", "the image %s has more than %d backing files, one upon the other", im->layers[0].path,
			IMAGE_LAYERS_MAX - 1);
	for (size_t i = 0; !rc && i < im->n; i++)
		if (block_same(&im->layers[i].id, &l.id))
			rc = err_set(e, ELOOP, "bad-image", "the image %s is its own backing file, in the end", path);
	if (rc)
		free(path);
	else
		im->layers[im->n++] = l;
	return rc;
}

/* What the image says that was added last: the path and format of its backing file; NULL: it has none. */
static int read_layer(struct image *im, char **next, enum disk_format *format, struct err *e)
{
	const char *path = im->layers[im->n - 1].path;
	struct qcow2 q;
	int rc = read_header(path, &q, e);

	*next = NULL;
	if (rc)
		return rc;
	if (im->n == 1)
		im->size = q.size;
	if (q.corrupt)
		return err_set(e, EINVAL, "bad-image", "the image %s is marked as damaged: `qemu-img check -r all %s` may mend it", path, path);
	if (!*q.backing)
		return 0;
	rc = backing_format(path, &q, format, e);
	if (!rc)
		rc = backing_path(path, &q, next, e);
	if (rc) {
		free(*next);
		*next = NULL;
	}
	return rc;
}

int image_read(const char *path, enum disk_format format, struct image *im, struct err *e)
{
	char *next = strdup(path);
	int rc = 0;

	*im = (struct image){ 0 };
	if (!next)
		return err_set(e, ENOMEM, "internal", "out of memory");
	while (next && !rc) {
		rc = add_layer(im, next, format, e);
		next = NULL;
		if (!rc && format != DISK_RAW)
			rc = read_layer(im, &next, &format, e);
	}
	return rc;
}

void image_free(struct image *im)
{
	for (size_t i = 0; i < im->n; i++)
		free(im->layers[i].path);
	im->n = 0;
}

json_t *image_to_qemu(const struct image *im)
{
	json_t *above = NULL;

	for (size_t i = im->n; i-- > 0;) {
		const struct image_layer *l = &im->layers[i];
		json_t *node = json_pack("{s:s, s:{s:s, s:s}}", "driver", l->format == DISK_RAW ? "raw" : "qcow2", "file", "driver",
			l->id.is_file ? "file" : "host_device", "filename", l->path);

		/* null says that there is none, whatever the header says. */
		if (l->format != DISK_RAW)
			json_object_set_new(node, "backing", above ? above : json_null());
		above = node;
	}
	return above;
}
