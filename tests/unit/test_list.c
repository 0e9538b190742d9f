/* SPDX-License-Identifier: MIT */
/* Unit tests: intrusive list. */
/* sources: */
#include "test.h"

#include <lib/list.h>

struct item {
	int value;
	struct list node;
};

static void expect(struct list *head, const int *values, int n)
{
	struct item *it;
	int i = 0;

	list_for_each_entry(it, head, node) {
		CHECK(i < n);
		if (i >= n)
			return;
		CHECK_EQ(it->value, values[i++]);
	}
	CHECK_EQ(i, n);

	/* The same backwards. */
	struct list *l = head->prev;

	while (i--) {
		CHECK_EQ(list_entry(l, struct item, node)->value, values[i]);
		l = l->prev;
	}
	CHECK(l == head);
}

TEST(add_delete)
{
	struct item a[4] = { { 0 }, { 1 }, { 2 }, { 3 } };
	struct list head = LIST_INIT(head);

	CHECK(list_empty(&head));
	CHECK(!list_first_entry(&head, struct item, node));
	CHECK(!list_last_entry(&head, struct item, node));
	list_add(&head, &a[1].node);
	list_add(&head, &a[0].node);
	list_add_tail(&head, &a[3].node);
	list_add_before(&a[3].node, &a[2].node);
	expect(&head, (int[]){ 0, 1, 2, 3 }, 4);
	CHECK_EQ(list_first_entry(&head, struct item, node)->value, 0);
	CHECK_EQ(list_last_entry(&head, struct item, node)->value, 3);

	list_del(&a[1].node);
	CHECK(list_empty(&a[1].node));
	list_del(&a[1].node);
	expect(&head, (int[]){ 0, 2, 3 }, 3);
	list_del(&a[0].node);
	list_del(&a[3].node);
	list_del(&a[2].node);
	CHECK(list_empty(&head));
}

TEST(safe_walk_and_splice)
{
	struct list one = LIST_INIT(one), two = LIST_INIT(two);
	struct item a[6], *it, *tmp;

	for (int i = 0; i < 6; i++) {
		a[i].value = i;
		list_add_tail(i < 3 ? &one : &two, &a[i].node);
	}
	list_splice_tail(&one, &two);
	CHECK(list_empty(&two));
	expect(&one, (int[]){ 0, 1, 2, 3, 4, 5 }, 6);
	list_splice_tail(&one, &two);
	list_splice_tail(&two, &one);
	CHECK(list_empty(&one));

	list_for_each_entry_safe(it, tmp, &two, node)
		if (it->value % 2)
			list_del(&it->node);
	expect(&two, (int[]){ 0, 2, 4 }, 3);
}
