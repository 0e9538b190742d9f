/* SPDX-License-Identifier: MIT */
/* Unit tests: the store daemon's answers. */
/* sources: tools/stored/mem.c tools/stored/log.c tools/stored/names.c tools/stored/path.c tools/stored/quota.c tools/stored/domain.c tools/stored/perms.c tools/stored/node.c tools/stored/txn.c tools/stored/watch.c tools/stored/conn.c tools/stored/request.c tools/stored/request_tree.c tools/stored/request_client.c tools/stored/control.c tools/stored/ring.c tools/stored/journal.c tools/stored/persist.c tools/stored/load.c tools/stored/loop.c tools/lib/logfile.c */
/* cflags: -Wno-unused-parameter */
/* libs: -lz */
#include "test.h"
#include "stored_env.h"

static void start(void)
{
	env_init();
	CHECK_EQ(daemon_start(NULL), 0);
}

TEST(nodes)
{
	start();
	CHECK_STR(get(0, 0, "/a"), "ENOENT");
	CHECK_STR(put(0, 0, "/a/b/c", "hello"), "OK");
	CHECK_STR(get(0, 0, "/a/b/c"), "hello");
	CHECK_STR(get(0, 0, "/a/b"), "");
	CHECK_EQ(answer.head.type, XS_READ);
	CHECK_STR(put(0, 0, "/a/b/c", ""), "OK");
	CHECK_STR(get(0, 0, "/a/b/c"), "");
	CHECK_STR(call1(0, XS_MKDIR, 0, "/a/d"), "OK");
	put(0, 0, "/a/d", "kept");
	CHECK_STR(call1(0, XS_MKDIR, 0, "/a/d"), "OK");
	CHECK_STR(get(0, 0, "/a/d"), "kept");
	put(0, 0, "/a/0", "");
	CHECK_STR(list(0, 0, "/a"), "b d 0 ");
	CHECK_STR(list(0, 0, "/a/d"), "");
	CHECK_EQ(answer.head.type, XS_DIRECTORY);
	CHECK_STR(call1(0, XS_RM, 0, "/a/b"), "OK");
	CHECK_STR(get(0, 0, "/a/b/c"), "ENOENT");
	CHECK_STR(list(0, 0, "/a"), "d 0 ");
	CHECK_STR(call1(0, XS_RM, 0, "/a/b"), "OK");
	CHECK_STR(call1(0, XS_RM, 0, "/x/y"), "ENOENT");
	CHECK_STR(call1(0, XS_RM, 0, "/"), "EINVAL");
	CHECK_STR(put(0, 0, "rel", "1"), "OK");
	CHECK_STR(get(0, 0, "/local/domain/0/rel"), "1");
}

TEST(values_are_bytes)
{
	char body[4096] = "/v", all[256];

	start();
	for (int i = 0; i < 256; i++)
		body[3 + i] = all[i] = (char)i;
	CHECK_STR(client_call(0, XS_WRITE, 0, body, 3 + 256), "OK");
	get(0, 0, "/v");
	CHECK_EQ(answer.head.len, 256);
	CHECK(memcmp(answer.body, all, 256) == 0);
	memset(body + 3, 'x', sizeof(body) - 3);
	CHECK_STR(client_call(0, XS_WRITE, 0, body, 4096), "OK");
	get(0, 0, "/v");
	CHECK_EQ(answer.head.len, 4093);
}

