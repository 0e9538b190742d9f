/* SPDX-License-Identifier: MIT */
/* Unit tests: page-table and frame operations by several CPUs at the same time; afterwards every count must be right. */
/* sources: memory/frame.c memory/heap.c memory/tlbflush.c memory/region_map.c lib/radix.c lib/bitmap.c lib/rangeset.c lib/tree.c domain/frames.c domain/permission.c pv/pagetable.c pv/pt_entry.c pv/pt_job.c pv/pt_update.c pv/pt_base.c pv/pt_grant.c pv/audit.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter -DFAKE_CPU_LOCAL=__thread -DFAKE_RACE */
#include "test.h"
#include "fake_panic.h"

#include <core/console.h>
#include <domain/permission.h>
#include <lib/errno.h>
#include <memory/audit.h>
#include <memory/heap.h>
#include <memory/map.h>
#include <memory/tlbflush.h>
#include <memory/xmalloc.h>
#include <pthread.h>
#include <pv/pagetable.h>
#include <pv/pt_job.h>
#include <sched.h>
#include <sys/mman.h>
#include <xen/grant_table.h>

/* Two domains with two vCPUs each; every vCPU is a thread. RAM is frames 0x100..0x17f, of which each domain gets few, so that they meet. */
#define RAM_FIRST	0x100UL
#define RAM_END		0x180UL
#define CPUS		4
#define PER_DOMAIN	16

FAKE_CPU_LOCAL struct vcpu *current;
FAKE_CPU_LOCAL unsigned fake_cpu;
static __thread u64 seed;
cpumask_t cpu_online;
unsigned nr_cpus = CPUS;
struct cpu_features cpu_features = { .phys_bits = 40 };
struct domain *dom_xen, *dom_io;
static struct domain domains[2], xen_domain, io_domain;
static struct pv_domain pv_domains[2];
static struct vcpu vcpus[2][2], *vcpu_lists[2][2];
static struct pv_vcpu pv_vcpus[2][2];
static unsigned refs[2];
static u64 done[8];

extern const struct domain_module pagetables_module, memory_module;

