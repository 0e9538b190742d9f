/* SPDX-License-Identifier: MIT */
/* For tests of page tables: the model, which recomputes what frames, tables and TLBs must be, and the comparison with what they are. */
#ifndef TESTS_UNIT_PAGETABLE_MODEL_H
#define TESTS_UNIT_PAGETABLE_MODEL_H

#include "pagetable_machine.h"

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

#endif