TEST(bad_requests)
{
	static const char *const paths[] = { "", "/a/", "//", "/a//b", "/a b", "/a:b", "@x", "/\xff", "a/" };
	char longest[4000];

	start();
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		CHECK_STR(get(0, 0, paths[i]), "EINVAL");
		CHECK_STR(put(0, 0, paths[i], "x"), "EINVAL");
	}
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[2049] = '\0';
	CHECK_STR(put(0, 0, longest, "x"), "EINVAL");
	longest[2048] = '\0';
	CHECK_STR(put(0, 0, longest, "x"), "OK");
	CHECK_STR(client_call(0, XS_READ, 0, "/a", 2), "EINVAL");
	CHECK_STR(client_call(0, XS_READ, 0, "/\0", 3), "EINVAL");
	CHECK_STR(client_call(0, XS_READ, 0, "", 0), "EINVAL");
	CHECK_STR(client_call(0, XS_WRITE, 0, "/a", 2), "EINVAL");
	CHECK_STR(client_call(0, XS_SET_PERMS, 0, "/\0n", 4), "EINVAL");
	CHECK_STR(client_call(0, XS_SET_PERMS, 0, "/\0n0", 4), "EINVAL");
	CHECK_STR(perms(0, 0, "/", "x0", NULL), "EINVAL");
	CHECK_STR(perms(0, 0, "/", "n-1", NULL), "EINVAL");
	CHECK_STR(perms(0, 0, "/", "n32752", NULL), "EINVAL");
	CHECK_STR(client_call(0, XS_SET_PERMS, 0, "/", 2), "EINVAL");
	CHECK_STR(client_call(0, XS_WATCH, 0, "/a", 3), "EINVAL");
	CHECK_STR(client_call(0, XS_INTRODUCE, 0, "1", 2), "EINVAL");
	CHECK_STR(client_call(0, XS_INTRODUCE, 0, "5\0" "80\0" "6", 7), "EINVAL");
	CHECK_STR(client_call(0, 99, 0, "", 0), "ENOSYS");
	CHECK_STR(client_call(0, XS_ERROR, 0, "", 0), "ENOSYS");
	CHECK_STR(client_call(0, 20, 0, "", 0), "ENOSYS");
	CHECK_STR(get(0, 77, "/"), "ENOENT");
	CHECK_STR(client_call(0, XS_TRANSACTION_END, 0, "T", 2), "ENOENT");
	CHECK_STR(client_call(0, XS_TRANSACTION_END, begin(0), "X", 2), "EINVAL");
}

TEST(long_listings_come_in_parts)
{
	static bool seen[600];
	char path[64], offset_text[16];
	size_t offset = 0;
	int n = 0;

	start();
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "/dir/child-number-%d", i);
		put(0, 0, path, "");
	}
	CHECK_STR(list(0, 0, "/dir"), "E2BIG");
	for (bool last = false; !last;) {
		snprintf(offset_text, sizeof(offset_text), "%zu", offset);
		call2(0, XS_DIRECTORY_PART, 0, "/dir", offset_text);
		CHECK_EQ(answer.head.type, XS_DIRECTORY_PART);
		const char *p = answer.body + strlen(answer.body) + 1, *end = answer.body + answer.head.len;

		for (; p < end; p += strlen(p) + 1) {
			if (!*p) {
				last = true;
				continue;
			}
			int i = -1;

			sscanf(p, "child-number-%d", &i);
			CHECK(i >= 0 && !seen[i]);
			seen[i] = true;
			offset += strlen(p) + 1;
			n++;
		}
	}
	CHECK_EQ(n, 600);
	CHECK_STR(call2(0, XS_DIRECTORY_PART, 0, "/dir", "x"), "EINVAL");
	call2(0, XS_DIRECTORY_PART, 0, "/dir", "99999999999");
	CHECK_EQ(answer.head.len, strlen(answer.body) + 2);
}

