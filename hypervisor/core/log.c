/* SPDX-License-Identifier: MIT */
/* Messages: formatting, log levels, and rate limits. */
#include <core/console.h>
#include <core/param.h>
#include <core/spinlock.h>
#include <core/time.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>
#include <x86/atomic.h>

/*
 * A level is a number of enum log_level. A filter has two thresholds: messages below `always` are printed, those from there up to
 * `limited` are printed as far as the rate allows, the rest is dropped. The rate is a token bucket for the whole
 * system: BURST messages at once, one more each PERIOD.
 */
struct filter { unsigned always, limited; };

#define LINE_MAX	512
#define PREFIX		"(LODGE) "
#define BURST		10
#define PERIOD		MILLISECS(500)

static struct filter own_filter = { LOG_INFO + 1, LOG_INFO + 1 };
static struct filter guest_filter = { 0, LOG_WARN + 1 };

static u32 everything;	/* log_everything() nesting */

static DEFINE_SPINLOCK(rate_lock, LOCK_CONSOLE);
static unsigned tokens = BURST;
static s_time_t last_refill;
static unsigned suppressed;

/* May one more limited message go out? *missed: how many did not since the last that did. */
static bool rate_allows(unsigned *missed)
{
	s_time_t now = time_now();
	u64 flags = spin_lock_irqsave(&rate_lock);
	u64 earned = now > last_refill ? (u64)(now - last_refill) / (u64)PERIOD : 0;
	bool ok;

	if (earned) {
		tokens = (unsigned)min((u64)BURST, tokens + earned);
		last_refill += (s_time_t)earned * PERIOD;
	}
	ok = tokens > 0;
	if (ok) {
		tokens--;
		*missed = suppressed;
		suppressed = 0;
	} else {
		suppressed++;
	}
	spin_unlock_irqrestore(&rate_lock, flags);
	return ok;
}

static void line(const char *who, const char *fmt, va_list args) __printf(2, 0);
static void line(const char *who, const char *fmt, va_list args)
{
	char buf[LINE_MAX];
	size_t n = scnprintf(buf, sizeof(buf), PREFIX "%s", who);

	vsnprintf(buf + n, sizeof(buf) - n, fmt, args);
	n = strlen(buf);
	if (n == sizeof(buf) - 1)
		buf[n - 1] = '\n';	/* cut */
	console_emit(buf, n);
}

static bool passes(const struct filter *f, enum log_level level)
{
	unsigned missed = 0;
	char note[64];

	if (level < f->always)
		return true;
	if (level >= f->limited || !rate_allows(&missed))
		return false;
	if (missed)
		console_emit(note, scnprintf(note, sizeof(note), PREFIX "(%u messages suppressed)\n", missed));
	return true;
}

void log_everything(bool on)
{
	atomic_fetch_add(&everything, on ? 1 : ~0u);
}

void printk(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (!READ_ONCE(everything) && !passes(&own_filter, level))
		return;
	va_start(args, fmt);
	line("", fmt, args);
	va_end(args);
}

void printk_guest(enum log_level level, const char *fmt, ...)
{
	char who[24];
	va_list args;

	if (!passes(&guest_filter, level))
		return;
	console_current_name(who, sizeof(who) - 2);
	strlcpy(who + strlen(who), ": ", 3);
	va_start(args, fmt);
	line(who, fmt, args);
	va_end(args);
}

/* "error" and the like up to the end or a '/': the number of levels that it lets through. */
static int parse_level(const char **s, unsigned *out)
{
	static const struct { const char *name; unsigned n; } names[] = {
		{ "none", 0 }, { "error", LOG_ERR + 1 }, { "warning", LOG_WARN + 1 }, { "info", LOG_INFO + 1 },
		{ "debug", LOG_DEBUG + 1 }, { "all", LOG_DEBUG + 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i].name);

		if (strncmp(*s, names[i].name, n) == 0 && (!(*s)[n] || (*s)[n] == '/')) {
			*out = names[i].n;
			*s += n;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_filter(const char *s, struct filter *f)
{
	struct filter new;

	if (parse_level(&s, &new.always) != 0)
		return -EINVAL;
	new.limited = new.always;
	if (*s == '/') {
		s++;
		if (parse_level(&s, &new.limited) != 0)
			return -EINVAL;
	}
	if (*s || new.limited < new.always)
		return -EINVAL;
	*f = new;
	return 0;
}

static int parse_loglvl(const char *s) { return parse_filter(s, &own_filter); }
static int parse_guest_loglvl(const char *s) { return parse_filter(s, &guest_filter); }

#define LEVELS	"none|error|warning|info|debug|all[/LEVEL]"
BOOT_PARAM("loglvl", parse_loglvl, LEVELS, "which of Lodge's own messages are printed; after a slash: up to which, rate-limited");
BOOT_PARAM("guest_loglvl", parse_guest_loglvl, LEVELS, "which messages about guests are printed");
