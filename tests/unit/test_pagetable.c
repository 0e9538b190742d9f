/* SPDX-License-Identifier: MIT */
/* Unit tests: frame references, page-table types and TLB flushes of PV domains, against a model that recomputes everything. */
/* sources: memory/frame.c memory/heap.c memory/tlbflush.c memory/region_map.c lib/radix.c lib/bitmap.c lib/rangeset.c lib/tree.c domain/frames.c domain/permission.c pv/pagetable.c pv/pt_entry.c pv/pt_job.c pv/pt_update.c pv/pt_base.c pv/pt_grant.c pv/audit.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "test.h"

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

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	abort();
}

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
void spin_lock(struct spinlock *l) { CHECK(!l->cpu); l->cpu = 1; }
void spin_unlock(struct spinlock *l) { CHECK(l->cpu); l->cpu = 0; }
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

/* --- model --------------------------------------------------------------------------------------------------------------------- */

/* Held from outside. */
static u8 pinned[FRAMES];		/* level, 0: not */
static u8 own_writable[FRAMES], own_count[FRAMES];	/* taken by the test itself */
static u8 shared[FRAMES];		/* hypervisor page shown to its owner: 1 read-only, 2 writable */
static bool given_up[FRAMES];		/* frame_release() was called */
/* Entries that name a foreign frame because an update said so, as long as their table is one. */
static bool foreign_ok[FRAMES][PT_ENTRIES];

struct model_frame { u8 type; bool bad; u32 tcount, count; };
static struct model_frame model[FRAMES];

static const u16 slots[] = { 0, 1, 7, 255, 256, 260, 271, 272, 400, 511 };
#define SLOTS	ARRAY_SIZE(slots)

static pte_t *entry(u64 m, unsigned i) { return &pt_table(mfn(m))[i]; }
static bool is_ram(u64 m) { return m >= RAM_FIRST && m < RAM_END; }
static u16 owner_of(u64 m) { return frame_owner(frame_read(mfn(m))); }
static bool exists(u64 m) { return is_ram(m) && owner_of(m) < 2 && frame_count(frame_read(mfn(m))); }

static bool model_type(struct domain *d, u64 m, unsigned type);

/* References of one level-1 entry. */
static bool model_l1e(struct domain *d, struct domain *pg_owner, pte_t e)
{
	u64 m = pte_mfn(e).v;

	if (!pte_present(e))
		return true;
	if (!is_ram(m))
		return d == &domains[0] && domain_allowed(d, PERMISSION_IOMEM, m, m) && (pg_owner == d || pg_owner == dom_io);
	if (!exists(m) || owner_of(m) != pg_owner->id)
		return false;
	if (e.v & PTE_RW)
		return model_type(pg_owner, m, FRAME_WRITABLE);
	model[m].count++;
	return true;
}

static bool model_walk(struct domain *d, u64 m, unsigned level)
{
	for (unsigned s = 0; s < SLOTS; s++) {
		unsigned i = slots[s];
		pte_t e = *entry(m, i);
		struct domain *pg_owner = d;

		if (!pte_present(e) || pt_hyp_slot(level, i))
			continue;
		if (level > 1) {
			if (e.v & (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT) || !model_type(d, pte_mfn(e).v, level - 1))
				return false;
			continue;
		}
		if (foreign_ok[m][i] && exists(pte_mfn(e).v))
			pg_owner = &domains[owner_of(pte_mfn(e).v)];
		if (!model_l1e(d, pg_owner, e))
			return false;
	}
	return true;
}

static bool model_type(struct domain *d, u64 m, unsigned type)
{
	if (!exists(m) || owner_of(m) != d->id || shared[m] == 1)
		return false;
	if (model[m].tcount++)
		return model[m].type == type;
	model[m].type = (u8)type;
	model[m].count++;
	return type == FRAME_WRITABLE || model_walk(d, m, type);
}

static bool model_base(struct domain *d, mfn_t m)
{
	return mfn_eq(m, MFN_INVALID) || model_type(d, m.v, FRAME_L4);
}

/* Everything as it is now. False: contradiction. */
static bool model_now(void)
{
	bool ok = true;

	memset(model, 0, sizeof(model));
	for (u64 m = RAM_FIRST; m < RAM_END; m++) {
		if (!exists(m))
			continue;
		model[m].count += own_count[m] + !given_up[m];
		if (shared[m] == 2)
			ok &= model_type(&domains[owner_of(m)], m, FRAME_WRITABLE);
		if (pinned[m])
			ok &= model_type(&domains[owner_of(m)], m, pinned[m]);
		for (unsigned i = 0; i < own_writable[m]; i++)
			ok &= model_type(&domains[owner_of(m)], m, FRAME_WRITABLE);
	}
	for (unsigned d = 0; d < 2; d++) {
		for (unsigned v = 0; v < VCPUS; v++) {
			struct pv_vcpu *pv = &pv_vcpus[d][v];
			mfn_t r = pt_result_mfn(pv->pt_result);

			ok &= model_base(&domains[d], pv->kernel_l4) && model_base(&domains[d], pv->user_l4);
			if (!mfn_eq(r, MFN_INVALID))
				ok &= model_type(&domains[d], r.v, pv->pt_result >> 12 & 7);
		}
		mfn_t r = pt_result_mfn(pv_domains[d].pt_job->other_result);

		if (!mfn_eq(r, MFN_INVALID))
			ok &= model_type(&domains[d], r.v, pv_domains[d].pt_job->other_result >> 12 & 7);
	}
	return ok;
}

