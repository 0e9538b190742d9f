/* SPDX-License-Identifier: MIT */
/* Unit tests: grant tables; random operations against a model of what is granted and pinned, and from several threads. */
/* sources: ipc/gnttab.c ipc/gnttab_entry.c ipc/gnttab_map.c ipc/gnttab_maptrack.c ipc/gnttab_copy.c */
/* cflags: -D__XEN_TOOLS__ -Wno-unused-parameter -include ipc_env.h */
#include "test.h"
#include "ipc_fakes.h"

#include <ipc/gnttab_table.h>
#include <pthread.h>

extern const struct domain_module gnttab_module;
extern const struct audit_source grant_audit;

#define VCPUS	4
#define REFS	24
#define FRAMES	6
#define ADDRS	40

/* --- what gnttab needs besides ---------------------------------------------------------------------------------------------------- */

static u32 flushes;
void tlb_flush_mask(const cpumask_t *mask) { atomic_fetch_add(&flushes, 1); }
static u64 shared_pages;	/* of all domains */
void share_page_with_domain(void *va, struct domain *d, bool writable) { atomic_fetch_add(&shared_pages, 1); }
void unshare_free_page(void *va) { free_page(va); }

/* Page tables: address n * PAGE_SIZE has slot n. Like the real ones, an entry holds references of its own. */
static struct { bool present, readonly; mfn_t m; } slots[ADDRS * VCPUS];

static __thread unsigned near_held;	/* what has to be ended */

static int fake_map(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 cache)
{
	u64 n = host_addr / PAGE_SIZE;

	if (host_addr % PAGE_SIZE || n >= ARRAY_SIZE(slots) || slots[n].present)
		return -EINVAL;
	slots[n].present = true;
	slots[n].readonly = flags & GNTMAP_readonly;
	slots[n].m = m;
	near_held += !near->key;
	near->key = 1;
	return 0;
}

static int fake_unmap(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 new_addr)
{
	u64 n = host_addr / PAGE_SIZE;

	if (host_addr % PAGE_SIZE || n >= ARRAY_SIZE(slots) || !slots[n].present || !mfn_eq(slots[n].m, m) ||
	    slots[n].readonly != !!(flags & GNTMAP_readonly))
		return -EINVAL;
	slots[n].present = false;
	near_held += !near->key;
	near->key = 1;
	return 0;
}

static void fake_end(struct vcpu *v, struct grant_near *near)
{
	near_held -= near->key != 0;
	near->key = 0;
}

static const struct guest_ops fake_ops = { .grant_map = fake_map, .grant_unmap = fake_unmap, .grant_end = fake_end };

/* The guest removes what it still has mapped. */
static void fake_clear_slots(void)
{
	for (u64 n = 0; n < ARRAY_SIZE(slots); n++)
		if (slots[n].present) {
			slots[n].present = false;
			frame_put_granted(slots[n].m, !slots[n].readonly, 1);
		}
}

static struct domain *granter, *user, *other;
static u8 *pages[FRAMES];

static void start(u32 version)
{
	struct domain **all[] = { &granter, &user, &other };
	mfn_t m;

	for (u16 i = 0; i < 3; i++) {
		*all[i] = fake_domain_create(i + 1, VCPUS, &gnttab_module, (struct domain_limits){ .grant_frames = 8, .maptrack_frames = 1 });
		(*all[i])->ops = &fake_ops;
	}
	for (unsigned i = 0; i < FRAMES; i++)
		pages[i] = fake_guest_page(granter);
	CHECK_EQ(gnttab_get_frame(granter, false, 0, &m), 0);
	CHECK_EQ(gnttab_set_version(granter, version), 0);
	fake_current = user->vcpus[0];
}

static void finish(void)
{
	fake_domain_relinquish(user, &gnttab_module);
	CHECK_EQ(fake_audit(&grant_audit), 0);
	fake_clear_slots();
	CHECK_EQ(near_held, 0);
	CHECK_EQ(fake_refs(), 0);
	fake_domain_destroy(user, &gnttab_module);
	fake_domain_destroy(other, &gnttab_module);
	fake_domain_destroy(granter, &gnttab_module);
	fake_free_guest_pages();
	CHECK_EQ(fake_blocks, 0);
	CHECK_EQ(fake_pages, 0);
	CHECK_EQ(fake_locks_held, 0);
}

