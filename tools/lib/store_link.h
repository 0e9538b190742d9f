/* SPDX-License-Identifier: MIT */
/* The connection to the store daemon: made, found lost, made again. Private to store.c and store_link.c. */
#ifndef TOOLS_LIB_STORE_LINK_H
#define TOOLS_LIB_STORE_LINK_H

#include <lib/store.h>

struct store_watch {
	struct store_watch *next;
	char *token;
	char path[];
};

struct store {
	struct xs_handle *xs;		/* NULL: not connected */
	xs_transaction_t transaction;	/* the running one, or XBT_NULL */
	bool lost;			/* the connection ended within the running transaction */
	int inotify;			/* while not connected and somebody waits: reports when the daemon may be back; else -1 */
	struct store_watch *watches;
};

/*
 * Before an operation: connect if there is no connection, waiting some seconds for the daemon. -ECONNREFUSED; -ECONNRESET in a lost
 * transaction.
 */
int store_link_ready(struct store *s);
/*
 * An operation failed with that errno: -error if it is the daemon's answer. If the connection is at fault, it is closed, and
 * -ERESTART: do it again; -ECONNRESET: the transaction is lost.
 */
int store_link_failed(struct store *s, int error);

#endif