static bool job_pending(void)
{
	return pv_domains[0].pt_job->mode != PT_JOB_IDLE || pv_domains[1].pt_job->mode != PT_JOB_IDLE;
}

/* Nobody asked for something whose outcome would change the next answer. */
static bool quiet(void)
{
	for (unsigned d = 0; d < 2; d++) {
		if (pv_domains[d].pt_job->other_result)
			return false;
		for (unsigned v = 0; v < VCPUS; v++)
			if (pv_vcpus[d][v].pt_result)
				return false;
	}
	return !job_pending();
}

/* --- TLBs ---------------------------------------------------------------------------------------------------------------------- */

/* What each processor may have cached: bit FRAME_L1..L4: used as that table; bit FRAME_WRITABLE: mapped writable; bit 0: mapped. */
static u8 cached[CPUS][FRAMES];

static u8 use_of(pte_t e)
{
	return (u8)(1 | (e.v & PTE_RW ? 1 << FRAME_WRITABLE : 0));
}

/* Add all that the valid tables of the processor's domain make reachable. */
static void fill_tlb(unsigned cpu)
{
	for (u64 m = RAM_FIRST; m < RAM_END; m++) {
		frame_t f = frame_read(mfn(m));

		if (frame_owner(f) != cpu / 2 || frame_type(f) < FRAME_L1 || frame_type(f) > FRAME_L4 || !(f.v & FRAME_VALID))
			continue;
		cached[cpu][m] |= (u8)(1 << frame_type(f));
		for (unsigned s = 0; frame_type(f) == FRAME_L1 && s < SLOTS; s++) {
			pte_t e = *entry(m, slots[s]);

			if (pte_present(e) && is_ram(pte_mfn(e).v))
				cached[cpu][pte_mfn(e).v] |= use_of(e);
		}
	}
}

void write_cr3(u64 v)
{
	memset(cached[fake_cpu], 0, sizeof(cached[fake_cpu]));
	fill_tlb(fake_cpu);
}

static void check_tlbs(void)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		fill_tlb(cpu);
		for (u64 m = RAM_FIRST; m < RAM_END; m++) {
			frame_t f = frame_read(mfn(m));
			u8 c = cached[cpu][m], tables = c & 0x1e, allowed = (u8)(1 << frame_type(f));

			/* Being undone counts as well as being valid: the table must not change under our eyes. */
			if (frame_type(f) >= FRAME_L1 && frame_type(f) <= FRAME_SEGDESC && c & 1 << FRAME_WRITABLE)
				TEST_FAIL("frame %#lx has type %u and CPU%u may write it", m, frame_type(f), cpu);
			if (frame_type(f) != FRAME_NONE && tables & ~allowed)
				TEST_FAIL("frame %#lx has type %u, CPU%u may use it as %#x", m, frame_type(f), cpu, tables);
		}
	}
}

/* A frame that has just got an owner is in no TLB. */
static void check_fresh(u64 m)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		CHECK_EQ(cached[cpu][m], 0);
}

/* --- comparison ---------------------------------------------------------------------------------------------------------------- */

static void report_own(void)
{
	for (u64 m = RAM_FIRST; m < RAM_END; m++) {
		for (unsigned i = 0; i < own_count[m]; i++)
			audit_count(mfn(m));
		for (unsigned i = 0; i < own_writable[m]; i++)
			audit_type(mfn(m), FRAME_WRITABLE);
	}
}

/* The bounds that the linker script sets in the hypervisor. */
extern const struct audit_source own_sources[];
const struct audit_source own_sources[1] = { { .name = "test", .fn = report_own } };
__asm__(".globl audit_sources_start, audit_sources_end\n"
	".set audit_sources_start, own_sources\n"
	".set audit_sources_end, own_sources + 16\n");

static void check_table(u64 m, unsigned level, u16 owner)
{
	for (unsigned s = 0; s < SLOTS; s++) {
		pte_t e = *entry(m, slots[s]);

		if (pt_hyp_slot(level, slots[s])) {
			u64 want = slots[s] == HYP_SLOT_PERDOMAIN ? (u64)pv_domains[owner].perdomain_l3 - DIRECTMAP_START : 0xabc000UL + slots[s];

			CHECK_EQ(e.v & (slots[s] == HYP_SLOT_PERDOMAIN ? PTE_ADDR_MASK : ~0UL), want);
		} else if (pte_present(e)) {
			CHECK(e.v & PTE_US);
			CHECK(!(e.v & PTE_G));
		}
	}
}