/* --- simple cases --------------------------------------------------------------------------------------------------------------- */

static void grant_v1(u32 ref, u16 domid, const void *page, u16 flags)
{
	*entry_v1(granter->grants, ref) = (struct grant_entry_v1){ .flags = flags, .domid = domid, .frame = (u32)virt_to_mfn(page).v };
}

static void map_one(struct gnttab_map_grant_ref *op)
{
	struct gnttab_map_state state = { 0 };

	gnttab_map(op, &state);
	gnttab_map_finish(&state);
}

static s16 unmap_one(u64 host_addr, u64 dev, u32 handle)
{
	struct gnttab_unmap_batch batch = { 0 };
	s16 rc = gnttab_unmap(host_addr, dev, 0, handle, &batch);

	gnttab_unmap_finish(&batch);
	return rc;
}

TEST(growth)
{
	u64 before = shared_pages;
	mfn_t m, n;
	u32 have, limit;

	start(1);
	CHECK_EQ(gnttab_get_frame(granter, false, 8, &m), -EINVAL);
	CHECK_EQ(gnttab_get_frame(granter, true, 0, &m), -EINVAL);
	CHECK_EQ(gnttab_get_frame(granter, false, 3, &m), 0);
	gnttab_query(granter, &have, &limit);
	CHECK_EQ(have, 4);
	CHECK_EQ(limit, 8);
	CHECK_EQ(gnttab_grow(granter, 9), -EINVAL);
	CHECK_EQ(gnttab_grow(granter, 2), 0);
	CHECK_EQ(gnttab_set_version(granter, 3), -EINVAL);
	CHECK_EQ(gnttab_set_version(granter, 2), 0);
	CHECK_EQ(gnttab_get_frame(granter, true, 0, &m), 0);
	CHECK_EQ(gnttab_get_frame(granter, true, 1, &n), -EINVAL);
	CHECK_EQ(gnttab_set_version(granter, 1), 0);
	CHECK_EQ(gnttab_set_version(granter, 2), 0);
	CHECK_EQ(gnttab_get_frame(granter, true, 0, &n), 0);
	CHECK_EQ(m.v, n.v);
	CHECK_EQ(shared_pages - before, 5);
	finish();
}

TEST(map_both_kinds)
{
	struct gnttab_map_grant_ref op = { .host_addr = PAGE_SIZE, .ref = 9, .dom = 1, .flags = GNTMAP_host_map | GNTMAP_device_map };
	struct grant_entry_v1 *e;

	start(1);
	e = entry_v1(granter->grants, 9);
	grant_v1(9, 2, pages[0], GTF_permit_access);
	map_one(&op);
	CHECK_EQ(op.status, GNTST_okay);
	CHECK_EQ(op.dev_bus_addr, (u64)pages[0]);
	CHECK_EQ(e->flags, GTF_permit_access | GTF_reading | GTF_writing);
	CHECK_EQ(unmap_one(0, (u64)pages[1], op.handle), GNTST_general_error);
	CHECK_EQ(unmap_one(2 * PAGE_SIZE, (u64)pages[0], op.handle), GNTST_general_error);
	CHECK_EQ(unmap_one(PAGE_SIZE, 0, op.handle), GNTST_okay);
	CHECK_EQ(e->flags, GTF_permit_access | GTF_reading | GTF_writing);
	CHECK_EQ(gnttab_set_version(granter, 2), -EBUSY);
	CHECK_EQ(unmap_one(0, (u64)pages[0], op.handle), GNTST_okay);
	CHECK_EQ(e->flags, GTF_permit_access);
	CHECK_EQ(unmap_one(0, (u64)pages[0], op.handle), GNTST_bad_handle);
	CHECK_EQ(unmap_one(0, 0, 12345), GNTST_bad_handle);
	finish();
}

