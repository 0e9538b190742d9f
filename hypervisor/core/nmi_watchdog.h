/* SPDX-License-Identifier: MIT */
/* A watch on the processors themselves: one that hangs in the hypervisor is made to say where. Not SCHEDOP_watchdog, which is for guests. */
#ifndef CORE_NMI_WATCHDOG_H
#define CORE_NMI_WATCHDOG_H

#include <x86/regs.h>

/* Boot CPU, when all CPUs are online and nothing long is left to do: start, if the user wants it. */
void nmi_watchdog_start(void);
/* An NMI has come; has_reason: the chipset gives one. True if it was ours. A CPU that hangs does not return from it. */
bool nmi_watchdog_nmi(const struct cpu_user_regs *regs, bool has_reason);
/* Around what keeps a CPU from its timers for as long as it takes, such as printing. Nests. Any context. */
void nmi_watchdog_suspend(void);
void nmi_watchdog_resume(void);

#endif