static void compare(void)
{
	CHECK_EQ(pv_audit(), 0);
	check_tlbs();
	for (u64 m = RAM_FIRST; m < RAM_END; m++)
		if (frame_type(frame_read(mfn(m))) == FRAME_NONE)
			memset(foreign_ok[m], 0, sizeof(foreign_ok[m]));
	if (job_pending())
		return;
	CHECK(model_now());
	for (u64 m = RAM_FIRST; m < RAM_END; m++) {
		frame_t f = frame_read(mfn(m));

		if (!exists(m)) {
			CHECK(frame_owner(f) >= 2);
			continue;
		}
		if (model[m].tcount != frame_tcount(f) || model[m].count != frame_count(f) || (model[m].tcount && model[m].type != frame_type(f)))
			TEST_FAIL("frame %#lx: type %u tcount %lu count %lu, expected %u %u %u", m, frame_type(f), frame_tcount(f), frame_count(f),
				  model[m].type, model[m].tcount, model[m].count);
		if (frame_type(f) >= FRAME_L1 && frame_type(f) <= FRAME_L4) {
			CHECK(f.v & FRAME_VALID);
			check_table(m, frame_type(f), frame_owner(f));
		}
	}
}

/* --- operations ---------------------------------------------------------------------------------------------------------------- */

/* Whether prediction applies to the operation that is about to begin, and what it says. */
static bool predicts, expect_ok;

static void predict(bool ok_now, bool ok)
{
	predicts = ok_now;
	expect_ok = ok;
}

/* Repeat as a guest would; sometimes it never comes back. False: it did not. */
#define REPEAT(rc, call) ({							\
	bool _done = true;							\
	while (((rc) = (call)) == -ERESTART)					\
		if (test_below(10) == 0) {					\
			_done = false;						\
			break;							\
		}								\
	_done; })

static void outcome_is(const char *what, int rc)
{
	if (predicts && (rc == 0) != expect_ok)
		TEST_FAIL("%s: returned %d, expected %s", what, rc, expect_ok ? "success" : "failure");
}

static struct vcpu *random_vcpu(void)
{
	struct vcpu *v = &vcpus[test_below(2)][test_below(VCPUS)];

	current = v;
	fake_cpu = v->domain->id * 2u + v->id;
	return v;
}

static u64 random_frame(struct domain *d)
{
	for (int i = 0; i < 20; i++) {
		u64 m = RAM_FIRST + test_below(RAM_END - RAM_FIRST);

		if (exists(m) && (owner_of(m) == d->id || test_below(40) == 0))
			return m;
	}
	return RAM_FIRST + test_below(RAM_END - RAM_FIRST);
}

/* A frame that the model says is of a type now. */
static u64 random_frame_of(struct domain *d, unsigned type)
{
	for (int i = 0; i < 100; i++) {
		u64 m = RAM_FIRST + test_below(RAM_END - RAM_FIRST);
		frame_t f = frame_read(mfn(m));

		if (exists(m) && owner_of(m) == d->id && frame_type(f) == type)
			return m;
	}
	return random_frame(d);
}

static pte_t random_entry(struct domain *d, unsigned level)
{
	u64 flags = PTE_P, m;

	switch (test_below(20)) {
	case 0: m = DEVICE + test_below(3); break;
	case 1: m = test_below(2) ? FAR_DEVICE : RAM_END + test_below(0x80); break;
	case 2: m = test_random() & (PTE_ADDR_MASK >> PAGE_SHIFT); break;
	case 3 ... 9: m = random_frame(d); break;
	default: m = random_frame_of(d, level > 1 && test_below(2) ? level - 1 : FRAME_NONE); break;
	}
	if (test_below(8) == 0)
		flags = 0;
	for (unsigned bit = 1; bit < 12; bit++)
		if (test_below(bit == 1 ? 2 : bit == 7 || bit == 8 || bit == 3 || bit == 4 ? 60 : 3) == 0)
			flags |= BIT(bit);
	if (test_below(4) == 0)
		flags |= PTE_NX;
	return pte_make(mfn(m), flags);
}

static unsigned random_slot(void)
{
	return slots[test_below(SLOTS)];
}

/* The guest writes to memory that is no table. */
static void scribble(struct domain *d, u64 m, unsigned slot, pte_t e)
{
	frame_t f = frame_read(mfn(m));

	if (exists(m) && owner_of(m) == d->id && (frame_type(f) == FRAME_NONE || frame_type(f) == FRAME_WRITABLE))
		*entry(m, slot) = e;
}

/* Make a sensible little tree below m out of frames without a type. */
static void grow_tree(struct domain *d, u64 m, unsigned level)
{
	for (unsigned n = 1 + (unsigned)test_below(2); n--;) {
		u64 child = random_frame_of(d, test_below(3) ? FRAME_NONE : level - 1);
		u64 bits = PTE_P | PTE_US | (level > 1 || test_below(2) ? PTE_RW : 0);
		unsigned slot;

		do
			slot = random_slot();
		while (pt_hyp_slot(4, slot));
		if (child == m || !exists(child) || owner_of(child) != d->id)
			continue;
		if (level > 1 && frame_type(frame_read(mfn(child))) == FRAME_NONE) {
			memset(entry(child, 0), 0, PAGE_SIZE);
			grow_tree(d, child, level - 1);
		}
		scribble(d, m, slot, pte_make(mfn(child), bits));
	}
}

