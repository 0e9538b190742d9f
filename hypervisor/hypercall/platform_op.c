/* SPDX-License-Identifier: MIT */
/* XENPF_*: the privileged domain's questions and orders about the machine (ABI: <xen/platform.h>). */
#include <core/acpi.h>
#include <core/apic.h>
#include <core/console.h>
#include <core/percpu.h>
#include <core/smp.h>
#include <hypercall/dispatch.h>
#include <hypercall/platform.h>
#include <lib/string.h>
#include <sched/sched.h>
#include <x86/cpuid.h>
#include <xen/platform.h>

/* It was `secs`.`nsecs` at system time `at`. System time 0, which is what guests are told, must not lie before 1970. */
static int settime(u64 secs, u32 nsecs, u64 at)
{
	if (nsecs >= NS_PER_SEC || secs >= ~0UL / (u64)NS_PER_SEC || at > secs * (u64)NS_PER_SEC + nsecs)
		return -EINVAL;
	wallclock_set(secs, nsecs, (s_time_t)at);
	return 0;
}

static int get_cpuinfo(struct xenpf_pcpuinfo *info)
{
	u32 cpu = info->xen_cpuid;

	info->max_present = nr_cpus - 1;
	if (cpu >= nr_cpus)
		return -EINVAL;
	info->apic_id = cpu_apic_id[cpu];
	info->acpi_id = 0;
	info->flags = XEN_PCPU_FLAGS_ONLINE;
	if (!cpumask_test(cpu, &cpu_online)) {
		info->flags = 0;
		info->apic_id = ~0u;
		info->acpi_id = ~0u;
		return 0;
	}
	const struct acpi_cpu *cpus;
	unsigned n = acpi_cpus(&cpus);

	for (unsigned i = 0; i < n; i++)
		if (cpus[i].apic_id == info->apic_id)
			info->acpi_id = cpus[i].acpi_id;
	return 0;
}

static int get_cpu_version(struct xenpf_pcpu_version *ver)
{
	static const char *const vendors[] = { "GenuineIntel", "AuthenticAMD", "Unknown" };

	ver->max_present = nr_cpus - 1;
	if (ver->xen_cpuid >= nr_cpus)
		return -EINVAL;
	if (!cpumask_test(ver->xen_cpuid, &cpu_online)) {
		memset(ver->vendor_id, 0, sizeof(ver->vendor_id));
		ver->family = ver->model = ver->stepping = 0;
		return 0;
	}
	memcpy(ver->vendor_id, vendors[cpu_features.vendor], min(sizeof(ver->vendor_id), strlen(vendors[cpu_features.vendor])));
	ver->family = cpu_features.family;
	ver->model = cpu_features.model;
	ver->stepping = cpu_features.stepping;
	return 0;
}

/* Idle time per CPU of the caller's bitmap, of which we look at no more than there can be CPUs; the bits of CPUs that do not exist are cleared. */
static int get_idle_time(struct xenpf_getidletime *op)
{
	u64 now = (u64)time_now();

	op->cpumap_nr_cpus = min(op->cpumap_nr_cpus, (u32)MAX_CPUS);
	for (u32 cpu = 0; cpu < op->cpumap_nr_cpus; cpu++) {
		struct vcpu_runstate_info rs;
		u64 idle;
		u8 byte;

		if (copy_from_guest_idx(&byte, op->cpumap_bitmap.p, cpu / 8, 1))
			return -EFAULT;
		if (!(byte & 1u << cpu % 8))
			continue;
		if (cpu >= nr_cpus || !cpumask_test(cpu, &cpu_online)) {
			byte &= (u8)~(1u << cpu % 8);
			if (copy_to_guest_idx(op->cpumap_bitmap.p, cpu / 8, &byte, 1))
				return -EFAULT;
			continue;
		}
		runstate_get(idle_domain->vcpus[cpu], &rs);
		idle = rs.time[RUNSTATE_running];
		if (copy_to_guest_idx(op->idletime.p, cpu, &idle, sizeof(idle)))
			return -EFAULT;
	}
	op->now = now;
	return 0;
}

static int firmware_info(struct xenpf_firmware_info *fw)
{
	switch (fw->type) {
	case XEN_FW_KBD_SHIFT_FLAGS:
		fw->u.kbd_shift_flags = 0;
		return 0;
	case XEN_FW_DISK_INFO:
	case XEN_FW_DISK_MBR_SIGNATURE:
	case XEN_FW_VBEDDC_INFO:
		/* Real-mode firmware calls: a Multiboot loader has not made them for us. */
		return -ESRCH;
	case XEN_FW_EFI_INFO:
		return platform_efi_info(fw->index, &fw->u.efi_info);
	default:
		return -EINVAL;
	}
}

struct sleep_args { u8 state; u16 pm1a, pm1b; };

static int enter_sleep(const struct xenpf_enter_acpi_sleep *s)
{
	if (s->flags & XENPF_ACPI_SLEEP_EXTENDED)
		return -EOPNOTSUPP;
	if (s->sleep_state > 5)
		return -EINVAL;
	if (!acpi_sleep_possible((u8)s->sleep_state))
		return -EOPNOTSUPP;
	log_info("Domain %u: ACPI sleep state S%u\n", current->domain->id, s->sleep_state);
	console_flush();
	smp_stop_others();
	return acpi_enter_sleep((u8)s->sleep_state, s->val_a, s->val_b);
}

static int dispatch(struct xen_platform_op *op)
{
	switch (op->cmd) {
	case XENPF_settime64:
		return op->u.settime64.mbz ? -EINVAL : settime(op->u.settime64.secs, op->u.settime64.nsecs, op->u.settime64.system_time);
	case XENPF_settime32:
		return settime(op->u.settime32.secs, op->u.settime32.nsecs, op->u.settime32.system_time);
	case XENPF_get_cpuinfo:
		return get_cpuinfo(&op->u.pcpu_info);
	case XENPF_get_cpu_version:
		return get_cpu_version(&op->u.pcpu_version);
	case XENPF_getidletime:
		return get_idle_time(&op->u.getidletime);
	case XENPF_firmware_info:
		return firmware_info(&op->u.firmware_info);
	case XENPF_efi_runtime_call:
		return platform_efi_call(&op->u.efi_runtime_call);
	case XENPF_enter_acpi_sleep:
		return enter_sleep(&op->u.enter_acpi_sleep);
	case XENPF_set_processor_pminfo:
		/* Idle and performance states are left to the firmware's defaults: nothing here uses the tables. */
		return -EOPNOTSUPP;
	case XENPF_add_memtype:
	case XENPF_del_memtype:
	case XENPF_read_memtype:
	case XENPF_microcode_update:
	case XENPF_platform_quirk:
	case XENPF_change_freq:
	case XENPF_cpu_online:
	case XENPF_cpu_offline:
	case XENPF_cpu_hotadd:
	case XENPF_mem_hotadd:
	case XENPF_core_parking:
	case XENPF_resource_op:
	case XENPF_get_symbol:
		return -EOPNOTSUPP;
	default:
		return -ENOSYS;
	}
}

HYPERCALL(do_platform_op)
{
	struct xen_platform_op op, *guest = (void *)a1;
	int rc;

	if (copy_from_guest(&op, guest, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XENPF_INTERFACE_VERSION)
		return -EACCES;
	rc = dispatch(&op);
	if (rc == -EBUSY && op.cmd == XENPF_efi_runtime_call)
		return hypercall_continue(__HYPERVISOR_platform_op, 1, a1);
	if (!rc && copy_to_guest(guest, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