TEST(permissions)
{
	start();
	guest_start(1);
	guest_start(2);
	CHECK_STR(get(1, 0, "/"), "EACCES");
	CHECK_STR(get(1, 0, "/local/domain/1/name"), "ENOENT");
	CHECK_STR(get(1, 0, "/local/domain/2/name"), "EACCES");
	CHECK_STR(put(1, 0, "/local/domain/1/name", "x"), "EACCES");
	CHECK_STR(put(1, 0, "data/x/y", "mine"), "OK");
	CHECK_STR(get(1, 0, "/local/domain/1/data/x/y"), "mine");
	CHECK_STR(get(0, 0, "/local/domain/1/data/x/y"), "mine");
	CHECK_STR(get(2, 0, "/local/domain/1/data/x/y"), "EACCES");
	CHECK_STR(list(2, 0, "/local/domain/1/data"), "EACCES");
	CHECK_STR(call1(2, XS_RM, 0, "/local/domain/1/data/x"), "EACCES");

	/* The owner gives and takes. */
	CHECK_STR(perms(1, 0, "data/x/y", "n1", "r2"), "OK");
	CHECK_STR(get(2, 0, "/local/domain/1/data/x/y"), "mine");
	CHECK_STR(put(2, 0, "/local/domain/1/data/x/y", "theirs"), "EACCES");
	CHECK_STR(perms(2, 0, "/local/domain/1/data/x/y", "n1", "b2"), "EACCES");
	CHECK_STR(perms(1, 0, "data/x/y", "n1", "b2"), "OK");
	CHECK_STR(put(2, 0, "/local/domain/1/data/x/y", "theirs"), "OK");
	CHECK_STR(perms(1, 0, "data/x/y", "n2", NULL), "EPERM");
	CHECK_STR(perms(1, 0, "data/x/y", "w1", NULL), "OK");
	CHECK_STR(get(2, 0, "/local/domain/1/data/x/y"), "EACCES");
	CHECK_STR(put(2, 0, "/local/domain/1/data/x/y", "w"), "OK");

	/* A guest owns what it makes under another's node; the rest is inherited. */
	perms(1, 0, "data", "n1", "b2");
	CHECK_STR(put(2, 0, "/local/domain/1/data/new", "2"), "OK");
	call1(0, XS_GET_PERMS, 0, "/local/domain/1/data/new");
	CHECK_EQ(answer.head.len, 6);
	CHECK(memcmp(answer.body, "n2\0b2", 6) == 0);
	CHECK_STR(get(1, 0, "data/new"), "EACCES");

	/* What only Domain 0 may do. */
	CHECK_STR(call1(1, XS_CONTROL, 0, "check"), "EACCES");
	CHECK_STR(client_call(1, XS_INTRODUCE, 0, "2\0" "32\0" "3", 7), "EACCES");
	CHECK_STR(call1(1, XS_RELEASE, 0, "2"), "EACCES");
	CHECK_STR(call1(1, XS_RESUME, 0, "2"), "EACCES");
	CHECK_STR(call2(1, XS_SET_TARGET, 0, "1", "2"), "EACCES");
	CHECK_STR(perms(1, 0, "@releaseDomain", "r0", NULL), "EACCES");

	/* Another domain's rights. */
	CHECK_STR(call2(0, XS_SET_TARGET, 0, "1", "2"), "OK");
	put(2, 0, "data/secret", "s");
	CHECK_STR(get(1, 0, "/local/domain/2/data/secret"), "s");
}

TEST(watches)
{
	start();
	guest_start(1);
	put(0, 0, "/w/a", "");
	CHECK_STR(call2(0, XS_WATCH, 0, "/w", "tok"), "OK");
	CHECK_STR(client_events(0), "/w tok ");
	CHECK_STR(call2(0, XS_WATCH, 0, "/w", "tok"), "EEXIST");
	CHECK_STR(call2(0, XS_WATCH, 0, "/w", "other"), "OK");
	CHECK_STR(call2(0, XS_UNWATCH, 0, "/w", "other"), "OK");
	CHECK_STR(call2(0, XS_UNWATCH, 0, "/w", "other"), "ENOENT");
	client_events(0);
	put(0, 0, "/w", "1");
	put(0, 0, "/w/a", "1");
	put(0, 0, "/w/b/c/d", "1");
	put(0, 0, "/ww", "1");
	put(0, 0, "/v", "1");
	CHECK_STR(client_events(0), "/w tok /w/a tok /w/b/c/d tok ");
	call2(0, XS_WATCH, 0, "/w/b/c", "deep");
	client_events(0);
	call1(0, XS_RM, 0, "/w/b");
	CHECK_STR(client_events(0), "/w/b/c deep /w/b tok ");
	perms(0, 0, "/w/a", "r0", NULL);
	call1(0, XS_MKDIR, 0, "/w/new");
	call1(0, XS_MKDIR, 0, "/w/new");
	CHECK_STR(client_events(0), "/w/a tok /w/new tok ");

	/* Relative ones hear relative paths; only of what they may read. */
	CHECK_STR(call2(1, XS_WATCH, 0, "data", "rel"), "OK");
	CHECK_STR(call2(1, XS_WATCH, 0, "/w", "secret"), "OK");
	CHECK_STR(client_events(1), "data rel /w secret ");
	put(0, 0, "/local/domain/1/data/q", "1");
	put(0, 0, "/w/x", "1");
	CHECK_STR(client_events(1), "data/q rel ");
	put(1, 0, "data/own", "1");
	call1(1, XS_RM, 0, "data/own");
	CHECK_STR(client_events(1), "data/own rel data/own rel ");
	client_call(1, XS_RESET_WATCHES, 0, "", 1);
	put(0, 0, "/local/domain/1/data/q", "2");
	CHECK_STR(client_events(1), "");
}

