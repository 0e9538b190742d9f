/* SPDX-License-Identifier: MIT */
/* Limits on what an unprivileged domain may use of the store. */
#include <stored/quota.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

unsigned int quota[QUOTA_COUNT] = {
	[QUOTA_NODES] = 4000,		/* some ten for each device */
	[QUOTA_WATCHES] = 512,
	[QUOTA_TRANSACTIONS] = 10,
	[QUOTA_ENTRY_SIZE] = 2048,
	[QUOTA_PERMS] = 5,
	[QUOTA_PATH] = XENSTORE_REL_PATH_MAX,
	[QUOTA_TXN_NODES] = 1024,
	[QUOTA_MEMORY] = 2 << 20,
	[QUOTA_OUTSTANDING] = 20,
};

static const char *const names[QUOTA_COUNT] = {
	[QUOTA_NODES] = "nodes",
	[QUOTA_WATCHES] = "watches",
	[QUOTA_TRANSACTIONS] = "transactions",
	[QUOTA_ENTRY_SIZE] = "entry-size",
	[QUOTA_PERMS] = "permissions",
	[QUOTA_PATH] = "path-max",
	[QUOTA_TXN_NODES] = "transaction-nodes",
	[QUOTA_MEMORY] = "memory",
	[QUOTA_OUTSTANDING] = "outstanding",
};

const char *quota_name(enum quota_kind kind)
{
	return names[kind];
}

int quota_set(const char *assignment)
{
	const char *value = strchr(assignment, '=');
	char *end;

	if (!value || !value[1])
		return -EINVAL;
	unsigned long n = strtoul(value + 1, &end, 10);

	if (*end || !n || n > INT32_MAX || value[1] == '-')
		return -EINVAL;
	for (int i = 0; i < QUOTA_COUNT; i++) {
		if (strlen(names[i]) == (size_t)(value - assignment) && strncmp(names[i], assignment, strlen(names[i])) == 0) {
			quota[i] = (unsigned int)n;
			return 0;
		}
	}
	return -EINVAL;
}
