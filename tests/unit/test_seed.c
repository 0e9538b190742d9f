/* SPDX-License-Identifier: MIT */
/* Unit tests: what a machine is told at its first start, and the disk with it. */
/* sources: tools/lib/seed.c tools/lib/seed_disk.c tools/lib/folder.c tools/lib/err.c */
/* cflags: -Wno-unused-parameter */
/* libs: -ljansson */
#include "test.h"

#include <lib/seed.h>
#include <sys/stat.h>

#define KEY	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1bq2mWkqA7Xo6jT0Y3vD2pN8kRz5uLhQe4sG9cVbXy"
#define DISK	(1u << 20)
#define DATA	(14 * 512)	/* where the first cluster is */

static struct seed seed = { .name = "web1", .instance = "i-1" };

static bool user_ok(const char *user)
{
	struct seed s = { .name = "x", .instance = "i", .user = user };
	struct err e = { 0 };
	bool ok = !seed_check(&s, &e);

	CHECK(ok || !strcmp(e.code, "bad-user"));
	return ok;
}

TEST(users)
{
	CHECK(user_ok("ada") && user_ok("_a-1") && user_ok("root"));
	CHECK(user_ok("a23456789012345678901234567890ab"));
	CHECK(!user_ok("") && !user_ok("Ada") && !user_ok("1a") && !user_ok("-a") && !user_ok("a b") && !user_ok("a\nb") && !user_ok("a:b"));
	CHECK(!user_ok("a\"b") && !user_ok("\xc3\xa4") && !user_ok("a23456789012345678901234567890abc"));
}

static bool key_ok(const char *key)
{
	json_t *keys = json_pack("[s]", key);
	struct seed s = { .name = "x", .instance = "i", .keys = keys };
	struct err e = { 0 };
	bool ok = !seed_check(&s, &e);

	CHECK(ok || !strcmp(e.code, "bad-key"));
	json_decref(keys);
	return ok;
}

TEST(keys)
{
	char *long_key = malloc(9000);

	CHECK(key_ok(KEY) && key_ok(KEY " ada@home") && key_ok(KEY " \"quoted\": [yaml] & more \xc3\xa4"));
	CHECK(!key_ok("") && !key_ok("ssh-ed25519") && !key_ok("ssh-ed25519 ") && !key_ok("ssh-ed25519 AAAA"));
	CHECK(!key_ok("command=\"rm\" " KEY) && !key_ok(KEY "\n" KEY) && !key_ok(KEY " a\nruncmd: [x]") && !key_ok(KEY "\t"));
	CHECK(!key_ok("ssh-ed25519 AAAAC3NzaC1l\nDI1NTE5AAAAIJ1bq2mWkqA7Xo6j"));
	memset(long_key, 'A', 9000);
	memcpy(long_key, "ssh-rsa ", 8);
	long_key[8999] = '\0';
	CHECK(!key_ok(long_key));
	long_key[8192] = '\0';
	CHECK(key_ok(long_key));
	free(long_key);
}

/* All that is in a value stays in it. */
TEST(text_is_only_text)
{
	json_t *keys = json_pack("[s]", KEY " x\": y\\ #\xe2\x80\xa8 z"), *j, *u;
	struct seed s = { .name = "a_b:c@d", .instance = "i\"\n", .user = "ada", .keys = keys };
	char *user = seed_user_data(&s), *meta = seed_meta_data(&s);
	struct err e;

	CHECK(!seed_check(&s, &e));
	CHECK(!strncmp(user, "#cloud-config\n", 14));
	for (const char *c = user; *c; c++)
		CHECK((*c >= ' ' && *c < 0x7f) || *c == '\n');
	j = json_loads(user + 14, 0, NULL);
	u = json_array_get(json_object_get(j, "users"), 0);
	CHECK_STR(json_string_value(json_object_get(u, "name")), "ada");
	CHECK_STR(json_string_value(json_array_get(json_object_get(u, "ssh_authorized_keys"), 0)), KEY " x\": y\\ #\xe2\x80\xa8 z");
	json_decref(j);
	j = json_loads(meta, 0, NULL);
	CHECK_STR(json_string_value(json_object_get(j, "local-hostname")), "a-b-c-d");
	CHECK_STR(json_string_value(json_object_get(j, "instance-id")), "i\"\n");
	json_decref(j);
	free(user);
	free(meta);
	json_decref(keys);
}

