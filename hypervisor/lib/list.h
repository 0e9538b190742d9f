/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list: circular, with the head as sentinel. */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include <lib/types.h>

/*
 * Both the head of a list and the node embedded in each element. An initialised
 * node that is on no list points at itself, and list_del() restores that state,
 * so list_empty(&element->node) asks "is it on a list?" and a second deletion is
 * harmless. Nodes must be initialised before list_del(), not before list_add*().
 */
struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)	{ &(name), &(name) }

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Put @node directly before @pos; before a head means at the end. @node must be on no list. */
static inline void list_add_before(struct list *pos, struct list *node)
{
	node->next = pos;
	node->prev = pos->prev;
	pos->prev->next = node;
	pos->prev = node;
}

static inline void list_add(struct list *head, struct list *node)
{
	list_add_before(head->next, node);
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	list_add_before(head, node);
}

static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Move every element of @from, in order, to the end of @head; @from becomes empty. */
static inline void list_splice_tail(struct list *head, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member)	container_of(node, type, member)

/* First or last element, NULL when empty. */
#define list_first_entry(head, type, member) ({					\
	struct list *_l = (head);						\
	list_empty(_l) ? NULL : list_entry(_l->next, type, member); })
#define list_last_entry(head, type, member) ({					\
	struct list *_l = (head);						\
	list_empty(_l) ? NULL : list_entry(_l->prev, type, member); })

/* The loop body must not delete @pos; use the _safe form for that. */
#define list_for_each_entry(pos, head, member)					\
	for (pos = list_entry((head)->next, __typeof__(*pos), member);		\
	     &pos->member != (head);						\
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* The loop body may delete or free @pos, but no other element. @tmp is of the type of @pos. */
#define list_for_each_entry_safe(pos, tmp, head, member)			\
	for (pos = list_entry((head)->next, __typeof__(*pos), member),		\
	     tmp = list_entry(pos->member.next, __typeof__(*pos), member);	\
	     &pos->member != (head);						\
	     pos = tmp,								\
	     tmp = list_entry(pos->member.next, __typeof__(*pos), member))

#endif