TEST(special_watches)
{
	start();
	CHECK_STR(call2(0, XS_WATCH, 0, "@introduceDomain", "in"), "OK");
	CHECK_STR(call2(0, XS_WATCH, 0, "@releaseDomain", "out"), "OK");
	CHECK_STR(call2(0, XS_WATCH, 0, "/", "root"), "OK");
	CHECK_STR(client_events(0), "@introduceDomain in @releaseDomain out / root ");
	guest_start(1);
	call2(0, XS_UNWATCH, 0, "/", "root");
	CHECK(strstr(client_events(0), "@introduceDomain in "));
	CHECK_STR(call2(1, XS_WATCH, 0, "@releaseDomain", "x"), "OK");
	client_events(1);
	guest_start(2);
	client_events(0);
	CHECK_STR(call1(0, XS_IS_DOMAIN_INTRODUCED, 0, "2"), "T");
	CHECK_STR(call1(0, XS_RELEASE, 0, "2"), "OK");
	CHECK(!fake[2].mapped && !fake[2].bound);
	CHECK_STR(call1(0, XS_IS_DOMAIN_INTRODUCED, 0, "2"), "F");
	CHECK_STR(call1(0, XS_RELEASE, 0, "2"), "ENOENT");
	CHECK_STR(client_events(0), "@releaseDomain out ");
	CHECK_STR(client_events(1), "");

	fake[1].shutdown = true;
	domains_check();
	domains_check();
	CHECK_STR(client_events(0), "@releaseDomain out ");
	call1(0, XS_RESUME, 0, "1");
	domains_check();
	CHECK_STR(client_events(0), "@releaseDomain out ");
	CHECK_STR(perms(0, 0, "@releaseDomain", "n0", "r1"), "OK");
	fake[1].shutdown = false;
	call1(0, XS_RESUME, 0, "1");
	fake[1].shutdown = true;
	domains_check();
	CHECK_STR(client_events(1), "@releaseDomain x ");
}

/* Guests that end one after another are looked for together. Time stands still here. */
TEST(many_ends_one_look)
{
	start();
	guest_start(1);
	call2(0, XS_WATCH, 0, "@releaseDomain", "out");
	client_events(0);
	CHECK_EQ(domains_turn(), -1);
	fake[1].shutdown = true;
	domains_event();
	CHECK_EQ(domains_turn(), -1);
	CHECK_STR(client_events(0), "@releaseDomain out ");
	fake[1].exists = false;
	domains_event();
	domains_event();
	CHECK(domains_turn() > 0);
	CHECK_STR(client_events(0), "");
	/* Another with its number comes first. */
	guest_start(1);
	CHECK_STR(client_events(0), "@releaseDomain out ");
	CHECK_EQ(domains_turn(), -1);
	domains_check();
	CHECK_STR(call1(0, XS_IS_DOMAIN_INTRODUCED, 0, "1"), "T");
	CHECK_STR(get(0, 0, "/local/domain/1/data"), "");
}

