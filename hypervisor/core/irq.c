/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines.
 *
 * Each irq has a descriptor, made once and never freed, with a lock that guards its state and its programming at the IO-APIC or
 * device. The lock is not held while the handler runs; `running` counts handlers so that irq_free() can wait for them.
 *
 * Level-triggered: mask, EOI, handler; unmasked when the handler is done, or, if it says IRQ_DEFER, by irq_end(). `deferred` is set
 * before the handler is called, because irq_end() may come from another CPU before the handler has returned.
 * Edge-triggered: EOI, handler. An edge without a handler is remembered and replayed when one comes.
 *
 * Moving to another CPU is only noted by irq_set_affinity(), and done when the next interrupt has arrived and nothing is in flight.
 * The old vector stays valid until the first interrupt comes in by the new one, so that none is lost.
 */
#include <core/acpi.h>
#include <core/apic.h>
#include <core/console.h>
#include <core/hooks.h>
#include <core/ioapic.h>
#include <core/irq.h>
#include <core/panic.h>
#include <core/percpu.h>
#include <core/spinlock.h>
#include <core/vector.h>
#include <lib/errno.h>
#include <x86/atomic.h>
#include <x86/cr.h>

#define MSIS_PER_CPU	192
#define MAX_IRQS	32768
#define MAX_REPORTS	32

struct irq_desc {
	struct spinlock lock;
	const struct irq_chip *chip;
	void *chip_data;
	irq_handler_t handler;	/* NULL: nobody listens */
	void *data;
	const char *name;
	cpumask_t affinity;	/* where it should go */
	unsigned cpu, old_cpu;
	u8 vector, old_vector;	/* 0: none */
	bool in_use;		/* MSI: created */
	bool level, active_low;
	bool masked;		/* by irq_mask(), or because nobody listens */
	bool deferred;		/* masked until irq_end() */
	bool pending;		/* an edge came while nobody listened */
	bool fixed;		/* one of several that share a message: cannot move */
	bool move;		/* affinity has changed */
	u32 running;		/* handlers being executed */
	u64 count;
};

static struct irq_desc **irqs;
static unsigned nr_gsi, nr_irqs;
static void (*vector_handlers[256])(struct cpu_user_regs *regs);
static u64 unexpected[256];

static struct irq_desc *irq_find(unsigned irq)
{
	return irq < nr_irqs ? READ_ONCE(irqs[irq]) : NULL;
}

/* --- the chips --- */

static void gsi_program(unsigned irq, void *data, u8 vector, u32 apic_id)
{
	const struct irq_desc *desc = irqs[irq];

	ioapic_program(irq, vector, apic_id, desc->level, desc->active_low, desc->masked || desc->deferred);
}

static void gsi_mask(unsigned irq, void *data, bool masked)
{
	ioapic_mask(irq, masked);
}

static const struct irq_chip gsi_chip = { .name = "IO-APIC", .program = gsi_program, .mask = gsi_mask };

static void program(unsigned irq, struct irq_desc *desc)
{
	desc->chip->program(irq, desc->chip_data, desc->vector, cpu_apic_id[desc->cpu]);
}

static void set_hw_mask(unsigned irq, struct irq_desc *desc)
{
	if (desc->chip->mask)
		desc->chip->mask(irq, desc->chip_data, desc->masked || desc->deferred);
}

/* --- vectors and CPUs; lock held --- */

static void release_old_vector(struct irq_desc *desc)
{
	if (desc->old_vector)
		vector_free(desc->old_cpu, desc->old_vector, 1);
	desc->old_vector = 0;
}

/*
 * A device that cannot mask must not see a half-written message: it moves only when its vector number is free on the new CPU, so
 * that nothing but the address changes.
 */
static void move(unsigned irq, struct irq_desc *desc)
{
	u8 vector = desc->vector;
	unsigned cpu;

	desc->move = false;
	if (desc->fixed || cpumask_test(desc->cpu, &desc->affinity))
		return;
	release_old_vector(desc);
	if (vector_alloc(&desc->affinity, 1, irq, &cpu, &vector))
		return;
	if (cpu == desc->cpu || (!desc->chip->mask && vector != desc->vector)) {
		vector_free(cpu, vector, 1);
		return;
	}
	desc->old_cpu = desc->cpu;
	desc->old_vector = desc->vector;
	desc->cpu = cpu;
	desc->vector = vector;
	program(irq, desc);
}

