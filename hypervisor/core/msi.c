/* SPDX-License-Identifier: MIT */
/*
 * MSI and MSI-X capabilities.
 *
 * One struct msi per capability use: all messages of an MSI capability, or one MSI-X table entry. It is created and destroyed under
 * pci_lock. The two functions of its irq_chip run under the lock of the irq, also in interrupt context; between creation and
 * destruction they are the only ones that touch message and mask bits. (Domain 0, being trusted with the devices, can write them
 * too. Linux does not.)
 */
#include <core/console.h>
#include <core/hooks.h>
#include <core/irq.h>
#include <core/msi.h>
#include <lib/errno.h>
#include <x86/io.h>

#define MSI_CONTROL		2
#define  MSI_ENABLE		BIT(0)
#define  MSI_CAPABLE(c)		((c) >> 1 & 7)
#define  MSI_ENABLED_SHIFT	4
#define  MSI_64BIT		BIT(7)
#define  MSI_MASKABLE		BIT(8)
#define MSI_ADDRESS		4
#define MSIX_CONTROL		2
#define  MSIX_MASK_ALL		BIT(14)
#define  MSIX_ENABLE		BIT(15)
#define MSIX_TABLE		4
#define MSIX_ENTRY_SIZE		16
#define  ENTRY_ADDRESS		0
#define  ENTRY_DATA		8
#define  ENTRY_CONTROL		12
#define  ENTRY_MASKED		BIT(0)

#define MESSAGE_ADDRESS		0xfee00000u

struct msi {
	struct list link;		/* in pdev->msis */
	struct pci_dev *pdev;
	unsigned irq, n;
	unsigned entry;			/* MSI-X */
	volatile u8 *slot;		/* MSI-X: the table entry; NULL: MSI */
	u16 cap, mask_reg;		/* MSI: offsets; mask_reg 0: cannot mask */
	u32 masked;			/* one bit per message */
	u32 address, data;		/* as last written */
};

/* --- MSI-X table entries --- */

static void msix_program(unsigned irq, void *data, u8 vector, u32 apic_id)
{
	struct msi *msi = data;

	msi->address = MESSAGE_ADDRESS | apic_id << 12;
	msi->data = vector;
	mmio_write32(msi->slot + ENTRY_CONTROL, ENTRY_MASKED);
	mmio_write32(msi->slot + ENTRY_ADDRESS, msi->address);
	mmio_write32(msi->slot + ENTRY_ADDRESS + 4, 0);
	mmio_write32(msi->slot + ENTRY_DATA, msi->data);
	mmio_write32(msi->slot + ENTRY_CONTROL, msi->masked);
}

static void msix_mask(unsigned irq, void *data, bool masked)
{
	struct msi *msi = data;

	if (msi->masked == masked)
		return;
	msi->masked = masked;
	mmio_write32(msi->slot + ENTRY_CONTROL, masked);
	if (masked)
		(void)mmio_read32(msi->slot + ENTRY_CONTROL);
}

static const struct irq_chip msix_chip = { .name = "MSI-X", .program = msix_program, .mask = msix_mask };

/* --- MSI capabilities --- */

static void msi_program(unsigned irq, void *data, u8 vector, u32 apic_id)
{
	struct msi *msi = data;
	sbdf_t dev = msi->pdev->sbdf;
	bool wide = pci_read(dev, msi->cap + MSI_CONTROL, 2) & MSI_64BIT;
	u32 all = msi->n == 32 ? ~0u : (1u << msi->n) - 1;

	/* The device adds the number of the message to the first one's vector. */
	if (irq != msi->irq)
		return;
	msi->address = MESSAGE_ADDRESS | apic_id << 12;
	msi->data = vector;
	if (msi->mask_reg)
		pci_write(dev, msi->mask_reg, 4, all);
	if (wide)
		pci_write(dev, msi->cap + MSI_ADDRESS + 4u, 4, 0);
	pci_write(dev, msi->cap + (wide ? 12u : 8u), 2, msi->data);
	pci_write(dev, msi->cap + MSI_ADDRESS, 4, msi->address);
	if (msi->mask_reg)
		pci_write(dev, msi->mask_reg, 4, msi->masked);
}

static void msi_mask(unsigned irq, void *data, bool masked)
{
	struct msi *msi = data;
	u32 bit = 1u << (irq - msi->irq), mask = masked ? msi->masked | bit : msi->masked & ~bit;

	if (mask == msi->masked)
		return;
	msi->masked = mask;
	pci_write(msi->pdev->sbdf, msi->mask_reg, 4, mask);
}

