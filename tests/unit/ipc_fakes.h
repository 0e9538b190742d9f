/* SPDX-License-Identifier: MIT */
/* For tests of ipc/: what stands above it, as simple as can be. Include after test.h. Usable from several threads. */
#ifndef TESTS_UNIT_IPC_FAKES_H
#define TESTS_UNIT_IPC_FAKES_H

/* test.h took it away, after lib/compiler.h. */
#undef __always_inline
#define __always_inline	inline __attribute__((always_inline))

#include "fake_panic.h"

#include <core/console.h>
#include <core/softirq.h>
#include <domain/domain.h>
#include <lib/errno.h>
#include <memory/heap.h>
#include <memory/tlbflush.h>
#include <memory/xmalloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <x86/atomic.h>

__thread struct vcpu *fake_current;
void (*fake_race)(const void *at);
struct domain *hardware_domain;
u64 frame_table_end;	/* inline look-ups of frames find none */
void (*console_input_notify)(void);
void (*domain_died_hook)(struct domain *d);

void printk(enum log_level level, const char *fmt, ...) { (void)level; (void)fmt; }
void fake_relax(void) { sched_yield(); }
bool softirq_pending(void) { return test_below(4) == 0; }

/* --- locks: ticket locks of real atomics, without an order check; the number held by a thread is checked at the end ------------ */

static __thread int fake_locks_held;

void spinlock_init(struct spinlock *l, enum lock_level level, const char *name) { *l = (struct spinlock)SPINLOCK_INIT(level, name); }

void spin_lock(struct spinlock *l)
{
	u32 ticket = atomic_fetch_add(&l->next, 1);

	while (atomic_load(&l->owner) != ticket)
		sched_yield();
	fake_locks_held++;
}

void spin_lock_nested(struct spinlock *l) { spin_lock(l); }

void spin_unlock(struct spinlock *l)
{
	fake_locks_held--;
	atomic_store(&l->owner, l->owner + 1);
}

u64 spin_lock_irqsave(struct spinlock *l) { spin_lock(l); return 0; }
void spin_unlock_irqrestore(struct spinlock *l, u64 flags) { (void)flags; spin_unlock(l); }
void spin_lock_irq(struct spinlock *l) { spin_lock(l); }
void spin_unlock_irq(struct spinlock *l) { spin_unlock(l); }

/* --- memory ------------------------------------------------------------------------------------------------------------------- */

static size_t fake_blocks, fake_pages;

void *xzalloc(size_t size) { atomic_fetch_add(&fake_blocks, 1); return calloc(1, size); }
void *xcalloc(size_t n, size_t size) { return xzalloc(n * size); }

void xfree(void *p)
{
	if (p)
		atomic_sub_fetch(&fake_blocks, 1);
	free(p);
}

void *alloc_pages(unsigned order)
{
	void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);

	atomic_fetch_add(&fake_pages, 1);
	memset(p, 0x5a, PAGE_SIZE << order);
	return p;
}

void *alloc_page_zeroed(void) { return memset(alloc_pages(0), 0, PAGE_SIZE); }
void free_pages(void *va, unsigned order) { (void)order; atomic_sub_fetch(&fake_pages, 1); free(va); }
mfn_t virt_to_mfn(const void *va) { return mfn((u64)va >> PAGE_SHIFT); }

/* Frames that a domain owns: what references there are. */
struct fake_frame { mfn_t m; u16 owner; bool is_table; u32 refs, writable; };
static struct fake_frame fake_frames[256];
static unsigned fake_nr_frames;

static struct fake_frame *fake_frame_of(mfn_t m)
{
	for (unsigned i = 0; i < fake_nr_frames; i++)
		if (mfn_eq(fake_frames[i].m, m))
			return &fake_frames[i];
	return NULL;
}

/* A page for a guest, with a frame number of 32 bits. */
static void *fake_guest_page(const struct domain *d)
{
	void *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	fake_frames[fake_nr_frames++] = (struct fake_frame){ .m = virt_to_mfn(page), .owner = d->id };
	return page;
}

static u64 fake_refs(void)
{
	u64 n = 0;

	for (unsigned i = 0; i < fake_nr_frames; i++)
		n += fake_frames[i].refs + fake_frames[i].writable;
	return n;
}

static void fake_free_guest_pages(void)
{
	for (unsigned i = 0; i < fake_nr_frames; i++)
		munmap(mfn_to_virt(fake_frames[i].m), PAGE_SIZE);
	fake_nr_frames = 0;
}

