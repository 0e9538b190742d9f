/* SPDX-License-Identifier: MIT */
/*
 * System time.
 *
 * System time is a function of the TSC: a chain of straight segments, each starting exactly where the one before has got to, so the
 * function is continuous and never falls. A new segment starts a moment in the future, in TSC time; a reader chooses the segment by
 * the TSC value it has read, and reads again when a segment was added meanwhile. Hence all CPUs agree at every TSC value, also
 * while the rate changes.
 *
 * Which TSC: a CPU whose TSC differs from the boot CPU's adds a constant offset. Then CPUs agree only as well as the offset was
 * measured, and the greatest time that any CPU has returned is the lower bound of all later ones (clamp).
 *
 * Rates: an invariant TSC is measured once, roughly when time starts and exactly when boot ends. Otherwise every CPU's timeline is
 * compared once per second with the platform timer and bent towards it. The timeline is shared by all CPUs, except on machines
 * whose TSCs are neither invariant nor virtual, or with tsc=unstable: there each CPU has its own (and clamp is on).
 */
#include <core/apic.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/percpu.h>
#include <core/platform_timer.h>
#include <core/rtc.h>
#include <core/spinlock.h>
#include <core/time.h>
#include <core/timer.h>
#include <core/timescale.h>
#include <core/tsc_sync.h>
#include <lib/div.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <x86/atomic.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>
#include <xen/xen.h>

#define SEGMENTS	8
#define PERIOD		NS_PER_SEC
#define SEGMENT_LEAD	MICROSECS(100)		/* a new segment starts this much later */
#define TELL_DELAY	MILLISECS(1)		/* … and guests are told when it has */
#define MEASURE_MIN	MICROSECS(10000)
#define MEASURE_MAX	MICROSECS(50000)
#define MEASURE_ERROR	50000			/* good enough: 1 / this */
#define SAMPLE_TRIES	5
#define SAMPLE_MAX_NS	MICROSECS(100)		/* wider samples say nothing */

/* The TSC (offset included) and another counter at about the same moment; width: TSC ticks of uncertainty. */
struct sample { u64 tsc, count, width; };

struct timeline {
	struct segment ring[SEGMENTS];
	u32 last;		/* number of the newest segment; it is ring[last % SEGMENTS] */
	struct { u64 tsc, ns; } ref;	/* last comparison with the platform timer */
};

static struct timeline shared_timeline;
static DEFINE_PER_CPU(struct timeline, own_timeline);

struct cpu_clock {
	struct timeline *timeline;
	s64 tsc_offset;
	u32 told;		/* segment that time_pvclock_changed() was last called for */
	bool compared;		/* this second's comparison is done */
	struct timer timer;
};
static DEFINE_PER_CPU(struct cpu_clock, cpu_clock) = { .timeline = &shared_timeline };

/* What is known better than from the processor: rates vary; CPUs differ although they do not seem to. */
static bool opt_unstable, opt_skewed;

/* Before anything asks for the feature: the APIC's deadline mode and what guests are told follow it, too. */
static int parse_tsc(const char *value)
{
	bool unstable = strcmp(value, "unstable") == 0, skewed = strcmp(value, "skewed") == 0;

	if (!unstable && !skewed)
		return -EINVAL;
	opt_unstable = unstable;
	opt_skewed = skewed;
	cpuid_override(FEAT_INVARIANT_TSC, !unstable);
	return 0;
}
BOOT_PARAM("tsc", parse_tsc, "unstable|skewed", "what not to rely on in the time stamp counters");

static bool tsc_constant;	/* invariant: no comparisons needed */
static bool tsc_exact;		/* frequency known, not measured */
static bool tsc_uniform;	/* no CPU has needed an offset, or is said to */
static bool per_cpu_rates;
static bool clamp;
static u64 clamp_time;
static u64 tsc_khz = 2000000;	/* a guess until measured, for delays */

static const struct platform_timer *platform;
static struct timescale platform_scale;
static struct sample first_sample;
/* The platform timer as a clock: ns at a counter value. */
static DEFINE_SPINLOCK(platform_lock, LOCK_TIME);
static u64 platform_count, platform_ns, platform_read_at;

static u64 wallclock;		/* ns since 1970 at system time 0 */
void (*time_pvclock_changed)(void);
void (*wallclock_changed)(void);

/* --- reading --- */

static const struct segment *segment_for(const struct timeline *tl, u32 last, u64 tsc)
{
	const struct segment *s = &tl->ring[last % SEGMENTS];

	return unlikely(tsc < s->tsc) && last ? &tl->ring[(last - 1) % SEGMENTS] : s;
}

static u64 clamped(u64 t)
{
	u64 seen = READ_ONCE(clamp_time);

	do {
		if (t <= seen)
			return seen;
	} while (!atomic_try_cmpxchg(&clamp_time, &seen, t));
	return t;
}