TEST(handles_run_out)
{
	struct gnttab_map_grant_ref op = { .ref = 9, .dom = 1, .flags = GNTMAP_device_map | GNTMAP_readonly };
	union grant_entry_v2 *e;
	u32 n = 0;

	start(2);
	e = entry_v2(granter->grants, 9);
	e->full_page.frame = virt_to_mfn(pages[0]).v;
	e->hdr = (grant_entry_header_t){ .flags = GTF_permit_access, .domid = 2 };
	for (;; n++) {
		map_one(&op);
		if (op.status)
			break;
	}
	CHECK_EQ(op.status, GNTST_no_space);
	CHECK_EQ(n, MAPTRACK_PER_ABI_FRAME);
	CHECK_EQ(fake_audit(&grant_audit), n);
	CHECK_EQ(*status_v2(granter->grants, 9), GTF_reading);
	for (u32 h = 0; h < n; h++)
		CHECK_EQ(unmap_one(0, (u64)pages[0], h), GNTST_okay);
	CHECK_EQ(*status_v2(granter->grants, 9), 0);
	for (u32 i = 0; i < n; i++) {
		map_one(&op);
		CHECK_EQ(op.status, GNTST_okay);
	}
	/* Freed by another vCPU, most are to be had again at once. */
	fake_current = user->vcpus[1];
	for (u32 h = 0; h < n; h++)
		CHECK_EQ(unmap_one(0, (u64)pages[0], h), GNTST_okay);
	fake_current = user->vcpus[0];
	for (u32 i = 0; i < n * 3 / 4; i++) {
		map_one(&op);
		CHECK_EQ(op.status, GNTST_okay);
	}
	/* While the version changes nothing new is pinned. */
	granter->grants->switching = true;
	map_one(&op);
	CHECK_EQ(op.status, GNTST_eagain);
	finish();
}

TEST(reserved_entries_survive)
{
	union grant_entry_v2 *e;

	start(1);
	*entry_v1(granter->grants, 1) = (struct grant_entry_v1){ GTF_permit_access, 7, 0x1234 };
	*entry_v1(granter->grants, 8) = (struct grant_entry_v1){ GTF_permit_access, 7, 0x1234 };
	CHECK_EQ(gnttab_set_version(granter, 2), 0);
	e = entry_v2(granter->grants, 1);
	CHECK_EQ(e->hdr.flags, GTF_permit_access);
	CHECK_EQ(e->hdr.domid, 7);
	CHECK_EQ(e->full_page.frame, 0x1234);
	CHECK_EQ(entry_v2(granter->grants, 8)->hdr.flags, 0);
	e->full_page.frame = 1ul << 32;
	CHECK_EQ(gnttab_set_version(granter, 1), -ERANGE);
	e->full_page.frame = 0x77;
	e->hdr.flags = GTF_permit_access | GTF_sub_page;
	CHECK_EQ(gnttab_set_version(granter, 1), -ERANGE);
	e->hdr.flags = GTF_permit_access | GTF_readonly;
	CHECK_EQ(gnttab_set_version(granter, 1), 0);
	CHECK_EQ(entry_v1(granter->grants, 1)->flags, GTF_permit_access | GTF_readonly);
	CHECK_EQ(entry_v1(granter->grants, 1)->frame, 0x77);
	finish();
}

