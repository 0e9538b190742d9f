/* SPDX-License-Identifier: MIT */
/* physdev_op and platform_op: interrupts, I/O privilege, processors, firmware, and what is refused. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/physdev.h>
#include <xen/platform.h>

static long physdev(unsigned cmd, void *arg)
{
	return HCALL(physdev_op, cmd, arg);
}

static long bind_pirq(u32 pirq, u32 flags)
{
	struct evtchn_bind_pirq op = { .pirq = pirq, .flags = flags };
	long rc = HCALL(event_channel_op, EVTCHNOP_bind_pirq, &op);

	return rc ? rc : op.port;
}

static struct physdev_map_pirq map_gsi(int gsi, int pirq)
{
	return (struct physdev_map_pirq){ .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = pirq };
}

/* A line that nothing in the test machine uses. */
#define IDLE_GSI 7

TEST(gsi)
{
	struct physdev_map_pirq map = map_gsi(IDLE_GSI, IDLE_GSI);
	struct physdev_setup_gsi setup = { .gsi = IDLE_GSI, .triggering = 0, .polarity = 0 };
	struct physdev_irq_status_query status = { .irq = IDLE_GSI };
	struct physdev_eoi eoi = { .irq = IDLE_GSI };
	struct physdev_unmap_pirq unmap = { .domid = DOMID_SELF, .pirq = IDLE_GSI };
	struct evtchn_status st;
	long port;

	REQUIRE_EQ(physdev(PHYSDEVOP_map_pirq, &map), 0);
	CHECK_EQ(map.pirq, IDLE_GSI);
	CHECK_EQ(physdev(PHYSDEVOP_setup_gsi, &setup), 0);
	/* A second time the line is configured, which is no error, or says so. */
	{
		long rc = physdev(PHYSDEVOP_setup_gsi, &setup);

		CHECK(rc == 0 || rc == -XEN_EEXIST);
	}
	CHECK_EQ(physdev(PHYSDEVOP_irq_status_query, &status), 0);
	port = bind_pirq(IDLE_GSI, BIND_PIRQ__WILL_SHARE);
	REQUIRE(port > 0);
	CHECK_EQ(event_status((u32)port, &st), EVTCHNSTAT_pirq);
	CHECK_EQ(st.u.pirq, IDLE_GSI);
	CHECK_LT(bind_pirq(IDLE_GSI, 0), 0);
	CHECK_EQ(physdev(PHYSDEVOP_eoi, &eoi), 0);
	CHECK_LT(event_send((u32)port), 0);
	CHECK_EQ(event_bind_vcpu((u32)port, 0), 0);
	CHECK_EQ(event_close((u32)port), 0);
	CHECK_EQ(physdev(PHYSDEVOP_unmap_pirq, &unmap), 0);
	CHECK_LT(physdev(PHYSDEVOP_unmap_pirq, &unmap), 0);
	CHECK_LT(bind_pirq(IDLE_GSI, 0), 0);
}

TEST(gsi_refused)
{
	static const int bad[] = { -2, 24, 1000, 0x7fffffff, (int)0x80000000 };
	struct physdev_map_pirq map;
	struct physdev_setup_gsi setup = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		map = map_gsi(bad[i], bad[i]);
		CHECK_LT(physdev(PHYSDEVOP_map_pirq, &map), 0);
		setup.gsi = bad[i];
		CHECK_LT(physdev(PHYSDEVOP_setup_gsi, &setup), 0);
		CHECK_LT(bind_pirq((u32)bad[i], 0), 0);
		CHECK(physdev(PHYSDEVOP_eoi, &(struct physdev_eoi){ .irq = (u32)bad[i] }) <= 0);
	}
	map = map_gsi(IDLE_GSI, IDLE_GSI);
	map.type = 99;
	CHECK_LT(physdev(PHYSDEVOP_map_pirq, &map), 0);
	map = map_gsi(IDLE_GSI, IDLE_GSI);
	map.domid = 4321;
	CHECK_LT(physdev(PHYSDEVOP_map_pirq, &map), 0);
	/* An MSI of a device that is not there. */
	map = map_gsi(-1, -1);
	map.type = MAP_PIRQ_TYPE_MSI_SEG;
	map.bus = 0xfe;
	map.devfn = 0xff;
	map.entry_nr = 1;
	CHECK_LT(physdev(PHYSDEVOP_map_pirq, &map), 0);
	map.type = MAP_PIRQ_TYPE_MULTI_MSI;
	map.entry_nr = 0x7fffffff;
	CHECK_LT(physdev(PHYSDEVOP_map_pirq, &map), 0);
}

