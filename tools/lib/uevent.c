/* SPDX-License-Identifier: MIT */
/* Kernel announcements of devices. */
#include <errno.h>
#include <lib/uevent.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP	1
#define BUFFER_SIZE	(1 << 20)

int uevent_open(struct err *e)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT), size = BUFFER_SIZE;

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		err_set(e, errno, "internal", "cannot listen to the kernel's device events: %m");
		if (fd >= 0)
			close(fd);
		return -e->error;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static const char *value(const char *entry, const char *key)
{
	size_t n = strlen(key);

	return !strncmp(entry, key, n) && entry[n] == '=' ? entry + n + 1 : NULL;
}

int uevent_parse(char *buf, size_t len, struct uevent *u)
{
	static const char *const keys[] = { "ACTION", "SUBSYSTEM", "DEVPATH", "XENBUS_PATH", "vif" };
	const char *found[] = { "", "", "", "", "" }, *slash;
	const char *p;

	buf[len] = '\0';
	/* "add@/devices/vbd-3-51712", then KEY=VALUE strings, each with its 0. */
	if (!strchr(buf, '@'))
		return -EINVAL;
	for (p = buf + strlen(buf) + 1; p < buf + len; p += strlen(p) + 1)
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (value(p, keys[i]))
				found[i] = value(p, keys[i]);
	slash = strrchr(found[2], '/');
	*u = (struct uevent){.action = found[0],
		.subsystem = found[1],
		.device = slash ? slash + 1 : found[2],
		.path = found[3],
		.vif = found[4]};
	return *u->action ? 0 : -EINVAL;
}

int uevent_next(int fd, char *buf, size_t size, struct uevent *u)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		struct iovec iov = { buf, size - 1 };
		struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n = recvmsg(fd, &msg, 0);

		if (n < 0)
			return -errno;
		/* Anybody may send to a netlink socket; only the kernel has port 0. */
		if (from.nl_pid || (msg.msg_flags & MSG_TRUNC))
			continue;
		if (!uevent_parse(buf, (size_t)n, u))
			return 0;
	}
}
