/* SPDX-License-Identifier: MIT */
/* Disks from one format into another, by qemu-img. */
#ifndef LODGED_CONVERT_H
#define LODGED_CONVERT_H

#include <lib/image.h>
#include <lodged/session.h>

/*
 * All that is in the image, into the file `out`, which exists and is empty. qemu-img can open nothing but these files. `from` to `to`: which
 * percent of the whole this is, for progress; what: the text with it. "bad-image", "cannot-write", "no-program", "cancelled".
 */
int convert_image(struct session *s, const struct image *im, enum disk_format format, const char *out, int from, int to, const char *what,
		  struct err *e);
/* Is a qcow2 image, of which somebody else may have made any part, as it should be? "bad-image". */
int convert_check(struct session *s, const struct image *im, struct err *e);

#endif