TEST(transactions)
{
	u32 a, b;

	start();
	put(0, 0, "/t/x", "0");
	put(0, 0, "/t/y", "0");
	put(0, 0, "/t/z/deep", "0");

	/* It sees its own changes, others do not. */
	a = begin(0);
	put(0, a, "/t/x", "a");
	put(0, a, "/t/new/child", "a");
	call1(0, XS_RM, a, "/t/z");
	CHECK_STR(get(0, a, "/t/x"), "a");
	CHECK_STR(list(0, a, "/t"), "x y new ");
	CHECK_STR(get(0, a, "/t/z/deep"), "ENOENT");
	CHECK_STR(get(0, 0, "/t/x"), "0");
	CHECK_STR(list(0, 0, "/t"), "x y z ");
	put(0, a, "/t/z/fresh", "a");
	CHECK_STR(list(0, a, "/t/z"), "fresh ");
	CHECK_STR(commit(0, a), "OK");
	CHECK_STR(list(0, 0, "/t"), "x y new z ");
	CHECK_STR(list(0, 0, "/t/z"), "fresh ");
	CHECK_STR(commit(0, a), "ENOENT");

	/* Given up: nothing happened. */
	a = begin(0);
	put(0, a, "/t/x", "never");
	CHECK_STR(call1(0, XS_TRANSACTION_END, a, "F"), "OK");
	CHECK_STR(get(0, 0, "/t/x"), "a");

	/* Others change what it read, wrote, or found missing. */
	a = begin(0);
	get(0, a, "/t/x");
	put(0, a, "/t/out", "1");
	put(0, 0, "/t/x", "again");
	CHECK_STR(commit(0, a), "EAGAIN");
	CHECK_STR(get(0, 0, "/t/out"), "ENOENT");
	a = begin(0);
	CHECK_STR(get(0, a, "/t/later"), "ENOENT");
	put(0, 0, "/t/later", "");
	put(0, a, "/t/out", "1");
	CHECK_STR(commit(0, a), "EAGAIN");
	a = begin(0), b = begin(0);
	put(0, a, "/t/x", "a");
	put(0, b, "/t/x", "b");
	CHECK_STR(commit(0, b), "OK");
	CHECK_STR(commit(0, a), "EAGAIN");
	a = begin(0);
	list(0, a, "/t");
	put(0, 0, "/t/one-more", "");
	CHECK_STR(commit(0, a), "EAGAIN");

	/* Others change something else, also under the same parent. */
	a = begin(0), b = begin(0);
	get(0, a, "/t/x");
	put(0, a, "/t/from-a", "1");
	put(0, b, "/t/from-b", "1");
	put(0, 0, "/t/y", "changed");
	CHECK_STR(commit(0, a), "OK");
	CHECK_STR(commit(0, b), "OK");

	/* Its parent goes away and comes back. */
	a = begin(0);
	put(0, a, "/t/z/q", "1");
	call1(0, XS_RM, 0, "/t/z");
	CHECK_STR(commit(0, a), "EAGAIN");
	CHECK_STR(client_call(0, XS_TRANSACTION_START, begin(0), "", 1), "EBUSY");
}

TEST(transaction_events_come_at_the_end)
{
	u32 a;

	start();
	put(0, 0, "/t/x", "0");
	call2(0, XS_WATCH, 0, "/t", "w");
	client_events(0);
	a = begin(0);
	put(0, a, "/t/x", "1");
	put(0, a, "/t/x", "2");
	put(0, a, "/t/n/m", "3");
	call1(0, XS_RM, a, "/t/gone");
	CHECK_STR(client_events(0), "");
	CHECK_STR(commit(0, a), "OK");
	CHECK_STR(client_events(0), "/t/x w /t/n/m w ");
	a = begin(0);
	call1(0, XS_RM, a, "/t/x");
	put(0, a, "/t/x", "new");
	call1(0, XS_RM, a, "/t/n");
	commit(0, a);
	CHECK_STR(client_events(0), "/t/x w /t/n w ");
}

