/* SPDX-License-Identifier: MIT */
/* PCI configuration space, and the devices that Domain 0 reported (source: PCI Local Bus 3.0, PCI Express Base 3.0). */
#ifndef CORE_PCI_H
#define CORE_PCI_H

#include <core/spinlock.h>
#include <lib/list.h>

/* Segment, bus, device and function in one number. */
typedef struct { u32 v; } sbdf_t;
static inline sbdf_t sbdf(u16 seg, u8 bus, u8 devfn) { return (sbdf_t){ (u32)seg << 16 | (u32)bus << 8 | devfn }; }
#define SBDF_FMT	"%04x:%02x:%02x.%u"
#define SBDF_ARGS(s)	(s).v >> 16, (s).v >> 8 & 0xff, (s).v >> 3 & 0x1f, (s).v & 7

#define PCI_VENDOR_ID		0x00
#define PCI_COMMAND		0x04
#define  PCI_COMMAND_MEMORY	BIT(1)
#define PCI_STATUS		0x06
#define  PCI_STATUS_CAP_LIST	BIT(4)
#define PCI_HEADER_TYPE		0x0e
#define PCI_BAR(n)		(0x10 + 4 * (n))
#define PCI_CAP_POINTER		0x34
#define PCI_CAP_MSI		0x05
#define PCI_CAP_MSIX		0x11

void pci_init(void);
/*
 * Aligned access of 1, 2 or 4 bytes to register reg < 4096. Registers from 256 on, and segments other than 0, need a memory-mapped
 * window; without one reads give all ones and writes are lost. Any context without a lock of level >= LOCK_PCI_CONF.
 */
u32 pci_read(sbdf_t dev, unsigned reg, unsigned bytes);
void pci_write(sbdf_t dev, unsigned reg, unsigned bytes, u32 value);
/* Offset of a capability in the first 256 bytes, or 0. */
unsigned pci_find_cap(sbdf_t dev, u8 id);

/*
 * A guest's I/O to ports 0xcf8..0xcff, for a domain that may access all of configuration space. cf8: the domain's address latch,
 * kept by the caller. The access to the device is atomic with loading the real latch. False: not a configuration access (reset
 * register 0xcf9, bad size): the caller treats it as any other port.
 */
bool pci_guest_port_io(u32 *cf8, u16 port, unsigned bytes, bool write, u32 *value);

/*
 * Use (or stop using) a window that Domain 0 found reserved (PHYSDEVOP_pci_mmcfg_reserved). 0, -EINVAL, -ENODEV no such window in
 * MCFG, -ENOMEM.
 */
int __must_check pci_mmcfg_reserved(u64 address, u16 segment, u8 bus_start, u8 bus_end, bool reserved);

/* --- the devices --- */
struct pci_dev {
	sbdf_t sbdf;
	bool is_virtfn, is_extfn;
	sbdf_t physfn;			/* of a virtual function */
	struct list msis;		/* struct msi of this device; under LOCK_PCI */
	u8 msi_cap, msix_cap;		/* offsets of the capabilities, 0: none */
	u32 msix_entries;
	volatile u8 *msix_table;	/* mapped while entries are in use */
	u32 msix_used;			/* entries in use */
};

/* Guards the list of devices and their MSIs. */
extern struct spinlock pci_lock;
/* Called with pci_lock held. */
struct pci_dev *pci_dev_find(sbdf_t dev);
/* Iterate: the device with the smallest sbdf at or after *key, NULL at the end. */
struct pci_dev *pci_dev_next(u64 *key);
#define pci_for_each_dev(p) \
	for (u64 _key = 0; ((p) = pci_dev_next(&_key)); _key++)
/* Make the device known; a second report updates it. 0, -ENODEV nothing answers there, -ENOMEM. */
int __must_check pci_dev_add(sbdf_t dev, bool is_extfn, bool is_virtfn, sbdf_t physfn);
/* Forget it. 0, -ENODEV, -EBUSY it has MSIs. */
int __must_check pci_dev_remove(sbdf_t dev);
/* Print devices and their MSIs: debug key 'p'. */
void pci_dump(void);

#endif
