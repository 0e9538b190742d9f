/* SPDX-License-Identifier: MIT */
/* Fuzzing: the store daemon's state file. What is accepted is a state that, written and read again, is the same. */
/* sources: tools/stored/mem.c tools/stored/log.c tools/stored/names.c tools/stored/path.c tools/stored/quota.c tools/stored/domain.c tools/stored/perms.c tools/stored/node.c tools/stored/txn.c tools/stored/watch.c tools/stored/conn.c tools/stored/request.c tools/stored/request_tree.c tools/stored/request_client.c tools/stored/control.c tools/stored/ring.c tools/stored/journal.c tools/stored/persist.c tools/stored/load.c tools/stored/loop.c tools/lib/logfile.c */
/* cflags: -I../unit */
/* libs: -lz */
/* flags: -max_len=2048 */
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

static void keep(struct bytes *b)
{
}

/* The order of domains means nothing; targets are known before their own turn comes. */
static void sort_domains(void)
{
	struct domain *d, *next, *before;
	struct list sorted = LIST_INIT(sorted);

	list_for_each_entry_safe(d, next, &domains, all) {
		list_del(&d->all);
		list_for_each_entry(before, &sorted, all) {
			if (before->domid > d->domid)
				break;
		}
		list_add_before(&before->all, &d->all);
	}
	list_splice_tail(&domains, &sorted);
}

static void read_state(const void *items, size_t len)
{
	struct reader r = { items, len, false };
	size_t nodes;
	u64 epoch;

	persist_load(&r);
	persist_loaded(&epoch);
	REQUIRE(!node_audit(&nodes));
	sort_domains();
}

/* As if the daemon had not started yet. */
static void forget(void)
{
	static const char *const specials[] = { WATCH_INTRODUCE, WATCH_RELEASE };
	struct domain *own = domain_get(0, true), *d;

	ring_close(own);
	REQUIRE(domain_aim(own, NULL) == 0);
	own->introduced = own->shutdown = own->identified = false;
	memset(own->handle, 0, sizeof(own->handle));
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		perms_put(*watch_special_perms(specials[i]));
		*watch_special_perms(specials[i]) = perms_parse("n0", 3);
	}

	struct txn *t = txn_begin(NULL, NULL, 0);

	REQUIRE(txn_put(t, "/", "", 0, *watch_special_perms(WATCH_RELEASE)) == 0);
	while (!list_empty(&node_root.name.children)) {
		char path[PATH_BUFFER];

		name_path(list_entry(node_root.name.children.next, struct name, siblings), path, sizeof(path));
		txn_remove(t, path);
		REQUIRE(txn_commit(t) == 0);
		txn_free(t);
		t = txn_begin(NULL, NULL, 0);
		REQUIRE(txn_put(t, "/", "", 0, *watch_special_perms(WATCH_RELEASE)) == 0);
	}
	REQUIRE(txn_commit(t) == 0);
	txn_free(t);
	while (domains.next != domains.prev) {
		list_for_each_entry(d, &domains, all) {
			if (d != own)
				break;
		}
		domain_died(d);
	}
	domain_put(own);
	REQUIRE(own->node_count == 1 && !own->watch_count && !own->txn_count && own->memory == node_size(0));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct bytes first = { 0 }, second = { 0 };

	if (!fake) {
		struct domain *own;

		env_init();
		domain_init(0);
		own = domain_get(0, true);
		watch_init();
		node_init(own);
		domain_put(own);
	}
	read_state(data, size);
	persist_snapshot(&first, keep);
	forget();
	read_state(bytes_at(&first), bytes_len(&first));
	persist_snapshot(&second, keep);
	REQUIRE(bytes_len(&first) == bytes_len(&second) && memcmp(bytes_at(&first), bytes_at(&second), bytes_len(&first)) == 0);
	bytes_free(&first);
	bytes_free(&second);
	forget();
	return 0;
}
