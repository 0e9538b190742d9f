/* SPDX-License-Identifier: MIT */
/* For tests of page tables: operations by chance, and what the model says of them beforehand. */
#ifndef TESTS_UNIT_PAGETABLE_OPS_H
#define TESTS_UNIT_PAGETABLE_OPS_H

#include "pagetable_model.h"

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

#endif
