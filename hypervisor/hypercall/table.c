/* SPDX-License-Identifier: MIT */
/* The hypercalls: number, who may call, how many arguments, handler. A number without a row answers -ENOSYS. */
#include <hypercall/dispatch.h>
#include <xen/arch-x86/xen-mca.h>

#define ROW(nr, handler, nargs, who)	[nr] = { .fn = (handler), .plain = ((who) & (HC_PV | HC_PRIV)) == HC_PV, .flags = (who), .args = (nargs) }
_Static_assert(ARRAY_SIZE(hypercall_table) == 64 && sizeof(struct hypercall_row) == 16 && offsetof(struct hypercall_row, plain) == 8, "entry.S");

const struct hypercall_row hypercall_table[64] = {
	ROW(__HYPERVISOR_set_trap_table, do_set_trap_table, 1, HC_PV),
	ROW(__HYPERVISOR_mmu_update, do_mmu_update, 4, HC_PV),
	ROW(__HYPERVISOR_set_gdt, do_set_gdt, 2, HC_PV),
	ROW(__HYPERVISOR_stack_switch, do_stack_switch, 2, HC_PV),
	ROW(__HYPERVISOR_set_callbacks, do_set_callbacks, 3, HC_PV),
	ROW(__HYPERVISOR_fpu_taskswitch, do_fpu_taskswitch, 1, HC_PV),
	ROW(__HYPERVISOR_platform_op, do_platform_op, 1, HC_PV | HC_HVM | HC_PRIV),
	ROW(__HYPERVISOR_set_debugreg, do_set_debugreg, 2, HC_PV),
	ROW(__HYPERVISOR_get_debugreg, do_get_debugreg, 1, HC_PV),
	ROW(__HYPERVISOR_update_descriptor, do_update_descriptor, 2, HC_PV),
	ROW(__HYPERVISOR_memory_op, do_memory_op, 2, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_multicall, do_multicall, 2, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_update_va_mapping, do_update_va_mapping, 3, HC_PV),
	ROW(__HYPERVISOR_set_timer_op, do_set_timer_op, 1, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_xen_version, do_xen_version, 2, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_console_io, do_console_io, 3, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_grant_table_op, do_grant_table_op, 3, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_vm_assist, do_vm_assist, 2, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_update_va_mapping_otherdomain, do_update_va_mapping_otherdomain, 4, HC_PV),
	/* __HYPERVISOR_iret: entry.S calls hypercall_iret(). */
	ROW(__HYPERVISOR_vcpu_op, do_vcpu_op, 3, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_set_segment_base, do_set_segment_base, 2, HC_PV),
	ROW(__HYPERVISOR_mmuext_op, do_mmuext_op, 4, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_nmi_op, do_nmi_op, 2, HC_PV),
	ROW(__HYPERVISOR_sched_op, do_sched_op, 2, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_callback_op, do_callback_op, 2, HC_PV),
	ROW(__HYPERVISOR_event_channel_op, do_event_channel_op, 2, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_physdev_op, do_physdev_op, 2, HC_PV | HC_HVM),
	ROW(__HYPERVISOR_sysctl, do_sysctl, 1, HC_PV | HC_HVM | HC_PRIV),
	ROW(__HYPERVISOR_domctl, do_domctl, 1, HC_PV | HC_HVM | HC_PRIV),
	ROW(__HYPERVISOR_mca, do_mca, 1, HC_PV | HC_PRIV),
};
