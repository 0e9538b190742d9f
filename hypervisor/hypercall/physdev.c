/* SPDX-License-Identifier: MIT */
/* HYPERVISOR_physdev_op: interrupts, PCI devices and I/O privilege. ABI: <xen/physdev.h>. */
#include <core/ioapic.h>
#include <core/irq.h>
#include <core/msi.h>
#include <hypercall/dispatch.h>
#include <ipc/pirq.h>
#include <pv/pv.h>
#include <x86/cr.h>
#include <xen/physdev.h>

typedef union {
	struct physdev_eoi eoi;
	struct physdev_pirq_eoi_gmfn eoi_page;
	struct physdev_irq_status_query status;
	struct physdev_set_iopl iopl;
	struct physdev_set_iobitmap iobitmap;
	struct physdev_apic apic;
	struct physdev_irq irq;
	struct physdev_map_pirq map;
	struct physdev_unmap_pirq unmap;
	struct physdev_manage_pci manage;
	struct physdev_manage_pci_ext manage_ext;
	struct physdev_restore_msi restore;
	struct physdev_setup_gsi gsi;
	struct physdev_get_free_pirq free_pirq;
	struct physdev_pci_mmcfg_reserved mmcfg;
	struct { struct physdev_pci_device_add a; u32 optional[1]; } add;
	struct physdev_pci_device dev;
} physdev_arg;

/* --- any domain --- */

static long op_eoi(physdev_arg *a)
{
	return pirq_eoi(current->domain, a->eoi.irq);
}

static long op_eoi_page_v1(physdev_arg *a)
{
	return pirq_set_eoi_page(current->domain, mfn(a->eoi_page.gmfn), true);
}

static long op_eoi_page_v2(physdev_arg *a)
{
	return pirq_set_eoi_page(current->domain, mfn(a->eoi_page.gmfn), false);
}

static long op_status(physdev_arg *a)
{
	return pirq_status(current->domain, a->status.irq, &a->status.flags);
}

static long op_set_iopl(physdev_arg *a)
{
	if (!current->pv || a->iopl.iopl > 3)
		return -EINVAL;
	current->pv->iopl = (u8)a->iopl.iopl;
	return 0;
}

/* Only remembered: looked up when an access of the guest's user mode traps. */
static long op_set_iobitmap(physdev_arg *a)
{
	u64 bitmap = (u64)a->iobitmap.bitmap.p, end = bitmap + 65536 / 8;

	if (!current->pv || (!bitmap && a->iobitmap.nr_ports) || a->iobitmap.nr_ports > 65536)
		return -EINVAL;
	if (!is_canonical(bitmap) || (end > HYP_VIRT_START && bitmap < HYP_VIRT_END))
		return -EINVAL;
	if (bitmap < HYP_VIRT_END && bitmap + a->iobitmap.nr_ports / 8 > HYP_VIRT_START)
		return -EINVAL;
	current->pv->iobmp = bitmap;
	current->pv->iobmp_limit = a->iobitmap.nr_ports;
	return 0;
}

/* --- interrupt lines, hardware domain --- */

static long op_apic_read(physdev_arg *a)
{
	return ioapic_guest_read(a->apic.apic_physbase, a->apic.reg, &a->apic.value);
}

static long op_apic_write(physdev_arg *a)
{
	return ioapic_guest_write(a->apic.apic_physbase, a->apic.reg, a->apic.value);
}

/* Vectors are the hypervisor's; the guest gets a number that means the irq again when it writes it to an IO-APIC entry. */
static long op_alloc_vector(physdev_arg *a)
{
	if (!irq_valid(a->irq.irq))
		return -EINVAL;
	a->irq.vector = a->irq.irq;
	return 0;
}

static long op_setup_gsi(physdev_arg *a)
{
	if (a->gsi.gsi < 0 || a->gsi.triggering > 1 || a->gsi.polarity > 1)
		return -EINVAL;
	return irq_setup_gsi((unsigned)a->gsi.gsi, a->gsi.triggering, a->gsi.polarity);
}

static long op_get_free_pirq(physdev_arg *a)
{
	if (a->free_pirq.type != MAP_PIRQ_TYPE_GSI && a->free_pirq.type != MAP_PIRQ_TYPE_MSI)
		return -EINVAL;
	return pirq_get_free(current->domain, a->free_pirq.type == MAP_PIRQ_TYPE_MSI, &a->free_pirq.pirq);
}

