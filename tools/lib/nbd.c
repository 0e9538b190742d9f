/* SPDX-License-Identifier: MIT */
/*
 * The kernel's network block devices: by generic netlink, <linux/nbd-netlink.h>, and what sysfs says of them.
 *
 * Devices that are made by netlink belong to nobody: neither the process that made them nor any other has to stay.
 */
#include <dirent.h>
#include <errno.h>
#include <lib/nbd.h>
#include <lib/netlink.h>
#include <lib/small_file.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR			512u
#define ANSWER_SECONDS		30u	/* a request without an answer after this is asked again, of the next server */
#define DEAD_SECONDS		600u	/* that long requests wait for a next server */
#define EVENT_SIZE		8192

struct family {
	uint16_t id;
	uint32_t group;		/* where deaths are announced */
};

static const struct rtattr *first_attribute(const struct nlmsghdr *h, int *left)
{
	*left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(GENL_HDRLEN);
	return (const void *)((const char *)NLMSG_DATA(h) + GENL_HDRLEN);
}

static unsigned int type_of(const struct rtattr *a)
{
	return a->rta_type & NLA_TYPE_MASK;
}

static void read_group(const struct rtattr *group, struct family *f)
{
	int left = (int)RTA_PAYLOAD(group);
	bool ours = false;
	uint32_t id = 0;

	for (const struct rtattr *a = RTA_DATA(group); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (type_of(a) == CTRL_ATTR_MCAST_GRP_NAME)
			ours = !strncmp(RTA_DATA(a), NBD_GENL_MCAST_GROUP_NAME, RTA_PAYLOAD(a));
		else if (type_of(a) == CTRL_ATTR_MCAST_GRP_ID && RTA_PAYLOAD(a) >= sizeof(id))
			memcpy(&id, RTA_DATA(a), sizeof(id));
	}
	if (ours)
		f->group = id;
}

static void read_family(const struct nlmsghdr *h, void *ctx)
{
	struct family *f = ctx;
	int left, inner;

	for (const struct rtattr *a = first_attribute(h, &left); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (type_of(a) == CTRL_ATTR_FAMILY_ID && RTA_PAYLOAD(a) >= sizeof(f->id))
			memcpy(&f->id, RTA_DATA(a), sizeof(f->id));
		if (type_of(a) != CTRL_ATTR_MCAST_GROUPS)
			continue;
		inner = (int)RTA_PAYLOAD(a);
		for (const struct rtattr *g = RTA_DATA(a); RTA_OK(g, inner); g = RTA_NEXT(g, inner))
			read_group(g, f);
	}
}