/* In one call: what is held from one copy to the next is the right one, and only that. */
TEST(copies_in_a_row)
{
	struct gnttab_copy_state state = { 0 };
	struct gnttab_copy op = { .len = 8, .source.domid = DOMID_SELF, .dest.domid = 1 };
	struct { bool from_ref; u32 from, to; s16 status; } const row[] = {
		{ false, 0, 8, GNTST_okay }, { false, 0, 8, GNTST_okay }, { false, 1, 8, GNTST_okay }, { false, 1, 9, GNTST_okay },
		{ true, 8, 9, GNTST_okay }, { true, 9, 8, GNTST_okay }, { true, 11, 8, GNTST_general_error }, { true, 9, 10, GNTST_general_error },
		{ true, 10, 9, GNTST_okay }, { false, 10, 9, GNTST_bad_page }, { false, 0, 9, GNTST_okay }, { true, 8, 8, GNTST_okay },
	};
	u8 *own[2];

	start(1);
	for (unsigned i = 0; i < 2; i++)
		memset(own[i] = fake_guest_page(user), 0xa0 + i, PAGE_SIZE);
	for (u32 ref = 8; ref < 11; ref++) {
		grant_v1(ref, 2, pages[ref - 8], ref == 10 ? GTF_permit_access | GTF_readonly : GTF_permit_access);
		memset(pages[ref - 8], (int)ref, PAGE_SIZE);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		u8 *to = pages[row[i].to - 8], before = to[0];
		u8 from = row[i].from_ref ? pages[(row[i].from - 8) % 3][0] : own[row[i].from % 2][0];
		u16 pinned[3] = { 0 };

		op.flags = (u16)(GNTCOPY_dest_gref | (row[i].from_ref ? GNTCOPY_source_gref : 0));
		op.source.domid = row[i].from_ref ? 1 : DOMID_SELF;
		op.dest.u.ref = row[i].to;
		if (row[i].from_ref)
			op.source.u.ref = row[i].from;
		else
			op.source.u.gmfn = row[i].from < 2 ? virt_to_mfn(own[row[i].from]).v : row[i].from;
		CHECK_EQ(gnttab_copy(&op, &state), row[i].status);
		CHECK_EQ(to[7], row[i].status ? before : from);
		if (row[i].status)
			continue;
		if (row[i].from_ref)
			pinned[row[i].from - 8] |= GTF_reading;
		pinned[row[i].to - 8] |= GTF_reading | GTF_writing;
		for (u32 ref = 8; ref < 11; ref++)
			CHECK_EQ(entry_v1(granter->grants, ref)->flags & (GTF_reading | GTF_writing), pinned[ref - 8]);
	}
	gnttab_copy_finish(&state);
	for (u32 ref = 8; ref < 11; ref++)
		CHECK_EQ(entry_v1(granter->grants, ref)->flags & (GTF_reading | GTF_writing), 0);
	/* In version 1 a sub-page flag means nothing. */
	grant_v1(8, 2, pages[0], GTF_permit_access | GTF_sub_page);
	op = (struct gnttab_copy){ .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref, .len = PAGE_SIZE, .source = { { 8 }, 1 }, .dest = { { 9 }, 1 } };
	CHECK_EQ(gnttab_copy(&op, &state), GNTST_okay);
	gnttab_copy_finish(&state);
	finish();
}

/* --- a granter who changes an entry between the look at it and the mark ------------------------------------------------------------- */

static u32 race_values[8];
static unsigned race_next, race_last;

static void change_entry_8(const void *at)
{
	u32 *entry = (u32 *)entry_v1(granter->grants, 8);

	if (at == entry && race_next < race_last)
		*entry = race_values[race_next++];
}

