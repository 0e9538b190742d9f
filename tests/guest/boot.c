/* SPDX-License-Identifier: MIT */
/* What a kernel finds when it starts: registers, start_info, memory, page tables, shared page, versions, features. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/elfnote.h>
#include <xen/features.h>
#include <xen/memory.h>
#include <xen/version.h>

extern u64 boot_rsp, boot_rflags, boot_cs, boot_ss;
extern char _image[], _end[];

static char zeroes[8192];
static u64 initialised = 0x1122334455667788;

TEST(entry_registers)
{
	CHECK_EQ((u16)boot_cs, FLAT_KERNEL_CS);
	CHECK_EQ((u16)boot_ss, FLAT_KERNEL_SS);
	CHECK_EQ(boot_rflags & (FLAG_DF | FLAG_TF | FLAG_NT | FLAG_AC | FLAG_IOPL), 0);
	CHECK(boot_rflags & FLAG_IF);
	CHECK_GE(boot_rsp, (long)VIRT_BASE);
	CHECK_EQ((u64)start_info & (PAGE_SIZE - 1), 0);
}

TEST(image)
{
	CHECK_EQ(initialised, 0x1122334455667788);
	for (unsigned i = 0; i < sizeof(zeroes); i++)
		if (zeroes[i]) {
			CHECK_EQ(zeroes[i], 0);
			break;
		}
	CHECK_NE((u8)hypercall_page[0], 0xcc);
	CHECK_NE((u8)hypercall_page[__HYPERVISOR_console_io * 32], 0xcc);
}

TEST(start_info)
{
	CHECK(!strncmp(start_info->magic, "xen-3.0-x86_64", 14));
	CHECK_EQ(start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN), SIF_PRIVILEGED | SIF_INITDOMAIN);
	CHECK_NE(start_info->shared_info, 0);
	CHECK_EQ(start_info->shared_info & (PAGE_SIZE - 1), 0);
	CHECK_GE(start_info->nr_pages, 1024);
	CHECK_EQ(start_info->nr_pages, HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF }));
	CHECK_EQ(start_info->pt_base & (PAGE_SIZE - 1), 0);
	CHECK_GE(start_info->nr_pt_frames, 4);
	CHECK_NE(start_info->mfn_list, 0);
	/* Without an initial-RAM-disk module both are zero. */
	CHECK_EQ(start_info->mod_start, 0);
	CHECK_EQ(start_info->mod_len, 0);
	CHECK_LT(strlen((char *)start_info->cmd_line), MAX_GUEST_CMDLINE);
	/* Domain 0 has neither a store nor a console ring. */
	CHECK_EQ(start_info->store_evtchn, 0);
}

TEST(vga_info)
{
	/* Either absent, or inside the start_info page and of a known kind; 0 is a machine without a display. */
	u32 off = start_info->console.dom0.info_off, size = start_info->console.dom0.info_size;
	u8 kind;

	if (!size)
		return;
	REQUIRE(off >= sizeof(*start_info) && size <= PAGE_SIZE && off + size <= PAGE_SIZE);
	kind = *((u8 *)start_info + off);
	CHECK(!kind || kind == XEN_VGATYPE_TEXT_MODE_3 || kind == XEN_VGATYPE_VESA_LFB ||
	      kind == XEN_VGATYPE_EFI_LFB);
}

TEST(p2m)
{
	u64 bad = 0, duplicates = 0;

	for (u64 pfn = 0; pfn < start_info->nr_pages; pfn++) {
		u64 mfn = pfn_to_mfn(pfn);
		struct trap t;

		if (CATCH(&t, if (mfn_to_pfn(mfn) != pfn) bad++) != VEC_NONE)
			duplicates++;
	}
	/* m2p is a function, so an exact inverse also shows that no frame is listed twice. */
	CHECK_EQ(bad, 0);
	CHECK_EQ(duplicates, 0);
}

TEST(memory_is_writable)
{
	u64 *last = (u64 *)(VIRT_BASE + ((memory_pages() - 1) << PAGE_SHIFT));

	*last = 0x55aa;
	CHECK_EQ(*last, 0x55aa);
	WRITE_ONCE(zeroes[5000], 1);
	CHECK_EQ(zeroes[5000], 1);
}

/* Checks that nothing maps a table of the initial tree writably, and that the whole tree lies in the declared range. */
static u64 tables_seen, tables_outside, tables_writable;

static void visit_table(u64 *table, int level)
{
	u64 *e = pt_walk((u64)table, 1);

	tables_seen++;
	if ((u64)table < start_info->pt_base ||
	    (u64)table >= start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE)
		tables_outside++;
	if (e && (*e & PTE_W))
		tables_writable++;
	for (unsigned i = 0; level > 1 && i < 512; i++)
		if ((table[i] & PTE_P) && !(level == 4 && i >= 256 && i < 272) && !(level < 4 && (table[i] & PTE_PSE)))
			visit_table(mfn_to_virt((table[i] & PTE_MFN_MASK) >> PAGE_SHIFT), level - 1);
}

