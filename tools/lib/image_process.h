/* SPDX-License-Identifier: MIT */
/* The processes that serve disk images. For image_server.c. */
#ifndef TOOLS_LIB_IMAGE_PROCESS_H
#define TOOLS_LIB_IMAGE_PROCESS_H

#include <lib/image.h>
#include <lib/nbd.h>

#define IMAGE_PROGRAM	"qemu-nbd"

/* The program's path; NULL: there is none. */
const char *image_program(void);
/* Start one, which has answered when this returns; *client: the socket to it, ready for the kernel. */
int image_process_start(const struct image *im, bool readonly, const char *tag, int *client, struct nbd_export *x, struct err *e);
bool image_process_exists(const char *tag);
/* Wait that long for it to end by itself, then end it. It has let go of its files when this returns. */
void image_process_end(const char *tag, int patience_ms);
/* End all with tags that begin with "lodge:" and that keep() does not want. */
void image_process_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx);

#endif
