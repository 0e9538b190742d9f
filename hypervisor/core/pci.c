/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space and the list of devices.
 *
 * The first 256 registers of segment 0 are reached through ports 0xcf8 and 0xcfc: address, then data, under one lock; Domain 0's
 * own accesses to these ports are made by us, so they cannot fall in between. The rest is reached through windows in memory, once
 * Domain 0 has confirmed them.
 */
#include <core/acpi.h>
#include <core/console.h>
#include <core/debug_key.h>
#include <core/hooks.h>
#include <core/msi.h>
#include <core/pci.h>
#include <lib/errno.h>
#include <lib/radix.h>
#include <x86/cr.h>
#include <x86/io.h>

#define PORT_ADDRESS	0xcf8
#define PORT_DATA	0xcfc
#define ADDRESS_ENABLE	BIT(31)
#define MAX_CAPS	48
#define BUS_SHIFT	20

struct window {
	u64 base;		/* of bus 0, even if that is outside */
	u16 segment;
	u8 bus_start, bus_end;
	volatile u8 *va;	/* of bus_start; NULL: not in use */
};

static DEFINE_SPINLOCK(conf_lock, LOCK_PCI_CONF);
static struct window *windows;
static unsigned nr_windows;

DEFINE_SPINLOCK(pci_lock, LOCK_PCI);
static struct radix devices;

void pci_init(void)
{
	const struct acpi_mcfg *list;
	unsigned n = acpi_mcfg(&list);

	radix_init(&devices, &core_allocator);
	windows = n ? core_zalloc(n * sizeof(*windows)) : NULL;
	for (unsigned i = 0; windows && i < n; i++) {
		if (list[i].bus_end < list[i].bus_start || !IS_ALIGNED(list[i].base, BIT(BUS_SHIFT)))
			continue;
		windows[nr_windows++] = (struct window){.base = list[i].base,
			.segment = list[i].segment,
			.bus_start = list[i].bus_start,
			.bus_end = list[i].bus_end};
		log_debug(
			"PCI: segment %u, bus %u-%u at %#lx\n", list[i].segment, list[i].bus_start, list[i].bus_end, list[i].base);
	}
}

/* --- configuration space --- */

static volatile u8 *window_address(sbdf_t dev, unsigned reg)
{
	u16 segment = (u16)(dev.v >> 16);
	u8 bus = (u8)(dev.v >> 8);

	for (unsigned i = 0; i < nr_windows; i++) {
		const struct window *w = &windows[i];
		volatile u8 *va = READ_ONCE(w->va);

		if (va && w->segment == segment && bus >= w->bus_start && bus <= w->bus_end)
			return va + ((u64)(bus - w->bus_start) << BUS_SHIFT) + ((dev.v & 0xff) << 12) + reg;
	}
	return NULL;
}

static u32 ones(unsigned bytes) { return bytes == 4 ? ~0u : (1u << 8 * bytes) - 1; }

