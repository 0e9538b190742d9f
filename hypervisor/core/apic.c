/* SPDX-License-Identifier: MIT */
/*
 * The local APIC.
 *
 * One mode for the whole machine, chosen on the boot CPU: x2APIC (registers are MSRs) when the processor has it and nox2apic is not
 * given, else xAPIC (registers in memory). Only physical destination mode is used, so that any number of CPUs works the same way.
 */
#include <core/acpi.h>
#include <core/apic.h>
#include <core/console.h>
#include <core/hooks.h>
#include <core/irq.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/time.h>
#include <lib/div.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/io.h>
#include <x86/msr.h>

enum apic_reg {
	APIC_ID = 0x020,
	APIC_VERSION = 0x030,
	APIC_TPR = 0x080,
	APIC_EOI = 0x0b0,
	APIC_LDR = 0x0d0,
	APIC_SVR = 0x0f0,
	APIC_ISR = 0x100,
	APIC_ESR = 0x280,
	APIC_LVT_CMCI = 0x2f0,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_THERMAL = 0x330,
	APIC_LVT_PERF = 0x340,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

#define SVR_ENABLE		BIT(8)
#define LVT_MASKED		BIT(16)
#define LVT_TIMER_DEADLINE	(2u << 17)
#define DELIVERY_NMI		(4u << 8)
#define DELIVERY_INIT		(5u << 8)
#define DELIVERY_SIPI		(6u << 8)
#define ICR_BUSY		BIT(12)
#define ICR_ASSERT		BIT(14)
#define ICR_LEVEL		BIT(15)
#define DIVIDE_BY_1		0xb
#define TIMER_MARGIN_SHIFT	14	/* 61 ppm: more than the error of the timer's calibration */

u32 cpu_apic_id[MAX_CPUS] = { [0 ... MAX_CPUS - 1] = APIC_ID_NONE };

static volatile u8 *regs;	/* xAPIC register page; NULL in x2APIC mode */
static bool x2apic, deadline;
static u64 timer_hz;

static bool opt_nox2apic;
static int parse_nox2apic(const char *value) { return param_bool(value, &opt_nox2apic); }
BOOT_PARAM("nox2apic", parse_nox2apic, "BOOLEAN", "use the memory-mapped APIC registers even if the processor has x2APIC");

static u32 apic_read(enum apic_reg reg)
{
	return x2apic ? (u32)rdmsr(MSR_X2APIC_BASE + (reg >> 4)) : mmio_read32(regs + reg);
}

static void apic_write(enum apic_reg reg, u32 value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_BASE + (reg >> 4), value);
	else
		mmio_write32(regs + reg, value);
}

u32 apic_id(void) { return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24; }
void apic_eoi(void) { apic_write(APIC_EOI, 0); }

static bool any_big_id(void)
{
	const struct acpi_cpu *cpus;
	unsigned n = acpi_cpus(&cpus);

	for (unsigned i = 0; i < n; i++)
		if (cpus[i].enabled && cpus[i].apic_id >= 0xff)
			return true;
	return false;
}

/* Put the calling CPU's APIC into the chosen mode (SDM vol. 3 fig. 10-27: from x2APIC to xAPIC only by way of "disabled"). */
static void set_mode(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	u64 flags = APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2APIC : 0);

	if ((base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == flags)
		return;
	if ((base & APIC_BASE_X2APIC) && !x2apic) {
		base &= ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC);
		wrmsr(MSR_APIC_BASE, base);
	}
	if (!(base & APIC_BASE_ENABLE))
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	wrmsr(MSR_APIC_BASE, base | flags);
}

static u32 cpu_acpi_id(u32 apic)
{
	const struct acpi_cpu *cpus;
	unsigned n = acpi_cpus(&cpus);

	for (unsigned i = 0; i < n; i++)
		if (cpus[i].apic_id == apic)
			return cpus[i].acpi_id;
	return 0;
}

/* Whatever the firmware left in service would block everything of lower priority for ever. */
static void clear_in_service(void)
{
	for (unsigned round = 0; round < 256; round++) {
		bool any = false;

		for (unsigned i = 0; i < 8; i++)
			any |= apic_read(APIC_ISR + 0x10 * i) != 0;
		if (!any)
			return;
		apic_eoi();
	}
}

static void apic_error(struct cpu_user_regs *frame)
{
	static unsigned reports;
	u32 esr;

	apic_write(APIC_ESR, 0);
	esr = apic_read(APIC_ESR);
	if (reports++ < 16)
		log_warn("APIC error on CPU%u: %#x\n", smp_processor_id(), esr);
}

