/* SPDX-License-Identifier: MIT */
/*
 * The kernel's network block devices, each of which gets what is in it from a server at the other end of a socket.
 *
 * A device of ours carries a tag ("lodge:UUID:VDEV"), as our loop devices do (block.h). When its server dies, what the guest asks of
 * it waits, and is asked again of the next server that nbd_reconnect() gives it.
 */
#ifndef TOOLS_LIB_NBD_H
#define TOOLS_LIB_NBD_H

#include <lib/block.h>
#include <stdint.h>

/* What a server says of its disk. */
struct nbd_export {
	uint64_t size;		/* bytes */
	uint16_t flags;		/* NBD_FLAG_* */
};

/* The beginning of the conversation with a server, on a stream socket. -EPROTO, or what the socket gave. */
int nbd_greet(int socket, struct nbd_export *x);

/* A new device with this server: its number, or -errno; -ENOENT: the kernel has no such devices (module nbd). */
int nbd_connect(int socket, const struct nbd_export *x, const char *tag);
/* Another server for a device whose own has died; -ENOSPC: it has not. */
int nbd_reconnect(int number, int socket, const char *tag);
/* Take leave of the server, which ends; the device is free. */
int nbd_disconnect(int number);

/* The tag of a device; false: it has no server, and never had one since it was last free. */
bool nbd_tag(int number, char tag[BLOCK_TAG_MAX]);
/* The device's number as the kernel counts devices, and the other way: -1: it is none of these. */
dev_t nbd_device(int number);
int nbd_number(dev_t dev);
/* Call fn for every device with a tag that begins with "lodge:". */
void nbd_each(void (*fn)(int number, const char *tag, void *ctx), void *ctx);

/*
 * Have a socket (of NETLINK_GENERIC) hear of servers that die; to be repeated when the module may have come anew. 0 or -errno;
 * -ENOENT: it is not there.
 */
int nbd_listen(int listener);
/* Wait for the next: the device's number; -ENOBUFS: some were missed; -errno. */
int nbd_next_dead(int fd);

#endif
