/* SPDX-License-Identifier: MIT */
/* Unit tests: ACPI tables, also lying and damaged ones. */
/* sources: core/acpi.c core/acpi_madt.c core/acpi_fadt.c */
#include "test.h"

#include <core/acpi.h>
#include <core/console.h>
#include <core/hooks.h>
#include <core/time.h>

/*
 * A small "machine": every mapping is a heap block of exactly the size asked for, so that ASan sees each byte read beyond it.
 */
#define RSDP	0x100
#define XSDT	0x1000
#define TABLE(n) (0x2000 + 0x1000 * (n))
static u8 ram[0x10000];
static void *maps[4096];
static unsigned nr_maps;

static void *fake_ioremap(paddr_t p, size_t len)
{
	void *copy;

	if (p.v > sizeof(ram) || len > sizeof(ram) - p.v || nr_maps == 4096)
		return NULL;
	copy = malloc(len);
	memcpy(copy, ram + p.v, len);
	maps[nr_maps++] = copy;
	return copy;
}

void *(*core_ioremap)(paddr_t p, size_t len) = fake_ioremap;
const void *core_map_table(paddr_t p, size_t len) { return fake_ioremap(p, len); }

void printk(enum log_level level __unused, const char *fmt __unused, ...) {}
void time_udelay(u64 us __unused) {}

static void seal(u64 addr, size_t len, size_t sum_at)
{
	u8 sum = 0;

	ram[addr + sum_at] = 0;
	for (size_t i = 0; i < len; i++)
		sum += ram[addr + i];
	ram[addr + sum_at] = (u8)-sum;
}

static void put(u64 addr, u64 value, unsigned bytes)
{
	memcpy(ram + addr, &value, bytes);
}

static void header(u64 addr, const char *signature, u32 length)
{
	memcpy(ram + addr, signature, 4);
	put(addr + 4, length, 4);
	ram[addr + 8] = 3;
	seal(addr, length, 9);
}

/* RSDP and XSDT with n tables at TABLE(0…n-1). */
static void roots(unsigned n)
{
	memcpy(ram + RSDP, "RSD PTR ", 8);
	ram[RSDP + 15] = 2;
	put(RSDP + 20, 36, 4);
	put(RSDP + 24, XSDT, 8);
	seal(RSDP, 20, 8);
	seal(RSDP, 36, 32);
	for (unsigned i = 0; i < n; i++)
		put(XSDT + 36 + 8 * i, TABLE(i), 8);
	header(XSDT, "XSDT", 36 + 8 * n);
}

static void finish(void)
{
	while (nr_maps)
		free(maps[--nr_maps]);
}

/* A MADT with 2 CPUs by xAPIC id, one by x2APIC id, two IO-APICs, overrides of ISA 0 and 9, NMIs. Returns its length. */
static u32 build_madt(u64 at)
{
	static const u8 entries[] = {
		0, 8, 1, 0, 1, 0, 0, 0,
		0, 8, 2, 4, 1, 0, 0, 0,
		0, 8, 3, 0xff, 1, 0, 0, 0,			/* not a processor */
		0, 8, 4, 6, 0, 0, 0, 0,				/* disabled */
		9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0,	/* APIC id 300 */
		1, 12, 8, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,
		1, 12, 9, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0,
		2, 10, 0, 0, 2, 0, 0, 0, 0, 0,			/* ISA 0 is GSI 2 */
		2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0,		/* ISA 9: level, high */
		4, 6, 0xff, 5, 0, 1,				/* NMI at LINT1 of all */
		10, 12, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0,		/* … at LINT0 of ACPI id 9: the first match counts */
		5, 12, 0, 0, 0, 0, 0xe1, 0xfe, 0, 0, 0, 0,
		0x7f, 4, 1, 2,					/* unknown */
	};

	put(at + 36, 0xfee00000, 4);
	memcpy(ram + at + 44, entries, sizeof(entries));
	header(at, "APIC", 44 + sizeof(entries));
	return 44 + sizeof(entries);
}