static volatile u32 ticks;
static u32 pit_port;

static bool on_tick(struct trap_frame *f)
{
	(void)f;
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
	if (event_pending(pit_port)) {
		event_clear(pit_port);
		ticks++;
		HCALL(physdev_op, PHYSDEVOP_eoi, &(struct physdev_eoi){ .irq = 8 });
	}
	return true;
}

static u8 cmos(u8 reg)
{
	u8 v;

	asm volatile("outb %1, $0x70; inb $0x71, %0" : "=a"(v) : "0"(reg));
	return v;
}

static void cmos_write(u8 reg, u8 v)
{
	asm volatile("outb %0, $0x70" :: "a"(reg));
	asm volatile("outb %0, $0x71" :: "a"(v));
}

TEST(real_interrupt)
{
	/* The real-time clock's periodic interrupt, from the device through GSI 8 to an upcall, and off again. */
	struct physdev_map_pirq map = map_gsi(8, 8);
	struct physdev_setup_gsi setup = { .gsi = 8 };
	u8 b;

	CHECK_EQ(physdev(PHYSDEVOP_set_iopl, &(struct physdev_set_iopl){ .iopl = 1 }), 0);
	if (physdev(PHYSDEVOP_map_pirq, &map)) {
		test_note("GSI 8 is the hypervisor's");
		return;
	}
	physdev(PHYSDEVOP_setup_gsi, &setup);
	pit_port = (u32)bind_pirq(8, 0);
	REQUIRE((int)pit_port > 0);
	trap_set_hook(VEC_EVENT, on_tick);
	event_mask(pit_port, false);
	b = cmos(0x0b);
	cmos_write(0x0b, b | 0x40);
	cmos(0x0c);
	if (!(cmos(0x0b) & 0x40)) {
		test_note("the clock's control register is not ours");
	} else {
		WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
		CHECK(WAIT_FOR(({ cmos(0x0c); ticks >= 5; }), PATIENCE));
		WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
		cmos_write(0x0b, b);
		cmos(0x0c);
		print("  %u ticks\n", ticks);
	}
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(event_close(pit_port), 0);
	CHECK_EQ(physdev(PHYSDEVOP_unmap_pirq, &(struct physdev_unmap_pirq){ .domid = DOMID_SELF, .pirq = 8 }), 0);
}

TEST(io_apic)
{
	struct physdev_apic op = { .apic_physbase = 0xfec00000, .reg = 1 };

	CHECK_EQ(physdev(PHYSDEVOP_apic_read, &op), 0);
	CHECK_NE(op.value & 0xff, 0);
	op.reg = 0xff;
	CHECK(physdev(PHYSDEVOP_apic_read, &op) <= 0);
	/* None there. */
	op.apic_physbase = 0xfec01000;
	op.reg = 1;
	CHECK_LT(physdev(PHYSDEVOP_apic_read, &op), 0);
	CHECK_LT(physdev(PHYSDEVOP_apic_write, &op), 0);
}

TEST(eoi_page)
{
	struct physdev_pirq_eoi_gmfn page = { .gmfn = 0x100 };
	u64 *mine = page_alloc(), *table = table_alloc();

	CHECK_LT(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), 0);
	page.gmfn = ~0ul;
	CHECK_LT(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table), 0), 0);
	page.gmfn = virt_to_mfn(table);
	CHECK_LT(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), 0);
	page.gmfn = virt_to_mfn(mine);
	CHECK_EQ(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), 0);
	/* The hypervisor writes there: no table may it become. */
	CHECK_EQ(page_protect(mine, false), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(mine), 0), 0);
	CHECK_EQ(page_protect(mine, true), 0);
	CHECK_LT(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), 0);
	table_free(table);
}

