/* SPDX-License-Identifier: MIT */
/* The MADT: processors, IO-APICs, and how ISA interrupts and NMIs are wired (ACPI §5.2.12). */
#include <core/acpi.h>
#include <core/console.h>
#include <core/cpumask.h>

#define MAX_IOAPICS	128
#define MAX_NMIS	64
#define ISA_IRQS	16
#define LAPIC_DEFAULT	0xfee00000
#define IOAPIC_DEFAULT	0xfec00000

enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10
};

struct madt { struct acpi_header h; u32 lapic_base, flags; u8 entries[]; } __packed;

union entry {
	struct { u8 type, length; } __packed h;
	struct { u8 type, length, acpi_id, apic_id; u32 flags; } __packed lapic;
	struct { u8 type, length, id, reserved; u32 base, gsi_base; } __packed ioapic;
	struct { u8 type, length, bus, source; u32 gsi; u16 flags; } __packed override;
	struct { u8 type, length, acpi_id; u16 flags; u8 lint; } __packed lapic_nmi;
	struct { u8 type, length; u16 reserved; u64 base; } __packed lapic_address;
	struct { u8 type, length; u16 reserved; u32 apic_id, flags, acpi_id; } __packed x2apic;
	struct { u8 type, length; u16 flags; u32 acpi_id; u8 lint, reserved[3]; } __packed x2apic_nmi;
};

static struct acpi_cpu cpus[MAX_CPUS];
static struct acpi_ioapic ioapics[MAX_IOAPICS];
static struct { u32 acpi_id; bool all; u8 lint; } nmis[MAX_NMIS];
static struct { u32 gsi; struct acpi_gsi_setting set; } isa[ISA_IRQS];
static unsigned nr_cpus_found, nr_ioapics, nr_nmis;
static u64 lapic_base = LAPIC_DEFAULT;

static void add_cpu(u32 apic, u32 acpi, u32 flags)
{
	for (unsigned i = 0; i < nr_cpus_found; i++)
		if (cpus[i].apic_id == apic) {
			cpus[i].enabled |= flags & 1;
			return;
		}
	if (nr_cpus_found == MAX_CPUS) {
		log_warn("ACPI: processor with APIC id %u ignored: more than %u\n", apic, MAX_CPUS);
		return;
	}
	cpus[nr_cpus_found++] = (struct acpi_cpu){ .apic_id = apic, .acpi_id = acpi, .enabled = flags & 1 };
}

static void add_ioapic(u8 id, u64 base, u32 gsi_base)
{
	if (!base || gsi_base > 0xffff || nr_ioapics == MAX_IOAPICS) {
		log_warn("ACPI: IO-APIC %u at %#lx, GSI base %u ignored\n", id, base, gsi_base);
		return;
	}
	ioapics[nr_ioapics++] = (struct acpi_ioapic){ .id = id, .gsi_base = gsi_base, .base = paddr(base) };
}

static void add_nmi(u32 acpi, bool all, u8 lint)
{
	if (lint > 1 || nr_nmis == MAX_NMIS)
		return;
	nmis[nr_nmis].acpi_id = acpi;
	nmis[nr_nmis].all = all;
	nmis[nr_nmis++].lint = lint;
}

/* Polarity in bits 0-1, trigger in bits 2-3: 0 as the bus has it (ISA: high, edge), 1 high or edge, 3 low or level. */
static void add_override(u8 source, u32 gsi, u16 flags)
{
	if (source >= ISA_IRQS)
		return;
	isa[source].gsi = gsi;
	isa[source].set = (struct acpi_gsi_setting){ .level = (flags >> 2 & 3) == 3, .active_low = (flags & 3) == 3 };
}

