/* SPDX-License-Identifier: MIT */
/* Copies of the per-CPU variables. The boot CPU uses the image's own; percpu_template keeps their initial values. */
#include <core/percpu.h>
#include <lib/string.h>

extern char percpu_start[], percpu_end[], percpu_template[];

u64 percpu_offset[MAX_CPUS];
cpumask_t cpu_online;
unsigned nr_cpus;

size_t percpu_size(void)
{
	return (size_t)(percpu_end - percpu_start);
}

void percpu_init_boot(void)
{
	memcpy(percpu_template, percpu_start, percpu_size());
}

void percpu_init_cpu(unsigned cpu, void *copy)
{
	memcpy(copy, percpu_template, percpu_size());
	percpu_offset[cpu] = (u64)copy - (u64)percpu_start;
}
