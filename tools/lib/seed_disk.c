/* SPDX-License-Identifier: MIT */
/*
 * The disk with what a machine is told: a FAT file system of the kind that floppy disks have, with two files in its root folder.
 * Source: "FAT: General Overview of On-Disk Format", Microsoft, 2000. Numbers are little-endian.
 *
 * The size is fixed, a cluster is a sector, and each file lies in one piece: all that varies are the contents.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/folder.h>
#include <lib/seed.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SECTOR = 512,
	SECTORS = 2048,
	FATS = 2,
	FAT_SECTORS = 6,		/* of twelve bits for each cluster */
	ROOT_ENTRIES = SECTOR / 32,	/* one sector of them */
	DATA = 1 + FATS * FAT_SECTORS + 1,
	CLUSTERS = SECTORS - DATA,
	ENTRY = 32,
};

enum { READ_ONLY = 0x01, VOLUME = 0x08, LONG_NAME = 0x0f };	/* kinds of entries */

#define CHAIN_END	0xfffu
#define MEDIUM		0xf8

struct disk_image {
	uint8_t *data;
	uint8_t *entry;		/* the next in the root folder */
	unsigned int cluster;	/* the next that is free */
};

static void put16(uint8_t *at, unsigned int v)
{
	uint16_t le = htole16((uint16_t)v);

	memcpy(at, &le, sizeof(le));
}

static void put32(uint8_t *at, uint32_t v)
{
	uint32_t le = htole32(v);

	memcpy(at, &le, sizeof(le));
}

static void boot_sector(uint8_t *b)
{
	memcpy(b, "\xeb\x3c\x90LODGE   ", 11);
	put16(b + 11, SECTOR);
	b[13] = 1;			/* sectors of a cluster */
	put16(b + 14, 1);		/* before the first table */
	b[16] = FATS;
	put16(b + 17, ROOT_ENTRIES);
	put16(b + 19, SECTORS);
	b[21] = MEDIUM;
	put16(b + 22, FAT_SECTORS);
	put16(b + 24, 32);		/* geometry, for those who ask */
	put16(b + 26, 2);
	b[36] = 0x80;
	b[38] = 0x29;			/* the next three are there */
	put32(b + 39, 0x4c6f6467);
	memcpy(b + 43, SEED_LABEL "     ", 11);
	memcpy(b + 54, "FAT12   ", 8);
	put16(b + 510, 0xaa55);
}

/* In both tables. */
static void set_fat(struct disk_image *d, unsigned int cluster, unsigned int next)
{
	for (unsigned int i = 0; i < FATS; i++) {
		uint8_t *at = d->data + SECTOR + i * FAT_SECTORS * SECTOR + cluster * 3 / 2;

		if (cluster & 1) {
			at[0] = (uint8_t)((at[0] & 0x0f) | (next << 4));
			at[1] = (uint8_t)(next >> 4);
		} else {
			at[0] = (uint8_t)next;
			at[1] = (uint8_t)((at[1] & 0xf0) | (next >> 8));
		}
	}
}

/* An entry that says how the one behind it is really called: at most 13 characters. */
static void put_long_name(struct disk_image *d, const char *name, const uint8_t alias[11])
{
	static const uint8_t places[13] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
	uint8_t *e = d->entry, sum = 0;
	size_t n = strlen(name);

	for (size_t i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1) + (sum << 7) + alias[i]);
	e[0] = 0x41;			/* the first of one */
	e[11] = LONG_NAME;
	e[13] = sum;
	for (size_t i = 0; i < 13; i++)
		put16(e + places[i], i < n ? (unsigned char)name[i] : i == n ? 0 : 0xffff);
	d->entry += ENTRY;
}

/* False: there is no room. */
static bool put_file(struct disk_image *d, const char *name, const char *alias, const char *text)
{
	size_t size = strlen(text);
	unsigned int n = (unsigned int)((size + SECTOR - 1) / SECTOR), first = d->cluster;

	if (size > (size_t)CLUSTERS * SECTOR || first + n > CLUSTERS + 2)
		return false;
	put_long_name(d, name, (const uint8_t *)alias);
	memcpy(d->entry, alias, 11);
	d->entry[11] = READ_ONLY;
	put16(d->entry + 26, n ? first : 0);
	put32(d->entry + 28, (uint32_t)size);
	d->entry += ENTRY;
	memcpy(d->data + (size_t)(DATA + first - 2) * SECTOR, text, size);
	for (unsigned int i = 0; i < n; i++)
		set_fat(d, first + i, i + 1 < n ? first + i + 1 : CHAIN_END);
	d->cluster += n;
	return true;
}

static int write_file(const char *path, const uint8_t *data, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : folder_write(fd, data, (size_t)SECTORS * SECTOR);

	if (!rc && fsync(fd))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc ? err_set(e, -rc, "cannot-write", "cannot write %s: %s", path, strerror(-rc)) : 0;
}

int seed_write(const struct seed *s, const char *path, struct err *e)
{
	struct disk_image d = { .data = calloc(SECTORS, SECTOR), .cluster = 2 };
	char *meta = seed_meta_data(s), *user = seed_user_data(s);
	int rc = 0;

	if (!d.data || !meta || !user) {
		rc = err_set(e, ENOMEM, "no-memory", "out of memory");
	} else {
		boot_sector(d.data);
		set_fat(&d, 0, 0xf00 | MEDIUM);
		set_fat(&d, 1, CHAIN_END);
		d.entry = d.data + (DATA - 1) * SECTOR;
		memcpy(d.entry, SEED_LABEL "     ", 11);
		d.entry[11] = VOLUME;
		d.entry += ENTRY;
		if (!put_file(&d, "meta-data", "META-D~1   ", meta) || !put_file(&d, "user-data", "USER-D~1   ", user))
			rc = err_set(e, EFBIG, "bad-key", "the keys are too long: there is room for 1 MiB");
		else
			rc = write_file(path, d.data, e);
	}
	free(d.data);
	free(meta);
	free(user);
	return rc;
}
