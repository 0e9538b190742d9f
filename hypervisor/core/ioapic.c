/* SPDX-License-Identifier: MIT */
/*
 * The IO-APICs.
 *
 * Register access is an index/data pair, so each IO-APIC has a lock. A redirection entry is changed with its mask bit set, upper
 * half first, so that it never points at a half-written destination. What was last written is kept: reading back costs as much as
 * writing.
 */
#include <core/acpi.h>
#include <core/console.h>
#include <core/hooks.h>
#include <core/ioapic.h>
#include <core/irq.h>
#include <core/panic.h>
#include <core/spinlock.h>
#include <lib/errno.h>
#include <x86/cr.h>
#include <x86/io.h>

#define MAX_IOAPICS	128
#define MAX_PINS	120	/* that the 8-bit index reaches */
#define REG_ID		0
#define REG_VERSION	1
#define REG_ARBITRATION	2
#define REG_ENTRY(pin)	(0x10 + 2 * (pin))
#define RTE_NMI		(4u << 8)
#define RTE_ACTIVE_LOW	BIT(13)
#define RTE_REMOTE_IRR	BIT(14)
#define RTE_LEVEL	BIT(15)
#define RTE_MASKED	BIT(16)

struct ioapic {
	volatile u8 *regs;
	paddr_t base;
	u32 gsi_base, pins;
	u32 low[MAX_PINS];	/* last written low halves */
	struct spinlock lock;
};

static struct ioapic *ioapics[MAX_IOAPICS];
static unsigned nr_ioapics, nr_gsi;

static u32 reg_read(const struct ioapic *io, u32 reg)
{
	mmio_write32(io->regs, reg);
	return mmio_read32(io->regs + 0x10);
}

static void reg_write(const struct ioapic *io, u32 reg, u32 value)
{
	mmio_write32(io->regs, reg);
	mmio_write32(io->regs + 0x10, value);
}

static struct ioapic *find(unsigned gsi, unsigned *pin)
{
	*pin = 0;
	for (unsigned i = 0; i < nr_ioapics; i++)
		if (gsi - ioapics[i]->gsi_base < ioapics[i]->pins) {
			*pin = gsi - ioapics[i]->gsi_base;
			return ioapics[i];
		}
	return NULL;
}

static void write_low(struct ioapic *io, unsigned pin, u32 low)
{
	io->low[pin] = low;
	reg_write(io, REG_ENTRY(pin), low);
}

