/* SPDX-License-Identifier: MIT */
/* Backtraces and register dumps of the hypervisor itself. */
#ifndef DEBUG_BACKTRACE_H
#define DEBUG_BACKTRACE_H

#include <x86/regs.h>

/* Is this the address of a frame on one of this CPU's stacks? */
bool backtrace_on_stack(u64 addr);
/* Print the callers from a frame pointer on (all code keeps frame pointers), as far as they lie on this CPU's stacks. Any context. */
void backtrace_from(u64 frame_pointer);
/* Print registers, with those that control the processor as they are now. Any context. */
void registers_print(const struct cpu_user_regs *regs);
/* Print the registers of an exception frame, the code bytes at its rip when that is ours, and the callers. */
void backtrace_regs(const struct cpu_user_regs *regs);
/* Print what the CPU was doing for whom: the current vCPU, and the guest's registers in short. */
void backtrace_guest(void);

#endif