TEST(pci_devices)
{
	struct physdev_pci_device_add add = { .seg = 0, .bus = 0, .devfn = 0 };
	struct physdev_pci_device dev = { .seg = 0, .bus = 0xfe, .devfn = 0xff };
	struct physdev_pci_mmcfg_reserved mm = { .address = 0x1000, .segment = 0xffff, .start_bus = 9, .end_bus = 3 };

	CHECK_EQ(physdev(PHYSDEVOP_pci_device_add, &add), 0);
	/* Again is no harm; Domain 0 scans its buses more than once. */
	CHECK(physdev(PHYSDEVOP_pci_device_add, &add) <= 0);
	CHECK_LT(physdev(PHYSDEVOP_pci_device_remove, &dev), 0);
	CHECK_LT(physdev(PHYSDEVOP_prepare_msix, &dev), 0);
	CHECK_LT(physdev(PHYSDEVOP_release_msix, &dev), 0);
	CHECK(physdev(PHYSDEVOP_pci_mmcfg_reserved, &mm) <= 0);
}

TEST(physdev_unknown)
{
	CHECK_EQ(physdev(99, NULL), -XEN_ENOSYS);
	CHECK_EQ(physdev(0xffffffff, NULL), -XEN_ENOSYS);
	CHECK_EQ(physdev(22, NULL), -XEN_ENOSYS);
}

static struct xen_platform_op op;

static long platform(u32 cmd)
{
	op.cmd = cmd;
	op.interface_version = XENPF_INTERFACE_VERSION;
	return HCALL(platform_op, &op);
}

TEST(processors)
{
	u32 present;

	memset(&op, 0, sizeof(op));
	op.u.pcpu_info.xen_cpuid = 0;
	REQUIRE_EQ(platform(XENPF_get_cpuinfo), 0);
	present = op.u.pcpu_info.max_present;
	CHECK_LT(present, 256);
	CHECK(op.u.pcpu_info.flags & XEN_PCPU_FLAGS_ONLINE);
	CHECK_EQ(op.u.pcpu_info.apic_id, 0);
	op.u.pcpu_info.xen_cpuid = present + 1;
	{
		long rc = platform(XENPF_get_cpuinfo);

		/* Out of range, or described as not there. */
		CHECK(rc < 0 || (op.u.pcpu_info.flags & (XEN_PCPU_FLAGS_ONLINE | XEN_PCPU_FLAGS_INVALID)) != XEN_PCPU_FLAGS_ONLINE);
	}
	op.u.pcpu_info.xen_cpuid = ~0u;
	{
		long rc = platform(XENPF_get_cpuinfo);

		CHECK(rc < 0 || (op.u.pcpu_info.flags & XEN_PCPU_FLAGS_INVALID));
	}
	memset(&op, 0, sizeof(op));
	CHECK_EQ(platform(XENPF_get_cpu_version), 0);
	CHECK_NE(op.u.pcpu_version.family, 0);
}

TEST(offlining_refused)
{
	memset(&op, 0, sizeof(op));
	op.u.cpu_ol.cpuid = ~0u;
	CHECK_LT(platform(XENPF_cpu_online), 0);
	CHECK_LT(platform(XENPF_cpu_offline), 0);
	/* The boot processor stays. */
	op.u.cpu_ol.cpuid = 0;
	CHECK_LT(platform(XENPF_cpu_offline), 0);
}

TEST(firmware)
{
	memset(&op, 0, sizeof(op));
	op.u.firmware_info.type = 0xffff;
	CHECK_LT(platform(XENPF_firmware_info), 0);
	op.u.firmware_info.type = XEN_FW_DISK_INFO;
	op.u.firmware_info.index = 0xffff;
	CHECK_LT(platform(XENPF_firmware_info), 0);
	op.u.firmware_info.type = XEN_FW_KBD_SHIFT_FLAGS;
	op.u.firmware_info.index = 0;
	CHECK(platform(XENPF_firmware_info) <= 0);
}