static void op_prepare(struct vcpu *v)
{
	struct domain *d = v->domain;
	u64 m = random_frame_of(d, FRAME_NONE);

	if (test_below(3)) {
		if (exists(m) && owner_of(m) == d->id && frame_type(frame_read(mfn(m))) == FRAME_NONE) {
			memset(entry(m, 0), 0, PAGE_SIZE);
			grow_tree(d, m, 1 + (unsigned)test_below(4));
		}
	} else {
		scribble(d, m, random_slot(), random_entry(d, 1 + (unsigned)test_below(4)));
	}
}

/* Level that the contents of m would be best pinned at: any guess will do. */
static unsigned random_level(void)
{
	return 1 + (unsigned)test_below(4);
}

static void op_pin(struct vcpu *v)
{
	struct domain *d = v->domain, *target = d->privileged && test_below(6) == 0 ? &domains[1] : d;
	u64 m = random_frame_of(target, test_below(2) ? FRAME_NONE : random_level());
	unsigned level = random_level();
	int rc;

	predict(quiet(), model_now() && model_type(target, m, level) && !pinned[m]);
	if (!REPEAT(rc, pt_pin(target, mfn(m), level)))
		return;
	outcome_is("pin", rc);
	if (!rc) {
		CHECK(!pinned[m]);
		pinned[m] = (u8)level;
	}
}

static void op_unpin(struct vcpu *v)
{
	u64 m = random_frame(v->domain);
	int rc;

	for (int i = 0; i < 50 && !pinned[m]; i++)
		m = random_frame(v->domain);
	predict(true, exists(m) && owner_of(m) == v->domain->id && pinned[m]);
	if (!REPEAT(rc, pt_unpin(v->domain, mfn(m))))
		return;
	outcome_is("unpin", rc);
	if (!rc)
		pinned[m] = 0;
}

/* The form in which an accepted entry is stored. */
static pte_t stored_form(struct domain *d, unsigned level, pte_t e)
{
	u64 m = pte_mfn(e).v;

	if (!pte_present(e))
		return e;
	e.v |= PTE_US;
	if (level == 1) {
		e.v &= ~PTE_G;
		if (is_ram(m) && (!d->hardware || owner_of(m) != d->id))
			e.v &= ~(PTE_PAT | PTE_PCD | PTE_PWT);
	}
	return e;
}

static bool predict_update(struct domain *d, struct domain *pg_owner, u64 table, unsigned level, unsigned slot, pte_t new)
{
	pte_t old = *entry(table, slot);
	bool both = pte_present(old) && pte_present(new), same_frame = !((old.v ^ new.v) & PTE_ADDR_MASK);

	if (pt_hyp_slot(level, slot))
		return false;
	if (!pte_present(new))
		return true;
	if (level > 1) {
		if (new.v & (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT))
			return false;
		return (both && same_frame) || model_type(d, pte_mfn(new).v, level - 1);
	}
	if (both && !((old.v ^ new.v) & (PTE_ADDR_MASK | PTE_RW | PTE_PAT | PTE_PCD | PTE_PWT)))
		return true;
	return model_l1e(d, pg_owner, new);
}

static void op_update(struct vcpu *v)
{
	struct domain *d = v->domain, *pg_owner = d;
	u64 table = random_frame_of(d, test_below(10) ? random_level() : test_below(2) ? FRAME_NONE : FRAME_WRITABLE);
	frame_t f = frame_read(mfn(table));
	unsigned level = frame_type(f), slot = random_slot();
	pte_t new = random_entry(d, level), old = *entry(table, slot);
	u64 expected = test_below(2) ? old.v : test_random();
	bool conditional = test_below(8) == 0, is_table = level >= FRAME_L1 && level <= FRAME_L4;
	int rc;

	if (d->privileged && test_below(6) == 0) {
		pg_owner = test_below(4) ? &domains[1] : dom_io;
		if (pg_owner == &domains[1])
			new = pte_make(mfn(random_frame(pg_owner)), pte_flags(new));
	}
	if (is_table && (old.v & PTE_ADDR_MASK) && test_below(5) == 0)
		new = (pte_t){ old.v ^ (test_below(2) ? PTE_RW : BIT(test_below(12))) };
	if (!exists(table) || owner_of(table) != d->id)
		predict(true, false);
	else if (is_table)
		predict(quiet() && model_now(), predict_update(d, pg_owner, table, level, slot, new) && (!conditional || expected == old.v));
	else
		predict(quiet() && level <= FRAME_WRITABLE, level != FRAME_SEGDESC && shared[table] != 1 && (!conditional || expected == old.v));
	if (level > 1 && is_table && conditional && expected != old.v && pt_hyp_slot(level, slot))
		predicts = false;
	if (!REPEAT(rc, pt_update(d, pg_owner, mfn(table), slot, new, 0, conditional ? &expected : NULL)))
		return;
	outcome_is("update", rc);
	if (rc || !is_table)
		return;
	if (predicts)
		CHECK_EQ(entry(table, slot)->v, stored_form(d, level, new).v);
	if (level == 1 && pg_owner == &domains[1])
		foreign_ok[table][slot] = true;
	else if ((old.v ^ new.v) & PTE_ADDR_MASK)
		foreign_ok[table][slot] = false;
}

