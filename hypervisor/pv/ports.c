/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's port I/O. Two questions: may the code that runs do port I/O (I/O privilege level, else the permission bitmap that its kernel registered;
 * "no" is #GP), and may the domain use the port ("no" reads as ones). Two groups of ports that the hardware domain may use are shared
 * with the hypervisor and accessed on its behalf: the RTC and PCI configuration.
 */
#include <core/pci.h>
#include <core/rtc.h>
#include <domain/guest_copy.h>
#include <domain/permission.h>
#include <pv/pv.h>
#include <x86/cr.h>
#include <x86/io.h>

#define PORT_RTC_INDEX	0x70
#define PORT_RTC_DATA	0x71
#define RTC_INDEX_MASK	0x7f	/* bit 7 of the index port gates NMI */

static bool range_hits(u16 port, unsigned bytes, u16 first, u16 last)
{
	return port <= last && port + bytes > first;
}

bool pv_iopl_ok(const struct vcpu *v)
{
	unsigned kernel_cpl = v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl) ? 0 : 1;

	return v->pv->iopl >= (v->pv->kernel_mode ? kernel_cpl : 3);
}

/* The bitmap is at a kernel address, which user mode has not mapped. */
static bool bitmap_allows(struct vcpu *v, u16 port, unsigned bytes)
{
	const struct pv_vcpu *pv = v->pv;
	bool user = !pv->kernel_mode;
	u16 bits;
	int rc;

	if (!pv->iobmp || port + bytes > pv->iobmp_limit)
		return false;
	if (user)
		pv_set_mode(v, true);
	/* Two bytes, as the processor does: the ports may straddle. The second may lie behind the bitmap's end. */
	rc = copy_from_guest(&bits, (const void *)(pv->iobmp + port / 8), 1 + (port % 8 + bytes > 8));
	if (user)
		pv_set_mode(v, false);
	return !rc && !(bits >> (port % 8) & (BIT(bytes) - 1));
}

bool pv_port_access_ok(u16 port, unsigned bytes)
{
	struct vcpu *v = current;

	return pv_iopl_ok(v) || bitmap_allows(v, port, bytes);
}

static bool domain_may_use(struct domain *d, u16 port, unsigned bytes)
{
	return domain_allowed(d, PERMISSION_IOPORT, port, port + bytes - 1);
}

static u32 all_ones(unsigned bytes)
{
	return (u32)(BIT(bytes * 8) - 1);
}

static u32 port_in(u16 port, unsigned bytes)
{
	return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

static void port_out(u16 port, unsigned bytes, u32 val)
{
	if (bytes == 1)
		outb(port, (u8)val);
	else if (bytes == 2)
		outw(port, (u16)val);
	else
		outl(port, val);
}

u32 pv_port_read(u16 port, unsigned bytes)
{
	struct domain *d = current->domain;
	u32 val = 0;

	if (!domain_may_use(d, port, bytes))
		return all_ones(bytes);
	if (d->hardware && range_hits(port, bytes, 0xcf8, 0xcff) && pci_guest_port_io(&d->pv->cf8, port, bytes, false, &val))
		return val;
	if (d->hardware && bytes == 1 && port == PORT_RTC_INDEX)
		return d->pv->cmos_index;
	if (d->hardware && bytes == 1 && port == PORT_RTC_DATA)
		return rtc_read_register(d->pv->cmos_index & RTC_INDEX_MASK);
	return port_in(port, bytes);
}

void pv_port_write(u16 port, unsigned bytes, u32 val)
{
	struct domain *d = current->domain;

	val &= all_ones(bytes);
	if (!domain_may_use(d, port, bytes))
		return;
	if (d->hardware && range_hits(port, bytes, 0xcf8, 0xcff) && pci_guest_port_io(&d->pv->cf8, port, bytes, true, &val))
		return;
	if (d->hardware && bytes == 1 && port == PORT_RTC_INDEX)
		d->pv->cmos_index = (u8)val;
	else if (d->hardware && bytes == 1 && port == PORT_RTC_DATA)
		rtc_write_register(d->pv->cmos_index & RTC_INDEX_MASK, (u8)val);
	else
		port_out(port, bytes, val);
}
