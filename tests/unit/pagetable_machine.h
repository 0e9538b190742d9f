/* SPDX-License-Identifier: MIT */
/* For tests of page tables: the machine, and what the sources need of the hypervisor. */
#ifndef TESTS_UNIT_PAGETABLE_MACHINE_H
#define TESTS_UNIT_PAGETABLE_MACHINE_H

#include "test.h"
#include "fake_panic.h"

#include <core/console.h>
#include <domain/permission.h>
#include <lib/errno.h>
#include <memory/audit.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <memory/map.h>
#include <memory/tlbflush.h>
#include <memory/xmalloc.h>
#include <pv/pagetable.h>
#include <pv/pt_job.h>
#include <signal.h>
#include <sys/mman.h>
#include <xen/grant_table.h>

/*
 * The machine: RAM is frames 0x100..0x1ff; frames 0x40.. and 0x300 are devices. Four processors; domain 0 (which has the devices) runs on 0 and 1,
 * domain 1 on 2 and 3. Page tables use only a few of their entries, so that things meet often.
 *
 * The model knows who holds what from outside (pins, base tables, references of its own) and the contents of memory. From that it
 * recomputes types and counts by walking, and says beforehand which operations must succeed. It knows of every processor what its TLB
 * may still hold since its last flush.
 */
#define RAM_FIRST	0x100
#define RAM_END		0x200
#define FRAMES		0x200
#define DEVICE		0x40
#define FAR_DEVICE	0x300
#define CPUS		4
#define VCPUS		2

struct vcpu *current;
unsigned fake_cpu;
cpumask_t cpu_online;
unsigned nr_cpus = CPUS;
struct cpu_features cpu_features = { .phys_bits = 40 };
struct domain *dom_xen, *dom_io;
static struct domain domains[2], xen_domain, io_domain;
static struct pv_domain pv_domains[2];
static struct vcpu vcpus[2][VCPUS], *vcpu_lists[2][VCPUS];
static struct pv_vcpu pv_vcpus[2][VCPUS];
static unsigned preempt_percent;	/* how often a long operation is asked to stop */
static int domain_refs[2];

extern const struct domain_module pagetables_module, memory_module;

/* --- what the sources need ----------------------------------------------------------------------------------------------------- */

void printk(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level != LOG_ERR)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

void printk_guest(enum log_level level, const char *fmt, ...) { }

/* One CPU executes at a time, so a lock may only be found taken by mistake. */
void spin_lock(struct spinlock *l) { CHECK(!l->next); l->next = 1; }
void spin_unlock(struct spinlock *l) { CHECK(l->next); l->next = 0; }
bool softirq_pending(void) { return test_below(100) < preempt_percent; }
void vcpu_sync_state(struct vcpu *v) { }
bool pv_check_descriptor(u64 *desc) { return !(*desc & 1); }

void smp_call(const cpumask_t *mask, void (*fn)(void *), void *data)
{
	unsigned self = fake_cpu;

	for_each_cpu(cpu, mask) {
		fake_cpu = cpu;
		fn(data);
	}
	fake_cpu = self;
}

void *xmalloc(size_t size) { return malloc(size); }
void *xzalloc(size_t size) { return calloc(1, size); }
void xfree(void *p) { free(p); }
static void *container_alloc(void *ctx, size_t size) { return malloc(size); }
static void container_free(void *ctx, void *p, size_t size) { free(p); }
const struct allocator xmalloc_allocator = { .alloc = container_alloc, .free = container_free };

struct domain *domain_of_owner(u16 id)
{
	return id < 2 ? &domains[id] : id == DOMID_XEN ? dom_xen : id == DOMID_IO ? dom_io : NULL;
}
struct domain *domain_next(u16 from)
{
	if (from >= 2)
		return NULL;
	domain_refs[from]++;
	return &domains[from];
}
void domain_ref(struct domain *d) { domain_refs[d->id]++; }
void domain_put(struct domain *d) { domain_refs[d->id]--; }

void map_fill_hyp_slots(pte_t *l4)
{
	for (unsigned i = HYP_SLOT_FIRST; i <= HYP_SLOT_LAST; i++)
		l4[i].v = i == HYP_SLOT_PERDOMAIN ? 0 : 0xabc000 + i;
}

static pte_t no_window[PV_WINDOW_PAGES];
pte_t *pv_window(const struct vcpu *v) { return no_window; }

#endif
