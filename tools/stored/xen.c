/* SPDX-License-Identifier: MIT */
/* What the daemon needs of the hypervisor, through Debian's libraries. */
#include <stored/xen.h>
#include <stored/log.h>
#include <lib/hv.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xen/grant_table.h>

static bool present;
static struct hv hv;
static xenevtchn_handle *evtchn;
static xengnttab_handle *gnttab;

int xen_open(void)
{
	struct err e;
	int rc = access("/proc/xen/capabilities", F_OK) ? -ENODEV : hv_open(&hv, &e);

	if (rc == -ENODEV)
		return rc;
	if (rc) {
		log_line("%s", e.text);
		return rc;
	}
	evtchn = xenevtchn_open(NULL, 0);
	gnttab = xengnttab_open(NULL, 0);
	if (!evtchn) {
		log_line("/dev/xen/evtchn: %s", strerror(errno));
		return -ENODEV;
	}
	if (gnttab)
		xengnttab_set_max_grants(gnttab, DOMID_FIRST_RESERVED);
	present = true;
	return 0;
}

bool xen_present(void)
{
	return present;
}

int xen_fd(void)
{
	return xenevtchn_fd(evtchn);
}

int xen_next_port(void)
{
	int local = xenevtchn_pending(evtchn);

	if (local >= 0)
		xenevtchn_unmask(evtchn, (evtchn_port_t)local);
	return local;
}

int xen_bind(u16 domid, u32 port)
{
	int local = xenevtchn_bind_interdomain(evtchn, domid, port);

	return local < 0 ? -errno : local;
}

int xen_bind_domain_events(void)
{
	int local = xenevtchn_bind_virq(evtchn, VIRQ_DOM_EXC);

	return local < 0 ? -errno : local;
}

void xen_unbind(int local)
{
	xenevtchn_unbind(evtchn, (evtchn_port_t)local);
}

void xen_notify(int local)
{
	xenevtchn_notify(evtchn, (evtchn_port_t)local);
}

struct xenstore_domain_interface *xen_map_own(u32 *port)
{
	int fd = open("/proc/xen/xsd_port", O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	void *page;

	if (fd < 0)
		return NULL;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n <= 0 || sscanf(text, "%u", port) != 1)
		return NULL;
	fd = open("/proc/xen/xsd_kva", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

void xen_unmap_own(struct xenstore_domain_interface *page)
{
	munmap(page, PAGE_SIZE);
}

struct xenstore_domain_interface *xen_map_ring(u16 domid, u64 gfn, bool *granted)
{
	xen_pfn_t frame = gfn;
	void *page;

	if (!present)
		return NULL;
	page = gnttab ? xengnttab_map_grant_ref(gnttab, domid, GNTTAB_RESERVED_XENSTORE, PROT_READ | PROT_WRITE) : NULL;

	*granted = page != NULL;
	if (!page)
		page = xenforeignmemory_map(hv.fmem, domid, PROT_READ | PROT_WRITE, 1, &frame, NULL);
	return page;
}

void xen_unmap_ring(struct xenstore_domain_interface *page, bool granted)
{
	if (granted)
		xengnttab_unmap(gnttab, page, 1);
	else
		xenforeignmemory_unmap(hv.fmem, page, 1);
}

static void convert(const xen_domctl_getdomaininfo_t *from, struct xen_domain *to)
{
	to->domid = from->domain;
	to->dying = from->flags & XEN_DOMINF_dying;
	to->shutdown = from->flags & XEN_DOMINF_shutdown;
	memcpy(to->handle, from->handle, sizeof(to->handle));
}

int xen_domain_info(u16 domid, struct xen_domain *info)
{
	xen_domctl_getdomaininfo_t raw;
	int rc = present ? hv_domain_info(&hv, domid, &raw) : 0;

	if (present && !rc)
		convert(&raw, info);
	return rc;
}

int xen_domain_list(u16 first, struct xen_domain *infos, int n)
{
	xen_domctl_getdomaininfo_t raw[64];
	int got = present ? hv_domain_list(&hv, first, raw, (size_t)min(n, (int)ARRAY_SIZE(raw))) : 0;

	for (int i = 0; i < got; i++)
		convert(&raw[i], &infos[i]);
	return got;
}