static void op_base(struct vcpu *v)
{
	bool user = test_below(2);
	u64 m = random_frame_of(v->domain, test_below(2) ? FRAME_L4 : FRAME_NONE);
	mfn_t old = user ? v->pv->user_l4 : v->pv->kernel_l4;
	int rc;

	predict(quiet(), old.v == m || (model_now() && model_type(v->domain, m, FRAME_L4)));
	if (!REPEAT(rc, user ? pv_new_user_l4(v, mfn(m)) : pv_new_kernel_l4(v, mfn(m))))
		return;
	outcome_is("base", rc);
	if (!rc && !user)
		CHECK_EQ(v->pv->cr3, m << PAGE_SHIFT);
}

static void op_allocate(struct vcpu *v)
{
	unsigned order = test_below(8) ? 0 : (unsigned)test_below(3);
	mfn_t m = v->domain->tot_pages < 70 ? domain_alloc_frames(v->domain, order, 0, 0) : MFN_INVALID;

	for (u64 i = 0; !mfn_eq(m, MFN_INVALID) && i < 1UL << order; i++) {
		CHECK(exists(m.v + i));
		check_fresh(m.v + i);
		given_up[m.v + i] = false;
		CHECK_EQ(own_count[m.v + i] + own_writable[m.v + i] + pinned[m.v + i], 0);
		CHECK_EQ(*(u64 *)entry(m.v + i, 5), 0);
	}
}

static void op_release(struct vcpu *v)
{
	u64 m = random_frame(v->domain);

	if (v->domain->tot_pages < 30 || !get_frame(mfn(m), v->domain))
		return;
	CHECK_EQ(frame_release(mfn(m)), !given_up[m] && !shared[m]);
	given_up[m] = !shared[m];
	put_frame(mfn(m));
}

static void op_own_reference(struct vcpu *v)
{
	struct domain *d = v->domain;
	u64 m = random_frame(d);
	int rc;

	switch (test_below(4)) {
	case 0:
		predict(!job_pending(), model_now() && model_type(d, m, FRAME_WRITABLE));
		rc = frame_get_writable(mfn(m), d);
		outcome_is("get writable", rc);
		own_writable[m] += !rc;
		break;
	case 1:
		if (get_frame(mfn(m), d)) {
			CHECK(exists(m) && owner_of(m) == d->id);
			own_count[m]++;
		}
		break;
	default:
		for (m = RAM_FIRST; m < RAM_END; m++) {
			if (own_writable[m] && test_below(3)) {
				own_writable[m]--;
				frame_put_writable(mfn(m));
			} else if (own_count[m] && test_below(3)) {
				own_count[m]--;
				put_frame(mfn(m));
			}
		}
	}
}

static void op_grant(struct vcpu *v)
{
	struct domain *d = v->domain, *granter = &domains[!d->id];
	u64 table = random_frame_of(d, FRAME_L1), m = random_frame(granter);
	unsigned slot = random_slot();
	u32 flags = GNTMAP_host_map | GNTMAP_contains_pte | (test_below(2) ? GNTMAP_readonly : 0);
	u64 address = table << PAGE_SHIFT | slot * 8;
	pte_t *e = entry(table, slot), old = *e;
	struct grant_near near = { 0 };
	bool write = !(flags & GNTMAP_readonly);

	if (test_below(2) && frame_get_granted(mfn(m), granter, write, 1)) {
		if (!pv_grant_map(v, &near, address, mfn(m), flags, 0)) {
			CHECK_EQ(pte_mfn(*e).v, m);
			CHECK_EQ(!(e->v & PTE_RW), !write);
			foreign_ok[table][slot] = true;
		} else {
			frame_put_granted(mfn(m), write, 1);
		}
	} else {
		m = pte_mfn(old).v;
		/* Nobody has a grant of a device's. */
		if (!frame_count(frame_read(mfn(m))))
			return;
		if (!pv_grant_unmap(v, &near, address, mfn(m), flags, 0)) {
			CHECK_EQ(e->v, 0);
			tlb_flush_mask(&d->dirty_cpus);
			frame_put_granted(mfn(m), write, 1);
		} else {
			CHECK_EQ(e->v, old.v);
		}
	}
	pv_grant_end(v, &near);
}

/* Grant transfer: a frame changes hands. */
static void op_move_frame(struct domain *from, u64 m)
{
	struct domain *to = &domains[!from->id];
	bool may = exists(m) && owner_of(m) == from->id && model_now() && model[m].count == 1 && !model[m].tcount && !given_up[m] && !shared[m];

	if (!get_frame(mfn(m), from))
		return;
	if (domain_steal_frame(from, mfn(m))) {
		CHECK(job_pending() || !may);
		put_frame(mfn(m));
		return;
	}
	CHECK(job_pending() || may);
	if (to->tot_pages < 90 && !domain_assign_frame(to, mfn(m))) {
		CHECK_EQ(owner_of(m), to->id);
		check_fresh(m);
	} else {
		put_frame(mfn(m));
		CHECK(!exists(m));
	}
}

