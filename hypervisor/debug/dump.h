/* SPDX-License-Identifier: MIT */
/* What debug keys print that no other module knows. All run as soft-IRQs: interrupts on, no lock held. */
#ifndef DEBUG_DUMP_H
#define DEBUG_DUMP_H

/* What each CPU is doing: its vCPU, the guest's registers, and the way into the hypervisor. */
void registers_dump(void);
/* Stop all guests, recount the references to all frames, say whether they agree, and let the guests go on. */
void audit_run(void);
/* Where a debugger may set a breakpoint. */
void debugger_stop(void);

#endif