/* Whatever the state of the clock. */
static __noinline s_time_t now_unusual(void)
{
	const struct cpu_clock *c = &this_cpu(cpu_clock);
	const struct timeline *tl = c->timeline;
	u32 last;
	u64 t;

	do {
		u64 tsc;

		last = atomic_load(&tl->last);
		tsc = rdtsc_ordered() + (u64)c->tsc_offset;
		t = segment_at(segment_for(tl, last, tsc), tsc);
		smp_rmb();
	} while (unlikely(READ_ONCE(tl->last) != last));
	return (s_time_t)(unlikely(clamp) ? clamped(t) : t);
}

s_time_t time_now(void)
{
	const struct cpu_clock *c = &this_cpu(cpu_clock);
	const struct timeline *tl = c->timeline;
	u32 last = atomic_load(&tl->last);
	const struct segment *s = &tl->ring[last % SEGMENTS];
	u64 tsc = rdtsc_ordered() + (u64)c->tsc_offset, since;

	if (likely(tsc >= s->tsc && timescale_ns_usual(s->scale, tsc - s->tsc, &since) && !clamp)) {
		since += s->ns;
		smp_rmb();
		/* The segment was whole. */
		if (likely(READ_ONCE(tl->last) == last))
			return (s_time_t)since;
	}
	return now_unusual();
}

s_time_t time_from_tsc(u64 tsc)
{
	const struct cpu_clock *c = &this_cpu(cpu_clock);

	tsc += (u64)c->tsc_offset;
	return (s_time_t)segment_at(segment_for(c->timeline, READ_ONCE(c->timeline->last), tsc), tsc);
}

u64 time_to_tsc(s_time_t t)
{
	const struct cpu_clock *c = &this_cpu(cpu_clock);
	const struct segment *s = &c->timeline->ring[READ_ONCE(c->timeline->last) % SEGMENTS];
	u64 ahead = (u64)t > s->ns ? timescale_ticks(s->scale, (u64)t - s->ns) : 0;

	return s->tsc + ahead - (u64)c->tsc_offset;
}

u64 time_tsc_khz(void)
{
	return tsc_khz;
}

void time_udelay(u64 us)
{
	u64 start = rdtsc(), ticks = us * tsc_khz / 1000;

	while (rdtsc() - start < ticks)
		cpu_relax();
}

void time_fill_pvclock(struct vcpu_time_info *out)
{
	const struct cpu_clock *c = &this_cpu(cpu_clock);
	const struct segment *s = segment_for(c->timeline, READ_ONCE(c->timeline->last), rdtsc() + (u64)c->tsc_offset);

	out->tsc_timestamp = s->tsc - (u64)c->tsc_offset;
	out->system_time = s->ns;
	out->tsc_to_system_mul = s->scale.mul;
	out->tsc_shift = s->scale.shift;
	out->flags = tsc_constant && tsc_uniform ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
}

u32 time_pvclock_generation(void)
{
	const struct cpu_clock *c = &this_cpu(cpu_clock);
	u32 last = READ_ONCE(c->timeline->last);

	return rdtsc() + (u64)c->tsc_offset < c->timeline->ring[last % SEGMENTS].tsc ? last - 1 : last;
}

u64 wallclock_base(void)
{
	return READ_ONCE(wallclock);
}

void wallclock_set(u64 sec, u32 nsec, s_time_t at)
{
	WRITE_ONCE(wallclock, sec * (u64)NS_PER_SEC + nsec - (u64)at);
	if (wallclock_changed)
		wallclock_changed();
}

/* --- measuring --- */

static u64 apic_read_count(void)
{
	return apic_timer_count();
}

/* The best of a few. */
static struct sample take_sample(u64 (*read)(void))
{
	struct sample best = { .width = ~0UL };
	u64 flags = local_irq_save();

	for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
		u64 before = rdtsc_ordered();
		u64 count = read();
		u64 width = rdtsc_ordered() - before;

		if (width < best.width)
			best = (struct sample){
				.tsc = before + width / 2 + (u64)this_cpu(cpu_clock).tsc_offset, .count = count, .width = width};
	}
	local_irq_restore(flags);
	return best;
}

static u64 samples_to_hz(const struct sample *a, const struct sample *b, u64 ticks)
{
	return muldiv64(b->tsc - a->tsc, platform->hz, max(ticks, 1UL));
}

