/* SPDX-License-Identifier: MIT */
/* A domain that stops: by its own wish, or because it broke a rule. For the hardware domain that is the machine's power switch. */
#include <core/console.h>
#include <core/nmi_watchdog.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/time.h>
#include <domain/domain.h>
#include <lib/printf.h>

void (*domain_stop_hook)(struct domain *d);
void (*domain_died_hook)(struct domain *d);

static const char *const reasons[] = {
	[SHUTDOWN_poweroff] = "powered off", [SHUTDOWN_reboot] = "asks for a reboot", [SHUTDOWN_suspend] = "suspended",
	[SHUTDOWN_crash] = "crashed", [SHUTDOWN_watchdog] = "watchdog fired", [SHUTDOWN_soft_reset] = "asks for a soft reset",
};

/* The machine has no use without its hardware domain (plan: its guests are to outlive it). */
static void machine_follows(const struct domain *d, u8 reason)
{
	nmi_watchdog_suspend();
	log_info("Domain %u %s\n", d->id, reason < ARRAY_SIZE(reasons) ? reasons[reason] : "stopped");
	switch (reason) {
	case SHUTDOWN_poweroff:
		machine_poweroff();
	case SHUTDOWN_reboot:
		machine_restart();
	default:
		if (panic_noreboot()) {
			log_err("noreboot is set: halted\n");
			machine_halt();
		}
		log_err("rebooting the machine in 5 seconds\n");
		console_flush();
		time_udelay(5000000);
		machine_restart();
	}
}

void domain_shutdown(struct domain *d, u8 reason)
{
	if (d->shutdown_code)
		reason = (u8)(d->shutdown_code - 1);
	if (d->hardware)
		machine_follows(d, reason);
	/* Who sees that it is shut down sees why. */
	if (!READ_ONCE(d->is_shut_down))
		WRITE_ONCE(d->shutdown_reason, reason);
	atomic_store(&d->is_shut_down, true);
	domain_stop_hook(d);
	domain_died_hook(d);
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_err("domain %u crashed by the hypervisor: %s\n", d->id, text);
	if (current->domain == d && d->ops->dump_vcpu)
		d->ops->dump_vcpu(current);
	domain_shutdown(d, SHUTDOWN_crash);
}
