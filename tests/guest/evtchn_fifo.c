/* SPDX-License-Identifier: MIT */
/* Event channels in the FIFO form: control blocks, the event array, queues and priorities, and misuse. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/vcpu.h>

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED (1u << EVTCHN_FIFO_MASKED)
#define LINKED (1u << EVTCHN_FIFO_LINKED)
#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))

static struct evtchn_fifo_control_block *control;
static u64 *control_page;
static event_word_t *words[4];

static long init_control(u64 gfn, u32 offset, u32 vcpu, u8 *link_bits)
{
	struct evtchn_init_control op = { .control_gfn = gfn, .offset = offset, .vcpu = vcpu };
	long rc = HCALL(event_channel_op, EVTCHNOP_init_control, &op);

	if (link_bits)
		*link_bits = op.link_bits;
	return rc;
}

static long expand_array(u64 gfn)
{
	return HCALL(event_channel_op, EVTCHNOP_expand_array, &(struct evtchn_expand_array){ .array_gfn = gfn });
}

static long set_priority(u32 port, u32 priority)
{
	struct evtchn_set_priority op = { .port = port, .priority = priority };

	return HCALL(event_channel_op, EVTCHNOP_set_priority, &op);
}

TEST(before_control_block)
{
	u64 *page = page_alloc();
	long port = event_bind_ipi(0);

	CHECK_LT(expand_array(virt_to_mfn(page)), 0);
	CHECK_LT(set_priority((u32)port, 3), 0);
	CHECK_EQ(event_close((u32)port), 0);
	page_free(page);
}

TEST(init_control_refused)
{
	u64 *table = table_alloc(), *page = page_alloc();

	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table), 0), 0);
	CHECK_LT(init_control(virt_to_mfn(table), 0, 0, NULL), 0);
	CHECK_LT(init_control(virt_to_mfn(current_l4()), 0, 0, NULL), 0);
	CHECK_LT(init_control(0x100, 0, 0, NULL), 0);
	CHECK_LT(init_control(~0ul, 0, 0, NULL), 0);
	/* Misaligned, over the end of the page, no such vCPU. */
	CHECK_LT(init_control(virt_to_mfn(page), 4, 0, NULL), 0);
	CHECK_LT(init_control(virt_to_mfn(page), PAGE_SIZE - 64, 0, NULL), 0);
	CHECK_LT(init_control(virt_to_mfn(page), 0xfffffff8, 0, NULL), 0);
	CHECK_LT(init_control(virt_to_mfn(page), 0, 4000, NULL), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), 0);
	table_free(table);
	WRITE_ONCE(page[0], 1);
	WRITE_ONCE(page[0], 0);
	/* None of the failures kept hold of the page. */
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	table_free(page);
}

TEST(switch_to_fifo)
{
	/* A port that was pending in the two-level form is pending afterwards. */
	long port = event_bind_ipi(0);
	u8 link_bits = 0;

	REQUIRE(port > 0);
	event_mask((u32)port, true);
	event_clear((u32)port);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK(event_pending((u32)port));

	control_page = page_alloc();
	control = (void *)control_page;
	REQUIRE_EQ(init_control(virt_to_mfn(control_page), 0, 0, &link_bits), 0);
	CHECK_EQ(link_bits, EVTCHN_FIFO_LINK_BITS);
	words[0] = page_alloc();
	for (unsigned i = 0; i < WORDS_PER_PAGE; i++)
		words[0][i] = MASKED;
	REQUIRE_EQ(expand_array(virt_to_mfn(words[0])), 0);
	/* Kept by the hypervisor: neither page may become a table. */
	CHECK_EQ(page_protect(control_page, false), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(control_page), 0), 0);
	CHECK_EQ(page_protect(control_page, true), 0);
	CHECK_EQ(page_protect(words[0], false), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(words[0]), 0), 0);
	CHECK_EQ(page_protect(words[0], true), 0);
	CHECK_EQ(event_close((u32)port), 0);
}