static u32 port_in(u16 port, unsigned bytes)
{
	return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

static void port_out(u16 port, unsigned bytes, u32 value)
{
	if (bytes == 1)
		outb(port, (u8)value);
	else if (bytes == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

/* One access with the address latch set to `address`; offset is the byte within the register. */
static u32 port_access(u32 address, unsigned offset, unsigned bytes, bool write, u32 value)
{
	u64 flags = spin_lock_irqsave(&conf_lock);

	outl(PORT_ADDRESS, address);
	if (write)
		port_out((u16)(PORT_DATA + offset), bytes, value);
	else
		value = port_in((u16)(PORT_DATA + offset), bytes);
	spin_unlock_irqrestore(&conf_lock, flags);
	return value;
}

static bool by_port(sbdf_t dev, unsigned reg)
{
	return reg < 256 && dev.v < 0x10000;
}

static u32 port_address(sbdf_t dev, unsigned reg)
{
	return (u32)ADDRESS_ENABLE | dev.v << 8 | (reg & 0xfc);
}

u32 pci_read(sbdf_t dev, unsigned reg, unsigned bytes)
{
	volatile u8 *p;

	if (by_port(dev, reg))
		return port_access(port_address(dev, reg), reg & 3, bytes, false, 0);
	p = reg < 4096 ? window_address(dev, reg) : NULL;
	if (!p)
		return ones(bytes);
	return bytes == 1 ? *p : bytes == 2 ? *(volatile u16 *)p : mmio_read32(p);
}

void pci_write(sbdf_t dev, unsigned reg, unsigned bytes, u32 value)
{
	volatile u8 *p;

	if (by_port(dev, reg)) {
		port_access(port_address(dev, reg), reg & 3, bytes, true, value);
		return;
	}
	p = reg < 4096 ? window_address(dev, reg) : NULL;
	if (!p)
		return;
	if (bytes == 1)
		*p = (u8)value;
	else if (bytes == 2)
		*(volatile u16 *)p = (u16)value;
	else
		mmio_write32(p, value);
}

unsigned pci_find_cap(sbdf_t dev, u8 id)
{
	unsigned pos = 0x34;

	if (!(pci_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	/* A list longer than it can be is a ring. */
	for (unsigned i = 0; i < MAX_CAPS; i++) {
		u32 cap;

		pos = pci_read(dev, pos, 1) & 0xfc;
		if (pos < 0x40)
			return 0;
		cap = pci_read(dev, pos, 2);
		if ((cap & 0xff) == 0xff)
			return 0;
		if ((cap & 0xff) == id)
			return pos;
		pos++;
	}
	return 0;
}

bool pci_guest_port_io(u32 *cf8, u16 port, unsigned bytes, bool write, u32 *value)
{
	unsigned offset = port & 3;

	if (port < PORT_ADDRESS || port > PORT_DATA + 3 || offset + bytes > 4)
		return false;
	if (port >= PORT_DATA) {
		if (*cf8 & ADDRESS_ENABLE)
			*value = port_access(*cf8, offset, bytes, write, *value);
		else if (!write)
			*value = ones(bytes);
		return true;
	}
	if (bytes == 4) {
		if (write)
			*cf8 = *value;
		else
			*value = *cf8;
		return true;
	}
	/* Parts of the address register are other registers on some chipsets; only 0xcf9 is one that is used. */
	if (port <= 0xcf9 && port + bytes > 0xcf9)
		return false;
	if (!write)
		*value = ones(bytes);
	return true;
}

int pci_mmcfg_reserved(u64 address, u16 segment, u8 bus_start, u8 bus_end, bool reserved)
{
	struct window *w = NULL;
	int rc = 0;

	if (bus_end < bus_start)
		return -EINVAL;
	for (unsigned i = 0; i < nr_windows && !w; i++)
		if (windows[i].base == address && windows[i].segment == segment && windows[i].bus_start == bus_start &&
		    bus_end <= windows[i].bus_end)
			w = &windows[i];
	if (!w)
		return -ENODEV;
	spin_lock(&pci_lock);
	if (reserved && !w->va) {
		w->bus_end = bus_end;
		w->va = core_ioremap(
			paddr(address + ((u64)bus_start << BUS_SHIFT)), (size_t)(bus_end - bus_start + 1) << BUS_SHIFT);
		rc = w->va ? 0 : -ENOMEM;
	} else if (!reserved) {
		/* The mapping stays: a reader may be using it. */
		WRITE_ONCE(w->va, NULL);
	}
	spin_unlock(&pci_lock);
	return rc;
}

/* --- devices --- */

struct pci_dev *pci_dev_find(sbdf_t dev)
{
	return radix_lookup(&devices, dev.v);
}

struct pci_dev *pci_dev_next(u64 *key)
{
	return radix_next(&devices, key);
}

static struct pci_dev *create_device(sbdf_t dev)
{
	struct pci_dev *p = core_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->sbdf = dev;
	list_init(&p->msis);
	if (radix_insert(&devices, dev.v, p)) {
		core_free(p);
		return NULL;
	}
	return p;
}

int pci_dev_add(sbdf_t dev, bool is_extfn, bool is_virtfn, sbdf_t physfn)
{
	struct pci_dev *p;
	u32 id = pci_read(dev, PCI_VENDOR_ID, 2);

	/* A virtual function has no vendor id of its own. */
	if (!is_virtfn && (id == 0xffff || id == 0))
		return -ENODEV;
	spin_lock(&pci_lock);
	p = pci_dev_find(dev) ?: create_device(dev);
	if (p) {
		p->is_extfn = is_extfn;
		p->is_virtfn = is_virtfn;
		p->physfn = physfn;
		p->msi_cap = (u8)pci_find_cap(dev, PCI_CAP_MSI);
		p->msix_cap = (u8)pci_find_cap(dev, PCI_CAP_MSIX);
		p->msix_entries = p->msix_cap ? (pci_read(dev, p->msix_cap + 2u, 2) & 0x7ff) + 1 : 0;
	}
	spin_unlock(&pci_lock);
	if (!p)
		return -ENOMEM;
	log_debug("PCI: device " SBDF_FMT "%s%s\n", SBDF_ARGS(dev), p->msi_cap ? ", MSI" : "", p->msix_cap ? ", MSI-X" : "");
	return 0;
}

int pci_dev_remove(sbdf_t dev)
{
	struct pci_dev *p;
	int rc = -ENODEV;

	spin_lock(&pci_lock);
	p = pci_dev_find(dev);
	if (p && !list_empty(&p->msis)) {
		rc = -EBUSY;
	} else if (p) {
		radix_erase(&devices, dev.v);
		core_free(p);
		rc = 0;
	}
	spin_unlock(&pci_lock);
	return rc;
}

void pci_dump(void)
{
	struct pci_dev *p;

	spin_lock(&pci_lock);
	pci_for_each_dev(p) log_info("PCI " SBDF_FMT ": id %08x%s%s, MSI-X entries %u of %u in use\n", SBDF_ARGS(p->sbdf),
		pci_read(p->sbdf, PCI_VENDOR_ID, 4), p->is_virtfn ? ", virtual function" : "", p->msi_cap ? ", MSI" : "",
		p->msix_used, p->msix_entries);
	spin_unlock(&pci_lock);
	msi_dump();
}
DEBUG_KEY('p', "PCI devices and MSIs", 0, pci_dump);