TEST(quotas)
{
	static char body[4096];
	char path[64];
	u32 tx[10];
	int n = 0;

	start();
	guest_start(1);
	for (int i = 0; i < 4200; i++) {
		snprintf(path, sizeof(path), "data/n%d", i);
		n += strcmp(put(1, 0, path, ""), "OK") == 0;
	}
	CHECK_EQ(n, 3999);	/* and "data" */
	CHECK_STR(put(1, 0, "data/over/this", ""), "ENOSPC");
	CHECK_STR(get(0, 0, "/local/domain/1/data/over"), "ENOENT");
	CHECK_STR(put(1, 0, "data/n0", "old nodes can change"), "OK");
	tx[0] = begin(1);
	CHECK_STR(put(1, tx[0], "data/over", ""), "ENOSPC");
	CHECK_STR(call1(1, XS_RM, tx[0], "data/n5"), "OK");
	commit(1, tx[0]);
	CHECK_STR(put(1, 0, "data/one", ""), "OK");
	CHECK_STR(put(1, 0, "data/two", ""), "ENOSPC");
	for (int i = 0; i < 3999; i++) {
		snprintf(path, sizeof(path), "data/n%d", i);
		CHECK_STR(call1(1, XS_RM, 0, path), "OK");
	}

	strcpy(body, "data/v");
	CHECK_STR(client_call(1, XS_WRITE, 0, body, 7 + 2049), "ENOSPC");
	CHECK_STR(client_call(1, XS_WRITE, 0, body, 7 + 2048), "OK");
	CHECK_STR(client_call(1, XS_SET_PERMS, 0, "data\0n1\0r0\0r2\0r3\0r4\0r5", 23), "ENOSPC");

	for (n = 0; n < 600; n++) {
		snprintf(path, sizeof(path), "token%d", n);
		if (strcmp(call2(1, XS_WATCH, 0, "data", path), "OK") != 0)
			break;
	}
	CHECK_EQ(n, 512);
	CHECK_STR(answer.body, "E2BIG");
	client_call(1, XS_RESET_WATCHES, 0, "", 1);

	for (n = 0; n < 10; n++)
		tx[n] = begin(1);
	CHECK(tx[9]);
	CHECK_STR(client_call(1, XS_TRANSACTION_START, 0, "", 1), "ENOSPC");
	for (n = 0; n < 3000; n++) {
		snprintf(path, sizeof(path), "data/m%d", n);
		if (strcmp(get(1, tx[0], path), "ENOSPC") == 0)
			break;
	}
	CHECK(n > 1000 && n <= 1024);
	for (n = 0; n < 10; n++)
		call1(1, XS_TRANSACTION_END, tx[n], "F");

	/* Memory: one transaction that writes the same again and again. */
	tx[0] = begin(1);
	for (n = 0; n < 2000; n++) {
		if (strcmp(client_call(1, XS_WRITE, tx[0], body, 7 + 2048), "ENOMEM") == 0)
			break;
	}
	CHECK(n > 100 && n < 1100);
	call1(1, XS_TRANSACTION_END, tx[0], "F");
	CHECK_STR(put(1, 0, "data/v", "fine again"), "OK");
	CHECK(strncmp(call1(0, XS_CONTROL, 0, "check"), "OK", 2) == 0);
}

TEST(dead_domains_leave_nothing)
{
	start();
	guest_start(1);
	guest_start(2);
	call2(0, XS_WATCH, 0, "/local/domain/1/data", "w");
	call2(0, XS_WATCH, 0, "@releaseDomain", "out");
	put(1, 0, "data/x", "1");
	put(0, 0, "/shared", "s");
	perms(0, 0, "/shared", "n0", "r1");
	CHECK_STR(get(1, 0, "/shared"), "s");
	perms(2, 0, "data", "n2", "b1");
	put(1, 0, "/local/domain/2/data/by-1", "x");
	u32 open = begin(1);

	put(1, open, "data/y", "");
	client_events(0);
	fake[1].dying = true;
	domains_check();
	CHECK(!fake[1].mapped && !fake[1].bound);
	const char *told = client_events(0);

	CHECK(strstr(told, "/local/domain/1/data w") && strstr(told, "@releaseDomain out"));
	CHECK_STR(get(0, 0, "/local/domain/1/data"), "ENOENT");
	CHECK_STR(get(0, 0, "/local/domain/2/data/by-1"), "ENOENT");
	CHECK_STR(get(0, 0, "/local/domain/1"), "");

	/* The next domain with this number. */
	fake_create(1);
	CHECK_STR(client_call(0, XS_INTRODUCE, 0, "1\0" "16\0" "2", 7), "OK");
	CHECK_STR(get(1, 0, "/shared"), "EACCES");
	CHECK_STR(get(1, 0, "/local/domain/1/name"), "EACCES");
	CHECK_STR(put(1, 0, "/local/domain/2/data/again", "x"), "EACCES");

	/* Or one that took its place unseen. */
	perms(0, 0, "/shared", "n0", "r1");
	CHECK_STR(get(1, 0, "/shared"), "s");
	fake_create(1);
	domains_check();
	CHECK_STR(client_call(0, XS_INTRODUCE, 0, "1\0" "16\0" "2", 7), "OK");
	CHECK_STR(get(1, 0, "/shared"), "EACCES");

	/* Permissions for a domain that is not there yet are for nobody. */
	perms(0, 0, "/shared", "n0", "r5");
	guest_start(5);
	CHECK_STR(get(5, 0, "/shared"), "EACCES");
	CHECK(strncmp(call1(0, XS_CONTROL, 0, "check"), "OK", 2) == 0);
}

