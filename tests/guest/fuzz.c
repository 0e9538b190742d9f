/* SPDX-License-Identifier: MIT */
/* Random page-table, descriptor, grant, memory and event operations from two vCPUs on one pool of frames; the audit judges. */
#include "lib/audit.h"
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/grant_table.h>
#include <xen/memory.h>

#define FRAMES 24
#define WINDOW 32	/* mappings at SCRATCH_VA */
/* A round lasts for this long, and then until it has done enough: flushes between two vCPUs are slow on a busy host. */
#define ROUND SEC
#define ROUND_LIMIT (15 * SEC)
#define ENOUGH 1500
#define ROUNDS 3
#define FIRST_REF GNTTAB_NR_RESERVED_ENTRIES
#define GRANT_VA (SCRATCH_VA + (1ul << 30))

/* The pool: every frame has a linear address, which may be read-only; what else it is, chance decides. */
static u64 *pool[FRAMES];
static struct grant_entry_v1 *grants = (void *)GRANT_VA;
static u32 handles[16];
static u32 ports[16];
static volatile bool stop;
static volatile u64 operations[2], successes[2], renewed;

/* xorshift64*, one state per vCPU */
static u64 seeds[MAX_CPUS];

static u64 rnd(void)
{
	u64 *x = &seeds[this_cpu()->id];

	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * 2685821657736338717ul;
}

static u64 below(u64 n)
{
	return (rnd() >> 20) % n;
}

static u64 *any_frame(void)
{
	return pool[below(FRAMES)];
}

/* Any frame of the machine but those of our own that are not in the pool: we would write into ourselves. */
static u64 foreign_mfn(void)
{
	volatile u64 pfn = ~0ul;
	u64 mfn = below(1ul << 17);
	struct trap t;

	CATCH(&t, pfn = mfn_to_pfn(mfn));
	return pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn ? virt_to_mfn(any_frame()) : mfn;
}

/* A frame number, mostly of the pool; now and then the grant table's, a device's, or none. */
static u64 any_mfn(void)
{
	switch (below(24)) {
	case 1: return pte_mfn(*pt_walk(GRANT_VA, 1));
	case 2: return 0xfee00;
	case 3: return 0xb8;
	case 4: return (rnd() & 0xffffffffff) | 1ul << 20;
	case 5: return foreign_mfn();
	default: return virt_to_mfn(any_frame());
	}
}

static u64 any_flags(void)
{
	static const u64 likely[] = { 0, PTE_RW, PTE_RO, PTE_TABLE, PTE_TABLE, PTE_RO, PTE_P, PTE_RW | PTE_NX };
	u64 f = likely[below(ARRAY_SIZE(likely))];

	if (!below(6))
		f ^= 1ul << below(12);
	if (!below(20))
		f ^= 1ul << (52 + below(12));
	return f;
}

static u64 any_pte(void)
{
	/* A live table of the kernel only in a form that must be refused: through a read-only alias we would fuzz ourselves. */
	if (!below(24))
		return MAKE_PTE(virt_to_mfn(pt_walk(VIRT_BASE, (int)below(4) + 1)), any_flags() | PTE_P | PTE_W);
	return MAKE_PTE(any_mfn(), any_flags());
}

static u64 any_window(void)
{
	return SCRATCH_VA + below(WINDOW) * PAGE_SIZE;
}

static u64 any_descriptor(void)
{
	static const u64 likely[] = { 0, 0x00cff3000000ffff, 0x00affb000000ffff, 0x0000ec00e0330000, 0x00cf93000000ffff };

	return below(3) ? likely[below(ARRAY_SIZE(likely))] : rnd();
}

static long op_map(void)
{
	static const u64 flush[] = { UVMF_INVLPG, UVMF_INVLPG | UVMF_ALL, UVMF_TLB_FLUSH, UVMF_NONE };

	return HCALL(update_va_mapping, any_window(), any_pte(), flush[below(4)]);
}

static long op_protect(void)
{
	return page_protect(any_frame(), below(2));
}

static long op_update(void)
{
	/* Few slots of each frame, so that entries meet. */
	struct mmu_update u[4];
	u32 n = (u32)below(4) + 1;

	for (u32 i = 0; i < n; i++)
		u[i] = (struct mmu_update){
			virt_to_maddr(any_frame() + below(6) * 101) | (below(8) ? 0 : below(8)), any_pte(),
		};
	return HCALL(mmu_update, u, n, NULL, DOMID_SELF);
}

