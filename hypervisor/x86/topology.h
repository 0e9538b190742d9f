/* SPDX-License-Identifier: MIT */
/* Which processors are threads of one core, and cores of one socket: a matter of bits of their APIC ids. */
#ifndef X86_TOPOLOGY_H
#define X86_TOPOLOGY_H

#include <lib/types.h>

/* socket: unique in the machine; core: in its socket; thread: in its core. */
struct cpu_place { u32 socket, core, thread; };

/* From an APIC id and the calling CPU's CPUID; all processors of a machine divide their ids in the same way. Any context. */
struct cpu_place topology_place(u32 apic_id);

#endif
