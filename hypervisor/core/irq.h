/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines and vectors.
 *
 * An irq is a number: 0..irq_nr_gsi()-1 are the IO-APIC inputs (the GSIs of ACPI), above are MSIs, allocated on
 * demand. Each irq in use owns one vector on one CPU. Vectors 0x21-0xef (but 0x80) are for devices; 0xf0 and above are ours.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include <core/cpumask.h>
#include <x86/regs.h>

#define VECTOR_FIRST_DEVICE	0x21
#define VECTOR_LAST_DEVICE	0xef
#define VECTOR_SPURIOUS		0xff
#define VECTOR_ERROR		0xfe
#define VECTOR_TIMER		0xfd	/* local APIC timer */
#define VECTOR_KICK		0xfc	/* run soft-IRQs */
#define VECTOR_CALL		0xfb	/* smp_call */
#define VECTOR_FLUSH		0xfa	/* memory/tlbflush */

/* What a handler says about the line. */
enum irq_verdict {
	IRQ_DONE,	/* acknowledge now */
	IRQ_DEFER,	/* level-triggered and still asserted: keep masked until irq_end() */
};
typedef enum irq_verdict (*irq_handler_t)(unsigned irq, void *data);

/* Boot: the IO-APICs and the table of irqs. After apic_init() and the memory allocator. */
void irq_init(void);
/* Every vector >= 0x20 arrives here from entry.S with interrupts off. */
void irq_dispatch(struct cpu_user_regs *regs);
/* Install a handler for one of our own vectors (VECTOR_KICK …); it is called after the APIC's EOI. */
void irq_set_vector_handler(u8 vector, void (*handler)(struct cpu_user_regs *regs));

unsigned irq_nr_gsi(void);
/* Is the number a GSI, or an MSI in use? */
bool irq_valid(unsigned irq);
/*
 * Route the irq to a vector and unmask it. 0, -EINVAL no such irq, -EBUSY has a handler, -ENOSPC no vector left.
 */
int __must_check irq_request(unsigned irq, irq_handler_t handler, void *data, const char *name);
/* Mask and remove the handler. */
void irq_detach(unsigned irq);
/* Wait until the handler is not running any more. Not from interrupt context, nor with a lock that the handler takes. */
void irq_wait(unsigned irq);
/* Both. */
void irq_free(unsigned irq);
/* After IRQ_DEFER: the consumer has quietened the device. Any context. */
void irq_end(unsigned irq);
void irq_mask(unsigned irq);
void irq_unmask(unsigned irq);
/* Move delivery to one CPU of the set. Best effort. */
void irq_set_affinity(unsigned irq, const cpumask_t *mask);
/* Set trigger mode and polarity of a GSI, from ACPI _PRT or overrides. -EEXIST when in use with another setting. */
int __must_check irq_setup_gsi(unsigned gsi, bool level, bool active_low);
bool irq_is_level(unsigned irq);
/* Print irqs, vectors, counts: debug key 'i'. */
void irq_dump(void);

/* --- for message-signalled interrupts (core/msi.c) --- */
struct irq_chip {
	const char *name;
	/* Make the device send this vector to this APIC, masked or not. Under the irq's lock. */
	void (*program)(unsigned irq, void *data, u8 vector, u32 apic_id);
	/* Stop and restart it, where the device can; otherwise NULL. Under the irq's lock. */
	void (*mask)(unsigned irq, void *data, bool masked);
};
/*
 * n consecutive irqs with n consecutive vectors, n a power of two; masked and programmed. n > 1: they cannot move to another CPU.
 * Callers serialise. 0, -ENOSPC, -ENOMEM.
 */
int __must_check irq_create_msi(unsigned n, const struct irq_chip *chip, void *data, unsigned *first);
/* The irqs have no handler; nothing is sent any more. */
void irq_destroy_msi(unsigned first, unsigned n);
/* Program again what the device has lost. */
void irq_reprogram(unsigned irq);

#endif
