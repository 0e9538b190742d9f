/* SPDX-License-Identifier: MIT */
/* The HPET's main counter (source: IA-PC HPET specification 1.0a). Its comparators are not used. */
#include <core/acpi.h>
#include <core/console.h>
#include <core/hooks.h>
#include <core/platform_timer.h>
#include <x86/cr.h>
#include <x86/io.h>

#define REG_CAP		0x000
#define REG_CAP_PERIOD	0x004	/* femtoseconds per tick */
#define REG_CONFIG	0x010
#define  CONFIG_ENABLE	BIT(0)
#define  CONFIG_LEGACY	BIT(1)
#define REG_COUNTER	0x0f0
#define REG_TIMER(n)	(0x100 + 0x20 * (n))
#define  TIMER_INT_ENABLE BIT(2)

#define FS_PER_SEC	1000000000000000UL
#define MAX_PERIOD	100000000	/* 100 ns, by the specification */
#define MIN_PERIOD	100000		/* 0.1 ns: anything faster is a lie */

static volatile u8 *regs;

/* 32 bits are read in one access on every machine. */
static u64 hpet_read(void)
{
	return mmio_read32(regs + REG_COUNTER);
}

static struct platform_timer hpet = { .name = "HPET", .mask = 0xffffffff, .read = hpet_read };

static bool counts(void)
{
	u64 start = hpet_read();

	for (unsigned i = 0; i < 1000000; i++) {
		if (hpet_read() != start)
			return true;
		cpu_relax();
	}
	return false;
}

const struct platform_timer *hpet_probe(void)
{
	paddr_t base = acpi_hpet_base();
	u32 period, timers;

	if (!base.v)
		return NULL;
	regs = core_ioremap(base, 0x400);
	if (!regs)
		return NULL;
	period = mmio_read32(regs + REG_CAP_PERIOD);
	if (period < MIN_PERIOD || period > MAX_PERIOD) {
		log_warn("HPET at %#lx ignored: period of %u fs\n", base.v, period);
		return NULL;
	}
	timers = (mmio_read32(regs + REG_CAP) >> 8 & 0x1f) + 1;
	for (unsigned i = 0; i < timers; i++)
		mmio_write32(regs + REG_TIMER(i), mmio_read32(regs + REG_TIMER(i)) & ~(u32)TIMER_INT_ENABLE);
	mmio_write32(regs + REG_CONFIG, (mmio_read32(regs + REG_CONFIG) & ~(u32)CONFIG_LEGACY) | CONFIG_ENABLE);
	hpet.hz = FS_PER_SEC / period;
	if (!counts()) {
		log_warn("HPET at %#lx ignored: it does not count\n", base.v);
		return NULL;
	}
	return &hpet;
}