static long op_pin(void)
{
	return mmuext(MMUEXT_PIN_L1_TABLE + (u32)below(4), any_mfn(), 0);
}

static long op_unpin(void)
{
	return mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(any_frame()), 0);
}

static long op_page(void)
{
	u64 to = virt_to_mfn(any_frame());

	return below(2) ? mmuext(MMUEXT_CLEAR_PAGE, to, 0) : mmuext(MMUEXT_COPY_PAGE, to, any_mfn());
}

static long op_user_base(void)
{
	return mmuext(MMUEXT_NEW_USER_BASEPTR, below(3) ? any_mfn() : 0, 0);
}

static long op_flush(void)
{
	static const u32 cmds[] = { MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_LOCAL, MMUEXT_INVLPG_ALL };

	return mmuext(cmds[below(4)], any_window(), 0);
}

static long op_write(void)
{
	u64 *e = below(2) ? any_frame() + below(6) * 101 : (u64 *)any_window() + below(6) * 101, v = any_pte();
	struct trap t;

	switch (below(4)) {
	case 0:
		CATCH(&t, asm volatile("xchgq %0, %1" : "+r"(v), "+m"(*e) :: "memory"));
		break;
	case 1:
		CATCH(&t, asm volatile("lock orq %1, %0" : "+m"(*e) : "r"(v & 0xfff) : "memory", "cc"));
		break;
	case 2:
		CATCH(&t, WRITE_ONCE(*(u32 *)e, (u32)v));
		break;
	default:
		CATCH(&t, WRITE_ONCE(*e, v));
	}
	return t.vector == VEC_NONE ? 0 : -1;
}

static long op_gdt(void)
{
	u64 frames[3] = { virt_to_mfn(any_frame()), any_mfn(), any_mfn() };

	return HCALL(set_gdt, frames, below(3) * 512);
}

static long op_ldt(void)
{
	return mmuext(MMUEXT_SET_LDT, below(2) ? (u64)any_frame() : below(2) ? any_window() : 0, below(1024));
}

static long op_load_segment(void)
{
	struct trap t;

	CATCH(&t, asm volatile("mov %0, %%es" :: "r"((u32)below(4096) | 3)));
	asm volatile("mov %0, %%es" :: "r"(0));
	return t.vector == VEC_NONE ? 0 : -1;
}

static long op_descriptor(void)
{
	return HCALL(update_descriptor, virt_to_maddr(any_frame() + below(512)), any_descriptor());
}

static long op_grant_offer(void)
{
	u32 ref = FIRST_REF + (u32)below(8);

	grants[ref].frame = (u32)any_mfn();
	grants[ref].domid = (domid_t)own_id();
	WRITE_ONCE(grants[ref].flags, GTF_permit_access | (below(2) ? GTF_readonly : 0));
	return 0;
}

static long op_grant_map(void)
{
	u64 va = any_window();
	u64 *e = pt_walk(va, 1);
	struct gnttab_map_grant_ref m = {
		.host_addr = va, .ref = FIRST_REF + (u32)below(8), .dom = (domid_t)own_id(),
		.flags = GNTMAP_host_map | (below(2) ? GNTMAP_readonly : 0) | (below(8) ? 0 : (u32)below(32)),
	};

	if (e && !below(4)) {
		m.host_addr = virt_to_maddr(e);
		m.flags |= GNTMAP_contains_pte;
	}
	if (HCALL(grant_table_op, GNTTABOP_map_grant_ref, &m, 1) || m.status)
		return -1;
	handles[below(ARRAY_SIZE(handles))] = m.handle;
	return 0;
}

static long op_grant_unmap(void)
{
	struct gnttab_unmap_grant_ref u = {
		.host_addr = below(4) ? any_window() : 0, .handle = below(8) ? handles[below(ARRAY_SIZE(handles))] : (u32)below(20),
	};

	return HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1) ? -1 : u.status;
}

