/* SPDX-License-Identifier: MIT */
/* Physical interrupts and PCI: a device's interrupt of each kind, its acknowledgement, and every way to misuse the operations. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/physdev.h>

#define RTC_GSI		8
#define HUGE_NUMBER	0x7fffffff
#define WAIT		(2 * SEC)
#define QUIET		(20 * MSEC)

#define OP(cmd, ...) HCALL(physdev_op, PHYSDEVOP_##cmd, &(__VA_ARGS__))

static void out8(u16 port, u8 v) { asm volatile("outb %0, %1" :: "a"(v), "d"(port)); }
static void out32(u16 port, u32 v) { asm volatile("outl %0, %1" :: "a"(v), "d"(port)); }
static u8 in8(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "d"(port)); return v; }
static u16 in16(u16 port) { u16 v; asm volatile("inw %1, %0" : "=a"(v) : "d"(port)); return v; }
static u32 in32(u16 port) { u32 v; asm volatile("inl %1, %0" : "=a"(v) : "d"(port)); return v; }

static long map_gsi(int gsi, int *pirq)
{
	struct physdev_map_pirq m = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = *pirq };
	long rc = OP(map_pirq, m);

	*pirq = m.pirq;
	return rc;
}

static long unmap(int pirq)
{
	struct physdev_unmap_pirq u = { .domid = DOMID_SELF, .pirq = pirq };

	return OP(unmap_pirq, u);
}

static long bind(u32 pirq)
{
	struct evtchn_bind_pirq b = { .pirq = pirq, .flags = BIND_PIRQ__WILL_SHARE };
	long rc = HCALL(event_channel_op, EVTCHNOP_bind_pirq, &b);

	return rc ? rc : (long)b.port;
}

static long eoi(u32 pirq)
{
	struct physdev_eoi e = { .irq = pirq };

	return OP(eoi, e);
}

static void allow_ports(void)
{
	struct physdev_set_iopl i = { .iopl = 1 };

	CHECK_EQ(OP(set_iopl, i), 0);
}

/* --- PCI configuration --- */

static u32 conf_read(u32 devfn, u32 reg)
{
	out32(0xcf8, 0x80000000 | devfn << 8 | (reg & ~3u));
	return in32(0xcfc);
}

/* devfn of the first device with this id on bus 0, or -1. */
static int find_device(u32 id)
{
	for (u32 devfn = 0; devfn < 256; devfn++)
		if (conf_read(devfn, 0) == id)
			return (int)devfn;
	return -1;
}

#define E1000_ID	0x100e8086

TEST(configuration_ports)
{
	allow_ports();
	out32(0xcf8, 0x80000000);
	CHECK_EQ(in32(0xcf8), 0x80000000);
	CHECK_EQ(in16(0xcfc), 0x8086);
	CHECK_EQ(in16(0xcfe), conf_read(0, 0) >> 16);
	CHECK_EQ(in8(0xcfd), 0x80);
	/* Part of the address register: no effect on it. */
	out8(0xcfb, 1);
	CHECK_EQ(in32(0xcf8), 0x80000000);
	/* Not enabled, and a bus that is not there: ones. */
	out32(0xcf8, 0);
	CHECK_EQ(in32(0xcfc), 0xffffffff);
	out32(0xcf8, 0x80ff0000);
	CHECK_EQ(in32(0xcfc), 0xffffffff);
}

TEST(pci_devices)
{
	struct physdev_pci_device_add none = { .bus = 0xfe, .devfn = 0xff }, host = { .bus = 0 };
	struct physdev_pci_device dev = { .bus = 0 }, far = { .seg = 0xffff, .bus = 0xff, .devfn = 0xff };

	CHECK_EQ(OP(pci_device_add, none), -XEN_ENODEV);
	CHECK_EQ(OP(pci_device_remove, far), -XEN_ENODEV);
	CHECK_EQ(OP(restore_msi_ext, far), -XEN_ENODEV);
	CHECK_EQ(OP(prepare_msix, far), -XEN_ENODEV);
	CHECK_EQ(OP(release_msix, far), -XEN_ENODEV);
	CHECK_EQ(OP(pci_device_add, host), 0);
	CHECK_EQ(OP(pci_device_add, host), 0);
	CHECK_EQ(OP(restore_msi_ext, dev), 0);
	CHECK_EQ(OP(prepare_msix, dev), -XEN_ENODEV);
	CHECK_EQ(OP(pci_device_remove, dev), 0);
	CHECK_EQ(OP(pci_device_remove, dev), -XEN_ENODEV);
	CHECK_EQ(OP(pci_mmcfg_reserved, (struct physdev_pci_mmcfg_reserved){ .address = 0x123000, .end_bus = 255, .flags = XEN_PCI_MMCFG_RESERVED }),
		 -XEN_ENODEV);
	CHECK_EQ(OP(pci_mmcfg_reserved, (struct physdev_pci_mmcfg_reserved){ .start_bus = 2, .end_bus = 1 }), -XEN_EINVAL);
}

