/* SPDX-License-Identifier: MIT */
/*
 * Disk images as block devices: QEMU's qemu-nbd, one process for each, and a network block device of the kernel before it.
 *
 * The process has the tag ("lodge:UUID:VDEV") as its first word, by which it is found again, by whomever: it belongs to nobody, and
 * ends by itself when its device lets go of it.
 */
#ifndef TOOLS_LIB_IMAGE_SERVER_H
#define TOOLS_LIB_IMAGE_SERVER_H

#include <lib/image.h>

/* Is there what image_attach() needs? "no-program" says which package, "no-module" which module. */
int image_check_programs(struct err *e);
/* Does QEMU open it? For reading only, so that nothing changes. "bad-image" has QEMU's words. */
int image_try(const struct image *im, struct err *e);
/* A block device with what is in the image, until image_detach(). "bad-image" as well. */
int image_attach(const struct image *im, bool readonly, const char *tag, dev_t *dev, struct err *e);
/* Another process for a device whose own has died. 1: it has another now; 0: its own lives. */
int image_revive(int number, const struct image *im, bool readonly, const char *tag, struct err *e);
/* The device goes, and then its process: waits until it has let go of its files. Does nothing if it is not a device with this tag. */
void image_detach(dev_t dev, const char *tag);
/* The same with all whose tags begin with "lodge:" and that keep() does not want. */
void image_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx);
#endif