/* Deliver a remembered edge after all. */
static void replay(struct irq_desc *desc)
{
	if (!desc->pending || desc->masked || !desc->handler)
		return;
	desc->pending = false;
	apic_send_ipi(desc->cpu, desc->vector);
}

/* --- arrival --- */

static void report_unexpected(u8 vector)
{
	static unsigned reports;
	u64 n = atomic_add_fetch(&unexpected[vector], 1);

	/* The first ones, then ever fewer. */
	if ((n & (n - 1)) == 0 && reports++ < MAX_REPORTS)
		log_warn("CPU%u: unexpected interrupt vector %#x (%lu so far)\n", smp_processor_id(), vector, n);
}

static void handle(unsigned irq, struct irq_desc *desc, u8 vector)
{
	irq_handler_t handler;
	void *data;

	spin_lock(&desc->lock);
	desc->count++;
	if (desc->old_vector && vector == desc->vector && smp_processor_id() == desc->cpu)
		release_old_vector(desc);
	if (desc->level) {
		desc->deferred = true;
		set_hw_mask(irq, desc);
	}
	apic_eoi();
	if (desc->move)
		move(irq, desc);
	handler = desc->handler;
	data = desc->data;
	if (!handler || desc->masked) {
		/* A level stays asserted and comes again by itself. */
		desc->pending = !desc->level;
		desc->deferred = false;
		if (desc->level && !desc->masked) {
			desc->masked = true;
			set_hw_mask(irq, desc);
		}
		spin_unlock(&desc->lock);
		return;
	}
	desc->running++;
	spin_unlock(&desc->lock);

	enum irq_verdict verdict = handler(irq, data);

	spin_lock(&desc->lock);
	if (desc->deferred && verdict == IRQ_DONE) {
		desc->deferred = false;
		set_hw_mask(irq, desc);
	}
	desc->running--;
	spin_unlock(&desc->lock);
}

static void dispatch(struct cpu_user_regs *regs)
{
	u8 vector = (u8)regs->entry_vector;
	unsigned irq;
	struct irq_desc *desc;

	if (vector_handlers[vector]) {
		apic_eoi();
		vector_handlers[vector](regs);
		return;
	}
	irq = vector_to_irq(vector);
	desc = irq == VECTOR_NO_IRQ ? NULL : irq_find(irq);
	if (likely(desc)) {
		handle(irq, desc, vector);
		return;
	}
	/* A spurious interrupt is not in service, and an EOI would be taken for another one. */
	if (vector != VECTOR_SPURIOUS && apic_isr_test(vector))
		apic_eoi();
	report_unexpected(vector);
}

void irq_dispatch(struct cpu_user_regs *regs)
{
	struct held_locks before = spinlocks_enter_irq();

	dispatch(regs);
	spinlocks_leave_irq(before);
}

void irq_set_vector_handler(u8 vector, void (*handler)(struct cpu_user_regs *regs))
{
	vector_handlers[vector] = handler;
}

/* --- interface --- */

unsigned irq_nr_gsi(void)
{
	return nr_gsi;
}

bool irq_valid(unsigned irq)
{
	const struct irq_desc *desc = irq_find(irq);

	return desc && desc->in_use;
}

int irq_request(unsigned irq, irq_handler_t handler, void *data, const char *name)
{
	struct irq_desc *desc = irq_find(irq);
	u64 flags;
	int rc = 0;

	if (!desc)
		return -EINVAL;
	flags = spin_lock_irqsave(&desc->lock);
	if (!desc->in_use)
		rc = -EINVAL;
	else if (desc->handler)
		rc = -EBUSY;
	else if (!desc->vector)
		rc = vector_alloc(&desc->affinity, 1, irq, &desc->cpu, &desc->vector);
	if (!rc) {
		desc->handler = handler;
		desc->data = data;
		desc->name = name;
		desc->masked = desc->deferred = false;
		program(irq, desc);
		set_hw_mask(irq, desc);
		replay(desc);
	}
	spin_unlock_irqrestore(&desc->lock, flags);
	return rc;
}