static const struct irq_chip msi_chip = { .name = "MSI", .program = msi_program, .mask = msi_mask };
static const struct irq_chip msi_unmaskable_chip = { .name = "MSI", .program = msi_program };

/* --- creation; pci_lock held --- */

/*
 * Machine address of the MSI-X table. The BAR is believed before the caller, who must be right where there is none (virtual
 * functions).
 */
static u64 msix_table_address(const struct pci_dev *pdev, u64 table_base)
{
	u32 where = pci_read(pdev->sbdf, pdev->msix_cap + MSIX_TABLE, 4), bar = where & 7, low;
	u64 base = 0;

	if (bar > 5)
		return 0;
	if (!pdev->is_virtfn) {
		low = pci_read(pdev->sbdf, (unsigned)PCI_BAR(bar), 4);
		if (low & 1)
			return 0;
		base = low & ~0xfu;
		if ((low & 6) == 4 && bar < 5)
			base |= (u64)pci_read(pdev->sbdf, (unsigned)PCI_BAR(bar + 1), 4) << 32;
		if (table_base && base != table_base)
			return 0;
	} else {
		base = table_base & ~0xfUL;
	}
	return base ? base + (where & ~7u) : 0;
}

static int map_msix_table(struct pci_dev *pdev, u64 table_base)
{
	u64 addr;

	if (pdev->msix_table)
		return 0;
	addr = msix_table_address(pdev, table_base);
	if (!addr)
		return -EINVAL;
	pdev->msix_table = core_ioremap(paddr(addr), pdev->msix_entries * MSIX_ENTRY_SIZE);
	return pdev->msix_table ? 0 : -ENOMEM;
}

static void unmap_msix_table(struct pci_dev *pdev)
{
	if (pdev->msix_used || !pdev->msix_table)
		return;
	core_iounmap((void *)pdev->msix_table, pdev->msix_entries * MSIX_ENTRY_SIZE);
	pdev->msix_table = NULL;
}

static bool entry_in_use(const struct pci_dev *pdev, unsigned entry)
{
	const struct msi *msi;

	list_for_each_entry(msi, &pdev->msis, link)
		if (msi->slot && msi->entry == entry)
			return true;
	return false;
}

