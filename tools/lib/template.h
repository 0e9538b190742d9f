/* SPDX-License-Identifier: MIT */
/*
 * The images that machines are made from (`lodge image`; "template" in the sources, where an image is a file with a disk in it).
 *
 * One folder each, with its disk, its kernel and RAM disk unless it has those in its disk, and what is known of it. It is never
 * changed once it has its name: machines lie upon it.
 */
#ifndef TOOLS_LIB_TEMPLATE_H
#define TOOLS_LIB_TEMPLATE_H

#include <jansson.h>
#include <lib/err.h>
#include <stdint.h>

#define TEMPLATE_DIR	"/var/lib/lodge/images"		/* backing files there are any image's to name (lib/image.h) */
#define TEMPLATE_GRUB	"/usr/lib/grub-xen/grub-x86_64-xen.bin"	/* boots what the disk has in /boot, of the package grub-xen-host */
#define TEMPLATE_NAME_MAX	63

#define TEMPLATE_DISK		"disk.qcow2"
#define TEMPLATE_KERNEL		"kernel"
#define TEMPLATE_RAMDISK	"ramdisk"
#define TEMPLATE_ABOUT		"about.json"

struct template {
	char *name;
	char *disk;			/* paths */
	char *kernel, *ramdisk;		/* NULL: it has none of its own, PV GRUB looks into the disk; NULL: none */
	json_t *about;			/* "created" (seconds since 1970), "system", "cmdline", "builder": strings, as far as known */
	uint64_t size, taken;		/* bytes: of the disk as a machine sees it; of all the files */
};

/* Letters, digits and . _ -, beginning with a letter or digit. "bad-name". */
int template_check_name(const char *name, struct err *e);
/* From a folder of folder_begin(), complete but for what is said about it. "image-exists". */
int template_publish(const char *dir, const char *folder, const char *name, const json_t *about, struct err *e);
/* "no-such-image" (-ENOENT); "bad-image". template_free() also after a failure. */
int template_read(const char *dir, const char *name, struct template *t, struct err *e);
void template_free(struct template *t);
/* Names, sorted; new reference. NULL: no memory. */
json_t *template_names(const char *dir);
/* The caller has made sure that nobody lies upon it. */
int template_remove(const char *dir, const char *name, struct err *e);

#endif