TEST(initial_page_tables)
{
	struct trap t;

	visit_table(current_l4(), 4);
	CHECK_EQ(tables_writable, 0);
	/* The runtime has added tables of its own, so only a lower bound is known. */
	CHECK_GE(tables_seen, 4);
	CHECK_GE(tables_seen - tables_outside, 4);
	/* A write that changes nothing: it faults, or is emulated. */
	CATCH(&t, WRITE_ONCE(*(u64 *)start_info->pt_base, 0));
	CHECK(t.vector == VEC_PF || t.vector == VEC_NONE);
}

TEST(hypervisor_range)
{
	u64 first = machine_to_phys_mapping[pfn_to_mfn(0)];
	struct trap t;

	CHECK_EQ(first, 0);
	t = CHECK_TRAP(VEC_PF, WRITE_ONCE(machine_to_phys_mapping[pfn_to_mfn(0)], 1));
	CHECK_EQ(t.cr2, &machine_to_phys_mapping[pfn_to_mfn(0)]);
	t = CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)XEN_VA_INSIDE));
	CHECK_EQ(t.cr2, XEN_VA_INSIDE);
	/* Nothing in the guest's half of the top level is inherited. */
	for (unsigned i = 1; i < 256; i++)
		if (current_l4()[i] & PTE_P)
			CHECK_EQ(i, 0);
}

TEST(shared_info)
{
	CHECK_EQ(shared_info->vcpu_info[0].evtchn_upcall_mask, 1);
	CHECK_EQ(shared_info->wc_version & 1, 0);
	/* Some time after 2020; QEMU's clock is the host's. */
	CHECK_GE((u64)shared_info->wc_sec_hi << 32 | shared_info->wc_sec, 1577836800);
	CHECK_LT(shared_info->wc_nsec, 1000000000);
	CHECK_NE(shared_info->vcpu_info[0].time.tsc_to_system_mul, 0);
	for (unsigned i = 1; i < XEN_LEGACY_MAX_VCPUS; i++)
		if (shared_info->vcpu_info[i].evtchn_upcall_pending)
			CHECK_EQ(i, 0);
}

TEST(time_runs)
{
	u64 start = now();

	CHECK(WAIT_FOR(now() > start + MSEC, PATIENCE));
}

TEST(version)
{
	char extra[XEN_EXTRAVERSION_LEN + 1] = "";
	static char caps[sizeof(xen_capabilities_info_t)];

	CHECK_EQ(HCALL(xen_version, XENVER_version, NULL), 4 << 16 | 17);
	CHECK_EQ(HCALL(xen_version, XENVER_pagesize, NULL), PAGE_SIZE);
	CHECK_EQ(HCALL(xen_version, XENVER_extraversion, extra), 0);
	CHECK_LT(strlen(extra), XEN_EXTRAVERSION_LEN);
	CHECK_EQ(HCALL(xen_version, XENVER_capabilities, caps), 0);
	CHECK(!strncmp(caps, "xen-3.0-x86_64", 14));
	print("  extraversion %s, capabilities %s\n", extra, caps);
}

TEST(features)
{
	struct xen_feature_info fi = { .submap_idx = 0 };

	REQUIRE_EQ(HCALL(xen_version, XENVER_get_features, &fi), 0);
	CHECK(fi.submap & 1u << XENFEAT_mmu_pt_update_preserve_ad);
	CHECK(fi.submap & 1u << XENFEAT_pae_pgdir_above_4gb);
	CHECK(fi.submap & 1u << XENFEAT_dom0);
	CHECK(!(fi.submap & 1u << XENFEAT_auto_translated_physmap));
	CHECK(!(fi.submap & 1u << XENFEAT_supervisor_mode_kernel));
	fi.submap_idx = XENFEAT_NR_SUBMAPS;
	CHECK_EQ(HCALL(xen_version, XENVER_get_features, &fi), -XEN_EINVAL);
}

TEST(flat_segments)
{
	static const u16 good[] = { FLAT_KERNEL_CS64, FLAT_KERNEL_SS64, FLAT_RING3_CS32 };
	u16 ds, es, fs, gs;
	u32 rights;
	u8 zf;

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		asm volatile("lar %2, %0; setz %1" : "=r"(rights), "=q"(zf) : "r"((u32)good[i]) : "cc");
		CHECK_EQ(zf, 1);
		/* present, ring 3, code or data */
		CHECK_EQ(rights & 0xf000, 0xf000);
	}
	asm volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	CHECK_EQ(ds | es | fs | gs, 0);
}