TEST(entry_changes_meanwhile)
{
	u32 mine = GTF_permit_access | 2u << 16, marked = mine | GTF_reading | GTF_writing;
	struct { u32 values[8]; unsigned n; s16 status; u32 after; } const row[] = {
		{ { 0 }, 0, GNTST_okay, marked },
		{ { 0 }, 1, GNTST_general_error, 0 },					/* taken back */
		{ { mine | GTF_readonly }, 1, GNTST_general_error, mine | GTF_readonly },
		{ { GTF_permit_access | 3u << 16 }, 1, GNTST_general_error, GTF_permit_access | 3u << 16 },
		{ { GTF_accept_transfer | 2u << 16 }, 1, GNTST_general_error, GTF_accept_transfer | 2u << 16 },
		{ { mine | GTF_PCD, mine, mine | GTF_PWT }, 3, GNTST_okay, marked | GTF_PWT },
		{ { mine | GTF_PCD, mine, mine | GTF_PCD, mine, mine | GTF_PCD }, 5, GNTST_general_error, mine | GTF_PCD },	/* without end */
	};

	start(1);
	fake_race = change_entry_8;
	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		struct gnttab_map_grant_ref op = { .host_addr = PAGE_SIZE, .ref = 8, .dom = 1, .flags = GNTMAP_host_map };
		u32 *entry = (u32 *)entry_v1(granter->grants, 8);

		grant_v1(8, 2, pages[0], GTF_permit_access);
		memcpy(race_values, row[i].values, sizeof(race_values));
		race_next = 0;
		race_last = row[i].n;
		map_one(&op);
		CHECK_EQ(op.status, row[i].status);
		CHECK_EQ(race_next, race_last);
		CHECK_EQ(*entry, row[i].after);
		if (op.status == GNTST_okay)
			CHECK_EQ(unmap_one(PAGE_SIZE, 0, op.handle), GNTST_okay);
		CHECK_EQ(*entry, row[i].after & ~(u32)(GTF_reading | GTF_writing));
		CHECK(!entry_pinned(active_of(granter->grants, 8)));
	}
	fake_race = NULL;
	finish();
}

/* --- against the model -------------------------------------------------------------------------------------------------------------- */

/* What the model thinks of an entry. */
struct model_entry { u16 flags, domid, status, start, len; int frame; u32 readers, writers; int pinned_frame; u16 pinned_domid, pstart, plen; };
struct model_map { bool used; u32 ref, flags; u64 addr; bool write; };
static struct model_entry entries[REFS];
static struct model_map maps[MAPTRACK_PER_ABI_FRAME];
static bool is_table[FRAMES];

static bool model_pinned(const struct model_entry *e) { return e->readers || e->writers; }

static void model_unmark(struct model_entry *e)
{
	if (!e->writers)
		e->status &= (u16)~GTF_writing;
	if (!model_pinned(e))
		e->status &= (u16)~GTF_reading;
}

/* The rules, written down once more. */
static s16 model_pin(u32 ref, u16 who, bool write, bool copy)
{
	struct model_entry *e = &entries[ref];
	bool first = !model_pinned(e);

	if (!first && (e->pinned_domid != who || (!copy && e->plen != PAGE_SIZE)))
		return GNTST_general_error;
	if ((e->flags & GTF_type_mask) != GTF_permit_access || e->domid != who || (write && e->flags & GTF_readonly) ||
	    (!copy && e->flags & GTF_sub_page))
		return GNTST_general_error;
	e->status |= GTF_reading | (write ? GTF_writing : 0);
	if (first) {
		e->pinned_frame = e->frame;
		e->pinned_domid = who;
		e->pstart = e->flags & GTF_sub_page ? e->start : 0;
		e->plen = e->flags & GTF_sub_page ? e->len : PAGE_SIZE;
	}
	if (e->pinned_frame < 0 || (write && is_table[e->pinned_frame])) {
		model_unmark(e);
		return GNTST_general_error;
	}
	if (write)
		e->writers++;
	else
		e->readers++;
	return GNTST_okay;
}

static void model_unpin(u32 ref, bool write)
{
	struct model_entry *e = &entries[ref];

	if (write)
		e->writers--;
	else
		e->readers--;
	model_unmark(e);
}

static void guest_writes_entry(u32 ref)
{
	static const u16 kinds[] = { GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly,
		GTF_permit_access | GTF_sub_page, GTF_invalid, GTF_accept_transfer, GTF_transitive };
	struct model_entry *e = &entries[ref];
	union grant_entry_v2 *g = entry_v2(granter->grants, ref);
	u64 frame;

	e->flags = kinds[test_below(ARRAY_SIZE(kinds))];
	e->domid = test_below(5) ? 2 : 3;
	e->frame = (int)test_below(FRAMES + 1) - 1;
	e->start = (u16)test_below(4) * 1000;
	e->len = (u16)test_below(5000);
	frame = e->frame < 0 ? 0x12345678 : virt_to_mfn(pages[e->frame]).v;
	if (gnttab_version(granter) == 1) {
		e->flags &= (u16)~GTF_sub_page;
		e->status = 0;	/* is in the flags, and so overwritten, too */
		*entry_v1(granter->grants, ref) = (struct grant_entry_v1){ e->flags, e->domid, (u32)frame };
		return;
	}
	memset(g, 0xee, sizeof(*g));
	g->hdr = (grant_entry_header_t){ .flags = e->flags, .domid = e->domid };
	g->full_page.frame = frame;
	if (e->flags & GTF_sub_page) {
		g->sub_page.page_off = e->start;
		g->sub_page.length = e->len;
	}
}

