/* SPDX-License-Identifier: MIT */
/* For tests of ipc/: forced in front of every source. Machine addresses are host addresses, and `current` is a variable. */
#ifndef TESTS_UNIT_IPC_ENV_H
#define TESTS_UNIT_IPC_ENV_H

#include <stddef.h>
#include <stdint.h>
#undef __always_inline	/* the C library's */
#include <x86/layout.h>
#undef DIRECTMAP_START
#define DIRECTMAP_START 0UL

/* Threads may be more than processors. */
#include <x86/cr.h>
void fake_relax(void);
#define cpu_relax	fake_relax

/* Whoever is to come between a look and the exchange that depends on it, or NULL. */
#include <x86/atomic.h>
extern void (*fake_race)(const void *at);
#undef atomic_try_cmpxchg
#define atomic_try_cmpxchg(p, oldp, new) \
	((fake_race ? fake_race((const void *)(p)) : (void)0), __atomic_compare_exchange_n(p, oldp, (new), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

#include <x86/regs.h>
#undef current
extern __thread struct vcpu *fake_current;
#define current fake_current

/* There is no frame table to look at. */
#include <memory/frame.h>
#define frame_put_granted	frame_put_granted_slow

/* The test calls the life-cycle hooks itself. */
#include <domain/domain.h>
#undef DOMAIN_MODULE
#define DOMAIN_MODULE(var)	extern const struct domain_module var; const struct domain_module var

/* … and the audit's sources. */
#include <memory/audit.h>
#undef AUDIT_SOURCE
#define AUDIT_SOURCE(var, text, function) \
	extern const struct audit_source var; const struct audit_source var = { .name = (text), .fn = (function) }

#endif
