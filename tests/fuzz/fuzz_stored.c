/* SPDX-License-Identifier: MIT */
/* Fuzzing: the store daemon as its clients reach it. Answers are well formed, the books right; of clients that end nothing stays. */
/* sources: tools/stored/mem.c tools/stored/log.c tools/stored/names.c tools/stored/path.c tools/stored/quota.c tools/stored/domain.c tools/stored/perms.c tools/stored/node.c tools/stored/txn.c tools/stored/watch.c tools/stored/conn.c tools/stored/request.c tools/stored/request_tree.c tools/stored/request_client.c tools/stored/control.c tools/stored/ring.c tools/stored/journal.c tools/stored/persist.c tools/stored/load.c tools/stored/loop.c tools/lib/logfile.c */
/* cflags: -I../unit */
/* libs: -lz */
/* flags: -max_len=512 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_FAIL(...)		abort()
#define CHECK_STR(a, b)		do { if (strcmp(a, b) != 0) abort(); } while (0)
#define REQUIRE(condition)	do { if (!(condition)) abort(); } while (0)

#include <stored/path.h>
#include <stored/txn.h>
#include "stored_env.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* A byte of the input below the number of these stands for one of them, which may hold a NUL; others stand for themselves. */
static const struct { const char *text; size_t len; } words[] = {
#define W(s) { s, sizeof(s) - 1 }
	W("\0"), W("/"), W("a"), W("b"), W("c"), W("data"), W("data/"), W("/local/domain/1/data"), W("/local/domain/2/data"), W("/local/domain/"),
	W("/a/b"), W("/a/b/c"), W("n0\0"), W("n1\0"), W("r1\0"), W("b2\0"), W("w2\0"), W("n5\0"), W("@releaseDomain"), W("@introduceDomain"),
	W("token"), W("T\0"), W("F\0"), W("0\0"), W("1\0"), W("2\0"), W("16\0"), W("32\0"), W("3\0"), W("4096"), W("check\0"), W("quota\0"),
#undef W
};

static const u8 *in, *in_end;

static u8 take(void)
{
	return in < in_end ? *in++ : 0;
}

/* Read all that has come, without waiting. */
static void drain(u16 domid)
{
	struct xenstore_domain_interface *page = &fake[domid].page;
	struct message m;

	for (int i = 0; i < 4; i++) {
		daemon_round();
		while (page->rsp_prod != page->rsp_cons) {
			client_receive(domid, &m);
			if (m.head.type == XS_WATCH_EVENT)
				REQUIRE(strlen(m.body) + strlen(m.body + strlen(m.body) + 1) + 2 == m.head.len);
			if (m.head.type == XS_ERROR)
				REQUIRE(m.head.len == strlen(m.body) + 1);
		}
	}
}

static void request(u16 domid)
{
	char body[XENSTORE_PAYLOAD_MAX];
	u32 type = take() % (XS_TYPE_COUNT + 1), tx = take() % 4, n = take() % 24;
	size_t len = 0;

	/* The daemon's log stays where it is. */
	if (type == XS_CONTROL)
		n = min(n, 1U);
	for (u32 i = 0; i < n; i++) {
		u8 c = take();
		const char *text = c < ARRAY_SIZE(words) ? words[c].text : (char *)&c;
		size_t text_len = c < ARRAY_SIZE(words) ? words[c].len : 1;

		memcpy(body + len, text, text_len);
		len += text_len;
	}
	client_send(domid, type, tx, 1, body, (u32)len);
	drain(domid);
}

/* Domain 1 writes what it likes into its page, and then, since that breaks its ring, connects anew. */
static void vandalize(void)
{
	struct xenstore_domain_interface *page = &fake[1].page;
	u8 *bytes = (u8 *)page;

	for (u32 n = take() % 16; n; n--) {
		u32 at = (u32)(take() | take() << 8) % sizeof(*page);

		bytes[at] = take();
		client_notify(1);
		daemon_round();
	}
	page->connection = XENSTORE_RECONNECT;
	client_notify(1);
	daemon_round();
}

static void guest(u16 domid)
{
	fake[domid].exists = false;
	domains_check();
	guest_start(domid);
}

/* Back to an empty store; what domain 0 is charged for then is a root without a value. */
static void clean_up(void)
{
	const struct domain *own = domain_find(0);

	for (u16 i = 1; i < DOMS; i++)
		fake[i].exists = false;
	domains_check();
	drain(0);
	client_call(0, XS_RESET_WATCHES, 0, "", 1);
	drain(0);
	perms(0, 0, "/", "n0", NULL);
	perms(0, 0, WATCH_RELEASE, "n0", NULL);
	perms(0, 0, WATCH_INTRODUCE, "n0", NULL);
	put(0, 0, "/", "");
	while (!list_empty(&node_root.name.children)) {
		char path[PATH_BUFFER];

		name_path(list_entry(node_root.name.children.next, struct name, siblings), path, sizeof(path));
		call1(0, XS_RM, 0, path);
	}
	REQUIRE(own->node_count == 1 && !own->watch_count && !own->txn_count && own->memory == node_size(0));
	REQUIRE(domains.next == &own->all && domains.prev == &own->all);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	size_t nodes;

	if (!fake) {
		env_init();
		REQUIRE(daemon_start(NULL) == 0);
	}
	in = data;
	in_end = data + size;
	guest(1);
	guest(2);
	while (in < in_end) {
		u8 what = take();

		if (what < 192)
			request(what % 3);
		else if (what < 208)
			vandalize();
		else if (what < 216)
			guest(1 + what % 2);
		else
			drain(what % 3);
		/* A guest may have been released. */
		for (u16 i = 1; i < 3; i++) {
			if (!domain_find(i) || !domain_find(i)->conn)
				guest(i);
		}
	}
	REQUIRE(!node_audit(&nodes));
	clean_up();
	return 0;
}