/* Does the entry have the size its type has? */
static bool entry_complete(const union entry *e)
{
	static const u8 size[] = {
		[MADT_LAPIC] = sizeof(e->lapic), [MADT_IOAPIC] = sizeof(e->ioapic), [MADT_OVERRIDE] = sizeof(e->override),
		[MADT_LAPIC_NMI] = sizeof(e->lapic_nmi), [MADT_LAPIC_ADDRESS] = sizeof(e->lapic_address),
		[MADT_X2APIC] = sizeof(e->x2apic), [MADT_X2APIC_NMI] = sizeof(e->x2apic_nmi),
	};

	return e->h.type < ARRAY_SIZE(size) && size[e->h.type] && e->h.length >= size[e->h.type];
}

static void parse_entry(const union entry *e)
{
	switch (e->h.type) {
	case MADT_LAPIC:
		if (e->lapic.apic_id != 0xff)
			add_cpu(e->lapic.apic_id, e->lapic.acpi_id, e->lapic.flags);
		break;
	case MADT_X2APIC:
		if (e->x2apic.apic_id != ~0u)
			add_cpu(e->x2apic.apic_id, e->x2apic.acpi_id, e->x2apic.flags);
		break;
	case MADT_IOAPIC:
		add_ioapic(e->ioapic.id, e->ioapic.base, e->ioapic.gsi_base);
		break;
	case MADT_OVERRIDE:
		add_override(e->override.source, e->override.gsi, e->override.flags);
		break;
	case MADT_LAPIC_NMI:
		add_nmi(e->lapic_nmi.acpi_id, e->lapic_nmi.acpi_id == 0xff, e->lapic_nmi.lint);
		break;
	case MADT_X2APIC_NMI:
		add_nmi(e->x2apic_nmi.acpi_id, e->x2apic_nmi.acpi_id == ~0u, e->x2apic_nmi.lint);
		break;
	case MADT_LAPIC_ADDRESS:
		lapic_base = e->lapic_address.base;
		break;
	default:
		break;
	}
}

static void parse_entries(const struct madt *m)
{
	const u8 *p = m->entries, *end = (const u8 *)m + m->h.length;

	while (p + 2 <= end) {
		const union entry *e = (const union entry *)p;

		if (e->h.length < 2 || p + e->h.length > end) {
			log_warn("ACPI: MADT is cut short\n");
			return;
		}
		if (entry_complete(e))
			parse_entry(e);
		p += e->h.length;
	}
}

void acpi_parse_madt(void)
{
	const struct madt *m = (const struct madt *)acpi_table("APIC", 0);

	nr_cpus_found = nr_ioapics = nr_nmis = 0;
	for (unsigned i = 0; i < ISA_IRQS; i++)
		isa[i].gsi = i;
	if (m && m->h.length >= sizeof(*m)) {
		lapic_base = m->lapic_base;
		parse_entries(m);
	}
	if (!nr_cpus_found)
		add_cpu(0, 0, 1);
	if (!nr_ioapics)
		add_ioapic(0, IOAPIC_DEFAULT, 0);
}

unsigned acpi_cpus(const struct acpi_cpu **list)
{
	*list = cpus;
	return nr_cpus_found;
}

unsigned acpi_ioapics(const struct acpi_ioapic **list)
{
	*list = ioapics;
	return nr_ioapics;
}

paddr_t acpi_lapic_base(void)
{
	return paddr(lapic_base);
}

struct acpi_gsi_setting acpi_gsi_default(u32 gsi)
{
	for (unsigned i = 0; i < ISA_IRQS; i++)
		if (isa[i].gsi == gsi)
			return isa[i].set;
	return (struct acpi_gsi_setting){ .level = true, .active_low = true };
}

u32 acpi_isa_gsi(u8 isa_irq)
{
	return isa[isa_irq % ISA_IRQS].gsi;
}

int acpi_nmi_lint(u32 acpi_id)
{
	for (unsigned i = 0; i < nr_nmis; i++)
		if (nmis[i].all || nmis[i].acpi_id == acpi_id)
			return nmis[i].lint;
	return -1;
}