/* --- mapping --- */

TEST(gsi_numbers)
{
	int pirq = -1, other = 300;

	CHECK_EQ(map_gsi(RTC_GSI, &pirq), 0);
	CHECK_EQ(pirq, RTC_GSI);
	/* Again: the same; under another name: refused. */
	CHECK_EQ(map_gsi(RTC_GSI, &pirq), 0);
	CHECK_EQ(pirq, RTC_GSI);
	CHECK_EQ(map_gsi(RTC_GSI, &other), -XEN_EEXIST);
	CHECK_EQ(unmap(RTC_GSI), 0);
	CHECK_EQ(unmap(RTC_GSI), -XEN_EINVAL);
	other = 300;
	CHECK_EQ(map_gsi(RTC_GSI, &other), 0);
	CHECK_EQ(other, 300);
	CHECK_EQ(unmap(300), 0);
}

TEST(mapping_refused)
{
	static const int bad[] = { -1, -2, 1000, 0xffff, HUGE_NUMBER, (int)0x80000000 };
	struct physdev_map_pirq m;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int pirq = -1;

		CHECK_EQ(map_gsi(bad[i], &pirq), -XEN_EINVAL);
		pirq = bad[i] < 0 || bad[i] == 1000 ? HUGE_NUMBER : bad[i];
		CHECK_EQ(map_gsi(RTC_GSI, &pirq), -XEN_EINVAL);
		CHECK_EQ(unmap(bad[i]), -XEN_EINVAL);
		CHECK_LT(bind((u32)bad[i]), 0);
	}
	m = (struct physdev_map_pirq){ .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_UNKNOWN, .pirq = -1 };
	CHECK_EQ(OP(map_pirq, m), -XEN_EINVAL);
	m = (struct physdev_map_pirq){ .domid = 4321, .type = MAP_PIRQ_TYPE_GSI, .index = RTC_GSI, .pirq = -1 };
	CHECK_EQ(OP(map_pirq, m), -XEN_ESRCH);
	CHECK_EQ(HCALL(physdev_op, PHYSDEVOP_map_pirq, 0), -XEN_EFAULT);
	CHECK_EQ(HCALL(physdev_op, PHYSDEVOP_map_pirq, XEN_VA_INSIDE), -XEN_EFAULT);
	CHECK_EQ(HCALL(physdev_op, PHYSDEVOP_map_pirq, NONCANONICAL), -XEN_EFAULT);
	CHECK_EQ(HCALL(physdev_op, 0, &m), -XEN_ENOSYS);
	CHECK_EQ(HCALL(physdev_op, 1000, &m), -XEN_ENOSYS);
	CHECK_EQ(HCALL(physdev_op, 0xffffffff, &m), -XEN_ENOSYS);
	/* Reserved by nobody, so not bound either. */
	CHECK_EQ(bind(200), -XEN_EINVAL);
}

TEST(msi_refused)
{
	static const int entries[] = { 0, 1, 2, 33, 2047, 2048, -1, HUGE_NUMBER, (int)0x80000000 };
	static const int types[] = { MAP_PIRQ_TYPE_MSI, MAP_PIRQ_TYPE_MSI_SEG, MAP_PIRQ_TYPE_MULTI_MSI };
	struct physdev_pci_device_add add = { .bus = 0 };
	struct physdev_pci_device dev = { .bus = 0 };

	/* The host bridge has no MSI, the other device does not exist. */
	CHECK_EQ(OP(pci_device_add, add), 0);
	for (unsigned t = 0; t < 3; t++)
		for (unsigned e = 0; e < sizeof(entries) / sizeof(entries[0]); e++)
			for (u64 table = 0; table < 0x20000000; table += 0x11111000) {
				struct physdev_map_pirq m = {
					.domid = DOMID_SELF, .type = types[t], .index = -1, .pirq = -1, .entry_nr = entries[e], .table_base = table,
				};

				CHECK_LT(OP(map_pirq, m), 0);
				m.bus = -1;
				m.devfn = -1;
				CHECK_LT(OP(map_pirq, m), 0);
			}
	CHECK_EQ(OP(pci_device_remove, dev), 0);
}