/* Measure TSC (and APIC timer) against the platform timer for as short as gives a fair result. */
static u64 measure_tsc(void)
{
	u64 least = muldiv64((u64)MEASURE_MIN, platform->hz, NS_PER_SEC),
	    most = muldiv64((u64)MEASURE_MAX, platform->hz, NS_PER_SEC);
	struct sample s, apic_first, apic_last;
	u64 ticks, hz;

	first_sample = take_sample(platform->read);
	apic_timer_count_start();
	apic_first = take_sample(apic_read_count);
	do {
		s = take_sample(platform->read);
		ticks = (s.count - first_sample.count) & platform->mask;
	} while (ticks < least || (ticks < most && (s.width + first_sample.width) > (s.tsc - first_sample.tsc) / MEASURE_ERROR));
	apic_last = take_sample(apic_read_count);
	hz = samples_to_hz(&first_sample, &s, ticks);
	apic_timer_set_frequency(muldiv64(apic_first.count - apic_last.count, hz, apic_last.tsc - apic_first.tsc));
	return hz;
}

/* Frequency as the processor states it (SDM vol. 3 §19.7.3: leaf 0x15 with the crystal's frequency filled in), or 0. */
static u64 stated_hz(void)
{
	struct cpuid_regs r;

	if (cpu_features.vendor != VENDOR_INTEL || cpu_features.max_leaf < 0x15)
		return 0;
	r = cpuid(0x15, 0);
	return r.a && r.b && r.c ? muldiv64(r.c, r.b, r.a) : 0;
}

/* Platform time at the counter value. The lock makes it go forward only. */
static u64 platform_time(u64 count)
{
	u64 flags = spin_lock_irqsave(&platform_lock), now = (u64)time_now(), ns;
	u64 expected = timescale_ticks(platform_scale, now - min(platform_read_at, now));
	u64 delta = (count - platform_count) & platform->mask;

	/* A value taken just before another CPU's reading. */
	if (delta > platform->mask / 2 && expected < platform->mask / 4) {
		ns = platform_ns - timescale_ns(platform_scale, (platform_count - count) & platform->mask);
	} else {
		platform_ns += timescale_ns(platform_scale, counter_delta(platform_count, count, platform->mask, expected));
		platform_count = count;
		platform_read_at = now;
		ns = platform_ns;
	}
	spin_unlock_irqrestore(&platform_lock, flags);
	return ns;
}

/* --- changing the rate --- */

/* Go on with another scale from a moment in the near future on. One CPU at a time per timeline. */
static void add_segment(struct timeline *tl, struct timescale scale)
{
	const struct segment *old = &tl->ring[tl->last % SEGMENTS];
	struct segment *s = &tl->ring[(tl->last + 1) % SEGMENTS];
	u64 flags = local_irq_save();
	u64 start = rdtsc_ordered() + (u64)this_cpu(cpu_clock).tsc_offset + timescale_ticks(old->scale, (u64)SEGMENT_LEAD);

	*s = (struct segment){ .tsc = start, .ns = segment_at(old, start), .scale = scale };
	atomic_store(&tl->last, tl->last + 1);
	local_irq_restore(flags);
}

static void compare(struct timeline *tl)
{
	struct sample s = take_sample(platform->read);
	u64 ns, elapsed_ns, elapsed_tsc;

	if (s.width > (u64)SAMPLE_MAX_NS * tsc_khz / 1000000)
		return;
	ns = platform_time(s.count);
	elapsed_ns = ns - tl->ref.ns;
	elapsed_tsc = s.tsc - tl->ref.tsc;
	if ((s64)elapsed_ns < PERIOD / 2 || (s64)elapsed_tsc <= 0)
		return;
	tl->ref.tsc = s.tsc;
	tl->ref.ns = ns;
	add_segment(tl, timescale_slew(timescale_ratio(elapsed_ns, elapsed_tsc),
				(s64)(segment_at(&tl->ring[tl->last % SEGMENTS], s.tsc) - ns), (u64)PERIOD));
}

static s_time_t next_period(s_time_t now)
{
	return now - now % PERIOD + PERIOD;
}

/* Does this CPU compare its timeline with the platform timer? */
static bool compares(void)
{
	return per_cpu_rates || smp_processor_id() == 0;
}

/* At every full second the owners bend their timelines; a moment later every CPU lets its guest know. */
static void periodic(void *unused)
{
	struct cpu_clock *c = &this_cpu(cpu_clock);
	s_time_t now = time_now();
	u32 generation;

	if (compares() && !c->compared) {
		compare(c->timeline);
		c->compared = true;
		timer_set(&c->timer, now + TELL_DELAY);
		return;
	}
	c->compared = false;
	generation = time_pvclock_generation();
	if (generation != c->told) {
		c->told = generation;
		if (time_pvclock_changed)
			time_pvclock_changed();
	}
	timer_set(&c->timer, next_period(now) + (compares() ? 0 : TELL_DELAY));
}

static void start_comparing(void)
{
	struct cpu_clock *c = &this_cpu(cpu_clock);

	if (tsc_constant || !platform || platform->brief)
		return;
	timer_init(&c->timer, periodic, NULL, smp_processor_id());
	timer_set(&c->timer, next_period(time_now()));
}

