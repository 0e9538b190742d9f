/* SPDX-License-Identifier: MIT */
/* What the daemon needs of the hypervisor. Tests link another implementation. */
#ifndef STORED_XEN_H
#define STORED_XEN_H

#include <lib/types.h>
#include <errno.h>
#include <xen/io/xs_wire.h>

/* As far as the store cares. */
struct xen_domain {
	u16 domid;
	bool dying, shutdown;
	u8 handle[16];
};

/* -errno: this machine runs no hypervisor, or its devices are missing; the rest then fails, but every domain is said to exist. */
int xen_open(void);
bool xen_present(void);
/* Readable when xen_next_port() has something. */
int xen_fd(void);
/* A local port with an event, which can come again from now on; -1. Waits for one if the file is not readable. */
int xen_next_port(void);

/* A local port connected to a domain's unbound one; or to the events "a domain stopped or died"; -errno. */
int xen_bind(u16 domid, u32 port);
int xen_bind_domain_events(void);
void xen_unbind(int local);
void xen_notify(int local);

/* The page and port that Domain 0's own kernel offers; NULL. */
struct xenstore_domain_interface *xen_map_own(u32 *port);
void xen_unmap_own(struct xenstore_domain_interface *page);
/* A guest's ring page: by its grant for the store if it has made one (granted), else by its frame; NULL. */
struct xenstore_domain_interface *xen_map_ring(u16 domid, u64 gfn, bool *granted);
void xen_unmap_ring(struct xenstore_domain_interface *page, bool granted);

/* -ESRCH: no such domain. */
int xen_domain_info(u16 domid, struct xen_domain *info);
/* The domains from id first on, at most n; how many. */
int xen_domain_list(u16 first, struct xen_domain *infos, int n);

#endif