/* Takes the first event off a queue: its port, or 0. */
static u32 take(unsigned priority)
{
	u32 port = READ_ONCE(control->head[priority]);
	event_word_t *w = &words[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
	u32 old, new;

	if (!port || !(READ_ONCE(control->ready) & 1u << priority))
		return 0;
	do {
		old = READ_ONCE(*w);
		new = old & ~(LINKED | (u32)EVTCHN_FIFO_LINK_MASK);
	} while (!__atomic_compare_exchange_n(w, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	WRITE_ONCE(control->head[priority], old & EVTCHN_FIFO_LINK_MASK);
	if (!(old & EVTCHN_FIFO_LINK_MASK))
		__atomic_and_fetch(&control->ready, ~(1u << priority), __ATOMIC_SEQ_CST);
	__atomic_and_fetch(w, ~PENDING, __ATOMIC_SEQ_CST);
	return port;
}

static event_word_t *word(u32 port)
{
	return &words[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

static void unmask(u32 port)
{
	__atomic_and_fetch(word(port), ~MASKED, __ATOMIC_SEQ_CST);
}

static void drain(void)
{
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_pending, 0);
	for (unsigned p = 0; p < EVTCHN_FIFO_MAX_QUEUES; p++)
		while (take(p))
			;
}

TEST(one_event)
{
	long port = event_bind_ipi(0);

	REQUIRE(port > 0 && control);
	drain();
	unmask((u32)port);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK_EQ(READ_ONCE(*word((u32)port)) & (PENDING | LINKED | MASKED), PENDING | LINKED);
	CHECK_EQ(READ_ONCE(control->ready), 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
	CHECK_EQ(READ_ONCE(control->head[EVTCHN_FIFO_PRIORITY_DEFAULT]), port);
	CHECK_EQ(this_cpu()->info->evtchn_upcall_pending, 1);
	CHECK_EQ(take(EVTCHN_FIFO_PRIORITY_DEFAULT), port);
	CHECK_EQ(READ_ONCE(*word((u32)port)), 0);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(masked_event)
{
	long port = event_bind_ipi(0);

	REQUIRE(port > 0 && control);
	drain();
	__atomic_or_fetch(word((u32)port), MASKED, __ATOMIC_SEQ_CST);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK_EQ(READ_ONCE(*word((u32)port)) & (PENDING | LINKED | MASKED), PENDING | MASKED);
	CHECK_EQ(this_cpu()->info->evtchn_upcall_pending, 0);
	CHECK_EQ(event_unmask((u32)port), 0);
	CHECK_EQ(READ_ONCE(*word((u32)port)) & (PENDING | LINKED | MASKED), PENDING | LINKED);
	CHECK_EQ(take(EVTCHN_FIFO_PRIORITY_DEFAULT), port);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(order)
{
	u32 ports[20];

	REQUIRE(control != NULL);
	drain();
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		ports[i] = (u32)event_bind_ipi(0);
		unmask(ports[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		CHECK_EQ(event_send(ports[i]), 0);
	/* Sent again while linked: stays in its place. */
	CHECK_EQ(event_send(ports[3]), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		CHECK_EQ(take(EVTCHN_FIFO_PRIORITY_DEFAULT), ports[i]);
	CHECK_EQ(take(EVTCHN_FIFO_PRIORITY_DEFAULT), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		CHECK_EQ(event_close(ports[i]), 0);
}

TEST(priorities)
{
	long port = event_bind_ipi(0);

	REQUIRE(port > 0 && control);
	drain();
	unmask((u32)port);
	for (u32 p = EVTCHN_FIFO_PRIORITY_MAX; p <= EVTCHN_FIFO_PRIORITY_MIN; p++) {
		CHECK_EQ(set_priority((u32)port, p), 0);
		CHECK_EQ(event_send((u32)port), 0);
		CHECK_EQ(READ_ONCE(control->ready), 1u << p);
		CHECK_EQ(take(p), port);
	}
	CHECK_EQ(set_priority((u32)port, EVTCHN_FIFO_PRIORITY_MIN + 1), -XEN_EINVAL);
	CHECK_EQ(set_priority((u32)port, ~0u), -XEN_EINVAL);
	CHECK_LT(set_priority(1023, 3), 0);
	CHECK_LT(set_priority(~0u, 3), 0);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(expand)
{
	/*
	 * One page of words is 1024 ports; more need another page. Without it further ports may be refused, or handed out
	 * to lose their events until the page comes, as Xen does.
	 */
	static u32 ports[1100];
	unsigned n = 0;
	u32 high = 0;

	REQUIRE(control != NULL);
	drain();
	for (; n < ARRAY_SIZE(ports); n++) {
		long p = event_bind_ipi(0);

		if (p < 0) {
			CHECK_EQ(p, -XEN_ENOSPC);
			/* Other domains have two more ports than Domain 0. */
			CHECK_EQ(n, WORDS_PER_PAGE - (privileged() ? 1 : 3));
			break;
		}
		ports[n] = (u32)p;
	}
	if (n == ARRAY_SIZE(ports))
		CHECK_EQ(event_send(ports[n - 1]), 0);
	words[1] = page_alloc();
	CHECK_LT(expand_array(0x100), 0);
	CHECK_LT(expand_array(~0ul), 0);
	CHECK_LT(expand_array(virt_to_mfn(current_l4())), 0);
	REQUIRE_EQ(expand_array(virt_to_mfn(words[1])), 0);
	high = n < ARRAY_SIZE(ports) ? (u32)event_bind_ipi(0) : ports[n - 2];
	CHECK_GE(high, WORDS_PER_PAGE);
	CHECK_LT(high, 2 * WORDS_PER_PAGE);
	drain();
	unmask(high);
	CHECK_EQ(event_send(high), 0);
	CHECK_EQ(take(EVTCHN_FIFO_PRIORITY_DEFAULT), high);
	if (n < ARRAY_SIZE(ports))
		CHECK_EQ(event_close(high), 0);
	for (unsigned i = 0; i < n; i++)
		if (event_close(ports[i]))
			CHECK_EQ(i, n);
}

TEST(control_block_twice)
{
	u64 *page = page_alloc();

	REQUIRE(control != NULL);
	CHECK_LT(init_control(virt_to_mfn(page), 0, 0, NULL), 0);
	page_free(page);
}

TEST(garbage_in_words)
{
	/* The guest writes anything into the words and the queues; the hypervisor must not follow it anywhere. */
	long a = event_bind_ipi(0), b = event_bind_ipi(0);
	u64 seed = 12345;

	REQUIRE(a > 0 && b > 0 && control);
	for (unsigned i = 0; i < 2000; i++) {
		seed = seed * 6364136223846793005ul + 1442695040888963407ul;
		WRITE_ONCE(*word((u32)a), (u32)(seed >> 32) & ~MASKED);
		WRITE_ONCE(control->head[i % 16], (u32)(seed >> 16));
		CHECK_EQ(event_send((u32)a), 0);
		WRITE_ONCE(*word((u32)b), (u32)(seed >> 8));
		CHECK_EQ(event_send((u32)b), 0);
		event_unmask((u32)b);
		set_priority((u32)a, i % 16);
	}
	WRITE_ONCE(*word((u32)a), MASKED);
	WRITE_ONCE(*word((u32)b), MASKED);
	memset(control->head, 0, sizeof(control->head));
	control->ready = 0;
	CHECK_EQ(event_close((u32)a), 0);
	CHECK_EQ(event_close((u32)b), 0);
}

TEST(second_vcpu)
{
	struct evtchn_fifo_control_block *other;
	u64 *page;
	long port;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	REQUIRE(control != NULL);
	/* A port bound to a vCPU that has no control block yet: the event may be lost, or wait in its word. */
	port = event_bind_ipi(1);
	REQUIRE(port > 0);
	unmask((u32)port);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK(!(READ_ONCE(*word((u32)port)) & LINKED));
	page = page_alloc();
	other = (void *)((u8 *)page + 2048);
	CHECK_EQ(init_control(virt_to_mfn(page), 2048, 1, NULL), 0);
	WRITE_ONCE(*word((u32)port), 0);
	WRITE_ONCE(other->ready, 0);
	memset(other->head, 0, sizeof(other->head));
	CHECK_EQ(event_send((u32)port), 0);
	CHECK_EQ(READ_ONCE(other->ready), 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
	CHECK_EQ(READ_ONCE(other->head[EVTCHN_FIFO_PRIORITY_DEFAULT]), port);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(reset_goes_back)
{
	struct evtchn_reset op = { .dom = DOMID_SELF };
	long port;

	REQUIRE(control != NULL);
	CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_reset, &op), 0);
	/* Two-level again, and the pages are free of the hypervisor. */
	CHECK_EQ(page_protect(control_page, false), 0);
	CHECK_EQ(page_protect(control_page, true), 0);
	port = event_bind_ipi(0);
	REQUIRE(port > 0);
	event_clear((u32)port);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK(event_pending((u32)port));
	CHECK_EQ(event_close((u32)port), 0);
	memset(control_page, 0, PAGE_SIZE);
	CHECK_EQ(page_protect(control_page, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(control_page), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(control_page), 0), 0);
	table_free(control_page);
}
