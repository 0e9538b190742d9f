/* SPDX-License-Identifier: MIT */
/* Domain 0: what it may do, how many vCPUs it has, and the steps of making it. */
#include <boot/dom0.h>
#include <core/acpi.h>
#include <core/apic.h>
#include <core/console.h>
#include <core/efi.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/serial.h>
#include <domain/permission.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/init.h>
#include <pv/pv.h>
#include <sched/sched.h>

/* Eight times a guest's: it serves all of them, and is not to wait for each one's turn when many of them compute. */
#define WEIGHT	2048

static u64 opt_max_vcpus;
static int parse_max_vcpus(const char *value) { return param_uint(value, 1, MAX_VCPUS, &opt_max_vcpus); }
BOOT_PARAM("dom0_max_vcpus", parse_max_vcpus, "NUMBER (1..512)", "vCPUs of Domain 0 (default: one for each processor)");

static bool opt_pin;
static int parse_pin(const char *value) { return param_bool(value, &opt_pin); }
BOOT_PARAM("dom0_vcpus_pin", parse_pin, "yes|no", "each vCPU of Domain 0 stays on one processor");

void dom0_check_modules(const struct boot_info *bi)
{
	if (!bi->nr_modules)
		boot_fail("there is no kernel for Domain 0: give it as the first boot module (GRUB: module or module2)");
	for (unsigned i = 0; i < bi->nr_modules; i++)
		if (!bi->modules[i].size)
			boot_fail("boot module %u (%s) is empty", i + 1, i == 0 ? "Domain 0's kernel" : "initrd");
	if (bi->nr_modules > 2)
		log_warn("boot modules after the second (initrd) are ignored\n");
}

static void allow(struct domain *d, enum domain_permission what, u64 first, u64 last)
{
	if (domain_allow(d, what, first, last, true))
		boot_fail("no memory for Domain 0's permissions");
}

static void deny(struct domain *d, enum domain_permission what, u64 first, u64 last)
{
	if (domain_allow(d, what, first, last, false))
		boot_fail("no memory for Domain 0's permissions");
}

/* Code that the hypervisor calls. Its data stays: Domain 0 reads tables there. */
static void deny_firmware_code(struct domain *d)
{
	const struct efi_memory *map;
	unsigned n = efi_memory_map(&map);

	for (unsigned i = 0; i < n; i++)
		if (map[i].type == EFI_MEM_RUNTIME_CODE)
			deny(d, PERMISSION_IOMEM, PFN_DOWN(map[i].start), PFN_DOWN(map[i].start) + map[i].pages - 1);
}

/* All of the machine, but not what the hypervisor keeps for itself. RAM is not a matter of permission: it has owners. */
static void set_permissions(struct domain *d)
{
	const struct acpi_ioapic *ioapics;
	unsigned n = acpi_ioapics(&ioapics);

	allow(d, PERMISSION_IOMEM, 0, PFN_DOWN(1UL << 52) - 1);
	deny(d, PERMISSION_IOMEM, PFN_DOWN(acpi_lapic_base().v), PFN_DOWN(acpi_lapic_base().v));
	for (unsigned i = 0; i < n; i++)
		deny(d, PERMISSION_IOMEM, PFN_DOWN(ioapics[i].base.v), PFN_DOWN(ioapics[i].base.v));
	deny_firmware_code(d);

	allow(d, PERMISSION_IOPORT, 0, 0xffff);
	deny(d, PERMISSION_IOPORT, 0x20, 0x21);	/* interrupt controllers */
	deny(d, PERMISSION_IOPORT, 0xa0, 0xa1);
	deny(d, PERMISSION_IOPORT, 0x40, 0x43);	/* timer */
	deny(d, PERMISSION_IOPORT, 0x61, 0x61);
	allow(d, PERMISSION_IRQ, 0, 0xffff);

	for (unsigned i = 0; i < SERIAL_PORTS; i++) {
		unsigned irq;
		u16 base;

		if (!serial_claimed(i, &base, &irq))
			continue;
		deny(d, PERMISSION_IOPORT, base, base + 7u);
		if (irq)
			deny(d, PERMISSION_IRQ, irq, irq);
	}
}

/* For good, unless the tools change it. */
static void pin(struct vcpu *v, unsigned cpu)
{
	cpumask_t one;

	cpumask_zero(&one);
	cpumask_set(cpu, &one);
	if (sched_set_affinity(v, &one, NULL))
		panic("CPU%u is not there for vCPU %u of Domain 0", cpu, v->id);
}

static struct domain *create_domain(u64 max_pages)
{
	struct domain_config cfg = {
		.id = 0, .privileged = true, .hardware = true, .max_pages = max_pages, .ops = &pv_ops,
		.max_vcpus = (u32)(opt_max_vcpus ? opt_max_vcpus : cpumask_weight(&cpu_online)),
	};
	struct domain *d;
	int rc;

	rc = domain_create(&cfg, &d);
	if (rc)
		boot_fail("Domain 0 cannot be created (error %d)", rc);
	hardware_domain = d;
	if (sched_set_weight(d, WEIGHT))
		panic("Domain 0 cannot have the weight %u", WEIGHT);
	domain_pause(d);
	set_permissions(d);
	for (u32 i = 0; i < d->max_vcpus; i++) {
		unsigned cpu = cpumask_first(&cpu_online);
		struct vcpu *v;

		for (u32 j = 0; j < i; j++) {
			cpu = cpumask_next(cpu + 1, &cpu_online);
			if (cpu == MAX_CPUS)
				cpu = cpumask_first(&cpu_online);
		}
		rc = vcpu_create(d, i, cpu, &v);
		if (rc)
			boot_fail("vCPU %u of Domain 0 cannot be created (error %d)", i, rc);
		if (opt_pin)
			pin(v, cpu);
	}
	return d;
}

static void free_module(const struct boot_module *m)
{
	memory_add(paddr(ALIGN_DOWN(m->start.v, PAGE_SIZE)), paddr(ALIGN_UP(m->start.v + m->size, PAGE_SIZE)));
}

void dom0_create(struct boot_info *bi)
{
	struct boot_module *initrd = bi->nr_modules > 1 ? &bi->modules[1] : NULL;
	struct dom0_kernel kernel;
	struct domain *d;
	u64 pages, max_pages;

	dom0_unpack_kernel(&bi->modules[0], &kernel);
	pages = dom0_pages(&max_pages);
	d = create_domain(max_pages);
	dom0_alloc_memory(d, pages);
	dom0_build(d, pages, &kernel, initrd, bi);
	dom0_memory_done();
	if (kernel.pages)
		free_run(kernel.elf, kernel.pages);
	for (unsigned i = 0; i < bi->nr_modules; i++)
		free_module(&bi->modules[i]);
	vcpu_clear_pause_flag(d->vcpus[0], VPF_DOWN);
}