/* Is the argument's domain the caller? Interrupts of other domains are device assignment, which does not exist yet. */
static long check_domain(u16 id)
{
	struct domain *d = domain_from_arg(id);
	bool self = d == current->domain;

	if (!d)
		return -ESRCH;
	domain_put(d);
	return self ? 0 : -EOPNOTSUPP;
}

static sbdf_t map_device(const struct physdev_map_pirq *m)
{
	u16 segment = m->type == MAP_PIRQ_TYPE_MSI ? 0 : (u16)((u32)m->bus >> 16);

	return sbdf(segment, (u8)m->bus, (u8)m->devfn);
}

static u32 round_up_power(u32 n)
{
	while (n & (n - 1))
		n += n & -n;
	return n;
}

static long op_map_pirq(physdev_arg *a)
{
	struct physdev_map_pirq *m = &a->map;
	struct domain *d = current->domain;
	long rc = check_domain(m->domid);
	bool msix = m->table_base != 0;

	if (rc)
		return rc;
	switch (m->type) {
	case MAP_PIRQ_TYPE_GSI:
		return m->index < 0 ? -EINVAL : pirq_map_gsi(d, (u32)m->index, &m->pirq);
	case MAP_PIRQ_TYPE_MSI:
	case MAP_PIRQ_TYPE_MSI_SEG:
		if (msix && (m->entry_nr < 0 || m->entry_nr > 2047))
			return -EINVAL;
		return pirq_map_msi(d, map_device(m), msix, 1, msix ? (u32)m->entry_nr : 0, m->table_base, &m->pirq);
	case MAP_PIRQ_TYPE_MULTI_MSI:
		if (msix || m->entry_nr < 1 || m->entry_nr > MSI_MAX_VECTORS)
			return -EINVAL;
		m->entry_nr = (int)round_up_power((u32)m->entry_nr);
		return pirq_map_msi(d, map_device(m), false, (u32)m->entry_nr, 0, 0, &m->pirq);
	default:
		return -EINVAL;
	}
}

static long op_unmap_pirq(physdev_arg *a)
{
	long rc = check_domain(a->unmap.domid);

	if (rc)
		return rc;
	return a->unmap.pirq < 0 ? -EINVAL : pirq_unmap(current->domain, (u32)a->unmap.pirq);
}

/* --- PCI, hardware domain --- */

static long op_manage_add(physdev_arg *a)
{
	return pci_dev_add(sbdf(0, a->manage.bus, a->manage.devfn), false, false, sbdf(0, 0, 0));
}

static long op_manage_remove(physdev_arg *a)
{
	return pci_dev_remove(sbdf(0, a->manage.bus, a->manage.devfn));
}

static long op_manage_add_ext(physdev_arg *a)
{
	const struct physdev_manage_pci_ext *m = &a->manage_ext;

	if (m->is_extfn > 1 || m->is_virtfn > 1)
		return -EINVAL;
	return pci_dev_add(sbdf(0, m->bus, m->devfn), m->is_extfn, m->is_virtfn, sbdf(0, m->physfn.bus, m->physfn.devfn));
}

/* The optional proximity domain is of no use here and not looked at. */
static long op_device_add(physdev_arg *a)
{
	const struct physdev_pci_device_add *p = &a->add.a;

	return pci_dev_add(sbdf(p->seg, p->bus, p->devfn), p->flags & XEN_PCI_DEV_EXTFN, p->flags & XEN_PCI_DEV_VIRTFN,
			   sbdf(p->seg, p->physfn.bus, p->physfn.devfn));
}

static long op_device_remove(physdev_arg *a)
{
	return pci_dev_remove(sbdf(a->dev.seg, a->dev.bus, a->dev.devfn));
}

static long op_restore_msi(physdev_arg *a)
{
	return msi_restore(sbdf(0, a->restore.bus, a->restore.devfn));
}

static long op_restore_msi_ext(physdev_arg *a)
{
	return msi_restore(sbdf(a->dev.seg, a->dev.bus, a->dev.devfn));
}

static long op_msix_handover(physdev_arg *a)
{
	return msix_handover(sbdf(a->dev.seg, a->dev.bus, a->dev.devfn));
}

