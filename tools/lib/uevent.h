/* SPDX-License-Identifier: MIT */
/* The kernel's announcements of devices that come and go (netlink, KOBJECT_UEVENT). */
#ifndef TOOLS_LIB_UEVENT_H
#define TOOLS_LIB_UEVENT_H

#include <lib/err.h>
#include <stddef.h>

/* Pointers are into the message; absent ones are "". */
struct uevent {
	const char *action;	/* add, remove, online, offline, change … */
	const char *subsystem;	/* xen-backend … */
	const char *device;	/* last part of the device's path: "vbd-3-51712" */
	const char *path;	/* XENBUS_PATH: "backend/vif/3/0" */
	const char *vif;	/* the interface's name */
};

/* A non-blocking socket that gets the kernel's events, with a buffer of a megabyte. The descriptor or -errno and a message. */
int uevent_open(struct err *e);
/*
 * The next event; buf must outlive *u. -EAGAIN: none; -ENOBUFS: some were lost; other errors as recv() gives them. What is not
 * from the kernel, or makes no sense, is passed over.
 */
int uevent_next(int fd, char *buf, size_t size, struct uevent *u);
/* Take a message of len bytes apart; it is made to end with a 0 (buf has room for len + 1). -EINVAL: none of the kernel's. */
int uevent_parse(char *buf, size_t len, struct uevent *u);

#endif
