/* SPDX-License-Identifier: MIT */
/* Which platform timer is used: the one that clocksource= names, or else the best there is. */
#include <core/console.h>
#include <core/param.h>
#include <core/platform_timer.h>
#include <lib/errno.h>
#include <lib/string.h>

/* Best first. */
static const struct source {
	const char *name;
	const struct platform_timer *(*probe)(void);
} sources[] = {
	{ "hpet", hpet_probe }, { "acpi", pmtimer_probe }, { "pit", pit_probe },
};

static const struct source *opt_source;

static int parse_clocksource(const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (strcmp(value, sources[i].name) == 0) {
			opt_source = &sources[i];
			return 0;
		}
	return -EINVAL;
}
BOOT_PARAM("clocksource", parse_clocksource, "hpet|acpi|pit", "the timer that the TSC is measured with");

const struct platform_timer *platform_timer_find(void)
{
	const struct platform_timer *t = opt_source ? opt_source->probe() : NULL;

	if (opt_source && !t)
		log_warn("clocksource=%s: this machine has none that works, another is used\n", opt_source->name);
	for (size_t i = 0; i < ARRAY_SIZE(sources) && !t; i++)
		t = sources[i].probe();
	return t;
}