static long op_mmcfg(physdev_arg *a)
{
	const struct physdev_pci_mmcfg_reserved *m = &a->mmcfg;

	return pci_mmcfg_reserved(m->address, m->segment, m->start_bus, m->end_bus, m->flags & XEN_PCI_MMCFG_RESERVED);
}

/* --- the table --- */

enum { ANYONE = 1, OUT = 2 };

static const struct {
	long (*fn)(physdev_arg *a);
	u8 size;	/* bytes of the argument */
	u8 flags;	/* ANYONE: not only the hardware domain; OUT: the argument goes back to the guest */
} ops[] = {
	[PHYSDEVOP_irq_status_query] = { op_status, sizeof(struct physdev_irq_status_query), ANYONE | OUT },
	[PHYSDEVOP_set_iopl] = { op_set_iopl, sizeof(struct physdev_set_iopl), ANYONE },
	[PHYSDEVOP_set_iobitmap] = { op_set_iobitmap, sizeof(struct physdev_set_iobitmap), ANYONE },
	[PHYSDEVOP_apic_read] = { op_apic_read, sizeof(struct physdev_apic), OUT },
	[PHYSDEVOP_apic_write] = { op_apic_write, sizeof(struct physdev_apic), 0 },
	[PHYSDEVOP_alloc_irq_vector] = { op_alloc_vector, sizeof(struct physdev_irq), OUT },
	[PHYSDEVOP_eoi] = { op_eoi, sizeof(struct physdev_eoi), ANYONE },
	[PHYSDEVOP_map_pirq] = { op_map_pirq, sizeof(struct physdev_map_pirq), OUT },
	[PHYSDEVOP_unmap_pirq] = { op_unmap_pirq, sizeof(struct physdev_unmap_pirq), 0 },
	[PHYSDEVOP_manage_pci_add] = { op_manage_add, sizeof(struct physdev_manage_pci), 0 },
	[PHYSDEVOP_manage_pci_remove] = { op_manage_remove, sizeof(struct physdev_manage_pci), 0 },
	[PHYSDEVOP_pirq_eoi_gmfn_v1] = { op_eoi_page_v1, sizeof(struct physdev_pirq_eoi_gmfn), ANYONE },
	[PHYSDEVOP_restore_msi] = { op_restore_msi, sizeof(struct physdev_restore_msi), 0 },
	[PHYSDEVOP_manage_pci_add_ext] = { op_manage_add_ext, sizeof(struct physdev_manage_pci_ext), 0 },
	[PHYSDEVOP_setup_gsi] = { op_setup_gsi, sizeof(struct physdev_setup_gsi), 0 },
	[PHYSDEVOP_get_free_pirq] = { op_get_free_pirq, sizeof(struct physdev_get_free_pirq), OUT },
	[PHYSDEVOP_pci_mmcfg_reserved] = { op_mmcfg, sizeof(struct physdev_pci_mmcfg_reserved), 0 },
	[PHYSDEVOP_pci_device_add] = { op_device_add, offsetof(struct physdev_pci_device_add, optarr), 0 },
	[PHYSDEVOP_pci_device_remove] = { op_device_remove, sizeof(struct physdev_pci_device), 0 },
	[PHYSDEVOP_restore_msi_ext] = { op_restore_msi_ext, sizeof(struct physdev_pci_device), 0 },
	[PHYSDEVOP_pirq_eoi_gmfn_v2] = { op_eoi_page_v2, sizeof(struct physdev_pirq_eoi_gmfn), ANYONE },
	[PHYSDEVOP_prepare_msix] = { op_msix_handover, sizeof(struct physdev_pci_device), 0 },
	[PHYSDEVOP_release_msix] = { op_msix_handover, sizeof(struct physdev_pci_device), 0 },
};

HYPERCALL(do_physdev_op)
{
	u32 cmd = (u32)a1;
	u64 nr = index_nospec(cmd, ARRAY_SIZE(ops));
	physdev_arg a = { 0 };
	long rc;

	if (cmd >= ARRAY_SIZE(ops) || !ops[nr].fn)
		return -ENOSYS;
	if (!(ops[nr].flags & ANYONE) && !current->domain->hardware)
		return -EPERM;
	if (copy_from_guest(&a, (const void *)a2, ops[nr].size))
		return -EFAULT;
	rc = ops[nr].fn(&a);
	if (!rc && (ops[nr].flags & OUT) && copy_to_guest((void *)a2, &a, ops[nr].size))
		return -EFAULT;
	return rc;
}
