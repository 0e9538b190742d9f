/* SPDX-License-Identifier: MIT */
/* The header of qcow2 images: what of it decides which files are opened. The rest is for the program that serves them. */
#ifndef TOOLS_LIB_QCOW2_H
#define TOOLS_LIB_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QCOW2_NAME_MAX		1023		/* bytes of a backing file's name */
#define QCOW2_HEADER_MAX	(2u << 20)	/* everything here is within the first cluster */

struct qcow2 {
	uint64_t size;				/* of the disk, bytes */
	char backing[QCOW2_NAME_MAX + 1];	/* as it stands there; "": none */
	char backing_format[16];		/* "raw", "qcow2" …; "": it does not say */
	bool corrupt;				/* marked so by whoever found it */
};

bool qcow2_magic(const void *data, size_t size);
/*
 * Read a header; data: the first bytes of the image, as many as there are up to QCOW2_HEADER_MAX. NULL, or what is wrong with it,
 * to follow after "the image X …".
 */
const char *qcow2_parse(const void *data, size_t size, struct qcow2 *q);

#endif