void pic_disable(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	outb(0x20, 0x11);
	outb(0x21, 0xf0);
	outb(0x21, 0x04);
	outb(0x21, 0x01);
	outb(0xa0, 0x11);
	outb(0xa1, 0xf0);
	outb(0xa1, 0x02);
	outb(0xa1, 0x01);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

static void init_one(const struct acpi_ioapic *a)
{
	struct ioapic *io = core_zalloc(sizeof(*io));

	if (!io)
		panic("no memory for IO-APIC %u", a->id);
	io->base = a->base;
	io->gsi_base = a->gsi_base;
	io->regs = core_ioremap(a->base, 0x20);
	if (!io->regs || reg_read(io, REG_VERSION) == ~0u) {
		log_warn("IO-APIC %u at %#lx does not answer\n", a->id, a->base.v);
		core_free(io);
		return;
	}
	io->pins = min((reg_read(io, REG_VERSION) >> 16 & 0xff) + 1, (u32)MAX_PINS);
	spinlock_init(&io->lock, LOCK_IOAPIC, "ioapic");
	for (unsigned pin = 0; pin < io->pins; pin++)
		write_low(io, pin, RTE_MASKED);
	ioapics[nr_ioapics++] = io;
	nr_gsi = max(nr_gsi, io->gsi_base + io->pins);
	log_info("IO-APIC %u at %#lx, GSI %u-%u\n", a->id, a->base.v, io->gsi_base, io->gsi_base + io->pins - 1);
}

void ioapic_init(void)
{
	const struct acpi_ioapic *list;
	unsigned n = acpi_ioapics(&list);

	for (unsigned i = 0; i < n && i < MAX_IOAPICS; i++)
		init_one(&list[i]);
	if (!nr_ioapics)
		boot_fail("the machine has no IO-APIC");
}

unsigned ioapic_nr_gsi(void)
{
	return nr_gsi;
}

bool ioapic_has_gsi(unsigned gsi)
{
	unsigned pin;

	return find(gsi, &pin) != NULL;
}

static void write_entry(unsigned gsi, u32 apic_id, u32 low)
{
	unsigned pin;
	struct ioapic *io = find(gsi, &pin);
	u64 flags = spin_lock_irqsave(&io->lock);

	if (!(io->low[pin] & RTE_MASKED))
		write_low(io, pin, io->low[pin] | RTE_MASKED);
	reg_write(io, REG_ENTRY(pin) + 1, apic_id << 24);
	write_low(io, pin, low);
	spin_unlock_irqrestore(&io->lock, flags);
}

void ioapic_program(unsigned gsi, u8 vector, u32 apic_id, bool level, bool active_low, bool masked)
{
	write_entry(gsi, apic_id, vector | (level ? RTE_LEVEL : 0) | (active_low ? RTE_ACTIVE_LOW : 0) | (masked ? RTE_MASKED : 0));
}

void ioapic_program_nmi(unsigned gsi, u32 apic_id)
{
	write_entry(gsi, apic_id, RTE_NMI);
}

void ioapic_mask(unsigned gsi, bool masked)
{
	unsigned pin;
	struct ioapic *io = find(gsi, &pin);
	u64 flags = spin_lock_irqsave(&io->lock);

	if (!!(io->low[pin] & RTE_MASKED) != masked) {
		write_low(io, pin, io->low[pin] ^ RTE_MASKED);
		/* The write may be posted; a mask must have arrived when the APIC's EOI follows. */
		if (masked)
			(void)mmio_read32(io->regs + 0x10);
	}
	spin_unlock_irqrestore(&io->lock, flags);
}

static struct ioapic *find_by_base(u64 base)
{
	for (unsigned i = 0; i < nr_ioapics; i++)
		if (ioapics[i]->base.v == base)
			return ioapics[i];
	return NULL;
}

/* Reading others is undefined. */
static bool has_register(const struct ioapic *io, u32 reg)
{
	return reg <= REG_ARBITRATION || (reg >= REG_ENTRY(0) && (reg - REG_ENTRY(0)) / 2 < io->pins);
}

int ioapic_guest_read(u64 base, u32 reg, u32 *value)
{
	struct ioapic *io = find_by_base(base);
	u64 flags;

	if (!io || !has_register(io, reg))
		return -EINVAL;
	flags = spin_lock_irqsave(&io->lock);
	*value = reg_read(io, reg);
	spin_unlock_irqrestore(&io->lock, flags);
	return 0;
}

int ioapic_guest_write(u64 base, u32 reg, u32 value)
{
	struct ioapic *io = find_by_base(base);
	u32 pin = (reg - REG_ENTRY(0)) / 2;

	if (!io || !has_register(io, reg))
		return -EINVAL;
	/* Destinations (odd registers) are ours to choose; ID and arbitration are nobody's business. */
	if (reg < REG_ENTRY(0) || (reg & 1))
		return 0;
	if (irq_setup_gsi(io->gsi_base + pin, value & RTE_LEVEL, value & RTE_ACTIVE_LOW))
		log_debug("IO-APIC: entry of GSI %u is in use, write of %#x ignored\n", io->gsi_base + pin, value);
	return 0;
}

void ioapic_dump(void)
{
	for (unsigned i = 0; i < nr_ioapics; i++) {
		struct ioapic *io = ioapics[i];

		for (unsigned pin = 0; pin < io->pins; pin++) {
			u64 flags = spin_lock_irqsave(&io->lock);
			u32 low = reg_read(io, REG_ENTRY(pin)), high = reg_read(io, REG_ENTRY(pin) + 1);

			spin_unlock_irqrestore(&io->lock, flags);
			if (low == RTE_MASKED)
				continue;
			log_info("  GSI %3u: %s %02x to APIC %u, %s, active %s%s%s\n", io->gsi_base + pin,
				low & RTE_NMI ? "NMI" : "vector", low & 0xff, high >> 24, low & RTE_LEVEL ? "level" : "edge", low & RTE_ACTIVE_LOW ? "low" : "high",
				low & RTE_MASKED ? ", masked" : "", low & RTE_REMOTE_IRR ? ", in service" : "");
		}
	}
}