static long op_grant_copy(void)
{
	struct gnttab_copy c = { .len = (u16)below(5000), .flags = (u16)below(4) };

	c.source.domid = c.dest.domid = DOMID_SELF;
	c.source.offset = (u16)below(4200);
	c.dest.offset = (u16)below(4200);
	if (c.flags & GNTCOPY_source_gref)
		c.source.u.ref = FIRST_REF + (u32)below(8);
	else
		c.source.u.gmfn = any_mfn();
	/* Not onto the frames of devices and of the kernel. */
	if (c.flags & GNTCOPY_dest_gref)
		return -1;
	c.dest.u.gmfn = virt_to_mfn(any_frame());
	return HCALL(grant_table_op, GNTTABOP_copy, &c, 1) ? -1 : c.status;
}

/*
 * A frame in the place of one that was given back and is still in use: by mappings of grants whose handles are lost, for example. Those count,
 * so that in the end there may be none to be had. 1: there is, in *list; 0: no.
 */
static int populate(struct xen_memory_reservation *r, u64 *list, u64 pfn)
{
	domid_t self = DOMID_SELF;
	long had, may = HCALL(memory_op, XENMEM_maximum_reservation, &self);

	do {
		*list = pfn;
		if (HCALL(memory_op, XENMEM_populate_physmap, r) == 1)
			return 1;
		had = HCALL(memory_op, XENMEM_current_reservation, &self);
	} while (had < may);
	return 0;
}

/* One vCPU at a time gives a frame back and takes another in its place. */
static long op_renew(void)
{
	static bool busy;
	u64 *page = any_frame(), pfn = virt_to_pfn(page), list;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	long rc;

	if (__atomic_exchange_n(&busy, true, __ATOMIC_SEQ_CST))
		return -1;
	list = pfn_to_mfn(pfn);
	set_xen_guest_handle(r.extent_start, &list);
	rc = HCALL(memory_op, XENMEM_decrease_reservation, &r) == 1 && populate(&r, &list, pfn) ? 0 : -1;
	/*
	 * Before the other vCPU can find it. But that may know its number from before, if it is one that was given back: from an entry in a page, and
	 * may have made it a page table.
	 */
	if (!rc && HCALL(update_va_mapping, page, MAKE_PTE(list, PTE_RW), UVMF_INVLPG | UVMF_ALL) &&
	    HCALL(update_va_mapping, page, MAKE_PTE(list, PTE_RO), UVMF_INVLPG | UVMF_ALL))
		test_fail(__FILE__, __LINE__, "a fresh frame cannot be mapped");
	if (!rc) {
		set_p2m(pfn, list);
		renewed++;
	}
	__atomic_store_n(&busy, false, __ATOMIC_SEQ_CST);
	return rc;
}

static long op_exchange(void)
{
	u64 in = any_mfn(), out = 5;
	struct xen_memory_exchange x = {
		.in = { .nr_extents = 1, .extent_order = (u32)below(2), .domid = DOMID_SELF },
		.out = { .nr_extents = 1, .extent_order = (u32)below(3), .domid = DOMID_SELF },
	};

	/* Only what must be refused: frames that are mapped. Success would take a page away from under the kernel. */
	set_xen_guest_handle(x.in.extent_start, &in);
	set_xen_guest_handle(x.out.extent_start, &out);
	x.nr_exchanged = below(3);
	if (x.in.extent_order == x.out.extent_order)
		x.out.nr_extents = 2;
	return HCALL(memory_op, XENMEM_exchange, &x);
}

static long op_event(void)
{
	u32 *p = &ports[below(ARRAY_SIZE(ports))], port = below(8) ? *p : (u32)rnd();
	long rc;

	switch (below(8)) {
	case 0: rc = event_alloc_unbound(DOMID_SELF, DOMID_SELF); break;
	case 1: rc = event_bind_interdomain(DOMID_SELF, port); break;
	case 2: rc = event_bind_ipi((u32)below(3)); break;
	case 3: rc = event_bind_virq((u32)below(26), (u32)below(3)); break;
	case 4: return event_close(port);
	case 5: return event_unmask(port);
	case 6: return event_bind_vcpu(port, (u32)below(3));
	default: return event_send(port);
	}
	if (rc > 0)
		*p = (u32)rc;
	return rc < 0 ? rc : 0;
}