void apic_init_cpu(void)
{
	unsigned max_lvt;
	int lint;

	set_mode();
	max_lvt = apic_read(APIC_VERSION) >> 16 & 0xff;
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SVR, VECTOR_SPURIOUS | SVR_ENABLE);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_MASKED);
	if (max_lvt >= 4)
		apic_write(APIC_LVT_PERF, LVT_MASKED);
	if (max_lvt >= 5)
		apic_write(APIC_LVT_THERMAL, LVT_MASKED | VECTOR_SPURIOUS);
	if (max_lvt >= 6)
		apic_write(APIC_LVT_CMCI, LVT_MASKED | VECTOR_SPURIOUS);
	lint = acpi_nmi_lint(cpu_acpi_id(apic_id()));
	if (lint >= 0)
		apic_write(lint ? APIC_LVT_LINT1 : APIC_LVT_LINT0, DELIVERY_NMI);
	clear_in_service();
	apic_write(APIC_ESR, 0);
	apic_write(APIC_LVT_ERROR, VECTOR_ERROR);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline ? LVT_TIMER_DEADLINE : 0));
	/* Deadline writes must not overtake the mode change (SDM vol. 3 §10.5.4.1). */
	__asm__ volatile("mfence" ::: "memory");
}

void apic_init(void)
{
	bool was_x2apic = rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;

	x2apic = cpu_has(FEAT_X2APIC) && !opt_nox2apic;
	if (cpu_has(FEAT_X2APIC) && opt_nox2apic && was_x2apic && any_big_id()) {
		log_warn("nox2apic ignored: there are processors with APIC ids above 254\n");
		x2apic = true;
	}
	if (!x2apic) {
		regs = core_ioremap(acpi_lapic_base(), PAGE_SIZE);
		if (!regs)
			panic("cannot map the local APIC at %#lx", acpi_lapic_base().v);
	}
	deadline = cpu_has(FEAT_TSC_DEADLINE) && cpu_has(FEAT_INVARIANT_TSC);
	irq_set_vector_handler(VECTOR_ERROR, apic_error);
	apic_init_cpu();
	cpu_apic_id[0] = apic_id();
	log_info("APIC: %s mode, boot CPU has id %u\n", x2apic ? "x2APIC" : "xAPIC", cpu_apic_id[0]);
}

void apic_disable_cpu(void)
{
	if (!x2apic && !regs)
		return;
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_SVR, VECTOR_SPURIOUS);
}

static void wait_icr_idle(void)
{
	for (unsigned i = 0; i < 1000000 && (apic_read(APIC_ICR) & ICR_BUSY); i++)
		cpu_relax();
}

/* low: vector, delivery mode and level bits. */
static void send(u32 dest, u32 low)
{
	u64 flags;

	if (x2apic) {
		/* A WRMSR to the ICR does not wait for earlier stores (SDM vol. 3 §10.12.3). */
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC_BASE + (APIC_ICR >> 4), (u64)dest << 32 | low);
		return;
	}
	if (dest >= 0xff)
		return;
	flags = local_irq_save();
	wait_icr_idle();
	apic_write(APIC_ICR_HIGH, dest << 24);
	apic_write(APIC_ICR, low);
	local_irq_restore(flags);
}

void apic_send_ipi(unsigned cpu, u8 vector)
{
	if (cpu < MAX_CPUS && cpu_apic_id[cpu] != APIC_ID_NONE)
		send(cpu_apic_id[cpu], vector | ICR_ASSERT);
}

void apic_send_ipi_mask(const cpumask_t *mask, u8 vector)
{
	for_each_cpu(cpu, mask)
		apic_send_ipi(cpu, vector);
}

void apic_send_nmi(unsigned cpu)
{
	if (cpu < MAX_CPUS && cpu_apic_id[cpu] != APIC_ID_NONE)
		send(cpu_apic_id[cpu], DELIVERY_NMI | ICR_ASSERT);
}

void apic_send_init(u32 id)
{
	send(id, DELIVERY_INIT | ICR_LEVEL | ICR_ASSERT);
	if (x2apic)
		return;
	wait_icr_idle();
	time_udelay(200);
	send(id, DELIVERY_INIT | ICR_LEVEL);
}

void apic_send_sipi(u32 id, u8 vector)
{
	send(id, DELIVERY_SIPI | ICR_ASSERT | vector);
}

bool apic_isr_test(u8 vector) { return apic_read(APIC_ISR + 0x10 * (vector / 32)) >> (vector % 32) & 1; }

bool apic_timer_is_deadline(void) { return deadline; }
u64 apic_timer_frequency(void) { return timer_hz; }

void apic_timer_arm(u64 ns, u64 tsc)
{
	u64 count;

	if (deadline) {
		wrmsr(MSR_TSC_DEADLINE, max(tsc, 1UL));
		return;
	}
	/* A little late is one interrupt; a little early would be two. */
	count = muldiv64(ns + (ns >> TIMER_MARGIN_SHIFT), timer_hz, NS_PER_SEC) + 1;
	apic_write(APIC_TIMER_INITIAL, (u32)min(count, 0xffffffffUL));
}

void apic_timer_stop(void)
{
	if (deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else
		apic_write(APIC_TIMER_INITIAL, 0);
}

void apic_timer_count_start(void)
{
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, 0xffffffff);
}

u32 apic_timer_count(void)
{
	return apic_read(APIC_TIMER_CURRENT);
}

void apic_timer_set_frequency(u64 hz)
{
	timer_hz = hz;
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline ? LVT_TIMER_DEADLINE : 0));
}