static int prepare_msix(struct msi *msi, unsigned entry, u64 table_base)
{
	struct pci_dev *pdev = msi->pdev;
	int rc;

	if (!pdev->msix_cap)
		return -ENODEV;
	if (entry >= pdev->msix_entries || !(pci_read(pdev->sbdf, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY))
		return -EINVAL;
	if (entry_in_use(pdev, entry) || (!list_empty(&pdev->msis) && !pdev->msix_used))
		return -EEXIST;
	rc = map_msix_table(pdev, table_base);
	if (rc)
		return rc;
	msi->entry = entry;
	msi->slot = pdev->msix_table + entry * MSIX_ENTRY_SIZE;
	msi->masked = 1;
	return 0;
}

static int prepare_msi(struct msi *msi)
{
	struct pci_dev *pdev = msi->pdev;
	u32 control;

	if (!pdev->msi_cap)
		return -ENODEV;
	if (!list_empty(&pdev->msis))
		return -EEXIST;
	control = pci_read(pdev->sbdf, pdev->msi_cap + MSI_CONTROL, 2);
	if (msi->n > 1u << MSI_CAPABLE(control))
		return -EINVAL;
	msi->cap = pdev->msi_cap;
	if (control & MSI_MASKABLE) {
		msi->mask_reg = (u16)(msi->cap + (control & MSI_64BIT ? 16 : 12));
		msi->masked = msi->n == 32 ? ~0u : (1u << msi->n) - 1;
	}
	return 0;
}

/* Write the message, then let the capability send. */
static void enable(struct msi *msi)
{
	const struct pci_dev *pdev = msi->pdev;
	u32 control;

	if (msi->slot) {
		control = pci_read(pdev->sbdf, pdev->msix_cap + MSIX_CONTROL, 2);
		/* The table may be inaccessible while the capability is off; what Domain 0 set of MASK_ALL stays. */
		if (!(control & MSIX_ENABLE))
			pci_write(pdev->sbdf, pdev->msix_cap + MSIX_CONTROL, 2, control | MSIX_ENABLE | MSIX_MASK_ALL);
		irq_reprogram(msi->irq);
		if (!(control & MSIX_ENABLE))
			pci_write(pdev->sbdf, pdev->msix_cap + MSIX_CONTROL, 2, (control | MSIX_ENABLE) & ~(u32)MSIX_MASK_ALL);
		return;
	}
	for (unsigned i = 0; i < msi->n; i++)
		irq_reprogram(msi->irq + i);
	control = pci_read(pdev->sbdf, msi->cap + MSI_CONTROL, 2) & ~(7u << MSI_ENABLED_SHIFT);
	control |= (u32)__builtin_ctz(msi->n) << MSI_ENABLED_SHIFT;
	pci_write(pdev->sbdf, msi->cap + MSI_CONTROL, 2, control | MSI_ENABLE);
}

static int create(struct msi *msi, bool msix, unsigned entry, u64 table_base)
{
	int rc = msix ? prepare_msix(msi, entry, table_base) : prepare_msi(msi);

	if (rc)
		return rc;
	rc = irq_create_msi(msi->n, msix ? &msix_chip : msi->mask_reg ? &msi_chip : &msi_unmaskable_chip, msi, &msi->irq);
	if (rc) {
		unmap_msix_table(msi->pdev);
		return rc;
	}
	list_add_tail(&msi->pdev->msis, &msi->link);
	msi->pdev->msix_used += msix;
	enable(msi);
	return 0;
}

int msi_create(sbdf_t dev, bool msix, unsigned n, unsigned entry, u64 table_base, unsigned *irq)
{
	struct msi *msi;
	int rc = -ENODEV;

	if (!n || n > MSI_MAX_VECTORS || (n & (n - 1)) || (msix && n != 1))
		return -EINVAL;
	msi = core_zalloc(sizeof(*msi));
	if (!msi)
		return -ENOMEM;
	msi->n = n;
	spin_lock(&pci_lock);
	msi->pdev = pci_dev_find(dev);
	if (msi->pdev)
		rc = create(msi, msix, entry, table_base);
	spin_unlock(&pci_lock);
	if (rc)
		core_free(msi);
	else
		*irq = msi->irq;
	return rc;
}

/* --- the rest of its life --- */

static struct msi *find(unsigned irq)
{
	struct pci_dev *pdev;
	struct msi *msi;

	pci_for_each_dev(pdev)
		list_for_each_entry(msi, &pdev->msis, link)
			if (msi->irq == irq)
				return msi;
	return NULL;
}

void msi_destroy(unsigned irq)
{
	struct pci_dev *pdev;
	struct msi *msi;
	u32 control;

	spin_lock(&pci_lock);
	msi = find(irq);
	if (!msi) {
		spin_unlock(&pci_lock);
		return;
	}
	pdev = msi->pdev;
	list_del(&msi->link);
	if (!msi->slot) {
		control = pci_read(pdev->sbdf, msi->cap + MSI_CONTROL, 2);
		pci_write(pdev->sbdf, msi->cap + MSI_CONTROL, 2, control & ~(u32)(MSI_ENABLE | 7u << MSI_ENABLED_SHIFT));
	} else {
		mmio_write32(msi->slot + ENTRY_CONTROL, ENTRY_MASKED);
		if (!--pdev->msix_used) {
			control = pci_read(pdev->sbdf, pdev->msix_cap + MSIX_CONTROL, 2);
			pci_write(pdev->sbdf, pdev->msix_cap + MSIX_CONTROL, 2, control & ~(u32)MSIX_ENABLE);
		}
	}
	irq_destroy_msi(msi->irq, msi->n);
	unmap_msix_table(pdev);
	spin_unlock(&pci_lock);
	core_free(msi);
}

int msi_restore(sbdf_t dev)
{
	struct pci_dev *pdev;
	struct msi *msi;

	spin_lock(&pci_lock);
	pdev = pci_dev_find(dev);
	if (pdev)
		list_for_each_entry(msi, &pdev->msis, link)
			enable(msi);
	spin_unlock(&pci_lock);
	return pdev ? 0 : -ENODEV;
}

int msix_handover(sbdf_t dev)
{
	struct pci_dev *pdev;
	int rc = -ENODEV;

	spin_lock(&pci_lock);
	pdev = pci_dev_find(dev);
	if (pdev && pdev->msix_cap)
		rc = pdev->msix_used ? -EBUSY : 0;
	spin_unlock(&pci_lock);
	return rc;
}

void msi_dump(void)
{
	struct pci_dev *pdev;
	struct msi *msi;

	spin_lock(&pci_lock);
	pci_for_each_dev(pdev)
		list_for_each_entry(msi, &pdev->msis, link)
			log_info("irq %u: " SBDF_FMT " %s %u x%u, message %#x to %#x, masked %#x\n", msi->irq,
				SBDF_ARGS(pdev->sbdf), msi->slot ? "MSI-X entry" : "MSI", msi->entry, msi->n, msi->data,
				msi->address, msi->masked);
	spin_unlock(&pci_lock);
}
