/* SPDX-License-Identifier: MIT */
/* From the first line of C to Domain 0: the order in which everything comes up. */
#include <boot/bootinfo.h>
#include <boot/cpu.h>
#include <boot/dom0.h>
#include <boot/memmap.h>
#include <boot/protect.h>
#include <boot/start.h>
#include <core/acpi.h>
#include <core/apic.h>
#include <core/console.h>
#include <core/efi.h>
#include <core/hooks.h>
#include <core/ioapic.h>
#include <core/irq.h>
#include <core/nmi_watchdog.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/pci.h>
#include <core/percpu.h>
#include <core/segments.h>
#include <core/smp.h>
#include <core/softirq.h>
#include <core/timer.h>
#include <domain/efi_runtime.h>
#include <domain/policy.h>
#include <hypercall/version.h>
#include <ipc/evtchn.h>
#include <memory/heap.h>
#include <memory/map.h>
#include <memory/xmalloc.h>
#include <sched/sched.h>
#include <x86/cpuid.h>
#include <x86/cr.h>

/* Kept for good: Domain 0's command line, UEFI's memory map, the copy of the RSDP; and the modules until they are used. */
static struct boot_info boot_info;

extern pte_t boot_l4[];

static void init_memory(void)
{
	struct ram_range ranges[MAX_RAM_RANGES];
	paddr_t top = { 0 };
	unsigned n;

	memmap_init(&boot_info);
	n = memmap_free_ranges(&boot_info, ranges, &top);
	hyp_l4 = boot_l4;
	memory_init(ranges, n, top);
	core_ioremap = ioremap;
	core_iounmap = iounmap;
	core_zalloc = xzalloc;
	core_free = xfree;
}

static void init_platform(void)
{
	paddr_t rsdp;

	efi_init(boot_info.efi_system_table, boot_info.efi_memory, boot_info.nr_efi_memory);
	efi_runtime_init();
	rsdp = efi_acpi_rsdp();
	acpi_init(!rsdp.v && boot_info.have_rsdp ? virt_to_paddr(boot_info.rsdp) : rsdp);
	pic_disable();
	apic_init();
	softirq_init();
	irq_init();
	smp_init();
	time_init();
	pci_init();
	console_init_irq();
}

/* The idle vCPU of this CPU becomes current: from here on `current` is always valid. */
static void init_scheduling(void)
{
	sched_init();
	if (sched_init_cpu(0))
		panic("no memory for the run queue of CPU0");
	cpu_info()->vcpu = idle_domain->vcpus[0];
	cpumask_set(0, &cpu_online);
}

static void init_domains(void)
{
	domains_init();
	policy_init();
	domain_stop_hook = domain_pause_nosync;
	evtchn_init();
}

static void enter_idle(void)
{
	idle_loop();
}

void start(u32 magic, u32 info)
{
	cpu_info()->percpu_offset = 0;
	cpu_info()->cpu = 0;
	cpu_info()->softirqs = 0;
	cpu_info()->vcpu = NULL;
	nr_cpus = 1;
	percpu_init_boot();
	cpuid_init();
	segments_init_cpu(0, NULL);

	bootinfo_parse(magic, info, &boot_info);
	params_parse(boot_info.cmdline);
	console_init_early(boot_info.screen == SCREEN_TEXT);
	log_info("Lodge %s (%s), built %s with %s\n", lodge_version(), lodge_changeset(), lodge_date(), lodge_compiler());
	log_info("boot loader: %s; command line: %s\n", boot_info.loader[0] ? boot_info.loader : "unknown", boot_info.cmdline);
	log_info("processor: %s\n", cpu_features.brand);
	cpu_check_features();
	cpu_setup(true);
	dom0_check_modules(&boot_info);

	init_memory();
	protect_image();
	init_domains();
	init_scheduling();
	init_platform();
	local_irq_enable();
	smp_boot();
	console_ring_grow(alloc_pages);
	unmap_low_memory();

	dom0_create(&boot_info);
	free_init_memory();
	time_end_boot();
	nmi_watchdog_start();
	console_end_boot();
	log_info("Domain 0 starts\n");
	domain_unpause(hardware_domain);
	jump_with_fresh_stack(enter_idle);
}
