/* SPDX-License-Identifier: MIT */
/*
 * The beginning of the conversation with an NBD server. Source: "The NBD protocol", doc/proto.md of the reference implementation,
 * the fixed newstyle negotiation. All numbers are big-endian.
 */
#include <endian.h>
#include <errno.h>
#include <lib/nbd.h>
#include <string.h>
#include <sys/socket.h>

#define MAGIC			0x4e42444d41474943ull	/* "NBDMAGIC" */
#define OPTION_MAGIC		0x49484156454f5054ull	/* "IHAVEOPT" */
#define FLAG_FIXED_NEWSTYLE	1u
#define FLAG_NO_ZEROES		2u
#define OPTION_EXPORT_NAME	1u

struct hello {
	uint64_t magic, option_magic;
	uint16_t flags;
} __attribute__((packed));

/* Our flags, and the choice of the export, whose name is empty. */
struct choice {
	uint32_t flags;
	uint64_t option_magic;
	uint32_t option, length;
} __attribute__((packed));

struct answer {
	uint64_t size;
	uint16_t flags;
} __attribute__((packed));

static int take(int fd, void *data, size_t size)
{
	ssize_t n;

	do
		n = recv(fd, data, size, MSG_WAITALL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return (size_t)n == size ? 0 : -EPROTO;
}

int nbd_greet(int fd, struct nbd_export *x)
{
	struct choice choice = { htobe32(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES), htobe64(OPTION_MAGIC), htobe32(OPTION_EXPORT_NAME), 0 };
	uint16_t needed = FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES;
	struct hello hello;
	struct answer answer;
	int rc = take(fd, &hello, sizeof(hello));

	if (rc)
		return rc;
	if (be64toh(hello.magic) != MAGIC || be64toh(hello.option_magic) != OPTION_MAGIC || (be16toh(hello.flags) & needed) != needed)
		return -EPROTO;
	if (send(fd, &choice, sizeof(choice), MSG_NOSIGNAL) != sizeof(choice))
		return -EPROTO;
	rc = take(fd, &answer, sizeof(answer));
	x->size = be64toh(answer.size);
	x->flags = be16toh(answer.flags);
	return rc;
}