static u16 shown_status(u32 ref)
{
	u16 flags = gnttab_version(granter) == 1 ? entry_v1(granter->grants, ref)->flags : *status_v2(granter->grants, ref);

	return flags & (GTF_reading | GTF_writing);
}

static void random_map(void)
{
	struct gnttab_map_grant_ref op = { .host_addr = test_below(ADDRS + 2) * PAGE_SIZE, .ref = (u32)test_below(REFS), .dom = 1 };
	bool slot_ok = op.host_addr / PAGE_SIZE < ADDRS && !slots[op.host_addr / PAGE_SIZE].present;
	s16 expected;

	if (op.host_addr / PAGE_SIZE >= ADDRS)
		op.host_addr = ARRAY_SIZE(slots) * PAGE_SIZE;
	op.flags = 1 + (u32)test_below(7);
	if (!(op.flags & (GNTMAP_host_map | GNTMAP_device_map))) {
		map_one(&op);
		CHECK_EQ(op.status, GNTST_bad_gntref);
		return;
	}
	expected = model_pin(op.ref, 2, !(op.flags & GNTMAP_readonly), false);
	if (!expected && op.flags & GNTMAP_host_map && !slot_ok) {
		model_unpin(op.ref, !(op.flags & GNTMAP_readonly));
		expected = GNTST_general_error;
	}
	map_one(&op);
	CHECK_EQ(op.status, expected);
	if (expected || op.status)
		return;
	CHECK(op.handle < ARRAY_SIZE(maps) && !maps[op.handle].used);
	CHECK_EQ(op.dev_bus_addr, (u64)pages[entries[op.ref].pinned_frame]);
	maps[op.handle] = (struct model_map){ true, op.ref, op.flags, op.host_addr, !(op.flags & GNTMAP_readonly) };
}

static void random_unmap(void)
{
	u32 h = (u32)test_below(ARRAY_SIZE(maps) + 2);
	struct model_map *m = h < ARRAY_SIZE(maps) ? &maps[h] : NULL;
	u64 host, dev, frame;
	s16 rc;

	if (!m || !m->used) {
		CHECK_EQ(unmap_one(PAGE_SIZE, 0, h), GNTST_bad_handle);
		return;
	}
	frame = (u64)pages[entries[m->ref].pinned_frame];
	host = test_below(8) ? m->addr : ARRAY_SIZE(slots) * PAGE_SIZE;
	dev = test_below(8) ? frame : frame + PAGE_SIZE;
	if (test_below(3) == 0)
		host = 0;
	else if (test_below(3) == 0)
		dev = 0;
	rc = unmap_one(host, dev, h);
	if ((dev && dev != frame && m->flags & GNTMAP_device_map) || (host && host != m->addr && m->flags & GNTMAP_host_map)) {
		CHECK_EQ(rc, GNTST_general_error);
		return;
	}
	CHECK_EQ(rc, GNTST_okay);
	if (dev)
		m->flags &= ~(u32)GNTMAP_device_map;
	if (host)
		m->flags &= ~(u32)GNTMAP_host_map;
	if (!(m->flags & (GNTMAP_device_map | GNTMAP_host_map))) {
		model_unpin(m->ref, m->write);
		m->used = false;
	}
}

static bool fits(u32 ref, u16 offset, u16 len)
{
	return offset >= entries[ref].pstart && (u32)offset + len <= (u32)entries[ref].pstart + entries[ref].plen;
}