bool get_frame(mfn_t m, const struct domain *d)
{
	struct fake_frame *f = fake_frame_of(m);

	if (!f || f->owner != d->id)
		return false;
	atomic_fetch_add(&f->refs, 1);
	return true;
}

void put_frame(mfn_t m)
{
	if (atomic_fetch_add(&fake_frame_of(m)->refs, ~0u) == 0)
		panic("put_frame");
}

int frame_get_writable(mfn_t m, const struct domain *d)
{
	struct fake_frame *f = fake_frame_of(m);

	if (!f || f->owner != d->id)
		return -EINVAL;
	if (f->is_table)
		return -EBUSY;
	atomic_fetch_add(&f->writable, 1);
	return 0;
}

void frame_put_writable(mfn_t m)
{
	if (atomic_fetch_add(&fake_frame_of(m)->writable, ~0u) == 0)
		panic("frame_put_writable");
}

void frame_put_granted_slow(mfn_t m, bool write, unsigned n)
{
	while (n--) {
		if (write)
			frame_put_writable(m);
		else
			put_frame(m);
	}
}

bool frame_get_granted(mfn_t m, const struct domain *d, bool write, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (write ? frame_get_writable(m, d) != 0 : !get_frame(m, d)) {
			frame_put_granted(m, write, i);
			return false;
		}
	return true;
}

/* What an audit source reports. */
static u64 fake_audited;
void audit_count(mfn_t m) { (void)m; fake_audited++; }
void audit_type(mfn_t m, enum frame_type type) { (void)m; fake_audited += type == FRAME_WRITABLE; }

static u64 fake_audit(const struct audit_source *source)
{
	fake_audited = 0;
	source->fn();
	return fake_audited;
}

/* --- domains ------------------------------------------------------------------------------------------------------------------ */

#define FAKE_DOMAINS	4
static struct domain *fake_domains[FAKE_DOMAINS];

struct domain *domain_get(u16 id)
{
	struct domain *d = id < FAKE_DOMAINS ? fake_domains[id] : NULL;

	if (d)
		atomic_fetch_add(&d->refcount, 1);
	return d;
}


struct domain *domain_next(u16 from)
{
	for (u32 id = from; id < FAKE_DOMAINS; id++)
		if (fake_domains[id])
			return domain_get((u16)id);
	return NULL;
}

void domain_ref(struct domain *d) { atomic_fetch_add(&d->refcount, 1); }

void domain_put(struct domain *d)
{
	if (atomic_fetch_add(&d->refcount, ~0u) == 1)
		panic("the last reference");
}

struct vcpu *domain_vcpu(const struct domain *d, u32 id) { return id < d->max_vcpus ? d->vcpus[id] : NULL; }

static struct domain *fake_domain_create(u16 id, u32 vcpus, const struct domain_module *module, struct domain_limits limits)
{
	struct domain *d = calloc(1, sizeof(*d));

	d->magic = DOMAIN_MAGIC;
	d->id = id;
	d->refcount = 1;
	d->max_vcpus = vcpus;
	d->limits = limits;
	d->vcpus = calloc(vcpus, sizeof(*d->vcpus));
	d->shared_info = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	memset(d->shared_info, 0, PAGE_SIZE);
	CHECK_EQ(module->create(d), 0);
	for (u32 i = 0; i < vcpus; i++) {
		struct vcpu *v = calloc(1, sizeof(*v));

		v->id = i;
		v->domain = d;
		v->info = &d->shared_info->vcpu_info[i];
		d->vcpus[i] = v;
		if (module->vcpu_create)
			CHECK_EQ(module->vcpu_create(v), 0);
	}
	fake_domains[id] = d;
	return d;
}

/* Start dying; everything that the module has given back must be back. */
static void fake_domain_relinquish(struct domain *d, const struct domain_module *module)
{
	int rc;

	d->is_dying = true;
	while ((rc = module->relinquish(d)) == -ERESTART)
		;
	CHECK_EQ(rc, 0);
}

static void fake_domain_destroy(struct domain *d, const struct domain_module *module)
{
	CHECK_EQ(d->refcount, 1);
	for (u32 i = 0; i < d->max_vcpus; i++) {
		if (module->vcpu_destroy)
			module->vcpu_destroy(d->vcpus[i]);
		free(d->vcpus[i]);
	}
	module->destroy(d);
	fake_domains[d->id] = NULL;
	free(d->shared_info);
	free(d->vcpus);
	free(d);
}

#endif
