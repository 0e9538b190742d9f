/* SPDX-License-Identifier: MIT */
/* Requests to the kernel by netlink: made piece by piece, sent, answered. */
#ifndef TOOLS_LIB_NETLINK_H
#define TOOLS_LIB_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

/* A request as it grows; every message of ours fits. */
struct nl_request {
	struct nlmsghdr head;
	char body[512];
};

/* A socket for one thread (NETLINK_ROUTE, NETLINK_GENERIC); the descriptor or -errno. Answers are waited for at most 10 seconds. */
int nl_open(int protocol);

/* Begin with the message's own head, which comes before the attributes. */
void nl_start(struct nl_request *r, unsigned int type, unsigned int flags, const void *head, size_t size);
struct rtattr *nl_put(struct nl_request *r, unsigned int type, const void *data, size_t size);
void nl_put_string(struct nl_request *r, unsigned int type, const char *s);
void nl_put_u8(struct nl_request *r, unsigned int type, uint8_t v);
void nl_put_u32(struct nl_request *r, unsigned int type, uint32_t v);
void nl_put_u64(struct nl_request *r, unsigned int type, uint64_t v);
/* What was put since `nest` lies within it. */
void nl_end_nest(struct nl_request *r, struct rtattr *nest);

typedef void nl_answer_fn(const struct nlmsghdr *h, void *ctx);

/*
 * Send, and take answers up to the last, which is the kernel's acknowledgement or the end of a list; what belongs to other requests
 * (ones that have timed out) is passed over. 0 or -errno as the kernel gave it.
 */
int nl_transact(int fd, struct nl_request *r, nl_answer_fn *fn, void *ctx);

#endif
