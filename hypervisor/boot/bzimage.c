/* SPDX-License-Identifier: MIT */
/* Finds the kernel proper in a boot module. */

#include <boot/bzimage.h>
#include <lib/errno.h>
#include <lib/string.h>

/* Offsets in the file of the fields of the boot protocol that are used here. */
#define SETUP_SECTS	0x1f1		/* u8; 0 means 4 */
#define BOOT_FLAG	0x1fe		/* u16, 0xaa55 */
#define HEADER		0x202		/* "HdrS" */
#define VERSION		0x206		/* u16 */
#define PAYLOAD_OFFSET	0x248		/* u32, from the end of the real-mode sectors */
#define PAYLOAD_LENGTH	0x24c		/* u32 */
#define HEADER_END	0x250

/* Every compressed payload ends with its unpacked size: gzip by itself, the others by Linux' build. */
#define TRAILER		4

static u32 __init get_le(const u8 *p, int bytes)
{
	u32 v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static int __init fail(const char **error, const char *message)
{
	*error = message;
	return -EINVAL;
}

/* Fill in format and size from data and len. */
static int __init find_format(struct bzimage *k, const char **error)
{
	k->format = unpack_identify(k->data, k->len);
	if (k->format == UNPACK_ELF) {
		k->size = k->len;
		return 0;
	}
	*error = unpack_unsupported(k->format);
	if (*error)
		return -EOPNOTSUPP;
	if (k->len <= TRAILER)
		return fail(error, "the compressed data is truncated");

	k->size = get_le((const u8 *)k->data + k->len - TRAILER, 4);
	if (k->size == 0 || k->size > BZIMAGE_MAX_SIZE)
		return fail(error, "its unpacked size is implausible; the file is damaged or truncated");
	if (k->format != UNPACK_GZIP)
		k->len -= TRAILER;
	return 0;
}

static int __init parse_header(const u8 *file, size_t len, struct bzimage *k, const char **error)
{
	if (len < HEADER_END)
		return fail(error, "the file is truncated");
	if (get_le(file + VERSION, 2) < 0x208)
		return fail(error, "its boot protocol is older than 2.08 (Linux 2.6.26)");

	u64 sectors = file[SETUP_SECTS] ? file[SETUP_SECTS] : 4;
	u64 offset = (sectors + 1) * 512 + get_le(file + PAYLOAD_OFFSET, 4);
	u64 size = get_le(file + PAYLOAD_LENGTH, 4);

	if (size == 0)
		return fail(error, "its header names no payload");
	if (offset > len || size > len - offset)
		return fail(error, "the file is truncated: its payload lies beyond its end");
	k->data = file + offset;
	k->len = size;
	return 0;
}

int __init bzimage_parse(const void *file, size_t len, struct bzimage *out, const char **error)
{
	const u8 *bytes = file;
	struct bzimage k = { .data = file, .len = len };
	int rc;

	if (len >= VERSION && get_le(bytes + BOOT_FLAG, 2) == 0xaa55 &&
	    memcmp(bytes + HEADER, "HdrS", 4) == 0) {
		rc = parse_header(bytes, len, &k, error);
		if (rc)
			return rc;
	} else {
		switch (unpack_identify(file, len)) {
		case UNPACK_ELF:
		case UNPACK_GZIP:
			break;
		default:
			return fail(error, "it is neither a Linux bzImage nor an ELF file");
		}
	}
	rc = find_format(&k, error);
	if (rc)
		return rc;
	*out = k;
	return 0;
}
