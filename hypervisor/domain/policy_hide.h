/* SPDX-License-Identifier: MIT */
/* cpuid=no-NAME[,…]: features that are kept from every domain. */
#ifndef DOMAIN_POLICY_HIDE_H
#define DOMAIN_POLICY_HIDE_H

#include <lib/types.h>

/* The bits to hide of one feature word; words are numbered as in <xen/arch-x86/cpufeatureset.h>. Any context. */
u32 policy_hidden(unsigned word);

#endif