/* A socket, and what the kernel calls its NBD devices there. The descriptor or -errno. */
static int open_family(struct family *f)
{
	struct genlmsghdr head = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	int fd = nl_open(NETLINK_GENERIC), rc;
	struct nl_request r;

	if (fd < 0)
		return fd;
	*f = (struct family){ 0 };
	nl_start(&r, GENL_ID_CTRL, 0, &head, sizeof(head));
	nl_put_string(&r, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME);
	rc = nl_transact(fd, &r, read_family, f);
	if (!rc && !f->id)
		rc = -ENOENT;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* Begin a request; the descriptor to end it with, or -errno. */
static int start(struct nl_request *r, uint8_t command)
{
	struct genlmsghdr head = { .cmd = command, .version = NBD_GENL_VERSION };
	struct family f;
	int fd = open_family(&f);

	if (fd >= 0)
		nl_start(r, f.id, 0, &head, sizeof(head));
	return fd;
}

static int end(int fd, struct nl_request *r, nl_answer_fn *fn, void *ctx)
{
	int rc = nl_transact(fd, r, fn, ctx);

	close(fd);
	return rc;
}

static void put_socket(struct nl_request *r, int socket)
{
	struct rtattr *list = nl_put(r, NBD_ATTR_SOCKETS | NLA_F_NESTED, NULL, 0),
		      *item = nl_put(r, NBD_SOCK_ITEM | NLA_F_NESTED, NULL, 0);

	nl_put_u32(r, NBD_SOCK_FD, (uint32_t)socket);
	nl_end_nest(r, item);
	nl_end_nest(r, list);
}

static void put_limits(struct nl_request *r)
{
	nl_put_u64(r, NBD_ATTR_TIMEOUT, ANSWER_SECONDS);
	nl_put_u64(r, NBD_ATTR_DEAD_CONN_TIMEOUT, DEAD_SECONDS);
}

static void read_index(const struct nlmsghdr *h, void *ctx)
{
	uint32_t index;
	int left;

	for (const struct rtattr *a = first_attribute(h, &left); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (type_of(a) == NBD_ATTR_INDEX && RTA_PAYLOAD(a) >= sizeof(index)) {
			memcpy(&index, RTA_DATA(a), sizeof(index));
			*(int *)ctx = (int)index;
		}
}

int nbd_connect(int socket, const struct nbd_export *x, const char *tag)
{
	struct nl_request r;
	int fd = start(&r, NBD_CMD_CONNECT), number = -1, rc;

	if (fd < 0)
		return fd;
	nl_put_u64(&r, NBD_ATTR_SIZE_BYTES, x->size);
	nl_put_u64(&r, NBD_ATTR_BLOCK_SIZE_BYTES, SECTOR);
	nl_put_u64(&r, NBD_ATTR_SERVER_FLAGS, x->flags);
	put_limits(&r);
	put_socket(&r, socket);
	nl_put_string(&r, NBD_ATTR_BACKEND_IDENTIFIER, tag);
	rc = end(fd, &r, read_index, &number);
	return rc ? rc : number;
}

/*
 * The kernel says that all is well also when it has left the socket alone, since the device has one that works. What it takes gets the
 * device's time limit for sending; before, it has none.
 */
static bool taken(int sock)
{
	struct timeval limit = { 0 };
	socklen_t size = sizeof(limit);

	return !getsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, &size) && (limit.tv_sec || limit.tv_usec);
}

int nbd_reconnect(int number, int socket, const char *tag)
{
	struct nl_request r;
	int fd = start(&r, NBD_CMD_RECONFIGURE), rc;

	if (fd < 0)
		return fd;
	nl_put_u32(&r, NBD_ATTR_INDEX, (uint32_t)number);
	put_limits(&r);
	put_socket(&r, socket);
	nl_put_string(&r, NBD_ATTR_BACKEND_IDENTIFIER, tag);
	rc = end(fd, &r, NULL, NULL);
	return rc ? rc : taken(socket) ? 0 : -ENOSPC;
}

int nbd_disconnect(int number)
{
	struct nl_request r;
	int fd = start(&r, NBD_CMD_DISCONNECT);

	if (fd < 0)
		return fd;
	nl_put_u32(&r, NBD_ATTR_INDEX, (uint32_t)number);
	return end(fd, &r, NULL, NULL);
}

/* A line of sysfs; false: there is none. */
static bool read_line(int number, const char *what, char *line, size_t size)
{
	char path[64];
	bool there;

	snprintf(path, sizeof(path), "/sys/block/nbd%d/%s", number, what);
	there = small_file_read(path, line, size) > 0;
	line[strcspn(line, "\n")] = '\0';
	return there;
}

bool nbd_tag(int number, char tag[BLOCK_TAG_MAX])
{
	return read_line(number, "backend", tag, BLOCK_TAG_MAX) && *tag;
}

dev_t nbd_device(int number)
{
	unsigned int maj, min;
	char text[32];

	return read_line(number, "dev", text, sizeof(text)) && sscanf(text, "%u:%u", &maj, &min) == 2 ? makedev(maj, min) : 0;
}

int nbd_number(dev_t dev)
{
	char name[128];
	int number, end = 0;

	block_device_name(dev, name, sizeof(name));
	return sscanf(name, "/dev/nbd%d%n", &number, &end) == 1 && !name[end] ? number : -1;
}

void nbd_each(void (*fn)(int number, const char *tag, void *ctx), void *ctx)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char tag[BLOCK_TAG_MAX];
		int number;

		if (sscanf(d->d_name, "nbd%d", &number) == 1 && nbd_tag(number, tag) && !strncmp(tag, BLOCK_TAG, strlen(BLOCK_TAG)))
			fn(number, tag, ctx);
	}
	if (dir)
		closedir(dir);
}

int nbd_listen(int listener)
{
	struct family f;
	int fd = open_family(&f);

	if (fd < 0)
		return fd;
	close(fd);
	if (!f.group)
		return -ENOENT;
	return setsockopt(listener, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &f.group, sizeof(f.group)) ? -errno : 0;
}

int nbd_next_dead(int fd)
{
	char buf[EVENT_SIZE] __attribute__((aligned(8)));

	for (;;) {
		const struct nlmsghdr *h = (void *)buf;
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		int number = -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!NLMSG_OK(h, (size_t)n) || h->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN) || h->nlmsg_type < NLMSG_MIN_TYPE ||
			((const struct genlmsghdr *)NLMSG_DATA(h))->cmd != NBD_CMD_LINK_DEAD)
			continue;
		read_index(h, &number);
		if (number >= 0)
			return number;
	}
}
