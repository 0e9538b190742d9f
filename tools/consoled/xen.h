/* SPDX-License-Identifier: MIT */
/* What the daemon needs of the hypervisor: rings mapped, event channels bound, domains listed. The unit tests have their own. */
#ifndef TOOLS_CONSOLED_XEN_H
#define TOOLS_CONSOLED_XEN_H

#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/io/console.h>

/* A domain, as far as consoles are concerned. */
struct xen_domain {
	uint16_t domid;
	bool dying;		/* destroyed; gone as soon as nobody holds its memory */
};

int xen_open(struct err *e);

/* Readable when xen_next_event() has something. */
int xen_event_fd(void);

/* The next port that has fired; it stays masked until xen_unmask(). -EAGAIN: none. */
int xen_next_event(void);

/* Bind the guest's port, which was allocated for this domain. Our port, or -errno; it has fired or will at once. */
int xen_bind(uint16_t domid, uint32_t remote_port);
void xen_unbind(int port);
void xen_notify(int port);
void xen_unmask(int port);

/*
 * Map the guest's console ring: what it grants under the reserved reference, else its frame gfn. Either way the hypervisor gives out nothing but the
 * guest's own memory. NULL and errno.
 */
struct xencons_interface *xen_map(uint16_t domid, uint64_t gfn, bool *granted);
void xen_unmap(struct xencons_interface *ring, bool granted);

/* At most max domains from id first on, in order; how many, or -errno. */
int xen_domains(uint16_t first, struct xen_domain *list, size_t max);

#endif