void printk(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

void printk_guest(enum log_level level, const char *fmt, ...) { }

void spin_lock(struct spinlock *l)
{
	while (atomic_xchg(&l->owner, 1))
		sched_yield();
}
void spin_unlock(struct spinlock *l) { atomic_store(&l->owner, 0); }

static u64 rnd(u64 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % n;
}

void fake_race(void)
{
	if (rnd(32) == 0)
		sched_yield();
}

bool softirq_pending(void) { return rnd(4) == 0; }
void vcpu_sync_state(struct vcpu *v) { }
bool pv_check_descriptor(u64 *desc) { return true; }
void write_cr3(u64 v) { }

/* Flushing is not what this tests: the answer of the others comes at once. */
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

struct domain *domain_of_owner(u16 id) { return id < 2 ? &domains[id] : id == DOMID_XEN ? dom_xen : NULL; }
void domain_ref(struct domain *d) { atomic_fetch_add(&refs[d->id], 1); }
void domain_put(struct domain *d) { atomic_fetch_add(&refs[d->id], -1u); }
struct domain *domain_next(u16 from)
{
	if (from >= 2)
		return NULL;
	domain_ref(&domains[from]);
	return &domains[from];
}
void map_fill_hyp_slots(pte_t *l4) { memset(&l4[HYP_SLOT_FIRST], 0, 16 * sizeof(*l4)); }

static pte_t no_window[PV_WINDOW_PAGES];
pte_t *pv_window(const struct vcpu *v) { return no_window; }

extern const struct audit_source no_sources[];
const struct audit_source no_sources[1];
__asm__(".globl audit_sources_start, audit_sources_end\n"
	".set audit_sources_start, no_sources\n"
	".set audit_sources_end, no_sources\n");

/* --- operations, tried at random, most of them refused -------------------------------------------------------------------------- */

static mfn_t any_frame(struct domain *d)
{
	for (int i = 0; i < 30; i++) {
		mfn_t m = mfn(RAM_FIRST + rnd(RAM_END - RAM_FIRST));

		if (frame_owner(frame_read(m)) == d->id)
			return m;
	}
	return mfn(RAM_FIRST);
}

static unsigned any_slot(void)
{
	static const u16 slots[] = { 0, 1, 300, 511 };

	return slots[rnd(ARRAY_SIZE(slots))];
}

static pte_t any_entry(struct domain *d)
{
	return rnd(5) == 0 ? (pte_t){ 0 } : pte_make(any_frame(d), PTE_P | PTE_US | (rnd(2) ? PTE_RW : 0));
}

static void count(unsigned what, int rc)
{
	if (!rc)
		atomic_fetch_add(&done[what], 1);
}

/* A guest that goes on after -ERESTART, mostly. */
#define UNTIL_DONE(call) ({ int _rc; while ((_rc = (call)) == -ERESTART && rnd(20)) ; _rc; })

static void prepare(struct domain *d)
{
	mfn_t m = any_frame(d);

	/* What the guest can write, it has mapped writable. */
	if (frame_get_writable(m, d))
		return;
	if (rnd(3) == 0)
		memset(pt_table(m), 0, PAGE_SIZE);
	for (unsigned i = 0; i < 3; i++)
		WRITE_ONCE(pt_table(m)[any_slot()].v, any_entry(d).v);
	frame_put_writable(m);
}

static void reallocate(struct domain *d)
{
	mfn_t m = any_frame(d);

	if (READ_ONCE(d->tot_pages) > PER_DOMAIN - 4 && get_frame(m, d)) {
		if (!(frame_read(m).v & FRAME_PINNED))
			count(5, !frame_release(m));
		put_frame(m);
	}
	while (READ_ONCE(d->tot_pages) < PER_DOMAIN && !mfn_eq(domain_alloc_frames(d, 0, 0, 0), MFN_INVALID))
		;
}

static void one_step(struct vcpu *v)
{
	struct domain *d = v->domain, *other = &domains[!d->id];
	mfn_t m = any_frame(d);

	switch (rnd(16)) {
	case 0 ... 2: prepare(d); break;
	case 3 ... 4: count(0, UNTIL_DONE(pt_pin(d, m, 1 + (unsigned)rnd(4)))); break;
	case 5 ... 6: count(1, UNTIL_DONE(pt_unpin(d, m))); break;
	case 7 ... 10: count(2, UNTIL_DONE(pt_update(d, d, m, any_slot(), any_entry(d), rnd(2), NULL))); break;
	case 11: count(3, UNTIL_DONE(pt_update(d, other, m, any_slot(), any_entry(other), 0, NULL))); break;
	case 12: count(4, UNTIL_DONE(rnd(2) ? pv_new_kernel_l4(v, m) : pv_new_user_l4(v, rnd(3) ? m : MFN_INVALID))); break;
	case 13: reallocate(d); break;
	case 14:
		if (!pv_get_frame_type(d, m, FRAME_SEGDESC)) {
			count(6, 0);
			pv_put_frame_type(d, m);
		}
		break;
	case 15: {
		mfn_t granted = any_frame(other);
		u64 address = m.v << PAGE_SHIFT | any_slot() * 8;
		u32 flags = GNTMAP_host_map | GNTMAP_contains_pte | (rnd(2) ? GNTMAP_readonly : 0);
		bool write = !(flags & GNTMAP_readonly), made;
		struct grant_near near = { 0 };

		/* The reference of the entry, and one as the grant table has it. */
		if (!frame_get_granted(granted, other, write, 2))
			break;
		if (rnd(2)) {
			made = !pv_grant_map(v, &near, address, granted, flags, 0);
			count(7, made ? 0 : -EINVAL);
			frame_put_granted(granted, write, made ? 1 : 2);
		} else {
			made = !pv_grant_unmap(v, &near, address, granted, flags, 0);
			frame_put_granted(granted, write, made ? 3 : 2);
		}
		pv_grant_end(v, &near);
		break;
	}
	}
}

static pthread_barrier_t barrier;

static void *run_vcpu(void *arg)
{
	struct vcpu *v = arg;

	current = v;
	fake_cpu = v->domain->id * 2u + v->id;
	seed = 0x9e3779b97f4a7c15 * (fake_cpu + 1) + test_seed;
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 1500; i++)
			one_step(v);
		/* All stand still at the boundary of the hypervisor: everything must add up. */
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			CHECK_EQ(pv_audit(), 0);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void map_at(u64 va, u64 bytes)
{
	CHECK(mmap((void *)va, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)va);
}

static void make_domain(unsigned id)
{
	struct domain *d = &domains[id];

	*d = (struct domain){ .magic = DOMAIN_MAGIC, .id = (u16)id, .privileged = true, .max_pages = PER_DOMAIN, .max_vcpus = 2,
			      .vcpus = vcpu_lists[id], .pv = &pv_domains[id] };
	for (unsigned i = 0; i < PERMISSION_KINDS; i++)
		rangeset_init(&d->permissions[i], &xmalloc_allocator);
	d->pv->perdomain_l3 = alloc_page_zeroed();
	cpumask_set(id * 2, &d->dirty_cpus);
	cpumask_set(id * 2 + 1, &d->dirty_cpus);
	CHECK_EQ(memory_module.create(d), 0);
	CHECK_EQ(pagetables_module.create(d), 0);
	for (unsigned i = 0; i < 2; i++) {
		vcpus[id][i] = (struct vcpu){ .magic = VCPU_MAGIC, .id = i, .domain = d, .pv = &pv_vcpus[id][i], .info_mfn = MFN_INVALID };
		vcpus[id][i].pv->kernel_mode = true;
		d->vcpus[i] = &vcpus[id][i];
		CHECK_EQ(pagetables_module.vcpu_create(d->vcpus[i]), 0);
	}
	while (d->tot_pages < PER_DOMAIN)
		CHECK(!mfn_eq(domain_alloc_frames(d, 0, 0, 0), MFN_INVALID));
}

static void kill_domain(struct domain *d)
{
	d->is_dying = true;
	while (pagetables_module.relinquish(d) == -ERESTART)
		;
	d->relinquish_cursor = 0;
	while (memory_module.relinquish(d) == -ERESTART)
		;
}

TEST(four_cpus)
{
	pthread_t threads[CPUS];

	seed = 1;
	map_at(DIRECTMAP_START, RAM_END << PAGE_SHIFT);
	map_at(FRAMETABLE_START, PAGE_SIZE);
	map_at(M2P_START, PAGE_SIZE);
	frame_table_end = RAM_END;
	for (unsigned i = 0; i < CPUS; i++)
		cpumask_set(i, &cpu_online);
	xen_domain.id = DOMID_XEN;
	io_domain.id = DOMID_IO;
	dom_xen = &xen_domain;
	dom_io = &io_domain;
	heap_add_range(paddr(RAM_FIRST << PAGE_SHIFT), paddr(RAM_END << PAGE_SHIFT));
	make_domain(0);
	make_domain(1);
	pthread_barrier_init(&barrier, NULL, CPUS);
	for (unsigned i = 0; i < CPUS; i++)
		pthread_create(&threads[i], NULL, run_vcpu, &vcpus[i / 2][i % 2]);
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(done); i++)
		CHECK(done[i] > 20);

	current = &vcpus[0][0];
	kill_domain(&domains[0]);
	CHECK_EQ(pv_audit(), 0);
	kill_domain(&domains[1]);
	CHECK_EQ(pv_audit(), 0);
	CHECK_EQ(domains[0].tot_pages + domains[1].tot_pages + refs[0] + refs[1], 0);
	CHECK_EQ(heap_free_pages(), RAM_END - RAM_FIRST - 2);
	for (unsigned i = 0; i < 2; i++) {
		pagetables_module.destroy(&domains[i]);
		memory_module.destroy(&domains[i]);
	}
}
