/* SPDX-License-Identifier: MIT */
/* For sources that ask the processor what it can: the test answers. Included before everything else (cflags: -include fake_cpuid.h). */
#ifndef TESTS_UNIT_FAKE_CPUID_H
#define TESTS_UNIT_FAKE_CPUID_H

#include <stdint.h>
#undef __always_inline
#include <x86/cpuid.h>

#define cpuid fake_cpuid
struct cpuid_regs fake_cpuid(u32 leaf, u32 subleaf);

/* Life-cycle rows are reached by name instead of through a section. */
#include <domain/domain.h>
#undef DOMAIN_MODULE
#define DOMAIN_MODULE(var)	extern const struct domain_module var; const struct domain_module var

#endif
