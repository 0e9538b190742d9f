/* SPDX-License-Identifier: MIT */
/* Finding the ACPI tables: RSDP, then RSDT or XSDT, each checked by length and checksum. HPET and MCFG, which are small, too. */
#include <core/acpi.h>
#include <core/console.h>
#include <core/hooks.h>
#include <lib/string.h>
#include <x86/layout.h>

#define MAX_TABLES	128
#define MAX_TABLE_SIZE	MiB(16)

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt;
	u32 length;	/* from here on: revision >= 2 */
	u64 xsdt;
	u8 ext_checksum, reserved[3];
} __packed;

struct hpet_table {
	struct acpi_header h;
	u32 block_id;
	struct acpi_gas base;
	u8 number;
	u16 min_tick;
	u8 flags;
} __packed;

struct mcfg_table {
	struct acpi_header h;
	u64 reserved;
	struct acpi_mcfg windows[];
} __packed;

static paddr_t rsdp_addr;
static const struct acpi_header *tables[MAX_TABLES];
static unsigned nr_tables;

static bool checksum_ok(const void *p, size_t len)
{
	const u8 *b = p;
	u8 sum = 0;

	while (len--)
		sum += *b++;
	return sum == 0;
}

/* A table, mapped and checked; NULL (and a message) when it is unusable. */
static const struct acpi_header *map_table(u64 addr)
{
	const struct acpi_header *h = addr ? core_map_table(paddr(addr), sizeof(*h)) : NULL;
	u32 length;

	if (!h)
		return NULL;
	length = h->length;
	if (length < sizeof(*h) || length > MAX_TABLE_SIZE) {
		log_warn("ACPI: table at %#lx ignored: length %u\n", addr, length);
		return NULL;
	}
	h = core_map_table(paddr(addr), length);
	if (!h)
		return NULL;
	if (!checksum_ok(h, length)) {
		log_warn("ACPI: table %.4s at %#lx ignored: bad checksum\n", h->signature, addr);
		return NULL;
	}
	return h;
}

static bool rsdp_ok(const struct rsdp *r)
{
	if (memcmp(r->signature, "RSD PTR ", 8) || !checksum_ok(r, 20))
		return false;
	return r->revision < 2 || (r->length >= sizeof(*r) && r->length <= PAGE_SIZE && checksum_ok(r, r->length));
}

static paddr_t scan(u64 start, u64 end)
{
	for (u64 a = start; a + sizeof(struct rsdp) <= end; a += 16)
		if (rsdp_ok((const struct rsdp *)(DIRECTMAP_START + a)))
			return paddr(a);
	return paddr(0);
}

/* ACPI §5.2.5.1: the first KiB of the extended BIOS data area, then the BIOS area. */
static paddr_t find_rsdp(void)
{
	u64 ebda = (u64)*(const volatile u16 *)(DIRECTMAP_START + 0x40e) << 4;
	paddr_t found = paddr(0);

	if (ebda >= 0x400 && ebda < 0xa0000)
		found = scan(ebda, ebda + 1024);
	return found.v ? found : scan(0xe0000, 0x100000);
}

static void read_root(const struct acpi_header *root, size_t entry)
{
	const u8 *p = (const u8 *)(root + 1), *end = (const u8 *)root + root->length;

	for (; p + entry <= end; p += entry) {
		u64 addr = 0;

		memcpy(&addr, p, entry);
		if (nr_tables == MAX_TABLES) {
			log_warn("ACPI: only the first %u tables are used\n", MAX_TABLES);
			return;
		}
		tables[nr_tables] = map_table(addr);
		if (tables[nr_tables])
			nr_tables++;
	}
}

void acpi_init(paddr_t rsdp)
{
	const struct rsdp *r;
	const struct acpi_header *root = NULL;

	nr_tables = 0;
	rsdp_addr = rsdp.v ? rsdp : find_rsdp();
	r = rsdp_addr.v ? core_map_table(rsdp_addr, sizeof(*r)) : NULL;
	if (r && r->revision >= 2 && r->length > sizeof(*r) && r->length <= PAGE_SIZE)
		r = core_map_table(rsdp_addr, r->length);
	if (r && !rsdp_ok(r))
		r = NULL;
	if (!r) {
		rsdp_addr = paddr(0);
		log_warn("ACPI: no tables found. If the machine has UEFI, let GRUB boot with multiboot2\n");
	} else {
		if (r->revision >= 2)
			root = map_table(r->xsdt);
		if (root && !memcmp(root->signature, "XSDT", 4)) {
			read_root(root, sizeof(u64));
		} else {
			root = map_table(r->rsdt);
			if (root && !memcmp(root->signature, "RSDT", 4))
				read_root(root, sizeof(u32));
		}
	}
	for (unsigned i = 0; i < nr_tables; i++)
		log_debug("ACPI: %.4s revision %u, %u bytes, %.6s %.8s\n", tables[i]->signature, tables[i]->revision,
			  tables[i]->length, tables[i]->oem_id, tables[i]->oem_table_id);
	acpi_parse_madt();
	acpi_parse_fadt();
}

paddr_t acpi_rsdp(void)
{
	return rsdp_addr;
}

const struct acpi_header *acpi_table(const char *signature, unsigned nth)
{
	for (unsigned i = 0; i < nr_tables; i++)
		if (!memcmp(tables[i]->signature, signature, 4) && !nth--)
			return tables[i];
	return NULL;
}

paddr_t acpi_hpet_base(void)
{
	const struct hpet_table *t = (const struct hpet_table *)acpi_table("HPET", 0);

	if (!t || t->h.length < sizeof(*t) || t->base.space != ACPI_SPACE_MEMORY)
		return paddr(0);
	return paddr(t->base.address);
}

unsigned acpi_mcfg(const struct acpi_mcfg **windows)
{
	const struct mcfg_table *t = (const struct mcfg_table *)acpi_table("MCFG", 0);

	if (!t || t->h.length < sizeof(*t))
		return 0;
	*windows = t->windows;
	return (unsigned)((t->h.length - sizeof(*t)) / sizeof(t->windows[0]));
}
