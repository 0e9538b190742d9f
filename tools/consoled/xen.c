/* SPDX-License-Identifier: MIT */
/* The hypervisor, through Debian's libraries. */
#include <consoled/xen.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/hv.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/grant_table.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define LIST_MAX	256	/* domains in one hypercall */

static struct hv hv;
static xenevtchn_handle *evtchn;
static xengnttab_handle *gnttab;

int xen_open(struct err *e)
{
	int rc = hv_open(&hv, e);

	if (rc)
		return rc;
	evtchn = xenevtchn_open(NULL, 0);
	if (!evtchn || fcntl(xenevtchn_fd(evtchn), F_SETFL, O_NONBLOCK) < 0)
		return err_set(e, errno, "no-evtchn", "cannot open /dev/xen/evtchn: %s (is the module xen-evtchn loaded?)", strerror(errno));
	gnttab = xengnttab_open(NULL, 0);	/* without it, foreign mappings do */
	return 0;
}

int xen_event_fd(void)
{
	return xenevtchn_fd(evtchn);
}

int xen_next_event(void)
{
	int port = xenevtchn_pending(evtchn);

	return port < 0 ? -EAGAIN : port;
}

int xen_bind(uint16_t domid, uint32_t remote_port)
{
	int port = xenevtchn_bind_interdomain(evtchn, domid, remote_port);

	return port < 0 ? -errno : port;
}

void xen_unbind(int port)
{
	xenevtchn_unbind(evtchn, (evtchn_port_t)port);
}

void xen_notify(int port)
{
	xenevtchn_notify(evtchn, (evtchn_port_t)port);
}

void xen_unmask(int port)
{
	xenevtchn_unmask(evtchn, (evtchn_port_t)port);
}

struct xencons_interface *xen_map(uint16_t domid, uint64_t gfn, bool *granted)
{
	xen_pfn_t frame = gfn;
	void *ring = gnttab ? xengnttab_map_grant_ref(gnttab, domid, GNTTAB_RESERVED_CONSOLE, PROT_READ | PROT_WRITE) : NULL;

	*granted = ring != NULL;
	return ring ? ring : xenforeignmemory_map(hv.fmem, domid, PROT_READ | PROT_WRITE, 1, &frame, NULL);
}

void xen_unmap(struct xencons_interface *ring, bool granted)
{
	if (granted)
		xengnttab_unmap(gnttab, ring, 1);
	else
		xenforeignmemory_unmap(hv.fmem, ring, 1);
}

int xen_domains(uint16_t first, struct xen_domain *list, size_t max)
{
	static xen_domctl_getdomaininfo_t infos[LIST_MAX];
	int n = hv_domain_list(&hv, first, infos, max < LIST_MAX ? max : LIST_MAX);

	for (int i = 0; i < n; i++)
		list[i] = (struct xen_domain){ .domid = infos[i].domain, .dying = infos[i].flags & XEN_DOMINF_dying };
	return n;
}
