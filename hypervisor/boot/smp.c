/* SPDX-License-Identifier: MIT */
/* Starting the other processors: INIT, SIPI, and their way to the idle loop (source: Intel SDM vol. 3 ch. 8.4). */
#include <boot/cpu.h>
#include <boot/memmap.h>
#include <core/acpi.h>
#include <core/apic.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/percpu.h>
#include <core/segments.h>
#include <core/softirq.h>
#include <core/time.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/map.h>
#include <sched/sched.h>
#include <x86/cr.h>

static u64 opt_maxcpus = MAX_CPUS;
static int parse_maxcpus(const char *value) { return param_uint(value, 0, MAX_CPUS, &opt_maxcpus); }
BOOT_PARAM("maxcpus", parse_maxcpus, "NUMBER", "use at most this many processors (0 or 1: only the first)");

extern char ap_trampoline[], ap_trampoline_end[], ap_tramp_jump32[], ap_tramp_gdtr[];
extern u64 ap_boot_l4, ap_boot_stack;

/* The processor being started says so itself; the boot CPU waits for it. */
static volatile bool ap_alive;

static void install_trampoline(paddr_t page)
{
	char *base = paddr_to_virt(page);
	u32 jump;

	memcpy(base, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	memcpy(&jump, base + (ap_tramp_jump32 - ap_trampoline), sizeof(jump));
	jump += (u32)page.v;
	memcpy(base + (ap_tramp_jump32 - ap_trampoline), &jump, sizeof(jump));
}

/* Everything a CPU needs before its first instruction in C. */
static struct cpu_info *prepare_cpu(unsigned cpu, void **tables)
{
	unsigned percpu_order = 0;
	char *stack = alloc_pages(STACK_ORDER);
	struct cpu_info *info;
	void *copy;

	while ((PAGE_SIZE << percpu_order) < percpu_size())
		percpu_order++;
	copy = alloc_pages(percpu_order);
	*tables = alloc_pages(1);
	if (!stack || !copy || !*tables)
		panic("no memory to start CPU%u", cpu);
	percpu_init_cpu(cpu, copy);
	info = (struct cpu_info *)(stack + STACK_SIZE) - 1;
	memset(info, 0, sizeof(*info));
	info->cpu = cpu;
	info->percpu_offset = percpu_offset[cpu];
	softirq_init_cpu(cpu, info);
	if (sched_init_cpu(cpu))
		panic("no memory for the run queue of CPU%u", cpu);
	return info;
}

static void *ap_tables;

static bool start_cpu(unsigned cpu, u32 id, paddr_t page)
{
	struct cpu_info *info = prepare_cpu(cpu, &ap_tables);

	cpu_apic_id[cpu] = id;
	info->vcpu = idle_domain->vcpus[cpu];
	ap_boot_l4 = virt_to_paddr(hyp_l4).v;
	ap_boot_stack = ALIGN_DOWN((u64)info, 16);
	ap_alive = false;
	smp_mb();

	apic_send_init(id);
	time_udelay(200);
	for (unsigned try = 0; try < 2 && !ap_alive; try++) {
		apic_send_sipi(id, (u8)(page.v >> PAGE_SHIFT));
		for (unsigned i = 0; i < (try ? 20000u : 20u) && !ap_alive; i++)
			time_udelay(50);
	}
	if (!ap_alive) {
		log_err("CPU%u (APIC id %u) did not start: left out\n", cpu, id);
		return false;
	}
	time_sync_cpu(cpu);
	while (!(READ_ONCE(cpu_online.bits[cpu / 64]) >> (cpu % 64) & 1))
		cpu_relax();
	return true;
}

void ap_start(void)
{
	unsigned cpu = smp_processor_id();

	ap_alive = true;
	segments_init_cpu(cpu, ap_tables);
	cpu_setup(false);
	apic_init_cpu();
	time_init_cpu();
	cpumask_set_atomic(cpu, &cpu_online);
	local_irq_enable();
	idle_loop();
}

void smp_boot(void)
{
	const struct acpi_cpu *cpus;
	unsigned n = acpi_cpus(&cpus), seen = 1;
	paddr_t page = memmap_low_page();

	install_trampoline(page);
	for (unsigned i = 0; i < n && seen < max(opt_maxcpus, 1UL); i++) {
		if (!cpus[i].enabled || cpus[i].apic_id == cpu_apic_id[0])
			continue;
		if (nr_cpus == MAX_CPUS) {
			log_warn("more than %d processors: the rest is not used\n", MAX_CPUS);
			break;
		}
		if (start_cpu(nr_cpus, cpus[i].apic_id, page))
			seen++;
		nr_cpus++;
	}
	log_info("%u processor%s online\n", cpumask_weight(&cpu_online), cpumask_weight(&cpu_online) == 1 ? "" : "s");
}
