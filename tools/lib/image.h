/* SPDX-License-Identifier: MIT */
/*
 * Disk images of formats: the files that one consists of.
 *
 * A definition says what format an image has; it is never guessed from what is in it, since that is the guest's to write. An image
 * may lie upon a backing file, which may have one itself. The person who writes a definition is trusted, whoever made the image is
 * not: so that nobody gets /etc/shadow as a disk by naming it as a backing file, those are only followed within the folder of the
 * image that names them, and to folders that the administrator has named (image_allow_folders()).
 */
#ifndef TOOLS_LIB_IMAGE_H
#define TOOLS_LIB_IMAGE_H

#include <jansson.h>
#include <lib/block.h>
#include <lib/definition.h>

#define IMAGE_LAYERS_MAX	64

struct image_layer {
	char *path;
	enum disk_format format;	/* DISK_QCOW2; the last may be DISK_RAW */
	struct block_id id;
};

struct image {
	struct image_layer layers[IMAGE_LAYERS_MAX];	/* what the definition names, what it lies upon … */
	size_t n;
	uint64_t size;			/* of the disk, bytes */
};

/* Absolute paths with ':' between them, of folders with backing files that any image may name. The text must stay. */
void image_allow_folders(const char *folders);
/*
 * What the image consists of; format: DISK_QCOW2, as the definition says. "no-disk", "bad-disk" (-EINVAL …), "bad-image" (-EINVAL):
 * it is not what it should be; "backing-file" (-EPERM): it names one that it may not. image_free() also after a failure.
 */
int image_read(const char *path, enum disk_format format, struct image *im, struct err *e);
void image_free(struct image *im);
/* All of it as QEMU's block layer wants it named, so that it follows no name by itself. New reference; NULL: no memory. */
json_t *image_to_qemu(const struct image *im);

#endif