static void random_copy(void)
{
	struct gnttab_copy_state state = { 0 };
	struct gnttab_copy op = { .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref, .len = (u16)test_below(1200) };
	u16 who = test_below(3) ? 2 : 3;
	u32 a = (u32)test_below(REFS), b = (u32)test_below(REFS);
	u8 before[PAGE_SIZE];
	s16 expected, first;

	op.source.u.ref = a;
	op.source.domid = op.dest.domid = 1;
	op.dest.u.ref = b;
	op.source.offset = (u16)test_below(PAGE_SIZE);
	op.dest.offset = (u16)test_below(PAGE_SIZE);
	if (op.source.offset + op.len > (int)PAGE_SIZE || op.dest.offset + op.len > (int)PAGE_SIZE) {
		CHECK_EQ(gnttab_copy(&op, &state), GNTST_bad_copy_arg);
		return;
	}
	expected = first = model_pin(a, who, false, true);
	if (!expected) {
		expected = model_pin(b, who, true, true);
		if (!expected) {
			if (!fits(a, op.source.offset, op.len) || !fits(b, op.dest.offset, op.len))
				expected = GNTST_general_error;
			else
				memcpy(before, pages[entries[a].pinned_frame] + op.source.offset, op.len);
			model_unpin(b, true);
		}
		model_unpin(a, false);
	}
	fake_current = fake_domains[who]->vcpus[1];
	CHECK_EQ(gnttab_copy(&op, &state), expected);
	if (!expected)
		CHECK(!memcmp(before, pages[entries[b].pinned_frame] + op.dest.offset, op.len));
	gnttab_copy_finish(&state);
	fake_current = user->vcpus[0];
}

static void compare(void)
{
	u64 pinned = 0;

	for (u32 r = 0; r < REFS; r++) {
		static const struct grant_active never_locked;
		const struct grant_active *act = active_of(granter->grants, r) ?: &never_locked;

		CHECK_EQ(act->readers, entries[r].readers);
		CHECK_EQ(act->writers, entries[r].writers);
		CHECK_EQ(act->lock.next, act->lock.owner);
		CHECK_EQ(shown_status(r), entries[r].status);
		pinned += act->readers + act->writers;
	}
	for (int f = 0; f < FRAMES; f++) {
		struct fake_frame *ff = fake_frame_of(virt_to_mfn(pages[f]));
		u32 refs = 0, writable = 0;

		for (u32 r = 0; r < REFS; r++)
			if (model_pinned(&entries[r]) && entries[r].pinned_frame == f)
				refs += entries[r].readers, writable += entries[r].writers;
		for (unsigned i = 0; i < ARRAY_SIZE(slots); i++)
			if (slots[i].present && mfn_eq(slots[i].m, ff->m))
				refs += slots[i].readonly, writable += !slots[i].readonly;
		CHECK_EQ(ff->refs, refs);
		CHECK_EQ(ff->writable, writable);
	}
	CHECK_EQ(fake_audit(&grant_audit), pinned);
}

static void against_model(u32 version)
{
	start(version);
	for (u32 f = 0; f < FRAMES; f++)
		for (u32 i = 0; i < PAGE_SIZE; i++)
			pages[f][i] = (u8)test_random();
	for (int step = 0; step < 60000; step++) {
		switch (test_below(12)) {
		case 0: case 1:
			guest_writes_entry((u32)test_below(REFS));
			break;
		case 2: case 3: case 4:
			random_map();
			break;
		case 5: case 6: case 7: case 8:
			random_unmap();
			break;
		case 9: case 10:
			random_copy();
			break;
		default: {
			int f = (int)test_below(FRAMES);
			struct fake_frame *ff = fake_frame_of(virt_to_mfn(pages[f]));

			if (!ff->writable)
				ff->is_table = is_table[f] = !is_table[f];
		}
		}
		if (step % 20 == 0)
			compare();
	}
	/* The end of the user gives everything back but what its page tables hold. */
	fake_domain_relinquish(user, &gnttab_module);
	for (u32 r = 0; r < REFS; r++)
		CHECK_EQ(shown_status(r), 0);
	finish();
}