static long op_multicall(void)
{
	struct multicall_entry list[4];

	for (unsigned i = 0; i < 4; i++) {
		list[i] = (struct multicall_entry){
			.op = __HYPERVISOR_update_va_mapping, .args = { any_window(), any_pte(), UVMF_INVLPG },
		};
		if (!below(4))
			list[i].op = 38 + below(1000);
	}
	return HCALL(multicall, list, 4);
}

static long (*const ops[])(void) = {
	op_map, op_map, op_protect, op_protect, op_protect, op_update, op_update, op_update, op_pin, op_pin, op_unpin, op_unpin,
	op_page, op_user_base, op_flush, op_write, op_write, op_write, op_gdt, op_ldt, op_load_segment, op_descriptor,
	op_grant_offer, op_grant_map, op_grant_unmap, op_grant_copy, op_renew, op_exchange, op_event, op_multicall,
};

static void fuzz(void *arg)
{
	u32 id = this_cpu()->id;
	u64 start = now(), first = operations[id];

	(void)arg;
	while (id ? !stop : now() - start < ROUND || (operations[id] - first < ENOUGH && now() - start < ROUND_LIMIT)) {
		long rc = ops[below(ARRAY_SIZE(ops))]();

		operations[id]++;
		if (rc >= 0)
			successes[id]++;
	}
}

static bool quiet(struct trap_frame *f)
{
	(void)f;
	this_cpu()->info->evtchn_upcall_pending = 0;
	return true;
}

TEST(start)
{
	u64 frames[1] = { 0 };
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 };

	set_xen_guest_handle(s.frame_list, frames);
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1), 0);
	REQUIRE_EQ(s.status, GNTST_okay);
	CHECK_EQ(map_new(GRANT_VA, MAKE_PTE(frames[0], PTE_RW)), 0);
	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
	for (unsigned i = 0; i < FRAMES; i++)
		pool[i] = page_alloc();
	for (unsigned i = 0; i < MAX_CPUS; i++)
		seeds[i] = 0x9e3779b97f4a7c15ul * (i + 1);
	memset(handles, 0xff, sizeof(handles));
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	trap_set_hook(VEC_EVENT, quiet);
	trap_set_hook(VEC_FAILSAFE, quiet);
}

static void round_of(bool both)
{
	REQUIRE(pool[0] != NULL);
	stop = false;
	if (both)
		cpu_run(1, fuzz, NULL);
	fuzz(NULL);
	stop = true;
	if (both)
		CHECK_EQ(cpu_wait(1), 0);
	CHECK_LT(audit(), 1);
}

TEST(one_vcpu)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		round_of(false);
	print("  %lu operations, %lu succeeded\n", operations[0], successes[0]);
	CHECK_NE(successes[0], 0);
}

TEST(two_vcpus)
{
	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	for (unsigned i = 0; i < ROUNDS; i++)
		round_of(true);
	print("  %lu and %lu operations, %lu and %lu succeeded, %lu frames renewed\n", operations[0], operations[1], successes[0], successes[1], renewed);
	CHECK_NE(successes[1], 0);
	CHECK_NE(renewed, 0);
}

TEST(everything_can_be_released)
{
	/* Unpinned and unmapped, every frame of the pool becomes ordinary memory again. */
	static const u64 none;

	REQUIRE(pool[0] != NULL);
	CHECK_EQ(HCALL(set_gdt, &none, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	for (u32 h = 0; h < 256; h++) {
		struct gnttab_unmap_grant_ref u = { .handle = h };

		for (unsigned w = 0; w < WINDOW; w++) {
			u.host_addr = SCRATCH_VA + w * PAGE_SIZE;
			if (HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1) || u.status == GNTST_okay ||
			    u.status == GNTST_bad_handle)
				break;
		}
	}
	for (unsigned w = 0; w < WINDOW; w++)
		HCALL(update_va_mapping, SCRATCH_VA + w * PAGE_SIZE, 0, UVMF_INVLPG | UVMF_ALL);
	for (unsigned pass = 0; pass < 5; pass++)
		for (unsigned i = 0; i < FRAMES; i++) {
			mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(pool[i]), 0);
			for (unsigned k = 0; k < 6; k++)
				mmu_update(virt_to_maddr(pool[i] + k * 101), 0);
		}
	CHECK_LT(audit(), 1);
}
