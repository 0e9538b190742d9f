/* SPDX-License-Identifier: MIT */
/* Finds the kernel proper in a boot module: Linux bzImage, ELF, or compressed ELF. */
#ifndef BOOT_BZIMAGE_H
#define BOOT_BZIMAGE_H

#include <boot/unpack.h>

struct bzimage {
	const void *data;		/* the kernel, inside the file */
	size_t len;
	enum unpack_format format;	/* UNPACK_ELF: data is the kernel itself; else unpack() it */
	size_t size;			/* of the kernel once unpacked, as the file claims */
};

/* No kernel is larger; bounds what a lying header can make us allocate. */
#define BZIMAGE_MAX_SIZE	GiB(1)

/*
 * Examine a kernel file of @len bytes: a bzImage of boot protocol 2.08 or later
 * (source: "The Linux/x86 Boot Protocol", fields setup_sects, header, version,
 * payload_offset, payload_length), an ELF file, or a gzip file (of ELF). Returns 0;
 * -EINVAL or -EOPNOTSUPP with a message in *@error, made to follow "kernel NAME: ".
 * Any content is safe. Whether the result is an ELF file is not checked here.
 */
int __must_check bzimage_parse(const void *file, size_t len, struct bzimage *out, const char **error);

#endif