TEST(whose_keys)
{
	json_t *keys = json_pack("[s]", KEY);
	struct seed s = { .name = "x", .instance = "i", .keys = keys };
	char *text = seed_user_data(&s);

	CHECK(!strstr(text, "users") && strstr(text, "ssh_authorized_keys"));
	free(text);
	s.user = "root";
	text = seed_user_data(&s);
	CHECK(strstr(text, "\"disable_root\": false"));
	free(text);
	json_decref(keys);
}

static void temporary(char path[64])
{
	strcpy(path, "/tmp/test-seed-XXXXXX");
	close(mkstemp(path));
	unlink(path);
}

/* The other way: what a reader of the file system finds. */
static char *read_back(const uint8_t *d, const char *alias)
{
	for (const uint8_t *e = d + 13 * 512; *e; e += 32) {
		unsigned int cluster = e[26] | (unsigned int)e[27] << 8;
		uint32_t size = e[28] | (uint32_t)e[29] << 8 | (uint32_t)e[30] << 16, done = 0;
		char *text;

		if (memcmp(e, alias, 11) || e[11] != 1)
			continue;
		text = calloc(1, size + 512);
		while (cluster < 0xff8) {
			const uint8_t *f = d + 512 + cluster * 3 / 2;

			CHECK(cluster >= 2 && DATA + (cluster - 1) * 512 <= DISK && done < size);
			memcpy(text + done, d + DATA + (cluster - 2) * 512, 512);
			done += 512;
			CHECK(!memcmp(f, f + 6 * 512, 2));
			cluster = cluster & 1 ? f[0] >> 4 | (unsigned int)f[1] << 4 : f[0] | (f[1] & 15u) << 8;
		}
		CHECK_EQ((size + 511) / 512 * 512, done);
		text[size] = '\0';
		return text;
	}
	return NULL;
}

static uint8_t *read_disk(const char *path)
{
	uint8_t *d = malloc(DISK);
	FILE *f = fopen(path, "r");
	struct stat st;

	CHECK(!stat(path, &st) && st.st_size == DISK);
	CHECK_EQ(fread(d, 1, DISK, f), DISK);
	fclose(f);
	unlink(path);
	return d;
}

TEST(disk)
{
	char path[64], *text, *expected, *comment = malloc(3000);
	json_t *keys = json_array();
	struct seed s = seed;
	struct err e;
	uint8_t *d;

	memset(comment, 'c', 3000);
	memcpy(comment, KEY " ", strlen(KEY) + 1);
	comment[2999] = '\0';
	for (int i = 0; i < 64; i++)
		json_array_append_new(keys, json_string(comment));
	s.keys = keys;
	temporary(path);
	CHECK_EQ(seed_write(&s, path, &e), 0);
	d = read_disk(path);
	CHECK(!memcmp(d + 54, "FAT12", 5) && d[510] == 0x55 && d[511] == 0xaa && !memcmp(d + 43, "CIDATA     ", 11));
	text = read_back(d, "META-D~1   ");
	expected = seed_meta_data(&s);
	CHECK_STR(text, expected);
	free(text);
	free(expected);
	text = read_back(d, "USER-D~1   ");
	expected = seed_user_data(&s);
	CHECK_STR(text, expected);
	free(text);
	free(expected);
	free(d);
	free(comment);
	json_decref(keys);
}

TEST(too_much)
{
	char path[64], *comment = malloc(8001);
	json_t *keys = json_array();
	struct seed s = seed;
	struct stat st;
	struct err e;

	/* Each becomes six characters. */
	for (int i = 0; i < 4000; i++)
		memcpy(comment + 2 * i, "\xc3\xa4", 2);
	comment[8000] = '\0';
	for (int i = 0; i < 64; i++)
		json_array_append_new(keys, json_string(comment));
	s.keys = keys;
	temporary(path);
	CHECK(seed_write(&s, path, &e) < 0 && !strcmp(e.code, "bad-key") && stat(path, &st));
	s.keys = NULL;
	CHECK(seed_write(&s, "/nowhere/seed", &e) < 0 && !strcmp(e.code, "cannot-write"));
	free(comment);
	json_decref(keys);
}