TEST(idle_time)
{
	u8 map[8] = { 0xff };
	u64 idle[64] = { 0 };

	memset(&op, 0, sizeof(op));
	set_xen_guest_handle(op.u.getidletime.cpumap_bitmap, map);
	set_xen_guest_handle(op.u.getidletime.idletime, idle);
	op.u.getidletime.cpumap_nr_cpus = 8;
	{
		long rc = platform(XENPF_getidletime);

		CHECK(rc == 0 || rc == -XEN_ENOSYS);
		if (!rc)
			CHECK_NE(op.u.getidletime.now, 0);
	}
	set_xen_guest_handle(op.u.getidletime.cpumap_bitmap, (u8 *)XEN_VA_INSIDE);
	CHECK_LT(platform(XENPF_getidletime), 0);
	set_xen_guest_handle(op.u.getidletime.cpumap_bitmap, map);
	set_xen_guest_handle(op.u.getidletime.idletime, (u64 *)XEN_VA_M2P);
	op.u.getidletime.cpumap_nr_cpus = 8;
	map[0] = 0xff;
	CHECK_LT(platform(XENPF_getidletime), 0);
}

TEST(idle_time_of_very_many)
{
	/* More than there can be: no walk through all the numbers, and an answer about those there are. */
	static u8 map[4096];
	static u64 idle[4096];
	u64 start = now();

	memset(&op, 0, sizeof(op));
	map[0] = 1;
	set_xen_guest_handle(op.u.getidletime.cpumap_bitmap, map);
	set_xen_guest_handle(op.u.getidletime.idletime, idle);
	op.u.getidletime.cpumap_nr_cpus = 8 * sizeof(map);
	CHECK_EQ(platform(XENPF_getidletime), 0);
	CHECK_EQ(map[0], 1);
	op.u.getidletime.cpumap_nr_cpus = ~0u;
	CHECK(platform(XENPF_getidletime) <= 0);
	CHECK_LT(now() - start, PATIENCE);
}

/* Power management and frequencies: either really done, or refused; never ignored. */
TEST(processor_power)
{
	static struct xen_processor_px px;

	memset(&op, 0, sizeof(op));
	op.u.set_pminfo.id = ~0u;
	op.u.set_pminfo.type = XEN_PM_PX;
	set_xen_guest_handle(op.u.set_pminfo.u.perf.states, &px);
	CHECK_LT(platform(XENPF_set_processor_pminfo), 0);
	op.u.set_pminfo.type = 99;
	CHECK_LT(platform(XENPF_set_processor_pminfo), 0);
	memset(&op, 0, sizeof(op));
	op.u.change_freq.cpu = ~0u;
	CHECK_LT(platform(XENPF_change_freq), 0);
}

TEST(platform_refused)
{
	memset(&op, 0, sizeof(op));
	CHECK_LT(platform(0), 0);
	CHECK_LT(platform(999), 0);
	/* Sleep states that are none; nothing sleeps. */
	op.u.enter_acpi_sleep.sleep_state = 99;
	CHECK_LT(platform(XENPF_enter_acpi_sleep), 0);
	memset(&op, 0, sizeof(op));
	set_xen_guest_handle(op.u.microcode.data, (void *)XEN_VA_INSIDE);
	op.u.microcode.length = 4096;
	CHECK_LT(platform(XENPF_microcode_update), 0);
	op.u.microcode.length = ~0u;
	CHECK_LT(platform(XENPF_microcode_update), 0);
	memset(&op, 0, sizeof(op));
	op.u.mem_add.spfn = ~0ul;
	op.u.mem_add.epfn = 5;
	CHECK_LT(platform(XENPF_mem_hotadd), 0);
	memset(&op, 0, sizeof(op));
	op.u.resource_op.nr_entries = ~0u;
	CHECK(platform(XENPF_resource_op) <= 0);
}
