/* SPDX-License-Identifier: MIT */
/* A guest's tree in the store: what the guest, the kernel's backends and others' programs expect there (tools/README.md). */
#ifndef LODGED_NODES_H
#define LODGED_NODES_H

#include <lib/build.h>
#include <lib/definition.h>
#include <lib/store_batch.h>
#include <sys/types.h>

struct nodes {
	const struct definition *def;
	const char *uuid;
	int domid;
	const struct build_result *built;
	const dev_t *disks;		/* device of each disk; 0: its script says which */
	const char *const *bridges;	/* bridge of each interface, NULL: its script knows */
	const bool *guarded;		/* each interface: only its own MAC address may send */
	uint64_t start_time;		/* seconds since 1970 */
};

/* The domain that backends run in (this one). */
int nodes_init(struct store *s);
unsigned int nodes_backend(void);

/* All of them in one transaction. 0 or -errno. */
int nodes_write(struct store *s, const struct nodes *n);
/* Everything of the domain and of /vm/UUID. With uuid NULL: of the domain alone. One transaction. */
int nodes_remove(struct store *s, int domid, const char *uuid);
/* The name, wherever it is shown, in one transaction. */
int nodes_rename(struct store *s, int domid, const char *uuid, const char *name);
/* /vm/OLD becomes /vm/NEW, with the new name. */
int nodes_move(struct store *s, int domid, const char *old_uuid, const char *new_uuid, const char *name);

/*
 * One device of a running guest, as parts of a transaction. type: vbd, vif. Those of n->def alone, with both ends; the backend
 * says in which state it is, and whether it is to stay; the frontend is taken away, and the backend closes; nothing is left.
 */
#define NODES_CLOSING	5	/* state of a device, <xen/io/xenbus.h> */
void nodes_put_devices(struct store_batch *b, const struct nodes *n);
void nodes_put_backend(struct store_batch *b, int domid, const char *type, int id, bool online, unsigned int state);
/* What the interface may send, as the definition says it. */
void nodes_put_rate(struct store_batch *b, int domid, const struct nic *nic);
void nodes_put_close(struct store_batch *b, int domid, const char *type, int id);
void nodes_put_gone(struct store_batch *b, int domid, const char *type, int id);

/* Take down the frontends, and tell the backends to go. One transaction. */
int nodes_close_devices(struct store *s, int domid);

#endif
