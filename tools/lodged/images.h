/* SPDX-License-Identifier: MIT */
/* The processes that serve disk images (lib/image_server.h): one that dies under a running guest is replaced. */
#ifndef LODGED_IMAGES_H
#define LODGED_IMAGES_H

/*
 * Begin, unless it has begun already, or the kernel has no network block devices yet; once it is known which guests there are, and
 * before there are more such devices.
 */
void images_watch(void);

#endif