/* --- against a slow model --- */

#define PATHS 40

static char model_paths[PATHS][32];
static struct model { bool there[PATHS]; int value[PATHS]; } model;

static void model_init(void)
{
	static const char *const names[] = { "a", "b", "c" };
	int n = 0;

	for (int i = 0; i < 3; i++) {
		snprintf(model_paths[n++], 32, "/m/%s", names[i]);
		for (int j = 0; j < 3; j++) {
			snprintf(model_paths[n++], 32, "/m/%s/%s", names[i], names[j]);
			for (int k = 0; k < 3; k++)
				snprintf(model_paths[n++], 32, "/m/%s/%s/%s", names[i], names[j], names[k]);
		}
	}
	CHECK(n <= PATHS);
}

static bool below_path(const char *above, const char *path)
{
	size_t n = strlen(above);

	return strncmp(above, path, n) == 0 && path[n] == '/';
}

static void model_op(struct model *m, int op, int p, int value)
{
	if (op == 0 || (op == 1 && !m->there[p])) {
		for (int i = 0; i < PATHS; i++) {
			if (model_paths[i][0] && below_path(model_paths[i], model_paths[p]) && !m->there[i]) {
				m->there[i] = true;
				m->value[i] = -1;
			}
		}
		m->there[p] = true;
		m->value[p] = op == 0 ? value : -1;
	} else if (op == 2) {
		for (int i = 0; i < PATHS; i++)
			m->there[i] &= i != p && !below_path(model_paths[p], model_paths[i]);
	}
}

static void model_check(const struct model *m, u32 tx)
{
	char value[16];

	for (int i = 0; i < PATHS && model_paths[i][0]; i++) {
		size_t children = 0;

		snprintf(value, sizeof(value), "%d", m->value[i]);
		CHECK_STR(get(0, tx, model_paths[i]), !m->there[i] ? "ENOENT" : m->value[i] < 0 ? "" : value);
		for (int j = 0; j < PATHS; j++)
			children += m->there[j] && below_path(model_paths[i], model_paths[j]) &&
				    !strchr(model_paths[j] + strlen(model_paths[i]) + 1, '/');
		list(0, tx, model_paths[i]);
		if (m->there[i])
			CHECK_EQ(answer.head.len, children * 2);
	}
}

TEST(random_transactions_match_the_model)
{
	start();
	model_init();
	put(0, 0, "/m", "");
	for (int round = 0; round < 300 && !test_failures; round++) {
		struct model next = model;
		u32 tx = test_below(4) ? begin(0) : 0;
		int ops = 1 + (int)test_below(12);

		for (int i = 0; i < ops; i++) {
			int op = (int)test_below(3), p = (int)test_below(39);
			char value[16];

			snprintf(value, sizeof(value), "%d", round * 100 + i);
			model_op(&next, op, p, round * 100 + i);
			if (op == 0)
				CHECK_STR(put(0, tx, model_paths[p], value), "OK");
			else
				call1(0, op == 1 ? XS_MKDIR : XS_RM, tx, model_paths[p]);
		}
		if (round % 5 == 0)
			model_check(&next, tx);
		if (tx) {
			if (round % 5 == 1)
				model_check(&model, 0);
			bool keep = test_below(3);

			CHECK_STR(call1(0, XS_TRANSACTION_END, tx, keep ? "T" : "F"), "OK");
			if (!keep)
				next = model;
		}
		model = next;
		model_check(&model, 0);
	}
	CHECK(strncmp(call1(0, XS_CONTROL, 0, "check"), "OK", 2) == 0);
}