TEST(madt)
{
	const struct acpi_cpu *cpus;
	const struct acpi_ioapic *io;

	build_madt(TABLE(0));
	roots(1);
	acpi_init(paddr(RSDP));
	CHECK_EQ(acpi_rsdp().v, RSDP);
	CHECK_EQ(acpi_cpus(&cpus), 4);
	CHECK_EQ(cpus[0].apic_id, 0);
	CHECK_EQ(cpus[1].apic_id, 4);
	CHECK_EQ(cpus[1].acpi_id, 2);
	CHECK(cpus[1].enabled && !cpus[2].enabled);
	CHECK_EQ(cpus[3].apic_id, 300);
	CHECK_EQ(acpi_ioapics(&io), 2);
	CHECK_EQ(io[1].gsi_base, 24);
	CHECK_EQ(io[1].base.v, 0xfec10000);
	CHECK_EQ(acpi_lapic_base().v, 0xfee10000);
	CHECK_EQ(acpi_isa_gsi(0), 2);
	CHECK_EQ(acpi_isa_gsi(1), 1);
	CHECK(!acpi_gsi_default(1).level && !acpi_gsi_default(2).level);
	CHECK(acpi_gsi_default(9).level && !acpi_gsi_default(9).active_low);
	CHECK(acpi_gsi_default(20).level && acpi_gsi_default(20).active_low);
	CHECK_EQ(acpi_nmi_lint(2), 1);
	finish();
}

TEST(no_tables)
{
	const struct acpi_cpu *cpus;
	const struct acpi_ioapic *io;
	unsigned bits;

	acpi_init(paddr(RSDP));
	CHECK_EQ(acpi_rsdp().v, 0);
	CHECK_EQ(acpi_cpus(&cpus), 1);
	CHECK_EQ(acpi_ioapics(&io), 1);
	CHECK_EQ(acpi_pm_timer(&bits), 0);
	CHECK_EQ(acpi_hpet_base().v, 0);
	CHECK(!acpi_sleep_possible(5));
	finish();
}

TEST(fadt_of_every_length)
{
	unsigned bits;

	for (u32 length = 36; length <= 276; length++) {
		memset(ram, 0, sizeof(ram));
		put(TABLE(0) + 64, 0x604, 4);
		put(TABLE(0) + 76, 0x608, 4);
		ram[TABLE(0) + 108] = 0x32;
		put(TABLE(0) + 112, 1 << 10 | 1 << 8, 4);
		header(TABLE(0), "FACP", length);
		roots(1);
		acpi_init(paddr(RSDP));
		if (length >= 116) {
			CHECK_EQ(acpi_pm_timer(&bits), 0x608);
			CHECK_EQ(bits, 32);
			CHECK_EQ(acpi_century_register(), 0x32);
		}
		finish();
	}
}

TEST(hpet_and_mcfg)
{
	const struct acpi_mcfg *w;

	put(TABLE(0) + 44, 0xfed00000, 8);
	header(TABLE(0), "HPET", 56);
	put(TABLE(1) + 44, 0xb0000000, 8);
	ram[TABLE(1) + 55] = 255;
	header(TABLE(1), "MCFG", 60 + 7);
	roots(2);
	acpi_init(paddr(RSDP));
	CHECK_EQ(acpi_hpet_base().v, 0xfed00000);
	CHECK_EQ(acpi_mcfg(&w), 1);
	CHECK_EQ(w[0].base, 0xb0000000);
	CHECK_EQ(w[0].bus_end, 255);
	finish();
}

/* Damage anything, repair the checksums, and parse: nothing is read that was not mapped. */
TEST(damaged_tables)
{
	for (int round = 0; round < 20000; round++) {
		const struct acpi_mcfg *w;
		const struct acpi_cpu *cpus;
		unsigned bits, n;
		u32 length;

		memset(ram, 0, sizeof(ram));
		length = build_madt(TABLE(0));
		header(TABLE(1), "FACP", (u32)(36 + test_below(300)));
		header(TABLE(2), "HPET", (u32)(36 + test_below(40)));
		header(TABLE(3), "MCFG", (u32)(36 + test_below(60)));
		roots(4);
		for (u64 i = test_below(6); i > 0; i--)
			ram[TABLE(test_below(4)) + test_below(length)] = (u8)test_random();
		for (int t = 0; t < 4; t++) {
			u32 len;

			memcpy(&len, ram + TABLE(t) + 4, 4);
			if (len >= 36 && len < 0x1000)
				seal(TABLE(t), len, 9);
		}
		if (round % 4 == 0) {
			ram[XSDT + 36 + test_below(32)] = (u8)test_random();
			seal(XSDT, 36 + 32, 9);
		}
		if (round % 16 == 0)
			ram[RSDP + test_below(36)] = (u8)test_random();
		acpi_init(paddr(RSDP));
		n = acpi_cpus(&cpus);
		CHECK(n >= 1);
		acpi_pm_timer(&bits);
		n = acpi_mcfg(&w);
		for (unsigned i = 0; i < n; i++)
			CHECK(w[i].bus_end <= 255);
		acpi_hpet_base();
		finish();
	}
}
