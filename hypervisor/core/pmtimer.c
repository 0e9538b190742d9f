/* SPDX-License-Identifier: MIT */
/* The ACPI power management timer (ACPI §4.8.2.1). */
#include <core/acpi.h>
#include <core/platform_timer.h>
#include <x86/io.h>

static u16 port;

static u64 pmtimer_read(void)
{
	return inl(port);
}

static struct platform_timer pmtimer = { .name = "ACPI PM timer", .hz = 3579545, .read = pmtimer_read };

const struct platform_timer *pmtimer_probe(void)
{
	unsigned bits;
	u64 start;

	port = acpi_pm_timer(&bits);
	if (!port)
		return NULL;
	pmtimer.mask = bits == 32 ? 0xffffffff : 0xffffff;
	start = pmtimer_read();
	for (unsigned i = 0; i < 100000; i++)
		if (pmtimer_read() != start)
			return &pmtimer;
	return NULL;
}
