/* SPDX-License-Identifier: MIT */
/* Unit tests: frame references, page-table types and TLB flushes of PV domains, against a model that recomputes everything. */
/* sources: memory/frame.c memory/heap.c memory/tlbflush.c memory/region_map.c lib/radix.c lib/bitmap.c lib/rangeset.c lib/tree.c domain/frames.c domain/permission.c pv/pagetable.c pv/pt_entry.c pv/pt_job.c pv/pt_update.c pv/pt_base.c pv/pt_grant.c pv/audit.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "pagetable_ops.h"

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