void irq_detach(unsigned irq)
{
	struct irq_desc *desc = irq_find(irq);
	u64 flags;

	if (!desc)
		return;
	flags = spin_lock_irqsave(&desc->lock);
	if (desc->handler) {
		desc->handler = NULL;
		desc->name = NULL;
		desc->masked = true;
		desc->deferred = desc->pending = false;
		set_hw_mask(irq, desc);
	}
	spin_unlock_irqrestore(&desc->lock, flags);
}

void irq_wait(unsigned irq)
{
	const struct irq_desc *desc = irq_find(irq);

	while (desc && READ_ONCE(desc->running))
		cpu_relax();
}

void irq_free(unsigned irq)
{
	irq_detach(irq);
	irq_wait(irq);
}

void irq_end(unsigned irq)
{
	struct irq_desc *desc = irq_find(irq);
	u64 flags;

	if (!desc || !READ_ONCE(desc->deferred))
		return;
	flags = spin_lock_irqsave(&desc->lock);
	if (desc->deferred) {
		desc->deferred = false;
		set_hw_mask(irq, desc);
	}
	spin_unlock_irqrestore(&desc->lock, flags);
}

static void set_masked(unsigned irq, bool masked)
{
	struct irq_desc *desc = irq_find(irq);
	u64 flags;

	if (!desc)
		return;
	flags = spin_lock_irqsave(&desc->lock);
	if (desc->handler && desc->masked != masked) {
		desc->masked = masked;
		set_hw_mask(irq, desc);
		replay(desc);
	}
	spin_unlock_irqrestore(&desc->lock, flags);
}

void irq_mask(unsigned irq) { set_masked(irq, true); }
void irq_unmask(unsigned irq) { set_masked(irq, false); }

void irq_set_affinity(unsigned irq, const cpumask_t *mask)
{
	struct irq_desc *desc = irq_find(irq);
	u64 flags;

	if (!desc)
		return;
	flags = spin_lock_irqsave(&desc->lock);
	desc->affinity = *mask;
	desc->move = desc->vector && !desc->fixed && !cpumask_test(desc->cpu, mask);
	/* Nobody listens, so nothing is in flight that a handler would miss. */
	if (desc->move && !desc->handler)
		move(irq, desc);
	spin_unlock_irqrestore(&desc->lock, flags);
}

int irq_setup_gsi(unsigned gsi, bool level, bool active_low)
{
	struct irq_desc *desc = gsi < nr_gsi ? irq_find(gsi) : NULL;
	u64 flags;
	int rc = 0;

	if (!desc)
		return -EINVAL;
	flags = spin_lock_irqsave(&desc->lock);
	if (desc->level != level || desc->active_low != active_low) {
		if (desc->handler) {
			rc = -EEXIST;
		} else {
			desc->level = level;
			desc->active_low = active_low;
		}
	}
	spin_unlock_irqrestore(&desc->lock, flags);
	return rc;
}

bool irq_is_level(unsigned irq)
{
	const struct irq_desc *desc = irq_find(irq);

	return desc && desc->level;
}

/* --- MSI --- */

static struct irq_desc *new_desc(void)
{
	struct irq_desc *desc = core_zalloc(sizeof(*desc));

	if (desc)
		spinlock_init(&desc->lock, LOCK_IRQ, "irq");
	return desc;
}

/* n consecutive free numbers above the GSIs, or 0. */
static unsigned find_free(unsigned n)
{
	unsigned run = 0;

	for (unsigned irq = nr_gsi; irq < nr_irqs; irq++) {
		run = irqs[irq] && irqs[irq]->in_use ? 0 : run + 1;
		if (run == n)
			return irq - n + 1;
	}
	return 0;
}