TEST(lines)
{
	struct physdev_setup_gsi g = { .gsi = RTC_GSI, .triggering = 0, .polarity = 0 };
	struct physdev_irq irq = { .irq = RTC_GSI };
	struct physdev_apic apic = { .apic_physbase = 0xfec00000, .reg = 1 };
	struct physdev_irq_status_query q = { .irq = RTC_GSI };

	CHECK_EQ(OP(setup_gsi, g), 0);
	g.triggering = 2;
	CHECK_EQ(OP(setup_gsi, g), -XEN_EINVAL);
	g = (struct physdev_setup_gsi){ .gsi = -1 };
	CHECK_EQ(OP(setup_gsi, g), -XEN_EINVAL);
	g.gsi = HUGE_NUMBER;
	CHECK_EQ(OP(setup_gsi, g), -XEN_EINVAL);
	CHECK_EQ(OP(alloc_irq_vector, irq), 0);
	irq.irq = HUGE_NUMBER;
	CHECK_EQ(OP(alloc_irq_vector, irq), -XEN_EINVAL);
	CHECK_EQ(OP(apic_read, apic), 0);
	CHECK_GE(apic.value >> 16 & 0xff, 15);
	apic.reg = 0x10;
	apic.value = 0xfff;
	CHECK_EQ(OP(apic_write, apic), 0);
	apic.reg = 0x100;
	CHECK_EQ(OP(apic_read, apic), -XEN_EINVAL);
	CHECK_EQ(OP(apic_write, apic), -XEN_EINVAL);
	apic = (struct physdev_apic){ .apic_physbase = 0xfee00000, .reg = 1 };
	CHECK_EQ(OP(apic_read, apic), -XEN_EINVAL);
	CHECK_EQ(OP(irq_status_query, q), 0);
	CHECK(q.flags & XENIRQSTAT_needs_eoi);
	q.irq = HUGE_NUMBER;
	CHECK_EQ(OP(irq_status_query, q), -XEN_EINVAL);
	CHECK_EQ(eoi(HUGE_NUMBER), -XEN_EINVAL);
	CHECK_EQ(eoi(~0u), -XEN_EINVAL);
	/* Nothing to acknowledge. */
	CHECK_EQ(eoi(RTC_GSI), 0);
	CHECK_EQ(eoi(5), 0);
}

/* --- interrupts --- */

static u8 rtc_read(u8 reg)
{
	out8(0x70, reg);
	return in8(0x71);
}

static void rtc_write(u8 reg, u8 v)
{
	out8(0x70, reg);
	out8(0x71, v);
}

static bool arrives(u32 port)
{
	bool came = WAIT_FOR(event_pending(port), WAIT);

	event_clear(port);
	return came;
}

static bool stays_quiet(u32 port)
{
	pause_for(QUIET);
	return !event_pending(port);
}

TEST(edge_interrupt)
{
	int pirq = RTC_GSI;
	u8 status;
	long port;

	allow_ports();
	REQUIRE_EQ(map_gsi(RTC_GSI, &pirq), 0);
	port = bind((u32)pirq);
	REQUIRE(port > 0);
	event_mask((u32)port, true);
	CHECK_EQ(bind((u32)pirq), -XEN_EBUSY);
	CHECK_EQ(unmap(pirq), -XEN_EBUSY);
	status = rtc_read(11);
	rtc_write(11, status | 0x40);	/* periodic interrupt */
	for (int i = 0; i < 5; i++) {
		(void)rtc_read(12);	/* acknowledges in the device; an edge needs no EOI */
		CHECK(arrives((u32)port));
	}
	rtc_write(11, status);
	(void)rtc_read(12);
	pause_for(QUIET);
	event_clear((u32)port);
	CHECK(stays_quiet((u32)port));
	CHECK_EQ(event_close((u32)port), 0);
	CHECK_EQ(unmap(pirq), 0);
}

/* An Intel 8254x network card: the page of its registers that matters. */
static volatile u32 *nic;
#define NIC_ICR	0x00c0		/* reading it clears the causes */
#define NIC_ICS	0x00c8		/* raises causes */
#define NIC_IMS	0x00d0
#define NIC_IMC	0x00d8

static void nic_write(u32 reg, u32 v) { nic[reg / 4] = v; }
static u32 nic_read(u32 reg) { return nic[reg / 4]; }

/* Finds the card and binds its line; 0 when there is none. */
static long nic_open(int *pirq)
{
	struct physdev_setup_gsi g;
	int devfn;

	allow_ports();
	devfn = find_device(E1000_ID);
	if (devfn < 0) {
		test_note("no 8254x network card");
		return 0;
	}
	out32(0xcf8, 0x80000000 | (u32)devfn << 8 | 4);
	out8(0xcfc, 7);			/* I/O, memory, bus master */
	if (!nic && CHECK_EQ(map_new(SCRATCH_VA, (conf_read((u32)devfn, 0x10) & ~0xfffu) | PTE_RW | PTE_PCD | PTE_PWT), 0))
		nic = (volatile u32 *)SCRATCH_VA;
	if (!nic)
		return -1;
	*pirq = (int)(conf_read((u32)devfn, 0x3c) & 0xff);
	g = (struct physdev_setup_gsi){ .gsi = *pirq, .triggering = 1, .polarity = 1 };
	nic_write(NIC_IMC, ~0u);
	(void)nic_read(NIC_ICR);
	if (!CHECK_EQ(OP(setup_gsi, g), 0) || !CHECK_EQ(map_gsi(*pirq, pirq), 0))
		return 0;
	return bind((u32)*pirq);
}