TEST(version_1_against_model) { against_model(1); }
TEST(version_2_against_model) { against_model(2); }

/* --- several CPUs ------------------------------------------------------------------------------------------------------------------ */

static bool switcher_stops;

static void *mapper(void *arg)
{
	u64 n = (u64)arg, seed = n + 1;

	fake_current = user->vcpus[n];
	for (int i = 0; i < 20000; i++) {
		struct gnttab_map_grant_ref op = { .host_addr = (1 + n * (ADDRS - 1) + i % (ADDRS - 1)) * PAGE_SIZE, .ref = 8 + i % 4, .dom = 1 };
		struct gnttab_copy_state state = { 0 };
		struct gnttab_copy copy = { .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref, .len = 64 };

		seed = seed * 6364136223846793005ul + 1;
		op.flags = (seed >> 41 & 1 ? GNTMAP_host_map : GNTMAP_device_map) | (seed >> 40 & 1 ? GNTMAP_readonly : 0);
		map_one(&op);
		copy.source.u.ref = 8 + (u32)(seed >> 33) % 4;
		copy.dest.u.ref = 8 + (u32)(seed >> 35) % 4;
		copy.source.domid = copy.dest.domid = 1;
		(void)gnttab_copy(&copy, &state);
		gnttab_copy_finish(&state);
		/*
		 * Who unmaps a handle that somebody else is busy with is told that it is bad. Device mappings, which need no address of the
		 * thread's own, may be removed by any thread.
		 */
		while (op.status == GNTST_okay && op.flags & GNTMAP_host_map && unmap_one(op.host_addr, 0, op.handle) != GNTST_okay)
			sched_yield();
		for (u32 k = 0; k < 3; k++)
			(void)unmap_one(ARRAY_SIZE(slots) * PAGE_SIZE, (u64)pages[2 + (seed >> 43) % 4], (u32)(seed >> 50) % 128 + k);
	}
	return NULL;
}

static void *switcher(void *arg)
{
	while (!atomic_load(&switcher_stops)) {
		(void)!gnttab_set_version(granter, 1);
		(void)!gnttab_set_version(granter, 2);
		for (u32 r = 8; r < 12; r++) {
			union grant_entry_v2 *e = entry_v2(granter->grants, r);

			e->full_page.frame = virt_to_mfn(pages[r % FRAMES]).v;
			WRITE_ONCE(e->hdr.domid, 2);
			WRITE_ONCE(e->hdr.flags, GTF_permit_access);
		}
		(void)gnttab_swap(granter, 8, 9);
		(void)gnttab_swap(granter, 10, 8);
		sched_yield();
	}
	return NULL;
}

TEST(threads)
{
	pthread_t t[VCPUS], s;

	start(2);
	for (u32 r = 8; r < 12; r++) {
		union grant_entry_v2 *e = entry_v2(granter->grants, r);

		e->full_page.frame = virt_to_mfn(pages[r % FRAMES]).v;
		e->hdr = (grant_entry_header_t){ .flags = GTF_permit_access, .domid = 2 };
	}
	pthread_create(&s, NULL, switcher, NULL);
	for (u64 i = 0; i < VCPUS; i++)
		pthread_create(&t[i], NULL, mapper, (void *)i);
	for (unsigned i = 0; i < VCPUS; i++)
		pthread_join(t[i], NULL);
	atomic_store(&switcher_stops, true);
	pthread_join(s, NULL);
	fake_current = user->vcpus[0];
	for (u32 h = 0; h < user->grants->nr_maps; h++)
		if (maptrack_of(user->grants, h)->state)
			CHECK_EQ(unmap_one(0, mfn_to_paddr(maptrack_of(user->grants, h)->frame).v, h), GNTST_okay);
	CHECK_EQ(fake_refs(), 0);
	for (u32 r = 8; r < 12; r++)
		CHECK(!entry_pinned(active_of(granter->grants, r)));
	finish();
}
