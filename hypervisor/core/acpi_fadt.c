/* SPDX-License-Identifier: MIT */
/* The FADT: PM timer, sleep and reset registers (ACPI §4.8, §5.2.9). */
#include <core/acpi.h>
#include <core/console.h>
#include <core/hooks.h>
#include <core/time.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <x86/cr.h>
#include <x86/io.h>

/* Up to the sleep registers of ACPI 5; older tables are shorter and read as if zero-filled. */
struct fadt {
	struct acpi_header h;
	u32 firmware_ctrl, dsdt;
	u8 int_model, preferred_pm;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	u16 p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 boot_arch;
	u8 reserved;
	u32 flags;
	struct acpi_gas reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor;
	u64 x_firmware_ctrl, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1, sleep_control,
		sleep_status;
} __packed;

#define FADT_TMR_VAL_EXT	BIT(8)
#define FADT_RESET_REG_SUP	BIT(10)
#define FADT_HW_REDUCED		BIT(20)
#define PM1_SLP_EN		BIT(13)

static struct fadt fadt;

/* The 64-bit description of a register if the table has a usable one, else the old I/O port. */
static struct acpi_gas choose(const struct acpi_gas *x, u32 port, u8 width)
{
	if (x->address && x->space <= ACPI_SPACE_IO)
		return *x;
	return (struct acpi_gas){ .space = ACPI_SPACE_IO, .width = width, .address = port };
}

void acpi_parse_fadt(void)
{
	const struct acpi_header *h = acpi_table("FACP", 0);

	memset(&fadt, 0, sizeof(fadt));
	if (h)
		memcpy(&fadt, h, min((size_t)h->length, sizeof(fadt)));
}

u16 acpi_pm_timer(unsigned *bits)
{
	struct acpi_gas reg = choose(&fadt.x_pm_tmr, fadt.pm_tmr, 32);

	*bits = fadt.flags & FADT_TMR_VAL_EXT ? 32 : 24;
	if ((fadt.flags & FADT_HW_REDUCED) || reg.space != ACPI_SPACE_IO || !reg.address || reg.address > 0xfffc)
		return 0;
	return (u16)reg.address;
}

u8 acpi_century_register(void)
{
	return fadt.century;
}

static bool write_register(const struct acpi_gas *reg, u32 value, unsigned bytes)
{
	volatile void *p;

	if (!reg->address)
		return false;
	if (reg->space == ACPI_SPACE_IO) {
		if (reg->address > 0xffff)
			return false;
		if (bytes == 1)
			outb((u16)reg->address, (u8)value);
		else
			outw((u16)reg->address, (u16)value);
		return true;
	}
	p = reg->space == ACPI_SPACE_MEMORY ? core_ioremap(paddr(reg->address), bytes) : NULL;
	if (!p)
		return false;
	if (bytes == 1)
		*(volatile u8 *)p = (u8)value;
	else
		*(volatile u16 *)p = (u16)value;
	return true;
}

bool acpi_sleep_possible(u8 state)
{
	if (state != 4 && state != 5)
		return false;
	return fadt.flags & FADT_HW_REDUCED ? fadt.sleep_control.address : fadt.pm1a_cnt || fadt.x_pm1a_cnt.address;
}

int acpi_enter_sleep(u8 state, u16 pm1a, u16 pm1b)
{
	struct acpi_gas a = choose(&fadt.x_pm1a_cnt, fadt.pm1a_cnt, 16);
	struct acpi_gas b = choose(&fadt.x_pm1b_cnt, fadt.pm1b_cnt, 16);

	if (state < 1 || state > 5)
		return -EINVAL;
	if (!acpi_sleep_possible(state))
		return -EOPNOTSUPP;
	local_irq_disable();
	wbinvd();
	if (fadt.flags & FADT_HW_REDUCED) {
		/* SLP_TYP is in bits 10-12 of a PM1 control value and in bits 2-4 here; SLP_EN is bit 5. */
		write_register(&fadt.sleep_control, (pm1a >> 8 & 0x1c) | 0x20, 1);
	} else {
		/* Both registers get the type first, then both the enable bit (§4.8.3.2.1). */
		write_register(&a, pm1a & ~PM1_SLP_EN, 2);
		write_register(&b, pm1b & ~PM1_SLP_EN, 2);
		write_register(&a, pm1a | PM1_SLP_EN, 2);
		write_register(&b, pm1b | PM1_SLP_EN, 2);
	}
	time_udelay(1000000);
	return -EIO;
}

void acpi_reset(void)
{
	if (fadt.h.length < offsetof(struct fadt, arm_boot_arch) || !(fadt.flags & FADT_RESET_REG_SUP))
		return;
	/* PCI configuration space as a register space is defined only for this register; 0xcf9 covers those machines. */
	if (write_register(&fadt.reset_reg, fadt.reset_value, 1))
		time_udelay(100000);
}
