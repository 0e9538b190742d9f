/* SPDX-License-Identifier: MIT */
/* Limits on what an unprivileged domain may use of the store. */
#ifndef STORED_QUOTA_H
#define STORED_QUOTA_H

#include <lib/types.h>

enum quota_kind {
	QUOTA_NODES,		/* owned by one domain */
	QUOTA_WATCHES,		/* of one domain */
	QUOTA_TRANSACTIONS,	/* open at a time */
	QUOTA_ENTRY_SIZE,	/* bytes in a value */
	QUOTA_PERMS,		/* entries in a node's permissions */
	QUOTA_PATH,		/* bytes in a path, see path_canonical(); also for privileged clients */
	QUOTA_TXN_NODES,	/* that one transaction touches */
	QUOTA_MEMORY,		/* bytes for one domain: nodes, watches, transactions, and again as much for unread output */
	QUOTA_OUTSTANDING,	/* watch events that it caused and that privileged clients have not taken yet */
	QUOTA_COUNT
};

extern unsigned int quota[QUOTA_COUNT];

const char *quota_name(enum quota_kind kind);
/* "NAME=VALUE" sets one; -EINVAL. */
int __must_check quota_set(const char *assignment);

#endif
