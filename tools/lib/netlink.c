/* SPDX-License-Identifier: MIT */
/* Requests to the kernel by netlink. */
#include <errno.h>
#include <lib/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_SIZE	16384
#define ANSWER_TIMEOUT	10	/* seconds: the kernel answers at once, or something is very wrong */

int nl_open(int protocol)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	struct timeval limit = { .tv_sec = ANSWER_TIMEOUT };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit))) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

void nl_start(struct nl_request *r, unsigned int type, unsigned int flags, const void *head, size_t size)
{
	static uint32_t sequence;

	memset(r, 0, sizeof(*r));
	r->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	r->head.nlmsg_type = (uint16_t)type;
	r->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	r->head.nlmsg_seq = __atomic_add_fetch(&sequence, 1, __ATOMIC_RELAXED);
	memcpy(NLMSG_DATA(&r->head), head, size);
}

struct rtattr *nl_put(struct nl_request *r, unsigned int type, const void *data, size_t size)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = (uint16_t)type;
	a->rta_len = (uint16_t)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), data, size);
	r->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
	return a;
}

void nl_put_string(struct nl_request *r, unsigned int type, const char *s)
{
	nl_put(r, type, s, strlen(s) + 1);
}

void nl_put_u32(struct nl_request *r, unsigned int type, uint32_t v)
{
	nl_put(r, type, &v, sizeof(v));
}

void nl_put_u64(struct nl_request *r, unsigned int type, uint64_t v)
{
	nl_put(r, type, &v, sizeof(v));
}

void nl_put_u8(struct nl_request *r, unsigned int type, uint8_t v)
{
	nl_put(r, type, &v, sizeof(v));
}

void nl_end_nest(struct nl_request *r, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)r + r->head.nlmsg_len - (char *)nest);
}

int nl_transact(int fd, struct nl_request *r, nl_answer_fn *fn, void *ctx)
{
	char buf[ANSWER_SIZE] __attribute__((aligned(8)));

	/* A list has an end of its own. */
	if ((r->head.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		r->head.nlmsg_flags |= NLM_F_ACK;
	if (send(fd, r, r->head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		struct nlmsghdr *h = (void *)buf;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (; NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_seq != r->head.nlmsg_seq)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (fn)
				fn(h, ctx);
		}
	}
}