static void nic_raise(void)
{
	nic_write(NIC_IMS, 1);
	nic_write(NIC_ICS, 1);
}

static void nic_close(u32 port, int pirq)
{
	nic_write(NIC_IMC, ~0u);
	(void)nic_read(NIC_ICR);
	CHECK_EQ(event_close(port), 0);
	CHECK_EQ(unmap(pirq), 0);
}

TEST(level_interrupt)
{
	struct physdev_setup_gsi g = { .triggering = 0 };
	int pirq;
	long port = nic_open(&pirq);

	REQUIRE(port >= 0);
	if (!port)
		return;
	event_mask((u32)port, true);
	/* In use: its trigger mode stays. */
	g.gsi = pirq;
	CHECK_EQ(OP(setup_gsi, g), -XEN_EEXIST);
	nic_raise();
	CHECK(arrives((u32)port));
	/* Still asserted, and not acknowledged: masked. */
	CHECK(stays_quiet((u32)port));
	/* Acknowledged while asserted: it comes again at once. */
	CHECK_EQ(eoi((u32)pirq), 0);
	CHECK(arrives((u32)port));
	(void)nic_read(NIC_ICR);
	CHECK_EQ(eoi((u32)pirq), 0);
	CHECK(stays_quiet((u32)port));
	/* An EOI too many does no harm. */
	CHECK_EQ(eoi((u32)pirq), 0);
	nic_raise();
	CHECK(arrives((u32)port));
	nic_close((u32)port, pirq);
	CHECK_EQ(eoi((u32)pirq), 0);
}

TEST(closing_without_acknowledging)
{
	int pirq;
	long port = nic_open(&pirq);

	REQUIRE(port >= 0);
	for (int i = 0; port > 0 && i < 20; i++) {
		event_mask((u32)port, true);
		nic_raise();
		CHECK(arrives((u32)port));
		/* The line is asserted all the time that nobody listens. */
		CHECK_EQ(event_close((u32)port), 0);
		port = bind((u32)pirq);
		REQUIRE(port > 0);
		CHECK(arrives((u32)port));
		(void)nic_read(NIC_ICR);
		CHECK_EQ(eoi((u32)pirq), 0);
	}
	if (port > 0)
		nic_close((u32)port, pirq);
}

TEST(eoi_page)
{
	struct physdev_pirq_eoi_gmfn e;
	u64 *page = page_alloc(), *table = table_alloc();
	int pirq, edge = RTC_GSI;
	long port, edge_port;

	e.gmfn = ~0ul;
	CHECK_EQ(OP(pirq_eoi_gmfn_v2, e), -XEN_EINVAL);
	e.gmfn = 0;
	CHECK_LT(OP(pirq_eoi_gmfn_v2, e), 0);
	memset(page, 0xff, 4096);
	e.gmfn = virt_to_mfn(page);
	CHECK_EQ(OP(pirq_eoi_gmfn_v2, e), 0);
	CHECK_EQ(OP(pirq_eoi_gmfn_v2, e), -XEN_EBUSY);
	e.gmfn = virt_to_mfn(table);
	CHECK_LT(OP(pirq_eoi_gmfn_v1, e), 0);
	table_free(table);

	REQUIRE_EQ(map_gsi(RTC_GSI, &edge), 0);
	edge_port = bind((u32)edge);
	REQUIRE(edge_port > 0);
	CHECK(!(page[0] >> edge & 1));
	CHECK_EQ(event_close((u32)edge_port), 0);
	CHECK_EQ(unmap(edge), 0);
	port = nic_open(&pirq);
	REQUIRE(port >= 0);
	if (!port)
		return;
	CHECK(page[0] >> pirq & 1);
	/* The guest's scribbling is its own affair. */
	memset(page, 0, 4096);
	event_mask((u32)port, true);
	nic_raise();
	CHECK(arrives((u32)port));
	nic_close((u32)port, pirq);
}

TEST(numbers_run_out)
{
	unsigned n = 0;

	while (n < 100000) {
		struct physdev_get_free_pirq f = { .type = MAP_PIRQ_TYPE_MSI };
		long rc = OP(get_free_pirq, f);

		if (rc) {
			CHECK_EQ(rc, -XEN_ENOSPC);
			break;
		}
		n++;
	}
	CHECK(n > 200 && n < 100000);
}
