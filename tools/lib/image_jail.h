/* SPDX-License-Identifier: MIT */
/* Where qemu-nbd runs: as nobody, without the network, with the files of one image. For image_server.c. */
#ifndef TOOLS_LIB_IMAGE_JAIL_H
#define TOOLS_LIB_IMAGE_JAIL_H

#include <lib/image.h>

/*
 * What a process may open: the system's programs and libraries, and the image's files; those that were identified, whatever their
 * paths lead to by now. A descriptor for image_jail_enter(); -EOPNOTSUPP: a kernel without Landlock, else a message.
 */
int image_jail_rules(const struct image *im, bool readonly, struct err *e);
/* It may write that file as well. -errno. */
int image_jail_output(int rules, const char *path);
/* In the process itself, between fork() and exec(); rules: that, or less than 0. -errno. */
int image_jail_enter(int rules);

#endif