static void op_move(struct vcpu *v)
{
	op_move_frame(v->domain, random_frame(v->domain));
}

static void op_descriptors(struct vcpu *v)
{
	u64 m = random_frame_of(v->domain, FRAME_NONE);
	int rc;

	rc = pv_get_frame_type(v->domain, mfn(m), FRAME_SEGDESC);
	if (rc)
		return;
	check_tlbs();
	CHECK_EQ(frame_type(frame_read(mfn(m))), FRAME_SEGDESC);
	CHECK_EQ(pt_update(v->domain, v->domain, mfn(m), 3, (pte_t){ 0 }, 0, NULL), -EINVAL);
	pv_put_frame_type(v->domain, mfn(m));
}

/* Hypervisor pages come and go, mapped or not. */
static void op_share(struct vcpu *v)
{
	struct domain *d = v->domain;
	u64 m = RAM_FIRST;
	void *page;

	while (m < RAM_END && !(shared[m] && owner_of(m) == d->id))
		m++;
	if (m == RAM_END) {
		page = alloc_page_zeroed();
		if (!page)
			return;
		m = virt_to_mfn(page).v;
		shared[m] = 1 + (u8)test_below(2);
		given_up[m] = false;
		share_page_with_domain(page, d, shared[m] == 2);
		return;
	}
	page = mfn_to_virt(mfn(m));
	if (test_below(2)) {
		bool free_of_users = model_now() && model[m].count == shared[m] && model[m].tcount <= 1;
		int rc = unshare_page(page);

		CHECK(job_pending() || (rc == 0) == free_of_users);
		if (rc)
			return;
		free_page(page);
	} else if (!job_pending() && model_now() && model[m].count == shared[m] && model[m].tcount <= 1) {
		unshare_free_page(page);
	} else {
		return;
	}
	shared[m] = 0;
}

/* Use a frame in one way, stop that, and use it in another way at once: what the TLB epochs are for. */
static bool use(struct domain *user, u64 table, unsigned slot, struct domain *owner, u64 m, unsigned type)
{
	if (type == FRAME_WRITABLE)
		return !pt_update(user, owner, mfn(table), slot, pte_make(mfn(m), PTE_P | PTE_RW | PTE_US), 0, NULL);
	current = &vcpus[owner->id][0];
	return !pt_pin(owner, mfn(m), type);
}

static void stop_using(struct domain *user, u64 table, unsigned slot, struct domain *owner, u64 m, unsigned type)
{
	if (type == FRAME_WRITABLE)
		CHECK_EQ(pt_update(user, owner, mfn(table), slot, (pte_t){ 0 }, 0, NULL), 0);
	else
		CHECK_EQ(pt_unpin(owner, mfn(m)), 0);
}

static void op_reuse(struct vcpu *v)
{
	struct domain *user = v->domain, *owner = user->privileged && test_below(2) ? &domains[1] : user;
	u64 m = random_frame_of(owner, FRAME_NONE), table = random_frame_of(user, FRAME_L1);
	unsigned slot = random_slot(), first = test_below(2) ? FRAME_WRITABLE : FRAME_L1, second = first == FRAME_L1 && test_below(2) ? FRAME_WRITABLE : FRAME_L2;
	unsigned preempt = preempt_percent;
	frame_t f = frame_read(mfn(m)), t = frame_read(mfn(table));

	if (!quiet() || shared[m] || !exists(m) || !exists(table) || frame_owner(f) != owner->id || frame_type(f) != FRAME_NONE || f.v & FRAME_PINNED)
		return;
	if (frame_owner(t) != user->id || frame_type(t) != FRAME_L1 || pte_present(*entry(table, slot)))
		return;
	preempt_percent = 0;
	memset(entry(m, 0), 0, PAGE_SIZE);
	for (unsigned i = 0; i < 2; i++) {
		unsigned type = i ? second : first;

		if (!use(user, table, slot, owner, m, type)) {
			TEST_FAIL("reuse of frame %#lx as %u after %u refused", m, type, first);
			break;
		}
		foreign_ok[table][slot] = type == FRAME_WRITABLE;
		check_tlbs();
		stop_using(user, table, slot, owner, m, type);
	}
	foreign_ok[table][slot] = false;
	/* And as somebody else's. */
	current = v;
	fake_cpu = v->domain->id * 2u + v->id;
	if (owner == user)
		op_move_frame(user, m);
	preempt_percent = preempt;
}

/* --- set-up -------------------------------------------------------------------------------------------------------------------- */

static void map_at(u64 va, u64 bytes)
{
	void *p = mmap((void *)va, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)va)
		panic("no memory at %#lx", va);
}