int irq_create_msi(unsigned n, const struct irq_chip *chip, void *data, unsigned *first)
{
	unsigned irq = find_free(n), cpu;
	cpumask_t all = cpu_online;
	u8 vector = 0;
	int rc;

	if (!irq)
		return -ENOSPC;
	for (unsigned i = 0; i < n; i++) {
		struct irq_desc *desc = irqs[irq + i] ?: new_desc();

		if (!desc)
			return -ENOMEM;
		atomic_store(&irqs[irq + i], desc);
	}
	rc = vector_alloc(&all, n, irq, &cpu, &vector);
	if (rc)
		return rc;
	for (unsigned i = 0; i < n; i++) {
		struct irq_desc *desc = irqs[irq + i];
		u64 flags = spin_lock_irqsave(&desc->lock);

		desc->chip = chip;
		desc->chip_data = data;
		desc->cpu = cpu;
		desc->vector = (u8)(vector + i);
		desc->fixed = n > 1;
		desc->masked = true;
		desc->level = desc->pending = desc->deferred = desc->move = false;
		desc->affinity = all;
		desc->count = 0;
		desc->in_use = true;
		spin_unlock_irqrestore(&desc->lock, flags);
	}
	*first = irq;
	return 0;
}

void irq_destroy_msi(unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct irq_desc *desc = irq_find(first + i);
		u64 flags;

		ASSERT(desc && desc->in_use && first >= nr_gsi);
		irq_free(first + i);
		flags = spin_lock_irqsave(&desc->lock);
		release_old_vector(desc);
		vector_free(desc->cpu, desc->vector, 1);
		desc->vector = 0;
		desc->in_use = desc->move = false;
		spin_unlock_irqrestore(&desc->lock, flags);
	}
}

void irq_reprogram(unsigned irq)
{
	struct irq_desc *desc = irq_find(irq);
	u64 flags;

	if (!desc)
		return;
	flags = spin_lock_irqsave(&desc->lock);
	if (desc->in_use && desc->vector) {
		program(irq, desc);
		set_hw_mask(irq, desc);
	}
	spin_unlock_irqrestore(&desc->lock, flags);
}

/* --- start-up and report --- */

void irq_init(void)
{
	const struct acpi_cpu *cpus;
	unsigned n = acpi_cpus(&cpus);

	ioapic_init();
	nr_gsi = ioapic_nr_gsi();
	nr_irqs = min(nr_gsi + MSIS_PER_CPU * max(n, 4u), (unsigned)MAX_IRQS);
	irqs = core_zalloc(nr_irqs * sizeof(*irqs));
	if (!irqs || nr_gsi >= nr_irqs)
		panic("no memory for %u interrupt lines", nr_irqs);
	for (unsigned gsi = 0; gsi < nr_gsi; gsi++) {
		struct acpi_gsi_setting set = acpi_gsi_default(gsi);
		struct irq_desc *desc;

		if (!ioapic_has_gsi(gsi))
			continue;
		desc = new_desc();
		if (!desc)
			panic("no memory for GSI %u", gsi);
		desc->chip = &gsi_chip;
		desc->level = set.level;
		desc->active_low = set.active_low;
		desc->masked = desc->in_use = true;
		cpumask_set(0, &desc->affinity);
		irqs[gsi] = desc;
	}
}

void irq_dump(void)
{
	for (unsigned irq = 0; irq < nr_irqs; irq++) {
		const struct irq_desc *desc = irqs[irq];

		if (!desc || !desc->in_use || (!desc->handler && !desc->count))
			continue;
		log_info("irq %3u: %-8s %s%s vector %02x CPU%u%s%s%s%s count %lu %s\n", irq, desc->chip->name,
			desc->level ? "level" : "edge", irq < nr_gsi && desc->active_low ? "/low" : "", desc->vector, desc->cpu,
			desc->masked ? " masked" : "", desc->deferred ? " deferred" : "", desc->pending ? " pending" : "",
			desc->move ? " moving" : "", desc->count, desc->name ?: "");
	}
	for (unsigned v = 0; v < 256; v++)
		if (unexpected[v])
			log_info("vector %02x: unexpected, %lu times\n", v, unexpected[v]);
	for_each_online_cpu(cpu)
		log_info("CPU%u: %u device vectors in use\n", cpu, vector_count(cpu));
	ioapic_dump();
}
