/* SPDX-License-Identifier: MIT */
/* Unit tests: the console's byte ring, against an unbounded log. */
/* sources: core/ring.c */
#include "test.h"

#include <core/ring.h>

TEST(full_and_empty)
{
	char buf[8], c;
	struct ring r = RING_INIT(buf);

	CHECK(!ring_get(&r, &c));
	for (int i = 0; i < 8; i++)
		CHECK(ring_put(&r, (char)('a' + i)));
	CHECK(!ring_put(&r, 'x'));
	CHECK_EQ(ring_free(&r), 0);
	for (int i = 0; i < 8; i++) {
		CHECK(ring_get(&r, &c));
		CHECK_EQ(c, 'a' + i);
	}
	CHECK(!ring_get(&r, &c));
}

TEST(old_bytes_make_room)
{
	char buf[16], out[32];
	struct ring r = RING_INIT(buf);
	u64 pos = 0;

	for (int i = 0; i < 40; i++)
		ring_put_over(&r, (char)i);
	CHECK_EQ(ring_read_at(&r, &pos, out, sizeof(out)), 16);
	CHECK_EQ(pos, 40);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(out[i], 24 + i);

	pos = 1000;
	CHECK_EQ(ring_read_at(&r, &pos, out, sizeof(out)), 0);
	CHECK_EQ(pos, 40);
}

/* Readers at random positions and growth at random times see what the log says. */
TEST(random_against_log)
{
	static char log[200000];
	char *buf = malloc(16), out[64];
	struct ring r = { .buf = buf, .size = 16 };
	u64 n = 0;

	while (n < sizeof(log)) {
		u64 pos = n ? test_below(n) : 0, start;
		size_t cap = test_below(sizeof(out) + 1), got;

		for (u64 i = test_below(40); i && n < sizeof(log); i--) {
			log[n] = (char)test_random();
			ring_put_over(&r, log[n++]);
		}
		CHECK_EQ(r.head, n);
		got = ring_read_at(&r, &pos, out, cap);
		start = pos - got;
		CHECK(got <= cap && pos <= n && start + r.size >= n);
		CHECK(memcmp(out, log + start, got) == 0);
		CHECK(got == cap || pos == n);
		if (r.size < 8192 && test_below(500) == 0) {
			char *bigger = malloc(r.size * 2);
			char *old = r.buf;

			ring_grow(&r, bigger, r.size * 2);
			free(old);
		}
	}
	free(r.buf);
}