static void make_domain(unsigned id)
{
	struct domain *d = &domains[id];

	d->magic = DOMAIN_MAGIC;
	d->id = (u16)id;
	d->privileged = d->hardware = id == 0;
	d->max_pages = 100;
	d->max_vcpus = VCPUS;
	d->vcpus = vcpu_lists[id];
	d->pv = &pv_domains[id];
	for (unsigned i = 0; i < PERMISSION_KINDS; i++)
		rangeset_init(&d->permissions[i], &xmalloc_allocator);
	d->pv->perdomain_l3 = alloc_page_zeroed();
	cpumask_set(id * 2, &d->dirty_cpus);
	cpumask_set(id * 2 + 1, &d->dirty_cpus);
	CHECK_EQ(memory_module.create(d), 0);
	CHECK_EQ(pagetables_module.create(d), 0);
	for (unsigned i = 0; i < VCPUS; i++) {
		struct vcpu *v = &vcpus[id][i];

		*v = (struct vcpu){ .magic = VCPU_MAGIC, .id = i, .domain = d, .pv = &pv_vcpus[id][i], .info_mfn = MFN_INVALID };
		v->pv->kernel_mode = true;
		d->vcpus[i] = v;
		CHECK_EQ(pagetables_module.vcpu_create(v), 0);
	}
}

static void make_machine(void)
{
	map_at(DIRECTMAP_START, (u64)RAM_END << PAGE_SHIFT);
	map_at(FRAMETABLE_START, PAGE_SIZE);
	map_at(M2P_START, PAGE_SIZE);
	frame_table_end = RAM_END;
	for (unsigned i = 0; i < CPUS; i++)
		cpumask_set(i, &cpu_online);
	xen_domain.id = DOMID_XEN;
	io_domain.id = DOMID_IO;
	dom_xen = &xen_domain;
	dom_io = &io_domain;
	heap_add_range(paddr(RAM_FIRST << PAGE_SHIFT), paddr((u64)RAM_END << PAGE_SHIFT));
	make_domain(0);
	make_domain(1);
	CHECK_EQ(domain_allow(&domains[0], PERMISSION_IOMEM, DEVICE, DEVICE + 1, true), 0);
	CHECK_EQ(domain_allow(&domains[0], PERMISSION_IOMEM, FAR_DEVICE, FAR_DEVICE, true), 0);
}

static void kill_domain(unsigned id)
{
	struct domain *d = &domains[id];

	random_vcpu();
	d->is_dying = true;
	while (pagetables_module.relinquish(d) == -ERESTART)
		CHECK_EQ(pv_audit(), 0);
	for (u64 m = RAM_FIRST; m < RAM_END; m++)
		if (exists(m) && owner_of(m) == id)
			pinned[m] = 0;
	d->relinquish_cursor = 0;
	while (memory_module.relinquish(d) == -ERESTART)
		;
	for (u64 m = RAM_FIRST; m < RAM_END; m++)
		if (exists(m) && owner_of(m) == id)
			given_up[m] = true;
}

/* Both die; every frame comes back. */
static void end_machine(void)
{
	u64 free_before;
	unsigned first = (unsigned)test_below(2);

	for (unsigned i = 0; i < 2; i++) {
		kill_domain(i ? !first : first);
		CHECK_EQ(pv_audit(), 0);
	}
	for (u64 m = RAM_FIRST; m < RAM_END; m++) {
		while (own_writable[m] && own_writable[m]--)
			frame_put_writable(mfn(m));
		while (own_count[m] && own_count[m]--)
			put_frame(mfn(m));
		if (shared[m])
			unshare_free_page(mfn_to_virt(mfn(m)));
		CHECK(!exists(m));
	}
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(domains[i].tot_pages, 0);
		CHECK_EQ(domain_refs[i], 0);
		pagetables_module.destroy(&domains[i]);
		memory_module.destroy(&domains[i]);
		rangeset_clear(&domains[i].permissions[PERMISSION_IOMEM]);
	}
	free_before = heap_free_pages();
	CHECK_EQ(free_before, RAM_END - RAM_FIRST - 2);
}

/* A pin that was begun and never fetched holds a tree; an update in that tree, which lets go of it, must not treat it as still being one. */
TEST(update_in_abandoned_tree)
{
	struct domain *d = &domains[0];
	mfn_t l4, l3, l2;

	make_machine();
	current = &vcpus[0][0];
	l4 = domain_alloc_frames(d, 0, 0, 0);
	l3 = domain_alloc_frames(d, 0, 0, 0);
	l2 = domain_alloc_frames(d, 0, 0, 0);
	*entry(l4.v, 0) = pte_make(l3, PTE_P | PTE_US | PTE_RW);
	preempt_percent = 100;
	CHECK_EQ(pt_pin(d, l4, 4), -ERESTART);
	preempt_percent = 0;
	current = &vcpus[0][1];
	CHECK_EQ(pt_finish(d), 0);
	CHECK_EQ(frame_type(frame_read(l3)), FRAME_L3);
	current = &vcpus[0][0];
	CHECK_EQ(pt_update(d, d, l3, 1, pte_make(l2, PTE_P | PTE_US), 0, NULL), 0);
	CHECK_EQ(frame_type(frame_read(l3)), FRAME_NONE);
	CHECK_EQ(frame_type(frame_read(l2)), FRAME_NONE);
	CHECK_EQ(pv_audit(), 0);
	end_machine();
}

static mfn_t late;
static u16 late_epoch;