/* --- start-up --- */

static const char *tsc_state(void)
{
	if (tsc_constant)
		return "invariant";
	return platform->brief ? "taken to be invariant" : "compared every second";
}

static void find_platform_timer(void)
{
	platform = platform_timer_find();
	if (!platform)
		panic("no usable timer: neither HPET, ACPI PM timer nor PIT");
	platform_scale = timescale_hz(platform->hz);
}

void time_init(void)
{
	struct timeline *tl = &shared_timeline;
	u64 hz, stated;

	timers_init();
	tsc_constant = cpu_has(FEAT_INVARIANT_TSC);
	per_cpu_rates = opt_unstable || (!tsc_constant && !cpu_has(FEAT_HYPERVISOR));
	clamp = per_cpu_rates || opt_skewed;
	tsc_uniform = !opt_skewed;
	find_platform_timer();
	hz = measure_tsc();
	stated = stated_hz();
	if (stated && stated / 100 * 99 < hz && hz < stated / 100 * 101) {
		hz = stated;
		tsc_exact = true;
	}
	if (hz < 1000000)
		panic("the TSC runs at %lu Hz: too slow to be used", hz);
	tsc_khz = hz / 1000;
	tl->ring[0] = (struct segment){ .tsc = first_sample.tsc, .ns = 1, .scale = timescale_hz(hz) };
	tl->ref.tsc = first_sample.tsc;
	platform_count = first_sample.count;
	/* Segment 0 is what readers on other CPUs, and of earlier moments, would see; the published one is number 1. */
	tl->ring[1] = tl->ring[0];
	atomic_store(&tl->last, 1);
	wallclock = rtc_read_time() * (u64)NS_PER_SEC;
	wallclock -= min(wallclock, (u64)time_now());
	log_info("time: %s at %lu kHz; TSC at %lu.%03lu MHz, %s; APIC timer: %s at %lu kHz\n", platform->name, platform->hz / 1000,
		tsc_khz / 1000, tsc_khz % 1000, tsc_state(), apic_timer_is_deadline() ? "TSC deadline" : "one-shot",
		apic_timer_frequency() / 1000);
	start_comparing();
}

void time_end_boot(void)
{
	struct sample s;
	u64 expected, hz;

	if (tsc_exact || platform->brief)
		return;
	s = take_sample(platform->read);
	expected = muldiv64(s.tsc - first_sample.tsc, platform->hz, tsc_khz * 1000);
	hz = samples_to_hz(&first_sample, &s, counter_delta(first_sample.count, s.count, platform->mask, expected));
	if (hz < tsc_khz * 990 || hz > tsc_khz * 1010) {
		log_warn("time: the TSC's frequency has changed from %lu to %lu kHz since boot\n", tsc_khz, hz / 1000);
		return;
	}
	tsc_khz = hz / 1000;
	if (tsc_constant)
		add_segment(&shared_timeline, timescale_hz(hz));
	log_debug("time: TSC at %lu.%06lu MHz\n", hz / 1000000, hz % 1000000);
}

void time_sync_cpu(unsigned cpu)
{
	u64 flags = local_irq_save();

	tsc_sync_source(cpu);
	local_irq_restore(flags);
}

void time_init_cpu(void)
{
	struct cpu_clock *c = &this_cpu(cpu_clock);
	struct timeline *tl = &this_cpu(own_timeline);
	unsigned cpu = smp_processor_id();
	s64 offset;

	if (!tsc_sync_target(cpu, &offset))
		log_warn("time: the TSC of CPU%u could not be compared with the boot CPU's\n", cpu);
	if (offset) {
		log_info("time: CPU%u's TSC is off by %ld ticks\n", cpu, -offset);
		c->tsc_offset = offset;
		tsc_uniform = false;
		clamp = true;
	}
	if (per_cpu_rates) {
		*tl = shared_timeline;
		c->timeline = tl;
	}
	start_comparing();
}

void time_dump(void)
{
	log_info("time: system %ld ns, wall clock base %lu s, %s at %lu Hz, TSC %lu kHz, %s%s\n", time_now(),
		wallclock / (u64)NS_PER_SEC, platform->name, platform->hz, tsc_khz, tsc_state(), clamp ? ", clamped" : "");
	for_each_online_cpu(cpu) {
		const struct cpu_clock *c = &per_cpu(cpu_clock, cpu);
		const struct segment *s = &c->timeline->ring[c->timeline->last % SEGMENTS];

		log_info("  CPU%u: TSC offset %ld, segment %u from tsc %lu = %lu ns, mul %#x shift %d\n", cpu, c->tsc_offset,
			c->timeline->last, s->tsc, s->ns, s->scale.mul, s->scale.shift);
	}
}