/* What other processors do while the first frame is being taken: a flush, and then one drops its mapping of another frame. */
static void others_go_on(int signal)
{
	CHECK_EQ(mprotect((void *)M2P_START, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	tlb_flush_mask(&cpu_online);
	frame_put_writable(late);
	late_epoch = frame_epoch(frame_read(late));
}

/* The frames of a dying domain go to the heap in blocks: after a flush of what was mapped last, also if that was while they were taken. */
TEST(dropped_while_released)
{
	struct sigaction trap = { .sa_handler = others_go_on, .sa_flags = SA_RESETHAND };
	struct domain *d = &domains[0];
	cpumask_t stale;
	mfn_t m, first;

	make_machine();
	current = &vcpus[0][0];
	stale = cpu_online;
	m = domain_alloc_frames(d, 0, 0, 0);
	late = domain_alloc_frames(d, 0, 0, 0);
	first = mfn(min(m.v, late.v));
	late = mfn(max(m.v, late.v));
	CHECK_EQ(frame_get_writable(late, d), 0);
	CHECK_EQ(frame_get_writable(first, d), 0);
	frame_put_writable(first);
	d->is_dying = true;
	CHECK_EQ(pagetables_module.relinquish(d), 0);
	d->relinquish_cursor = 0;
	CHECK_EQ(sigaction(SIGSEGV, &trap, NULL), 0);
	CHECK_EQ(mprotect((void *)M2P_START, PAGE_SIZE, PROT_NONE), 0);
	while (memory_module.relinquish(d) == -ERESTART)
		;
	CHECK(!exists(late.v));
	tlb_filter(&stale, late_epoch);
	CHECK(cpumask_empty(&stale));
	end_machine();
}

/* A page of the hypervisor's that is taken out of sharing while it is mapped stays until it is mapped no more. */
TEST(shared_page_outlives_sharing)
{
	u64 l1, free_pages_before;
	mfn_t m;
	void *page;

	make_machine();
	current = &vcpus[0][0];
	m = domain_alloc_frames(&domains[0], 0, 0, 0);
	l1 = m.v;
	CHECK_EQ(pt_pin(&domains[0], m, 1), 0);
	pinned[l1] = 1;
	free_pages_before = heap_free_pages();
	for (unsigned writable = 0; writable < 2; writable++) {
		page = alloc_page_zeroed();
		m = virt_to_mfn(page);
		share_page_with_domain(page, &domains[1], writable);
		CHECK_EQ(pt_update(&domains[0], &domains[1], mfn(l1), 0, pte_make(m, PTE_P | PTE_US | PTE_RW), 0, NULL), writable ? 0 : -EBUSY);
		CHECK_EQ(pt_update(&domains[0], &domains[1], mfn(l1), 1, pte_make(m, PTE_P | PTE_US), 0, NULL), 0);
		CHECK_EQ(pv_audit(), 0);
		CHECK_EQ(unshare_page(page), -EBUSY);
		unshare_free_page(page);
		CHECK_EQ(owner_of(m.v), DOMID_XEN);
		CHECK_EQ(heap_free_pages(), free_pages_before - 1);
		CHECK_EQ(pv_audit(), 0);
		/* Not to be had anew. */
		CHECK_EQ(pt_update(&domains[0], &domains[1], mfn(l1), 2, pte_make(m, PTE_P | PTE_US), 0, NULL), -EINVAL);
		CHECK_EQ(pt_update(&domains[0], dom_xen, mfn(l1), 2, pte_make(m, PTE_P | PTE_US), 0, NULL), -EPERM);
		CHECK_EQ(pt_update(&domains[0], &domains[1], mfn(l1), 0, (pte_t){ 0 }, 0, NULL), 0);
		CHECK_EQ(pt_update(&domains[0], &domains[1], mfn(l1), 1, (pte_t){ 0 }, 0, NULL), 0);
		CHECK_EQ(heap_free_pages(), free_pages_before);
	}
	end_machine();
}

static void run(u64 seed, unsigned steps, unsigned preempt)
{
	test_seed += seed * 0x1234567;
	preempt_percent = preempt;
	make_machine();
	for (int i = 0; i < 80; i++)
		op_allocate(random_vcpu());
	for (unsigned step = 0; step < steps && test_failures < 10; step++) {
		struct vcpu *v = random_vcpu();

		switch (test_below(23)) {
		case 0 ... 4: op_prepare(v); break;
		case 5 ... 6: op_pin(v); break;
		case 7: op_unpin(v); break;
		case 8 ... 11: op_update(v); break;
		case 12: op_base(v); break;
		case 13 ... 14: op_allocate(v); break;
		case 15: op_release(v); break;
		case 16: op_own_reference(v); break;
		case 17: op_grant(v); break;
		case 18: op_move(v); break;
		case 19: op_descriptors(v); break;
		case 20 ... 21: op_reuse(v); break;
		case 22: op_share(v); break;
		}
		compare();
		if (test_failures)
			printf("seed %lu step %u\n", seed, step);
	}
	end_machine();
}

#define RUN(n, preempt) TEST(random_##preempt##_##n) { run(n, 4000, preempt); }
RUN(1, 0) RUN(2, 0) RUN(3, 0)
RUN(1, 30) RUN(2, 30) RUN(3, 30)
RUN(1, 90) RUN(2, 90) RUN(3, 90)
